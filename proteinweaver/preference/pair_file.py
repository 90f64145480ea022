"""Pairs on disk: a text file that a person can read and a program cannot misread.

Line 1 is a header (format, rewards, settings, models, counts). Every other line is one comparison,
also those that became no pair, with its verdict; of both designs it keeps run folder, file, hash,
seed and index, from which they can be made again. Reading takes pairs only, and looks at each as
if it came from a stranger: what is missing, one-sided, without a score, a repetition, of another
model or of two plans is refused by name.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proteinweaver import __version__
from proteinweaver.errors import UserError
from proteinweaver.evaluation.samples import find_entries, read_sample
from proteinweaver.evaluation.superposition import move, superpose
from proteinweaver.io.run_folder import write_atomic
from proteinweaver.preference.candidates import plan_of, side_content
from proteinweaver.preference.comparisons import Comparison
from proteinweaver.structure.backbone import Backbone

__all__ = [
    "FORMAT",
    "Members",
    "Pair",
    "PairFile",
    "load_members",
    "read_pairs",
    "write_pairs",
]

FORMAT = "proteinweaver-pairs-1"


@dataclass(frozen=True)
class Pair:
    """One pair as a file tells it.

    Parameters
    ----------
    number : int
        Line of the file, from 2; its key for noise.
    win, lose : mapping
        See `proteinweaver.preference.candidates.Candidate.record`.
    weight, margin : float
    rates : tuple of (float, float)
        Win rates of winner and loser against their set.
    """

    number: int
    win: Mapping[str, Any]
    lose: Mapping[str, Any]
    weight: float
    margin: float
    rates: tuple[float, float]


@dataclass(frozen=True)
class PairFile:
    """What was read.

    Parameters
    ----------
    header : mapping
    pairs : tuple of Pair
    refused : tuple of str
        One line about every pair that was not taken.
    """

    header: Mapping[str, Any]
    pairs: tuple[Pair, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Members:
    """Coordinates of designs of one plan.

    Parameters
    ----------
    ranked : ndarray, dtype=float32, shape=(k, L, 4, 3)
        Angstrom, best first and centred; the others superposed on it, so that shared noise means
        the same.
    domain : ndarray, dtype=int16, shape=(L,)
        0 in linkers.
    inputs : ndarray, dtype=float32, shape=(L, 4, 3)
        The given domains; NaN in linkers.
    modes : mapping of int to str
        ``"rigid"``, ``"adapt"`` or ``"free"`` by domain.
    """

    ranked: NDArray[np.float32]
    domain: NDArray[np.int16]
    inputs: NDArray[np.float32]
    modes: Mapping[int, str]


def write_pairs(path: Path, header: Mapping[str, Any], comparisons: Sequence[Comparison]) -> None:
    """Write comparisons.

    Parameters
    ----------
    path : Path
    header : mapping
        JSON types; format and version are added.
    comparisons : sequence of Comparison

    Raises
    ------
    UserError
        If the disk refuses.
    """
    lines: list[Mapping[str, Any]] = [{"format": FORMAT, "version": __version__, **header}]
    for c in comparisons:
        lines.append(
            {
                "verdict": c.verdict,
                "weight": round(c.weight, 6),
                "margin": round(c.margin, 6),
                "agreement": round(c.agreement, 4),
                "pass_rate": round(c.pass_rate, 4),
                "tm": round(c.tm, 4) if isfinite(c.tm) else None,
                "win": {**c.win.record, "win_rate": round(c.rates[0], 4)},
                "lose": {**c.lose.record, "win_rate": round(c.rates[1], 4)},
            }
        )
    write_atomic(path, "".join(json.dumps(line) + "\n" for line in lines))


def read_pairs(path: Path, models: Iterable[str] = (), *, strict: bool = False) -> PairFile:
    """Read the pairs of a file, refusing bad ones.

    Parameters
    ----------
    path : Path
        Written by `write_pairs`. Run folders are found as written, else beside the file.
    models : iterable of str, optional
        Hashes (or their beginnings) of the weights that members may come from. Default: those of
        the header.
    strict : bool, optional
        Refuse the whole file for one bad pair.

    Returns
    -------
    PairFile

    Raises
    ------
    UserError
        If it is no pair file, nothing good is left, or ``strict`` and something is bad.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        header = json.loads(lines[0])
        known = header["format"] == FORMAT
    except (OSError, ValueError, IndexError, KeyError, TypeError):
        raise UserError(f"{path}: not a readable pair file; make one with prefs") from None
    if not known:
        raise UserError(f"{path}: format {header['format']}, not {FORMAT}; make it again")
    allowed = tuple(models) or tuple(header.get("models", ()))
    pairs: list[Pair] = []
    refused: list[str] = []
    sides: dict[frozenset[str], tuple[str, int]] = {}
    for number, text in enumerate(lines[1:], 2):
        told = _parsed(text)
        if isinstance(told, dict) and told.get("verdict", "pair") != "pair":
            continue
        fault = _fault(told, path, allowed)
        if not fault:
            key = frozenset((told["win"]["sha256"], told["lose"]["sha256"]))
            winner, line = sides.setdefault(key, (told["win"]["sha256"], number))
            if line != number and winner == told["win"]["sha256"]:
                fault = f"repeats line {line}"
            elif line != number:
                fault = f"contradicts line {line}"
                pairs = [pair for pair in pairs if pair.number != line]
                refused.append(f"line {line}: contradicted by line {number}")
        if fault:
            refused.append(f"line {number}: {fault}")
        else:
            win, lose = told["win"], told["lose"]
            rates = float(win["win_rate"]), float(lose["win_rate"])
            pairs.append(Pair(number, win, lose, told["weight"], told["margin"], rates))
    if strict and refused:
        raise UserError(f"{path}: {len(refused)} bad pairs, first {refused[0]}; make it again")
    if not pairs:
        why = f"; {refused[0]}" if refused else ""
        raise UserError(f"{path}: no pair can be used of {len(lines) - 1} comparisons{why}")
    return PairFile(header, tuple(pairs), tuple(refused))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _fault(told: Any, path: Path, allowed: Sequence[str]) -> str:
    """Say what is wrong with a comparison; empty if it is good."""
    if not isinstance(told, dict):
        return "not JSON"
    for side in ("win", "lose"):
        if not isinstance(told.get(side), dict):
            return f"one-sided: no {side}"
    for key in ("weight", "margin"):
        if not _is_number(told.get(key)) or told[key] <= 0:
            return f"{key} is {told.get(key)}, not a positive number"
    win, lose = told["win"], told["lose"]
    for one in (win, lose):
        name = one.get("name", "?")
        if lacking := [k for k in ("run", "file", "sha256", "model", "plan") if not one.get(k)]:
            return f"{name}: no {lacking[0]}"
        if not _is_number(one.get("score")):
            return f"{name}: score is {one.get('score')}"
        if not _is_number(one.get("win_rate")) or not 0 <= one["win_rate"] <= 1:
            return f"{name}: win rate is {one.get('win_rate')}"
        if allowed and not any(str(one["model"]).startswith(m) for m in allowed):
            return f"{name}: made by model {str(one['model'])[:12]}, not {', '.join(allowed)}"
        try:
            data = _place(path, one).read_bytes()
        except OSError:
            return f"{name}: no file {one['run']}/{one['file']}"
        if hashlib.sha256(data).hexdigest() != one["sha256"]:
            return f"{name}: {one['file']} is not the file that was compared"
    if win["plan"] != lose["plan"]:
        return f"{win.get('name')} and {lose.get('name')}: different plans"
    if win["sha256"] == lose["sha256"]:
        return f"{win.get('name')}: compared with itself"
    if not win["score"] > lose["score"]:
        return f"{win.get('name')}: the winner's score is not the higher one"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _place(path: Path, member: Mapping[str, Any]) -> Path:
    own = Path(str(member["run"])) / str(member["file"])
    return own if own.is_file() else path.parent / own


