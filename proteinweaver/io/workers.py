"""Worker processes for work that is split over cores: one numerical thread in each.

Linear algebra libraries start a thread for every core when they are loaded, in every worker. Where
workers already fill the cores, these threads wait for each other: many small products of matrices
took more than twice the time.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

__all__ = ["worker_pool"]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class _Worker(SpawnProcess):
    def start(self) -> None:
        """Start with an environment of its own; the caller's is as before."""
        before = {name: os.environ.get(name) for name in _THREADS}
        os.environ.update(dict.fromkeys(_THREADS, "1"))
        try:
            super().start()
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


class _Context(SpawnContext):
    Process = _Worker


@contextmanager
def worker_pool(
    workers: int, start: Callable[..., None] | None = None, given: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Open a pool of fresh processes.

    Parameters
    ----------
    workers : int
        Processes, started as work comes.
    start : callable, optional
        Called first in every one.
    given : tuple, optional
        What `start` is called with.

    Yields
    ------
    ProcessPoolExecutor
        At the end work that has not begun is dropped.
    """
    pool = ProcessPoolExecutor(workers, mp_context=_Context(), initializer=start, initargs=given)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
