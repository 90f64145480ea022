"""TM-scores of pairs of chains: asked for by number, computed once, in several processes.

`PairScores` knows a list of chains by their digests and keeps every score it has computed, also
from one evaluation to the next. Scores come from a fast search; where much hangs on one, a careful
search replaces it.
"""

import os
from collections.abc import Callable, Container, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from proteinweaver.errors import UserError
from proteinweaver.evaluation.quick import CAREFUL, quick_tm_pairs
from proteinweaver.evaluation.surroundings import describe, likeness_pairs
from proteinweaver.io.workers import worker_pool

__all__ = ["LEAST", "PairScores", "cores"]

LEAST = 5
"""Residues under which chains are not aligned."""

_CHUNK = 64
_LIKENESS_CHUNK = 1024
_SERIAL = 1500  # pairs under which starting processes costs more than it saves

Chain = NDArray[np.float32]
Key = tuple[str, str]
Work = TypeVar("Work")
_chains: list[Chain] = []
_described: dict[int, NDArray[np.float32]] = {}


def cores() -> int:
    """Cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _receive(chains: list[Chain]) -> None:
    """Begin a worker: keep the chains, so that pairs can be asked for by number."""
    _chains[:] = chains
    _described.clear()


def _description(number: int) -> NDArray[np.float32]:
    if number not in _described:
        _described[number] = describe(_chains[number])
    return _described[number]


def _score(work: tuple[list[tuple[int, int]], int]) -> NDArray[np.float64]:
    pairs, windows = work
    described = [(_description(i), _description(j)) for i, j in pairs]
    return quick_tm_pairs([(_chains[i], _chains[j]) for i, j in pairs], described, windows)


def _likeness(pairs: list[tuple[int, int]]) -> NDArray[np.float64]:
    return likeness_pairs([(_description(i), _description(j)) for i, j in pairs])


class PairScores:
    """Scores of pairs, kept.

    A context manager: its processes end with it.

    Parameters
    ----------
    chains : sequence of ndarray, dtype=float32, shape=(L_k, 3)
        CA positions in angstrom, at least `LEAST` residues each.
    digests : sequence of str
        What each chain's content is known by in the file.
    workers : int, optional
        Processes; 0 takes the cores of the machine. Few pairs are aligned in this process.
    """

    def __init__(self, chains: Sequence[Chain], digests: Sequence[str], workers: int = 0) -> None:
        self.chains = list(chains)
        self.digests = list(digests)
        self._size = [len(chain) for chain in self.chains]
        self.workers = workers or cores()
        self._known: dict[Key, tuple[float, float]] = {}
        self._careful: set[Key] = set()
        self._open = ExitStack()
        self._pool: ProcessPoolExecutor | None = None
        self._is_ready = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool = None
        self._open.close()

    def of(self, pairs: Iterable[tuple[int, int]]) -> NDArray[np.float64]:
        """Give the scores of pairs.

        Parameters
        ----------
        pairs : iterable of (int, int)
            Numbers of chains.

        Returns
        -------
        ndarray, dtype=float64, shape=(P, 2)
            Normalised by the first and by the second chain.
        """
        return self._of(list(pairs), self._known, 0)

    def careful(self, pairs: Iterable[tuple[int, int]]) -> NDArray[np.float64]:
        """Give the scores of pairs after a careful search, which are kept from then on.

        Parameters
        ----------
        pairs : iterable of (int, int)
            Numbers of chains.

        Returns
        -------
        ndarray, dtype=float64, shape=(P, 2)
            Normalised by the first and by the second chain.
        """
        return self._of(list(pairs), self._careful, CAREFUL)

    def likeness(self, pairs: Iterable[tuple[int, int]]) -> NDArray[np.float64]:
        """Give the likeness of pairs (`surroundings.likeness_pairs`), which is not kept.

        Parameters
        ----------
        pairs : iterable of (int, int)
            Numbers of chains.

        Returns
        -------
        ndarray, dtype=float64, shape=(P,)
        """
        wanted = list(pairs)
        chunks = [wanted[k : k + _LIKENESS_CHUNK] for k in range(0, len(wanted), _LIKENESS_CHUNK)]
        found = self._map(_likeness, chunks, len(wanted) // 40)
        return np.concatenate([np.zeros(0), *found])

    def _of(
        self, wanted: list[tuple[int, int]], known: Container[Key], windows: int
    ) -> NDArray[np.float64]:
        """Scores of pairs, those that are not ``known`` searched for from so many windows."""
        keys = [self._key(i, j) for i, j in wanted]
        missing: dict[Key, tuple[int, int]] = {}
        for key, (i, j) in zip(keys, wanted, strict=True):
            if key not in known and key not in missing:
                missing[key] = (i, j) if self.digests[i] == key[0] else (j, i)
        # pairs of like size go together: chunks are padded to their longest
        size = self._size
        order = sorted(missing.items(), key=lambda item: (size[item[1][0]], size[item[1][1]]))
        step = max(8, min(_CHUNK, -(-len(order) // self.workers)))
        chunks = [order[k : k + step] for k in range(0, len(order), step)]
        work = [([pair for _, pair in chunk], windows) for chunk in chunks]
        for chunk, scores in zip(chunks, self._map(_score, work, len(order)), strict=True):
            for (key, _), score in zip(chunk, scores, strict=True):
                before = self._known.get(key, (0.0, 0.0))
                self._known[key] = (max(before[0], score[0]), max(before[1], score[1]))
        if windows:
            self._careful.update(missing)
        out = np.zeros((len(wanted), 2))
        for row, (key, (i, _)) in enumerate(zip(keys, wanted, strict=True)):
            score = self._known[key]
            out[row] = score if key[0] == self.digests[i] else score[::-1]
        return out

    def _key(self, i: int, j: int) -> tuple[str, str]:
        a, b = self.digests[i], self.digests[j]
        return (a, b) if a <= b else (b, a)

    def _map(
        self, function: Callable[[Work], NDArray[np.float64]], work: Sequence[Work], pairs: int
    ) -> Iterable[NDArray[np.float64]]:
        """Do pieces of work in order, in other processes once there is much of it."""
        if self.workers < 2 or (self._pool is None and pairs < _SERIAL):
            if not self._is_ready:
                _receive(self.chains)
                self._is_ready = True
            return map(function, work)
        if self._pool is None:
            self._pool = self._open.enter_context(
                worker_pool(self.workers, _receive, (self.chains,))
            )
        return self._pool.map(function, work)

    def load(self, path: Path) -> None:
        """Take over the scores of an earlier evaluation; a damaged file holds none."""
        if not path.is_file():
            return
        try:
            with np.load(path, allow_pickle=False) as archive:
                names = archive["digests"].tolist()
                pairs, scores = archive["pairs"].tolist(), archive["scores"].tolist()
                careful = archive["careful"].tolist()
        except Exception:  # scores that cannot be read are computed again
            return
        here = set(self.digests)
        for (i, j), score, is_careful in zip(pairs, scores, careful, strict=True):
            if names[i] in here and names[j] in here:
                self._known[names[i], names[j]] = (score[0], score[1])
                if is_careful:
                    self._careful.add((names[i], names[j]))

    def save(self, path: Path) -> None:
        """Write all scores.

        Raises
        ------
        UserError
            If the disk refuses.
        """
        names = sorted({name for key in self._known for name in key})
        place = {name: k for k, name in enumerate(names)}
        pairs = np.array([[place[a], place[b]] for a, b in self._known], np.int32).reshape(-1, 2)
        scores = np.array(list(self._known.values()), np.float32).reshape(-1, 2)
        careful = np.array([key in self._careful for key in self._known], np.bool_)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with partial.open("wb") as handle:
                np.savez(
                    handle,
                    digests=np.array(names, "<U64"),
                    pairs=pairs,
                    scores=scores,
                    careful=careful,
                )
            os.replace(partial, path)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from None
        finally:
            partial.unlink(missing_ok=True)
