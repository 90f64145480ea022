"""Weights between and beyond models: interpolation, soups, moving averages.

A line through the base and the aligned weights trades reward against honesty after training, at no
cost: 0 is the base, 1 the aligned model, more goes further the same way. A soup averages several
fine-tunes of one base; as a reference it lets a policy go further at the same divergence.

References
----------
Wortsman et al. 2022, arXiv 2203.05482 (soups); Ilharco et al. 2022, arXiv 2212.04089 (lines);
Chegini et al. 2024, arXiv 2411.01798 (SALSA: a soup as reference); Rame et al. 2024, arXiv
2406.16768, first stage (WARP: a moving average of the policy as reference).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

__all__ = ["average", "interpolated", "soup"]

State = Mapping[str, Tensor]


def soup(states: Sequence[State], weights: Sequence[float] | None = None) -> dict[str, Tensor]:
    """Average weights.

    Parameters
    ----------
    states : sequence of mapping of str to Tensor
        Of one architecture.
    weights : sequence of float, optional
        Must sum to 1; may be negative. Default: equal.

    Returns
    -------
    dict of str to Tensor
        What is no floating-point number (counters) comes from the first.

    Raises
    ------
    ValueError
        If there is nothing, names or shapes differ, or the weights do not sum to 1.
    """
    if not states:
        raise ValueError("no weights to average")
    shares = [1.0 / len(states)] * len(states) if weights is None else list(weights)
    if len(shares) != len(states) or abs(sum(shares) - 1.0) > 1e-6:
        raise ValueError(f"{len(states)} models but weights {shares}, which must sum to 1")
    first = states[0]
    for other in states[1:]:
        if {k: v.shape for k, v in first.items()} != {k: v.shape for k, v in other.items()}:
            raise ValueError("weights of different architectures cannot be averaged")
    out = {}
    for name, value in first.items():
        if not value.is_floating_point():
            out[name] = value.clone()
            continue
        total = torch.zeros_like(value, dtype=torch.float64)
        for share, state in zip(shares, states, strict=True):
            total += share * state[name].double()
        out[name] = total.to(value.dtype)
    return out


@torch.no_grad()
def average(kept: State, current: State, decay: float) -> None:
    """Let weights follow others, ``kept <- decay kept + (1 - decay) current``, in place.

    Parameters
    ----------
    kept : mapping of str to Tensor
        Changed; what is no floating-point number stays.
    current : mapping of str to Tensor
        Of the same architecture.
    decay : float
        1: they stay; 0: they are replaced.

    Raises
    ------
    ValueError
        If the architectures differ.
    """
    if kept.keys() != current.keys():
        raise ValueError("weights of different architectures cannot be averaged")
    for name, value in kept.items():
        if value.is_floating_point():
            value.lerp_(current[name].to(value), 1.0 - decay)


def interpolated(base: State, aligned: State, share: float) -> dict[str, Tensor]:
    """Go a share of the way from one model to another, base + share (aligned - base).

    Parameters
    ----------
    base, aligned : mapping of str to Tensor
    share : float
        0 for the base, 1 for the aligned model; any number.

    Returns
    -------
    dict of str to Tensor

    Raises
    ------
    ValueError
        If the architectures differ.
    """
    return soup([base, aligned], [1.0 - share, share])
