r"""Pieces of a chain as rigid bodies that impulses turn and shift.

Two bodies that are to come apart or together by C along a unit direction n at their points r_a and
r_b receive the impulse

    lambda = C / (w_a + w_b),   w = 1/m + (r x n) . I^-1 (r x n),

which shifts a body by lambda n / m and turns it by lambda I^-1 (r x n): position-based dynamics of
rigid bodies, with unit masses at the CA atoms. A chain has a few bodies, and an impulse concerns
two of them: so few numbers that numpy, in float64, is several times as fast as torch.

References
----------
Müller, Macklin, Chentanez, Jeschke & Kim 2020, Comput. Graph. Forum 39, 101, equations (2)-(9).
"""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bodies", "contact_point", "pair_distances", "pair_squares"]

#: Ridge on the inertia of a piece: a straight one can be turned about its axis by nothing.
_INERTIA_FLOOR = 20.0
_EYE = np.eye(3)

_Array = NDArray[np.float64]


class Bodies:
    """Pieces of one chain that turn and shift.

    Parameters
    ----------
    trans : ndarray, shape=(L, 3)
        CA positions, angstrom.
    piece : ndarray, dtype=int64, shape=(L,)
        Piece numbers, -1 for none.
    """

    def __init__(self, trans: _Array, piece: NDArray[np.int64]) -> None:
        self.x, self.piece = trans.copy(), piece
        self.count = int(piece.max()) + 1
        self.rows = [np.flatnonzero(piece == k) for k in range(self.count)]
        self.turn = np.tile(_EYE, (self.count, 1, 1))
        self.centre = np.zeros((self.count, 3))
        inertia = np.tile(_INERTIA_FLOOR * _EYE, (self.count, 1, 1))
        for body, rows in enumerate(self.rows):
            if len(rows):
                self.centre[body] = self.x[rows].mean(0)
                y = self.x[rows] - self.centre[body]
                inertia[body] += (y * y).sum() * _EYE - y.T @ y
        self._inverse_inertia = np.linalg.inv(inertia)  # before any turn

    def impulse(
        self, a: int, b: int, at_a: _Array, at_b: _Array, wanted: float, along: _Array
    ) -> None:
        """Shift a point of body a against one of b by ``wanted`` ``along``; -1 is fixed."""
        n = along / max(_length(along), 1e-3)
        arms: list[tuple[int, _Array, _Array]] = []
        weight = 0.0
        for body, point, sign in ((a, at_a, 1.0), (b, at_b, -1.0)):
            if body < 0 or not len(self.rows[body]):
                continue
            turn, mass = self.turn[body], len(self.rows[body])
            arm = _skew(point - self.centre[body]) @ n
            axis = turn @ (self._inverse_inertia[body] @ (turn.T @ arm))
            weight += 1.0 / mass + float(arm @ axis)
            arms.append((body, sign * n / mass, sign * axis))
        if weight <= 0:
            return
        size = wanted / weight
        for body, shift, axis in arms:
            angle = size * axis
            turn = _rotation(angle * (0.5 / max(_length(angle), 0.5)))  # at most half a radian
            rows, centre = self.rows[body], self.centre[body].copy()
            self.centre[body] += size * shift
            self.x[rows] = (self.x[rows] - centre) @ turn.T + self.centre[body]
            self.turn[body] = turn @ self.turn[body]


def contact_point(x: _Array, weight: _Array) -> _Array:
    """Weighted mean of points of shape (n, 3)."""
    point: _Array = weight @ x / max(float(weight.sum()), 1e-9)
    return point


def pair_squares(a: _Array, b: _Array) -> _Array:
    """Squared distances of all points of shape (n, 3) to all of shape (m, 3); rounding shows."""
    square: _Array = a @ (-2.0 * b.T)  # the largest arrays here: in place
    square += (b * b).sum(-1)
    square += (a * a).sum(-1)[:, None]
    return square


def pair_distances(a: _Array, b: _Array) -> _Array:
    """Distances of all points of shape (n, 3) to all of shape (m, 3)."""
    square = pair_squares(a, b)
    distance: _Array = np.sqrt(np.maximum(square, 0.0, out=square), out=square)
    return distance


def _length(vector: _Array) -> float:
    return float(vector @ vector) ** 0.5


def _skew(v: _Array) -> _Array:
    """Matrix with ``_skew(v) @ w = v x w``."""
    x, y, z = v.tolist()
    return np.array(((0.0, -z, y), (z, 0.0, -x), (-y, x, 0.0)))


def _sinc(x: float) -> float:
    """``sin(x) / x``."""
    return math.sin(x) / x if x > 1e-8 else 1.0


def _rotation(v: _Array) -> _Array:
    """Rotation matrix of a rotation vector (Rodrigues)."""
    angle, k = _length(v), _skew(v)
    turn: _Array = _EYE + _sinc(angle) * k + 0.5 * _sinc(0.5 * angle) ** 2 * (k @ k)
    return turn
