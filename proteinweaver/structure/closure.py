"""Close a nearly correct backbone: peptide bonds, clashes, torsions, hydrogen bonds.

A backbone out of a diffusion network is a set of residue frames whose peptide bonds are a little
open. Closing it is a small minimisation. Every residue, or every rigid piece, is one body that
turns and shifts (`proteinweaver.structure.closure_bodies`); what is inside a body stays exact. The
energy (`proteinweaver.structure.closure_energy`) is minimised by a fixed number of Adam steps with
one second moment for each 3-vector. Increments live in the bodies' own axes, so the result follows
a rotation of the input; there is no line search and nothing is shared between the backbones of a
batch, so a backbone comes out the same alone; it runs in float64 to keep that so. All terms have
continuous forces; still, a difference in the input comes out some 30 times as large in the worst
atom, and more where the input was badly broken.

References
----------
Kingma & Ba 2015, arXiv 1412.6980, algorithm 1 (Adam).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from proteinweaver.structure.closure_bodies import Array, Bodies, Pose, find_bodies
from proteinweaver.structure.closure_energy import ClosureEnergy, ClosureForces
from proteinweaver.structure.closure_terms import Bounds

__all__ = ["RIGID_FORCES", "ClosureForces", "ClosureResult", "close_backbone", "loose_ends"]

#: Where bodies are rigid they follow their linkers, and bonds count more than where the sampler
#: left an atom.
RIGID_FORCES = ClosureForces(peptide=400.0, body=1.0)

_N, _CA, _C = range(3)
_RELIST = 25  # steps between two lists of neighbours
_BETA1, _BETA2, _EPS = 0.9, 0.98, 0.5  # Adam; the last in units of a force, so that rest is rest


@dataclass(frozen=True)
class ClosureResult:
    """A closed batch.

    Parameters
    ----------
    coord : Tensor, dtype=float32, shape as the input
        N, CA, C, O in angstrom; padding untouched.
    moved : Tensor, shape=(B,)
        Root mean square CA displacement in angstrom, without superposition.
    worst_bond : Tensor, shape=(B,)
        Largest deviation of a C-N distance from 1.329 angstrom that is left.
    """

    coord: Tensor
    moved: Tensor
    worst_bond: Tensor


def _minimise(pose: Pose, energy: ClosureEnergy, steps: int, rate: float) -> Array:
    """Increments after ``steps`` Adam steps with a cosine rate; moments per 3-vector."""
    x = np.zeros((2, 3, pose.count))
    first, second = np.zeros_like(x), np.zeros((2, 1, pose.count))
    for step in range(steps):
        placed = pose(x)
        if step % _RELIST == 0:
            energy.relist(placed.atoms)
        _, by_atoms = energy(placed.atoms)
        gradient = pose.pulled_back(placed, by_atoms)
        first = _BETA1 * first + (1 - _BETA1) * gradient
        second = _BETA2 * second + (1 - _BETA2) * (gradient * gradient).mean(1, keepdims=True)
        unbiased = np.sqrt(second / (1 - _BETA2 ** (step + 1))) + _EPS
        now = rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        x -= now / (1 - _BETA1 ** (step + 1)) * first / unbiased
    return x


def loose_ends(body: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Residues of rigid bodies beside a residue that is not of the same body.

    Parameters
    ----------
    body : ndarray, dtype=int64, shape=(L,)
        Rigid body of every residue, -1 for none.
    count : int
        How many on each side of a junction.

    Returns
    -------
    ndarray, dtype=bool, shape=(L,)
    """
    loose = np.zeros(len(body), dtype=np.bool_)
    for cut in np.flatnonzero(body[1:] != body[:-1]) + 1:
        for rows in (slice(max(0, cut - count), cut), slice(cut, cut + count)):
            loose[rows] |= body[rows] >= 0
    return loose


