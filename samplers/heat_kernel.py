r"""Formulas of the heat kernel of SO(3), in float64, as functions of angle w and variance tau.

Brownian motion of variance tau per tangent axis has, relative to Haar measure, the density

    f(w, tau) = sum_l (2l+1) exp(-l(l+1) tau/2) sin((l+1/2) w) / sin(w/2),            (1)

and the law of the angle has density f(w) (1 - cos w) / pi on [0, pi]. Poisson summation turns
(1) into a sum over images of a Gaussian,

    f = e^(tau/8) sqrt(2 pi) tau^(-3/2)
        sum_k (-1)^k (w - 2 pi k) exp(-(w - 2 pi k)^2 / (2 tau)) / sin(w/2).           (2)

(1) with l <= 8 serves tau >= 1 and (2) with k in {-1, 0, 1} serves tau <= 1; both are exact to
float64 rounding there, so there is no table, no truncation to tune and no cut-off. In (2) the
images k and -k are paired: with a = 2 pi / tau and z = a w,

    f = C (w / sin(w/2)) exp(-w^2/2tau) B,
    B = 1 - 2 E (cosh z - tau a^2 sinh(z)/z),      E = exp(-2 pi^2 / tau),

in which every factor is smooth and even in w. Hence log f, the radial score d log f/dw and
(d log f/dw)/w are accurate at w = 0, at w = pi (where the score vanishes, across a layer of
width tau/pi) and between, and autograd differentiates them correctly.

References
----------
.. [1] D. Nikolayev, T. Savyolova, "Normal distribution on the rotation group SO(3)", Textures
   and Microstructures 29 (1997) 201 (the kernel and its small-variance form).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from samplers.smooth import cotangent_deficit, even_series, sinc

__all__ = ["cumulative", "density", "log_kernel", "quantile", "radial_score_over_angle"]

_PI_LOW = 1.2246467991473532e-16  # pi - math.pi; the score turns within tau/pi of angle pi
_SWITCH = 1.0  # tau below: images (2), above: characters (1)
_L_MAX = 8  # first character left out: 19 exp(-45) = 5e-19
_TERMS = 10
_SINHC = tuple(1 / math.factorial(2 * n + 1) for n in range(_TERMS))
_DSINHC = tuple((2 * n + 2) / math.factorial(2 * n + 3) for n in range(_TERMS))


def _images(w: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    """B and B'/w of the module docstring, with exponents combined so that nothing overflows."""
    a = 2 * math.pi / tau
    z = a * w
    up = torch.exp(a * ((w - math.pi) - _PI_LOW))  # E exp(z)
    down = torch.exp(-a * (w + math.pi))  # E exp(-z)
    middle = torch.exp(-a * math.pi)  # E
    small = z < 1
    z_big = torch.where(small, torch.ones_like(z), z)
    z2 = torch.where(small, z, torch.zeros_like(z)).square()
    cosh = 0.5 * (up + down)
    sinhc_big = 0.5 * (up - down) / z_big
    sinhc = torch.where(small, middle * even_series(z2, _SINHC), sinhc_big)
    slope = torch.where(
        small, middle * even_series(z2, _DSINHC), (cosh - sinhc_big) / z_big.square()
    )
    a2 = a.square()
    b = 1 - 2 * (cosh - tau * a2 * sinhc)
    return b, -2 * a2 * (sinhc - tau * a2 * slope)


