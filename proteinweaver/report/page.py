"""``report.html``: the table, the structures, the trajectories and the plots in one file.

Coordinates travel as 16-bit numbers in base64 (steps of 0.02 angstrom), values per residue as
bytes, everything else as JSON. The page loads nothing: it opens from a disk without a network.
``viewer.js``, ``page.js``, ``page.css`` and ``page.html`` lie beside this module.
"""

import base64
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proteinweaver import __version__
from proteinweaver.evaluation.natives import NATIVE_COLUMNS, native_table
from proteinweaver.evaluation.records import Record
from proteinweaver.evaluation.run import Evaluation, Row
from proteinweaver.io.run_folder import write_atomic
from proteinweaver.report.trajectories import read_states, trajectory_file

__all__ = ["page_html", "write_page"]

_SHOWN = (
    "name", "set", "faults", "outside_count", "error", "pass", "soundness", "sc_tm",
    "sc_rmsd", "length", "rg_ratio",
    "hb", "hb_long", "contacts_long", "clash_36", "cn_ok", "rama_ok", "coil", "domain_rmsd_max",
    "interface_contacts", "linker_ok", "novelty_tm", "cluster_50",
)  # fmt: skip
_PLOTS = (
    "length", "ca_ok", "cn_ok", "rama_ok", "clash_36", "rg_ratio", "hb", "hb_long",
    "contacts_long", "dssp_helix", "dssp_strand", "coil", "contact_order", "neighbours",
    "soundness", "interface_contacts", "interface_area", "domain_rmsd_max", "linker_stretch",
    "novelty_tm", "sc_tm", "sc_rmsd", "sc_plddt",
)  # fmt: skip
_LAYERS = ("domain", "ss")  # first in the list of colours
_NATIVES = 300
_FINEST = 0.02  # angstrom


class _Bytes:
    """One block of bytes that items are appended to."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def add(self, array: NDArray[Any]) -> int:
        """Append an array, little-endian; return where it begins (even for 16-bit numbers)."""
        start = self.size
        raw = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
        self.parts.append(raw)
        self.size += len(raw)
        return start


def write_page(evaluation: Evaluation, trajectory_mb: float = 3.0) -> Path:
    """Write ``report.html`` beside the table.

    Parameters
    ----------
    evaluation : Evaluation
        What to show.
    trajectory_mb : float, optional
        Most megabytes of trajectories; those of later rows are left out, and the page says so.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    path = evaluation.out / "report.html"
    write_atomic(path, page_html(evaluation, trajectory_mb))
    return path


def page_html(evaluation: Evaluation, trajectory_mb: float = 3.0) -> str:
    """Make the page.

    Parameters
    ----------
    evaluation : Evaluation
        What to show.
    trajectory_mb : float, optional
        See `write_page`.

    Returns
    -------
    str
        HTML.
    """
    block = _Bytes()
    rows = evaluation.rows
    structures = [_structure(row.record, block) for row in rows]
    trajectories, left_out = _trajectories(rows, block, trajectory_mb)
    sets = list(dict.fromkeys(row.entry.set for row in rows))
    failed = sum(not row.is_ok for row in rows)
    passed = sum(row.values.get("gate") == 1 for row in rows)
    judged = [row.values["pass"] for row in rows if row.values.get("pass") in (0, 1)]
    content = {
        "headline": (
            f"{len(rows)} files in {len(sets)} sets; {passed} meet the geometry gate,"
            + (f" {sum(map(int, judged))} pass the critic," if judged else "")
            + f" {failed} could not be read"
        ),
        "columns": [asdict(column) for column in evaluation.columns],
        "rows": [[_cell(row.values.get(c.key)) for c in evaluation.columns] for row in rows],
        "sets": sets,
        "summary": evaluation.summary["sets"],
        "links": {k: links for k, row in enumerate(rows) if (links := _links(row, evaluation))},
        "structures": structures,
        "scales": _scales(rows),
        "trajectories": trajectories,
        "natives": _natives(rows),
        "shown": list(_SHOWN),
        "plots": list(_PLOTS),
        "trouble": [_trouble(row) for row in rows],
    }
    footer = (
        f"proteinweaver {__version__}; 95% intervals; columns are explained where the mouse rests."
    )
    if left_out:
        footer += f" Trajectories of {left_out} designs were left out to keep the page small."
    parts = {
        "TITLE": "Evaluation of "
        + ", ".join(_escape(name) for name in sets[:4])
        + (f" and {len(sets) - 4} more" if len(sets) > 4 else ""),
        "CSS": _asset("page.css"),
        "FOOTER": footer,
        # no "<" may end the script element early
        "DATA": json.dumps(content, separators=(",", ":"), allow_nan=False).replace(
            "<", "\\u003c"
        ),
        "BYTES": base64.b64encode(b"".join(block.parts)).decode(),
        "VIEWER": _asset("viewer.js"),
        "PAGE": _asset("page.js"),
    }
    return re.sub("@@([A-Z]+)@@", lambda match: parts[match[1]], _asset("page.html"))


