"""Log-ratios known only by noisy draws, and losses that are not linear in them.

The surrogate of a diffusion model gives K independent draws r_1 ... r_K of a log-ratio r, one per
(time, noise). A loss f of their mean is biased, E f(mean) = f(r) + f''(r) Var / (2 K) + ...; the
variance grows with the distance between policy and reference, so minimising it pulls the policy
back: a regularisation that nobody asked for. `product_loss` keeps the two factors of the gradient
f'(r) dr apart,

    g = (1 / K) sum_k f'(mean of the others) dr_k,

each from draws of their own. For a quadratic loss its expectation is the exact gradient (with two
draws it is the product (r_1 - c)(r_2 - c)); for other losses what remains is f''' Var / (2 (K-1)).
"""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["plug_in_loss", "product_loss", "product_square", "variance_of_mean"]


def variance_of_mean(draws: Tensor) -> Tensor:
    """Estimate the variance of the mean of draws, s^2 / K; to be reported with every loss.

    Parameters
    ----------
    draws : Tensor, shape=(..., K)
        K >= 2 independent draws.

    Returns
    -------
    Tensor, shape=(...)
        Without gradient.
    """
    _refuse_single(draws)
    return draws.detach().var(-1) / draws.shape[-1]


def plug_in_loss(loss: Callable[..., Tensor], *draws: Tensor) -> Tensor:
    """Put the means of the draws into a loss: biased by the variance of the mean.

    Parameters
    ----------
    loss : callable
        Takes log-ratios of shape (...), returns (n,).
    *draws : Tensor, shape=(..., K)
        Draws of every log-ratio; the k-th draws of all share time and noise.

    Returns
    -------
    Tensor, shape=(n,)
    """
    return loss(*(d.mean(-1) for d in draws))


def product_loss(loss: Callable[..., Tensor], *draws: Tensor) -> Tensor:
    """Loss whose gradient multiplies independent draws.

    Parameters
    ----------
    loss : callable
        Takes log-ratios of shape (...), returns (n,); each entry depends on its own row only.
    *draws : Tensor, shape=(..., K)
        K >= 2 draws of every log-ratio; the k-th draws of all share time and noise.

    Returns
    -------
    Tensor, shape=(n,)
        Its *value* is that of `plug_in_loss`, its gradient that of the module docstring.

    Raises
    ------
    ValueError
        If there is a single draw.
    """
    for d in draws:
        _refuse_single(d)
    count = draws[0].shape[-1]
    linear = torch.zeros(())
    for k in range(count):
        others = [((d.sum(-1) - d[..., k]) / (count - 1)).detach().requires_grad_() for d in draws]
        with torch.enable_grad():
            slopes = torch.autograd.grad(loss(*others).sum(), others, allow_unused=True)
        for slope, d in zip(slopes, draws, strict=True):
            if slope is not None:
                linear = linear + _rows(slope * d[..., k]) / count
    value = plug_in_loss(loss, *(d.detach() for d in draws))
    return value + linear - linear.detach()


def product_square(draws: Tensor, target: Tensor) -> Tensor:
    """Unbiased estimate of the squared error of a mean, mean of (r_j - c)(r_k - c) over j != k.

    Parameters
    ----------
    draws : Tensor, shape=(..., K)
        K >= 2 independent draws.
    target : Tensor, shape=(...)

    Returns
    -------
    Tensor, shape=(...)
        May be negative.

    Raises
    ------
    ValueError
        If there is a single draw.
    """
    _refuse_single(draws)
    count = draws.shape[-1]
    off = draws - target[..., None]
    return (off.sum(-1).square() - off.square().sum(-1)) / (count * (count - 1))


def _rows(values: Tensor) -> Tensor:
    """Sum all axes but the first."""
    return values.flatten(1).sum(-1) if values.dim() > 1 else values


def _refuse_single(draws: Tensor) -> None:
    if draws.shape[-1] < 2:
        raise ValueError("a single draw says nothing of its variance; take at least 2")
