r"""Wishes at sampling time: whole pieces of the estimate move until they are met.

A wish is a bound on the distance of the closest CA pair between two sets of residues, or on the
distance of a residue from fixed atoms that travel with one piece (a ligand, a partner). Pieces are
rigid bodies, and what violates a bound is projected out by impulses
(`proteinweaver.diffusion.bodies`). Linkers add a tether, the reach of an extended chain, so that
no wish tears a chain apart; their residues follow the pieces on both sides. Two domains that
should touch are drawn together at the residues that are nearly in contact, which also turns them
face to face. A piece is never deformed, and where all wishes are met nothing moves.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from proteinweaver.diffusion.bodies import Bodies, contact_point, pair_distances

__all__ = [
    "ROUNDS",
    "ROUNDS_UNASKED",
    "TOUCH",
    "Bound",
    "Interface",
    "Wishes",
    "meet_wishes",
    "tethers",
    "touching",
]

#: CA pairs of two pieces are not drawn closer than this (angstrom) by a wish.
TOUCH = 4.5
#: CA pairs of two pieces that nobody asked to meet are moved apart to this (angstrom): side chains
#: need the room.
_ROOM = 5.0
#: CA pairs of an interface are drawn to within this (angstrom): closing takes some of it back, and
#: a contact ends at 8.
_CONTACT = 6.8
#: Pieces with no CA pair closer than this (angstrom) are not looked at for clashes.
_NEAR = _ROOM + 8.0
#: Residues nearer along the chain than this are bonded neighbours of each other, not clashes.
_NEIGHBOURS = 3

#: Rounds over all wishes of a step: where something is asked for, and where domains only touch.
ROUNDS, ROUNDS_UNASKED = 8, 3

#: A bound is met within this (angstrom).
_MET = 0.05
#: Angstrom over which residues near the closest pair share its impulse.
_SOFT = 1.5

_Array = NDArray[np.float64]


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
class Interface:
    """A number of contacts between two sets of residues, each of one piece.

    Parameters
    ----------
    a, b : Tensor, dtype=int64, shape=(n,) and (m,)
        Residues.
    contacts : int
        CA pairs wanted within 8 A; more are welcome.
    """

    a: Tensor
    b: Tensor
    contacts: int


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
    interfaces : tuple of Interface
        Domains that should touch.
    rounds : int
        Rounds over all of these at most, at every step of sampling.
    """

    bounds: tuple[Bound, ...] = ()
    obstacle: Tensor | None = None
    anchor: int = -1
    clearance: float = 6.0
    interfaces: tuple[Interface, ...] = ()
    rounds: int = ROUNDS

    def __bool__(self) -> bool:
        """Whether anything is asked."""
        return bool(self.bounds) or bool(self.interfaces) or self.obstacle is not None


