r"""Find the pose of two linked domains: draw what the linker allows, weigh it, cover the mass.

Motions of native stretches (`proteinweaver.evaluation.linker_law`), each blurred by a small rigid
motion, are draws from a law of the pose p(x | linker). Poses that clash, and stretches that run
through a domain, are left out. Every other one has the weight exp(s(x)), s the log-ratio of
`proteinweaver.evaluation.pose_score`: weighted draws follow the posterior

    p(x | linker, insides) ~ p(x | linker) exp(s(x)).

No pose of this list is trusted by itself. The ``k`` tries are the balls that hold most of the
posterior, the next one counting only what the ones before left (greedy cover): a pose next to many
other good ones is preferred to a lonely one with the best score, and all tries differ. A ball has
the radius at which a pose still counts as found: CA-RMSD d0 of the moving domain, where its
TM-score is at least one half (1 / (1 + x) is convex). RMSD between rigid poses of one body is a
distance of points in twelve dimensions (`rigid_points`), so no coordinates are compared.

References
----------
Shortle, Simons & Baker 1998, PNAS 95, 11158 (the broadest basin is near-native); Nemhauser, Wolsey
& Fisher 1978, Math. Program. 14, 265 (greedy cover); Zhang & Skolnick 2004, Proteins 57, 702 (d0).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from proteinweaver.domains.trends import native_contacts, native_gyration
from proteinweaver.evaluation.contenders import scattered
from proteinweaver.evaluation.docking import SideChains, turned
from proteinweaver.evaluation.linker_law import Motions, linker_motions, pose_constants
from proteinweaver.evaluation.pose_score import SHELLS, Fields, pose_terms
from proteinweaver.evaluation.stretches import Stretches
from proteinweaver.evaluation.superposition import move
from proteinweaver.evaluation.tasks import NativeTask
from proteinweaver.evaluation.tm import tm_d0

__all__ = [
    "FinderSettings",
    "Found",
    "cover",
    "draws",
    "find_poses",
    "found_joint",
    "found_pair",
    "rigid_points",
]

#: Points whose distances are asked at a time: they stay in the cache.
_ROWS = 256


@dataclass(frozen=True)
class FinderSettings:
    """How far the search looks.

    Parameters
    ----------
    stretches : int
        Native stretches that are laid.
    draws : int
        Poses drawn from them.
    blur_degrees, blur : float
        Standard deviation of the small motions, degrees and angstrom on every axis.
    overlap : float
        Soft number of CA pairs under 4 A from which a pose clashes.
    hits : int
        CA pairs of a stretch and the domains under 4 A from which it is left out.
    sample : int
        Poses resampled by weight, among which tries are chosen.
    contacts : float
        Share of the contacts that natives of these sizes have (`domains.trends`) below which
        poses are left out.
    gyration : float
        Radius of gyration over that of natives of this length (`domains.trends`) above which poses
        are left out; 0 for no bound.
    """

    stretches: int = 30000
    draws: int = 200000
    blur_degrees: float = 12.0
    blur: float = 2.0
    overlap: float = 3.0
    hits: int = 3
    sample: int = 3000
    contacts: float = 0.0
    gyration: float = 0.0


@dataclass(frozen=True)
class Found:
    """Poses of the smaller domain, the larger one staying, best first.

    Parameters
    ----------
    rot : Tensor, dtype=float32, shape=(k, 3, 3)
    trans : Tensor, dtype=float32, shape=(k, 3)
        ``x @ rot.T + trans``, angstrom.
    share : Tensor, dtype=float32, shape=(k,)
        Share of the posterior that the ball about every one added.
    """

    rot: Tensor
    trans: Tensor
    share: Tensor


def rigid_points(ca: Tensor, rot: Tensor, trans: Tensor) -> Tensor:
    """Points whose distances are the CA-RMSD between rigid poses of one body.

    With c the mean and C = U U^T the covariance of the body, the mean square distance of two poses
    is |R c + t - R' c - t'|^2 + |R U - R' U|^2.

    Parameters
    ----------
    ca : Tensor, dtype=float32, shape=(n, 3)
        CA of the body, angstrom.
    rot : Tensor, dtype=float32, shape=(P, 3, 3)
    trans : Tensor, dtype=float32, shape=(P, 3)

    Returns
    -------
    Tensor, dtype=float32, shape=(P, 12)
    """
    centre = ca.mean(0)
    left, value, _ = torch.linalg.svd((ca - centre).T @ (ca - centre) / len(ca))
    spread = left * value.sqrt()
    return torch.cat((rot @ centre + trans, (rot @ spread).flatten(1)), dim=1)


def cover(points: Tensor, radius: float, number: int) -> tuple[Tensor, Tensor]:
    """Choose the balls about points that hold most points, each counted once (greedy).

    Parameters
    ----------
    points : Tensor, dtype=float32, shape=(P, d)
    radius : float
    number : int
        Balls wanted.

    Returns
    -------
    chosen : Tensor, dtype=int64, shape=(k,)
        Centres; fewer than ``number`` once all points are covered.
    share : Tensor, dtype=float32, shape=(k,)
        Share of the points that every ball added.
    """
    # numpy adds up truths fifteen times as fast
    near = torch.cat([torch.cdist(part, points) < radius for part in points.split(_ROWS)]).numpy()
    gain = near.sum(1)
    left = np.ones(len(points), dtype=np.bool_)
    chosen: list[int] = []
    share: list[float] = []
    while len(chosen) < number and left.any():
        best = int(gain.argmax())
        chosen.append(best)
        share.append(float(gain[best]) / len(points))
        held = near[best] & left
        left &= ~held
        gain -= near[:, held].sum(1)
    return torch.tensor(chosen, dtype=torch.int64), torch.tensor(share)


def draws(
    motions: Motions, pivot: Tensor, settings: FinderSettings, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw poses of the second domain from the linker law.

    Parameters
    ----------
    motions : Motions
    pivot : Tensor, dtype=float32, shape=(3,)
        Point of the second domain about which poses are blurred: where the linker ends.
    settings : FinderSettings
    generator : Generator

    Returns
    -------
    rot : Tensor, dtype=float32, shape=(P, 3, 3)
    trans : Tensor, dtype=float32, shape=(P, 3)
    """
    free = torch.as_tensor(motions.hits < settings.hits)
    weight = torch.as_tensor(motions.log_weight).softmax(0)
    weight = torch.where(free, weight, 0.0) if bool(free.any()) else weight
    which = torch.multinomial(weight, settings.draws, replacement=True, generator=generator)
    noise = torch.randn(2, settings.draws, 3, generator=generator)
    old, shift = (torch.as_tensor(x).float()[which] for x in (motions.rot, motions.trans))
    rot = old @ turned(noise[0] * math.radians(settings.blur_degrees))
    trans = old @ pivot + shift - rot @ pivot + settings.blur * noise[1]
    return rot, trans


