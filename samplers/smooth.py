r"""Scalar functions that are 0/0 at zero but smooth there.

All are even, so they are written as functions of the square ``x2 = x**2``: near zero by their
Taylor series, elsewhere by the closed form, with the unused branch kept away from the
singularity so that values and derivatives of every order stay finite.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["cotangent_deficit", "even_series", "safe_norm", "sinc", "third", "versine"]

# Below this theta^2 the Taylor series (9 terms) is exact to rounding in float64, and the closed
# forms beside it have lost less than two digits.
_SMALL = 0.25
_TERMS = 9


def even_series(x2: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """Sum of ``coefficients[n] * x2**n`` by Horner's rule."""
    total = torch.full_like(x2, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * x2 + c
    return total


_SINC = tuple((-1.0) ** n / math.factorial(2 * n + 1) for n in range(_TERMS))
_VERSINE = tuple((-1.0) ** n / math.factorial(2 * n + 2) for n in range(_TERMS))
_THIRD = tuple((-1.0) ** n / math.factorial(2 * n + 3) for n in range(_TERMS))
# (1 - (x/2) cot(x/2)) / x^2 = sum_n |B_{2n+2}| x^{2n} / (2n+2)!, radius of convergence 2 pi.
_COT = (
    1 / 12,
    1 / 720,
    1 / 30240,
    1 / 1209600,
    1 / 47900160,
    691 / 1307674368000,
    1 / 74724249600,
    3617 / 10670622842880000,
    43867 / 5109094217170944000,
)


def _split(x2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mask of small arguments, a safe large argument, and the small one clipped for the series."""
    small = x2 < _SMALL
    x = torch.where(small, torch.ones_like(x2), x2).sqrt()
    return small, x, torch.where(small, x2, torch.zeros_like(x2))


def sinc(x2: Tensor) -> Tensor:
    """sin(x)/x as a function of ``x2 = x**2``; smooth at 0."""
    small, x, y = _split(x2)
    return torch.where(small, even_series(y, _SINC), x.sin() / x)


def versine(x2: Tensor) -> Tensor:
    """(1 - cos x) / x**2 as a function of ``x2``; smooth at 0, no cancellation."""
    small, x, y = _split(x2)
    return torch.where(small, even_series(y, _VERSINE), 2 * ((x / 2).sin() / x).square())


def third(x2: Tensor) -> Tensor:
    """(x - sin x) / x**3 as a function of ``x2``; smooth at 0."""
    small, x, y = _split(x2)
    return torch.where(small, even_series(y, _THIRD), (x - x.sin()) / (x * x * x))


def cotangent_deficit(x2: Tensor) -> Tensor:
    """(1 - (x/2) cot(x/2)) / x**2 as a function of ``x2``; smooth on 0 <= x < 2 pi.

    It is the coefficient of hat(v)^2 in the inverse Jacobians, and also the derivative of
    log(x / sin(x/2)) divided by x, which the heat kernel needs.
    """
    small, x, y = _split(x2)
    half = x / 2
    return torch.where(small, even_series(y, _COT), (1 - half * half.cos() / half.sin()) / (x * x))


def safe_norm(v: Tensor) -> Tensor:
    """Euclidean norm over the last axis with gradient 0, not NaN, at v = 0.

    Parameters
    ----------
    v : Tensor, shape=(..., n)

    Returns
    -------
    Tensor, shape=(...)
    """
    square = v.square().sum(-1)
    zero = square == 0
    root = torch.where(zero, torch.ones_like(square), square).sqrt()
    return torch.where(zero, torch.zeros_like(root), root)
