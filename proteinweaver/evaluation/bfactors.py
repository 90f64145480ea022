"""Confidence of predicted structures: the mean of the B-factor column over CA atoms.

Folding programs write pLDDT there, from 0 to 100 or (ESMFold through transformers) from 0 to 1.
"""

import gzip
import shlex
from pathlib import Path

import numpy as np

__all__ = ["mean_confidence"]


def mean_confidence(path: Path) -> float:
    """Mean pLDDT of a prediction.

    Parameters
    ----------
    path : Path
        PDB or mmCIF file, also gzipped.

    Returns
    -------
    float
        From 0 to 100; NaN where the file does not tell.
    """
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode(errors="replace")
        values = _cif_values(text) if "\n_atom_site." in text else _pdb_values(text)
    except (OSError, ValueError, EOFError, IndexError):
        return float("nan")
    if not values:
        return float("nan")
    mean = float(np.mean(values))
    return 100.0 * mean if 0.0 < max(values) <= 1.0 else mean


def _pdb_values(text: str) -> list[float]:
    return [
        float(line[60:66])
        for line in text.splitlines()
        if line.startswith("ATOM") and line[12:16] == " CA " and line[60:66].strip()
    ]


def _cif_values(text: str) -> list[float]:
    columns: list[str] = []
    values = []
    for line in text.splitlines():
        if line.startswith("_atom_site."):
            columns.append(line.split()[0].removeprefix("_atom_site."))
        elif columns and line.startswith(("ATOM", "HETATM")):
            cells = line.split() if "'" not in line and '"' not in line else shlex.split(line)
            if cells[columns.index("label_atom_id")] == "CA" and cells[0] == "ATOM":
                values.append(float(cells[columns.index("B_iso_or_equiv")]))
        elif values:
            break
    return values
