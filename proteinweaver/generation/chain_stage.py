"""Stage 2 for plans whose domains are there: where chains begin, their assembly, their verdict.

Every chain is drawn several times in one batch, between poses that were found its linkers, else
all of it, and one is kept. Where none meets all checks more are drawn.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from proteinweaver.domains.trends import CONTACT_SHARE
from proteinweaver.generation.assembly_stage import (
    Assembly,
    AssemblyRequest,
    Inside,
    assemble_domains,
)
from proteinweaver.generation.checks import assess
from proteinweaver.generation.choice import chain_worth
from proteinweaver.generation.condition import SHORTEST_ELEMENT
from proteinweaver.generation.domain_stage import DomainSample
from proteinweaver.generation.jobs import DesignPlan
from proteinweaver.generation.model import LoadedModel
from proteinweaver.generation.pose_assembly import assemble_poses
from proteinweaver.generation.quality import Verdict
from proteinweaver.generation.sampling import Sampling
from proteinweaver.generation.start_poses import FoundStart, StartPoses, can_be_found
from proteinweaver.generation.wishes import resolve_wishes
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.ideal import ideal_element
from proteinweaver.structure.residues import GLY, UNKNOWN
from samplers.noise import NoiseKey

__all__ = [
    "ChainSettings",
    "assembled_chains",
    "chain_backbone",
    "chain_draws",
    "chain_starts",
    "chain_verdict",
]

#: Times that a chain is drawn (each time `ChainSettings.candidates` of it) until one meets all
#: checks.
_TURNS = 3

Parts = Sequence[Sequence[DomainSample]]


@dataclass(frozen=True)
class ChainSettings:
    """How chains are assembled.

    Parameters
    ----------
    sampling : Sampling
    candidates : int
        Draws of a chain (of its linkers between found poses, else of all of it) of which one is
        kept. Where none of several meets all checks as many are drawn again, twice at most.
    batch_size : int
    close, trajectory : bool
        See `proteinweaver.generation.assembly_stage.assemble_domains`.
    """

    sampling: Sampling
    candidates: int = 1
    batch_size: int = 0
    close: bool = True
    trajectory: bool = False


def chain_starts(
    plans: Sequence[DesignPlan], parts: Parts, chosen: Sequence[int], poses: StartPoses | None
) -> tuple[dict[int, FoundStart], dict[int, float]]:
    """Find where designs begin that do not begin at noise.

    Parameters
    ----------
    plans : sequence of DesignPlan
    parts : sequence of sequence of DomainSample
        The domains of every plan.
    chosen : sequence of int
        Plans to look at.
    poses : StartPoses or None
        None looks for nothing.

    Returns
    -------
    starts : dict of int to FoundStart
        By position in `plans`.
    seconds : dict of int to float
    """
    starts: dict[int, FoundStart] = {}
    seconds: dict[int, float] = {}
    for p in chosen:
        if poses is not None and can_be_found(plans[p]):
            begun = time.perf_counter()
            found = poses.chain(plans[p], [part.coord for part in parts[p]])
            if found is not None:
                starts[p], seconds[p] = found, time.perf_counter() - begun
    return starts, seconds


def assembled_chains(
    plans: Sequence[DesignPlan],
    parts: Parts,
    chosen: Sequence[int],
    starts: Mapping[int, FoundStart],
    model: LoadedModel,
    settings: ChainSettings,
) -> dict[int, Assembly]:
    """Assemble the chosen plans, from where they begin, and keep the best draw of each.

    Parameters
    ----------
    plans : sequence of DesignPlan
    parts : sequence of sequence of DomainSample
    chosen : sequence of int
    starts : mapping of int to FoundStart
        See `chain_starts`; plans without one begin at noise, or at the chain they vary.
    model : LoadedModel
        The assembler.
    settings : ChainSettings

    Returns
    -------
    dict of int to Assembly
        By position in `plans`. Coordinates that are not finite mark a failed sample.
    """
    if settings.candidates == 1:
        drawn = chain_draws(plans, parts, chosen, starts, model, settings)
        return {p: own[0] for p, own in drawn.items()}
    kept: dict[int, _Kept] = {}
    left = list(chosen)
    for turn in range(_TURNS if settings.close else 1):  # open bonds fail in any draw
        drawn = chain_draws(plans, parts, left, starts, model, settings, turn)
        for p, own in drawn.items():
            best = _best(plans[p], parts[p], own, settings.close)
            kept[p] = best if p not in kept else _better(kept[p], best)
        left = [p for p in left if not kept[p].worth[0]]
        if not left:
            break
    return {p: one.chain for p, one in kept.items()}


def chain_draws(
    plans: Sequence[DesignPlan],
    parts: Parts,
    chosen: Sequence[int],
    starts: Mapping[int, FoundStart],
    model: LoadedModel,
    settings: ChainSettings,
    turn: int = 0,
) -> dict[int, list[Assembly]]:
    """Draw every chosen plan as often as is asked, its draws in one batch.

    Parameters
    ----------
    plans, parts, chosen, starts, model, settings
        See `assembled_chains`.
    turn : int, optional
        So often they were drawn before; every turn has noise of its own.

    Returns
    -------
    dict of int to list of Assembly
        All draws by position in `plans`; the first starts from the noise of a single draw, and is
        the same but for what the rounding of another batch grows to.
    """
    draws = settings.candidates
    free = [p for p in chosen if p not in starts]
    found = [p for p in chosen if p in starts]
    drawn: dict[int, list[Assembly]] = {}
    for own, assemble in ((free, assemble_domains), (found, assemble_poses)):
        requests = [
            request
            for p in own
            for request in _candidates(_request(plans[p], parts[p], starts.get(p)), draws, turn)
        ]
        chains = assemble(
            model,
            requests,
            settings.sampling,
            draws=draws,
            batch_size=settings.batch_size,
            close=settings.close,
            trajectory=settings.trajectory,
        )
        drawn |= {p: chains[k * draws : (k + 1) * draws] for k, p in enumerate(own)}
    return drawn


def _candidates(request: AssemblyRequest, draws: int, turn: int) -> list[AssemblyRequest]:
    numbers = range(turn * draws, (turn + 1) * draws)
    return [replace(request, key=request.key.draw(k)) for k in numbers]


@dataclass(frozen=True)
class _Kept:
    """The best draw of a chain so far, with the time and the calls of all, and its worth."""

    chain: Assembly
    worth: tuple[bool, float]


def _best(
    plan: DesignPlan, parts: Sequence[DomainSample], drawn: Sequence[Assembly], closed: bool
) -> _Kept:
    begun = time.perf_counter()
    backbones = [chain_backbone(plan, one.coord) for one in drawn]
    verdicts = [chain_verdict(plan, backbone, parts) for backbone in backbones]
    worth = chain_worth(backbones, verdicts, closed)
    best = max(range(len(drawn)), key=lambda k: worth[k])
    seconds = sum(one.seconds for one in drawn) + time.perf_counter() - begun
    return _Kept(replace(drawn[best], seconds=seconds), worth[best])


def _better(one: _Kept, two: _Kept) -> _Kept:
    best = max(one, two, key=lambda kept: kept.worth)
    seconds = one.chain.seconds + two.chain.seconds
    calls = one.chain.calls + two.chain.calls
    return replace(best, chain=replace(best.chain, seconds=seconds, calls=calls))


def chain_verdict(plan: DesignPlan, backbone: Backbone, parts: Sequence[DomainSample]) -> Verdict:
    """Judge an assembled chain (`proteinweaver.generation.checks`).

    Parameters
    ----------
    plan : DesignPlan
    backbone : Backbone
        See `chain_backbone`.
    parts : sequence of DomainSample
        Its domains as they entered.

    Returns
    -------
    Verdict
    """
    return assess(
        plan,
        resolve_wishes(plan),
        backbone.coord,
        backbone.domain.astype(np.int64),
        backbone.break_after,
        [part.coord for part in parts],
    )


def chain_backbone(plan: DesignPlan, coord: NDArray[np.float32], gly: bool = False) -> Backbone:
    """Give coordinates the names, domains and breaks of a plan.

    Parameters
    ----------
    plan : DesignPlan
    coord : ndarray, shape=(L, 4, 3)
        N, CA, C, O in angstrom.
    gly : bool, optional
        Name every residue GLY, those of given domains too.

    Returns
    -------
    Backbone
    """
    aatype = np.full(plan.length, GLY, dtype=np.uint8)
    domain = np.zeros(plan.length, dtype=np.int16)
    breaks = np.zeros(plan.length, dtype=np.bool_)
    for number, segment in enumerate(plan.domains, 1):
        rows = slice(segment.start, segment.stop)
        domain[rows] = number
        given = plan.sources[segment.source].backbone
        if given is not None:
            breaks[rows] = given.break_after
            if not gly:
                aatype[rows] = given.aatype
    if not gly:
        told = plan.linker_types
        aatype = np.where(told == UNKNOWN, aatype, told)
    return Backbone.from_coord(
        coord, aatype=aatype, domain=domain, break_after=breaks, name=plan.name
    )


def _request(
    plan: DesignPlan, parts: Sequence[DomainSample], found: FoundStart | None
) -> AssemblyRequest:
    insides = []
    for segment, part in zip(plan.domains, parts, strict=True):
        source = plan.sources[segment.source]
        gaps = _gaps(source.backbone)
        insides.append(Inside(segment.start, part.coord, source.mode, gaps, source.group))
    key = NoiseKey(plan.job.seed, plan.job.spec.name, plan.index, "assembly")
    wishes = resolve_wishes(plan)
    asked = any(letter != "?" for letter in plan.ss)
    return AssemblyRequest(
        plan.length,
        tuple(insides),
        key,
        ss=plan.ss if asked else "",
        elements=_elements(plan.ss),
        bounds=tuple(pair.bound() for pair in wishes.pairs),
        obstacle=wishes.obstacle,
        anchor=wishes.anchor,
        contact_share=CONTACT_SHARE if plan.job.start is None else 0.0,
        start=plan.job.start if found is None else found.coord,
        start_t=plan.job.start_t,
    )


def _elements(ss: str) -> tuple[Inside, ...]:
    """Ideal helices and strands of linkers, as rigid as given domains."""
    found, start = [], 0
    for letter, run in groupby(ss):
        size = len(list(run))
        if letter in "HE" and size >= SHORTEST_ELEMENT:
            coord = ideal_element(letter, size).numpy().astype(np.float32)
            found.append(Inside(start, coord, "rigid"))
        start += size
    return tuple(found)


def _gaps(given: Backbone | None) -> tuple[tuple[int, int], ...]:
    """List the breaks of a given domain: position and number of missing residues."""
    if given is None:
        return ()
    number = given.resnum.astype(int)
    return tuple(
        (int(i), int(number[i + 1] - number[i] - 1)) for i in np.flatnonzero(given.break_after)
    )
