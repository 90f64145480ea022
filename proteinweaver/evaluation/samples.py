"""Structures to evaluate: which files there are, and what each holds.

A path is a run folder of ours (its ``designs/``; side files tell domains and inputs), any folder
of structure files (else its sub-folders), or one file. Files are told by their endings; anything
else in a folder is passed over and counted. A file that cannot be read becomes a `Sample` with an
error: one bad file never ends an evaluation.

*Gaps and breaks.* Where two residues are not bonded, a jump in the author's numbering or a new
chain says that residues are missing: a gap, which is not judged. Without a jump it is a break,
which is. Files of ours are numbered without jumps; their side files tell the gaps.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proteinweaver.errors import UserError
from proteinweaver.io.read import STRUCTURE_SUFFIXES, read_structure, stem_of
from proteinweaver.structure.backbone import Backbone

__all__ = ["MOST_RESIDUES", "WIDEST", "Entry", "Sample", "find_entries", "read_sample"]

MOST_RESIDUES = 6000
"""Residues above which a structure is not measured: tables of all pairs would not fit memory."""

WIDEST = 20_000.0
"""Width above which coordinates cannot be meant in angstrom: that of a whole PDB file."""

_SUFFIXES = tuple(suffix + end for suffix in STRUCTURE_SUFFIXES for end in ("", ".gz"))


@dataclass(frozen=True)
class Entry:
    """One file to evaluate.

    Parameters
    ----------
    set : str
        Name of the set, after the path it was found under.
    name : str
        Name of the design, unique in its set.
    file : Path
        The structure file.
    side : Path, optional
        The JSON of ours beside it.
    """

    set: str
    name: str
    file: Path
    side: Path | None = None

    def digest(self) -> str:
        """Hash of everything that decides the numbers: name, file, side file, input domains."""
        total = hashlib.sha256(self.name.encode())  # predictions are found by name
        for path in (self.file, self.side, *self.part_files().values()):
            if path is not None:
                try:
                    total.update(hashlib.sha256(path.read_bytes()).digest())
                except OSError as error:
                    total.update(str(error).encode())
        return total.hexdigest()

    def part_files(self) -> dict[int, Path]:
        """Files of the domains as they entered the assembly, by number from 1."""
        if self.side is None:
            return {}
        stem = f"{self.side.stem}_d"
        found = {}
        for path in sorted((self.side.parent.parent / "domains").glob(f"{stem}*")):
            number = stem_of(path)[len(stem) :]
            if path.name.endswith(_SUFFIXES) and number.isdecimal():
                found[int(number)] = path
        return found


@dataclass(frozen=True)
class Sample:
    """One structure, or why there is none.

    Parameters
    ----------
    entry : Entry
        Where it comes from.
    backbone : Backbone, optional
        All its protein chains, with domain labels where a side file tells them; N, C and O are NaN
        in a model of CA alone.
    gap : ndarray, dtype=bool, shape=(L,)
        True where residues are known to be missing before the next one, or a chain ends.
    inputs : ndarray, dtype=float64, shape=(L, 4, 3), optional
        The domains as they entered the assembly, each in its own pose; NaN elsewhere.
    notes : tuple of str
        What the reader decided.
    facts : mapping of str to str
        What the side file tells: sources and lengths of domains and linkers.
    error : str
        Why there is no backbone.
    """

    entry: Entry
    backbone: Backbone | None
    gap: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    inputs: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


def find_entries(paths: Iterable[str | Path]) -> tuple[list[Entry], int]:
    """Find the files of all paths.

    Parameters
    ----------
    paths : iterable of path-like
        Run folders, folders of structure files, files.

    Returns
    -------
    entries : list of Entry
        In the order of the paths, then of the names.
    ignored : int
        Files in the folders that are no structure files by their ending.

    Raises
    ------
    UserError
        If a path does not exist or holds no structure file.
    """
    places = [Path(path) for path in paths]
    entries: list[Entry] = []
    ignored = 0
    for label, place in zip(_labels(places), places, strict=True):
        if place.is_dir():
            files, others = _files_of(place)
            ignored += others
            if not files:
                raise UserError(f"{place}: no PDB or mmCIF file in it; give a folder of designs")
        elif place.is_file():
            files = [place]
        else:
            raise UserError(f"{place}: no such file or folder")
        entries += _entries(label, place, files)
    return entries, ignored


def _labels(places: Sequence[Path]) -> list[str]:
    """Short names of the paths, whole ones where short ones repeat."""
    short = [(p if p.name else p.resolve()).name or str(p) for p in places]
    return [
        name if short.count(name) == 1 else str(place)
        for name, place in zip(short, places, strict=True)
    ]


def _files_of(folder: Path) -> tuple[list[Path], int]:
    """Structure files of a folder, else of its sub-folders, and the number of other files."""
    if (folder / "designs").is_dir():
        folder = folder / "designs"
    try:
        inside = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror or error})") from None
    files = [entry for entry in inside if entry.is_file()]
    found = [file for file in files if file.name.lower().endswith(_SUFFIXES)]
    sides = {stem_of(file) for file in found}
    others = [f for f in files if f not in found and not (f.suffix == ".json" and f.stem in sides)]
    count = len(others)
    if not found:
        for sub in inside:
            if sub.is_dir():
                below, below_others = _files_of(sub)
                found += below
                count += below_others
    return found, count


def _entries(label: str, place: Path, files: Sequence[Path]) -> list[Entry]:
    names = [stem_of(file) for file in files]
    out = []
    for name, file in zip(names, files, strict=True):
        side = file.with_name(f"{stem_of(file)}.json")
        if names.count(name) > 1:
            name = str(file.relative_to(place))
        out.append(Entry(label, name, file, side if side.is_file() else None))
    return out


def read_sample(entry: Entry) -> Sample:
    """Read one structure.

    Parameters
    ----------
    entry : Entry
        The file.

    Returns
    -------
    Sample
        With an error where it cannot be read; never raises for what a file holds.
    """
    try:
        with np.errstate(over="ignore"):  # coordinates beyond single precision are refused below
            structure = read_structure(entry.file, allow_ca_only=True)
        told = _read_side(entry)
    except UserError as error:
        return Sample(entry, None, error=str(error).removeprefix(f"{entry.file}: "))
    except Exception as error:  # one odd file among thousands must not end the run
        return Sample(entry, None, error=f"{type(error).__name__}: {error}")
    if len(structure.backbone) > MOST_RESIDUES:
        large = f"{len(structure.backbone)} residues; at most {MOST_RESIDUES} are measured"
        return Sample(entry, None, error=f"{large}; give its chains in files of their own")
    ca = structure.backbone.ca.astype(np.float64)
    if np.isinf(structure.backbone.coord).any() or np.ptp(ca, axis=0).max() > WIDEST:
        wide = f"wider than {WIDEST:.0f} A; its coordinates cannot be in angstrom"
        return Sample(entry, None, error=wide)
    backbone = structure.backbone.replace(name=entry.name)
    notes = [note.text for note in structure.notes]
    facts: dict[str, str] = {}
    inputs = None
    gap = _gaps(backbone)
    if told and int(told.get("length", -1)) == len(backbone):
        segments = told["plan"]["segments"]
        backbone = backbone.replace(domain=_domain_labels(len(backbone), segments))
        gap = np.zeros(len(backbone), dtype=np.bool_)
        gap[[int(i) - 1 for i in told.get("breaks_after", [])]] = True
        facts = _facts(segments)
        inputs, complaint = _inputs(entry, backbone)
        notes += complaint
    elif told:
        notes.append("the side file tells another length; it is not used")
    return Sample(entry, backbone, gap, inputs, tuple(notes), facts)


def _read_side(entry: Entry) -> dict[str, Any]:
    """Content of the side file; empty where it is not one of ours."""
    if entry.side is None:
        return {}
    try:
        told = json.loads(entry.side.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    ours = isinstance(told, dict) and isinstance(told.get("plan"), dict)
    return told if ours and "segments" in told["plan"] else {}


def _gaps(backbone: Backbone) -> NDArray[np.bool_]:
    """Mark breaks at which the chain ends or the author's numbers jump."""
    gap = np.zeros(len(backbone), dtype=np.bool_)
    number, chain = backbone.resnum, backbone.chain
    step = np.diff(number)
    inserted = (step == 0) & (backbone.icode[1:] != backbone.icode[:-1])
    jump = (chain[1:] != chain[:-1]) | ((step != 1) & ~inserted)
    gap[:-1] = backbone.break_after[:-1] & jump
    return gap


