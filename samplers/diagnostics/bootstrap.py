r"""Bootstrap intervals for any statistic of samples.

Rows are drawn with replacement and the statistic computed again; the interval is between quantiles
of the replicates. ``paired`` draws the same rows of every sample: a sampler and the exact flow
from the same starts.

References
----------
.. [1] B. Efron, R. Tibshirani, "An introduction to the bootstrap", chapter 13 (percentiles).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Interval", "bootstrap"]


@dataclass(frozen=True)
class Interval:
    """A value with its bounds, tensors of shape ()."""

    value: Tensor
    low: Tensor
    high: Tensor


def bootstrap(
    statistic: Callable[..., Tensor],
    *samples: Tensor,
    count: int = 400,
    level: float = 0.95,
    paired: bool = False,
    generator: torch.Generator | None = None,
) -> Interval:
    """Percentile interval of a statistic.

    Parameters
    ----------
    statistic : callable (*samples) -> Tensor, shape=()
    *samples : Tensor, shape=(b, ...)
    count : int
        Replicates.
    level : float
    paired : bool
        Draw the same rows of every sample; they must have one length.
    generator : torch.Generator, optional
        On the CPU.

    Returns
    -------
    Interval
    """
    sizes = [len(s) for s in samples]
    if paired and len(set(sizes)) > 1:
        raise ValueError(f"paired samples must have one length, got {sizes}")

    def rows(size: int) -> Tensor:
        return torch.randint(size, (count, size), generator=generator)

    first = rows(sizes[0])
    index = [first if paired or i == 0 else rows(n) for i, n in enumerate(sizes)]
    index = [i.to(s.device) for i, s in zip(index, samples, strict=True)]
    replicates = torch.stack(
        [statistic(*(s[i[r]] for s, i in zip(samples, index, strict=True))) for r in range(count)]
    )
    edge = (1 - level) / 2
    levels = torch.tensor((edge, 1 - edge), dtype=replicates.dtype, device=replicates.device)
    low, high = torch.quantile(replicates, levels).unbind()
    return Interval(statistic(*samples), low, high)