@dataclass(frozen=True)
class _Pairs:
    """A `Bound` or an `Interface` with its residues in numpy."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    lower: float = 0.0
    upper: float = float("inf")
    contacts: int = 0


def touching(a: Tensor, b: Tensor, contacts: float) -> tuple[Interface, ...]:
    """Ask for contacts between two sets of residues, where it is for one at least.

    Parameters
    ----------
    a, b : Tensor, dtype=int64, shape=(n,) and (m,)
        Residues, each of one piece.
    contacts : float
        CA pairs wanted within 8 A.

    Returns
    -------
    tuple of Interface
        One or none.
    """
    return (Interface(a, b, round(contacts)),) if contacts >= 1 else ()


def tethers(piece: Tensor, reach: Callable[[int], float]) -> tuple[Bound, ...]:
    """Let the stretches between pieces hold them as far as they reach.

    Parameters
    ----------
    piece : Tensor, dtype=int64, shape=(L,)
        Piece numbers, -1 for none.
    reach : callable
        From residues of a stretch to angstrom.

    Returns
    -------
    tuple of Bound
    """
    known = (piece >= 0).nonzero()[:, 0].tolist()
    return tuple(
        Bound(torch.tensor([i]), torch.tensor([j]), 0.0, reach(j - i - 1))
        for i, j in itertools.pairwise(known)
        if piece[i] != piece[j]
    )


def _apply(bodies: Bodies, bound: _Pairs, share: float) -> bool:
    """Project one bound out, for the pieces that hold its closest residues; tell if they moved."""
    xa, xb = bodies.x[bound.a], bodies.x[bound.b]
    distance = pair_distances(xa, xb)
    where = int(distance.argmin())
    gap = float(distance.flat[where])
    if bound.lower - _MET <= gap <= bound.upper + _MET:
        return False
    own, other = bodies.piece[bound.a], bodies.piece[bound.b]
    pa, pb = int(own[where // len(xb)]), int(other[where % len(xb)])
    if pa == pb:
        return False
    near = np.exp((gap - distance) / _SOFT)
    at_a = contact_point(xa, near.sum(1) * (own == pa))
    at_b = contact_point(xb, near.sum(0) * (other == pb))
    target = bound.lower if gap < bound.lower else bound.upper
    along = at_a - at_b
    if gap < bound.lower:  # pieces that lie inside each other part as their centres do
        along = along + 0.3 * (xa.mean(0) - xb.mean(0))
    bodies.impulse(pa, pb, at_a, at_b, share * (target - gap), along)
    return True


def _draw(bodies: Bodies, interface: _Pairs, part: float) -> bool:
    """Draw two pieces together at the closest pairs not yet in contact; tell if they moved."""
    xa, xb = bodies.x[interface.a], bodies.x[interface.b]
    distance = pair_distances(xa, xb).ravel()
    count = min(interface.contacts, len(distance))
    where = np.argpartition(distance, count - 1)[:count]
    lacking = np.maximum(distance[where] - _CONTACT, 0.0)
    mean = float(lacking.mean())
    pa, pb = int(bodies.piece[interface.a[0]]), int(bodies.piece[interface.b[0]])
    if mean <= _MET or pa == pb:
        return False
    at_a = contact_point(xa[where // len(xb)], lacking)
    at_b = contact_point(xb[where % len(xb)], lacking)
    bodies.impulse(pa, pb, at_a, at_b, -0.5 * part * mean, at_a - at_b)
    return True


def _clashes(bodies: Bodies, room: float) -> list[_Pairs]:
    """List the distances to keep between pieces that lie near each other."""
    radius = [
        float(np.linalg.norm(bodies.x[rows] - centre, axis=-1).max(initial=0.0))
        for rows, centre in zip(bodies.rows, bodies.centre, strict=True)
    ]
    apart = pair_distances(bodies.centre, bodies.centre)
    found = []
    for one, two in itertools.combinations(range(bodies.count), 2):
        a, b = bodies.rows[one], bodies.rows[two]
        if apart[one, two] >= radius[one] + radius[two] + _NEAR or not len(a) or not len(b):
            continue
        if pair_distances(bodies.x[a], bodies.x[b]).min() < _NEAR:
            bonded = np.abs(a[:, None] - b) < _NEIGHBOURS
            found.append(_Pairs(a[~bonded.any(1)], b[~bonded.any(0)], lower=room))
    return [pairs for pairs in found if len(pairs.a) and len(pairs.b)]


def _clear(bodies: Bodies, wishes: Wishes, atoms: _Array, share: float) -> None:
    """Push every piece but the anchor off the obstacle by its deepest residue."""
    for body in range(bodies.count):
        rows = bodies.rows[body]
        if body == wishes.anchor or not len(rows):
            continue
        distance = pair_distances(bodies.x[rows], atoms)
        least = float(distance.min())
        if least >= wishes.clearance:
            continue
        deep = np.maximum(wishes.clearance - distance, 0.0)
        at = contact_point(bodies.x[rows], deep.sum(1))
        to = contact_point(atoms, deep.sum(0))
        # a piece that lies around the obstacle leaves on the side of its centre
        along = at - to + 0.3 * (bodies.centre[body] - to)
        bodies.impulse(body, -1, at, to, share * (wishes.clearance - least), along)


def _carry_linkers(before: _Array, after: _Array, piece: NDArray[np.int64]) -> _Array:
    """Move the residues between two pieces by what moved their neighbours, in proportion."""
    known = np.flatnonzero(piece >= 0)
    between = np.arange(known[0], known[-1] + 1)
    moved = after - before
    for axis in range(3):
        moved[between, axis] = np.interp(between, known, moved[known, axis])
    return before + moved


def _lift_off(
    x: _Array, piece: NDArray[np.int64], wishes: Wishes, atoms: _Array, share: float
) -> _Array:
    """Move linker residues out of the obstacle one by one."""
    loose = np.flatnonzero(piece < 0)
    if not len(loose):
        return x
    away = x[loose][:, None] - atoms[None]
    distance = np.maximum(np.linalg.norm(away, axis=-1), 1e-3)
    deep = np.maximum(wishes.clearance - distance, 0.0)
    push = ((deep / distance)[..., None] * away).sum(1)
    size = np.maximum(np.linalg.norm(push, axis=-1, keepdims=True), 1e-6)
    x = x.copy()
    x[loose] += share * push / size * deep.max(1)[:, None]
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
        The same for interfaces, and for CA pairs of two pieces that come closer than 5 A (than
        `TOUCH` where a contact is wished for that is closer still).

    Returns
    -------
    rot, trans : Tensor
        Moved frames, of the same shapes.
    """
    if share <= 0 or not wishes or not bool((piece >= 0).any()):
        return rot, trans
    owner, x = piece.cpu().numpy(), trans.cpu().double().numpy()
    bodies = Bodies(x, owner)
    atoms = None
    close = any(bound.upper < _ROOM for bound in wishes.bounds)
    apart = _clashes(bodies, TOUCH if close else _ROOM) if part > 0 else []
    bounds = [_Pairs(*_rows(b), lower=b.lower, upper=b.upper) for b in wishes.bounds]
    interfaces = [_Pairs(*_rows(i), contacts=i.contacts) for i in wishes.interfaces]
    for _ in range(wishes.rounds):
        changes = [_draw(bodies, one, part) for one in interfaces if part > 0]
        changes += [_apply(bodies, bound, part) for bound in apart]
        changes += [_apply(bodies, bound, share) for bound in bounds]
        if wishes.obstacle is not None:
            atoms = _placed(bodies, known[1], wishes)
            _clear(bodies, wishes, atoms, share)
        elif not any(changes):
            break
    moved = _carry_linkers(x, bodies.x, owner)
    if atoms is not None:
        moved = _lift_off(moved, owner, wishes, _placed(bodies, known[1], wishes), share)
    turn = np.where((owner >= 0)[:, None, None], bodies.turn[owner], np.eye(3))
    return torch.from_numpy(turn).to(rot) @ rot, torch.from_numpy(moved).to(trans)


def _rows(asked: Bound | Interface) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return asked.a.cpu().numpy(), asked.b.cpu().numpy()


def _placed(bodies: Bodies, known: Tensor, wishes: Wishes) -> _Array:
    """Obstacle atoms where the anchor lies now (Kabsch 1976, on its CA positions)."""
    assert wishes.obstacle is not None
    rows = bodies.rows[wishes.anchor]
    x, k = bodies.x[rows], known.cpu().double().numpy()[rows]
    centre, origin = x.mean(0), k.mean(0)
    u, _, vh = np.linalg.svd((x - centre).T @ (k - origin))
    u[:, 2] *= np.linalg.det(u @ vh)
    placed: _Array = (wishes.obstacle.cpu().double().numpy() - origin) @ (u @ vh).T + centre
    return placed
