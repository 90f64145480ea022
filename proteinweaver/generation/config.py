"""Typed configs of the generating commands. A default lives here and nowhere else.

The command line, Hydra overrides, design specs and Python callers all end in one of
:class:`GenerateConfig`, :class:`AssembleConfig`, :class:`DesignConfig` and
:class:`DiversifyConfig`. This module imports nothing heavy.
"""

import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

from proteinweaver.errors import UserError
from proteinweaver.generation.settings import (
    CANDIDATES,
    CHAIN_CANDIDATES,
    LAYOUT_T,
    LOOP_TILT,
    POSE_TRIES,
    STRAND_TILT,
    AssemblerName,
    PoseStart,
    RunConfig,
    SamplerConfig,
    assembler_sampler,
    domain_sampler,
    layout_sampler,
)
from proteinweaver.io.spec import DomainSpec, Fold, JobSpec, Mode, domain_of_text, read_spec
from proteinweaver.io.wishes import ApartSpec, ContactSpec, PassBudget

__all__ = [
    "AssembleConfig",
    "DesignConfig",
    "DiversifyConfig",
    "GenerateConfig",
    "RequestConfig",
]


@dataclass(frozen=True)
class RequestConfig(RunConfig, ABC):
    """A run whose jobs the config tells by itself."""

    @abstractmethod
    def jobs(self) -> tuple[JobSpec, ...]:
        """Return what to design."""


@dataclass(frozen=True)
class GenerateConfig(RequestConfig):
    """Stage 1 alone: single domains.

    Parameters
    ----------
    length : int
        Residues of every domain.
    blueprint : str
        Secondary structure, such as ``"L3H14L3E6"``; instead of the length and of drawing one.
    fold : {"", "alpha", "beta", "mixed"}
        Class of the blueprints that are drawn; empty: as natives have it, each a fifth at
        least.
    loop_tilt, strand_tilt : float
        Make loops of drawn blueprints shorter and strands longer; 0 is native.
    layout_t : float
        Time at which a domain begins from a layout drawn before it
        (`proteinweaver.generation.layout_stage`); 1 begins at noise.
    layout_sampler, domain_sampler : SamplerConfig
        How layouts and domains are sampled.
    domain_candidates : int
        Domains drawn for every one kept (`proteinweaver.generation.choice`).
    """

    length: int = 100
    blueprint: str = ""
    fold: Fold = ""
    loop_tilt: float = LOOP_TILT
    strand_tilt: float = STRAND_TILT
    layout_t: float = LAYOUT_T
    layout_sampler: SamplerConfig = field(default_factory=layout_sampler)
    domain_sampler: SamplerConfig = field(default_factory=domain_sampler)
    domain_candidates: int = CANDIDATES

    def __post_init__(self) -> None:
        """Refuse lengths that are none."""
        super().__post_init__()
        _check_domains(self.domain_candidates, self.layout_t)
        self.jobs()

    def jobs(self) -> tuple[JobSpec, ...]:
        """Return the one job of this request."""
        name = self.name or ("blueprint" if self.blueprint else f"domain{self.length}")
        length = None if self.blueprint else self.length
        domain = DomainSpec(blueprint=self.blueprint, fold=self.fold)
        return (JobSpec(name=name, length=length, domains=(domain,), n=self.n, seed=self.seed),)


