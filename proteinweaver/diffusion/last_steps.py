"""Sampling by DDIM with a gradient through its last calls of the network.

A deterministic sampler makes the design a function of the noise and of the weights. Its gradient
by the weights is a sum over calls of the network; here the last K of them count, and all before
are without gradient and without memory of it. The design is the network's clean estimate at the
end of the grid, which is one of the K calls: K = 1 is the gradient of that estimate alone.

The `Denoiser` stops gradients of frames before every block, and those of the motions by which it
superposes sketches and known insides. So from one call the features of all blocks learn, but of
the frame updates that of the last block alone; and through a later call no earlier one is reached.
With ``skip`` the gradient of the first stop is put back: a call begins with the estimate of the
call before, which it remembers, and adds to it; what it adds counts as constant. Moving one piece
in the memory moves the shipped assembler's next estimate nearly as far (.97, .86, .94 of it at t
= .8, .6, .4), moving it in the state by a fifth of that. A network without such stops needs no
`skip` and has the exact gradient.

References
----------
Clark et al. 2023, arXiv 2309.17400, section 4 and algorithm 1 (DRaFT-K); Xu et al. 2023, arXiv
2304.05977, algorithm 1 (ReFL: the estimate at an earlier time in place of the last).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from proteinweaver.diffusion.field import FrameField
from proteinweaver.diffusion.process import FrameProcess
from proteinweaver.nets.denoiser import LENGTH_UNIT, Denoised, centred
from proteinweaver.structure.frames import frames_from_coord
from samplers import steppers
from samplers.integrate import Component, integrate
from samplers.so3 import haar, polish
from samplers.spaces import SO3, Euclidean, State

__all__ = ["noised", "pure_noise", "sample_with_gradient"]


def pure_noise(
    process: FrameProcess, mask: Tensor, generators: Sequence[torch.Generator]
) -> tuple[Tensor, Tensor]:
    """Draw states at t = 1.

    Parameters
    ----------
    process : FrameProcess
    mask : Tensor, dtype=bool, shape=(B, L)
    generators : sequence of torch.Generator, length B
        On the CPU; an item is a function of its own and of its length.

    Returns
    -------
    trans : Tensor, shape=(B, L, 3)
        Diffused variable, in units of `LENGTH_UNIT`, zero centre of mass.
    rot : Tensor, shape=(B, L, 3, 3)
    """
    trans, turn = torch.zeros(*mask.shape, 3), torch.zeros(*mask.shape, 4)
    turn[..., 0] = 1.0
    for row, generator in enumerate(generators):
        length = int(mask[row].sum())
        trans[row, :length] = torch.randn(length, 3, generator=generator)
        turn[row, :length] = torch.randn(length, 4, generator=generator)
    trans = centred(trans.to(mask.device), mask) * process.trans_law.sigma(1.0)
    return trans, haar(turn).to(mask.device)


def noised(
    process: FrameProcess,
    coord: Tensor,
    mask: Tensor,
    t: float,
    generators: Sequence[torch.Generator],
) -> tuple[Tensor, Tensor]:
    """Draw states at a time of the forward process.

    Parameters
    ----------
    process : FrameProcess
    coord : Tensor, shape=(B, L, 4, 3)
        Clean backbones, angstrom, zero centre of mass.
    mask : Tensor, dtype=bool, shape=(B, L)
        Real residues, first in every row.
    t : float
    generators : sequence of torch.Generator, length B
        On the CPU; an item is a function of its own and of its backbone.

    Returns
    -------
    trans : Tensor, shape=(B, L, 3)
        Diffused variable, in units of `LENGTH_UNIT`, zero centre of mass.
    rot : Tensor, shape=(B, L, 3, 3)
    """
    clean_rot, clean = frames_from_coord(coord)
    times = torch.full((len(coord),), t)
    rot, trans = process.corrupt_rows(clean_rot, centred(clean, mask), mask, times, generators)
    return trans / LENGTH_UNIT, rot


def sample_with_gradient(
    field: FrameField,
    state: tuple[Tensor, Tensor],
    grid: Sequence[float],
    last: int,
    skip: bool = False,
) -> Denoised:
    """Integrate the reverse process; the last calls of the network carry gradient.

    Parameters
    ----------
    field : FrameField
        Network, condition and steering of the batch, with memory and not called yet.
    state : tuple of Tensor
        Translations (units of `LENGTH_UNIT`) and rotations at ``grid[0]``.
    grid : sequence of float
        Decreasing times; one call at each, the last for the design. One more, without gradient,
        comes before the first, to have something to remember.
    last : int
        Calls with gradient, 1 to ``len(grid)``.
    skip : bool
        Put the gradient of what the network remembers back; no value changes.

    Returns
    -------
    Denoised

    Raises
    ------
    ValueError
        If there are not as many calls.
    """
    if not 1 <= last <= len(grid):
        raise ValueError(f"gradient through {last} of {len(grid)} calls; give 1 to {len(grid)}")
    first, calls = len(grid) - last, 0

    def denoise(at: State, t: float) -> Denoised:
        nonlocal calls
        with torch.set_grad_enabled(torch.is_grad_enabled() and calls >= first):
            calls += 1
            return field.estimate(at[0], at[1], t, skip)

    def predictions(at: State, t: float) -> State:
        return field.predictions(at, denoise(at, t), t)

    components = (
        Component(Euclidean(), field.process.trans_law, "x0"),
        Component(SO3(), field.process.rot_law, "score"),
    )
    trans, rot = integrate(predictions, state, grid, steppers.make("ddim"), components)
    return denoise((trans, polish(rot)), grid[-1])
