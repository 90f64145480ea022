r"""Study of order: the error of every sampler against steps, on every problem it serves.

The median over samples is fitted: near the watershed between two modes single samples end in
another basin, and their share falls slower than the error of the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from samplers import grids, steppers
from samplers.diagnostics.order import fit_order
from samplers.studies.base import Case, Figure, Report, Row, Series, Study, Table, cell, select
from samplers.studies.problems import PROBLEMS, problem

__all__ = ["OrderStudy"]


@dataclass(frozen=True)
class OrderStudy(Study):
    """Config of the study of order.

    Attributes
    ----------
    samplers : tuple of str
        Names of `samplers.steppers`; ``("all",)`` for every deterministic one.
    problems : tuple of str
        Names of `samplers.studies.problems`.
    grid : str
        A fixed grid.
    steps : tuple of int
    samples : int
    floor : float
        Errors below it are not fitted.
    """

    name: ClassVar[str] = "order"
    title: ClassVar[str] = "Order of convergence"

    samplers: tuple[str, ...] = ("all",)
    problems: tuple[str, ...] = tuple(PROBLEMS)
    grid: str = "log_snr"
    steps: tuple[int, ...] = (16, 32, 48, 64, 96, 128, 192, 256)
    samples: int = 48
    floor: float = 1e-10

    def check(self) -> None:
        """Refuse names that do not exist."""
        for name in self.problems:
            if name not in PROBLEMS:
                raise ValueError(f"unknown problem {name!r}; one of {', '.join(PROBLEMS)}")
        if self.grid not in grids.GRIDS:
            raise ValueError(f"unknown grid {self.grid!r}; one of {', '.join(grids.GRIDS)}")
        if len(self.steps) < 4:
            raise ValueError(f"steps has {len(self.steps)} counts; an order needs at least 4")
        for name in self.chosen():
            steppers.make(name)

    def chosen(self) -> tuple[str, ...]:
        """Names of the samplers."""
        if self.samplers == ("all",):
            return tuple(name for name, s in steppers.STEPPERS.items() if s.deterministic)
        return self.samplers

    def cases(self, scratch: Path | None = None) -> tuple[Case, ...]:
        """One case per sampler and problem."""
        return tuple(
            Case(f"{name} on {where}", lambda name=name, where=where: self._rows(name, where))  # type: ignore[misc]
            for where in self.problems
            for name in self.chosen()
        )

    def _rows(self, name: str, where: str) -> list[Row]:
        stepper, solved = steppers.make(name), problem(where, self.samples, self.seed)
        if not solved.serves(stepper):
            return []
        rows: list[Row] = []
        for n in sorted(self.steps):
            row: Row = {
                "sampler": name,
                "problem": where,
                "space": solved.space,
                "declared": stepper.order,
                "steps": n,
                "calls": stepper.calls(n),
            }
            try:
                times = grids.make(
                    self.grid, n, solved.law, t_min=solved.t_min, t_max=solved.t_max
                )
                error = solved.error(stepper, times)
                row |= {"median": float(error.median()), "largest": float(error.max())}
            except ValueError as refusal:
                row |= {"median": math.nan, "largest": math.nan, "refused": str(refusal)}
            rows.append(row)
        return rows

    def report(self, rows: Sequence[Row]) -> Report:
        """Make a table of orders and one figure per problem."""
        body, figures = [], []
        for where in self.problems:
            series = []
            for name in self.chosen():
                found = select(rows, sampler=name, problem=where)
                if not found:
                    continue
                counts = [float(r["steps"]) for r in found]
                errors = [float(r["median"]) for r in found]
                usable = [math.nan if e < self.floor else e for e in errors]
                fit = fit_order(counts, usable)
                body.append(
                    (
                        where,
                        str(found[0]["space"]),
                        name,
                        cell(found[0]["declared"]),
                        str(fit),
                        cell(errors[0]),
                        cell(errors[-1]),
                    )
                )
                calls = tuple(float(r["calls"]) for r in found)
                series.append(Series(name, calls, tuple(errors)))
            if series:
                figures.append(
                    Figure(
                        f"order-{where}",
                        f"{where}: median error against field calls",
                        "field calls",
                        "median error",
                        tuple(series),
                    )
                )
        low, high = min(self.steps), max(self.steps)
        table = Table(
            "orders",
            "Fitted order",
            ("problem", "space", "sampler", "declared", "order", f"at {low}", f"at {high} steps"),
            tuple(body),
            f"Order with a 95 % interval (`samplers.diagnostics.order`), errors below "
            f"{self.floor:g} left out; median over {self.samples} samples; grid {self.grid}.",
        )
        text = (
            "Every sampler is run on problems whose exact end points are known. The order is the "
            "slope of the log error against the log number of steps.",
        )
        return Report(text, (table,), tuple(figures))
