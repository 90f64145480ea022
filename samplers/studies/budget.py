r"""Study of the error budget: how much of the error is whose, on Gaussians, in closed form.

A diagonal Gaussian with log-spaced variances is sampled from N(0, I) with the score of a Gaussian
whose variances are wrong by a factor, down to t_min. Every law on the way is a Gaussian known
exactly (`samplers.diagnostics.budget.gaussian_chain`), so the parts carry no noise and add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from samplers import grids, steppers
from samplers.component import Component
from samplers.diagnostics.budget import PARTS, gaussian_chain, law_budget
from samplers.diagnostics.gaussian_law import (
    DiagonalGaussian,
    diagonal_field,
    diagonal_w2,
    power_variances,
)
from samplers.diagnostics.maps import sampler_map
from samplers.schedules import OU
from samplers.spaces import Euclidean
from samplers.studies.base import Case, Figure, Report, Row, Series, Study, Table, cell, select

__all__ = ["BudgetStudy"]


@dataclass(frozen=True)
class BudgetStudy(Study):
    """Config of the study of error budgets.

    Attributes
    ----------
    samplers : tuple of str
        Deterministic, in R^n.
    steps : tuple of int
    dim : int
    grid : str
    horizon : float
        Ornstein-Uhlenbeck time of the start: its error is the initialisation's.
    rho_min : float
        Noise-to-signal ratio at the end: its error is that of stopping early.
    score_error : float
        Relative error of the learned variances.
    """

    name: ClassVar[str] = "budget"
    title: ClassVar[str] = "Error budget"

    samplers: tuple[str, ...] = ("ei_score", "ddim", "heun", "expab3", "unipc3_v")
    steps: tuple[int, ...] = (8, 16, 32, 64, 128, 256)
    dim: int = 16
    grid: str = "const_geom"
    horizon: float = 6.0
    rho_min: float = 0.02
    score_error: float = 0.01

    def check(self) -> None:
        """Refuse names and numbers that cannot be used."""
        for name in self.samplers:
            if not steppers.make(name).deterministic:
                raise ValueError(f"sampler {name!r} is stochastic; a budget needs an exact map")
        if self.grid not in grids.GRIDS:
            raise ValueError(f"unknown grid {self.grid!r}; one of {', '.join(grids.GRIDS)}")
        if self.dim < 1 or self.score_error <= -1:
            raise ValueError("dim must be at least 1 and score_error above -1")

    def cases(self, scratch: Path | None = None) -> tuple[Case, ...]:
        """One case per sampler."""
        return tuple(Case(name, lambda name=name: self._rows(name)) for name in self.samplers)  # type: ignore[misc]

    def _rows(self, name: str) -> list[Row]:
        law, variances = OU(self.horizon), power_variances(self.dim)
        zero = torch.zeros_like(variances)
        data = DiagonalGaussian(zero, variances)
        learned = DiagonalGaussian(zero, variances * (1 + self.score_error))
        prior = DiagonalGaussian(zero, torch.ones_like(variances))
        component = Component(Euclidean(), law, "score")
        advance = sampler_map(diagonal_field(learned, law), component, steppers.make(name))
        t_min = law.t_from_rho(self.rho_min)
        rows: list[Row] = []
        for n in sorted(self.steps):
            times = grids.make(self.grid, n, law, t_min=t_min)
            chain = gaussian_chain(data, learned, prior, advance, law, times)
            budget = law_budget(diagonal_w2, chain)
            for part, size, signed in zip(
                budget.names, budget.sizes.tolist(), budget.signed.tolist(), strict=True
            ):
                rows.append(
                    {
                        "sampler": name,
                        "steps": n,
                        "calls": steppers.make(name).calls(n),
                        "part": part,
                        "size": size,
                        "signed": signed,
                        "total": float(budget.total),
                    }
                )
        return rows

    def report(self, rows: Sequence[Row]) -> Report:
        """Make one table of parts and one figure per sampler."""
        body, figures = [], []
        for name in self.samplers:
            found = select(rows, sampler=name)
            if not found:
                continue
            counts = tuple(dict.fromkeys(r["steps"] for r in found))
            lines = []
            for part in PARTS:
                of_part = select(found, part=part)
                lines.append(
                    Series(
                        part,
                        tuple(float(r["calls"]) for r in of_part),
                        tuple(float(r["size"]) for r in of_part),
                    )
                )
            first = select(found, part=PARTS[0])
            calls = tuple(float(r["calls"]) for r in first)
            lines.append(Series("total", calls, tuple(float(r["total"]) for r in first), True))
            figures.append(
                Figure(
                    f"budget-{name}",
                    f"{name}: parts of the W2 error",
                    "field calls",
                    "W2",
                    tuple(lines),
                )
            )
            for n in counts:
                at = select(found, steps=n)
                signed = [cell(float(select(at, part=p)[0]["signed"])) for p in PARTS]
                body.append((name, cell(n), *signed, cell(float(at[0]["total"]))))
        table = Table(
            "budget",
            "Signed contributions to W2, in the order of the chain",
            ("sampler", "steps", *PARTS, "total"),
            tuple(body),
            "Every row adds up to its total. Parts may cancel: a negative one brings the law "
            "nearer to the data.",
        )
        text = (
            f"A Gaussian in {self.dim} dimensions (variances 0.01 to 1), Ornstein-Uhlenbeck law "
            f"from time {self.horizon:g} down to rho = {self.rho_min:g}, learned variances off "
            f"by {self.score_error:.1%}. All laws are exact.",
        )
        return Report(text, (table,), tuple(figures))
