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
    facing:
      domains:
        - {name: left, file: x.pdb, select: A1-50, mode: rigid}
        - {name: right, file: x.pdb, select: A60-149, mode: rigid}
      contacts: [{a: "left:20-30", b: "right:80-90", max: 10}]

Residue ranges are 1-based, inclusive, in the numbering of the file's author. Every field is
described in docs/assembly.md.
"""

import itertools
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from proteinweaver.errors import UserError, nearest
from proteinweaver.io.contig import parse_contig
from proteinweaver.io.parts import (
    DomainSpec,
    Fold,
    LinkerSpec,
    Mode,
    domain_of_text,
    linker_of,
    parse_range,
    written_out,
)
from proteinweaver.io.typed import build
from proteinweaver.io.wishes import (
    ApartSpec,
    ContactSpec,
    PassBudget,
    read_apart,
    read_budget,
    read_contact,
)

__all__ = [
    "DomainSpec",
    "Fold",
    "JobSpec",
    "LinkerSpec",
    "Mode",
    "domain_of_text",
    "parse_range",
    "read_spec",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
#: Most domains of which all orders are made.
_ALL_ORDERS = 5


@dataclass(frozen=True)
class JobSpec:
    """What to design, without how to sample it.

    Parameters
    ----------
    name : str
        Part of every design's name, and key of its noise.
    length, total_length : int, optional
        Residues of the whole chain, exactly; two names of one field. Needed where a domain to
        generate has no length of its own.
    domains : int or tuple of DomainSpec
        Number of domains to generate, or the domains one by one, N- to C-terminal.
    linkers : tuple of LinkerSpec or int or str
        One for all junctions or one each; empty for the default.
    order : str or tuple of str
        ``"fixed"``; ``"free"`` (``"any"``; another order for every design); ``"all"`` (``n``
        designs of every order of up to five domains); or names or numbers, as a list or separated
        by commas.
    n : int
        Number of designs.
    seed : int, optional
        Overrides the seed of the run.
    contacts : tuple of ContactSpec or str
        Residues that are to come close.
    apart : tuple of ApartSpec or str
        Residues that are to stay away from one another.
    keep_pose : tuple of str
        Domains that stay relative to one another exactly as their files have them.
    context : str
        Structure file of a partner or ligand to be kept clear of, in the coordinates of the kept
        domains (without `keep_pose`: of the first given domain).
    pass_budget : PassBudget or str, optional
        ``"10/200"``: go on until 10 designs pass or 200 were tried, instead of `n`.
    contig : str
        Domains and linkers in one line, such as ``"A10-120/15/B5-90"``, instead of `domains` and
        `linkers` (`proteinweaver.io.contig`).
    file : str
        Structure file that the contig's chains are in.
    mode : {"rigid", "adapt", "free"}
        Of the contig's domains.
    """

    name: str = ""
    length: int | None = None
    total_length: int | None = None
    domains: int | tuple[DomainSpec, ...] = 2
    linkers: tuple[LinkerSpec | int | str, ...] = ()
    order: str | tuple[str | int, ...] = "fixed"
    n: int = 1
    seed: int | None = None
    contacts: tuple[ContactSpec | str, ...] = ()
    apart: tuple[ApartSpec | str, ...] = ()
    keep_pose: tuple[str | int, ...] = ()
    context: str = ""
    pass_budget: PassBudget | str | None = None
    contig: str = ""
    file: str = ""
    mode: Mode = "adapt"

    def __post_init__(self) -> None:
        """Refuse values that no file or model is needed to refuse."""
        label = f"job '{self.name}': " if self.name else ""
        if self.name and not _NAME.fullmatch(self.name):
            raise UserError(
                f"job name '{self.name}' is part of file names; use letters, digits and _ . + -"
            )
        if self.length is not None and self.total_length not in (None, self.length):
            raise UserError(
                f"{label}length is {self.length} and total_length {self.total_length};"
                " they are one field, drop one"
            )
        total = self.length if self.length is not None else self.total_length
        self._set("length", total)
        self._set("total_length", total)
        if total is not None and total < 1:
            raise UserError(f"{label}length is {total}; give at least 1 residue")
        if self.n < 1:
            raise UserError(f"{label}n is {self.n}; ask for at least 1 design")
        if self.contig or self.file:
            self._expand_contig(label)
        if isinstance(self.domains, int) and self.domains < 1:
            raise UserError(f"{label}domains is {self.domains}; give at least 1")
        if self.domains == ():
            raise UserError(f"{label}the list of domains is empty; give at least 1")
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise UserError(f"{label}seed is {self.seed}; give a number from 0 to 2^63 - 1")
        if not isinstance(self.domains, int):
            self._set("domains", tuple(written_out(self.domains)))
        self._check_names(label)
        self._check_linkers(label)
        self._check_wishes(label)
        self._check_order(label)

    def _set(self, field: str, value: Any) -> None:
        object.__setattr__(self, field, value)

    def _expand_contig(self, label: str) -> None:
        """Write the domains and linkers of a contig out, once."""
        if not self.contig:
            raise UserError(f"{label}file {self.file} without a contig; add 'contig' or 'domains'")
        contig = parse_contig(self.contig)
        domains = []
        for part in contig.domains:
            if part.is_given and not self.file:
                raise UserError(
                    f"{label}contig '{self.contig}' takes {part.selection} from a file; name it"
                    " with 'file'"
                )
            if part.is_given:
                domains.append(DomainSpec(file=self.file, select=part.selection, mode=self.mode))
                continue
            low, high = part.length
            if low != high:
                raise UserError(
                    f"{label}contig '{self.contig}' asks for a generated domain of {low}-{high}"
                    " residues; give one number (ranges are for linkers)"
                )
            domains.append(DomainSpec(length=low))
        linkers = tuple(LinkerSpec(f"{low}-{high}") for low, high in contig.linkers)
        if isinstance(self.domains, tuple) or self.linkers:
            raise UserError(
                f"{label}contig '{self.contig}' holds domains and linkers; drop 'domains' and"
                " 'linkers'"
            )
        self._set("domains", tuple(domains))
        self._set("linkers", linkers)
        for field in ("contig", "file"):  # written out; a copy of the job has nothing to expand
            self._set(field, "")

    def _check_names(self, label: str) -> None:
        names = [domain.name for domain in self.domain_specs if domain.name]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f"{label}two domains are named '{name}'; rename one")

    def _check_linkers(self, label: str) -> None:
        specs = tuple(linker_of(item) for item in self.linkers)
        for linker in specs:
            parse_range(linker.length, f"{label}linker")
        junctions = self.domain_count - 1
        if len(specs) > 1 and len(specs) != junctions:
            raise UserError(
                f"{label}{len(specs)} linkers for {self.domain_count} domains;"
                f" give one for all or {junctions}"
            )
        self._set("linkers", specs)

    def _check_wishes(self, label: str) -> None:
        self._set("contacts", tuple(read_contact(item) for item in self.contacts))
        self._set("apart", tuple(read_apart(item) for item in self.apart))
        self._set("pass_budget", read_budget(self.pass_budget))
        for wish in (*self.contacts, *self.apart):
            assert isinstance(wish, (ContactSpec, ApartSpec))
            for end in (wish.a, wish.b):
                self.position_of(end.partition(":")[0], f"{label}{wish}")
            if wish.a == wish.b:
                raise UserError(f"{label}{wish}: both ends are the same; name two")
        kept = [self.position_of(str(name), f"{label}keep_pose") for name in self.keep_pose]
        if len(set(kept)) != len(kept):
            raise UserError(f"{label}keep_pose names a domain twice; drop one")
        if len(kept) == 1:
            raise UserError(
                f"{label}keep_pose names one domain only; a pose is kept between two or more"
            )
        for place in kept:
            domain = self.domain_specs[place]
            if not domain.file:
                raise UserError(
                    f"{label}keep_pose: domain '{domain.name or place + 1}' comes from no file"
                    " and has no pose to keep; name domains of files"
                )
        if self.context and not any(domain.file for domain in self.domain_specs):
            raise UserError(
                f"{label}context {self.context} lies in the coordinates of a given domain, and"
                " there is none; give one with 'file'"
            )

    def _check_order(self, label: str) -> None:
        if self.order == "all" and self.domain_count > _ALL_ORDERS:
            raise UserError(
                f"{label}order 'all' of {self.domain_count} domains is"
                f" {math.factorial(self.domain_count)} orders; at most {_ALL_ORDERS} domains have"
                " all of theirs made, take 'free'"
            )
        try:
            self.order_positions()
        except UserError as error:
            raise UserError(f"{label}{error}") from None

    def position_of(self, name: str, where: str) -> int:
        """Find a domain by its name, or by its number from 1.

        Raises
        ------
        UserError
            If there is no such domain.
        """
        names = [domain.name for domain in self.domain_specs]
        if name in names and name:
            return names.index(name)
        if name.isdecimal() and 1 <= int(name) <= self.domain_count:
            return int(name) - 1
        known = [own or str(k) for k, own in enumerate(names, start=1)]
        raise UserError(f"{where}: no domain '{name}'; {nearest(name, known)}")

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

    @property
    def tries(self) -> int:
        """Designs to make at most: ``n`` (of every order), or as many as the budget tries."""
        if isinstance(self.pass_budget, PassBudget):
            return self.pass_budget.tried
        return self.n * (math.factorial(self.domain_count) if self.order == "all" else 1)

    def linker_specs(self, default: tuple[int, int]) -> tuple[LinkerSpec, ...]:
        """Linkers one by one, N- to C-terminal.

        Parameters
        ----------
        default : tuple of int
            Bounds where the job names none.
        """
        junctions = self.domain_count - 1
        specs = tuple(linker_of(item) for item in self.linkers)
        specs = specs or (LinkerSpec(f"{default[0]}-{default[1]}"),)
        return specs * junctions if len(specs) == 1 else specs

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
        return tuple(linker.bounds for linker in self.linker_specs(default))

    def order_positions(self, index: int = 0) -> tuple[int, ...] | None:
        """Read the order of a design.

        Parameters
        ----------
        index : int
            Number of the design; where all orders are made they take turns.

        Returns
        -------
        tuple of int or None
            0-based domain at every place along the chain; None where each design draws its own.

        Raises
        ------
        UserError
            If it is no order of the domains.
        """
        count = self.domain_count
        if self.order == "fixed":
            return tuple(range(count))
        if self.order in ("any", "free"):
            return None
        if self.order == "all":
            orders = math.factorial(count)
            return next(
                itertools.islice(itertools.permutations(range(count)), index % orders, None)
            )
        named = self.order.split(",") if isinstance(self.order, str) else self.order
        words = [str(word).strip() for word in named]
        shown = ",".join(words)
        if len(words) == 1 and count > 1:
            raise UserError(
                f"order '{shown}' is not 'fixed', 'free', 'all' or the names or numbers of the"
                f" {count} domains, each once, such as '2,1'"
            )
        places = tuple(self.position_of(word, f"order '{shown}'") for word in words)
        if sorted(places) != list(range(count)):
            raise UserError(
                f"order '{shown}' does not name each of the {count} domains once; list all of"
                " them, such as '2,1'"
            )
        return places


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
    jobs: list[JobSpec] = []
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
        if any(job.name == earlier.name for earlier in jobs):
            raise UserError(f"{file}: two jobs are named '{job.name}'; their files would be mixed")
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
    context = str(folder / job.context) if job.context else ""
    if isinstance(job.domains, int):
        return replace(job, context=context)
    domains = tuple(
        replace(
            domain,
            file=str(folder / domain.file) if domain.file else "",
            library=str(folder / domain.library) if domain.library else "",
        )
        for domain in job.domains
    )
    return replace(job, domains=domains, context=context)
