"""From requests to plans: which residues of each design are which domain or linker.

A :class:`Job` is a request with its structure files read and checked. :func:`plan_design` turns it
into the :class:`DesignPlan` of one design: an order of the domains and exact lengths, drawn from
noise keyed by (seed, job, index), so that a plan depends on nothing else in the run.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proteinweaver.domains.blueprint import parse_blueprint
from proteinweaver.domains.library import DomainLibrary
from proteinweaver.domains.plan import DEFAULT_LINKER, split_length
from proteinweaver.errors import UserError
from proteinweaver.generation.config import DiversifyConfig, RequestConfig
from proteinweaver.generation.varied import varied_request
from proteinweaver.io.read import read_backbone
from proteinweaver.io.select import split_spec
from proteinweaver.io.spec import DomainSpec, Fold, JobSpec, Mode
from proteinweaver.io.typed import plain
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.residues import indices_of_sequence
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
    label : str
        What wishes call it: its name in the request, else its number.
    group : int, optional
        Domains of one group start from their relative pose.
    kept : bool
        Whether its pose relative to the other kept domains stays exactly.
    library : DomainLibrary, optional
        Where every design draws its domain from; `backbone` is None until it has.
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
    label: str = ""
    group: int | None = None
    kept: bool = False
    library: DomainLibrary | None = None

    @property
    def generated(self) -> bool:
        """Whether it is to be generated."""
        return self.backbone is None and self.library is None

    def drawn(self, seed: int) -> "Source":
        """Return the source with its domain: itself, or one drawn from its library."""
        if self.library is None:
            return self
        path, backbone = self.library.draw_file(seed % 2**63)
        _check_given(backbone, str(path))
        return replace(
            self,
            backbone=backbone,
            length=len(backbone),
            file=str(path),
            sha256=_digest(path),
            library=None,
        )


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
    start : ndarray, dtype=float32, shape=(L, 4, 3), optional
        A chain to vary instead of starting from noise.
    start_t : float
        Time of the noise added to it.
    """

    spec: JobSpec
    seed: int
    sources: tuple[Source, ...]
    start: NDArray[np.float32] | None = None
    start_t: float = 1.0

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that decides what its designs are; the number of designs does not."""
        request = {key: value for key, value in plain(self.spec).items() if key not in _FREE}
        files = [source.sha256 for source in self.sources]
        if self.start is not None:
            request["partial_t"] = self.start_t
        if self.spec.context:
            context = split_spec(self.spec.context)
            request["context"] = [_digest(context.path), context.selection]
        return {**request, "seed": self.seed, "domains": _without_paths(self.spec), "files": files}

    def design_name(self, index: int) -> str:
        """Name of a design, the same in any run."""
        return f"{self.spec.name}_s{self.seed}_{index:04d}"


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
    sources : tuple of Source
        The domains, in the order of the request; those of libraries drawn.
    ss : str
        Secondary structure asked of linkers, one of ``?HEL`` per residue; ``?`` in domains.
    linker_residues : str
        One-letter codes of linkers whose residues are told, ``X`` elsewhere.
    """

    job: Job
    index: int
    segments: tuple[Segment, ...]
    sources: tuple[Source, ...]
    ss: str = ""
    linker_residues: str = ""

    @property
    def name(self) -> str:
        """Name of the design, the same in any run."""
        return self.job.design_name(self.index)

    @property
    def length(self) -> int:
        """Residues of the chain."""
        return self.segments[-1].stop

    @property
    def linker_types(self) -> NDArray[np.uint8]:
        """Residue types of linkers whose residues are told, 20 (unknown) elsewhere, shape (L,)."""
        return indices_of_sequence(self.linker_residues or "X" * self.length)

    @property
    def domains(self) -> tuple[Segment, ...]:
        """The segments that are domains."""
        return tuple(segment for segment in self.segments if segment.source >= 0)


