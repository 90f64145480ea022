"""The folder of a run: what is finished, what belongs together, and how it is written.

::

    run.json             resolved config, versions, command, device, seed, weight hashes
    manifest.jsonl       one line per finished design: the resume key
    designs/NAME.pdb     and NAME.json beside it
    domains/  traj/      parts of designs, trajectories
    metrics.csv          all designs, best first
    .tables.json         what metrics.csv was made from

Shards write ``run.i-of-n.json`` and ``manifest.i-of-n.jsonl`` into the same folder; readers take
all. A file appears complete or not at all (written beside its place, then renamed), and a manifest
line is one ``O_APPEND`` write made after its files are there, so a killed run loses at most the
designs in flight. A folder never mixes configurations: opening it with another one is an error.
"""

import csv
import fcntl
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proteinweaver import __version__
from proteinweaver.errors import UserError
from proteinweaver.io.manifest import Manifest, manifest_files, named_files

__all__ = ["Finished", "RunFolder", "Shard", "write_atomic"]

#: What the tables were made from, and the lock of making them.
_TABLES = ".tables.json"


@dataclass(frozen=True)
class Shard:
    """One part of a run that several processes share.

    Parameters
    ----------
    part, parts : int
        Part 1..parts. Part i takes the designs whose index is i - 1 modulo `parts`.
    """

    part: int = 1
    parts: int = 1

    def __post_init__(self) -> None:
        """Refuse a part outside 1..parts."""
        if not 1 <= self.part <= self.parts:
            raise UserError(
                f"shard {self.part}/{self.parts}: the part runs from 1 to {self.parts}"
            )

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read ``"2/4"``.

        Raises
        ------
        UserError
            If the text is not ``i/n`` with i from 1 to n.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if not match:
            raise UserError(f"shard '{text}' is not i/n, such as 2/4")
        return cls(int(match[1]), int(match[2]))

    def owns(self, index: int) -> bool:
        """Tell whether design `index` (from 0) is of this part."""
        return index % self.parts == self.part - 1

    @property
    def infix(self) -> str:
        """Part of file names: empty for a whole run, else ``".2-of-4"``."""
        return "" if self.parts == 1 else f".{self.part}-of-{self.parts}"


@dataclass(frozen=True, slots=True)
class Finished:
    """What a run must know of a design that needs no more work.

    Parameters
    ----------
    job : str
        Name of its job.
    passed : bool
        Whether it met all checks.
    failed : bool, optional
        Whether there is no design: its coordinates were no numbers.
    """

    job: str
    passed: bool
    failed: bool = False