@dataclass(frozen=True)
class AssembleConfig(RequestConfig):
    """Domains into one chain.

    Parameters
    ----------
    spec : str
        Specification file with named jobs; instead of the fields from `domain` to `pass_budget`.
    domain : tuple of str
        ``[NAME=]FILE[:SELECTION]``, ``[NAME=]FOLDER`` (a library to draw from) or
        ``[NAME=]LENGTH`` (a domain to generate), N- to C-terminal.
    contig, file : str
        Domains and linkers in one line, and the file its chains are in; instead of `domain`.
    linker : tuple of str
        Lengths or ranges, with a secondary structure behind a colon (``"12:H"``): one for all
        junctions or one each; empty for the default.
    order : str or tuple of str
        ``"fixed"``, ``"free"``, ``"all"``, or names or numbers such as ``"2,1"``.
    length, total_length : int, optional
        Residues of the whole chain; linkers share what the domains leave.
    mode : {"rigid", "adapt", "free"}
        How far the inside of the domains may change.
    contacts, apart, keep_pose, context, pass_budget
        Wishes; see `proteinweaver.io.spec.JobSpec`.
    model : {"auto", "assembler", "assembler-aligned"}
        Weights of the assembler; "auto": the aligned ones where there are any.
    poses : {"found", "noise"}
        Where assembly begins: at poses that linkers and interfaces make likely, where given
        domains with residue types are asked for and nothing else of their poses
        (`proteinweaver.generation.start_poses`; with the noise of a part of the time, and that
        part of the steps), or at noise.
    loop_tilt, strand_tilt : float
        Make loops of drawn blueprints of generated domains shorter and strands longer; 0 is
        native.
    layout_t : float
        Time at which a generated domain begins from its layout; 1 begins at noise.
    layout_sampler, domain_sampler, assembler_sampler : SamplerConfig
        How layouts, domains and assembly are sampled.
    domain_candidates : int
        Domains drawn for every generated one that is kept (`proteinweaver.generation.choice`).
    pose_tries : int
        Found poses of a joint, the likeliest first, that designs of one order and one set of
        lengths take in turn; 1: all share one pose and differ in their linkers.
    chain_candidates : int
        Draws of a chain (of its linkers between found poses, else of all of it) of which one is
        kept. Where none of several meets all checks as many are drawn again, twice at most.
    """

    spec: str = ""
    domain: tuple[str, ...] = ()
    contig: str = ""
    file: str = ""
    linker: tuple[str | int, ...] = ()
    order: str | tuple[str | int, ...] = "fixed"
    length: int | None = None
    total_length: int | None = None
    mode: Mode = "adapt"
    contacts: tuple[ContactSpec | str, ...] = ()
    apart: tuple[ApartSpec | str, ...] = ()
    keep_pose: tuple[str | int, ...] = ()
    context: str = ""
    pass_budget: PassBudget | str | None = None
    model: AssemblerName = "auto"
    poses: PoseStart = "found"
    loop_tilt: float = LOOP_TILT
    strand_tilt: float = STRAND_TILT
    layout_t: float = LAYOUT_T
    layout_sampler: SamplerConfig = field(default_factory=layout_sampler)
    domain_sampler: SamplerConfig = field(default_factory=domain_sampler)
    assembler_sampler: SamplerConfig = field(default_factory=assembler_sampler)
    domain_candidates: int = CANDIDATES
    pose_tries: int = POSE_TRIES
    chain_candidates: int = CHAIN_CANDIDATES

    def __post_init__(self) -> None:
        """Refuse requests that are no assembly."""
        super().__post_init__()
        _check_domains(self.domain_candidates, self.layout_t)
        _check_poses(self.pose_tries, self.chain_candidates)
        if self.spec:
            return
        if self.contig and self.domain:
            raise UserError("--contig holds the domains; drop --domain (or drop --contig)")
        if len(self.domain) < 2 and not self.contig:
            raise UserError(
                f"assemble needs at least two domains, got {len(self.domain)};"
                " repeat --domain FILE[:SELECTION]"
            )
        self.jobs()

    def jobs(self) -> tuple[JobSpec, ...]:
        """Return the job of the flags, or those of the spec."""
        if self.spec:
            return read_spec(self.spec)
        domains = tuple(domain_of_text(text, self.mode) for text in self.domain)
        stems = "+".join(_label(domain) for domain in domains) or "contig"
        if len(stems) > _LONGEST_NAME:  # file names have an end; what is cut off still tells apart
            stems = f"{stems[:_LONGEST_NAME]}-{zlib.crc32(stems.encode()):08x}"
        return (
            JobSpec(
                name=self.name or stems,
                length=self.length,
                total_length=self.total_length,
                domains=domains or 2,
                linkers=self.linker,
                order=self.order,
                n=self.n,
                seed=self.seed,
                contacts=self.contacts,
                apart=self.apart,
                keep_pose=self.keep_pose,
                context=self.context,
                pass_budget=self.pass_budget,
                contig=self.contig,
                file=self.file,
                mode=self.mode,
            ),
        )


