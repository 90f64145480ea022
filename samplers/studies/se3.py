r"""Study of curved spaces: error against calls on SO(3) and on frames, per sampler and grid.

Fitted grids are found by `samplers.grids.refine` on starts of another seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from samplers import grids, steppers
from samplers.grids import Grid
from samplers.grids.pilot import Pilot
from samplers.grids.refine import refine
from samplers.steppers.base import Stepper
from samplers.studies.base import Case, Figure, Report, Row, Series, Study, Table, cell, select
from samplers.studies.problems import Problem, problem

__all__ = ["FITTED", "SE3Study"]

#: Name of the grid that is fitted to the sampler and the budget.
FITTED = "fitted"


@dataclass(frozen=True)
class SE3Study(Study):
    """Config of the study of curved spaces.

    Attributes
    ----------
    problems : tuple of str
        "rotations", "frames".
    samplers : tuple of str
    grids : tuple of str
        Fixed grids, or "fitted".
    steps : tuple of int
    samples : int
        Starts that are reported on.
    pilot : int
        Starts that fitted grids are fitted on.
    iterations : int
        Of the fit.
    """

    name: ClassVar[str] = "se3"
    title: ClassVar[str] = "Samplers on SO(3) and SE(3)"

    problems: tuple[str, ...] = ("rotations", "frames")
    samplers: tuple[str, ...] = ("ddim", "heun", "expab3_eps", "unipc2_eps")
    grids: tuple[str, ...] = ("uniform", "log_snr")
    steps: tuple[int, ...] = (8, 16, 32, 64, 128)
    samples: int = 32
    pilot: int = 12
    iterations: int = 4

    def check(self) -> None:
        """Refuse names that do not exist."""
        for name in self.problems:
            if name not in ("rotations", "frames"):
                raise ValueError(f"unknown problem {name!r}; take rotations or frames")
        for name in self.samplers:
            if not steppers.make(name).deterministic:
                raise ValueError(f"sampler {name!r} is stochastic; take a deterministic one")
        for name in self.grids:
            if name != FITTED and name not in grids.GRIDS:
                known = ", ".join((*grids.GRIDS, FITTED))
                raise ValueError(f"unknown grid {name!r}; one of {known}")

    def cases(self, scratch: Path | None = None) -> tuple[Case, ...]:
        """One case per problem, sampler and grid."""
        return tuple(
            Case(f"{p} {s} {g}", lambda p=p, s=s, g=g: self._rows(p, s, g))  # type: ignore[misc]
            for p in self.problems
            for s in self.samplers
            for g in self.grids
        )

    def _rows(self, where: str, sampler: str, grid: str) -> list[Row]:
        solved, stepper = problem(where, self.samples, self.seed), steppers.make(sampler)
        if not solved.serves(stepper):
            return []
        rows: list[Row] = []
        for n in sorted(self.steps):
            try:
                error = solved.error(stepper, self._times(solved, stepper, grid, n))
                value, largest = float(error.median()), float(error.max())
            except ValueError:  # a pair that the sampler refuses
                value = largest = math.nan
            rows.append(
                {
                    "problem": where,
                    "sampler": sampler,
                    "grid": grid,
                    "steps": n,
                    "calls": stepper.calls(n),
                    "median": value,
                    "largest": largest,
                }
            )
        return rows

    def _times(self, solved: Problem, stepper: Stepper, grid: str, n: int) -> Grid:
        low, high = solved.t_min, solved.t_max
        if grid != FITTED:
            return grids.make(grid, n, solved.law, t_min=low, t_max=high)
        other = problem(solved.name, self.pilot, self.seed + 1)
        reference = steppers.make("expab4_eps")
        pilot = Pilot(
            other.field,
            other.components,
            other.start,
            t_min=low,
            t_max=high,
            reference=reference,
            fine=200,
        )
        clock = refine(pilot, stepper, n, knots=5, iterations=self.iterations).clock
        return clock.grid(n, solved.law, t_min=low, t_max=high)

    def report(self, rows: Sequence[Row]) -> Report:
        """Make a table and a figure per problem."""
        tables, figures = [], []
        for where in self.problems:
            lines, body = [], []
            for sampler in self.samplers:
                for grid in self.grids:
                    found = select(rows, problem=where, sampler=sampler, grid=grid)
                    if not found:
                        continue
                    errors = tuple(float(r["median"]) for r in found)
                    calls = tuple(float(r["calls"]) for r in found)
                    lines.append(
                        Series(f"{sampler}, {grid}", calls, errors, grid != self.grids[0])
                    )
                    body.append((sampler, grid, *(cell(e) for e in errors)))
            if body:
                steps = sorted(self.steps)
                columns = ("sampler", "grid", *(f"{n} steps" for n in steps))
                tables.append(Table(f"se3-{where}", where, columns, tuple(body)))
                title = f"{where}: median error against field calls"
                figures.append(
                    Figure(f"se3-{where}", title, "field calls", "median error", tuple(lines))
                )
        text = (
            f"Median over {self.samples} starts against DOP853: radians on SO(3), both parts in "
            "quadrature on frames.",
        )
        return Report(text, tuple(tables), tuple(figures))
