r"""Classical rigid docking of two linked domains: the baseline that a learned assembler must beat.

Two domains with native insides and a linker of known length between them. The larger one stays;
every rotation of the other one is scored at all translations that the linker can span by one
correlation on a grid (Katchalski-Katzir et al. 1992), with several channels:

    S(t) = - w_core (CA pairs closer than 4.2 A)
           + sum over side-chain pairs closer than 8 A of (e_ab + mu)
           + w_link log p(distance of the linker's ends | its residues)

where e_ab are log-odds of residue types in contact across native domains (`CONTACT_TABLE`, train
split, by ``scripts/build_docking_table.py``), of which the grid keeps the leading eigenvectors.
The best poses are then refined off the grid as rigid bodies under a smooth form of the same score,
ranked by it and thinned until no two agree to `SAME` CA-RMSD. Linkers are not built.

Sequences are known to this baseline and not to the assembler; without them (``kinds`` None) every
contact counts alike.

References
----------
Katchalski-Katzir et al. 1992, PNAS 89, 2195 (correlation on a grid); Cheng et al. 2008, BMC
Bioinform. 9, 441 (linker distance as a restraint).
"""

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from proteinweaver.evaluation.assembly import linker_span
from proteinweaver.evaluation.poses import uniform_rotations
from proteinweaver.structure.frames import virtual_cb

__all__ = [
    "CONTACT_TABLE",
    "DockingSettings",
    "Pose",
    "SideChains",
    "contact_odds",
    "dock",
    "turned",
]

CONTACT_TABLE = Path(__file__).with_name("docking_contacts.json")
#: Two poses of the moving domain are the same within this CA-RMSD (angstrom).
SAME = 4.0
#: Rounded mean distance (angstrom) of the side-chain centre from CA; types ACDEFGHIKLMNPQRSTVWYX.
_SIDE = (
    1.5, 2.0, 2.5, 3.1, 3.4, 0.0, 3.1, 2.3, 3.5, 2.6, 3.0, 2.5, 1.9, 3.1, 4.1, 1.9, 2.0, 2.0, 3.9,
    3.8, 2.4,
)  # fmt: skip
_UNKNOWN = 20
_CONTACT, _CORE = 8.0, 4.2
#: Grid spacing (angstrom), and most points along an edge.
_VOXEL, _MOST = 3.0, 64
_CHUNK = 16


@dataclass(frozen=True)
class DockingSettings:
    """What the search weighs and how far it looks.

    Parameters
    ----------
    rotations : int
        Orientations on the grid.
    refined : int
        Poses refined off the grid, for two domains of 100 residues; fewer for larger ones.
    steps : int
        Steps of refinement.
    channels : int
        Eigenvectors of the contact energies on the grid.
    contact : float
        What every contact is worth, ``mu``.
    core : float
        Cost of a CA pair under 4.2 A, a quarter of it counted per angstrom of depth when refined.
    link : float
        Weight of the linker's log-likelihood.
    """

    rotations: int = 700
    refined: int = 160
    steps: int = 24
    channels: int = 3
    contact: float = 0.0
    core: float = 8.0
    link: float = 2.0


@dataclass(frozen=True)
class SideChains:
    """Points of a domain that docking looks at.

    Parameters
    ----------
    ca, side : Tensor, dtype=float32, shape=(n, 3)
        CA positions and side-chain centres, angstrom.
    kind : Tensor, dtype=int64, shape=(n,)
        Residue types, 20 for unknown.
    """

    ca: Tensor
    side: Tensor
    kind: Tensor

    @classmethod
    def of(cls, coord: NDArray[np.floating], kinds: NDArray[np.integer] | None) -> "SideChains":
        """Points of a domain of shape (n, 4, 3) with residue types, or none known."""
        xyz = torch.as_tensor(np.asarray(coord, dtype=np.float32))
        kind = torch.full((len(xyz),), _UNKNOWN)
        if kinds is not None:
            kind = torch.as_tensor(np.asarray(kinds, dtype=np.int64)).clamp(0, _UNKNOWN)
        way = torch.nn.functional.normalize(virtual_cb(xyz) - xyz[:, 1], dim=-1)
        return cls(xyz[:, 1], xyz[:, 1] + torch.tensor(_SIDE)[kind][:, None] * way, kind)


@dataclass(frozen=True)
class Pose:
    """Where the moving domain goes: ``x @ rot.T + trans``.

    Parameters
    ----------
    rot : ndarray, dtype=float64, shape=(3, 3)
    trans : ndarray, dtype=float64, shape=(3,)
        Angstrom.
    score : float
    """

    rot: NDArray[np.float64]
    trans: NDArray[np.float64]
    score: float


@cache
def _table() -> tuple[Tensor, float, float, float]:
    """Contact log-odds (21, 21), and the law of a linker's end distance."""
    content = json.loads(CONTACT_TABLE.read_text(encoding="utf-8"))
    odds = torch.zeros(21, 21)
    odds[:20, :20] = torch.tensor(content["log_odds"])
    law = content["linker"]
    return odds, float(law["factor"]), float(law["exponent"]), float(law["spread"])


