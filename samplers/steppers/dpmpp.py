r"""Multistep DPM-Solver++ 2M and 3M with the published weights ([1]_).

With h = log(rho/rho'), r_j = h_{k-j-1} / h and D_0 = x0 at the current point,

    2M   x' = (sigma'/sigma) x - alpha' (e^-h - 1) [D_0 + (D_0 - x0_{k-1}) / (2 r_0)],
    3M   x' = (sigma'/sigma) x - alpha' [(e^-h - 1) D_0 - p_2 D_1 + p_3 D_2],
         p_2 = (e^-h - 1)/h + 1,   p_3 = (e^-h - 1 + h)/h^2 - 1/2,

with D_1, D_2 the first derivative and the second divided difference. Both start with DDIM.

The second divided difference is half of the second derivative, whose factor is p_3: the published
3M leaves a local error of h^3 and has order 2, and that is what is declared here. ``expab2_x0``
and ``expab3_x0`` have the exact weights, the latter with order 3.

References
----------
.. [1] C. Lu et al., "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic
   models", arXiv:2211.01095, algorithm 2 (2M); the authors' code for 3M.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from samplers.steppers.base import Track
from samplers.steppers.multistep import Multistep

__all__ = ["SAMPLERS", "DPMpp"]


@dataclass(frozen=True, kw_only=True)
class DPMpp(Multistep):
    """Published multistep weights."""

    kind: str = "x0"

    def full_order(self) -> int:
        """Two, for 2M and for 3M."""
        return 2

    def weights(self, track: Track, log_rho: Tensor, used: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """Weights of the module docstring."""
        s, m = log_rho, used.shape[-1]
        h = s[a] - s[b]
        alpha = track.component.law.alpha_from_rho(s[b].exp())
        first = -alpha * torch.expm1(-h)
        if m == 1:
            return first[:, None]
        past = s[used].diff(dim=-1) / h[:, None]  # r_0, r_1
        if m == 2:
            half = first / (2 * past[:, 0])
            return torch.stack((first + half, -half), -1)
        r0, r1 = past.unbind(-1)
        p2 = torch.expm1(-h) / h + 1
        p3 = (torch.expm1(-h) + h) / h.square() - 0.5
        slope = alpha * p2
        bend = (slope * r0 - alpha * p3) / (r0 + r1)  # factor of D_10 - D_11
        newer, older = (slope + bend) / r0, -bend / r1  # of x0_k - x0_{k-1}, x0_{k-1} - x0_{k-2}
        return torch.stack((first + newer, older - newer, -older), -1)


SAMPLERS = (DPMpp(name="dpmpp_2m", nodes=2), DPMpp(name="dpmpp_3m", nodes=3))