def find_poses(
    fixed: SideChains,
    moving: SideChains,
    rot: Tensor,
    trans: Tensor,
    number: int,
    generator: torch.Generator,
    settings: FinderSettings,
) -> Found:
    """Weigh poses by their interfaces and choose the tries.

    Parameters
    ----------
    fixed, moving : SideChains
        The domains.
    rot, trans : Tensor
        Draws from the linker law, shapes (P, 3, 3) and (P, 3).
    number : int
        Tries.
    generator : Generator
    settings : FinderSettings

    Returns
    -------
    Found
        At most ``number`` different poses.
    """
    weights = torch.as_tensor(pose_constants()["terms"]).float()
    counts, odds = weights[:-SHELLS], weights[-SHELLS:]
    fields = Fields.of(fixed, odds[None])
    overlap = fields.overlap(moving, rot, trans)
    free = _within(overlap, settings.overlap)
    rot, trans = rot[free], trans[free]
    sizes = [len(fixed.ca), len(moving.ca)]
    if settings.gyration:
        free = _within(
            _gyration(fixed.ca, moving.ca, rot, trans),
            settings.gyration * native_gyration(sum(sizes)),
        )
        rot, trans = rot[free], trans[free]
    if settings.contacts:
        wanted = settings.contacts * native_contacts(sizes)
        free = _within(-fields.contacts(moving, rot, trans), -wanted)
        rot, trans = rot[free], trans[free]
    score = pose_terms(fields, moving, rot, trans) @ torch.cat((counts, torch.ones(1)))
    sample = torch.multinomial(
        score.double().softmax(0), settings.sample, replacement=True, generator=generator
    )
    rot, trans = rot[sample], trans[sample]
    radius = float(tm_d0(len(moving.ca)))
    chosen, share = cover(rigid_points(moving.ca, rot, trans), radius, number)
    return Found(rot[chosen], trans[chosen], share)


