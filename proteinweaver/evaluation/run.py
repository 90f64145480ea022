"""Evaluate files: measure what changed, compare, write the table and the summary.

::

    metrics.csv      one row per file; columns in proteinweaver.evaluation.schema
    summary.json     sets as a whole: means with intervals, diversity, novelty, natives
    measured.npz     what was measured, by content: the next run measures only what changed
"""

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from proteinweaver.errors import UserError
from proteinweaver.evaluation.compare import CompareConfig, Comparison, compare
from proteinweaver.evaluation.measure import GEOMETRY, ColumnSource, Measured
from proteinweaver.evaluation.natives import outside_natives
from proteinweaver.evaluation.pairs import cores
from proteinweaver.evaluation.records import (
    Record,
    load_records,
    record_of,
    save_records,
    with_measured,
)
from proteinweaver.evaluation.samples import Entry, Sample, find_entries, read_sample
from proteinweaver.evaluation.schema import COMPARISON_COLUMNS, FILE_COLUMNS, ColumnInfo
from proteinweaver.evaluation.summary import summary_of
from proteinweaver.io.run_folder import write_atomic

__all__ = ["EvaluateConfig", "Evaluation", "Row", "default_sources", "evaluate"]

Progress = Callable[[int, int, int], None]

_CHUNK = 16
_SERIAL = 48  # files under which starting processes costs more than it saves


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
        Processes that read and measure; 0 takes the cores of the machine.
    compare : CompareConfig
        Diversity, clusters, novelty.
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
    workers: int = 0
    compare: CompareConfig = field(default_factory=CompareConfig)
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
    sources = default_sources(config) if sources is None else sources
    entries, ignored = find_entries(config.paths)
    out = Path(config.out)
    _make_folder(out)
    known = {} if config.overwrite else load_records(out / "measured.npz")
    digests = [entry.digest() for entry in entries]
    measured = _measure_all(entries, digests, known, sources, config.workers, progress)
    save_records(out / "measured.npz", {d: known[d] for d in digests}.values())
    records = [known[digest] for digest in digests]
    comparison = compare(entries, records, config.compare, out / "pairs.npz", config.workers)
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
    write_atomic(out / "summary.json", _json(summary))
    if not any(row.is_ok for row in rows):
        raise UserError(
            f"none of {len(rows)} files could be measured; {out / 'metrics.csv'} tells why"
        )
    used = {key for row in rows for key, value in row.values.items() if _text(value)}
    shown = tuple(column for column in columns if column.key in used)
    return Evaluation(out, rows, shown, summary, measured)


def default_sources(config: EvaluateConfig) -> list[ColumnSource]:
    """Geometry, and the critic unless it is left out or does not ship with this version.

    Raises
    ------
    UserError
        If the weights that the config names cannot be read.
    """
    from proteinweaver.evaluation.judged import critic_source, has_critic  # torch, networks

    if config.critic == "none" or not (config.critic or has_critic()):
        return [GEOMETRY]
    return [GEOMETRY, critic_source(config.critic)]


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / ".write-test").touch()
        (out / ".write-test").unlink()
    except OSError as error:
        raise UserError(
            f"cannot write into {out}: {error.strerror}; choose another folder with -o"
        ) from None


def _measure_all(
    entries: Sequence[Entry],
    digests: Sequence[str],
    known: dict[str, Record],
    sources: Sequence[ColumnSource],
    workers: int,
    progress: Progress | None,
) -> int:
    """Bring ``known`` up to date; return how many files were measured."""

    def is_stale(digest: str) -> bool:
        record = known.get(digest)
        current = {source.name: source.version for source in sources}
        return record is None or (not record.error and dict(record.versions) != current)

    stale = {d: e for e, d in zip(entries, digests, strict=True) if is_stale(d)}
    first, *others = sources
    done = failed = 0
    chunks = [list(stale.items())[k : k + _CHUNK] for k in range(0, len(stale), _CHUNK)]
    for results in _over_chunks(chunks, first, workers):
        for digest, (_, record) in results.items():
            base = known.get(digest)
            if base is not None and not record.error:  # keep what other sources said before
                record = _merged(base, record, sources)
            known[digest] = record
            done += 1
            failed += bool(record.error)
            if progress is not None:
                progress(done, len(stale), failed)
        for source in others:
            _add_source(source, results, known)
    return len(stale)


def _merged(base: Record, fresh: Record, sources: Sequence[ColumnSource]) -> Record:
    """Add to a fresh record what current sources have said of the same content."""
    for source in sources:
        if source.name in fresh.versions or base.versions.get(source.name) != source.version:
            continue
        keys = {column.key for column in source.columns}
        said = {key: value for key, value in base.values.items() if key in keys}
        fresh = with_measured(fresh, source.name, source.version, Measured(said))
        layers = {k: v for k, v in base.layers.items() if k not in fresh.layers}
        scales = {k: v for k, v in base.scales.items() if k not in fresh.scales}
        fresh = replace(
            fresh, layers={**fresh.layers, **layers}, scales={**fresh.scales, **scales}
        )
    return fresh


def _over_chunks(
    chunks: Sequence[list[tuple[str, Entry]]], source: ColumnSource, workers: int
) -> Iterator[dict[str, tuple[Sample, Record]]]:
    work = partial(_measure_chunk, source=source)
    files = sum(len(chunk) for chunk in chunks)
    wanted = workers or cores()
    if wanted < 2 or (files < _SERIAL and not workers):
        yield from map(work, chunks)
        return
    with ProcessPoolExecutor(wanted, mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(work, chunks)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _measure_chunk(
    chunk: list[tuple[str, Entry]], source: ColumnSource
) -> dict[str, tuple[Sample, Record]]:
    out = {}
    for digest, entry in chunk:
        sample = read_sample(entry)
        record = record_of(sample, digest)
        if not record.error:
            record = _ask(source, sample, record)
        out[digest] = (sample, record)
    return out


def _ask(source: ColumnSource, sample: Sample, record: Record) -> Record:
    try:
        answer = source.measure([sample])[0]
    except Exception as error:  # one odd structure among thousands must not end the run
        note = f"{source.name}: {type(error).__name__}: {error}"
        if source.name == GEOMETRY.name:
            return replace(record, error=note)
        answer = Measured({})
        record = replace(record, notes=(*record.notes, note))
    return with_measured(record, source.name, source.version, answer)


def _add_source(
    source: ColumnSource,
    results: Mapping[str, tuple[Sample, Record]],
    known: dict[str, Record],
) -> None:
    """Let a further source speak of all structures of a chunk that it has not seen."""
    todo = [
        (digest, sample)
        for digest, (sample, _) in results.items()
        if not known[digest].error and known[digest].versions.get(source.name) != source.version
    ]
    if not todo:
        return
    try:
        answers = source.measure([sample for _, sample in todo])
    except Exception:
        for digest, sample in todo:
            known[digest] = _ask(source, sample, known[digest])
        return
    for (digest, _), answer in zip(todo, answers, strict=True):
        known[digest] = with_measured(known[digest], source.name, source.version, answer)


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
