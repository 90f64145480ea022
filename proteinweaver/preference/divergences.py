"""Divergences that may hold a policy to its reference, by the slope of their generator.

D_f(pi, ref) = E_ref f(pi / ref) with f convex and f(1) = 0. What objectives need is f'(u) at
u = e^r, as a function of the log-ratio r:

    reverse KL       f = u log u                                f' = r + 1
    forward KL       f = -log u                                 f' = -e^-r
    Jensen-Shannon   f = u log u - (1 + u) log((1 + u) / 2)     f' = log 2 - log(1 + e^-r)
    alpha            f = (u^(1-a) - (1-a) u - a) / (a (a-1))    f' = (1 - e^(-a r)) / a
    chi-squared      f = (u - 1)^2 / 2 + u log u                f' = e^r + r

The alpha family runs from reverse KL (a -> 0) to forward KL (a -> 1). Pure chi-squared lets a
policy drop outcomes altogether (f'(0) is finite), so the log-ratio does not determine it; the form
here adds reverse KL, which mends that. Where e^r would overflow, r is bounded at `CAP`, far beyond
any ratio that a sample can support; there the gradient is zero.

References
----------
Wang et al. 2023, arXiv 2309.16240, table 1; Huang et al. 2024, arXiv 2407.13399 (chi-squared).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

__all__ = [
    "CAP",
    "CHI_SQUARED",
    "FORWARD_KL",
    "JENSEN_SHANNON",
    "REVERSE_KL",
    "Divergence",
    "alpha_divergence",
]

#: Largest absolute log-ratio that enters an exponential.
CAP = 30.0


@dataclass(frozen=True)
class Divergence:
    """One f-divergence.

    Parameters
    ----------
    name : str
    slope : callable
        f'(e^r) of log-ratios r, any shape; increasing.
    """

    name: str
    slope: Callable[[Tensor], Tensor]


def _exp(r: Tensor) -> Tensor:
    return torch.exp(r.clamp(-CAP, CAP))


def alpha_divergence(alpha: float) -> Divergence:
    """Return the divergence between reverse KL (0) and forward KL (1).

    Parameters
    ----------
    alpha : float
        In (0, 1).

    Returns
    -------
    Divergence

    Raises
    ------
    ValueError
        If it lies outside.
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha {alpha} is not between 0 and 1; the ends are the two KLs")
    return Divergence(f"alpha-{alpha:g}", lambda r: (1.0 - _exp(-alpha * r)) / alpha)


REVERSE_KL = Divergence("reverse-kl", lambda r: r + 1.0)
FORWARD_KL = Divergence("forward-kl", lambda r: -_exp(-r))
JENSEN_SHANNON = Divergence("jensen-shannon", lambda r: math.log(2.0) - softplus(-r))
CHI_SQUARED = Divergence("chi-squared", lambda r: _exp(r) + r)