def _domain_labels(length: int, segments: Sequence[Mapping[str, Any]]) -> NDArray[np.int16]:
    label = np.zeros(length, dtype=np.int16)
    for segment in segments:
        if segment["kind"] == "domain":
            label[int(segment["first"]) - 1 : int(segment["last"])] = int(segment["domain"])
    return label


def _facts(segments: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    def lengths(kind: str) -> str:
        return ";".join(
            str(int(s["last"]) - int(s["first"]) + 1) for s in segments if s["kind"] == kind
        )

    sources = (Path(str(s.get("source", ""))).name for s in segments if s["kind"] == "domain")
    return {
        "domain_sources": ";".join(sources),
        "domain_lengths": lengths("domain"),
        "linker_lengths": lengths("linker"),
    }


def _inputs(entry: Entry, backbone: Backbone) -> tuple[NDArray[np.float64] | None, list[str]]:
    """Lay the given domains out along the chain; none unless every domain has its file."""
    label = backbone.domain
    names = [int(name) for name in np.unique(label[label > 0])]
    files = entry.part_files()
    if len(names) < 2 or not files:
        return None, []
    laid = np.full((len(backbone), 4, 3), np.nan)
    for name in names:
        if name not in files:
            return None, [f"no file of input domain {name}; drift is not measured"]
        part = read_structure(files[name], allow_ca_only=True).backbone
        if len(part) != int((label == name).sum()):
            return None, [f"input domain {name} has another length; drift is not measured"]
        laid[label == name] = part.coord
    return laid, []