def _characters(w: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    """Return f and f'/w from (1), as cosine sums: chi_l = 1 + 2 sum_{m<=l} cos(m w)."""
    l = torch.arange(_L_MAX + 1, dtype=w.dtype, device=w.device)  # noqa: E741 - the formula's l
    weight = (2 * l + 1) * torch.exp(-0.5 * l * (l + 1) * tau.unsqueeze(-1))
    tail = weight.flip(-1).cumsum(-1).flip(-1)  # sum over l >= m
    m, amplitude = l[1:], 2 * tail[..., 1:]
    mw = m * w.unsqueeze(-1)
    f = tail[..., 0] + (amplitude * mw.cos()).sum(-1)
    slope = -(amplitude * m.square() * sinc(mw.square())).sum(-1)
    return f, slope


def log_kernel(w: Tensor, tau: Tensor) -> Tensor:
    """Log of f(w, tau), shapes broadcasting."""
    low, high = tau.clamp(max=_SWITCH), tau.clamp(min=_SWITCH)
    b, _ = _images(w, low)
    near = (
        low / 8
        + 0.5 * math.log(8 * math.pi)
        - 1.5 * low.log()
        - sinc((0.5 * w).square()).log()
        - 0.5 * w.square() / low
        + b.log()
    )
    return torch.where(tau < _SWITCH, near, _characters(w, high)[0].log())


def density(w: Tensor, tau: Tensor) -> Tensor:
    """Density f(w) (1 - cos w) / pi of the angle."""
    return log_kernel(w, tau).exp() * (2 / math.pi) * (0.5 * w).sin().square()


def radial_score_over_angle(w: Tensor, tau: Tensor) -> Tensor:
    """(d log f/dw) / w, smooth and even in w."""
    if tau.dim() == 0 and tau.device.type == "cpu":  # one variance: one of the sums is enough
        return _score_by_images(w, tau) if tau < _SWITCH else _score_by_characters(w, tau)
    near = _score_by_images(w, tau.clamp(max=_SWITCH))
    far = _score_by_characters(w, tau.clamp(min=_SWITCH))
    return torch.where(tau < _SWITCH, near, far)


def _score_by_images(w: Tensor, tau: Tensor) -> Tensor:
    b, slope = _images(w, tau)
    return cotangent_deficit(w.square()) - 1 / tau + slope / b


def _score_by_characters(w: Tensor, tau: Tensor) -> Tensor:
    f, slope = _characters(w, tau)
    return slope / f


def _gaussian_antiderivative(x: Tensor, tau: Tensor) -> Tensor:
    r"""int_0^x y sin(y/2) exp(-y^2/2tau) dy for tau <= 1.

    By parts it needs int cos(y/2) exp(-y^2/2tau) dy, that is Re erf(u + i b) with
    u = x / sqrt(2 tau), b = sqrt(tau/8) <= 0.354: a Taylor series in b whose derivatives are
    Hermite functions, 10 terms to rounding.
    """
    u = x / (2 * tau).sqrt()
    b2 = tau / 8
    gauss = torch.exp(-u.square())
    # erf^(n)(u) = (-1)^(n-1) (2/sqrt pi) H_{n-1}(u) exp(-u^2), and the real part sums
    # (-1)^(n/2) b^n / n! times it over even n.
    total = torch.erf(u)
    odd, even = 2 * u, 4 * u.square() - 2  # H_1, H_2
    power = -b2 / 2
    for n in range(2, 22, 2):  # term of erf^(n), Hermite order n - 1
        total = total - (2 / math.sqrt(math.pi)) * power * odd * gauss
        power = -power * b2 / ((n + 1) * (n + 2))
        odd = 2 * u * even - 2 * n * odd
        even = 2 * u * odd - 2 * (n + 1) * even
    integral = (0.5 * math.pi * tau).sqrt() * torch.exp(-tau / 8) * total
    value: Tensor = 0.5 * tau * integral - tau * gauss * (0.5 * x).sin()
    return value


def _law_by_images(w: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    """CDF and density from (2): the line density x sin(x/2) exp(-x^2/2tau), folded."""
    front = (tau / 8).exp() * (8 / math.pi) ** 0.5 * tau.pow(-1.5)
    x = torch.stack((w, w + 2 * math.pi, 2 * math.pi - w))
    first, right, left = _gaussian_antiderivative(x, tau)
    density = (x * (0.5 * x).sin() * torch.exp(-0.5 * x.square() / tau)).sum(0)
    return front * (first + (right - left)), front * density


def _law_by_characters(w: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    """CDF and density from (1), using chi_l (1 - cos w) = cos(l w) - cos((l+1) w)."""
    total, density = w - w.sin(), 1 - w.cos()
    for l in range(1, _L_MAX + 1):  # noqa: E741 - the formula's l
        weight = (2 * l + 1) * torch.exp(-0.5 * l * (l + 1) * tau)
        this, following = l * w, (l + 1) * w
        total = total + weight * (this.sin() / l - following.sin() / (l + 1))
        density = density + weight * (this.cos() - following.cos())
    return total / math.pi, density / math.pi


def cumulative(w: Tensor, tau: Tensor) -> Tensor:
    """Distribution function of the angle, shapes broadcasting."""
    near, _ = _law_by_images(w, tau.clamp(max=_SWITCH))
    far, _ = _law_by_characters(w, tau.clamp(min=_SWITCH))
    return torch.where(tau < _SWITCH, near, far)


def quantile(p: Tensor, tau: Tensor, guess: Tensor) -> Tensor:
    """Angle where the distribution function is ``p``; all three of one shape.

    Newton's method inside a shrinking bracket, until the residual is rounding. A bisection step
    replaces every Newton step that would leave the bracket.
    """
    out = torch.empty_like(p)
    near = tau < _SWITCH
    out[near] = _invert(_law_by_images, p[near], tau[near], guess[near])
    out[~near] = _invert(_law_by_characters, p[~near], tau[~near], guess[~near])
    return out


def _invert(
    law: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], p: Tensor, tau: Tensor, guess: Tensor
) -> Tensor:
    w = guess.clamp(1e-12, math.pi - 1e-12)
    lower, upper = torch.zeros_like(p), torch.full_like(p, math.pi)
    for _ in range(80):  # 52 bisections would do
        value, density = law(w, tau)
        error = value - p
        lower, upper = torch.where(error < 0, w, lower), torch.where(error > 0, w, upper)
        new = w - error / density
        inside = (new >= lower) & (new <= upper)  # false for nan as well
        new = torch.where(inside, new, 0.5 * (lower + upper))
        settled = ((new - w).abs() <= 1e-14 * w) | (error.abs() <= 4e-15)
        w = torch.where(settled, w, new)
        if bool(settled.all()):
            break
    return w + 0 * p  # nan stays nan
