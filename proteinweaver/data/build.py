"""From a folder of structure files to a set in the ``proteinweaver-structures-1`` format.

Every protein chain of every file becomes an item if it passes the quality filter
(`proteinweaver.data.quality`). Chains with the same sequence are kept once: the deposited one
before a model, then the one with fewer breaks, then the better resolution. The rest is grouped by
homology (`proteinweaver.data.clusters`) and split into train, valid and test by whole groups
(`proteinweaver.data.split`).

A file that cannot be read is counted and told, never fatal. The same files, options and seed give
the same bytes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proteinweaver.data.archive import require_writable, write_archive
from proteinweaver.data.clusters import Clustering, cluster_sequences
from proteinweaver.data.quality import QualityLimits, fault_of
from proteinweaver.data.split import ChainItem, split_items, without_duplicates
from proteinweaver.errors import UserError
from proteinweaver.io.read import STRUCTURE_SUFFIXES, read_structure, stem_of
from proteinweaver.io.workers import worker_pool
from proteinweaver.structure.biotite_adapter import annotate_sse

__all__ = ["BuildReport", "build_dataset", "chain_arrays", "find_structures"]

Progress = Callable[[int, int, int], None]
"""Called with the number of files done, of all files, and of files that failed."""

_KINDS = {"exp": 0, "unknown": 1, "relaxed": 2, "rebuilt_o": 3}
_EXPERIMENTS = ("DIFFRACTION", "NMR", "MICROSCOPY", "CRYSTALLOGRAPHY", "SCATTERING")


@dataclass(frozen=True)
class BuildReport:
    """What `build_dataset` did.

    Parameters
    ----------
    path : Path
        The set that was written.
    files, items, residues : int
        Files looked at; chains and residues written.
    errors : tuple of (str, str)
        File and message of every file that could not be read.
    refused : dict of str to int
        Fault -> number of chains the quality filter refused for it.
    duplicates : int
        Chains left out because a better one has the same sequence.
    splits : dict of str to int
        Items of train, valid and test.
    clustering : str
        How homologues were found.
    sha256 : str
        Hash of the file.
    """

    path: Path
    files: int
    items: int
    residues: int
    errors: tuple[tuple[str, str], ...]
    refused: dict[str, int]
    duplicates: int
    splits: dict[str, int]
    clustering: str
    sha256: str


@dataclass
class _FileResult:
    items: list[ChainItem] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    error: str | None = None


def build_dataset(
    sources: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    limits: QualityLimits | None = None,
    valid: float = 0.05,
    test: float = 0.05,
    seed: int = 0,
    cluster: str = "auto",
    keep_duplicates: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> BuildReport:
    """Build a structure set from files and folders.

    Parameters
    ----------
    sources : path or sequence of paths
        Structure files, or folders that are searched with all their subfolders for PDB, mmCIF and
        BinaryCIF files (also gzipped).
    out : str or Path
        The npz file to write.
    limits : QualityLimits, optional
        What a chain must meet.
    valid, test : float, optional
        Fractions of the items for validation and test.
    seed : int, optional
        Chooses which groups go where.
    cluster : {"auto", "mmseqs", "kmer"}, optional
        How homologues are found; see `proteinweaver.data.clusters`.
    keep_duplicates : bool, optional
        Keep every chain of a sequence (they share a group).
    workers : int, optional
        Processes that read files.
    progress : callable, optional
        Called after every file with done, all, failed.

    Returns
    -------
    report : BuildReport

    Raises
    ------
    UserError
        If an option is out of range, a source is missing, `out` cannot be written (told before
        any file is read), or no chain is left.
    """
    limits = limits or QualityLimits()
    if not (0.0 <= valid < 1.0 and 0.0 <= test < 1.0 and valid + test < 1.0):
        raise UserError(
            f"valid {valid:g} and test {test:g}: give fractions that leave some to train"
        )
    if workers < 1:
        raise UserError(f"workers is {workers}; give 1 or more")
    target = Path(out)
    if target.suffix != ".npz":
        raise UserError(f"{target}: the name of a structure set ends in .npz")
    listed = [sources] if isinstance(sources, str | Path) else list(sources)
    files = find_structures(listed)
    require_writable(target)
    errors: list[tuple[str, str]] = []
    refused: Counter[str] = Counter()
    items: list[ChainItem] = []
    for done, (file, result) in enumerate(_read_all(files, limits, workers), start=1):
        if result.error is not None:
            errors.append((str(file), result.error))
        items += result.items
        refused.update(result.refused)
        if progress is not None:
            progress(done, len(files), len(errors))
    kept = items if keep_duplicates else without_duplicates(items)
    if not kept:
        raise UserError(_nothing_left(len(files), errors, refused))
    clustering = cluster_sequences(
        [item.backbone.sequence for item in kept], tool=cluster, threads=workers
    )
    split = split_items(kept, clustering, valid, test, seed)
    provenance = {
        "files": len(files),
        "unreadable": len(errors),
        "refused": dict(sorted(refused.items())),
        "duplicates": len(items) - len(kept),
        "clustering": clustering.method,
        "limits": vars(limits),
        "valid": valid,
        "test": test,
        "seed": seed,
    }
    sha256 = write_archive(target, chain_arrays(kept, clustering, split), provenance)
    return BuildReport(
        path=target,
        files=len(files),
        items=len(kept),
        residues=sum(len(item.backbone) for item in kept),
        errors=tuple(errors),
        refused=dict(sorted(refused.items())),
        duplicates=len(items) - len(kept),
        splits={
            name: int((split == i).sum()) for i, name in enumerate(("train", "valid", "test"))
        },
        clustering=clustering.method,
        sha256=sha256,
    )


def find_structures(sources: Iterable[str | Path]) -> list[tuple[Path, str]]:
    """List the structure files of sources.

    Parameters
    ----------
    sources : iterable of path
        Files, or folders to search.

    Returns
    -------
    files : list of (Path, str)
        Every file once, in the order of its sorted path per source, with the name of its source.

    Raises
    ------
    UserError
        If a source does not exist or there is no structure file in any of them.
    """
    found: dict[Path, str] = {}
    endings = tuple(s + gz for s in STRUCTURE_SUFFIXES for gz in ("", ".gz"))
    for source in sources:
        path = Path(source)
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.name.lower().endswith(endings))
            for file in inside:
                if file.is_file():
                    found.setdefault(file.resolve(), path.resolve().name)
        elif path.is_file():
            found.setdefault(path.resolve(), path.resolve().parent.name)
        else:
            raise UserError(f"{path}: no such file or folder")
    if not found:
        raise UserError(
            f"no structure files found (by ending: {', '.join(STRUCTURE_SUFFIXES)}, also + .gz)"
        )
    return list(found.items())


def _read_all(
    files: Sequence[tuple[Path, str]], limits: QualityLimits, workers: int
) -> Iterator[tuple[Path, _FileResult]]:
    """Yield the result of every file, in order."""
    read = partial(_read_one, limits=limits)
    if workers == 1:
        for file in files:
            yield file[0], read(file)
        return
    with worker_pool(workers) as pool:
        results = pool.map(read, files, chunksize=8)
        for file, result in zip(files, results, strict=True):
            yield file[0], result


def _read_one(file: tuple[Path, str], limits: QualityLimits) -> _FileResult:
    """Read one file; an unreadable one is a result, too."""
    path, source = file
    result = _FileResult()
    try:
        structure = read_structure(path)
    except UserError as error:
        result.error = str(error).removeprefix(f"{path}: ")
        return result
    except Exception as error:  # one odd file among thousands must not end the run
        result.error = f"{type(error).__name__}: {error}"
        return result
    experimental = any(word in structure.method for word in _EXPERIMENTS)
    for chain in structure.backbone.split_chains():
        fault = fault_of(chain, structure.resolution, limits)
        if fault is not None:
            result.refused.append(fault)
            continue
        name = str(chain.chain[0])
        built = structure.rebuilt_o.get(name, 0)
        kind = "rebuilt_o" if 2 * built > len(chain) else "exp" if experimental else "unknown"
        label = structure.entry or stem_of(path)
        result.items.append(
            ChainItem(
                name=f"{label}_{name}" if name else label,
                entry=structure.entry,
                source=source,
                kind=kind,
                resolution=structure.resolution,
                backbone=chain,
                sse=annotate_sse(chain.ca, chain.break_after),
            )
        )
    return result


def chain_arrays(
    items: Sequence[ChainItem], clustering: Clustering, split: NDArray[np.uint8]
) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of the format (`proteinweaver.data.archive`), the fixed ones excepted.

    Parameters
    ----------
    items : sequence of ChainItem
    clustering : Clustering
        Of the items.
    split : ndarray, dtype=uint8, shape=(n,)

    Returns
    -------
    dict of str to ndarray
    """
    sources = sorted({item.source for item in items})
    coords, letters = [], np.array(["a", "b", "c"])
    for item in items:
        xyz = item.backbone.coord.astype(np.float64)
        coords.append(np.rint((xyz - xyz[:, 1].mean(axis=0)) * 100.0).astype(np.int16))
    backbones = [item.backbone for item in items]
    lengths = [len(backbone) for backbone in backbones]
    return {
        "coords": np.concatenate(coords),
        "aatype": np.concatenate([b.aatype for b in backbones]),
        "sse": np.concatenate([np.searchsorted(letters, item.sse) for item in items]).astype("u1"),
        "break_after": np.concatenate([b.break_after for b in backbones]).astype(np.uint8),
        "resnum": np.concatenate([b.resnum for b in backbones]).astype(np.int16),
        "offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        "ids": np.array(_unique([item.name for item in items])),
        "pdb": np.array([item.entry for item in items], dtype="<U4"),
        "chain": np.array([str(b.chain[0]) for b in backbones], dtype="<U4"),
        "source": np.array([sources.index(item.source) for item in items], dtype=np.uint16),
        "source_names": np.array(sources),
        "kind": np.array([_KINDS[item.kind] for item in items], dtype=np.uint8),
        "kind_names": np.array(list(_KINDS)),
        "resolution": np.array([item.resolution for item in items], dtype=np.float32),
        "cluster40": clustering.cluster,
        "component": clustering.component,
        "split": split,
    }


def _unique(names: Sequence[str]) -> list[str]:
    """Append ``'`` to repeated names until all differ."""
    taken: set[str] = set()
    result = []
    for name in names:
        while name in taken:
            name += "'"
        taken.add(name)
        result.append(name)
    return result


def _nothing_left(files: int, errors: Sequence[tuple[str, str]], refused: Counter[str]) -> str:
    """Say why a set would be empty."""
    why = [f"{count} chains {fault}" for fault, count in refused.most_common(3)]
    if errors:
        why.append(f"{len(errors)} files unreadable (first: {errors[0][0]}: {errors[0][1]})")
    return f"none of {files} files gives a usable chain: {'; '.join(why)}; nothing is written"
