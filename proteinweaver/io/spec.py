"""Design specifications: named jobs in a YAML or JSON file, fields as on the command line.

::

    pair:                                   # job name: in every design's name, key of its noise
      domains:
        - {file: a.pdb, select: A10-120}    # a given domain; paths are relative to this file
        - {length: 90}                      # a domain to generate
      linkers: [{length: 10-20}]
      n: 4
    three:
      length: 300
      domains: 3
      n: 8

Residue ranges are 1-based, inclusive, in the numbering of the file's author.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from proteinweaver.errors import UserError
from proteinweaver.io.typed import build

__all__ = ["DomainSpec", "Fold", "JobSpec", "LinkerSpec", "Mode", "parse_range", "read_spec"]

#: How far the inside of a given domain may change: not at all, a little, freely.
Mode = Literal["rigid", "adapt", "free"]
#: Fold class of a generated domain.
Fold = Literal["", "alpha", "beta", "mixed"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


@dataclass(frozen=True)
class DomainSpec:
    """One domain of a job: given by a file, or to be generated.

    Parameters
    ----------
    file : str, optional
        Structure file of a given domain, ``file:selection`` included; empty for a generated one.
    select : str, optional
        Part of the file, such as ``"A"`` or ``"A10-120"``, instead of one in `file`.
    mode : {"rigid", "adapt", "free"}, optional
        How far the inside of a given domain may change.
    length : int, optional
        Residues of a generated domain; by default its share of the job's length.
    blueprint : str, optional
        Secondary structure of a generated domain, such as ``"L3 H14 L3 E6"``; it fixes the length.
    fold : {"", "alpha", "beta", "mixed"}, optional
        Class of the blueprint that is drawn where none is given; empty: as natives have it.
    name : str, optional
        Label in the side file.
    """

    file: str = ""
    select: str = ""
    mode: Mode = "adapt"
    length: int | None = None
    blueprint: str = ""
    fold: Fold = ""
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse contradictions."""
        for key in ("length", "blueprint", "fold"):
            if self.file and getattr(self, key):
                raise UserError(
                    f"domain {self.file}: '{key}' is for generated domains; drop '{key}' or 'file'"
                )
        if self.select and not self.file:
            raise UserError(f"domain with select '{self.select}' names no file; add 'file'")
        if self.length is not None and self.length < 1:
            raise UserError(f"domain of length {self.length}: give at least 1 residue")

    @property
    def source(self) -> str:
        """File and selection as one text, ``file:A10-120``; empty for a generated domain."""
        return f"{self.file}:{self.select}" if self.select else self.file


@dataclass(frozen=True)
class LinkerSpec:
    """One linker of a job.

    Parameters
    ----------
    length : int or str
        Residues, a number or an inclusive range such as ``"10-20"``.
    """

    length: int | str = "10-20"

    @property
    def bounds(self) -> tuple[int, int]:
        """Shortest and longest allowed length."""
        return parse_range(self.length, "linker")


