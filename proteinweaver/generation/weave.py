"""Weaving: from plans to designs, through both stages, batch by batch.

What a design is depends on its plan and its noise keys alone; which designs share a batch changes
only the time they take.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from proteinweaver.domains.trends import CONTACT_SHARE
from proteinweaver.errors import UserError, nearest
from proteinweaver.evaluation.critic import load_critic
from proteinweaver.generation.assembly_stage import (
    Assembly,
    AssemblyRequest,
    Inside,
    assemble_domains,
)
from proteinweaver.generation.batching import groups
from proteinweaver.generation.checks import assess
from proteinweaver.generation.condition import SHORTEST_ELEMENT
from proteinweaver.generation.domain_stage import (
    DomainRequest,
    DomainSample,
    LayoutDraw,
    sample_domains,
)
from proteinweaver.generation.jobs import DesignPlan, Job, Segment, Source
from proteinweaver.generation.model import LoadedModel, has_model, load_model, pick_device
from proteinweaver.generation.pose_assembly import assemble_poses
from proteinweaver.generation.quality import judge
from proteinweaver.generation.results import Design, Part
from proteinweaver.generation.sampling import Sampling
from proteinweaver.generation.settings import RunConfig, SamplerConfig
from proteinweaver.generation.start_poses import FoundStart, StartPoses, can_be_found
from proteinweaver.generation.wishes import resolve_wishes
from proteinweaver.io.typed import plain
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.ideal import ideal_element
from proteinweaver.structure.residues import GLY, UNKNOWN
from samplers import grids, steppers
from samplers.noise import NoiseKey

__all__ = ["Kit", "check_sampler", "check_samplers", "make_kit", "samplers_of", "weave"]


@dataclass(frozen=True)
class Kit:
    """Models and settings of a run.

    Parameters
    ----------
    config : RunConfig
        Of the command.
    layout, domain, assembler : LoadedModel or None
        Models of the stages, where some plan needs them.
    settings : mapping
        What every side file repeats: weight hashes and samplers.
    poses : StartPoses or None
        Finds where assemblies begin, where the config asks for it.
    """

    config: RunConfig
    layout: LoadedModel | None
    domain: LoadedModel | None
    assembler: LoadedModel | None
    settings: Mapping[str, Any] = field(default_factory=dict)
    poses: StartPoses | None = None


def check_sampler(sampler: SamplerConfig) -> Sampling:
    """Turn a sampler config into what the stages take, refusing what does not exist.

    Parameters
    ----------
    sampler : SamplerConfig
        Settings of one stage.

    Returns
    -------
    Sampling

    Raises
    ------
    UserError
        For an unknown stepper or grid, or an option the stepper refuses.
    """
    known = [*steppers.STEPPERS, *steppers.ALIASES]
    if sampler.sampler not in known:
        raise UserError(f"unknown sampler '{sampler.sampler}'; {nearest(sampler.sampler, known)}")
    if sampler.grid not in grids.GRIDS:
        raise UserError(f"unknown grid '{sampler.grid}'; {nearest(sampler.grid, grids.GRIDS)}")
    options: dict[str, Any] = {"churn": sampler.churn, "noise_scale": sampler.noise_scale}
    try:
        steppers.make(sampler.sampler, **{k: v for k, v in options.items() if v is not None})
    except ValueError as error:
        raise UserError(str(error)) from None
    return Sampling(**plain(sampler))


def samplers_of(config: RunConfig) -> dict[str, SamplerConfig]:
    """Return the sampler settings of a command by the name of their field.

    Parameters
    ----------
    config : RunConfig
        Of the command.

    Returns
    -------
    dict
    """
    names = ("layout_sampler", "domain_sampler", "assembler_sampler")
    return {name: getattr(config, name) for name in names if hasattr(config, name)}


def check_samplers(config: RunConfig) -> None:
    """Refuse sampler settings of a command that do not exist, before anything is loaded.

    Parameters
    ----------
    config : RunConfig
        Of the command.

    Raises
    ------
    UserError
        As `check_sampler`.
    """
    for sampler in samplers_of(config).values():
        check_sampler(sampler)


def make_kit(config: RunConfig, jobs: Sequence[Job]) -> Kit:
    """Load the models that some job needs.

    Parameters
    ----------
    config : RunConfig
        Of the command.
    jobs : sequence of Job
        What is to be woven.

    Returns
    -------
    Kit

    Raises
    ------
    UserError
        If a device or weights cannot be used.
    """
    device = pick_device(config.device)
    needs_domain = any(source.generated for job in jobs for source in job.sources)
    needs_assembler = any(_needs_assembly(job) for job in jobs)
    weights = config.weights or None
    layout = None
    if needs_domain and getattr(config, "layout_t", 1.0) < 1 and has_model("layout", weights):
        layout = load_model("layout", weights, device)
    domain = load_model("domain", weights, device) if needs_domain else None
    name = getattr(config, "model", "assembler")
    assembler = load_model(name, weights, device) if needs_assembler else None
    models = (layout, domain, assembler)
    hashes: dict[str, str] = {model.stage: model.sha256 for model in models if model}
    if domain and config.close and getattr(config, "domain_candidates", 1) > 1:
        hashes["critic"] = load_critic().sha256  # it chooses
    samplers = {name: plain(value) for name, value in samplers_of(config).items()}
    poses = None
    if needs_assembler and getattr(config, "poses", "noise") == "found":
        poses = StartPoses()
    settings = {"weights": hashes, "samplers": samplers}
    return Kit(config, layout, domain, assembler, settings, poses)


def weave(
    plans: Sequence[DesignPlan],
    kit: Kit,
    on_stage: Callable[[str], None],
    wanted: Callable[[DesignPlan], bool] = lambda plan: True,
) -> Iterator[Design]:
    """Weave designs.

    Parameters
    ----------
    plans : sequence of DesignPlan
        What to weave. On a CPU each is taken when its turn comes, and then let go.
    kit : Kit
        With the models the plans need.
    on_stage : callable
        Called with the name of the stage that begins.
    wanted : callable, optional
        Asked before a batch begins whether a plan is still to be woven.

    Yields
    ------
    Design
        As batches finish. A failed one has coordinates that are no numbers.
    """
    device = next(m.device for m in (kit.domain, kit.assembler) if m) if plans else "cpu"
    alone = device == "cpu"  # then lengths do not matter
    lengths = [0] * len(plans) if alone else [plan.length for plan in plans]
    for chunk in groups(lengths, kit.config.batch_size, device):
        chosen = [plan for plan in map(plans.__getitem__, chunk) if wanted(plan)]
        if not chosen:
            continue
        if any(part.generated for plan in chosen for part in plan.sources):
            on_stage("domains")
        parts, timing, calls = _domains(chosen, kit)
        if any(_needs_assembly(plan.job) for plan in chosen):
            on_stage("assembly")
        yield from _assembled(chosen, parts, timing, calls, kit)


def _domains(
    plans: Sequence[DesignPlan], kit: Kit
) -> tuple[list[list[DomainSample]], list[float], list[int]]:
    """Give every plan its domains in the order of its chain, with seconds and calls."""
    owners: list[tuple[int, int]] = []
    requests: list[DomainRequest] = []
    for p, plan in enumerate(plans):
        for d, segment in enumerate(plan.domains):
            if plan.sources[segment.source].generated:
                requests.append(_domain_request(plan, segment, kit.config))
                owners.append((p, d))
    drawn: list[DomainSample] = []
    if requests and kit.domain:
        config, layout = kit.config, None
        if kit.layout:
            sampling = check_sampler(samplers_of(config)["layout_sampler"])
            layout = LayoutDraw(kit.layout, sampling, getattr(config, "layout_t", 1.0))
        drawn = sample_domains(
            kit.domain,
            requests,
            check_sampler(samplers_of(config)["domain_sampler"]),
            layout=layout,
            batch_size=config.batch_size,
            close=config.close,
            trajectory=config.traj and all(len(plan.segments) == 1 for plan in plans),
        )
    generated = dict(zip(owners, drawn, strict=True))
    seconds, calls = [0.0] * len(plans), [0] * len(plans)
    for (p, _), sample in generated.items():
        seconds[p] += sample.seconds
        calls[p] += sample.calls
    parts = [
        [
            generated[p, d] if (p, d) in generated else _given(plan.sources[segment.source])
            for d, segment in enumerate(plan.domains)
        ]
        for p, plan in enumerate(plans)
    ]
    return parts, seconds, calls


def _domain_request(plan: DesignPlan, segment: Segment, config: RunConfig) -> DomainRequest:
    source = plan.sources[segment.source]
    key = NoiseKey(plan.job.seed, plan.job.spec.name, plan.index, f"domain{segment.source + 1}")
    return DomainRequest(
        len(segment),
        key,
        source.blueprint,
        source.fold,
        loop_tilt=getattr(config, "loop_tilt", 0.0),
        strand_tilt=getattr(config, "strand_tilt", 0.0),
        candidates=getattr(config, "domain_candidates", 1),
    )


def _given(source: Source) -> DomainSample:
    assert source.backbone is not None
    return DomainSample(source.backbone.coord.copy(), "", 0.0, 0)  # torch wants it writable


def _assembled(
    plans: Sequence[DesignPlan],
    parts: Sequence[Sequence[DomainSample]],
    seconds: Sequence[float],
    calls: Sequence[int],
    kit: Kit,
) -> Iterator[Design]:
    """Yield the designs of a chunk: assembled, or for single domains as they are."""
    many = [p for p, plan in enumerate(plans) if _needs_assembly(plan.job)]
    sound = [p for p in many if all(np.isfinite(part.coord).all() for part in parts[p])]
    starts, looking = _starts(plans, parts, sound, kit.poses)
    chains = _chains(plans, parts, sound, starts, kit)
    for p, plan in enumerate(plans):
        start = time.perf_counter()
        timing = {"domains_s": seconds[p]}
        if p in chains:
            chain = chains[p]
            coord, drift, path = chain.coord, chain.drift, chain.trajectory
            if p in starts:
                timing["poses_s"] = looking[p]
            timing["assembly_s"] = chain.seconds
        elif p in many:  # a domain failed
            coord = np.full((plan.length, 4, 3), np.nan, dtype=np.float32)
            drift, path = (float("nan"),) * len(parts[p]), None
        else:
            coord, drift, path = parts[p][0].coord, (0.0,), parts[p][0].trajectory
        backbone = _backbone(plan, coord, kit.config.gly)
        inputs = [part.coord for part in parts[p]] if p in many else []
        label = backbone.domain.astype(np.int64)
        verdict = (
            assess(plan, resolve_wishes(plan), coord, label, backbone.break_after, inputs)
            if p in many
            else judge(coord, label, backbone.break_after, inputs)
        )
        metrics = dict(verdict.metrics)
        if p in starts:
            metrics["pose_rank"] = 1.0 + sum(starts[p].tries)
        timing["checks_s"] = time.perf_counter() - start
        timing["total_s"] = sum(timing.values())
        yield Design(
            plan,
            backbone,
            tuple(
                Part(part.coord, part.blueprint, float(moved))
                for part, moved in zip(parts[p], drift, strict=True)
            ),
            metrics,
            verdict.checks,
            verdict.score,
            timing,
            calls[p] + (chains[p].calls if p in chains else 0),
            path,
            verdict.reasons,
            starts.get(p),
        )


def _chains(
    plans: Sequence[DesignPlan],
    parts: Sequence[Sequence[DomainSample]],
    chosen: Sequence[int],
    starts: Mapping[int, FoundStart],
    kit: Kit,
) -> dict[int, Assembly]:
    """Assemble the chosen plans, from where they begin."""
    chains: dict[int, Assembly] = {}
    if not chosen or kit.assembler is None:
        return chains
    config = kit.config
    sampling = check_sampler(samplers_of(config)["assembler_sampler"])
    for way, numbers in (
        (assemble_domains, [p for p in chosen if p not in starts]),
        (assemble_poses, [p for p in chosen if p in starts]),
    ):
        drawn = way(
            kit.assembler,
            [_request(plans[p], parts[p], starts.get(p)) for p in numbers],
            sampling,
            batch_size=config.batch_size,
            close=config.close,
            trajectory=config.traj,
        )
        chains.update(zip(numbers, drawn, strict=True))
    return chains


def _starts(
    plans: Sequence[DesignPlan],
    parts: Sequence[Sequence[DomainSample]],
    chosen: Sequence[int],
    poses: StartPoses | None,
) -> tuple[dict[int, FoundStart], dict[int, float]]:
    """Find where designs begin that do not begin at noise, with the seconds it took."""
    starts: dict[int, FoundStart] = {}
    seconds: dict[int, float] = {}
    for p in chosen:
        if poses is not None and can_be_found(plans[p]):
            begun = time.perf_counter()
            found = poses.chain(plans[p], [part.coord for part in parts[p]])
            if found is not None:
                starts[p], seconds[p] = found, time.perf_counter() - begun
    return starts, seconds


def _needs_assembly(job: Job) -> bool:
    return len(job.sources) > 1 or job.start is not None


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


def _backbone(plan: DesignPlan, coord: np.ndarray, gly: bool) -> Backbone:
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
