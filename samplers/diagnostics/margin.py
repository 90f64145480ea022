r"""How far a step is from folding space: the step-size condition of the theory.

Total-variation bounds need every step to be one-to-one. For the exponential integrator with frozen
score, F(x) = e^h x + (e^h - 1) s(x), this holds if (1 - e^-h) Lip(s) < 1 ([1]_). The score is a
gradient, its Jacobian H symmetric, and DF = e^h (1 + (1 - e^-h) H) is positive as soon as the
*lowest* eigenvalue of H is above -1 / (1 - e^-h); a large positive one does no harm. For a mixture
of isotropic Gaussians of variances v_k the lowest eigenvalue is at least -1 / min v_k everywhere,
so `mixture_margin` is a proof. For any other sampler `step_margins` measures the smallest singular
value of each step along a run.

References
----------
.. [1] R. Li, Q. Di, Q. Gu, arXiv:2410.14237 (the interpolation of the exponential integrator).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from samplers.diagnostics.maps import Advance, value_and_jacobian
from samplers.schedules import NoiseLaw
from samplers.targets.mixture import GaussianMixture

__all__ = ["lipschitz_margin", "mixture_margin", "step_margins"]


def lipschitz_margin(h: float, lipschitz: float) -> float:
    """1 - (1 - e^-h) Lip(s), positive where the theory's condition holds."""
    return 1 + math.expm1(-h) * lipschitz


def mixture_margin(target: GaussianMixture, law: NoiseLaw, times: Sequence[float]) -> Tensor:
    """Proven margin of each step of `ei_score` on a variance-preserving law, shape (N,).

    The smallest eigenvalue of DF / e^h anywhere is at least the value returned; the step is
    one-to-one where it is positive.
    """
    t = torch.tensor(tuple(times), dtype=torch.float64)
    alpha, sigma = law.alpha(t), law.sigma(t)
    if float((alpha.square() + sigma.square() - 1).abs().max()) > 1e-9:
        raise ValueError(f"the margin is for variance-preserving laws, got {law}")
    narrow = alpha[:-1].square() * float(target.stds.min()) ** 2 + sigma[:-1].square()
    return 1 - (1 - alpha[:-1] / alpha[1:]) / narrow


def step_margins(advance: Advance, x: Tensor, times: Sequence[float]) -> Tensor:
    """Measure the smallest singular value of each step met by a batch, shape (N,).

    Negative where a step turns orientation.

    Parameters
    ----------
    advance : callable (x, times) -> Tensor
        A one-step method.
    x : Tensor, shape=(b, n)
        Points at ``times[0]``.
    times : sequence of float

    Returns
    -------
    Tensor, shape=(N,)
    """
    margins = []
    for pair in itertools.pairwise(times):
        x, jacobian = value_and_jacobian(lambda v, p=pair: advance(v, p), x)  # type: ignore[misc]
        signed = torch.linalg.svdvals(jacobian)[..., -1] * torch.linalg.det(jacobian).sign()
        margins.append(signed.min())
    return torch.stack(margins)