class RunFolder:
    """An open run folder.

    Use :meth:`open`; the constructor checks nothing.

    Parameters
    ----------
    path : Path
        The folder.
    shard : Shard
        Which part of the run writes here.
    """

    def __init__(self, path: Path, shard: Shard) -> None:
        self.path = path
        self.shard = shard

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        identity: Mapping[str, Any],
        jobs: Mapping[str, Any] | None = None,
        record: Mapping[str, Any],
        shard: Shard | None = None,
        overwrite: bool = False,
    ) -> "RunFolder":
        """Create a run folder, or go on in one.

        Parameters
        ----------
        path : path-like
            The folder; created if absent.
        identity : mapping
            Everything that decides what the designs are. JSON types only.
        jobs : mapping, optional
            The same for each job by name; jobs may be added to a folder, not changed.
        record : mapping
            Whatever else ``run.json`` keeps (versions, command, device).
        shard : Shard, optional
            Default: the whole run.
        overwrite : bool, optional
            Forget what the folder holds of this run (or shard) before.

        Returns
        -------
        RunFolder

        Raises
        ------
        UserError
            If the folder cannot be written, or holds designs of another configuration.
        """
        folder = cls(Path(path), shard or Shard())
        own = {"identity": _as_json(identity), "jobs": _as_json(jobs or {})}
        earlier = folder._earlier_jobs(own, overwrite)
        _make_writable(folder.path)
        if overwrite:
            folder._forget()
        text = json.dumps({**own, "jobs": {**earlier, **own["jobs"]}, **record}, indent=1) + "\n"
        write_atomic(folder.path / f"run{folder.shard.infix}.json", text)
        return folder

    def finished(self) -> dict[str, Finished]:
        """Designs that need no more work.

        Returns
        -------
        dict
            By design name: those whose files are all there, and failed ones.
        """
        return {
            str(line["name"]): Finished(
                str(line.get("job")), bool(line.get("passed")), line.get("status") == "failed"
            )
            for line in Manifest(self.path).lines()
            if all((self.path / file).is_file() for file in line.get("files", []))
        }

    def write(self, line: Mapping[str, Any], files: Mapping[str, str]) -> None:
        """Write the files of a finished design, then its manifest line.

        Parameters
        ----------
        line : mapping
            Manifest line with at least ``name``; ``files`` is added here.
        files : mapping
            Text by path relative to the folder, such as ``"designs/a.pdb"``.

        Raises
        ------
        UserError
            If the disk refuses.
        """
        for relative, text in files.items():
            write_atomic(self.path / relative, text)
        self._append({**line, "files": list(files)})

    def write_table(self, rows: Iterable[Mapping[str, Any]], name: str = "metrics.csv") -> None:
        """Write a table with the columns of its rows, in order of first appearance.

        Parameters
        ----------
        rows : iterable of mapping
            One mapping a row; absent values stay empty. Iterated over twice.
        name : str, optional
            File name.
        """
        columns = list(dict.fromkeys(key for row in rows for key in row))
        write_atomic(self.path / name, _csv_lines(columns, rows))

    @contextmanager
    def tables(self) -> Iterator[bool]:
        """Take turns with other shards at making the tables of the whole folder.

        Whoever comes last sees every line that was appended before; where nothing was appended
        since the tables were made there is nothing to do.

        Yields
        ------
        bool
            Whether the tables are to be made.

        Raises
        ------
        UserError
            If the disk refuses.
        """
        file = self.path / _TABLES
        try:
            with _locked(file) as handle:
                stamps = [(f.name, f.stat()) for f in manifest_files(self.path)]
                found = {name: [stamp.st_size, stamp.st_mtime_ns] for name, stamp in stamps}
                state = json.dumps({"version": __version__, "manifests": found}) + "\n"
                made = (self.path / "metrics.csv").is_file() and file.read_text() == state
                yield not made
                os.ftruncate(handle, 0)
                os.write(handle, state.encode())
        except OSError as error:
            raise UserError(f"cannot write {file}: {error.strerror}") from None

    def _append(self, line: Mapping[str, Any]) -> None:
        file = self.path / f"manifest{self.shard.infix}.jsonl"
        data = (json.dumps(line) + "\n").encode()
        try:
            with _locked(file) as handle:
                size = os.fstat(handle).st_size
                # A line torn by a crash must not swallow this one.
                if size and os.pread(handle, 1, size - 1) != b"\n":
                    data = b"\n" + data
                os.write(handle, data)
                os.fsync(handle)
        except OSError as error:
            raise UserError(f"cannot write {file}: {error.strerror}") from None

    def _earlier_jobs(self, own: Mapping[str, Any], overwrite: bool) -> dict[str, Any]:
        """Return the jobs of earlier runs; raise if another configuration has written here."""
        mine = self.path / f"run{self.shard.infix}.json"
        earlier: dict[str, Any] = {}
        for file in named_files(self.path, "run", "json"):
            if overwrite and (file == mine or self.shard.parts == 1):
                continue
            there = _read_record(file)
            shared = {name: job for name, job in there["jobs"].items() if name in own["jobs"]}
            here = {**own, "jobs": {name: own["jobs"][name] for name in shared}}
            if change := _first_change({**there, "jobs": shared}, here):
                mend = "give another folder" if overwrite else "give another folder or --overwrite"
                raise UserError(
                    f"{self.path} holds designs of another configuration ({change}); {mend}"
                )
            earlier.update(there["jobs"])
        return earlier

    def _forget(self) -> None:
        """Remove what this run, or this shard, wrote before."""
        whole = self.shard.parts == 1
        manifests = [self.path / f"manifest{self.shard.infix}.jsonl"]
        records = [self.path / f"run{self.shard.infix}.json"]
        if whole:
            manifests = manifest_files(self.path)
            records = named_files(self.path, "run", "json")
        tables = ("metrics.csv", _TABLES) if whole else ()
        root = self.path.resolve()
        for line in Manifest(self.path, manifests).lines():
            for file in line.get("files", []):
                target = (root / str(file)).resolve()
                # A manifest is a text file anybody may edit: never follow it out of the folder.
                if target.is_relative_to(root):
                    target.unlink(missing_ok=True)
        for target in [*manifests, *records, *(self.path / name for name in tables)]:
            target.unlink(missing_ok=True)


def write_atomic(file: Path, text: str | Iterable[str]) -> None:
    """Write a text file completely or not at all.

    Parameters
    ----------
    file : Path
        Where; folders above it are created.
    text : str or iterable of str
        What, or its pieces in order.

    Raises
    ------
    UserError
        If the disk refuses.
    """
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8") as stream:
            stream.writelines([text] if isinstance(text, str) else text)
        os.replace(partial, file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UserError(f"cannot write {file}: {error.strerror}") from None
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _csv_lines(columns: list[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Lines of a CSV file, header first."""
    pending: list[str] = []
    writer = csv.DictWriter(_Sink(pending.append), columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(row)
        yield from pending
        pending.clear()
    yield from pending


@dataclass(frozen=True)
class _Sink:
    """What csv can write to."""

    write: Callable[[str], None]


@contextmanager
def _locked(file: Path) -> Iterator[int]:
    """Open a file for appending, alone among the processes that open it so."""
    handle = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # until the handle is closed
        yield handle
    finally:
        os.close(handle)


def _make_writable(path: Path) -> None:
    """Create the folder and try to write in it; leave nothing behind where that fails."""
    created = [folder for folder in (path, *path.parents) if not folder.exists()]
    probe = path / f".write-test-{os.getpid()}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        for folder in created:
            if folder.is_dir():
                folder.rmdir()
        raise UserError(
            f"cannot write into {path}: {error.strerror}; choose another folder with -o"
        ) from None


def _read_record(file: Path) -> dict[str, dict[str, Any]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {"identity": dict(content["identity"]), "jobs": dict(content["jobs"])}
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{file} is not a readable run record; give another folder") from None


def _as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """Bring a mapping into the form it has after a round trip through a file."""
    back: dict[str, Any] = json.loads(json.dumps(value))
    return back


def _first_change(there: Any, here: Any, path: str = "") -> str | None:
    """Name the first difference of two parsed JSON values, None where they agree."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in dict.fromkeys([*there, *here]):
            place = str(key) if path in {"", "identity"} else f"{path}.{key}"
            if key not in there or key not in here:
                return f"{place} only {'there' if key in there else 'here'}"
            if change := _first_change(there[key], here[key], place):
                return change
        return None
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for number, (a, b) in enumerate(zip(there, here, strict=True)):
            if change := _first_change(a, b, f"{path}[{number}]"):
                return change
        return None
    return None if there == here else f"{path} is {there!r} there and {here!r} here"