@dataclass(frozen=True)
class DesignConfig(RequestConfig):
    """Both stages: plan, generate, assemble, check, rank.

    Parameters
    ----------
    spec : str
        Specification file with named jobs; instead of the fields below.
    length : int, optional
        Residues of the whole chain, exactly.
    domains : int
        Number of domains.
    linker : tuple of str
        Lengths or ranges: one for all junctions or one each; empty for the default.
    order : str
        ``"fixed"``, ``"free"``, ``"all"``, or positions such as ``"2,1"``.
    poses : {"found", "noise"}
        Where assembly of given domains begins; see `AssembleConfig`.
    fold : {"", "alpha", "beta", "mixed"}
        Class of the domains' blueprints; empty: as natives have it, each a fifth at least.
    model : {"auto", "assembler", "assembler-aligned"}
        Weights of the assembler; "auto": the aligned ones where there are any.
    loop_tilt, strand_tilt : float
        Make loops of drawn blueprints shorter and strands longer; 0 is native.
    layout_t : float
        Time at which a domain begins from its layout; 1 begins at noise.
    layout_sampler, domain_sampler, assembler_sampler : SamplerConfig
        How layouts and the two stages are sampled.
    domain_candidates : int
        Domains drawn for every one kept (`proteinweaver.generation.choice`).
    pose_tries : int
        Found poses that designs take in turn; see `AssembleConfig`.
    chain_candidates : int
        Chains drawn for every one that is kept; see `AssembleConfig`.
    """

    spec: str = ""
    length: int | None = None
    domains: int = 2
    linker: tuple[str | int, ...] = ()
    order: str = "fixed"
    poses: PoseStart = "found"
    fold: Fold = ""
    model: AssemblerName = "auto"
    loop_tilt: float = LOOP_TILT
    strand_tilt: float = STRAND_TILT
    layout_t: float = LAYOUT_T
    layout_sampler: SamplerConfig = field(default_factory=layout_sampler)
    domain_sampler: SamplerConfig = field(default_factory=domain_sampler)
    assembler_sampler: SamplerConfig = field(default_factory=assembler_sampler)
    domain_candidates: int = CANDIDATES
    pose_tries: int = POSE_TRIES
    chain_candidates: int = CHAIN_CANDIDATES

    def __post_init__(self) -> None:
        """Refuse requests that are no design."""
        super().__post_init__()
        _check_domains(self.domain_candidates, self.layout_t)
        _check_poses(self.pose_tries, self.chain_candidates)
        if self.spec:
            return
        if self.length is None:
            raise UserError("nothing to design: give --length N (and --domains K) or a SPEC file")
        self.jobs()

    def jobs(self) -> tuple[JobSpec, ...]:
        """Return the job of the flags, or those of the spec with the run's seed."""
        if self.spec:
            return read_spec(self.spec)
        generated = (DomainSpec(fold=self.fold),) * self.domains if self.fold else self.domains
        return (
            JobSpec(
                name=self.name or f"d{self.domains}x{self.length}",
                length=self.length,
                domains=generated,
                linkers=self.linker,
                order=self.order,
                n=self.n,
                seed=self.seed,
            ),
        )


@dataclass(frozen=True)
class DiversifyConfig(RunConfig):
    """Variations of a chain: noise of time `partial_t` is added and taken away again.

    Parameters
    ----------
    input : str
        Structure file of one chain, ``file:selection`` included.
    partial_t : float
        Time of the noise, between 0 (nothing changes) and 1 (nothing is left).
    domain : tuple of str
        Ranges of the domains, such as ``"1-56"``, in the numbering of the file, ascending. By
        default those of the design's side file; without one, those that `split` finds.
    mode : {"rigid", "adapt", "free"}
        How far the insides of the domains may change.
    model : {"auto", "assembler", "assembler-aligned"}
        Weights of the assembler; "auto": the aligned ones where there are any.
    assembler_sampler : SamplerConfig
        How the chain is sampled.
    """

    input: str = ""
    partial_t: float = 0.3
    domain: tuple[str, ...] = ()
    mode: Mode = "adapt"
    model: AssemblerName = "auto"
    assembler_sampler: SamplerConfig = field(default_factory=assembler_sampler)

    def __post_init__(self) -> None:
        """Refuse what no file is needed to refuse."""
        super().__post_init__()
        if not self.input:
            raise UserError("nothing to vary: give a structure file")
        if not 0.05 <= self.partial_t < 1:
            raise UserError(
                f"partial_t is {self.partial_t:g}; give a time from 0.05 (hardly a change) to"
                " below 1 (nothing is left)"
            )


#: Letters of a job's name that is made from its domains.
_LONGEST_NAME = 120


def _check_domains(candidates: int, layout_t: float) -> None:
    if candidates < 1:
        raise UserError(f"domain_candidates is {candidates}; draw at least 1")
    if not 0.05 <= layout_t <= 1:
        raise UserError(f"layout_t is {layout_t}; give 0.05 to 1 (1: no layouts)")


def _check_poses(tries: int, candidates: int) -> None:
    if not 1 <= tries <= POSE_TRIES:
        raise UserError(f"pose_tries is {tries}; take 1 to {POSE_TRIES}")
    if candidates < 1:
        raise UserError(f"chain_candidates is {candidates}; draw at least 1")


def _label(domain: DomainSpec) -> str:
    """Name of a domain for file names: stem and selection, letters kept that are safe."""
    if domain.length:
        return f"new{domain.length}"
    name, _, selection = Path(domain.file or domain.library).name.partition(":")
    stem = name.split(".")[0] + selection
    safe = "".join(c if (c.isascii() and c.isalnum()) or c in "_-" else "-" for c in stem)
    return safe.strip("_-") or "domain"