def close_backbone(
    coord: Tensor,
    mask: Tensor | None = None,
    piece: Tensor | None = None,
    *,
    bonded: Tensor | None = None,
    glycine: Tensor | None = None,
    loose: Tensor | None = None,
    held: Bounds | None = None,
    rigid: bool = True,
    forces: ClosureForces | None = None,
    steps: int = 200,
    rate: float = 0.1,
) -> ClosureResult:
    """Close backbones by a short deterministic minimisation.

    Parameters
    ----------
    coord : Tensor, shape=(B, L, 4, 3) or (L, 4, 3)
        N, CA, C, O in angstrom.
    mask : Tensor, dtype=bool, shape=(B, L) or (L,), optional
        True for residues; padding elsewhere. Default all True.
    piece : Tensor, dtype=int64, shape=(B, L) or (L,), optional
        Residues with the same number from 0 form a piece, -1 none. Default no pieces.
    bonded : Tensor, dtype=bool, shape=(B, L) or (L,), optional
        False where a residue is not bonded to the next one (a chain break).
    glycine : Tensor, dtype=bool, shape=(B, L) or (L,), optional
        True for residues known to be glycine: they feel no Ramachandran force. Default none, which
        leaves designs of unknown sequence open to every amino acid.
    loose : Tensor, dtype=bool, shape=(B, L) or (L,), optional
        Residues of pieces that move by themselves, elastically tied to their piece: the ends of
        domains next to linkers. Default none.
    held : Bounds, optional
        Distances to keep within bounds, between atoms of the batch without padding, numbered
        as in `proteinweaver.structure.closure_terms`.
    rigid : bool
        True: every piece moves as one body and its inside stays exactly as given. False: pieces
        are ignored and every residue may move.
    forces : ClosureForces, optional
        Force constants.
    steps : int
        Adam steps; 0 only cleans the insides of loose residues.
    rate : float
        First step size in angstrom.

    Returns
    -------
    ClosureResult

    Raises
    ------
    ValueError
        If a shape does not fit or a coordinate of a residue is not finite.
    """
    coord = torch.as_tensor(coord, dtype=torch.float32)
    single = coord.ndim == 3
    if coord.shape[-2:] != (4, 3) or coord.ndim not in (3, 4):
        raise ValueError(f"coord has shape {tuple(coord.shape)}, not (B, L, 4, 3): N, CA, C, O")
    shape = coord.shape[:-2]
    mask = (
        torch.ones(shape, dtype=torch.bool)
        if mask is None
        else torch.as_tensor(mask, dtype=torch.bool)
    )
    piece = torch.full(shape, -1) if piece is None or not rigid else torch.as_tensor(piece).long()
    bonded = (
        torch.ones(shape, dtype=torch.bool) if bonded is None else torch.as_tensor(bonded).bool()
    )
    general = (
        torch.ones(shape, dtype=torch.bool)
        if glycine is None
        else ~torch.as_tensor(glycine).bool()
    )
    free = torch.zeros(shape, dtype=torch.bool) if loose is None else torch.as_tensor(loose).bool()
    given = (
        ("mask", mask), ("piece", piece), ("bonded", bonded), ("glycine", general), ("loose", free)
    )  # fmt: skip
    for name, value in given:
        if value.shape != shape:
            raise ValueError(f"{name} has shape {tuple(value.shape)}, not {tuple(shape)}")
    if single:
        coord, mask, piece, bonded = coord[None], mask[None], piece[None], bonded[None]
        general, free = general[None], free[None]
    if not bool(coord[mask].isfinite().all()):
        raise ValueError("coord holds values that are not finite")
    if not bool(mask.any()):
        nothing = torch.zeros(len(coord))
        return ClosureResult(coord[0] if single else coord.clone(), nothing, nothing)
    bodies = find_bodies(coord.double(), mask, piece.where(~free, -1), bonded)
    pose = Pose(bodies)
    owner = piece[mask].numpy() if bool(free.any()) else None
    energy = ClosureEnergy(pose, forces or ClosureForces(), general[mask].numpy(), owner, held)
    placed = pose(_minimise(pose, energy, steps, rate)).atoms[:, :4]
    atoms = torch.from_numpy(placed.transpose(2, 1, 0))
    return _result(coord, mask, bodies, atoms, single)


def _result(
    coord: Tensor, mask: Tensor, bodies: Bodies, atoms: Tensor, single: bool
) -> ClosureResult:
    """Pad again and measure."""
    closed = coord.clone()
    closed[mask] = atoms.float()
    count = mask.sum(-1).clamp_min(1)
    square = ((closed - coord)[:, :, _CA].square().sum(-1)).where(mask, 0.0)
    left = torch.from_numpy(np.flatnonzero(bodies.bonded))
    off = ((atoms[left + 1, _N] - atoms[left, _C]).norm(dim=-1) - 1.329).abs()
    worst = off.new_zeros(len(coord)).scatter_reduce_(
        0, torch.from_numpy(bodies.item)[left], off, "amax"
    )
    return ClosureResult(
        closed[0] if single else closed, (square.sum(-1) / count).sqrt(), worst.float()
    )
