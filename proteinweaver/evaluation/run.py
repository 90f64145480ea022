"""Evaluate files: measure what changed, compare, write the table and the summary.

::

    metrics.csv      one row per file; columns in proteinweaver.evaluation.schema
    summary.json     sets as a whole: means with intervals, diversity, novelty, natives
    measured.npz     what was measured, by content: the next run measures only what changed
    pairs.npz        what was aligned
    compared.json    what comparisons found
"""

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proteinweaver.errors import UserError
from proteinweaver.evaluation.compare import CompareConfig, Comparison, compare
from proteinweaver.evaluation.folded import Predictions, find_predictions, folded_source
from proteinweaver.evaluation.measure import GEOMETRY, ColumnSource
from proteinweaver.evaluation.natives import outside_natives
from proteinweaver.evaluation.records import Record, load_records, save_records
from proteinweaver.evaluation.refresh import Progress, refresh
from proteinweaver.evaluation.samples import Entry, find_entries
from proteinweaver.evaluation.schema import COMPARISON_COLUMNS, FILE_COLUMNS, ColumnInfo
from proteinweaver.evaluation.summary import summary_of
from proteinweaver.io.run_folder import write_atomic

__all__ = ["EvaluateConfig", "Evaluation", "Row", "default_sources", "evaluate"]


_KEPT = ("measured.npz", "pairs.npz", "compared.json")


@dataclass(frozen=True)
class EvaluateConfig:
    """What to evaluate.

    Parameters
    ----------
    paths : tuple of str
        Run folders, folders of structure files, files.
    out : str
        Folder for the results.
    workers : int
        Processes that read and measure; 0 takes the cores of the machine (a script that asks for
        more than one must guard its main part with ``if __name__ == "__main__"``).
    compare : CompareConfig
        Diversity, clusters, novelty.
    folded : str
        Folder of predicted structures of designed sequences; empty for none.
    critic : str
        Weights of the critic; empty for the shipped ones, ``none`` to leave it out.
    report : bool
        Also write report.html.
    overwrite : bool
        Measure everything again.
    trajectory_mb : float
        Most megabytes of trajectories inside the page.
    """

    paths: tuple[str, ...] = ()
    out: str = ""
    workers: int = 1
    compare: CompareConfig = field(default_factory=CompareConfig)
    folded: str = ""
    critic: str = ""
    report: bool = True
    overwrite: bool = False
    trajectory_mb: float = 3.0

    def __post_init__(self) -> None:
        """Refuse what no file is needed to refuse."""
        if self.workers < 0:
            raise UserError(f"workers is {self.workers}; give 1 or more, or 0 for all cores")


@dataclass(frozen=True)
class Row:
    """One line of the table, with what the page draws.

    Parameters
    ----------
    entry : Entry
        The file.
    values : mapping
        By column key.
    record : Record
        Coordinates and values per residue.
    """

    entry: Entry
    values: Mapping[str, float | int | str]
    record: Record

    @property
    def is_ok(self) -> bool:
        """Whether the file could be measured."""
        return not self.record.error


@dataclass(frozen=True)
class Evaluation:
    """A finished evaluation.

    Parameters
    ----------
    out : Path
        Where the results lie.
    rows : tuple of Row
        In the order of the table.
    columns : tuple of ColumnInfo
        Columns that have a value somewhere, in the order of the table.
    summary : mapping
        Content of ``summary.json``.
    measured : int
        Files measured now; the others were known.
    """

    out: Path
    rows: tuple[Row, ...]
    columns: tuple[ColumnInfo, ...]
    summary: Mapping[str, Any]
    measured: int


