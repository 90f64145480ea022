"""From a condition and noise keys to backbones: the reverse process of a trained model.

No sampling loop of its own: the state (translations, rotations) is integrated by
`samplers.integrate` on the product of R^3 and SO(3), and the design is the denoiser's estimate at
``t_min``.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from proteinweaver.diffusion.field import FrameField
from proteinweaver.diffusion.process import FrameProcess
from proteinweaver.diffusion.wishes import Wishes
from proteinweaver.errors import UserError
from proteinweaver.nets.condition import Condition
from proteinweaver.nets.denoiser import LENGTH_UNIT, Denoiser
from proteinweaver.structure.frames import coord_from_frames
from samplers import grids, igso3, steppers
from samplers.integrate import Component, make_plan, run
from samplers.noise import BatchNoise, NoiseKey
from samplers.so3 import haar, polish
from samplers.spaces import SO3, Euclidean, State

__all__ = ["Model", "NoiseKey", "SampledBatch", "Sampling", "Start", "sample_backbones"]


@dataclass(frozen=True)
class Model:
    """A trained denoiser with the process it was trained for.

    Parameters
    ----------
    net : Denoiser
        In evaluation mode.
    process : FrameProcess
    """

    net: Denoiser
    process: FrameProcess


@dataclass(frozen=True)
class Sampling:
    """How the reverse process is solved.

    Parameters
    ----------
    num_steps : int
        Steps of the grid.
    sampler : str
        Name in `samplers.steppers`.
    grid : str
        Name in `samplers.grids`.
    churn, noise_scale : float
        Noise of the SDE family; deterministic samplers refuse them.
    step_scale : float
        Inverse temperature l0; 1 samples the model's law.
    self_conditioning : bool
        The network sees its previous estimate (a declared memory of the run).
    guidance : float
        How far estimates are led on, away from what half of the network thinks
        (`proteinweaver.diffusion.field`).
    repulsion : float
        Strength with which overlapping pieces are moved apart on the way
        (`proteinweaver.diffusion.guidance`).
    restarts : int
        Times that noise of `restart_t` is added to the result and taken away again, with the share
        of the steps that this takes. What the network is unsure of at high noise it decides again
        with a whole fold in sight.
    restart_t : float
        Time of that noise; not above the time at which sampling began.

    References
    ----------
    Xu et al. 2023, arXiv 2306.14878 (Restart).
    """

    num_steps: int = 40
    sampler: str = "ddim"
    grid: str = "uniform"
    churn: float | None = None
    noise_scale: float | None = None
    step_scale: float = 1.0
    self_conditioning: bool = True
    guidance: float = 0.0
    repulsion: float = 0.0
    restarts: int = 0
    restart_t: float = 0.5

    def part(self, share: float) -> "Sampling":
        """Return the same with a share of the steps, for a way that begins at less than noise."""
        return replace(self, num_steps=max(1, round(self.num_steps * share)))


@dataclass(frozen=True)
class Start:
    """Structures to which noise is added before the reverse process (partial diffusion).

    Parameters
    ----------
    rot, trans : Tensor, shape=(B, L, 3, 3) and (B, L, 3)
        Clean frames in angstrom, zero centre of mass.
    t : float
        Time of the noise, above ``t_min`` and below 1.
    """

    rot: Tensor
    trans: Tensor
    t: float


@dataclass(frozen=True)
class SampledBatch:
    """Backbones as the network gives them.

    Parameters
    ----------
    coord : Tensor, dtype=float32, shape=(B, L, 4, 3)
        Angstrom; rows beyond an item's length are padding.
    noisy, clean : tuple of Tensor
        The trajectory, noise first: CA positions of the state and atoms of the estimate, if asked
        for.
    seconds : float
    calls : int
        Network evaluations.
    """

    coord: Tensor
    noisy: tuple[Tensor, ...]
    clean: tuple[Tensor, ...]
    seconds: float
    calls: int


def _stepper(sampling: Sampling) -> steppers.Stepper:
    options: dict[str, Any] = {
        name: value
        for name, value in (("churn", sampling.churn), ("noise_scale", sampling.noise_scale))
        if value is not None
    }
    try:
        return steppers.make(sampling.sampler, **options)
    except ValueError as error:
        raise UserError(str(error)) from error


def _noised(
    process: FrameProcess,
    start: Start,
    keys: Sequence[NoiseKey],
    lengths: Sequence[int],
    prior: Tensor,
) -> tuple[Tensor, Tensor]:
    """State at time ``start.t`` of the forward process, with the noise of the prior's keys."""
    law, t = process.trans_law, start.t
    trans = law.alpha(t) * start.trans.to(prior) / LENGTH_UNIT
    trans = trans + law.sigma(t) * prior / law.sigma(1.0)
    normal = torch.zeros(*start.trans.shape)
    for row, (key, length) in enumerate(zip(keys, lengths, strict=True)):
        normal[row, :length] = key.normal((length, 3), 1, "partial")
    turn = igso3.sample_from_normal(normal, process.rot_law.sigma(t)).to(prior)
    return trans, start.rot.to(prior) @ turn


