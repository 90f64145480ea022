r"""Models that were trained on integer steps, as fields in continuous time.

Such a model knows T noise levels alpha_bar_1 > ... > alpha_bar_T; level i is the time t = i / T of
the law `Tabulated`, in which log rho is linear between levels. Asked for a time between two
levels, `DiscreteField` either takes the nearest ("nearest", one call) or blends the eps of both
linearly in log rho ("linear", two calls unless the time is a level). The point is rescaled to
the level's own alpha, so that x/alpha is kept and only rho is rounded.

Rounding rho changes the flow itself: the error at the end does not vanish with more steps. It is
reported, not hidden: `rounding_error` runs both rules; to first order in the distance between
levels their difference is what "nearest" adds. `snap` moves a grid onto the levels, where one-call
methods meet no rounding at all.

References
----------
.. [1] J. Ho, A. Jain, P. Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020,
   arXiv:2006.11239 (the table of linear betas).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from samplers.component import Component
from samplers.grids import Grid, check
from samplers.integrate import integrate
from samplers.law import VariancePreserving
from samplers.prediction import Kind, to_eps
from samplers.spaces import Euclidean, State
from samplers.steppers.base import Stepper

__all__ = ["DiscreteField", "Rounding", "Tabulated", "linear_betas", "rounding_error"]


def linear_betas(count: int = 1000, first: float = 1e-4, last: float = 2e-2) -> tuple[float, ...]:
    """Return alpha_bar of linearly growing betas ([1]_, sec. 4)."""
    betas = torch.linspace(first, last, count, dtype=torch.float64)
    return tuple((1 - betas).cumprod(0).tolist())


@dataclass(frozen=True)
class Tabulated(VariancePreserving):
    """Variance-preserving law through the levels of a discrete model.

    Attributes
    ----------
    alpha_bar : tuple of float
        Squared signal coefficients of levels 1 ... T, strictly decreasing within (0, 1).
    """

    alpha_bar: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the table."""
        table = self.alpha_bar
        falling = all(a > b for a, b in itertools.pairwise(table))
        if len(table) < 2 or not falling or not (table[0] < 1 and table[-1] > 0):
            raise ValueError(
                "alpha_bar needs at least 2 values that decrease strictly within (0, 1)"
            )

    @cached_property
    def _log_rho(self) -> Tensor:
        bar = torch.tensor(self.alpha_bar, dtype=torch.float64)
        return 0.5 * (torch.log1p(-bar) - bar.log())

    def level(self, t: float) -> float:
        """Level of a time as a real number, 1 ... T."""
        return t * len(self.alpha_bar)

    def snap(self, grid: Sequence[float]) -> Grid:
        """Nearest levels of a grid's times, each once.

        Raises
        ------
        ValueError
            If fewer than two levels remain.
        """
        count = len(self.alpha_bar)
        levels = {min(max(round(self.level(t)), 1), count) for t in check(grid)}
        return check([i / count for i in sorted(levels, reverse=True)])

    def _piece(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Lower level (from 0), its log rho and the slope in t."""
        table = self._log_rho.to(t.device)
        lower = (t * len(table)).floor().to(torch.int64).sub(1).clamp(0, len(table) - 2)
        return lower, table[lower], (table[lower + 1] - table[lower]) * len(table)

    def _rho(self, t: Tensor) -> Tensor:
        lower, base, slope = self._piece(t)
        return (base + slope * (t - (lower + 1).to(t) / len(self.alpha_bar))).exp()

    def _rho_drho(self, t: Tensor) -> Tensor:
        return self._rho(t).square() * self._piece(t)[2]

    def _inverse(self, rho: Tensor) -> Tensor:
        table, s = self._log_rho.to(rho.device), rho.log()
        lower = torch.searchsorted(table, s.contiguous(), right=True).sub(1)
        lower = lower.clamp(0, len(table) - 2)
        share = (s - table[lower]) / (table[lower + 1] - table[lower])
        return (lower + 1 + share) / len(table)


@dataclass(frozen=True, eq=False)
class DiscreteField:
    """Field of one Euclidean component; it predicts eps.

    Attributes
    ----------
    model : callable (x, i) -> Tensor
        Prediction at level i, 1 ... T.
    law : Tabulated
    predicts : {"x0", "eps", "score", "v", "flow"}
        What the model gives.
    between : {"nearest", "linear"}
        What to do between two levels.
    """

    model: Callable[[Tensor, int], Tensor]
    law: Tabulated
    predicts: Kind = "eps"
    between: Literal["nearest", "linear"] = "nearest"

    @property
    def component(self) -> Component:
        """What a plan needs to know of this field."""
        return Component(Euclidean(), self.law, "eps")

    def _at(self, x: Tensor, alpha: float, level: int) -> Tensor:
        own = math.sqrt(self.law.alpha_bar[level - 1])
        sigma = math.sqrt(1 - self.law.alpha_bar[level - 1])
        point = x * (own / alpha)
        return to_eps(self.model(point, level), self.predicts, point, own, sigma)

    def __call__(self, state: State, t: float) -> State:
        """Return eps at ``t``."""
        count, place = len(self.law.alpha_bar), self.law.level(t)
        x, alpha = state[0], self.law.alpha(t)
        near = min(max(round(place), 1), count)
        if self.between == "nearest" or abs(place - near) < 1e-9 * count:
            return (self._at(x, alpha, near),)
        lower = min(max(math.floor(place), 1), count - 1)
        share = place - lower
        low, high = self._at(x, alpha, lower), self._at(x, alpha, lower + 1)
        return (torch.lerp(low, high, share),)

    def offsets(self, times: Sequence[float]) -> tuple[float, ...]:
        """Log rho of the nearest level minus log rho of each time: what is rounded."""
        count = len(self.law.alpha_bar)
        result = []
        for t in times:
            near = min(max(round(self.law.level(t)), 1), count)
            result.append(math.log(self.law.rho(near / count) / self.law.rho(t)))
        return tuple(result)


@dataclass(frozen=True, eq=False)
class Rounding:
    """What rounding times to levels adds to one run.

    Attributes
    ----------
    end : tuple of Tensor
        End of the run with the nearest levels.
    added : Tensor
        Its difference from the run that blends levels.
    rms, worst : float
        Of ``added``.
    largest_offset : float
        Largest |log rho| by which a grid time was moved.
    """

    end: State
    added: Tensor
    rms: float
    worst: float
    largest_offset: float


def rounding_error(
    field: DiscreteField, state: State, grid: Sequence[float], stepper: Stepper
) -> Rounding:
    """Measure the rounding of one run by running it twice.

    Parameters
    ----------
    field : DiscreteField
    state : tuple of one Tensor
        At ``grid[0]``.
    grid : sequence of float
    stepper : Stepper
        A deterministic one.

    Returns
    -------
    Rounding
    """
    ends = [
        integrate(replace(field, between=rule), state, grid, stepper, (field.component,))
        for rule in ("nearest", "linear")
    ]
    added = ends[0][0] - ends[1][0]
    return Rounding(
        ends[0],
        added,
        float(added.square().mean().sqrt()),
        float(added.abs().max()),
        max(abs(o) for o in field.offsets(grid)),
    )