def _asset(name: str) -> str:
    return files("proteinweaver.report").joinpath(name).read_text(encoding="utf-8")


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cell(value: Any) -> float | int | str | None:
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return None if value is None or value == "" else value


def _trouble(row: Row) -> int:
    """Order of the rows at first: unreadable, faults of the gate, the critic, oddities."""
    if not row.is_ok:
        return 10**6
    faults = str(row.values.get("faults", ""))
    refused = 500 if row.values.get("pass") == 0 else 0  # by the critic
    oddities = int(row.values["outside_count"])
    return 1000 * len(faults.split(";") if faults else []) + refused + oddities


def _quantised(ca: NDArray[Any]) -> tuple[NDArray[np.int16], float]:
    """Positions about their centre in steps that fit 16 bits."""
    x = np.asarray(ca, dtype=np.float64)
    x = x - (x.min(axis=0) + x.max(axis=0)) / 2
    step = max(_FINEST, float(np.abs(x).max()) / 32000)
    return np.round(x / step).astype(np.int16), step


def _structure(record: Record, block: _Bytes) -> dict[str, Any] | None:
    if not len(record.ca):
        return None
    ca, step = _quantised(record.ca)
    offset = block.add(ca)
    block.add(record.toward_o)
    names = sorted(record.layers, key=lambda name: (name not in _LAYERS, name))
    for name in names:
        block.add(record.layers[name])
    return {"offset": offset, "length": len(ca), "step": step, "layers": names}


def _scales(rows: tuple[Row, ...]) -> dict[str, list[float]]:
    return {name: list(ends) for row in rows for name, ends in row.record.scales.items()}


def _trajectories(
    rows: tuple[Row, ...], block: _Bytes, most_mb: float
) -> tuple[dict[int, dict[str, Any]], int]:
    """Pack trajectories, in the order of the rows, until the page is full."""
    out: dict[int, dict[str, Any]] = {}
    left_out = 0
    begin = block.size
    for k, row in enumerate(rows):
        path = trajectory_file(row.entry.file) if row.is_ok else None
        if path is None:
            continue
        if block.size - begin > most_mb * 2**20:
            left_out += 1
            continue
        states = read_states(path, row.record.ca)
        if states is None:
            continue
        # the same origin as the design's own coordinates
        own = np.asarray(row.record.ca, dtype=np.float64)
        x = states.ca - (own.min(axis=0) + own.max(axis=0)) / 2
        step = max(_FINEST, float(np.abs(x).max()) / 32000)
        frames = [
            {
                "offset": block.add(np.round(state / step).astype(np.int16)),
                "step": step,
                "text": f" (shown at 1/{factor:.3g})" if factor > 1.01 else "",
            }
            for state, factor in zip(x, states.shrunk.tolist(), strict=True)
        ]
        out[k] = {"length": len(row.record.ca), "frames": frames}
    return out, left_out


def _links(row: Row, evaluation: Evaluation) -> list[list[str]]:
    """Further files of a design, relative to the page."""
    found = []
    traj = trajectory_file(row.entry.file)
    for text, path in (("plan", row.entry.side), ("trajectory", traj)):
        if path is not None:
            found.append([text, os.path.relpath(path, evaluation.out)])
    return found


def _natives(rows: tuple[Row, ...]) -> Mapping[str, list[float]]:
    """Columns of natives of the same lengths, for the plots."""
    lengths = [float(row.values["length"]) for row in rows if row.is_ok]
    if not lengths:
        return {}
    table = native_table()
    chosen = table.matched(lengths, _NATIVES)
    return {
        key: [float(f"{v:.4g}") for v in table.column(key)[chosen] if math.isfinite(v)]
        for key in NATIVE_COLUMNS
    }
