"""Close a nearly correct backbone: peptide bonds, clashes, torsions, hydrogen bonds.

A backbone out of a diffusion network is a set of residue frames whose peptide bonds are a little open. Closing it is a
small minimisation. Every residue, or every rigid piece, is one body that turns about its centre and shifts; what is
inside a body is exact. With Q the frame of the body before, c its centre and (r, u) its increments in that frame,

    y -> Q exp(r) Q^T (y - c) + c + Q u,

so that the result follows a rotation of the input. The energy (`proteinweaver.structure.closure_energy`) is minimised by a
fixed number of Adam steps with one second moment for each 3-vector, which is free of the choice of axes; there is no line search,
and no quantity is shared between the backbones of a batch. Carbonyl oxygens follow from the peptide plane.

References
----------
Kingma & Ba 2015, arXiv 1412.6980, algorithm 1 (Adam).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from proteinweaver.structure.closure_energy import (
    ATOMS,
    Bounds,
    bounded,
    clash_bounds,
    hydrogen_bond_energy,
    hydrogen_bond_pairs,
    peptide_bounds,
    torsion_terms,
)
from proteinweaver.structure.frames import frames_from_coord, virtual_cb

__all__ = ["ClosureForces", "ClosureResult", "close_backbone"]

_N, _CA, _C, _O = range(4)
_O_ALONG, _O_ACROSS = 0.617348, 1.065000  # of C=O along and across CA-C: 1.231 A, 120.1 degrees
_RELIST = 25  # steps between two lists of neighbours
_BODY_RESTRAINT = 8.0  # a piece is held to its place like this many residues, however large it is


@dataclass(frozen=True)
class ClosureForces:
    """Force constants of the closing energy; 0 switches a term off.

    Parameters
    ----------
    peptide : float
        Bond lengths and 1-3 distances across the peptide bond, per square angstrom.
    planarity : float
        ``1 + cos(omega)``.
    clash : float
        Soft spheres, per square angstrom of overlap.
    rama : float
        Log density missing to ``rama_floor``.
    rama_floor : float
        ln p from which on a residue feels no Ramachandran force (0.02 is -3.9).
    restraint : float
        To the input position, per square angstrom and atom (N, CA, C).
    hydrogen_bond : float
        Per kcal/mol missing to ``hydrogen_bond_target`` in nearly formed bonds.
    hydrogen_bond_target : float
        kcal/mol.
    hydrogen_bond_reach : float
        O-H distance in angstrom up to which a bond counts as nearly formed.
    """

    peptide: float = 100.0
    planarity: float = 10.0
    clash: float = 20.0
    rama: float = 1.0
    rama_floor: float = -2.5
    restraint: float = 0.5
    hydrogen_bond: float = 1.0
    hydrogen_bond_target: float = -1.5
    hydrogen_bond_reach: float = 3.2


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


@dataclass(frozen=True)
class _Flat:
    """The residues of a batch behind each other, and the bodies they belong to."""

    atoms: Tensor  # (R, 5, 3): N, CA, C, O, virtual CB of the cleaned input
    item: Tensor  # (R,)
    position: Tensor  # (R,)
    body: Tensor  # (R,) number of the body
    axes: Tensor  # (bodies, 3, 3)
    centre: Tensor  # (bodies, 3)
    lever: Tensor  # (bodies, 1) root mean square radius
    bonded: Tensor  # (R,) residue r is bonded to r + 1


def _clean_residues(coord: Tensor) -> Tensor:
    """Residues with native-like insides: N-CA 1.459 and CA-C 1.525 A within 0.03, N-CA-C 111 degrees within 6."""
    rot, trans = frames_from_coord(coord)
    local = torch.einsum("rji,raj->rai", rot, coord - trans[:, None])
    n, c = local[:, _N], local[:, _C]
    angle = torch.atan2(n[:, 1], n[:, 0]).clamp(math.radians(105), math.radians(117))
    n_ca = n.norm(dim=-1).clamp(1.429, 1.489)
    zero = torch.zeros_like(angle)
    new_n = torch.stack((n_ca * angle.cos(), n_ca * angle.sin(), zero), dim=-1)
    new_c = torch.stack((c[:, 0].clamp(1.495, 1.555), zero, zero), dim=-1)
    across = local[:, _O, 1:]
    across = across / across.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    new_o = torch.cat((new_c[:, :1] + _O_ALONG, _O_ACROSS * across), dim=-1)
    new = torch.stack((new_n, torch.zeros_like(new_n), new_c, new_o), dim=1)
    return torch.einsum("rij,raj->rai", rot, new) + trans[:, None]


def _flatten(coord: Tensor, mask: Tensor, piece: Tensor, bonded: Tensor) -> _Flat:
    """Residues of the batch without padding; residues of no piece are bodies of their own."""
    item, position = mask.nonzero(as_tuple=True)
    kept, label = coord[mask], piece[mask]
    atoms = torch.where((label >= 0)[:, None, None], kept, _clean_residues(kept))
    # bodies: (item, piece) pairs first, then every loose residue for itself
    key = torch.where(label >= 0, item * (int(label.max()) + 2) + label + 1, -1 - torch.arange(len(label)))
    _, body = key.unique(return_inverse=True)
    count = int(body.max()) + 1
    size = torch.bincount(body, minlength=count).to(atoms.dtype)
    centre = atoms.new_zeros(count, 3).index_add_(0, body, atoms[:, _CA]) / size[:, None]
    spread = atoms.new_zeros(count).index_add_(0, body, (atoms[:, _CA] - centre[body]).square().sum(-1))
    middle = torch.zeros(count, dtype=torch.int64).scatter_reduce_(
        0, body, torch.arange(len(body)), "amin", include_self=False
    )
    rot, _ = frames_from_coord(atoms)
    follows = torch.zeros_like(item, dtype=torch.bool)
    follows[:-1] = (item[1:] == item[:-1]) & (position[1:] == position[:-1] + 1) & bonded[mask][:-1]
    return _Flat(
        atoms=torch.cat((atoms, virtual_cb(atoms)[:, None]), dim=1),
        item=item,
        position=position,
        body=body,
        axes=rot[middle],
        centre=centre,
        lever=(spread / size + 1.5**2).sqrt()[:, None],
        bonded=follows,
    )


def _rotation(half: Tensor) -> Tensor:
    """Rotation of the quaternion (1, half), normalised; shape=(..., 3) to (..., 3, 3)."""
    x, y, z = half.unbind(-1)
    xx, yy, zz, xy, xz, yz = x * x, y * y, z * z, x * y, x * z, y * z
    rows = torch.stack(
        (
            1 + xx - yy - zz, 2 * (xy - z), 2 * (xz + y),
            2 * (xy + z), 1 - xx + yy - zz, 2 * (yz - x),
            2 * (xz - y), 2 * (yz + x), 1 - xx - yy + zz,
        ),
        dim=-1,
    )  # fmt: skip
    return (rows / (1 + xx + yy + zz)[..., None]).unflatten(-1, (3, 3))


class _Pose:
    """Atoms as a function of the increments of all bodies."""

    def __init__(self, flat: _Flat) -> None:
        self.flat = flat
        self.local = torch.einsum("rji,raj->rai", flat.axes[flat.body], flat.atoms - flat.centre[flat.body, None])
        inside = torch.zeros_like(flat.bonded)
        inside[:-1] = flat.body[1:] == flat.body[:-1]
        self.turning_o = (flat.bonded & ~inside).nonzero()[:, 0]
        self.hinge = self.turning_o  # bonds between two bodies

    def __call__(self, increments: Tensor) -> Tensor:
        """Atoms for increments of shape (2, bodies, 3) in angstrom: turn (times lever), shift; shape=(R, 5, 3)."""
        flat = self.flat
        turn = flat.axes @ _rotation(increments[0] / (2 * flat.lever))
        shift = flat.centre + torch.einsum("bij,bj->bi", flat.axes, increments[1])
        atoms = torch.einsum("rij,raj->rai", turn[flat.body], self.local) + shift[flat.body, None]
        ca, c = atoms[self.turning_o, _CA], atoms[self.turning_o, _C]
        along = c - ca
        along = along / along.square().sum(-1, keepdim=True).sqrt()
        across = atoms[self.turning_o + 1, _N] - c
        across = across - (across * along).sum(-1, keepdim=True) * along
        across = across / across.square().sum(-1, keepdim=True).add(1e-6).sqrt()
        o = c + _O_ALONG * along - _O_ACROSS * across
        oxygen = atoms[:, _O].index_copy(0, self.turning_o, o)
        return torch.cat((atoms[:, :_O], oxygen[:, None], atoms[:, _O + 1 :]), dim=1)


class _Energy:
    """Closing energy of all backbones; neighbour lists are renewed by `relist`."""

    def __init__(self, pose: _Pose, forces: ClosureForces) -> None:
        flat, self.forces = pose.flat, forces
        self.flat, self.start, self.hinge = flat, flat.atoms[:, :_O], pose.hinge
        size = torch.bincount(flat.body).to(flat.atoms.dtype)
        self.hold = forces.restraint * (_BODY_RESTRAINT / size).clamp_max(1.0)[flat.body][:, None]
        self.peptide = peptide_bounds(pose.hinge, forces.peptide)
        joined = torch.zeros(len(flat.item) + 1, dtype=torch.bool)
        joined[pose.hinge] = True
        after = torch.zeros_like(joined)
        after[1:] = flat.bonded.new_zeros(len(flat.item)) | flat.bonded
        both = flat.bonded & after[:-1]
        near_hinge = joined[:-1] | torch.cat((joined.new_zeros(1), joined[:-2]))
        self.middle = (both & near_hinge).nonzero()[:, 0]
        self.has_previous = after[:-1]
        self.bounds: Bounds = self.peptide
        self.pairs: tuple[Tensor, Tensor, Tensor] | None = None

    def relist(self, atoms: Tensor) -> None:
        """New lists of near atoms and of nearly formed hydrogen bonds."""
        flat, forces = self.flat, self.forces
        points = atoms.reshape(-1, 3)
        if forces.clash > 0:
            clashes = clash_bounds(points, flat.item, flat.position, flat.body, forces.clash)
            self.bounds = self.peptide.joined(clashes)
        if forces.hydrogen_bond > 0:
            reach = forces.hydrogen_bond_reach
            pairs = hydrogen_bond_pairs(points, flat.item, flat.position, self.has_previous, reach)
            between = flat.body[pairs[0]] != flat.body[pairs[1]]
            self.pairs = (pairs[0][between], pairs[1][between], pairs[2][between])

    def __call__(self, atoms: Tensor) -> Tensor:
        """Sum over the batch."""
        forces, points = self.forces, atoms.reshape(-1, 3)
        energy = bounded(points, self.bounds).sum()
        energy = energy + (self.hold * (atoms[:, :_O] - self.start).square().sum(-1)).sum()
        planarity, rama = torsion_terms(points, self.hinge, self.middle, forces.rama_floor)
        energy = energy + forces.planarity * planarity.sum() + forces.rama * rama.sum()
        if self.pairs is not None:
            acceptor, donor, share = self.pairs
            missing = hydrogen_bond_energy(points, acceptor, donor, forces.hydrogen_bond_target)
            energy = energy + forces.hydrogen_bond * (share * missing).sum()
        return energy


def _minimise(pose: _Pose, energy: _Energy, steps: int, rate: float) -> Tensor:
    """Increments after ``steps`` Adam steps with a cosine rate; moments per 3-vector."""
    x = torch.zeros(2, len(pose.flat.centre), 3)
    first, second = torch.zeros_like(x), torch.zeros_like(x[..., :1])
    import os
    beta1, beta2, eps = (float(v) for v in os.environ.get('ADAM','.9,.98,.5').split(','))
    for step in range(steps):
        x.requires_grad_(True)
        atoms = pose(x)
        if step % _RELIST == 0:
            energy.relist(atoms.detach())
        (gradient,) = torch.autograd.grad(energy(atoms), x)
        x = x.detach()
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * gradient.square().mean(-1, keepdim=True)
        unbiased = (second / (1 - beta2 ** (step + 1))).sqrt() + eps
        now = rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        x = x - now / (1 - beta1 ** (step + 1)) * first / unbiased
    return x


def close_backbone(
    coord: Tensor,
    mask: Tensor | None = None,
    piece: Tensor | None = None,
    *,
    bonded: Tensor | None = None,
    rigid: bool = True,
    forces: ClosureForces | None = None,
    steps: int = 150,
    rate: float = 0.05,
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
    rigid : bool
        True: every piece moves as one body and its inside stays exactly as given. False: pieces are ignored and every residue
        may move.
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
    mask = torch.ones(shape, dtype=torch.bool) if mask is None else torch.as_tensor(mask, dtype=torch.bool)
    piece = torch.full(shape, -1) if piece is None or not rigid else torch.as_tensor(piece).long()
    bonded = torch.ones(shape, dtype=torch.bool) if bonded is None else torch.as_tensor(bonded).bool()
    for name, value in (("mask", mask), ("piece", piece), ("bonded", bonded)):
        if value.shape != shape:
            raise ValueError(f"{name} has shape {tuple(value.shape)}, not {tuple(shape)}")
    if single:
        coord, mask, piece, bonded = coord[None], mask[None], piece[None], bonded[None]
    if not bool(coord[mask].isfinite().all()):
        raise ValueError("coord holds values that are not finite")
    flat = _flatten(coord, mask, piece, bonded)
    pose = _Pose(flat)
    increments = _minimise(pose, _Energy(pose, forces or ClosureForces()), steps, rate)
    with torch.no_grad():
        atoms = pose(increments)[:, :4]
    return _result(coord, mask, flat, atoms, single)


def _result(coord: Tensor, mask: Tensor, flat: _Flat, atoms: Tensor, single: bool) -> ClosureResult:
    """Pad again and measure."""
    closed = coord.clone()
    closed[mask] = atoms
    count = mask.sum(-1).clamp_min(1)
    square = (closed - coord)[:, :, _CA].square().sum(-1) * mask
    left = flat.bonded.nonzero()[:, 0]
    off = ((atoms[left + 1, _N] - atoms[left, _C]).norm(dim=-1) - 1.329).abs()
    worst = torch.zeros(len(coord)).scatter_reduce_(0, flat.item[left], off, "amax")
    return ClosureResult(closed[0] if single else closed, (square.sum(-1) / count).sqrt(), worst)
