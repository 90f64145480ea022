"""PDB lines as they come, brought into the shape that a strict parser takes.

Only the lines of backbone atoms of the first model are kept. A blank occupancy counts as 1, the
columns behind it, which we do not use, are overwritten, and every column is one byte. A file that
stops in the middle is refused where that can be seen, and a line that cannot be read is named.
"""

import re
from collections.abc import Sequence
from typing import Any

from proteinweaver.errors import UserError
from proteinweaver.structure.atoms import BACKBONE_ATOMS

__all__ = [
    "TRUNCATED",
    "diagnosis",
    "entry_code",
    "first_model",
    "float_or_nan",
    "header_of",
    "is_number",
    "refuse_truncated",
    "shaped_line",
    "split_lines",
]

TRUNCATED = "the file looks truncated; fetch or write it again"


def split_lines(text: str) -> list[str]:
    """Split at line feeds and carriage returns only; other separators may stand in a line."""
    return re.split(r"\r\n|\n|\r", text)


def first_model(lines: Sequence[str]) -> tuple[list[int], int]:
    """Return the positions of the backbone atom lines of the first model, and the model count."""
    kept: list[int] = []
    models = 0
    closed = False
    atoms_later = False
    for number, line in enumerate(lines):
        record = line[:6]
        if record in ("ATOM  ", "HETATM"):
            if closed:
                atoms_later = True
            elif line[12:16].strip() in BACKBONE_ATOMS:
                kept.append(number)
            elif len(line) < 16:
                raise UserError(f"line {number + 1} ends inside an atom record; {TRUNCATED}")
        elif record.rstrip() == "MODEL":
            models += 1
            closed = closed or models > 1 or bool(kept)
        elif record.rstrip() in ("ENDMDL", "END"):
            closed = closed or bool(kept)
    if models == 0 and atoms_later:
        models = 2
    return kept, max(models, 1)


def refuse_truncated(lines: Sequence[str], kept: Sequence[int]) -> None:
    """Raise if a PDB file stops in the middle."""
    filled = [number for number, line in enumerate(lines) if line.strip()]
    records = {lines[number][:6].rstrip() for number in filled}
    last = filled[-1]
    if lines[last][:6].rstrip() in ("END", "ENDMDL", "MASTER", "CONECT"):
        return
    if "SEQRES" in records and "END" not in records:
        raise UserError(f"it has SEQRES records but no END record; {TRUNCATED}")
    if "MODEL" in records and "ENDMDL" not in records:
        raise UserError(f"it has a MODEL record but no ENDMDL record; {TRUNCATED}")
    is_atom = lines[last][:6] in ("ATOM  ", "HETATM")
    ends_open = last == len(lines) - 1  # no line break behind it
    usual = len(lines[kept[0]].rstrip()) if kept else 54
    if is_atom and ends_open and len(lines[last].rstrip()) < min(usual, 66):
        raise UserError(f"line {last + 1} ends inside an atom record; {TRUNCATED}")


def shaped_line(line: str) -> str:
    """Return an atom line with the columns that are used, all filled."""
    line = line.encode("ascii", "replace").decode("ascii")  # one byte per column
    occupancy = line[54:60].strip() or "1.00"
    element = line[12:16].strip()[0]
    return f"{line[:54]:<54}{occupancy:>6}{'0.00':>6}{'':10}{element:>2}  "


def diagnosis(lines: Sequence[str], kept: Sequence[int]) -> str:
    """Say which atom line cannot be read and why."""
    for number in kept:
        line = lines[number]
        if len(line.rstrip()) < 54:
            return f"line {number + 1} ends before the coordinates do; {TRUNCATED}"
        for what, text in (("x", line[30:38]), ("y", line[38:46]), ("z", line[46:54])):
            if not is_number(text):
                return f"line {number + 1}: coordinate {what} is {text!r}, not a number"
        if line[54:60].strip() and not is_number(line[54:60]):
            return f"line {number + 1}: occupancy is {line[54:60]!r}, not a number"
        if not re.fullmatch(r"\s*-?[0-9A-Za-z]+\s*", line[22:26]):
            return f"line {number + 1}: residue number is {line[22:26]!r}"
    if not kept:
        return "no protein in it: no N, CA or C atom"
    return "an atom line cannot be read; is it a PDB file?"


def is_number(text: str) -> bool:
    """Tell whether `text` is a floating-point number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def header_of(lines: Sequence[str]) -> dict[str, Any]:
    """Return PDB code, method and resolution of a PDB file, as far as told."""
    told: dict[str, Any] = {}
    for line in lines:
        if line.startswith("HEADER"):
            told.setdefault("entry", entry_code(line[62:66]))
        elif line.startswith("EXPDTA"):
            told.setdefault("method", line[10:79].strip().upper())
        elif match := re.match(r"REMARK   2 RESOLUTION\.\s+([0-9.]+)\s+ANG", line):
            told.setdefault("resolution", float_or_nan(match.group(1)))
        elif line.startswith("ATOM"):
            break
    return told


def entry_code(code: str) -> str:
    """Return a PDB code in lower case, ``''`` if it is none."""
    text = code.strip().lower()
    return text if re.fullmatch(r"[0-9][0-9a-z]{3}", text) else ""


def float_or_nan(text: str) -> float:
    """Return the number in `text`, NaN if there is none."""
    return float(text) if is_number(text) else float("nan")