def load_members(path: Path, records: Sequence[Mapping[str, Any]]) -> Members:
    """Read the structures of a pair, or of more designs of one plan.

    Parameters
    ----------
    path : Path
        The pair file.
    records : sequence of mapping
        As `Pair` has them, best first.

    Returns
    -------
    Members

    Raises
    ------
    UserError
        If a structure or its domains cannot be read, or are no longer those of the plan.
    """
    read = [_read_member(path, record) for record in records]
    best, inputs, side = read[0]
    centred = best.coord - best.ca.mean(axis=0)
    ranked = [centred]
    for other, _, _ in read[1:]:
        rot, trans = superpose(other.ca.astype(np.float64), centred[:, 1].astype(np.float64))
        moved = move(other.coord.reshape(-1, 3).astype(np.float64), rot, trans)
        ranked.append(moved.reshape(centred.shape).astype(np.float32))
    parts = [s for s in side["plan"]["segments"] if s["kind"] == "domain"]
    return Members(
        ranked=np.stack(ranked),
        domain=best.domain,
        inputs=inputs.astype(np.float32),
        modes={int(s["domain"]): str(s["mode"]) for s in parts},
    )


def _read_member(
    path: Path, record: Mapping[str, Any]
) -> tuple[Backbone, NDArray[np.float64], Mapping[str, Any]]:
    """Design, its domains, and its side file; refuse what is not what was compared."""
    entries, _ = find_entries([_place(path, record)])
    sample = read_sample(entries[0])
    if sample.backbone is None or sample.inputs is None:
        raise UserError(f"{record['name']}: {sample.error or 'its domains are missing'}")
    side = side_content(entries[0])
    if not side or plan_of(side, sample.inputs) != record["plan"]:
        raise UserError(f"{record['name']}: its plan is not the one that was compared")
    return sample.backbone, sample.inputs, side
