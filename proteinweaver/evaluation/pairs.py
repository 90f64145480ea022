"""TM-scores of pairs of chains: asked for by number, computed once, in several processes.

`PairScores` knows a list of chains by their digests and keeps every score it has computed, also
from one evaluation to the next.
"""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from proteinweaver.errors import UserError
from proteinweaver.evaluation.quick import describe, quick_tm_pairs

__all__ = ["LEAST", "PairScores", "cores"]

LEAST = 5
"""Residues under which chains are not aligned."""

_CHUNK = 64
_SERIAL = 150  # chains under which starting processes costs more than it saves

Chain = NDArray[np.float32]
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


def _score(pairs: list[tuple[int, int]]) -> NDArray[np.float64]:
    described = [(_description(i), _description(j)) for i, j in pairs]
    return quick_tm_pairs([(_chains[i], _chains[j]) for i, j in pairs], described)


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
        Processes; 0 takes the cores of the machine. Few chains are aligned in this process.
    """

    def __init__(self, chains: Sequence[Chain], digests: Sequence[str], workers: int = 0) -> None:
        self.chains = list(chains)
        self.digests = list(digests)
        self.workers = 1 if len(self.chains) < _SERIAL else workers or cores()
        self._known: dict[tuple[str, str], tuple[float, float]] = {}
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
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

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
        wanted = list(pairs)
        keys = [self._key(i, j) for i, j in wanted]
        missing: dict[tuple[str, str], tuple[int, int]] = {}
        for key, (i, j) in zip(keys, wanted, strict=True):
            if key not in self._known and key not in missing:
                missing[key] = (i, j) if self.digests[i] == key[0] else (j, i)
        # pairs of like size go together: chunks are padded to their longest
        size = [len(chain) for chain in self.chains]
        order = sorted(missing.items(), key=lambda item: (size[item[1][0]], size[item[1][1]]))
        step = max(8, min(_CHUNK, -(-len(order) // self.workers)))
        chunks = [order[k : k + step] for k in range(0, len(order), step)]
        for chunk, scores in zip(chunks, self._compute(chunks), strict=True):
            for (key, _), score in zip(chunk, scores, strict=True):
                self._known[key] = (float(score[0]), float(score[1]))
        out = np.zeros((len(wanted), 2))
        for row, (key, (i, _)) in enumerate(zip(keys, wanted, strict=True)):
            score = self._known[key]
            out[row] = score if key[0] == self.digests[i] else score[::-1]
        return out

    def _key(self, i: int, j: int) -> tuple[str, str]:
        a, b = self.digests[i], self.digests[j]
        return (a, b) if a <= b else (b, a)

    def _compute(
        self, chunks: Sequence[Sequence[tuple[tuple[str, str], tuple[int, int]]]]
    ) -> Iterable[NDArray[np.float64]]:
        numbers = [[pair for _, pair in chunk] for chunk in chunks]
        if self.workers < 2:
            if not self._is_ready:
                _receive(self.chains)
                self._is_ready = True
            return map(_score, numbers)
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.workers,
                mp_context=get_context("spawn"),
                initializer=_receive,
                initargs=(self.chains,),
            )
        return self._pool.map(_score, numbers)

    def load(self, path: Path) -> None:
        """Take over the scores of an earlier evaluation; a damaged file holds none."""
        if not path.is_file():
            return
        try:
            with np.load(path, allow_pickle=False) as archive:
                names = archive["digests"].tolist()
                pairs, scores = archive["pairs"].tolist(), archive["scores"].tolist()
        except Exception:  # scores that cannot be read are computed again
            return
        here = set(self.digests)
        for (i, j), score in zip(pairs, scores, strict=True):
            if names[i] in here and names[j] in here:
                self._known[names[i], names[j]] = (score[0], score[1])

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
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with partial.open("wb") as handle:
                np.savez(handle, digests=np.array(names, "<U64"), pairs=pairs, scores=scores)
            os.replace(partial, path)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from None
        finally:
            partial.unlink(missing_ok=True)