def resolve_jobs(config: RequestConfig | DiversifyConfig) -> tuple[Job, ...]:
    """Read the structure files of a request and check that every design can be planned.

    Parameters
    ----------
    config : RequestConfig or DiversifyConfig
        A command's config.

    Returns
    -------
    tuple of Job

    Raises
    ------
    UserError
        If a file cannot be read, a selection does not exist, or lengths do not fit.
    """
    if isinstance(config, DiversifyConfig):
        return (_varied_job(config),)
    jobs = []
    for spec in config.jobs():
        seed = config.seed if spec.seed is None else spec.seed
        sources = tuple(_source(spec, k) for k in range(spec.domain_count))
        job = Job(spec, seed, sources)
        if len(sources) == 1 and not sources[0].generated:
            raise UserError(
                f"job '{spec.name}' has one given domain and nothing to assemble it with; give"
                " another domain, or `diversify` this one"
            )
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
    order = job.spec.order_positions(index) or tuple(int(k) for k in rng.permutation(count))
    sources = tuple(
        source.drawn(derive_seed(job.seed, job.spec.name, index, f"library{k + 1}"))
        for k, source in enumerate(job.sources)
    )
    specs = job.spec.linker_specs(DEFAULT_LINKER)
    domains, linkers = split_length(
        job.spec.length, [sources[k].length for k in order], [one.bounds for one in specs], rng
    )
    segments, start, ss, residues = [], 0, "", ""
    for place, source in enumerate(order):
        segments.append(Segment(start, start + domains[place], source))
        start += domains[place]
        ss += "?" * domains[place]
        residues += "X" * domains[place]
        if place < count - 1 and linkers[place]:
            segments.append(Segment(start, start + linkers[place], -1))
            start += linkers[place]
            ss += specs[place].ss_string(linkers[place])
            residues += specs[place].residues(linkers[place])
    return DesignPlan(job, index, tuple(segments), sources, ss, residues)


#: Fields of a job that do not decide what a design is.
_FREE = {"n", "seed", "domains", "pass_budget", "total_length"}


def _without_paths(spec: JobSpec) -> list[dict[str, Any]]:
    """Domains of a job with file contents told apart by hash, not by place.

    A selection counts, also where it stands behind the file's name.
    """
    found = []
    for domain in spec.domain_specs:
        row = {k: v for k, v in plain(domain).items() if k not in {"file", "library"}}
        if domain.file:
            row["select"] = split_spec(domain.source).selection
        found.append(row)
    return found


def _source(spec: JobSpec, k: int) -> Source:
    """Read a given domain, list a library, or describe a domain to generate."""
    domain = spec.domain_specs[k]
    label = domain.name or str(k + 1)
    kept = k in {spec.position_of(str(name), "keep_pose") for name in spec.keep_pose}
    if domain.library:
        return _library(domain, label)
    if not domain.file:
        return replace(_generated(domain, domain.name or f"domain{k + 1}"), label=label)
    notes: list[str] = []
    backbone = read_backbone(domain.source, single_chain=True, notes=notes)
    _check_given(backbone, domain.source)
    path = split_spec(domain.source).path
    name = domain.name or domain.source.rpartition("/")[2]
    return Source(
        backbone,
        len(backbone),
        "rigid" if kept else domain.mode,
        name,
        file=domain.source,
        sha256=_digest(path),
        notes=tuple(notes),
        label=label,
        group=_KEPT if kept else domain.group,
        kept=kept,
    )


def _varied_job(config: DiversifyConfig) -> Job:
    """Make the job that varies a chain."""
    spec, coord = varied_request(config)
    sources = tuple(_source(spec, k) for k in range(spec.domain_count))
    return Job(spec, config.seed, sources, coord, config.partial_t)


#: Group of the domains whose pose is kept; groups of a request are its own numbers.
_KEPT = -1


def _check_given(backbone: Backbone, where: str) -> None:
    if len(backbone) < MIN_GIVEN:
        raise UserError(
            f"{where}: {len(backbone)} residues are no domain; select {MIN_GIVEN} or more"
        )
    if not backbone.is_finite:
        raise UserError(f"{where}: some coordinates are not numbers; mend the file")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _library(domain: DomainSpec, label: str) -> Source:
    """List a folder; its identity is the names and sizes of its files."""
    library = DomainLibrary(domain.library, shortest=MIN_GIVEN)
    listing = "\n".join(
        f"{file.relative_to(library.folder)} {file.stat().st_size}" for file in library.files
    )
    digest = hashlib.sha256(listing.encode()).hexdigest()
    name = domain.name or library.folder.name
    return Source(None, None, domain.mode, name, sha256=digest, label=label, library=library)


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
