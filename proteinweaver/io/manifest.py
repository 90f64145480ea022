"""Manifests of a run folder: one JSON line per finished design, the resume key.

Every shard appends to a file of its own; readers take all of them. A later line of the same
design replaces an earlier one, and a line torn by a crash is passed over. A `Manifest` keeps only
where each line stands: a line holds all metrics of a design, and ten thousand of them would fill
the memory that sampling needs.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Manifest", "manifest_files", "named_files", "read_manifest"]


def manifest_files(path: str | Path) -> list[Path]:
    """Manifests of a run folder, sorted by name.

    Parameters
    ----------
    path : path-like
        The run folder.
    """
    return named_files(path, "manifest", "jsonl")


def named_files(path: str | Path, stem: str, suffix: str) -> list[Path]:
    """Files of a run or its shards: ``stem.suffix`` or ``stem.2-of-4.suffix``, sorted by name.

    Parameters
    ----------
    path : path-like
        The run folder.
    stem, suffix : str
        Parts of the name.
    """
    ours = re.compile(rf"{stem}(\.\d+-of-\d+)?\.{suffix}")
    return sorted(f for f in Path(path).glob(f"{stem}*.{suffix}") if ours.fullmatch(f.name))


class Manifest:
    """The designs of a run folder, their lines read when asked for.

    What is appended after it was made is not seen.

    Parameters
    ----------
    path : path-like
        The run folder.
    files : sequence of Path, optional
        Only these of its manifests.
    """

    def __init__(self, path: str | Path, files: Sequence[Path] | None = None) -> None:
        self._files = manifest_files(path) if files is None else [f for f in files if f.is_file()]
        self._place: dict[str, tuple[int, int]] = {}
        for number, file in enumerate(self._files):
            for offset, line in _parsed(file):
                self._place[str(line["name"])] = (number, offset)

    def __len__(self) -> int:
        """Return the number of designs."""
        return len(self._place)

    def names(self) -> Iterator[str]:
        """Names of the designs, in order of first appearance."""
        return iter(self._place)

    def lines(self, names: Iterable[str] | None = None) -> Iterator[dict[str, Any]]:
        """Read lines.

        Parameters
        ----------
        names : iterable of str, optional
            Which designs, in which order; all of them by default.

        Yields
        ------
        dict
        """
        streams = [file.open("rb") for file in self._files]
        try:
            for name in self._place if names is None else names:
                number, offset = self._place[name]
                streams[number].seek(offset)
                yield json.loads(streams[number].readline())
        finally:
            for stream in streams:
                stream.close()


def read_manifest(path: str | Path) -> dict[str, dict[str, Any]]:
    """Read all manifests of a run folder at once.

    Parameters
    ----------
    path : path-like
        The run folder.

    Returns
    -------
    dict
        Lines by design name.
    """
    return {str(line["name"]): line for line in Manifest(path).lines()}


def _parsed(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Offset and content of every line that is whole."""
    with file.open("rb") as stream:
        offset = 0
        for text in stream:
            try:
                line = json.loads(text)
            except ValueError:  # torn by a crash: not JSON, or not UTF-8
                line = None
            if isinstance(line, dict) and "name" in line:
                yield offset, line
            offset += len(text)