def _within(values: Tensor, limit: float) -> Tensor:
    """Tell which values are at most a limit; the least hundredth where hardly one is."""
    least = float(values.kthvalue(max(1, len(values) // 100)).values)
    return values <= max(limit, least)


def _gyration(fixed: Tensor, moving: Tensor, rot: Tensor, trans: Tensor) -> Tensor:
    """Radius of gyration (angstrom) of both bodies together in every pose, shape (P,)."""
    m, n = len(fixed), len(moving)
    apart = rot @ moving.mean(0) + trans - fixed.mean(0)
    inner = sum(((body - body.mean(0)) ** 2).sum() for body in (fixed, moving))
    return ((inner + m * n / (m + n) * (apart**2).sum(1)) / (m + n)).sqrt()


def found_joint(
    chain: NDArray[np.floating],
    linker: tuple[int, int],
    kinds: NDArray[np.integer],
    number: int,
    generator: torch.Generator,
    stretches: Stretches,
    settings: FinderSettings | None = None,
    without: int | None = None,
) -> Found:
    """Find how what follows a linker lies to what is before it.

    Parameters
    ----------
    chain : ndarray, shape=(L, 4, 3)
        N, CA, C, O in angstrom, the parts on both sides of the linker anywhere in space; NaN in
        the linker and wherever nothing is known.
    linker : (int, int)
        First residue of the linker and of what follows it; equal for none.
    kinds : ndarray, dtype=int, shape=(L,)
        Residue types, 20 for unknown.
    number : int
        Poses wanted.
    generator : Generator
    stretches : Stretches
    settings : FinderSettings, optional
    without : int, optional
        Cluster whose stretches are left out.

    Returns
    -------
    Found
        Motions of the part behind the linker, at most ``number``, best first.
    """
    settings = settings or FinderSettings()
    start, stop = linker
    motions = linker_motions(stretches, chain, linker, kinds, settings.stretches, without)
    pivot = torch.as_tensor(chain[stop, 1]).float()
    rot, trans = draws(motions, pivot, settings, generator)
    place = np.flatnonzero(np.isfinite(chain[:, 1, 0]))
    sides = (place[place < start], place[place >= stop])
    before, behind = (SideChains.of(chain[rows], kinds[rows]) for rows in sides)
    if len(before.ca) >= len(behind.ca):
        return find_poses(before, behind, rot, trans, number, generator, settings)
    # a pose is judged by the smaller part: that one is moved, and the motion turned round
    found = find_poses(behind, before, *_inverse(rot, trans), number, generator, settings)
    return Found(*_inverse(found.rot, found.trans), found.share)


def _inverse(rot: Tensor, trans: Tensor) -> tuple[Tensor, Tensor]:
    return rot.mT, -torch.einsum("pji,pj->pi", rot, trans)


def found_pair(
    task: NativeTask,
    number: int,
    rng: np.random.Generator,
    stretches: Stretches,
    settings: FinderSettings | None = None,
) -> NDArray[np.float64]:
    """Find poses of the two domains of a pair from scattered starts.

    Parameters
    ----------
    task : NativeTask
        Of two domains, with residue types.
    number : int
        Poses wanted.
    rng : Generator
    stretches : Stretches
        Native chains; those of the task's own cluster are left out.
    settings : FinderSettings, optional

    Returns
    -------
    ndarray, dtype=float64, shape=(M, L, 4, 3)
        M <= ``number`` different poses, best first; NaN in the linker.

    Raises
    ------
    ValueError
        If the task has no residue types.
    """
    if task.aatype is None:
        raise ValueError(f"{task.name}: residue types are needed")
    given = scattered(task, rng)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    (linker,) = task.linkers
    found = found_joint(
        given, linker, task.aatype, number, generator, stretches, settings, task.cluster
    )
    out = np.repeat(given[None], len(found.rot), axis=0)
    for chain, turn, shift in zip(out, found.rot.numpy(), found.trans.numpy(), strict=True):
        chain[linker[1] :] = move(chain[linker[1] :].reshape(-1, 3), turn, shift).reshape(-1, 4, 3)
    return out
