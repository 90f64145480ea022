"""Bring the records of files up to date: read and measure what changed, and nothing else.

The first source (geometry) runs in several processes, where the files are read; further sources
run here, on batches, for networks hold memory and threads of their own.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from proteinweaver.evaluation.measure import GEOMETRY, ColumnSource, Measured
from proteinweaver.evaluation.pairs import cores
from proteinweaver.evaluation.records import Record, record_of, with_measured
from proteinweaver.evaluation.samples import Entry, Sample, read_sample
from proteinweaver.io.workers import worker_pool

__all__ = ["Progress", "refresh"]

Progress = Callable[[int, int, int], None]
"""Receives the numbers of files done, in all, and failed."""

_CHUNK = 16
_KEEP_S = 30.0
_SERIAL = 48  # files under which starting processes costs more than it saves


def refresh(
    entries: Sequence[Entry],
    digests: Sequence[str],
    known: dict[str, Record],
    sources: Sequence[ColumnSource],
    workers: int,
    progress: Progress | None = None,
    keep: Callable[[], None] | None = None,
) -> int:
    """Measure what has changed.

    Parameters
    ----------
    entries : sequence of Entry
        The files.
    digests : sequence of str
        Their contents.
    known : dict of str to Record
        By digest; brought up to date in place.
    sources : sequence of ColumnSource
        What measures.
    workers : int
        Processes; 0 takes the cores of the machine.
    progress : callable, optional
        Told of every file.
    keep : callable, optional
        Called from time to time, so that a killed run loses little.

    Returns
    -------
    int
        Files that were measured.
    """

    def is_stale(digest: str) -> bool:
        record = known.get(digest)
        current = {source.name: source.version for source in sources}
        return record is None or (not record.error and dict(record.versions) != current)

    stale = {d: e for e, d in zip(entries, digests, strict=True) if is_stale(d)}
    first, *others = sources
    done = failed = 0
    kept = time.monotonic()
    todo = [(d, e, _is_measured(known.get(d), first)) for d, e in stale.items()]
    chunks = [todo[k : k + _CHUNK] for k in range(0, len(todo), _CHUNK)]
    for results in _over_chunks(chunks, first, workers):
        for digest, (_, record) in results.items():
            base = known.get(digest)
            if base is not None and not record.error:  # keep what is current
                record = _merged(base, record, sources)
            known[digest] = record
            done += 1
            failed += bool(record.error)
            if progress is not None:
                progress(done, len(stale), failed)
        for source in others:
            _add_source(source, results, known)
        if keep is not None and time.monotonic() - kept > _KEEP_S:
            keep()
            kept = time.monotonic()
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


def _is_measured(record: Record | None, source: ColumnSource) -> bool:
    return record is not None and record.versions.get(source.name) == source.version


def _over_chunks(
    chunks: Sequence[list[tuple[str, Entry, bool]]], source: ColumnSource, workers: int
) -> Iterator[dict[str, tuple[Sample, Record]]]:
    work = partial(_measure_chunk, source=source)
    files = sum(len(chunk) for chunk in chunks)
    wanted = workers or cores()
    if wanted < 2 or (files < _SERIAL and not workers):
        yield from map(work, chunks)
        return
    with worker_pool(wanted) as pool:
        yield from pool.map(work, chunks)


def _measure_chunk(
    chunk: list[tuple[str, Entry, bool]], source: ColumnSource
) -> dict[str, tuple[Sample, Record]]:
    out = {}
    for digest, entry, is_measured in chunk:
        sample = read_sample(entry)
        record = record_of(sample, digest)
        if not record.error and not is_measured:
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
