"""What was measured of each file, kept so that only what changed is measured again.

A `Record` belongs to the name and the *content* of a file (with its side file and input domains),
not to its place. All records of an evaluation lie in one ``measured.npz``: numbers as JSON, CA
positions and values per residue as arrays; nothing is pickled.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proteinweaver.errors import UserError
from proteinweaver.evaluation.measure import Layer, Measured
from proteinweaver.evaluation.samples import Sample

__all__ = ["MISSING", "Record", "load_records", "record_of", "save_records", "with_measured"]

_FORMAT = "proteinweaver-measured-1"

MISSING = 255
"""Level of a residue without a value."""

_LEVELS = 254


@dataclass(frozen=True)
class Record:
    """One structure as far as tables, comparisons and the page need it.

    Parameters
    ----------
    digest : str
        Of the content it was measured from.
    versions : mapping of str to str
        Version of every source that has measured it.
    values : mapping
        Numbers and words by column.
    notes : tuple of str
        What the reader decided.
    error : str
        Why the file could not be measured; empty if it could.
    ca : ndarray, dtype=float32, shape=(L, 3)
        CA positions in angstrom; L = 0 with an error.
    toward_o : ndarray, dtype=int8, shape=(L, 3)
        Unit vectors from C to O times 127; 0 where unknown.
    layers : mapping of str to ndarray, dtype=uint8, shape=(L,)
        Values per residue in 254 levels, 255 for none.
    scales : mapping of str to (float, float)
        Ends of every layer.
    """

    digest: str
    versions: Mapping[str, str]
    values: Mapping[str, float | int | str]
    notes: tuple[str, ...]
    error: str
    ca: NDArray[np.float32]
    toward_o: NDArray[np.int8]
    layers: Mapping[str, NDArray[np.uint8]]
    scales: Mapping[str, tuple[float, float]]


def record_of(sample: Sample, digest: str) -> Record:
    """Begin the record of a structure that nothing has measured yet.

    Parameters
    ----------
    sample : Sample
        As read; may hold an error.
    digest : str
        Of its content.

    Returns
    -------
    Record
    """
    coord = np.zeros((0, 4, 3)) if sample.backbone is None else sample.backbone.coord
    carbonyl = np.asarray(coord[:, 3] - coord[:, 2], dtype=np.float64)
    size = np.linalg.norm(carbonyl, axis=-1, keepdims=True)
    unit = np.nan_to_num(carbonyl / np.where(size > 1e-6, size, np.inf))
    return Record(
        digest=digest,
        versions={},
        values={},
        notes=sample.notes,
        error=sample.error,
        ca=np.asarray(coord[:, 1], dtype=np.float32),
        toward_o=np.round(unit * 127).astype(np.int8),
        layers={},
        scales={},
    )


def with_measured(record: Record, source: str, version: str, measured: Measured) -> Record:
    """Add what one source says.

    Parameters
    ----------
    record : Record
        So far.
    source, version : str
        Who says it.
    measured : Measured
        What it says.

    Returns
    -------
    Record
    """
    values = {key: _plain(value) for key, value in measured.values.items()}
    return Record(
        digest=record.digest,
        versions={**record.versions, source: version},
        values={**record.values, **values},
        notes=record.notes,
        error=record.error,
        ca=record.ca,
        toward_o=record.toward_o,
        layers={
            **record.layers,
            **{name: _levels(layer) for name, layer in measured.layers.items()},
        },
        scales={
            **record.scales,
            **{name: (layer.low, layer.high) for name, layer in measured.layers.items()},
        },
    )


def _plain(value: Any) -> float | int | str:
    """Bring NumPy scalars to Python, floats to six digits."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return value
    if isinstance(value, np.integer | np.bool_ | bool):
        return int(value)
    return float(f"{float(value):.6g}")


def _levels(layer: Layer) -> NDArray[np.uint8]:
    share = (np.asarray(layer.values, dtype=np.float64) - layer.low) / (layer.high - layer.low)
    known = np.isfinite(share)
    level = np.round(np.clip(np.nan_to_num(share), 0.0, 1.0) * _LEVELS)
    return np.where(known, level, MISSING).astype(np.uint8)


def save_records(path: Path, records: Iterable[Record]) -> None:
    """Write records, completely or not at all.

    Parameters
    ----------
    path : Path
        An npz file; replaced.
    records : iterable of Record
        What to write.

    Raises
    ------
    UserError
        If the disk refuses.
    """
    kept = list(records)
    about = [
        {
            "digest": r.digest,
            "versions": dict(r.versions),
            "values": dict(r.values),
            "notes": list(r.notes),
            "error": r.error,
            "layers": list(r.layers),
            "scales": {name: list(ends) for name, ends in r.scales.items()},
        }
        for r in kept
    ]
    layers = [layer for r in kept for layer in r.layers.values()]
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as handle:
            np.savez(
                handle,
                format=np.array(_FORMAT),
                about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8),
                length=np.array([len(r.ca) for r in kept], dtype=np.int64),
                ca=np.concatenate([r.ca for r in kept] or [np.zeros((0, 3), np.float32)]),
                toward_o=np.concatenate([r.toward_o for r in kept] or [np.zeros((0, 3), np.int8)]),
                layers=np.concatenate(layers or [np.zeros(0, np.uint8)]),
            )
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)


def load_records(path: Path) -> dict[str, Record]:
    """Read records.

    Parameters
    ----------
    path : Path
        Written by `save_records`; absent or damaged files hold nothing.

    Returns
    -------
    dict
        By digest.
    """
    if not path.is_file():
        return {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            if str(archive["format"]) != _FORMAT:
                return {}
            about = json.loads(archive["about"].tobytes().decode())
            length, ca = archive["length"], archive["ca"]
            toward_o, flat = archive["toward_o"], archive["layers"]
    except Exception:  # a cache that cannot be read is measured again
        return {}
    out = {}
    start = used = 0
    for entry, size in zip(about, length.tolist(), strict=True):
        layers = {}
        for name in entry["layers"]:
            layers[name] = flat[used : used + size]
            used += size
        out[entry["digest"]] = Record(
            digest=entry["digest"],
            versions=entry["versions"],
            values=entry["values"],
            notes=tuple(entry["notes"]),
            error=entry["error"],
            ca=ca[start : start + size],
            toward_o=toward_o[start : start + size],
            layers=layers,
            scales={name: (ends[0], ends[1]) for name, ends in entry["scales"].items()},
        )
        start += size
    return out
