"""What the speed benchmarks share: medians of two clocks, and the rate a floor is taken from."""

import statistics
import time
from collections.abc import Callable

import torch

__all__ = ["matrix_rate", "medians"]


def medians(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median wall and processor seconds of ``work``."""
    wall, processor = [], []
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return statistics.median(wall), statistics.median(processor)


def matrix_rate(repeats: int = 20) -> float:
    """Measured float32 matrix product rate in FLOP/s, at a size typical of the network."""
    a, b = torch.randn(4096, 128), torch.randn(128, 512)
    a @ b
    return 2 * 4096 * 128 * 512 / medians(lambda: a @ b, repeats)[0]
