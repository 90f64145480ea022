"""A trained model's probability flow for a few designs: conditions, starts, runs.

The field is a pure function of (state, t): every call makes two passes through the network, the
second of which sees the estimate of the first.
"""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from proteinweaver.diffusion.field import FrameField
from proteinweaver.generation.assembly_stage import AssemblyRequest, Inside
from proteinweaver.generation.condition import (
    condition_for,
    pieces_of_blueprint,
    stack_conditions,
)
from proteinweaver.generation.config import AssembleConfig
from proteinweaver.generation.domain_stage import DomainRequest
from proteinweaver.generation.jobs import plan_design, resolve_jobs
from proteinweaver.generation.model import LoadedModel
from proteinweaver.nets.condition import Condition
from proteinweaver.nets.denoiser import LENGTH_UNIT
from proteinweaver.structure.frames import coord_from_frames
from samplers import grids
from samplers.component import Component
from samplers.grids import Grid
from samplers.grids.pilot import Pilot
from samplers.integrate import integrate
from samplers.noise import BatchNoise, NoiseKey, derive_seed
from samplers.so3 import haar, polish
from samplers.spaces import SO3, Euclidean, State
from samplers.steppers.base import Stepper

__all__ = ["Flow", "Item", "assembled", "generated"]

#: Angstrom that one radian counts for where deviations of positions and rotations are added.
RADIAN = 4.0

Item = tuple[NoiseKey, Condition]


def generated(length: int, seed: int, first: int, count: int) -> Iterator[Item]:
    """Domains from blueprints, numbers ``first`` on."""
    for index in range(first, first + count):
        key = NoiseKey(seed, f"study{length}", index, "domain1")
        text = DomainRequest(length, key).drawn_blueprint()
        drawn = derive_seed(key.seed, key.job, key.index, key.stage, "pieces")
        pieces = pieces_of_blueprint(text, np.random.default_rng(drawn))
        yield key, condition_for(len(text), pieces, text)


def assembled(domain: tuple[str, ...], seed: int, first: int, count: int) -> Iterator[Item]:
    """Chains of given domains whose insides may adapt, numbers ``first`` on."""
    (job,) = resolve_jobs(AssembleConfig(domain=domain, seed=seed))
    for index in range(first, first + count):
        plan = plan_design(job, index)
        insides = []
        for segment in plan.domains:
            backbone = plan.sources[segment.source].backbone
            assert backbone is not None
            insides.append(Inside(segment.start, backbone.coord.copy(), "adapt"))
        key = NoiseKey(seed, job.spec.name, index, "assembly")
        yield key, AssemblyRequest(plan.length, tuple(insides), key).condition()


class Flow:
    """The flow of a batch.

    Parameters
    ----------
    model : LoadedModel
    items : iterable of (NoiseKey, Condition)
        Noise and condition of every design.
    step_scale : float
        Low-temperature factor on the score.
    """

    def __init__(self, model: LoadedModel, items: Iterator[Item], step_scale: float) -> None:
        self.model, self.step_scale = model, step_scale
        self.keys, conditions = zip(*items, strict=True)
        self.condition = stack_conditions(list(conditions)).to(model.device)
        process = model.process
        self.components = (
            Component(Euclidean(), process.trans_law, "x0"),
            Component(SO3(), process.rot_law, "score"),
        )
        self.t_min = process.config.t_min
        self.field = FrameField(model.net, process, self.condition, memory=False)

    @property
    def lengths(self) -> list[int]:
        """Residues of every design."""
        return list(self.condition.lengths)

    @cached_property
    def start(self) -> State:
        """Noise, the same as for designs with these keys."""
        mask = self.condition.mask
        noise = BatchNoise(self.keys, self.lengths, stream="prior", centred=(0,))
        sigma = self.model.process.trans_law.sigma(1.0)
        trans = noise.normal((*mask.shape, 3), 0, 0).to(mask.device) * sigma
        normal = torch.zeros(*mask.shape, 4)
        for row, (key, length) in enumerate(zip(self.keys, self.lengths, strict=True)):
            normal[row, :length] = key.normal((length, 4), 1, "prior")
            normal[row, length:, 0] = 1.0
        return trans, haar(normal).to(mask.device)

    def grid(self, name: str, n: int) -> Grid:
        """Make one of the fixed grids."""
        return grids.make(name, n, self.model.process.trans_law, t_min=self.t_min)

    def pilot(self, reference: Stepper, fine: int) -> Pilot:
        """Pilot for fitted grids; deviations in angstrom, `RADIAN` of them for a radian."""
        return Pilot(
            self.field,
            self.components,
            self.start,
            t_min=self.t_min,
            t_max=1.0,
            reference=reference,
            fine=fine,
            scale=(LENGTH_UNIT, RADIAN),
            step_scale=self.step_scale,
        )

    @torch.inference_mode()
    def end(self, stepper: Stepper, grid: Grid) -> Tensor:
        """Run: CA of the design, translations (angstrom) and rotations, shape (B, L, 15)."""
        state = integrate(
            self.field, self.start, grid, stepper, self.components, step_scale=self.step_scale
        )
        trans, rot = state[0], polish(state[1])
        out = self.field.denoise(trans, rot, grid[-1])
        ca = coord_from_frames(out.rot, out.trans, out.psi)[..., 1, :]
        return torch.cat((ca, LENGTH_UNIT * trans, rot.flatten(-2)), -1).double().cpu()
