r"""Study of score errors: total variation against their size and against their divergence.

The score of a two-dimensional mixture is disturbed by a smooth random field whose L2 size and
whose divergence are set independently at every time (`samplers.diagnostics.injection`). The
sampler is run with so many steps that its own error is small. Total variation is exact, by
quadrature at the start of the run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from samplers import grids, steppers
from samplers.component import Component
from samplers.diagnostics.injection import perturbed_field
from samplers.diagnostics.maps import sampler_map
from samplers.diagnostics.variation import flow_tv
from samplers.integrate import Field
from samplers.schedules import OU
from samplers.spaces import Euclidean
from samplers.studies.base import Case, Figure, Report, Row, Series, Study, Table, cell, select
from samplers.studies.certificate import random_mixture
from samplers.targets import score_field

__all__ = ["ScoreErrorStudy"]


@dataclass(frozen=True)
class ScoreErrorStudy(Study):
    """Config of the study of score errors.

    Attributes
    ----------
    sampler : str
    steps : int
    sizes : tuple of float
        L2 sizes of the score error.
    divergences : tuple of float
        Its divergence sizes, as multiples of the L2 size; 0 turns the field without compressing.
    wave : float
        Wave number of the error field; bounds the divergence that is possible.
    mixtures : int
        Random targets.
    grid : str
    horizon, rho_min : float
    points : int
        Per axis of the quadrature.
    """

    name: ClassVar[str] = "score-error"
    title: ClassVar[str] = "Score errors"

    sampler: str = "heun"
    steps: int = 40
    sizes: tuple[float, ...] = (0.01, 0.03, 0.1)
    divergences: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0)
    wave: float = 4.0
    mixtures: int = 3
    grid: str = "const_geom"
    horizon: float = 4.0
    rho_min: float = 0.1
    points: int = 120

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}; take at least 1")
        if self.seed < 0 or not self.sizes or not self.divergences:
            raise ValueError("need seed >= 0 and at least one of sizes and of divergences")
        if min(self.sizes) <= 0 or min(self.divergences) < 0:
            raise ValueError("sizes are positive, divergences 0 or more")
        if self.grid not in grids.GRIDS:
            raise ValueError(f"unknown grid {self.grid!r}; one of {', '.join(grids.GRIDS)}")
        if not steppers.make(self.sampler).deterministic:
            raise ValueError(f"sampler {self.sampler!r} is stochastic; take a deterministic one")

    def cases(self, scratch: Path | None = None) -> tuple[Case, ...]:
        """One case per mixture and size."""
        return tuple(
            Case(f"mixture {m} size {e:g}", lambda m=m, e=e: self._rows(m, e))  # type: ignore[misc]
            for m in range(self.mixtures)
            for e in (0.0, *self.sizes)
        )

    def _rows(self, index: int, size: float) -> list[Row]:
        law = OU(self.horizon)
        target = random_mixture(2, (self.seed, 2, index))
        component = Component(Euclidean(), law, "score")
        t_min = law.t_from_rho(self.rho_min)
        times = grids.make(self.grid, self.steps, law, t_min=t_min)
        start, end = ((law.alpha(t), law.sigma(t)) for t in (times[0], times[-1]))

        def tv(field: Field) -> float:
            advance = sampler_map(field, component, steppers.make(self.sampler))
            value, smallest = flow_tv(
                advance,
                times,
                lambda x: target.log_density(x, *start),
                lambda x: target.log_density(x, *end),
                [(-7.0, 7.0)] * 2,
                points=self.points,
            )
            return float(value) if float(smallest) > 0 else math.nan

        if size == 0:
            exact = tv(score_field(target, law))
            return [{"mixture": index, "size": 0.0, "ratio": 0.0, "divergence": 0.0, "tv": exact}]
        rows: list[Row] = []
        for ratio in self.divergences:
            seeded = torch.Generator().manual_seed(self.seed + 31 * index)
            field = perturbed_field(
                target,
                law,
                times,
                l2=size,
                divergence=ratio * size,
                wave=self.wave,
                generator=seeded,
            )
            rows.append(
                {
                    "mixture": index,
                    "size": size,
                    "ratio": ratio,
                    "divergence": ratio * size,
                    "tv": tv(field),
                }
            )
        return rows

    def report(self, rows: Sequence[Row]) -> Report:
        """Make a table and two figures of means over mixtures."""

        def mean(size: float, ratio: float) -> float:
            found = [float(r["tv"]) for r in select(rows, size=size, ratio=ratio)]
            return sum(found) / len(found) if found else math.nan

        exact = mean(0.0, 0.0)
        body = tuple((f"{e:g}", *(cell(mean(e, r)) for r in self.divergences)) for e in self.sizes)
        table = Table(
            "score-error",
            "Mean total variation",
            ("L2 size", *(f"divergence {r:g} x" for r in self.divergences)),
            body,
            f"With the exact score the same runs give {cell(exact)}: the sampler's own error.",
        )
        by_size = Figure(
            "score-error-size",
            "Total variation against the L2 size of the score error",
            "L2 size",
            "total variation",
            tuple(
                Series(f"divergence {r:g} x", self.sizes, tuple(mean(e, r) for e in self.sizes))
                for r in self.divergences
            ),
        )
        by_divergence = Figure(
            "score-error-divergence",
            "Total variation against the divergence, at equal L2 size",
            "divergence / L2 size",
            "total variation",
            tuple(
                Series(
                    f"L2 size {e:g}", self.divergences, tuple(mean(e, r) for r in self.divergences)
                )
                for e in self.sizes
            ),
            log_x=False,
        )
        text = (
            f"{self.mixtures} random mixtures in two dimensions, {self.sampler} with {self.steps} "
            "steps. Size and divergence of the error are those of the field in normalised "
            "coordinates, held at every time.",
        )
        return Report(text, (table,), (by_size, by_divergence))