def contact_odds() -> Tensor:
    """Log-odds of side chains of two types in contact across domains, float32, shape (21, 21)."""
    return _table()[0]


def _linker_law(distance: Tensor, residues: int) -> Tensor:
    """Log-normal log-likelihood of the end distance, up to a constant; -inf out of reach."""
    _, factor, exponent, spread = _table()
    low, high = linker_span(residues)
    middle = math.log(factor * (residues + 1) ** exponent)
    law = -0.5 * ((distance.clamp_min(1e-3).log() - middle) / spread) ** 2
    slack = 1.0 if residues else 0.4
    within = (distance >= low - slack) & (distance <= high + slack)
    return torch.where(within, law, torch.full_like(law, -torch.inf))


def dock(
    fixed: SideChains,
    moving: SideChains,
    ends: tuple[int, int],
    linker: int,
    number: int,
    rng: np.random.Generator,
    settings: DockingSettings | None = None,
) -> list[Pose]:
    """Dock one domain to another.

    Parameters
    ----------
    fixed, moving : SideChains
        The domains.
    ends : (int, int)
        Residue of ``fixed`` and residue of ``moving`` between which the linker lies.
    linker : int
        Residues of the linker.
    number : int
        Poses wanted.
    rng : Generator
        Draws the rotations.
    settings : DockingSettings, optional

    Returns
    -------
    list of Pose
        Different poses, best first; fewer than ``number`` where no more were found.
    """
    settings = settings or DockingSettings()
    anchor, origin = fixed.ca[ends[0]], moving.ca[ends[1]]
    body = SideChains(moving.ca - origin, moving.side - origin, moving.kind)
    rotations = torch.as_tensor(uniform_rotations(settings.rotations, rng), dtype=torch.float32)
    rot, trans = _on_grid(fixed, body, anchor, linker, rotations, settings)
    share = 1e4 / max(1e4, len(fixed.ca) * len(moving.ca))
    count = max(4 * number, round(settings.refined * share))
    rot, trans, score = _refine(fixed, body, anchor, linker, rot[:count], trans[:count], settings)
    chosen: list[int] = []
    placed = torch.einsum("pij,nj->pni", rot, body.ca) + trans[:, None]
    for k in score.argsort(descending=True).tolist():
        if len(chosen) == number or not math.isfinite(float(score[k])):
            break
        apart = (placed[chosen] - placed[k]).square().sum(-1).mean(-1).sqrt()
        if not bool((apart < SAME).any()):
            chosen.append(k)
    return [
        Pose(
            rot[k].double().numpy(),
            (trans[k] - rot[k] @ origin).double().numpy(),
            float(score[k]),
        )
        for k in chosen
    ]


def _channels(settings: DockingSettings) -> tuple[Tensor, Tensor]:
    """Signs (C,) and scaled eigenvectors (C, 21) of ``log-odds + mu``, largest first."""
    value, vector = torch.linalg.eigh(_table()[0] + settings.contact)
    order = value.abs().argsort(descending=True)[: settings.channels]
    return value[order].sign(), (vector[:, order] * value[order].abs().sqrt()).T


def _on_grid(
    fixed: SideChains,
    body: SideChains,
    anchor: Tensor,
    linker: int,
    rotations: Tensor,
    settings: DockingSettings,
) -> tuple[Tensor, Tensor]:
    """Best two translations of every rotation, best first, shapes (P, 3, 3) and (P, 3)."""
    from scipy.fft import next_fast_len  # a third of a second that finding poses does without

    reach = linker_span(linker)[1]
    span = float(body.side.norm(dim=-1).max()) + _CONTACT
    low = torch.minimum(fixed.ca.min(0).values - span, anchor - reach - span)
    high = torch.maximum(fixed.ca.max(0).values + span, anchor + reach + span)
    # beyond a wall of the box the other one follows: only poses out of touch may wrap round
    extent = float((torch.minimum(high, fixed.ca.max(0).values + 2 * span) - low).max())
    voxel = max(_VOXEL, extent / _MOST)
    size = next_fast_len(math.ceil(extent / voxel), real=True)
    axis = torch.arange(size, dtype=torch.float32) * voxel
    centre = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1) + low
    sign, vector = _channels(settings)
    field = _fields(fixed, centre.reshape(-1, 3), vector[:, fixed.kind], settings)
    waves = torch.fft.rfftn(field.reshape(-1, size, size, size), dim=(1, 2, 3))
    weight = torch.cat((-torch.ones(1), sign))
    law = _linker_law((centre.reshape(-1, 3) - anchor).norm(dim=-1), linker)
    allowed = law.isfinite().nonzero()[:, 0]
    bonus = settings.link * law[allowed]
    values = torch.cat((torch.ones(1, len(body.ca)), vector[:, body.kind]))
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for turn in rotations.split(_CHUNK):
        cells = []
        for points in (body.ca, body.side):
            at = torch.einsum("bij,nj->bni", turn, points) / voxel
            index = at.round().long() % size
            cells.append((index[..., 0] * size + index[..., 1]) * size + index[..., 2])
        count = len(turn)
        spread = torch.zeros(count, len(values), size**3)
        spread[:, 0].scatter_add_(1, cells[0], values[0].expand(count, -1))
        for c in range(1, len(values)):
            spread[:, c].scatter_add_(1, cells[1], values[c].expand(count, -1))
        seen = torch.fft.rfftn(spread.reshape(count, -1, size, size, size), dim=(2, 3, 4))
        total = (weight[:, None, None, None] * waves * seen.conj()).sum(1)
        score = torch.fft.irfftn(total, s=(size, size, size), dim=(1, 2, 3)).reshape(count, -1)
        best, where = (score[:, allowed] + bonus).topk(min(2, len(allowed)), dim=1)
        found.append(
            (
                best.flatten(),
                centre.reshape(-1, 3)[allowed[where]].reshape(-1, 3),
                turn.repeat_interleave(best.shape[1], dim=0),
            )
        )
    best, trans, rot = (torch.cat(part) for part in zip(*found, strict=True))
    order = best.argsort(descending=True)
    return rot[order], trans[order]


