r"""Study of dimension: steps needed for a total variation of epsilon, and the fitted exponents.

On product Gaussians N(d, eps) is computed without noise (`samplers.diagnostics.dimension`). The
published upper bounds for the exponential integrator are N of the order of d^2/eps and d/eps; the
study reports what these targets show and claims nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from samplers import grids, steppers
from samplers.diagnostics.dimension import Exponent, fit_exponent, product_steps
from samplers.schedules import VPLinear
from samplers.studies.base import Case, Figure, Report, Row, Series, Study, Table, cell, select

__all__ = ["DimensionStudy"]


def _shown(exponent: Exponent) -> str:
    return f"{exponent.value:.3f} [{exponent.low:.3f}, {exponent.high:.3f}]"


@dataclass(frozen=True)
class DimensionStudy(Study):
    """Config of the study of dimension.

    Attributes
    ----------
    samplers : tuple of str
        Deterministic.
    dims : tuple of int
        At least three.
    epsilons : tuple of float
        Total variations, in (0, 1).
    grid : str
    rho_max, rho_min : float
    fit_from : int
        Smallest dimension of the fit.
    """

    name: ClassVar[str] = "dimension"
    title: ClassVar[str] = "Steps against dimension"

    samplers: tuple[str, ...] = ("ei_score", "ddim", "heun", "expab2", "expab3")
    dims: tuple[int, ...] = (2, 8, 32, 128, 512)
    epsilons: tuple[float, ...] = (0.1, 0.03, 0.01)
    grid: str = "log_snr"
    rho_max: float = 150.0
    rho_min: float = 0.01
    fit_from: int = 8

    def check(self) -> None:
        """Refuse what cannot be fitted."""
        if sum(d >= self.fit_from for d in self.dims) < 3:
            raise ValueError(f"dims needs three or more values from fit_from = {self.fit_from}")
        if not all(0 < e < 1 for e in self.epsilons):
            raise ValueError(f"epsilons are total variations between 0 and 1, got {self.epsilons}")
        if self.grid not in grids.GRIDS:
            raise ValueError(f"unknown grid {self.grid!r}; one of {', '.join(grids.GRIDS)}")
        for name in self.samplers:
            if not steppers.make(name).deterministic:
                raise ValueError(f"sampler {name!r} is stochastic; its law is not a closed form")

    def cases(self, scratch: Path | None = None) -> tuple[Case, ...]:
        """One case per sampler and epsilon."""
        return tuple(
            Case(f"{s} at {e:g}", lambda s=s, e=e: self._rows(s, e))  # type: ignore[misc]
            for s in self.samplers
            for e in self.epsilons
        )

    def _rows(self, sampler: str, epsilon: float) -> list[Row]:
        needed = product_steps(
            sampler,
            VPLinear(),
            self.dims,
            epsilon,
            grid=self.grid,
            rho_max=self.rho_max,
            rho_min=self.rho_min,
        )
        return [
            {
                "sampler": sampler,
                "order": steppers.make(sampler).order,
                "epsilon": epsilon,
                "dim": d,
                "calls": n,
            }
            for d, n in zip(self.dims, needed, strict=True)
        ]

    def report(self, rows: Sequence[Row]) -> Report:
        """Make the tables of counts and exponents, and one figure per epsilon."""
        counts, exponents, figures = [], [], []
        for epsilon in self.epsilons:
            lines = []
            for name in self.samplers:
                found = select(rows, sampler=name, epsilon=epsilon)
                if not found:
                    continue
                dims = [float(r["dim"]) for r in found]
                calls = [float(r["calls"]) for r in found]
                lines.append(Series(name, tuple(dims), tuple(calls)))
                counts.append((name, f"{epsilon:g}", *(cell(c) for c in calls)))
                order = int(found[0]["order"])
                large = [(d, c) for d, c in zip(dims, calls, strict=True) if d >= self.fit_from]
                fitted = fit_exponent([d for d, _ in large], [c for _, c in large])
                exponents.append(
                    (name, cell(order), f"{epsilon:g}", _shown(fitted), cell(1 / (2 * order)))
                )
            if lines:
                figures.append(
                    Figure(
                        f"dimension-{epsilon:g}",
                        f"Field calls for a total variation of {epsilon:g}",
                        "dimension",
                        "field calls",
                        tuple(lines),
                    )
                )
        tables = (
            Table(
                "exponents",
                "Exponent a of N ~ d^a",
                ("sampler", "order p", "TV", "a (95 %)", "1/(2p)"),
                tuple(exponents),
                f"Fitted for d from {self.fit_from}. Upper bounds in the literature have a = 2 "
                "and a = 1; they hold for far more than product Gaussians.",
            ),
            Table(
                "calls",
                "Field calls needed",
                ("sampler", "TV", *(f"d = {d}" for d in self.dims)),
                tuple(counts),
            ),
        )
        text = (
            "Product Gaussians with variances log-spaced from 0.01 to 1; linear law, rho from "
            f"{self.rho_max:g} to {self.rho_min:g}, grid {self.grid}. Law and distance are exact.",
        )
        return Report(text, tables, tuple(figures))
