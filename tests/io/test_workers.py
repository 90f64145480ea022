"""Pools of worker processes: one thread each, and nothing left of them."""

import os

import pytest

from proteinweaver.io.workers import worker_pool


def threads(_: int) -> tuple[int, str]:
    return os.getpid(), os.environ["OPENBLAS_NUM_THREADS"]


def test_workers_have_one_thread_and_the_caller_keeps_its_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with worker_pool(1) as pool:
        found = set(pool.map(threads, range(3)))
        assert os.environ["OMP_NUM_THREADS"] == "7", "not even while they work"
    assert len(found) == 1 and found.pop()[1] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "7" and "OPENBLAS_NUM_THREADS" not in os.environ


def test_an_error_ends_the_pool(monkeypatch):
    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    with pytest.raises(ValueError, match="enough"), worker_pool(1) as pool:
        assert pool.submit(abs, -2).result() == 2
        raise ValueError("enough")
    assert os.environ["MKL_NUM_THREADS"] == "3"
    with pytest.raises(RuntimeError):
        pool.submit(abs, -2)
