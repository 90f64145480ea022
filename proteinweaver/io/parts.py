"""Domains and linkers of a design request, one by one: the parts of `proteinweaver.io.spec`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from proteinweaver.errors import UserError
from proteinweaver.structure.residues import NAMES1

__all__ = [
    "DomainSpec",
    "Fold",
    "LinkerSpec",
    "Mode",
    "domain_of_text",
    "linker_of",
    "parse_range",
    "written_out",
]

#: How far the inside of a given domain may change: not at all, a little, freely.
Mode = Literal["rigid", "adapt", "free"]
#: Fold class of a generated domain.
Fold = Literal["", "alpha", "beta", "mixed"]

#: Length of a linker that says nothing of it.
DEFAULT_LENGTH = "10-20"

_DOMAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LINKER_SS = re.compile(r"([HEL]\d*[\s,]*)+", re.I)


@dataclass(frozen=True)
class DomainSpec:
    """One domain of a job: given by a file, drawn from a library, or to be generated.

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
        Class of the blueprint that is drawn where none is given; empty: as natives have it, each a
        fifth at least.
    name : str, optional
        Label in the side file; what wishes and orders call it.
    library : str, optional
        Folder of structure files, of which every design draws one.
    group : int, optional
        Domains of one group were given in one coordinate system and start from their relative
        pose (`JobSpec.keep_pose` keeps it exactly).
    repeat : int, optional
        How many times the domain comes in a row; copies of a named one are NAME.1, NAME.2, ...
    """

    file: str = ""
    select: str = ""
    mode: Mode = "adapt"
    length: int | None = None
    blueprint: str = ""
    fold: Fold = ""
    name: str = ""
    library: str = ""
    group: int | None = None
    repeat: int = 1

    def __post_init__(self) -> None:
        """Refuse contradictions."""
        origin = self.file or self.library
        if self.file and self.library:
            raise UserError(f"domain {self.file}: give 'file' or 'library', not both")
        for key in ("length", "blueprint", "fold"):
            if origin and getattr(self, key):
                raise UserError(
                    f"domain {origin}: '{key}' is for generated domains; drop '{key}' or"
                    f" '{'file' if self.file else 'library'}'"
                )
        if self.select and not self.file:
            raise UserError(f"domain with select '{self.select}' names no file; add 'file'")
        if self.length is not None and self.length < 1:
            raise UserError(f"domain of length {self.length}: give at least 1 residue")
        if self.repeat < 1:
            raise UserError(
                f"domain {origin or self.name}: repeat is {self.repeat}; give 1 or more"
            )
        if self.name and not _DOMAIN_NAME.fullmatch(self.name):
            raise UserError(
                f"domain name '{self.name}' does not begin with a letter or holds more than"
                " letters, digits and _ . -; rename it"
            )
        if self.group is not None and not self.file:
            raise UserError(
                f"domain {self.name or origin or 'to generate'}: group {self.group} needs a pose"
                " to share; only domains of a 'file' have one"
            )

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
        Residues, a number or an inclusive range such as ``"10-20"``; 0 joins two domains directly.
    ss : str
        Secondary structure: H, E or L for all of it, or residue by residue such as ``"L2 H10
        L2"``; empty: nothing asked.
    sequence : str
        Its residues, one-letter codes such as ``"GGSGGS"`` (X: open); they fix the length.
    """

    length: int | str = DEFAULT_LENGTH
    ss: str = ""
    sequence: str = ""

    def __post_init__(self) -> None:
        """Refuse a sequence or a secondary structure that does not fit the length."""
        low, high = parse_range(self.length, "linker")
        if self.sequence:
            if not set(self.sequence.upper()) <= set(NAMES1):
                raise UserError(
                    f"linker sequence '{self.sequence}' holds more than the one-letter codes"
                    f" {NAMES1}"
                )
            if self.length != DEFAULT_LENGTH and not low <= len(self.sequence) <= high:
                raise UserError(
                    f"linker sequence '{self.sequence}' has {len(self.sequence)} residues, its"
                    f" length says {self.length}; make them agree"
                )
            low = high = len(self.sequence)
        if not self.ss:
            return
        if not _LINKER_SS.fullmatch(self.ss.strip()):
            raise UserError(
                f"linker ss '{self.ss}' is not H, E or L, or runs of these such as 'L2 H10 L2'"
            )
        if high == 0:
            raise UserError(f"linker of 0 residues cannot have ss '{self.ss}'; drop one of them")
        if (count := self._ss_residues) and not low <= count <= high:
            raise UserError(
                f"linker ss '{self.ss}' has {count} residues, its"
                f" {'sequence' if self.sequence else 'length'} says"
                f" {self.sequence or self.length}; make them agree"
            )

    @property
    def _ss_residues(self) -> int:
        """Residues that the secondary structure fixes; 0 if it goes with any length."""
        runs = re.findall(r"([HEL])(\d*)", self.ss.upper())
        return 0 if len(runs) == 1 and not runs[0][1] else sum(int(n or 1) for _, n in runs)

    @property
    def bounds(self) -> tuple[int, int]:
        """Shortest and longest allowed length."""
        count = len(self.sequence) or self._ss_residues
        return (count, count) if count else parse_range(self.length, "linker")

    def ss_string(self, length: int) -> str:
        """Secondary structure of a linker of ``length`` residues, one letter each, ``?`` open."""
        if not self.ss:
            return "?" * length
        runs = re.findall(r"([HEL])(\d*)", self.ss.upper())
        if not self._ss_residues:
            return str(runs[0][0]) * length
        return "".join(letter * int(n or 1) for letter, n in runs)

    def residues(self, length: int) -> str:
        """One-letter codes of a linker of ``length`` residues, ``X`` open."""
        return self.sequence.upper() or "X" * length


def domain_of_text(text: str, mode: Mode = "adapt") -> DomainSpec:
    """Read a domain as the command line words it.

    Parameters
    ----------
    text : str
        ``[NAME=]FILE[:SELECTION]``, ``[NAME=]FOLDER`` (a library) or ``[NAME=]LENGTH`` (one to
        generate).
    mode : {"rigid", "adapt", "free"}
        Of the domain.

    Returns
    -------
    DomainSpec
    """
    name, rest = "", text
    head, equals, tail = text.partition("=")
    if equals and _DOMAIN_NAME.fullmatch(head):
        name, rest = head, tail
    if rest.isdecimal():
        return DomainSpec(length=int(rest), mode=mode, name=name)
    if Path(rest).expanduser().is_dir():
        return DomainSpec(library=rest, mode=mode, name=name)
    return DomainSpec(file=rest, mode=mode, name=name)


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


def written_out(domains: Iterable[DomainSpec]) -> list[DomainSpec]:
    """Write repeated domains out, each copy a domain of its own."""
    found = []
    for domain in domains:
        for copy in range(1, domain.repeat + 1):
            name = f"{domain.name}.{copy}" if domain.name and domain.repeat > 1 else domain.name
            found.append(replace(domain, name=name, repeat=1))
    return found


def linker_of(item: LinkerSpec | int | str) -> LinkerSpec:
    """Read a linker; text is ``"10-20"``, ``"12:H"`` (secondary structure) or ``"GGSGGS"``."""
    if isinstance(item, str) and item.isalpha() and item.isupper():
        return LinkerSpec(sequence=item)
    if isinstance(item, str) and ":" in item:
        length, _, ss = item.partition(":")
        return LinkerSpec(length, ss)
    return item if isinstance(item, LinkerSpec) else LinkerSpec(item)
