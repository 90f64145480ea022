r"""Pieces of a chain as rigid bodies that impulses turn and shift.

Two bodies that are to come apart or together by C along a unit direction n at their points r_a and
r_b receive the impulse

    lambda = C / (w_a + w_b),   w = 1/m + (r x n) . I^-1 (r x n),

which shifts a body by lambda n / m and turns it by lambda I^-1 (r x n): position-based dynamics of
rigid bodies, with unit masses at the CA atoms.

References
----------
Müller, Macklin, Chentanez, Jeschke & Kim 2020, Comput. Graph. Forum 39, 101, equations (2)-(9).
"""

import torch
from torch import Tensor

from samplers.so3 import exp

__all__ = ["Bodies", "contact_point"]

#: Ridge on the inertia of a piece: a straight one can be turned about its axis by nothing.
_INERTIA_FLOOR = 20.0


class Bodies:
    """Pieces of one chain that turn and shift.

    Parameters
    ----------
    trans : Tensor, shape=(L, 3)
        CA positions, angstrom.
    piece : Tensor, dtype=int64, shape=(L,)
        Piece numbers, -1 for none.
    """

    def __init__(self, trans: Tensor, piece: Tensor) -> None:
        self.x, self.piece = trans.clone(), piece
        self.count = int(piece.max()) + 1
        self.turn = torch.eye(3, dtype=trans.dtype, device=trans.device).repeat(self.count, 1, 1)
        self.rows = [(piece == k).nonzero()[:, 0] for k in range(self.count)]

    def inverse_inertia(self, body: int, centre: Tensor) -> Tensor:
        """Inverse inertia of a piece about its centre, shape (3, 3)."""
        y = self.x[self.rows[body]] - centre
        square = y.square().sum()
        eye = torch.eye(3, dtype=y.dtype, device=y.device)
        return torch.linalg.inv((square + _INERTIA_FLOOR) * eye - y.T @ y)

    def impulse(
        self, a: int, b: int, at_a: Tensor, at_b: Tensor, wanted: float, along: Tensor
    ) -> None:
        """Shift a point of body a against one of b by ``wanted`` ``along``; -1 is fixed."""
        n = along / along.norm().clamp_min(1e-3)
        arms: list[tuple[int, Tensor, Tensor, Tensor]] = []
        weight = 0.0
        for body, point, sign in ((a, at_a, 1.0), (b, at_b, -1.0)):
            if body < 0 or not len(self.rows[body]):
                continue
            centre = self.x[self.rows[body]].mean(0)
            inverse = self.inverse_inertia(body, centre)
            arm = torch.linalg.cross(point - centre, n)
            axis = inverse @ arm
            weight += 1.0 / len(self.rows[body]) + float(arm @ axis)
            arms.append((body, centre, sign * n / len(self.rows[body]), sign * axis))
        if weight <= 0:
            return
        size = wanted / weight
        for body, centre, shift, axis in arms:
            angle = size * axis
            angle = angle * (0.5 / angle.norm().clamp_min(0.5))  # at most half a radian
            turn = exp(angle)
            rows = self.rows[body]
            self.x[rows] = (self.x[rows] - centre) @ turn.T + centre + size * shift
            self.turn[body] = turn @ self.turn[body]


def contact_point(x: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of points of shape (n, 3)."""
    return (x * weight[:, None]).sum(0) / weight.sum().clamp_min(1e-9)
