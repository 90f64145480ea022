"""From requests to plans: which residues of each design are which domain or linker.

A :class:`Job` is a request with its structure files read and checked. :func:`plan_design` turns it
into the :class:`DesignPlan` of one design: an order of the domains and exact lengths, drawn from
noise keyed by (seed, job, index), so that a plan depends on nothing else in the run.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from proteinweaver.domains.blueprint import parse_blueprint
from proteinweaver.domains.plan import DEFAULT_LINKER, split_length
from proteinweaver.errors import UserError
from proteinweaver.generation.config import RunConfig
from proteinweaver.io.read import read_backbone
from proteinweaver.io.select import split_spec
from proteinweaver.io.spec import DomainSpec, Fold, JobSpec, Mode
from proteinweaver.io.typed import plain
from proteinweaver.structure.backbone import Backbone
from samplers.noise import derive_seed

__all__ = ["DesignPlan", "Job", "Segment", "Source", "plan_design", "resolve_jobs"]

#: Fewest residues of a given domain: less has no inside to speak of.
MIN_GIVEN = 5


@dataclass(frozen=True)
class Source:
    """Where a domain comes from.

    Parameters
    ----------
    backbone : Backbone or None
        The given domain; None for one to generate.
    length : int or None
        Residues; None where the plan chooses.
    mode : {"rigid", "adapt", "free"}
        How far its inside may change.
    name : str
        Label.
    blueprint, fold : str
        What is asked of a generated domain; empty: nothing.
    file, sha256 : str
        Where a given domain was read, and the hash of that file.
    notes : tuple of str
        What the reader decided.
    """

    backbone: Backbone | None
    length: int | None
    mode: Mode
    name: str
    blueprint: str = ""
    fold: Fold = ""
    file: str = ""
    sha256: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A request, resolved.

    Parameters
    ----------
    spec : JobSpec
        As asked for.
    seed : int
        Seed of its noise.
    sources : tuple of Source
        The domains, in the order of the request.
    """

    spec: JobSpec
    seed: int
    sources: tuple[Source, ...]

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that decides what its designs are; the number of designs does not."""
        request = {key: value for key, value in plain(self.spec).items() if key not in _FREE}
        files = [source.sha256 for source in self.sources]
        return {**request, "seed": self.seed, "domains": _without_paths(self.spec), "files": files}


@dataclass(frozen=True)
class Segment:
    """Part of a designed chain.

    Parameters
    ----------
    start, stop : int
        Positions from 0, half open.
    source : int
        Index of the domain in the job's sources; -1 for a linker.
    """

    start: int
    stop: int
    source: int

    def __len__(self) -> int:
        """Return the number of residues."""
        return self.stop - self.start


@dataclass(frozen=True)
class DesignPlan:
    """Lengths and order of one design.

    Parameters
    ----------
    job : Job
        What was asked for.
    index : int
        Number of the design in its job, from 0.
    segments : tuple of Segment
        Domains and linkers along the chain, covering it.
    """

    job: Job
    index: int
    segments: tuple[Segment, ...]

    @property
    def name(self) -> str:
        """Name of the design, the same in any run."""
        return f"{self.job.spec.name}_s{self.job.seed}_{self.index:04d}"

    @property
    def length(self) -> int:
        """Residues of the chain."""
        return self.segments[-1].stop

    @property
    def domains(self) -> tuple[Segment, ...]:
        """The segments that are domains."""
        return tuple(segment for segment in self.segments if segment.source >= 0)


def resolve_jobs(config: RunConfig) -> tuple[Job, ...]:
    """Read the structure files of a request and check that every design can be planned.

    Parameters
    ----------
    config : RunConfig
        A command's config.

    Returns
    -------
    tuple of Job

    Raises
    ------
    UserError
        If a file cannot be read, a selection does not exist, or lengths do not fit.
    """
    jobs = []
    for spec in config.jobs():
        seed = config.seed if spec.seed is None else spec.seed
        sources = tuple(_source(domain, k) for k, domain in enumerate(spec.domain_specs))
        job = Job(spec, seed, sources)
        plan_design(job, 0)
        jobs.append(job)
    return tuple(jobs)


def plan_design(job: Job, index: int) -> DesignPlan:
    """Draw order and lengths of one design.

    Parameters
    ----------
    job : Job
        The request.
    index : int
        Number of the design, from 0.

    Returns
    -------
    DesignPlan

    Raises
    ------
    UserError
        If the lengths cannot be met.
    """
    rng = np.random.default_rng(derive_seed(job.seed, job.spec.name, index, "plan"))
    count = len(job.sources)
    order = job.spec.order_positions() or tuple(int(k) for k in rng.permutation(count))
    lengths = [job.sources[k].length for k in order]
    domains, linkers = split_length(
        job.spec.length, lengths, job.spec.linker_bounds(DEFAULT_LINKER), rng
    )
    segments, start = [], 0
    for place, source in enumerate(order):
        segments.append(Segment(start, start + domains[place], source))
        start += domains[place]
        if place < count - 1 and linkers[place]:
            segments.append(Segment(start, start + linkers[place], -1))
            start += linkers[place]
    return DesignPlan(job, index, tuple(segments))


#: Fields of a job that do not decide what a design is.
_FREE = {"n", "seed", "domains"}


def _without_paths(spec: JobSpec) -> list[dict[str, Any]]:
    """Domains of a job with file contents told apart by hash, not by place."""
    return [
        {key: value for key, value in plain(domain).items() if key not in {"file"}}
        for domain in spec.domain_specs
    ]


def _source(domain: DomainSpec, k: int) -> Source:
    """Read a given domain, or describe one to generate."""
    if not domain.file:
        return _generated(domain, domain.name or f"domain{k + 1}")
    notes: list[str] = []
    backbone = read_backbone(domain.source, single_chain=True, notes=notes)
    if len(backbone) < MIN_GIVEN:
        raise UserError(
            f"{domain.source}: {len(backbone)} residues are no domain; select {MIN_GIVEN} or more"
        )
    if not backbone.is_finite:
        raise UserError(f"{domain.source}: some coordinates are not numbers; mend the file")
    path = split_spec(domain.source).path
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    name = domain.name or domain.source.rpartition("/")[2]
    return Source(
        backbone,
        len(backbone),
        domain.mode,
        name,
        file=domain.source,
        sha256=digest,
        notes=tuple(notes),
    )


def _generated(domain: DomainSpec, name: str) -> Source:
    """Describe a domain to generate."""
    length = domain.length
    blueprint = parse_blueprint(domain.blueprint) if domain.blueprint else ""
    if blueprint and length not in (None, len(blueprint)):
        raise UserError(
            f"{name}: the blueprint has {len(blueprint)} residues, length says {length}; drop one"
        )
    return Source(
        None, len(blueprint) or length, domain.mode, name, blueprint=blueprint, fold=domain.fold
    )
