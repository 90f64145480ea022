r"""Wishes at sampling time: whole pieces of the estimate move until they are met.

A wish is a bound on the distance of the closest CA pair between two sets of residues, or on the
distance of a residue from fixed atoms that travel with one piece (a ligand, a partner). Pieces are
rigid bodies; a violated bound C with unit direction n at the contact points is projected out by
the impulse

    lambda = C / (w_a + w_b),   w = 1/m + (r x n) . I^-1 (r x n),

which shifts a body by lambda n / m and turns it by lambda I^-1 (r x n): position-based dynamics of
rigid bodies, with unit masses at the CA atoms. Linkers add a tether, the reach of an extended
chain, so that no wish tears a chain apart; their residues follow the pieces on both sides. A
piece is never deformed, and where all wishes are met nothing moves.

References
----------
Müller, Macklin, Chentanez, Jeschke & Kim 2020, Comput. Graph. Forum 39, 101, equations (2)-(9).
"""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from samplers.so3 import exp

__all__ = ["TOUCH", "Bound", "Wishes", "meet_wishes"]

#: CA pairs of two pieces are not drawn closer than this (angstrom) by a wish.
TOUCH = 4.5

#: Angstrom over which residues near the closest pair share its impulse.
_SOFT = 1.5
#: Ridge on the inertia of a piece: a straight one can be turned about its axis by nothing.
_INERTIA_FLOOR = 20.0


@dataclass(frozen=True)
class Bound:
    """Bounds on the closest CA pair between two sets of residues.

    Parameters
    ----------
    a, b : Tensor, dtype=int64, shape=(n,) and (m,)
        Residues.
    lower, upper : float
        Angstrom; 0 and infinity for none.
    """

    a: Tensor
    b: Tensor
    lower: float = 0.0
    upper: float = float("inf")


@dataclass(frozen=True)
class Wishes:
    """What is asked of one chain.

    Parameters
    ----------
    bounds : tuple of Bound
        Contacts, distances to keep, and the reach of linkers.
    obstacle : Tensor, shape=(M, 3), optional
        Fixed atoms in the coordinates of the known inside of piece ``anchor``, angstrom.
    anchor : int
        The piece they travel with.
    clearance : float
        Least distance of a CA outside the anchor from an obstacle atom, angstrom.
    """

    bounds: tuple[Bound, ...] = ()
    obstacle: Tensor | None = None
    anchor: int = -1
    clearance: float = 6.0

    def __bool__(self) -> bool:
        """Whether anything is asked."""
        return bool(self.bounds) or self.obstacle is not None


class _Bodies:
    """Pieces of one chain that turn and shift."""

    def __init__(self, trans: Tensor, piece: Tensor) -> None:
        self.x, self.piece = trans.clone(), piece
        self.count = int(piece.max()) + 1
        self.turn = torch.eye(3, dtype=trans.dtype, device=trans.device).repeat(self.count, 1, 1)
        self.rows = [(piece == k).nonzero()[:, 0] for k in range(self.count)]

    def inverse_inertia(self, body: int, centre: Tensor) -> Tensor:
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


def _contact_point(x: Tensor, weight: Tensor) -> Tensor:
    return (x * weight[:, None]).sum(0) / weight.sum().clamp_min(1e-9)


