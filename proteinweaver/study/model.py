r"""Study of a trained protein model: how many calls until the designs stop changing.

The reverse process starts from keyed noise and follows the model's probability flow
(`proteinweaver.study.flow`). A reference with many steps gives the end of the flow, and each
sampler and grid is compared with it:

    ca_rmsd    CA RMSD of the design (the estimate at t_min) after superposition, angstrom
    position   RMS distance of the diffused translations, without superposition, angstrom
    angle      mean angle between rotations, degrees

The reference is checked by one with half the steps: what these two differ by cannot be resolved.
Fitted grids (`samplers.grids.refine`) are found on other designs.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from proteinweaver.errors import UserError
from proteinweaver.evaluation.superposition import rmsd
from proteinweaver.generation.model import LoadedModel, load_model
from proteinweaver.study.flow import Flow, assembled, generated
from samplers import grids, steppers
from samplers.grids import DensityClock, Grid
from samplers.grids.equidistribute import equidistribute
from samplers.grids.pilot import Pilot
from samplers.grids.refine import refine
from samplers.spaces import SO3
from samplers.steppers.base import Stepper
from samplers.studies.base import Case, Figure, Report, Row, Series, Study, Table, cell, select

__all__ = ["ModelStudy"]

#: Names of grids that are fitted to the sampler and the budget.
EVEN, FITTED = "equidistributed", "fitted"


@dataclass(frozen=True)
class ModelStudy(Study):
    """Config of the study of a model.

    Attributes
    ----------
    weights : str
        Folder of weights; empty for the shipped ones.
    length : int
        Residues of every design of the domain generator.
    domain : tuple of str
        ``FILE[:SELECTION]``, two or more: study the assembler on these instead.
    step_scale : float
        Low-temperature factor on the score; 1 is the trained law.
    n : int
        Designs.
    samplers : tuple of str
        Deterministic.
    grids : tuple of str
        Fixed grids, "equidistributed" or "fitted".
    steps : tuple of int
        Field calls; methods with more calls per step take fewer steps.
    reference : int
        Steps of the reference.
    reference_sampler, reference_grid : str
    pilot : int
        Designs that fitted grids are found on.
    knots, iterations : int
        Of the fit.
    threshold : float
        CA RMSD in angstrom below which a design counts as unchanged.
    device : str
        "auto", "cpu", "cuda", ...
    """

    name: ClassVar[str] = "model"
    title: ClassVar[str] = "Samplers on the protein model"

    weights: str = ""
    length: int = 80
    domain: tuple[str, ...] = ()
    step_scale: float = 1.0
    n: int = 8
    samplers: tuple[str, ...] = ("ddim", "expab2_x0", "expab3_x0", "unipc2_x0", "unipc2_v", "heun")
    grids: tuple[str, ...] = ("uniform", "log_snr", "quadratic", "edm")
    steps: tuple[int, ...] = (10, 20, 40, 80, 160)
    reference: int = 2000
    reference_sampler: str = "expab2_x0"
    reference_grid: str = "uniform"
    pilot: int = 4
    knots: int = 6
    iterations: int = 3
    threshold: float = 0.1
    device: str = "auto"

    def check(self) -> None:
        """Refuse names and counts that cannot be used."""
        for name in (*self.samplers, self.reference_sampler):
            if not steppers.make(name).deterministic:
                raise ValueError(f"sampler {name!r} is stochastic; take a deterministic one")
        for name in (*self.grids, self.reference_grid):
            if name not in (*grids.GRIDS, EVEN, FITTED):
                known = ", ".join((*grids.GRIDS, EVEN, FITTED))
                raise ValueError(f"unknown grid {name!r}; one of {known}")
        if min(self.length, self.n, self.pilot) < 1 or self.reference < 2:
            raise ValueError("length, n and pilot must be at least 1, reference at least 2")
        if len(self.domain) == 1:
            raise ValueError("the assembler needs two domains or more, got 1")
        if self.step_scale <= 0:
            raise ValueError(f"step_scale is {self.step_scale}; give a number above 0")
        if self.threshold <= 0:
            raise ValueError(f"threshold is {self.threshold}; give a length in angstrom above 0")

    def identity(self) -> dict[str, str]:
        """Give the hash of the weights."""
        return {"weights_sha256": _Work(self, None).model.sha256}

    def cases(self, scratch: Path | None = None) -> tuple[Case, ...]:
        """List the reference, then one case per sampler and grid."""
        work = _Work(self, scratch)
        return (
            Case("reference", work.reference_rows),
            *(
                Case(f"{s} {g}", lambda s=s, g=g: work.rows(s, g))  # type: ignore[misc]
                for s in self.samplers
                for g in self.grids
            ),
        )

    def report(self, rows: Sequence[Row]) -> Report:
        """Make tables of deviations, of calls to stand still, and figures."""
        body, needed, lines, angles = [], [], [], []
        columns = sorted(self.steps)
        for sampler in self.samplers:
            for grid in self.grids:
                found = select(rows, sampler=sampler, grid=grid)
                if not found:
                    continue
                by = {int(r["budget"]): r for r in found}
                dashed = grid != self.grids[0]
                label = f"{sampler}, {grid}"
                calls = tuple(float(by[c]["calls"]) for c in columns)
                ca = tuple(float(by[c]["ca_rmsd"]) for c in columns)
                turned = tuple(float(by[c]["angle"]) for c in columns)
                lines.append(Series(label, calls, ca, dashed))
                angles.append(Series(label, calls, turned, dashed))
                shown = (f"{cell(a, 2)} Å, {cell(b, 2)}°" for a, b in zip(ca, turned, strict=True))
                body.append((sampler, grid, *shown))
                still = [c for c in columns if float(by[c]["unchanged"]) >= 0.5]
                most = [c for c in columns if float(by[c]["unchanged"]) >= 0.9]
                needed.append((sampler, grid, *(str(min(s)) if s else "–" for s in (still, most))))
        check = select(rows, sampler="reference")
        floor = float(check[0]["ca_rmsd"]) if check else math.nan
        tables = (
            Table(
                "deviation",
                "Median deviation from the reference",
                ("sampler", "grid", *(f"{c} calls" for c in columns)),
                tuple(body),
                "CA RMSD of the designs after superposition, and mean angle between rotations. "
                f"The reference and one with half its steps differ by {cell(floor, 2)} Å.",
            ),
            Table(
                "standstill",
                f"Calls until designs change by less than {self.threshold:g} Å",
                ("sampler", "grid", "half of the designs", "nine in ten"),
                tuple(needed),
            ),
        )
        figures = (
            Figure(
                "model-ca", "CA RMSD from the reference", "field calls", "angstrom", tuple(lines)
            ),
            Figure(
                "model-angle",
                "Angle between rotations and the reference's",
                "field calls",
                "degrees",
                tuple(angles),
            ),
        )
        what = f"domains of {self.length} residues"
        if self.domain:
            what = f"assemblies of {len(self.domain)} domains"
        text = (
            f"{self.n} {what}, step scale {self.step_scale:g}: the model's probability flow with "
            f"a pure field (two network passes a call) against {self.reference} steps of "
            f"{self.reference_sampler} on the grid {self.reference_grid}; weights "
            f"{check[0].get('weights', '?') if check else '?'}.",
        )
        return Report(text, tables, figures)


class _Work:
    """Model, reference and pilot, made when first needed."""

    def __init__(self, study: ModelStudy, scratch: Path | None) -> None:
        self.study, self.scratch = study, scratch
        self._clocks: dict[str, DensityClock] = {}

    @cached_property
    def model(self) -> LoadedModel:
        return load_model(
            "auto" if self.study.domain else "domain",
            self.study.weights or None,
            self.study.device,
        )

    def _flow(self, first: int, count: int) -> Flow:
        study = self.study
        if study.domain:
            items = assembled(study.domain, study.seed, first, count)
        else:
            items = generated(study.length, study.seed, first, count)
        return Flow(self.model, items, study.step_scale)

    @cached_property
    def flow(self) -> Flow:
        return self._flow(0, self.study.n)

    @cached_property
    def pilot(self) -> Pilot:
        """Other designs."""
        fine = max(2, min(self.study.reference // 4, 200))
        reference = steppers.make(self.study.reference_sampler)
        return self._flow(1000, self.study.pilot).pilot(reference, fine)

    @cached_property
    def truth(self) -> Tensor:
        return self._reference(self.study.reference)

    def _reference(self, steps: int) -> Tensor:
        """End of a fine run, kept in the scratch folder."""
        study = self.study
        file = self.scratch / f"reference-{self._key(steps)}.npy" if self.scratch else None
        if file and file.is_file():
            return torch.from_numpy(np.load(file))
        stepper = steppers.make(study.reference_sampler)
        end = self.flow.end(stepper, self.flow.grid(study.reference_grid, steps))
        if not bool(end.isfinite().all()):
            raise UserError(
                f"the reference ({study.reference_sampler}, {steps} steps) is not finite; take "
                "another reference_sampler or more steps"
            )
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(".part.npy")
            np.save(partial, end.numpy())
            partial.replace(file)
        return end

    def _key(self, steps: int) -> str:
        """Hash of all that the end of a reference depends on."""
        names = ("length", "domain", "n", "seed", "step_scale", "reference_sampler")
        parts = [getattr(self.study, name) for name in (*names, "reference_grid")]
        text = json.dumps([steps, self.model.sha256, *parts])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def reference_rows(self) -> list[Row]:
        """How far the reference is from one with half its steps."""
        half = self._reference(max(1, self.study.reference // 2))
        row = self._row("reference", "reference", self.study.reference, 0, half)
        return [row | {"weights": self.model.sha256[:12]}]

    def rows(self, sampler: str, grid: str) -> list[Row]:
        """One row per budget."""
        stepper = steppers.make(sampler)
        found: list[Row] = []
        for budget in sorted(self.study.steps):
            n = max(1, (budget - stepper.start_calls) // stepper.calls_per_step)
            try:
                end = self.flow.end(stepper, self._grid(grid, stepper, n))
                found.append(self._row(sampler, grid, budget, stepper.calls(n), end))
            except ValueError:  # a pair that the sampler refuses
                empty = {k: math.nan for k in ("ca_rmsd", "position", "angle", "unchanged")}
                found.append(
                    {"sampler": sampler, "grid": grid, "budget": budget, "calls": budget, **empty}
                )
        return found

    def _grid(self, name: str, stepper: Stepper, n: int) -> Grid:
        if name in grids.GRIDS:
            return self.flow.grid(name, n)
        if stepper.name not in self._clocks:
            self._clocks[stepper.name] = equidistribute(
                self.pilot, stepper, windows=2 * self.study.knots, steps=3
            )
        clock = self._clocks[stepper.name]
        if name == FITTED:
            start = self.pilot.flat(self.study.knots)
            places = start.knots
            log_density = np.interp(places, clock.knots, clock.log_density)
            start = DensityClock(places, tuple(log_density.tolist()))
            options: dict[str, Any] = {"iterations": self.study.iterations}
            clock = refine(self.pilot, stepper, n, start=start, **options).clock
        return clock.grid(n, self.flow.components[0].law, t_min=self.flow.t_min)

    def _row(self, sampler: str, grid: str, budget: int, calls: int, end: Tensor) -> Row:
        ca, position, angle = [], [], []
        for x, y, length in zip(end, self.truth, self.flow.lengths, strict=True):
            x, y = x[:length], y[:length]
            ca.append(float(rmsd(x[:, :3].numpy(), y[:, :3].numpy())))
            moved = (x[:, 3:6] - y[:, 3:6]).square().sum(-1).mean().sqrt()
            a, b = (v[:, 6:].unflatten(-1, (3, 3)) for v in (x, y))
            position.append(float(moved))
            angle.append(float(SO3().distance(a, b).mean().rad2deg()))
        return {
            "sampler": sampler,
            "grid": grid,
            "budget": budget,
            "calls": calls,
            "ca_rmsd": float(np.median(ca)),
            "ca_rmsd_worst": float(np.max(ca)),
            "position": float(np.median(position)),
            "angle": float(np.median(angle)),
            "unchanged": float(np.mean(np.array(ca) < self.study.threshold)),
        }
