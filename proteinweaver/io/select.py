"""Naming a file and part of it: ``file``, ``file:A``, ``file:A10-120``, ``file:A10-50,A60-120``.

Grammar of a selection, terms separated by commas, each term one of

    CHAIN                 a whole chain, ``A``
    CHAIN FIRST - LAST    residues by author number, both ends included, ``A10-120``
    CHAIN NUMBER          one residue, ``A10``
    FIRST - LAST          the same in a file with a single chain, ``10-120``

A number may be negative (``A-5-10``) and carry an insertion code (``A10A-120``). An end without an
insertion code takes in every residue of that number, inserted ones included. A colon may separate
chain and numbers (``A:10-120``), which is only needed where chain names could be read in two ways,
such as chains ``A`` and ``A1`` in one file. Terms are listed in the order of the file and do not
overlap; chain names are the author's.

A file name may contain colons: the longest part of the text that is a file is the file.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proteinweaver.errors import UserError
from proteinweaver.structure.backbone import Backbone

__all__ = ["FileSelection", "select_positions", "select_residues", "selection_of", "split_spec"]

_NUMBER = r"(-?\d+)([A-Za-z]?)"
_RANGE = re.compile(rf"{_NUMBER}(?:-{_NUMBER})?")


@dataclass(frozen=True)
class FileSelection:
    """A file and the part of it that is meant; an empty `selection` is all of it."""

    path: Path
    selection: str

    def __str__(self) -> str:
        return f"{self.path}:{self.selection}" if self.selection else str(self.path)


@dataclass(frozen=True)
class _Range:
    chain: str
    first: tuple[int, str] | None  # number, insertion code; None for the whole chain
    last: tuple[int, str] | None


def split_spec(spec: str | Path) -> FileSelection:
    """Separate the file name from the selection.

    Parameters
    ----------
    spec : str or Path
        ``file`` or ``file:selection``. A `Path` is always a whole file.

    Returns
    -------
    parts : FileSelection

    Raises
    ------
    UserError
        If no part of the text is an existing file.
    """
    if isinstance(spec, Path):
        return FileSelection(_existing(spec, str(spec)), "")
    text = spec.strip()
    if not text:
        raise UserError("no file given: write FILE, FILE:CHAIN or FILE:A10-120")
    cuts = [len(text), *(match.start() for match in reversed(list(re.finditer(":", text))))]
    for cut in cuts:
        path = Path(text[:cut]).expanduser()
        if cut > 0 and _is_file(path):
            selection = text[cut + 1 :].strip()
            if cut < len(text) and not selection:
                raise UserError(
                    f"{text}: nothing after the colon; write {path}:A or {path}:A10-120"
                )
            return FileSelection(path, selection)
    head = text[: cuts[1]] if len(cuts) > 1 and cuts[1] > 0 else text
    return FileSelection(_existing(Path(head).expanduser(), text), "")


def select_residues(backbone: Backbone, selection: str, where: str) -> Backbone:
    """Return the selected residues of a backbone.

    Parameters
    ----------
    backbone : Backbone
        All chains of a file.
    selection : str
        See the module; empty selects everything.
    where : str
        Name of the file, for messages.

    Returns
    -------
    backbone : Backbone

    Raises
    ------
    UserError
        If the selection cannot be read or names what the file does not have; the message says
        what there is.
    """
    if not selection.strip():
        return backbone
    taken = np.zeros(len(backbone), dtype=np.bool_)
    taken[select_positions(backbone, selection, where)] = True
    return backbone.subset(taken)


def select_positions(backbone: Backbone, selection: str, where: str) -> NDArray[np.int64]:
    """Return the positions of the selected residues.

    Parameters
    ----------
    backbone, selection, where
        See `select_residues`; the selection is not empty.

    Returns
    -------
    ndarray, dtype=int64, shape=(n,)
        Ascending, from 0.

    Raises
    ------
    UserError
        As `select_residues`.
    """
    taken = np.zeros(len(backbone), dtype=np.bool_)
    end = -1
    for term in selection.split(","):
        wanted = _resolve(term.strip(), backbone, where)
        index = _positions(wanted, term.strip(), backbone, where)
        if taken[index].any():
            raise UserError(
                f"{where}: {term.strip()!r} overlaps an earlier range of {selection!r}"
            )
        if index[0] < end:
            raise UserError(f"{where}: list the ranges of {selection!r} in the order of the file")
        end = int(index[-1])
        taken[index] = True
    return np.flatnonzero(taken)


def selection_of(backbone: Backbone, ranges: Sequence[tuple[int, int]]) -> str:
    """Word stretches of residues as a selection.

    Parameters
    ----------
    backbone : Backbone
        The residues of a file.
    ranges : sequence of (start, stop)
        Positions from 0, half open, each within one chain.

    Returns
    -------
    str
        Such as ``"A10-50,A60-120"``.
    """

    def end(i: int) -> str:
        return f"{int(backbone.resnum[i])}{backbone.icode[i]}"

    return ",".join(
        f"{backbone.chain[start]}{end(start)}-{end(stop - 1)}" for start, stop in ranges
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _existing(path: Path, text: str) -> Path:
    """Return `path` if it is a file, else say what is the matter with it."""
    if _is_file(path):
        return path
    try:
        is_folder = path.is_dir()
        exists = is_folder or path.exists()
    except (OSError, ValueError):
        is_folder = exists = False
    if is_folder:
        raise UserError(f"{text}: {path} is a folder; name a structure file")
    if exists:
        raise UserError(f"{text}: {path} is not a regular file")
    raise UserError(f"{text}: no such file; check the path")


def _resolve(term: str, backbone: Backbone, where: str) -> _Range:
    """Read one term, by the chains that are there."""
    chains = backbone.chain_names
    readings: list[_Range] = []
    if term in chains:
        readings.append(_Range(term, None, None))
    for chain in chains:
        for head in (chain, f"{chain}:"):
            numbers = _RANGE.fullmatch(term.removeprefix(head)) if term.startswith(head) else None
            if numbers and (chain or len(chains) == 1):
                readings.append(_range(chain, numbers))
    # also beside "10-120 of chain 1": a chain may be named by a digit
    if len(chains) == 1 and chains[0] and (numbers := _RANGE.fullmatch(term)):
        readings.append(_range(chains[0], numbers))
    if len(readings) == 1:
        return readings[0]
    if readings:
        ways = " or ".join(_spelled(reading) for reading in readings)
        raise UserError(f"{where}: {term!r} can be read in several ways; write {ways}")
    return _no_such_term(term, chains, where)


def _no_such_term(term: str, chains: tuple[str, ...], where: str) -> _Range:
    shown = ", ".join(chain or "(blank)" for chain in chains)
    there = f"its protein chain{'s are' if len(chains) > 1 else ' is'} {shown}"
    form = re.fullmatch(rf"(.*?):?({_RANGE.pattern})?", term)
    chain = form.group(1) if form else term
    if not term or not re.fullmatch(r"[^\s:]{1,4}", chain):
        raise UserError(
            f"{where}: cannot read the selection {term!r}; write A, A10-120 or A10-50,A60-120"
            f" ({there})"
        )
    raise UserError(f"{where}: no chain {chain!r}; {there}")


def _range(chain: str, match: re.Match[str]) -> _Range:
    first = (int(match.group(1)), match.group(2))
    last = first if match.group(3) is None else (int(match.group(3)), match.group(4))
    return _Range(chain, first, last)


def _spelled(wanted: _Range) -> str:
    if wanted.first is None or wanted.last is None:
        return f"only residue numbers after {wanted.chain}: (the whole chain {wanted.chain})"
    first, last = ("".join(map(str, end)) for end in (wanted.first, wanted.last))
    return f"{wanted.chain}:{first}-{last}"


def _positions(wanted: _Range, term: str, backbone: Backbone, where: str) -> np.ndarray:
    """Return the ascending positions of the residues of a range."""
    of_chain = np.flatnonzero(backbone.chain == wanted.chain)
    if wanted.first is None or wanted.last is None:
        return of_chain
    numbers = backbone.resnum[of_chain]
    low, high = int(numbers.min()), int(numbers.max())
    there = f"chain {wanted.chain or '(blank)'} has residues {low} to {high}"
    if wanted.first[0] > wanted.last[0]:
        raise UserError(f"{where}: {term!r} runs backwards; write the lower number first")
    if wanted.first[0] < low or wanted.last[0] > high:
        raise UserError(f"{where}: {term!r} is outside the file; {there} with complete backbones")
    inside = (numbers >= wanted.first[0]) & (numbers <= wanted.last[0])
    for end, is_first in ((wanted.first, True), (wanted.last, False)):
        if end[1]:
            exact = (numbers == end[0]) & (backbone.icode[of_chain] == end[1])
            if not exact.any():
                label = f"{wanted.chain}{end[0]}{end[1]}"
                raise UserError(f"{where}: no residue {label} (insertion code {end[1]}); {there}")
            cut = int(np.flatnonzero(exact)[0])
            order = np.arange(len(numbers))
            beyond = order < cut if is_first else order > cut
            inside &= ~((numbers == end[0]) & beyond)
    if not inside.any():
        raise UserError(f"{where}: no residue in {term!r}; {there}, but none of these")
    return of_chain[inside]
