"""Weaving: from plans to designs, through both stages, batch by batch.

What a design is depends on its plan and its noise keys alone; which designs share a batch changes
only the time they take.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from proteinweaver.errors import UserError, nearest
from proteinweaver.evaluation.critic import load_critic
from proteinweaver.generation.assembly_stage import Assembly
from proteinweaver.generation.batching import groups
from proteinweaver.generation.chain_stage import (
    ChainSettings,
    assembled_chains,
    chain_backbone,
    chain_starts,
    chain_verdict,
)
from proteinweaver.generation.domain_stage import (
    DomainRequest,
    DomainSample,
    LayoutDraw,
    sample_domains,
)
from proteinweaver.generation.jobs import DesignPlan, Job, Segment, Source
from proteinweaver.generation.model import LoadedModel, has_model, load_model, pick_device
from proteinweaver.generation.quality import judge
from proteinweaver.generation.results import Design, Part
from proteinweaver.generation.sampling import Sampling
from proteinweaver.generation.settings import POSE_TRIES, RunConfig, SamplerConfig
from proteinweaver.generation.start_poses import StartPoses
from proteinweaver.io.typed import plain
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
    name = getattr(config, "model", "auto")
    assembler = load_model(name, weights, device) if needs_assembler else None
    models = (layout, domain, assembler)
    hashes: dict[str, str] = {model.stage: model.sha256 for model in models if model}
    poses = None
    if needs_assembler and getattr(config, "poses", "noise") == "found":
        poses = StartPoses(tries=getattr(config, "pose_tries", POSE_TRIES))
    of_domains = domain is not None and getattr(config, "domain_candidates", 1) > 1
    of_chains = needs_assembler and getattr(config, "chain_candidates", 1) > 1
    if config.close and (of_domains or of_chains):
        hashes["critic"] = load_critic().sha256  # it may choose
    samplers = {name: plain(value) for name, value in samplers_of(config).items()}
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
        number=segment.source,
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
    starts, looking = chain_starts(plans, parts, sound, kit.poses)
    chains: dict[int, Assembly] = {}
    if kit.assembler is not None and sound:
        settings = _chain_settings(kit.config)
        chains = assembled_chains(plans, parts, sound, starts, kit.assembler, settings)
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
        backbone = chain_backbone(plan, coord, kit.config.gly)
        verdict = (
            chain_verdict(plan, backbone, parts[p])
            if p in many
            else judge(coord, backbone.domain.astype(np.int64), backbone.break_after)
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


def _chain_settings(config: RunConfig) -> ChainSettings:
    return ChainSettings(
        check_sampler(samplers_of(config)["assembler_sampler"]),
        getattr(config, "chain_candidates", 1),
        config.batch_size,
        config.close,
        config.traj,
    )


def _needs_assembly(job: Job) -> bool:
    return len(job.sources) > 1 or job.start is not None
