"""``summary.json``: each set as a whole.

Means with bootstrap intervals (shares of designs with Wilson's), diversity, novelty, and the
comparison with natives of the same lengths; numbers that are not defined are null.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from proteinweaver import __version__
from proteinweaver.evaluation.compare import Comparison
from proteinweaver.evaluation.intervals import Interval, mean_interval, share_interval
from proteinweaver.evaluation.measure import ColumnSource
from proteinweaver.evaluation.natives import NATIVE_COLUMNS, native_table
from proteinweaver.evaluation.schema import ColumnInfo
from proteinweaver.evaluation.twosample import column_distance, energy_test

if TYPE_CHECKING:
    from proteinweaver.evaluation.run import Row

__all__ = ["ENERGY_COLUMNS", "summary_of"]

ENERGY_COLUMNS = (
    "rama_ok", "dssp_helix", "dssp_strand", "rg_ratio", "hb", "hb_long", "contacts_long",
    "contact_order", "neighbours",
)  # fmt: skip
"""Columns of the joint test: shape and pairing, nothing that closing a chain decides."""


def summary_of(
    rows: Sequence["Row"],
    columns: Sequence[ColumnInfo],
    comparison: Comparison,
    sources: Sequence[ColumnSource],
    ignored: int,
) -> dict[str, Any]:
    """Sum up an evaluation.

    Parameters
    ----------
    rows : sequence of Row
        The table.
    columns : sequence of ColumnInfo
        Its columns.
    comparison : Comparison
        Diversity and novelty.
    sources : sequence of ColumnSource
        What measured.
    ignored : int
        Files passed over.

    Returns
    -------
    dict
        JSON types only.
    """
    names = list(dict.fromkeys(row.entry.set for row in rows))
    summary = {
        "version": __version__,
        "sources": {source.name: source.version for source in sources},
        "intervals": "95%: percentile bootstrap over designs; Wilson for shares of designs",
        "files": len(rows),
        "failed": sum(not row.is_ok for row in rows),
        "ignored": ignored,
        "references": comparison.references,
        "searched": comparison.searched,
        "columns": [asdict(column) for column in columns],
        "sets": {
            name: _set_summary([r for r in rows if r.entry.set == name], columns)
            | {"diversity": _diversity(name, comparison), "novelty": _novelty(name, comparison)}
            for name in names
        },
    }
    return _finite(summary)


def _set_summary(rows: Sequence["Row"], columns: Sequence[ColumnInfo]) -> dict[str, Any]:
    good = [row for row in rows if row.is_ok]
    numbers: dict[str, Any] = {}
    for column in columns:
        if column.unit == "text":
            continue
        cells = [float(row.values.get(column.key, math.nan)) for row in good]
        if any(math.isfinite(cell) for cell in cells):
            interval = share_interval(cells) if column.unit == "0/1" else mean_interval(cells)
            numbers[column.key] = asdict(interval)
    return {
        "files": len(rows),
        "failed": [row.entry.name for row in rows if not row.is_ok],
        "faults": _counts(row.values.get("faults", "") for row in good),
        "outside_natives": _counts(row.values.get("outside", "") for row in good),
        "columns": numbers,
        "natives": _against_natives([row.values for row in good]),
    }


def _counts(cells: Iterable[Any]) -> dict[str, int]:
    """Count the words of cells that hold words separated by semicolons, most frequent first."""
    return dict(
        Counter(word for cell in cells for word in str(cell).split(";") if word).most_common()
    )


def _diversity(name: str, comparison: Comparison) -> dict[str, Any]:
    found = {}
    for label, part in ((name, "all"), (f"{name} (passing)", "passing")):
        if label in comparison.diversity:
            d = comparison.diversity[label]
            found[part] = {
                "n": d.n,
                "pairwise_tm": asdict(d.pairwise),
                "clusters": dict(d.clusters),
                "clusters_per_design": {k: c / d.n for k, c in d.clusters.items()},
            }
    return found


def _novelty(name: str, comparison: Comparison) -> dict[str, Any]:
    parts = ((name, "all"), (f"{name} (passing)", "passing"))
    return {
        part: asdict(comparison.novelty[label])
        for label, part in parts
        if label in comparison.novelty
    }


def _against_natives(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Distances to natives of the same lengths."""
    if len(values) < 5:
        return {}
    table = native_table()
    matched = table.matched([float(v["length"]) for v in values])
    found: dict[str, Any] = {"n": len(matched), "columns": {}}
    for key in NATIVE_COLUMNS[1:]:
        ours = [float(v.get(key, math.nan)) for v in values]
        distance = column_distance(ours, table.column(key)[matched])
        if distance is not None:
            found["columns"][key] = asdict(distance)
    ours_all = np.array([[float(v.get(k, math.nan)) for k in ENERGY_COLUMNS] for v in values])
    theirs = np.stack([table.column(key)[matched] for key in ENERGY_COLUMNS], axis=1)
    test = energy_test(ours_all, theirs)
    if test is not None:
        found["energy"] = {"columns": list(ENERGY_COLUMNS), **asdict(test)}
    return found


def _finite(value: Any) -> Any:
    """Bring a tree to JSON types: six digits, null for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, Interval):
        return _finite(asdict(value))
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