def _apply(bodies: _Bodies, bound: Bound, share: float) -> None:
    """Project one bound out, for the pairs of pieces that hold its closest residues."""
    xa, xb = bodies.x[bound.a], bodies.x[bound.b]
    distance = torch.cdist(xa, xb)
    least = distance.min()
    gap = float(least)
    if bound.lower <= gap <= bound.upper:
        return
    where = int(distance.argmin())
    i, j = bound.a[where // len(bound.b)], bound.b[where % len(bound.b)]
    pa, pb = int(bodies.piece[i]), int(bodies.piece[j])
    if pa == pb:
        return
    near = torch.exp((least - distance) / _SOFT)
    wa = near.sum(1) * (bodies.piece[bound.a] == pa)
    wb = near.sum(0) * (bodies.piece[bound.b] == pb)
    target = bound.lower if gap < bound.lower else bound.upper
    at_a, at_b = _contact_point(xa, wa), _contact_point(xb, wb)
    along = at_a - at_b
    if gap < bound.lower:  # pieces that lie inside each other part as their centres do
        along = along + 0.3 * (_contact_point(xa, wa * 0 + 1) - _contact_point(xb, wb * 0 + 1))
    bodies.impulse(pa, pb, at_a, at_b, share * (target - gap), along)


def _clear(bodies: _Bodies, wishes: Wishes, atoms: Tensor, share: float) -> None:
    """Push every piece but the anchor off the obstacle by its deepest residue."""
    for body in range(bodies.count):
        rows = bodies.rows[body]
        if body == wishes.anchor or not len(rows):
            continue
        distance = torch.cdist(bodies.x[rows], atoms)
        least = distance.min()
        if float(least) >= wishes.clearance:
            continue
        deep = (wishes.clearance - distance).clamp_min(0.0)
        at = _contact_point(bodies.x[rows], deep.sum(1))
        to = _contact_point(atoms, deep.sum(0))
        # a piece that lies around the obstacle leaves on the side of its centre
        along = at - to + 0.3 * (bodies.x[rows].mean(0) - to)
        lift = share * (wishes.clearance - float(least))
        bodies.impulse(body, -1, at, to, lift, along)


def _carry_linkers(before: Tensor, after: Tensor, piece: Tensor) -> Tensor:
    """Move the residues between two pieces by what moved their neighbours, in proportion."""
    moved = after - before
    known = (piece >= 0).nonzero()[:, 0]
    for left, right in zip(known[:-1].tolist(), known[1:].tolist(), strict=True):
        if right - left > 1:
            step = torch.arange(1, right - left, dtype=before.dtype, device=before.device)
            weight = (step / (right - left))[:, None]
            moved[left + 1 : right] = (1 - weight) * moved[left] + weight * moved[right]
    return before + moved


def _lift_off(x: Tensor, piece: Tensor, wishes: Wishes, atoms: Tensor, share: float) -> Tensor:
    """Move linker residues out of the obstacle one by one."""
    loose = (piece < 0).nonzero()[:, 0]
    if not len(loose):
        return x
    away = x[loose][:, None] - atoms[None]
    distance = away.norm(dim=-1).clamp_min(1e-3)
    deep = (wishes.clearance - distance).clamp_min(0.0)
    push = (deep[..., None] * away / distance[..., None]).sum(1)
    size = push.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    x = x.clone()
    x[loose] = x[loose] + share * push / size * deep.max(1).values[:, None]
    return x


@torch.no_grad()
def meet_wishes(
    rot: Tensor,
    trans: Tensor,
    piece: Tensor,
    known: tuple[Tensor, Tensor],
    wishes: Wishes,
    share: float,
    part: float = 0.0,
    rounds: int = 8,
) -> tuple[Tensor, Tensor]:
    """Move the pieces of one chain until its wishes are met.

    Parameters
    ----------
    rot, trans : Tensor, shape=(L, 3, 3) and (L, 3)
        Estimate of the clean frames, angstrom.
    piece : Tensor, dtype=int64, shape=(L,)
        Piece numbers, -1 for none.
    known : tuple of Tensor, shape=(L, 3, 3) and (L, 3)
        Known frames of the pieces, which place the obstacle.
    wishes : Wishes
    share : float
        Between 0 (no effect) and 1: the part of every violation that one round takes away.
    part : float
        The same for CA pairs of two pieces closer than `TOUCH`.
    rounds : int
        Rounds over all wishes.

    Returns
    -------
    rot, trans : Tensor
        Moved frames, of the same shapes.
    """
    if share <= 0 or not wishes or not bool((piece >= 0).any()):
        return rot, trans
    bodies = _Bodies(trans, piece)
    atoms = None
    apart = [
        Bound(one, two, lower=TOUCH)
        for one, two in itertools.combinations(bodies.rows, 2)
        if part > 0 and len(one) and len(two)
    ]
    for _ in range(rounds):
        for bound in apart:
            _apply(bodies, bound, part)
        for bound in wishes.bounds:
            _apply(bodies, bound, share)
        if wishes.obstacle is not None:
            atoms = _placed(bodies, known[1], wishes)
            _clear(bodies, wishes, atoms, share)
    moved = _carry_linkers(trans, bodies.x, piece)
    if atoms is not None:
        moved = _lift_off(moved, piece, wishes, _placed(bodies, known[1], wishes), share)
    turn = bodies.turn[piece.clamp_min(0)]
    eye = torch.eye(3, dtype=rot.dtype, device=rot.device)
    return torch.where((piece >= 0)[:, None, None], turn, eye) @ rot, moved


def _placed(bodies: _Bodies, known: Tensor, wishes: Wishes) -> Tensor:
    """Obstacle atoms where the anchor lies now (Kabsch 1976, on its CA positions)."""
    assert wishes.obstacle is not None
    rows = bodies.rows[wishes.anchor]
    x, k = bodies.x[rows], known[rows]
    centre, origin = x.mean(0), k.mean(0)
    u, _, vh = torch.linalg.svd((x - centre).T @ (k - origin))
    flip = torch.ones(3, dtype=x.dtype, device=x.device)
    flip[2] = torch.det(u @ vh)
    return (wishes.obstacle.to(x) - origin) @ ((u * flip) @ vh).T + centre
