"""Where the assembler begins: poses that the linkers allow and interfaces make likely.

The assembler sees backbones. What types the residues of given domains have, and how native chains
go on where a domain ends, tells more about their pose than it knows (docs/assembly.md), so
domains are placed before it begins: one joint after the other along the chain, each by
`proteinweaver.evaluation.pose_finder` against all that is placed already. The assembler then
starts from that chain (`proteinweaver.generation.pose_assembly`).

Designs of one plan take different tries, the likeliest first. What a design begins at depends on
its job and its index alone.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from proteinweaver.evaluation.contenders import bridged
from proteinweaver.evaluation.linker_law import FLANK
from proteinweaver.evaluation.pose_finder import FinderSettings, Found, found_joint
from proteinweaver.evaluation.stretches import Stretches
from proteinweaver.evaluation.superposition import move
from proteinweaver.generation.jobs import DesignPlan, plan_design
from proteinweaver.generation.settings import POSE_TRIES
from proteinweaver.structure.residues import GLY, UNKNOWN
from samplers.noise import derive_seed

__all__ = ["SEARCH", "FoundStart", "StartPoses", "can_be_found"]

#: Most domains that are placed: chains of eight come out too wide (docs/assembly.md).
_DOMAINS = 4
#: The full search (one to two seconds a joint), among poses that hold the contacts and the radius
#: of gyration that designs are checked for.
SEARCH = FinderSettings(contacts=0.6, gyration=1.15)
#: Fewest native stretches as long as a linker: below it they say nothing.
_STRETCHES = 1000
#: Searches that are kept.
_KEPT = 64
#: Placed residues that a joint looks at, the nearest to it; others are only kept clear of: at most
#: `_CLASHES` CA pairs under `_CLASH` angstrom.
_NEAREST, _CLASH, _CLASHES = 300, 4.0, 3


def can_be_found(plan: DesignPlan) -> bool:
    """Tell whether poses are looked for before a plan is assembled.

    Two to four domains, all given, with residue types, unbroken ends and insides that are kept,
    and their poses are left open: no kept pose, no context, no distances, no helix or strand as a
    linker, no chain to vary.
    """
    job, spec = plan.job, plan.job.spec
    asked = spec.contacts or spec.apart or spec.keep_pose or spec.context
    if job.start is not None or asked or set(plan.ss) & set("HE"):
        return False
    if not 2 <= len(job.sources) <= _DOMAINS:
        return False
    return all(
        source.backbone is not None
        and source.mode != "free"
        and source.group is None
        and len(source.backbone) >= FLANK
        and not source.backbone.break_after[: FLANK - 1].any()
        and not source.backbone.break_after[-FLANK:-1].any()
        and np.isin(source.backbone.aatype, (GLY, UNKNOWN)).mean() < 0.5
        for source in plan.sources
    )


@dataclass(frozen=True)
class FoundStart:
    """A chain to start from.

    Parameters
    ----------
    coord : ndarray, dtype=float32, shape=(L, 4, 3)
        N, CA, C, O in angstrom; linkers are straight.
    tries : tuple of int
        Which of the poses found at every joint was taken, from 0.
    share : float
        Share of the likelihood that these poses stand for (the product over joints).
    """

    coord: NDArray[np.float32]
    tries: tuple[int, ...]
    share: float


@dataclass
class StartPoses:
    """Finds where designs begin; searches of equal lengths are done once.

    Parameters
    ----------
    stretches : Stretches, optional
        Native chains; those that ship with the package by default, read when they are needed.
    tries : int, optional
        Poses of a joint, the likeliest first, that the designs of a plan take in turn.
    """

    stretches: Stretches | None = None
    tries: int = POSE_TRIES
    _found: dict[tuple[object, ...], Found] = field(default_factory=dict, init=False)
    _ranks: dict[tuple[str, int], list[int]] = field(default_factory=dict, init=False)
    _seen: dict[tuple[str, int], Counter[object]] = field(default_factory=dict, init=False)

    @property
    def _library(self) -> Stretches:
        return self.stretches or Stretches.shipped()

    def chain(self, plan: DesignPlan, insides: Sequence[NDArray[np.float32]]) -> FoundStart | None:
        """Place the domains of a plan.

        Parameters
        ----------
        plan : DesignPlan
            One that `can_be_found`.
        insides : sequence of ndarray, dtype=float32, shape=(n, 4, 3)
            The domains in the order of the chain, angstrom.

        Returns
        -------
        FoundStart or None
            None where a linker is longer than native chains tell of.
        """
        rank, share = self._rank(plan), 1.0
        tries: list[int] = []
        chain = np.full((plan.length, 4, 3), np.nan)
        kinds = plan.linker_types.astype(np.int64)
        label = np.zeros(plan.length, dtype=np.int64)
        where: tuple[object, ...] = (plan.job.seed, plan.job.spec.name)
        for number, (segment, inside) in enumerate(zip(plan.domains, insides, strict=True), 1):
            source = plan.sources[segment.source]
            assert source.backbone is not None
            rows = slice(segment.start, segment.stop)
            chain[rows], kinds[rows], label[rows] = inside, source.backbone.aatype, number
            told = plan.linker_residues[: segment.start]
            where = (*where, _digest(inside, source.backbone.aatype), segment.start, told)
            if number == 1:
                continue
            stop = segment.start
            start = plan.domains[number - 2].stop
            if len(self._library.starts(stop - start + 2 * FLANK)) < _STRETCHES:
                return None
            found = self._joint(where, chain[: segment.stop], kinds, (start, stop))
            rank, taken = divmod(rank, min(self.tries, len(found.rot)))
            placed = move(
                chain[rows].reshape(-1, 3), found.rot[taken].numpy(), found.trans[taken].numpy()
            )
            chain[rows] = placed.reshape(-1, 4, 3)
            where = (*where, taken)
            tries.append(taken)
            share *= float(found.share[taken])
        return FoundStart(bridged(chain, label).astype(np.float32), tuple(tries), share)

    def _joint(
        self,
        where: tuple[object, ...],
        chain: NDArray[np.float64],
        kinds: NDArray[np.int64],
        linker: tuple[int, int],
    ) -> Found:
        """Search once for all designs that come to the same joint."""
        if where not in self._found:
            if len(self._found) >= _KEPT:
                self._found.clear()
            near, far = _around(chain, linker)
            found = found_joint(
                near,
                linker,
                kinds[: len(chain)],
                POSE_TRIES,
                torch.Generator().manual_seed(derive_seed("poses", *map(str, where)) % 2**63),
                self._library,
                SEARCH,
            )
            self._found[where] = _clear(found, chain[linker[1] :, 1], far)
        return self._found[where]

    def _rank(self, plan: DesignPlan) -> int:
        """Count the designs of the job before this one that have the same lengths and order."""
        job = plan.job
        if any(source.library for source in job.sources):
            return plan.index % self.tries  # their plans are files to be read
        key = (job.spec.name, job.seed)
        ranks, seen = self._ranks.setdefault(key, []), self._seen.setdefault(key, Counter())
        for index in range(len(ranks), plan.index + 1):
            same = plan_design(job, index).segments
            ranks.append(seen[same])
            seen[same] += 1
        return ranks[plan.index]


def _digest(inside: NDArray[np.floating], kinds: NDArray[np.integer]) -> str:
    """Name a domain by what it is, wherever its file lies."""
    content = (
        np.ascontiguousarray(x, dtype=t).tobytes() for x, t in ((inside, "<f4"), (kinds, "u1"))
    )
    return hashlib.sha256(b"".join(content)).hexdigest()


def _around(
    chain: NDArray[np.float64], linker: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Keep the placed residues nearest to a joint; also the CA of the others, shape (m, 3)."""
    ca = chain[: linker[0], 1]
    away = np.linalg.norm(ca - ca[-1], axis=1)  # NaN, last, in linkers
    far = np.argsort(away, kind="stable")[_NEAREST:]
    near = chain.copy()
    near[far] = np.nan
    return near, ca[far][np.isfinite(away[far])]


def _clear(found: Found, body: NDArray[np.float64], far: NDArray[np.float64]) -> Found:
    """Leave out poses that run into residues the search did not see, but for the least of all."""
    if not len(far):
        return found
    moved = torch.as_tensor(body).float() @ found.rot.mT + found.trans[:, None]
    hits = (torch.cdist(moved, torch.as_tensor(far).float()) < _CLASH).sum(dim=(1, 2))
    kept = (hits <= max(_CLASHES, int(hits.min()))).nonzero()[:, 0]
    return Found(found.rot[kept], found.trans[kept], found.share[kept])
