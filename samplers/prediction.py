r"""What a network predicts in R^n, and how the five forms turn into each other.

With x = alpha x0 + sigma eps:

    score = -eps / sigma,      v = alpha eps - sigma x0,      flow = eps - x0,
    x0 = (x - sigma eps) / alpha = (alpha x - sigma v) / (alpha^2 + sigma^2)
       = (x - sigma flow) / (alpha + sigma),
    eps = (x - alpha x0) / sigma = (sigma x + alpha v) / (alpha^2 + sigma^2)
        = (x + alpha flow) / (alpha + sigma).

"flow" is the velocity dx/dt of the straight-line law alpha = 1 - t, sigma = t ([2]_).

These are linear identities of R^n (Tweedie). They do not hold on SO(3), where only eps = -sigma
score is used (see `samplers.integrate`).

References
----------
.. [1] T. Salimans, J. Ho, "Progressive distillation for fast sampling of diffusion models",
   ICLR 2022, arXiv:2202.00512, appendix D (v).
.. [2] X. Liu, C. Gong, Q. Liu, "Flow straight and fast", arXiv:2209.03003, eq. 1.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

__all__ = ["Kind", "convert", "linear_form", "require_kind", "to_eps"]

Kind = Literal["x0", "eps", "score", "v", "flow"]


def require_kind(kind: str) -> None:
    """Raise ValueError unless ``kind`` is one of x0, eps, score, v, flow."""
    if kind not in get_args(Kind):
        raise ValueError(f"unknown prediction {kind!r}; one of {', '.join(get_args(Kind))}")


def to_eps(
    value: Tensor, kind: Kind, x: Tensor, alpha: float | Tensor, sigma: float | Tensor
) -> Tensor:
    """Turn a prediction into eps.

    Parameters
    ----------
    value : Tensor
        Prediction of the given kind, shape of ``x``.
    kind : {"x0", "eps", "score", "v", "flow"}
    x : Tensor
        Noisy point.
    alpha, sigma : float or Tensor
        Coefficients, broadcasting with ``x``.

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        If the kind is unknown.
    """
    if kind == "eps":
        return value
    if kind == "x0":
        return (x - alpha * value) / sigma
    if kind == "score":
        return -sigma * value
    if kind == "v":
        return (sigma * x + alpha * value) / (alpha * alpha + sigma * sigma)
    if kind == "flow":
        return (x + alpha * value) / (alpha + sigma)
    raise ValueError(f"unknown prediction {kind!r}; one of {', '.join(get_args(Kind))}")


def convert(
    value: Tensor,
    source: Kind,
    target: Kind,
    x: Tensor,
    alpha: float | Tensor,
    sigma: float | Tensor,
) -> Tensor:
    """Turn a prediction of one kind into another.

    Parameters
    ----------
    value : Tensor
        Prediction of kind ``source``, shape of ``x``.
    source, target : {"x0", "eps", "score", "v", "flow"}
    x : Tensor
        Noisy point.
    alpha, sigma : float or Tensor
        Coefficients, broadcasting with ``x``.

    Returns
    -------
    Tensor
        Prediction of kind ``target``.

    Raises
    ------
    ValueError
        If a kind is unknown.
    """
    require_kind(source)
    require_kind(target)
    if source == target:
        return value
    if source == "v" and target == "x0":  # eps / alpha is infinite where alpha = 0
        return (alpha * x - sigma * value) / (alpha * alpha + sigma * sigma)
    if source == "flow" and target == "x0":
        return (x - sigma * value) / (alpha + sigma)
    eps = to_eps(value, source, x, alpha, sigma)
    if target == "eps":
        return eps
    if target == "score":
        return -eps / sigma
    x0 = value if source == "x0" else (x - sigma * eps) / alpha
    if target == "x0":
        return x0
    return eps - x0 if target == "flow" else alpha * eps - sigma * x0


def linear_form(
    source: Kind, target: str, alpha: Tensor, sigma: Tensor, temperature: Tensor
) -> tuple[Tensor, Tensor]:
    """Factors (p, q) with target = p x + q source, at noise levels known beforehand.

    Parameters
    ----------
    source, target : {"x0", "eps", "score", "v", "flow"}
    alpha, sigma : Tensor
        Noise levels.
    temperature : Tensor
        Multiplier of eps (and of the score) before it is turned into the target.

    Returns
    -------
    p, q : Tensor
        Shape of ``alpha``.

    Raises
    ------
    ValueError
        If a kind is unknown.
    """
    require_kind(source)
    require_kind(target)
    zero, one = torch.zeros_like(alpha), torch.ones_like(alpha)
    if source == target and bool((temperature == 1).all()):
        return zero, one
    square, total = alpha * alpha + sigma * sigma, alpha + sigma
    eps = {
        "eps": (zero, one),
        "x0": (1 / sigma, -alpha / sigma),
        "score": (zero, -sigma),
        "v": (sigma / square, alpha / square),
        "flow": (1 / total, alpha / total),
    }[source]
    clean = {  # not through eps, whose division by alpha cancels where alpha is small
        "eps": (1 / alpha, -sigma / alpha),
        "x0": (zero, one),
        "score": (1 / alpha, sigma * sigma / alpha),
        "v": (alpha / square, -sigma / square),
        "flow": (1 / total, -sigma / total),
    }[source]
    warm = tuple(temperature * e for e in eps)
    shifted = tuple(
        c + (1 - temperature) * (sigma / alpha) * e for c, e in zip(clean, eps, strict=True)
    )
    if target == "eps":
        p, q = warm
    elif target == "score":
        p, q = (-w / sigma for w in warm)
    elif target == "x0":
        p, q = shifted
    elif target == "flow":
        p, q = (w - c for w, c in zip(warm, shifted, strict=True))
    else:
        p, q = (alpha * w - sigma * c for w, c in zip(warm, shifted, strict=True))
    return p, q