@dataclass(frozen=True)
class JobSpec:
    """What to design, without how to sample it.

    Parameters
    ----------
    name : str
        Part of every design's name, and key of its noise.
    length : int, optional
        Residues of the whole chain. Needed where a domain to generate has no length of its own.
    domains : int or tuple of DomainSpec
        Number of domains to generate, or the domains one by one, N- to C-terminal.
    linkers : tuple of LinkerSpec or int or str
        One for all junctions or one each; empty for the default.
    order : str
        ``"fixed"``, ``"any"`` (another order for every design), or positions such as ``"2,1,3"``.
    n : int
        Number of designs.
    seed : int, optional
        Overrides the seed of the run.
    """

    name: str = ""
    length: int | None = None
    domains: int | tuple[DomainSpec, ...] = 2
    linkers: tuple[LinkerSpec | int | str, ...] = ()
    order: str = "fixed"
    n: int = 1
    seed: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that no file or model is needed to refuse."""
        label = f"job '{self.name}': " if self.name else ""
        if self.name and not _NAME.fullmatch(self.name):
            raise UserError(
                f"job name '{self.name}' is part of file names; use letters, digits and _ . + -"
            )
        if self.length is not None and self.length < 1:
            raise UserError(f"{label}length is {self.length}; give at least 1 residue")
        if self.n < 1:
            raise UserError(f"{label}n is {self.n}; ask for at least 1 design")
        if isinstance(self.domains, int) and self.domains < 1:
            raise UserError(f"{label}domains is {self.domains}; give at least 1")
        if self.domains == ():
            raise UserError(f"{label}the list of domains is empty; give at least 1")
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise UserError(f"{label}seed is {self.seed}; give a number from 0 to 2^63 - 1")
        self._check_linkers(label)
        self.order_positions()

    def _check_linkers(self, label: str) -> None:
        specs = tuple(_linker(item) for item in self.linkers)
        for linker in specs:
            parse_range(linker.length, f"{label}linker")
        junctions = self.domain_count - 1
        if len(specs) > 1 and len(specs) != junctions:
            raise UserError(
                f"{label}{len(specs)} linkers for {self.domain_count} domains;"
                f" give one for all or {junctions}"
            )
        object.__setattr__(self, "linkers", specs)

    @property
    def domain_count(self) -> int:
        """Number of domains."""
        return self.domains if isinstance(self.domains, int) else len(self.domains)

    @property
    def domain_specs(self) -> tuple[DomainSpec, ...]:
        """The domains one by one."""
        if isinstance(self.domains, int):
            return (DomainSpec(),) * self.domains
        return self.domains

    def linker_bounds(self, default: tuple[int, int]) -> tuple[tuple[int, int], ...]:
        """Shortest and longest length of every linker.

        Parameters
        ----------
        default : tuple of int
            Bounds where the job names none.

        Returns
        -------
        tuple of tuple of int
            One pair for each junction.
        """
        junctions = self.domain_count - 1
        bounds = tuple(_linker(item).bounds for item in self.linkers) or (default,)
        return bounds * junctions if len(bounds) == 1 else bounds

    def order_positions(self) -> tuple[int, ...] | None:
        """Read the order.

        Returns
        -------
        tuple of int or None
            0-based domain at every place along the chain; None where each design draws its own.

        Raises
        ------
        UserError
            If it is none of the three forms.
        """
        count = self.domain_count
        if self.order == "fixed":
            return tuple(range(count))
        if self.order == "any":
            return None
        try:
            places = tuple(int(part) - 1 for part in self.order.split(","))
        except ValueError:
            places = ()
        if sorted(places) != list(range(count)):
            raise UserError(
                f"order '{self.order}' is not 'fixed', 'any' or the numbers 1 to {count},"
                " each once, such as '2,1'"
            )
        return places


def parse_range(value: int | str, what: str) -> tuple[int, int]:
    """Read a length or an inclusive range of lengths.

    Parameters
    ----------
    value : int or str
        ``12``, ``"12"`` or ``"10-20"``.
    what : str
        What the range is of, for messages.

    Returns
    -------
    low, high : int
        Bounds, both inclusive.

    Raises
    ------
    UserError
        If it is no range of counts, or runs backwards.

    Examples
    --------
    >>> parse_range("10-20", "linker")
    (10, 20)
    """
    match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", str(value))
    if not match:
        raise UserError(f"{what} length '{value}' is not a number or a range such as 10-20")
    low = int(match[1])
    high = int(match[2] or match[1])
    if low > high:
        raise UserError(f"{what} range '{value}' runs backwards; write {high}-{low}")
    return low, high


def read_spec(path: str | Path) -> tuple[JobSpec, ...]:
    """Read the jobs of a specification file.

    Parameters
    ----------
    path : path-like
        YAML (``.yaml``, ``.yml``) or JSON (``.json``).

    Returns
    -------
    tuple of JobSpec
        In the order of the file; file names are resolved against the folder of `path`.

    Raises
    ------
    UserError
        If the file cannot be read or parsed, or has an unknown field.
    """
    file = Path(path)
    data = _parse(file)
    if not isinstance(data, Mapping) or not data:
        raise UserError(
            f"{file}: expected job names with their fields, such as 'a: {{length: 200}}'"
        )
    jobs = []
    for name, fields in data.items():
        where = f"{file}: job '{name}'"
        if not isinstance(fields, Mapping):
            raise UserError(
                f"{where} is {fields!r}, not a group of fields such as {{length: 200}}"
            )
        try:
            job = build(JobSpec, {"name": str(name), **fields}, where)
        except UserError as error:
            text = str(error)
            raise UserError(text if text.startswith(str(file)) else f"{file}: {text}") from None
        jobs.append(_rooted(job, file.parent))
    return tuple(jobs)


def _parse(file: Path) -> Any:
    if file.suffix not in {".yaml", ".yml", ".json"}:
        raise UserError(f"{file}: a design spec ends in .yaml, .yml or .json")
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".json":
            return json.loads(text, object_pairs_hook=_unique)
        return yaml.load(text, Loader=_UniqueLoader)
    except OSError as error:
        raise UserError(f"cannot read spec {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{file} is not a text file; give a YAML or JSON spec") from None
    except (yaml.YAMLError, json.JSONDecodeError) as error:
        raise UserError(f"{file} does not parse: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a mapping, refusing a name that comes twice (both parsers would drop the first)."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise UserError(f"'{key}' stands twice in the spec; rename or drop one")
        found[key] = value
    return found


class _UniqueLoader(yaml.SafeLoader):  # type: ignore[misc, unused-ignore] # without stubs
    """YAML's safe subset, without repeated keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping, refusing a repeated key."""
        self.flatten_mapping(node)
        pairs = [
            (self.construct_object(key, True), self.construct_object(value, True))
            for key, value in node.value
        ]
        return _unique(pairs)


def _rooted(job: JobSpec, folder: Path) -> JobSpec:
    if isinstance(job.domains, int):
        return job
    domains = tuple(
        replace(domain, file=str(folder / domain.file)) if domain.file else domain
        for domain in job.domains
    )
    return replace(job, domains=domains)


def _linker(item: LinkerSpec | int | str) -> LinkerSpec:
    return item if isinstance(item, LinkerSpec) else LinkerSpec(item)