def evaluate(
    config: EvaluateConfig,
    sources: Sequence[ColumnSource] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate files and write ``metrics.csv`` and ``summary.json``.

    Parameters
    ----------
    config : EvaluateConfig
        What to evaluate, and where to write.
    sources : sequence of ColumnSource, optional
        What measures; geometry first. Others run in this process, in order, on batches.
        Default: geometry, and the critic where its weights are.
    progress : callable, optional
        Receives the numbers of files done, in all, and failed.

    Returns
    -------
    Evaluation

    Raises
    ------
    UserError
        If a path holds nothing, the folder cannot be written, or no file at all can be measured
        (after the table that says why is written).
    """
    predictions = find_predictions(config.folded) if config.folded else None
    sources = default_sources(config, predictions) if sources is None else sources
    entries, ignored = find_entries(config.paths)
    out = Path(config.out)
    _make_folder(out)
    if config.overwrite:
        for kept in _KEPT:
            (out / kept).unlink(missing_ok=True)
    known = load_records(out / "measured.npz")
    digests = [entry.digest() for entry in entries]

    def keep() -> None:
        done = {digest: known[digest] for digest in digests if digest in known}
        save_records(out / "measured.npz", done.values())

    measured = refresh(entries, digests, known, sources, config.workers, progress, keep)
    keep()
    records = [known[digest] for digest in digests]
    comparison = compare(entries, records, config.compare, out, config.workers)
    columns = (
        *FILE_COLUMNS,
        *(column for source in sources for column in source.columns),
        *COMPARISON_COLUMNS,
    )
    rows = tuple(
        Row(entry, _values(entry, record, comparison, k, out), record)
        for k, (entry, record) in enumerate(zip(entries, records, strict=True))
    )
    write_atomic(out / "metrics.csv", _csv(rows, columns))
    summary = summary_of(rows, columns, comparison, sources, ignored)
    if predictions is not None:
        summary["predictions"] = {
            "designs_without": [r.entry.name for r in rows if not r.values.get("sc_count")],
            "of_no_design": predictions.unmatched((e.name, e.set) for e in entries),
        }
    write_atomic(out / "summary.json", _json(summary))
    if not any(row.is_ok for row in rows):
        raise UserError(
            f"none of {len(rows)} files could be measured; {out / 'metrics.csv'} tells why"
        )
    used = {key for row in rows for key, value in row.values.items() if _text(value)}
    shown = tuple(column for column in columns if column.key in used)
    return Evaluation(out, rows, shown, summary, measured)


def default_sources(
    config: EvaluateConfig, predictions: Predictions | None = None
) -> list[ColumnSource]:
    """Geometry, predictions that were given, and the critic where its weights are.

    Raises
    ------
    UserError
        If the weights that the config names cannot be read.
    """
    sources = [GEOMETRY]
    if predictions is not None:
        sources.append(folded_source(predictions))
    from proteinweaver.evaluation.judged import critic_source, has_critic  # torch, networks

    if config.critic != "none" and (config.critic or has_critic()):
        sources.append(critic_source(config.critic))
    return sources


def _make_folder(out: Path) -> None:
    if any(out.glob("manifest*.jsonl")):
        raise UserError(
            f"{out} is a run folder, whose metrics.csv ranks its designs; choose another with -o"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / ".write-test").touch()
        (out / ".write-test").unlink()
    except OSError as error:
        raise UserError(
            f"cannot write into {out}: {error.strerror}; choose another folder with -o"
        ) from None


def _values(
    entry: Entry, record: Record, comparison: Comparison, k: int, out: Path
) -> dict[str, float | int | str]:
    values: dict[str, float | int | str] = {
        "set": entry.set,
        "name": entry.name,
        "file": os.path.relpath(entry.file, out),
        "status": "error" if record.error else "ok",
        "error": record.error,
        "notes": "; ".join(record.notes),
        **record.values,
        **comparison.values[k],
    }
    if not record.error:
        outside = outside_natives(values)
        values |= {"outside": ";".join(outside), "outside_count": len(outside)}
    return values


def _text(value: Any) -> str:
    """Write a cell: six digits, nothing for what is not defined."""
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return str(value)


def _csv(rows: Sequence[Row], columns: Sequence[ColumnInfo]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.key for column in columns])
    for row in rows:
        writer.writerow([_text(row.values.get(column.key, "")) for column in columns])
    return text.getvalue()


def _json(summary: Mapping[str, Any]) -> str:
    return json.dumps(summary, indent=1, allow_nan=False) + "\n"
