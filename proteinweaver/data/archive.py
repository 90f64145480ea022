"""The file format ``proteinweaver-structures-1``: writing it, and looking into it.

A compressed npz file without pickles. R residues of n items lie one behind the other; item i owns
the rows ``offsets[i]:offsets[i+1]``.

==============  ===============  ==================================================================
array           type, shape      meaning
==============  ===============  ==================================================================
format          str              the name of the format
coords          int16 [R,4,3]    0.01 angstrom, centred on the mean CA of the item; N, CA, C, O
coord_scale     float32          0.01
aatype          uint8 [R]        index into aatype_names
sse             uint8 [R]        index into sse_names (P-SEA)
break_after     uint8 [R]        1 where the next residue is not bonded
resnum          int16 [R]        author residue number
offsets         int64 [n+1]      first row of every item
ids, pdb, chain str [n]          name, PDB code or ``''``, chain
source, kind    uint [n]         index into source_names, kind_names
resolution      float32 [n]      angstrom, NaN if unknown
cluster40       int32 [n]        finer homology group, for sampling weights
component       int32 [n]        coarser homology group, never divided by the split
split           uint8 [n]        0 train, 1 valid, 2 test
provenance      str              JSON: how the set was built (absent in the structure release)
==============  ===============  ==================================================================
"""

import contextlib
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proteinweaver.errors import UserError
from proteinweaver.structure.backbone import ATOM_NAMES
from proteinweaver.structure.residues import NAMES1

__all__ = ["FORMAT", "dataset_info", "require_writable", "write_archive"]

FORMAT = "proteinweaver-structures-1"

_SPLITS = ("train", "valid", "test")
_NEEDED = ("coords", "aatype", "sse", "break_after", "offsets", "ids", "cluster40", "split")
_LENGTH_EDGES = (0, 60, 100, 150, 200, 300, 500, 1_000_000)


def require_writable(path: Path) -> None:
    """Refuse a set that could not be written, leaving nothing behind.

    Parameters
    ----------
    path : Path
        The npz file that will be written.

    Raises
    ------
    UserError
        If it cannot be.
    """
    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a folder; name a file ending in .npz")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise UserError(f"cannot write {path}: {folder} takes no files; choose another -o")


def write_archive(
    path: Path, arrays: Mapping[str, NDArray[np.generic]], provenance: Mapping[str, Any]
) -> str:
    """Write a set, completely or not at all; the same content gives the same bytes.

    Parameters
    ----------
    path : Path
        The npz file; folders above it are created.
    arrays : mapping
        The arrays of the format without the constant ones (format, scale and names).
    provenance : mapping
        How the set was built, as JSON values.

    Returns
    -------
    sha256 : str
        Hash of the file.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    complete: dict[str, NDArray[np.generic]] = {
        "format": np.array(FORMAT),
        **arrays,
        "split_names": np.array(_SPLITS),
        "aatype_names": np.array(list(NAMES1)),
        "sse_names": np.array(["a", "b", "c"]),
        "atom_names": np.array(ATOM_NAMES),
        "coord_scale": np.array(0.01, dtype=np.float32),
        "provenance": np.array(json.dumps(provenance, sort_keys=True)),
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, array in complete.items():
                member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
                member.compress_type = zipfile.ZIP_DEFLATED
                stream = io.BytesIO()
                np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)
                archive.writestr(member, stream.getvalue())
        sha256 = _sha256(partial)
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return sha256


def dataset_info(path: str | Path) -> dict[str, Any]:
    """Summarise a structure set.

    Parameters
    ----------
    path : str or Path
        An npz file of the format.

    Returns
    -------
    info : dict
        ``path``, ``format``, ``sha256``, ``size_mib``, ``items``, ``residues``, ``length`` (min,
        median, max), ``lengths`` (histogram), ``splits`` (items and residues each), ``clusters``,
        ``sse`` (fractions), ``broken`` (items with a break), ``kinds``, ``resolution_known`` and
        ``provenance`` (None if not told).

    Raises
    ------
    UserError
        If the file is missing, damaged or of another format.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(
            f"{file}: no such structure set; build one with `proteinweaver data build`"
        )
    try:
        with np.load(file, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(f"{file}: not a readable npz file ({error}); build it again") from error
    except Exception as error:  # zlib.error and whatever else damaged bytes raise
        raise UserError(f"{file}: damaged ({error}); build it again") from error
    if str(found.get("format")) != FORMAT:
        raise UserError(f"{file}: its format is {found.get('format')}, not {FORMAT}")
    if missing := [name for name in _NEEDED if name not in found]:
        raise UserError(f"{file}: the array {missing[0]!r} is missing; build it again")
    lengths = np.diff(found["offsets"])
    if len(lengths) != len(found["ids"]) or int(lengths.sum()) != len(found["coords"]):
        raise UserError(f"{file}: its arrays do not fit together; build it again")
    item = np.repeat(np.arange(len(lengths)), lengths)
    names = found.get("kind_names", np.array([]))
    kinds = found.get("kind", np.array([], dtype=np.uint8))
    resolution = found.get("resolution", np.array([np.nan]))
    told = found.get("provenance")
    return {
        "path": str(file),
        "format": FORMAT,
        "sha256": _sha256(file),
        "size_mib": round(file.stat().st_size / 2**20, 2),
        "items": len(lengths),
        "residues": int(lengths.sum()),
        "length": {
            "min": int(lengths.min()),
            "median": float(np.median(lengths)),
            "max": int(lengths.max()),
        },
        "lengths": _histogram(lengths),
        "splits": {
            name: {
                "items": int((found["split"] == number).sum()),
                "residues": int(lengths[found["split"] == number].sum()),
            }
            for number, name in enumerate(_SPLITS)
        },
        "clusters": len(np.unique(found["cluster40"])),
        "sse": {
            letter: round(float((found["sse"] == number).mean()), 4)
            for number, letter in enumerate("abc")
        },
        "broken": len(np.unique(item[found["break_after"] != 0])),
        "kinds": {
            str(name): int((kinds == number).sum())
            for number, name in enumerate(names)
            if (kinds == number).any()
        },
        "resolution_known": int(np.isfinite(resolution).sum()),
        "provenance": None if told is None else json.loads(str(told)),
    }


def _histogram(lengths: NDArray[np.int64]) -> dict[str, int]:
    """Count items by length."""
    counts: dict[str, int] = {}
    for low, high in pairwise(_LENGTH_EDGES):
        label = f"{low}-{high - 1}" if high < _LENGTH_EDGES[-1] else f"{low}+"
        counts[label] = int(((lengths >= low) & (lengths < high)).sum())
    return counts


def _sha256(path: Path) -> str:
    """Return the hash of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
