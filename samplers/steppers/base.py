r"""What a stepper is.

A stepper turns predictions at some times into one step. It declares its order, how often it
calls the field, the spaces it serves and whether it is deterministic, and gives

- `Stepper.prepare`: what each step needs to know, floats computed in float64 for the whole run;
- `Stepper.step`: the step, pure: it has no state of its own (what a multistep method must
  remember travels as ``memory``), and never looks at a value of a tensor.

Most methods need not write either: one-step methods are a tableau in `samplers.steppers.stages`,
multistep methods a choice of nodes in `samplers.steppers.multistep`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from samplers.component import Component, Nodes
from samplers.noise import NoiseSource
from samplers.spaces import Product, State

__all__ = ["BOTH_SPACES", "Evaluate", "Plan", "Stepper", "Track"]

BOTH_SPACES = frozenset({"euclidean", "rotation"})

# (state, t) -> what the field predicts, one tensor per component
Evaluate = Callable[[State, float], State]


@dataclass(frozen=True)
class Track:
    """A component with its step scale, as `Stepper.prepare` sees it."""

    component: Component
    step_scale: float = 1.0

    def at(self, t: Tensor) -> Nodes:
        """Numbers of the component at times ``t``."""
        return Nodes.at(self.component, t, self.step_scale)

    @property
    def curved(self) -> bool:
        """Whether the chart moves with the base point."""
        return self.component.space.name == "rotation"


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything about a run that does not depend on the state.

    Attributes
    ----------
    times : tuple of float, length N + 1
        In the order in which they are visited.
    space : Product
    nodes : tuple of Nodes, one per component
        Numbers at the grid points, shape (N + 1,).
    steps : tuple, length N
        What `Stepper.prepare` gave; only the stepper reads it.
    """

    times: tuple[float, ...]
    space: Product
    nodes: tuple[Nodes, ...]
    steps: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Stepper(ABC):
    """A method; see the module docstring.

    Attributes
    ----------
    name : str
    order : int
        Global order of the error at the end of the grid; weak order of a stochastic method.
    calls_per_step : int
    start_calls : int
        Calls that a run makes beyond ``calls_per_step`` each step.
    spaces : frozenset of str
        Names of the spaces it serves.
    deterministic : bool
    """

    name: str
    order: int
    calls_per_step: int = 1
    start_calls: int = 0
    spaces: frozenset[str] = BOTH_SPACES
    deterministic: bool = True

    def calls(self, steps: int) -> int:
        """Field calls of a run of ``steps`` steps."""
        return steps * self.calls_per_step + self.start_calls

    @abstractmethod
    def prepare(self, tracks: tuple[Track, ...], times: Tensor) -> tuple[Any, ...]:
        """One object per step: all that `step` needs to know, as floats.

        Parameters
        ----------
        tracks : tuple of Track
        times : Tensor, shape=(N + 1,)
            Monotone; decreasing towards the data, increasing towards the noise.

        Raises
        ------
        ValueError
            If the method cannot use these times; the message says why.
        """

    @abstractmethod
    def step(
        self,
        evaluate: Evaluate,
        plan: Plan,
        k: int,
        state: State,
        memory: Any,
        noise: NoiseSource | None,
    ) -> tuple[State, Any]:
        """Advance from grid point k to k + 1.

        Parameters
        ----------
        evaluate : callable (state, t) -> tuple of Tensor
            Predictions of the field; each use is one field call.
        plan : Plan
        k : int
        state : tuple of Tensor
        memory : object
            What the previous step returned; None at the first.
        noise : NoiseSource or None

        Returns
        -------
        state : tuple of Tensor
        memory : object
        """


def floats(x: Tensor) -> list[Any]:
    """Nested lists of floats of a float64 tensor."""
    values: list[Any] = x.to(torch.float64).tolist()
    return values
