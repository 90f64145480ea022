r"""Problems with a known end point on every space: what errors are seen on.

    gaussian    anisotropic Gaussian on R^3, closed-form flow
    mixture     the benchmark mixture on R^2 (`samplers.targets.benchmark`)
    student     heavy tails on R^2, by quadrature
    learned     a small trained network on R^2
    rotations   the benchmark mixture of IGSO(3) on SO(3)
    frames      the benchmark mixture of two coupled frames, on (R^3 x SO(3))^2

Truth comes from a closed form or from `samplers.targets.reference` (DOP853), never from the
sampler under study.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from samplers.component import Component
from samplers.grids.pilot import deviation
from samplers.integrate import Field, integrate
from samplers.schedules import LinearSigma, NoiseLaw, TangentPower, VPLinear
from samplers.spaces import SO3, Euclidean, State
from samplers.steppers.base import Stepper
from samplers.targets import Gaussian, Student, benchmark, frame_field, learned, score_field
from samplers.targets.base import Target
from samplers.targets.reference import flow, frame_flow, rotation_flow

__all__ = ["PROBLEMS", "Problem", "problem"]


@dataclass(frozen=True, eq=False)
class Problem:
    """A field, starts, ends, and where the exact flow takes the starts.

    Attributes
    ----------
    name, space : str
        Space is "R^n", "SO(3)" or "SE(3)".
    field : callable
    components : tuple of Component
    start, truth : tuple of Tensor
        The first axis counts samples.
    t_min, t_max : float
    """

    name: str
    space: str
    field: Field
    components: tuple[Component, ...]
    start: State
    truth: State
    t_min: float
    t_max: float

    @property
    def law(self) -> NoiseLaw:
        """The law whose rho grids read."""
        return self.components[0].law

    def serves(self, stepper: Stepper) -> bool:
        """Whether a stepper can run here."""
        return {c.space.name for c in self.components} <= stepper.spaces

    def end(self, stepper: Stepper, grid: Sequence[float]) -> State:
        """End points of a run."""
        return integrate(self.field, self.start, grid, stepper, self.components)

    def error(self, stepper: Stepper, grid: Sequence[float]) -> Tensor:
        """Deviation from the truth per sample; radians on SO(3), both in quadrature on SE(3)."""
        return deviation(self.components, self.end(stepper, grid), self.truth)


def _times(law: NoiseLaw, rho_max: float, rho_min: float) -> tuple[float, float]:
    return law.t_from_rho(rho_max), law.t_from_rho(rho_min)


def _euclidean(
    name: str, target: Target, law: NoiseLaw, ends: tuple[float, float], z: Tensor
) -> Problem:
    t_max, t_min = _times(law, *ends)
    x = z * math.hypot(law.alpha(t_max), law.sigma(t_max))
    start, end = ((law.alpha(t), law.sigma(t)) for t in (t_max, t_min))
    truth = flow(target, x, start, end, tolerance=1e-11)
    component = Component(Euclidean(), law, "score")
    field = score_field(target, law)
    return Problem(name, "R^n", field, (component,), (x,), (truth,), t_min, t_max)


def _gaussian(samples: int, seed: int) -> Problem:
    rng = np.random.default_rng([seed, 1])
    a = rng.standard_normal((3, 3))
    target = Gaussian(
        torch.from_numpy(rng.standard_normal(3)),
        torch.from_numpy(0.3 * a @ a.T + 0.02 * np.eye(3)),
    )
    z = torch.from_numpy(rng.standard_normal((samples, 3)))
    return _euclidean("gaussian", target, TangentPower(), (30.0, 0.02), z)


def _mixture(samples: int, seed: int) -> Problem:
    z = torch.from_numpy(np.random.default_rng([seed, 2]).standard_normal((samples, 2)))
    target = benchmark.mixture(2)
    return _euclidean("mixture", target, VPLinear(), (100.0, 0.01), z)


def _student(samples: int, seed: int) -> Problem:
    z = torch.from_numpy(np.random.default_rng([seed, 3]).standard_normal((samples, 2)))
    target = Student(torch.zeros(2).double(), scale=0.5, freedom=4.0)
    return _euclidean("student", target, VPLinear(), (100.0, 0.02), z)


def _learned(samples: int, seed: int) -> Problem:
    """Shipped network of `samplers.targets.learned`; truth is its flow, not the data's."""
    z = torch.from_numpy(np.random.default_rng([seed, 4]).standard_normal((samples, 2)))
    target = cast(Target, learned.load())  # its score is all that is used
    return _euclidean("learned", target, VPLinear(), (100.0, 0.02), z)


def _rotations(samples: int, seed: int) -> Problem:
    """Tau from 4 to 0.01."""
    law, target, sigmas = LinearSigma(), benchmark.rotations(), (2.0, 0.1)
    t_max, t_min = _times(law, *sigmas)
    start = torch.from_numpy(Rotation.random(samples, random_state=7 + seed).as_matrix())
    truth = rotation_flow(target, start, *sigmas, tolerance=1e-11)
    component = Component(SO3(), law, "score")

    def field(state: State, t: float) -> State:
        return (target.score(state[0], law.sigma(t)),)

    return Problem("rotations", "SO(3)", field, (component,), (start,), (truth,), t_min, t_max)


def _frames(samples: int, seed: int) -> Problem:
    """Four arrangements of two frames; the posterior couples all of them."""
    laws, target = (TangentPower(), LinearSigma()), benchmark.frames()
    t_max, t_min = 0.95, 0.05
    scale = math.hypot(laws[0].alpha(t_max), laws[0].sigma(t_max))
    z = np.random.default_rng([seed, 5]).standard_normal((samples, 2, 3))
    turns = Rotation.random(2 * samples, random_state=7 + seed).as_matrix()
    start = (
        scale * torch.from_numpy(z),
        torch.from_numpy(turns.reshape(samples, 2, 3, 3)),
    )
    truth = frame_flow(target, start, laws, t_max, t_min, tolerance=1e-10)
    components = (
        Component(Euclidean(), laws[0], "score"),
        Component(SO3(), laws[1], "score"),
    )
    field = frame_field(target, *laws)
    return Problem("frames", "SE(3)", field, components, start, truth, t_min, t_max)


PROBLEMS: dict[str, Callable[[int, int], Problem]] = {
    "gaussian": _gaussian,
    "mixture": _mixture,
    "student": _student,
    "learned": _learned,
    "rotations": _rotations,
    "frames": _frames,
}


@lru_cache(maxsize=8)
def problem(name: str, samples: int, seed: int = 0) -> Problem:
    """Problem by name, with its truth; remembered.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name not in PROBLEMS:
        raise ValueError(f"unknown problem {name!r}; one of {', '.join(PROBLEMS)}")
    return PROBLEMS[name](samples, seed)