@torch.inference_mode()
def sample_backbones(
    model: Model,
    condition: Condition,
    keys: Sequence[NoiseKey],
    sampling: Sampling,
    *,
    wishes: Sequence[Wishes] = (),
    start: Start | None = None,
    trajectory: bool = False,
    on_step: Callable[[int, int], None] | None = None,
) -> SampledBatch:
    """Draw one backbone per noise key.

    Parameters
    ----------
    model : Model
    condition : Condition
        Of the batch; its device is where the work is done.
    keys : sequence of NoiseKey
        One per item; a key gives the same noise alone and in any batch.
    sampling : Sampling
    wishes : sequence of Wishes, optional
        One per item, met by guidance on the way.
    start : Start, optional
        Begin at a given structure with noise added instead of at noise.
    trajectory : bool
        Keep the states and estimates of every step.
    on_step : callable (k, n), optional
        Called after step k of n, of every restart anew.

    Returns
    -------
    SampledBatch

    Raises
    ------
    UserError
        If the sampler or grid does not exist or refuses an option.
    """
    begun = 1.0 if start is None else start.t
    done, frames = _integrated(
        model, condition, keys, sampling, wishes, start, trajectory, on_step
    )
    t = min(sampling.restart_t, begun)
    shorter = sampling.part(t / begun)
    for number in range(sampling.restarts):
        own = [key.with_stage(f"{key.stage}-restart{number}") for key in keys]
        again = Start(*frames, t)
        more, frames = _integrated(
            model, condition, own, shorter, wishes, again, trajectory, on_step
        )
        done = SampledBatch(
            more.coord,
            done.noisy + more.noisy,
            done.clean + more.clean,
            done.seconds + more.seconds,
            done.calls + more.calls,
        )
    return done


def _integrated(
    model: Model,
    condition: Condition,
    keys: Sequence[NoiseKey],
    sampling: Sampling,
    wishes: Sequence[Wishes],
    start: Start | None,
    trajectory: bool,
    on_step: Callable[[int, int], None] | None,
) -> tuple[SampledBatch, tuple[Tensor, Tensor]]:
    """Integrate once from noise or a start; also the frames (rot, trans) that came of it."""
    started = time.perf_counter()
    process, net = model.process, model.net
    device = condition.mask.device
    lengths = condition.lengths
    shape = (*condition.mask.shape, 3)
    prior = BatchNoise(keys, lengths, stream="prior", centred=(0,))
    trans = prior.normal(shape, 0, 0).to(device) * process.trans_law.sigma(1.0)
    normal = torch.zeros(*condition.mask.shape, 4)
    for row, (key, length) in enumerate(zip(keys, lengths, strict=True)):
        normal[row, :length] = key.normal((length, 4), 1, "prior")
        normal[row, length:, 0] = 1.0
    rot = haar(normal).to(device)
    if start is not None:
        trans, rot = _noised(process, start, keys, lengths, trans)
    try:
        grid = grids.make(
            sampling.grid,
            sampling.num_steps,
            process.trans_law,
            t_min=process.config.t_min,
            t_max=1.0 if start is None else start.t,
        )
        stepper = _stepper(sampling)
        components = (
            Component(Euclidean(), process.trans_law, "x0"),
            Component(SO3(), process.rot_law, "score"),
        )
        plan = make_plan(stepper, components, grid, step_scale=sampling.step_scale)
    except ValueError as error:
        raise UserError(str(error)) from error
    field = FrameField(
        net,
        process,
        condition,
        memory=sampling.self_conditioning,
        guidance=sampling.guidance,
        repulsion=sampling.repulsion,
        wishes=wishes,
    )
    noisy: list[Tensor] = []
    clean: list[Tensor] = []

    def watch(k: int, t: float, state: State) -> None:
        if trajectory:
            noisy.append((LENGTH_UNIT * state[0] / max(process.trans_law.alpha(t), 0.1)).cpu())
        if on_step is not None and k > 0:
            on_step(k, sampling.num_steps)

    def recorded(state: State, t: float) -> State:
        out = field.denoise(state[0], state[1], t)
        if trajectory:
            clean.append(coord_from_frames(out.rot, out.trans, out.psi).cpu())
        return field.predictions(state, out, t)

    state = run(
        plan,
        stepper,
        recorded,
        (trans, rot),
        noise=BatchNoise(keys, lengths, centred=(0,)),
        on_step=watch,
    )
    out = field.denoise(state[0], polish(state[1]), grid[-1])
    coord = coord_from_frames(out.rot, out.trans, out.psi).cpu()
    if trajectory:
        clean.append(coord)
    done = SampledBatch(
        coord, tuple(noisy), tuple(clean), time.perf_counter() - started, field.calls
    )
    return done, (out.rot, out.trans)