def _fields(
    fixed: SideChains, points: Tensor, strength: Tensor, settings: DockingSettings
) -> Tensor:
    """Clash cost and contact channels of the fixed domain at grid points, shape (1 + C, G)."""
    core, contact = [], []
    for part in points.split(16384):
        near = torch.cdist(part, fixed.ca)
        core.append(settings.core * torch.sigmoid((_CORE - near) / 0.5).sum(1))
        touch = torch.sigmoid((_CONTACT - torch.cdist(part, fixed.side)) / 0.7)
        contact.append(touch @ strength.T)
    return torch.cat((torch.cat(core)[None], torch.cat(contact).T))


def _refine(
    fixed: SideChains,
    body: SideChains,
    anchor: Tensor,
    linker: int,
    rot: Tensor,
    trans: Tensor,
    settings: DockingSettings,
) -> tuple[Tensor, Tensor, Tensor]:
    """Ascend the smooth score as rigid bodies (Adam); poses and their scores."""
    energy = (_table()[0] + settings.contact)[fixed.kind][:, body.kind]
    low, high = linker_span(linker)
    _, factor, exponent, spread = _table()
    middle = math.log(factor * (linker + 1) ** exponent)

    def score(turn: Tensor, shift: Tensor) -> Tensor:
        ca = torch.einsum("pij,nj->pni", turn, body.ca) + shift[:, None]
        side = torch.einsum("pij,nj->pni", turn, body.side) + shift[:, None]
        touch = torch.sigmoid((_CONTACT - torch.cdist(fixed.side[None], side)) / 0.7)
        deep = (_CORE + 0.6 - torch.cdist(fixed.ca[None], ca)).clamp_min(0.0)
        end = (shift - anchor).norm(dim=-1).clamp_min(1e-3)
        out = (end - high).clamp_min(0.0) + (low - end).clamp_min(0.0)
        law = -0.5 * ((end.log() - middle) / spread) ** 2
        return (
            (touch * energy).sum((1, 2))
            - settings.core * deep.square().sum((1, 2))
            + settings.link * law
            - 10.0 * out.square()
        )

    spin = torch.zeros(len(rot), 3, requires_grad=True)
    slide = torch.zeros(len(rot), 3, requires_grad=True)
    adam = torch.optim.Adam([{"params": [spin], "lr": 0.04}, {"params": [slide], "lr": 0.5}])
    decay = torch.optim.lr_scheduler.ExponentialLR(adam, 0.92)
    with torch.enable_grad():
        for _ in range(settings.steps):
            adam.zero_grad()
            loss = -score(turned(spin) @ rot, trans + slide).sum()
            loss.backward()
            adam.step()
            decay.step()
    with torch.no_grad():
        turn, shift = turned(spin) @ rot, trans + slide
        return turn, shift, score(turn, shift)


def turned(spin: Tensor) -> Tensor:
    """Rotations (P, 3, 3) of rotation vectors (P, 3) in radians (Rodrigues' formula)."""
    x, y, z = spin.unbind(-1)
    zero = torch.zeros_like(x)
    hat = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=-1).reshape(-1, 3, 3)
    angle = torch.linalg.vector_norm(spin, dim=-1)[:, None, None] / torch.pi
    # sin(a) / a and (1 - cos a) / a^2, and their slopes, are right at a = 0 too
    once, twice = torch.sinc(angle), 0.5 * torch.sinc(0.5 * angle).square()
    return torch.eye(3, dtype=spin.dtype, device=spin.device) + once * hat + twice * (hat @ hat)
