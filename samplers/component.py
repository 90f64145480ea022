r"""One factor of the state: its space, its law, what the field predicts; and its numbers in time.

Every component of the state follows, with c the churn, nu the noise scale and l0 the step scale,

    dx = [f x - (1 + c)/2 g^2 lambda_t score] dt + sqrt(c) nu g dw,
    lambda_t = l0 (alpha^2 + sigma^2) / (alpha^2 + sigma^2 l0),

where lambda_t is the ratio between the scores of N(0, I/l0) and N(0, I) after noising: exact
low-temperature sampling for unit Gaussians, lambda = 1 at l0 = 1. (Variance-preserving laws have
alpha^2 + sigma^2 = 1.) Without noise (c = 0) this is, in the clock s = log rho,

    dx/ds = (d log alpha/ds) x + sigma eps,      eps = -sigma lambda_t score,

and on SO(3), where alpha = 1, dR/ds = R hat(sigma eps).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from samplers.prediction import Kind, linear_form, require_kind
from samplers.schedules import NoiseLaw
from samplers.spaces import SO3, Space

__all__ = ["Component", "Nodes", "temperature"]


@dataclass(frozen=True)
class Component:
    """One factor of the state: its space, its noise law and what the field predicts for it.

    Attributes
    ----------
    space : Space
    law : NoiseLaw
        On SO(3) a variance-exploding one (alpha = 1).
    predicts : {"x0", "eps", "score", "v", "flow"}
        On SO(3) "score" or "eps" = -sigma score (body frame).
    """

    space: Space
    law: NoiseLaw
    predicts: Kind

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        require_kind(self.predicts)
        if isinstance(self.space, SO3):
            if self.predicts not in ("score", "eps"):
                raise ValueError(
                    f"on SO(3) the field predicts the body-frame score, not {self.predicts!r}"
                )
            if self.law.alpha(0.5) != 1.0:
                raise ValueError(f"on SO(3) the law must have alpha = 1, got {self.law}")


def temperature(alpha: Tensor, sigma: Tensor, step_scale: float) -> Tensor:
    """Score multiplier lambda_t of the module docstring."""
    a2, s2 = alpha.square(), sigma.square()
    return step_scale * (a2 + s2) / (a2 + s2 * step_scale)


@dataclass(frozen=True, eq=False)
class Nodes:
    """Numbers of one component at some times, all of one shape, float64.

    Attributes
    ----------
    t, alpha, sigma, log_rho : Tensor
    drift : Tensor
        d log alpha / d log rho.
    slope : Tensor
        d log rho / dt.
    temperature : Tensor
        lambda_t.
    """

    t: Tensor
    alpha: Tensor
    sigma: Tensor
    log_rho: Tensor
    drift: Tensor
    slope: Tensor
    temperature: Tensor

    @classmethod
    def at(cls, component: Component, t: Tensor, step_scale: float) -> Nodes:
        """Evaluate a component's law.

        Raises
        ------
        ValueError
            Where rho is zero or infinite.
        """
        law, t = component.law, t.to(torch.float64)
        alpha, sigma, rho = law.alpha(t), law.sigma(t), law.rho(t)
        bad = ~((rho > 0) & (rho < float("inf")))
        if bool(bad.any()):
            value = float(rho[bad].flatten()[0])
            raise ValueError(
                f"{law} has rho = {value} at t = {float(t[bad].flatten()[0])}; "
                "move the end of the grid inwards"
            )
        slope = law.g2(t) / (2 * sigma.square())  # from g^2 = 2 alpha^2 rho rho'
        drift = law.dlog_alpha(t) / slope
        warmth = temperature(alpha, sigma, step_scale)
        return cls(t, alpha, sigma, rho.log(), drift, slope, warmth)

    def reading(self, predicts: Kind, kind: str) -> tuple[Tensor, Tensor]:
        """Factors (p, q) with quantity = p x + q prediction.

        Parameters
        ----------
        predicts : {"x0", "eps", "score", "v", "flow"}
            What the field gives.
        kind : {"x0", "eps", "score", "v", "flow", "rate"}
            What is wanted, with the temperature applied; "rate" is dx/d log rho.

        Returns
        -------
        p, q : Tensor
        """
        if kind != "rate":
            return linear_form(predicts, kind, self.alpha, self.sigma, self.temperature)
        p, q = linear_form(predicts, "eps", self.alpha, self.sigma, self.temperature)
        return self.drift + self.sigma * p, self.sigma * q
