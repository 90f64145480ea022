"""Forward process on frames: noise on translations, Brownian motion on rotations.

Translations are diffused in units of `LENGTH_UNIT` inside the subspace of zero centre of mass,
``x_t = alpha(t) x_0 + sigma(t) eps``; rotations by the heat kernel of SO(3), ``R_t ~ IGSO(3)(R_0,
sigma_rot(t)^2)``. One t drives both. The end points leave no trace of the data: at t = 1 the
noise-to-signal ratio is ``rho_max`` >= 400 (so that even the pooled pose of 400 residues 60
angstrom away stays under a signal-to-noise ratio of 0.25) and rotations have ``sigma_max`` >= 2.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from proteinweaver.nets.denoiser import LENGTH_UNIT, Frames, NoiseLevel, centred
from samplers import igso3
from samplers.schedules import LinearSigma, TangentPower

__all__ = ["FrameProcess", "ProcessConfig"]


@dataclass(frozen=True)
class ProcessConfig:
    """Noise laws of a model; fixed at training and stored with the weights.

    Parameters
    ----------
    rho_max, gamma : float
        Translations: `samplers.schedules.TangentPower`.
    sigma_min, sigma_max : float
        Rotations: `samplers.schedules.LinearSigma` (radians).
    t_min : float
        Sampling ends here; the design is the denoiser's estimate at this time.
    """

    rho_max: float = 400.0
    gamma: float = 1.5
    sigma_min: float = 0.02
    sigma_max: float = 2.5
    t_min: float = 0.02


class FrameProcess:
    """Forward process and its marginal laws.

    Parameters
    ----------
    config : ProcessConfig
    """

    def __init__(self, config: ProcessConfig) -> None:
        self.config = config
        self.trans_law = TangentPower(rho_max=config.rho_max, gamma=config.gamma)
        self.rot_law = LinearSigma(sigma_min=config.sigma_min, sigma_max=config.sigma_max)

    def level(self, t: Tensor) -> NoiseLevel:
        """Noise levels at times ``t`` of shape (B,)."""
        return NoiseLevel(self.trans_law.alpha(t), self.trans_law.sigma(t), self.rot_law.sigma(t))

    def corrupt(
        self, rot: Tensor, trans: Tensor, mask: Tensor, t: Tensor, generator: torch.Generator
    ) -> Frames:
        """Draw noisy frames.

        Parameters
        ----------
        rot, trans : Tensor, shape=(B, L, 3, 3) and (B, L, 3)
            Clean frames, angstrom, zero centre of mass.
        mask : Tensor, dtype=bool, shape=(B, L)
        t : Tensor, shape=(B,)
        generator : torch.Generator

        Returns
        -------
        rot_t, trans_t : Tensor
            ``trans_t`` in angstrom: `LENGTH_UNIT` times the diffused variable.
        """
        level = self.level(t)
        eps = centred(torch.randn(trans.shape, generator=generator, device=trans.device), mask)
        alpha, sigma = level.alpha[:, None, None], level.sigma[:, None, None]
        trans_t = alpha * trans + LENGTH_UNIT * sigma * eps
        normal = torch.randn(trans.shape, generator=generator, device=trans.device)
        return rot @ igso3.sample_from_normal(normal, level.sigma_rot[:, None]), trans_t

    def corrupt_rows(
        self,
        rot: Tensor,
        trans: Tensor,
        mask: Tensor,
        t: Tensor,
        generators: Sequence[torch.Generator],
    ) -> Frames:
        """Draw noisy frames row by row, so that none depends on its batch or its padding.

        Parameters
        ----------
        rot, trans, mask, t
            See `corrupt`; real residues come first in every row, padding is left as it is.
        generators : sequence of torch.Generator, length B
            On the CPU, where the noise is drawn.

        Returns
        -------
        rot_t, trans_t : Tensor
            As of `corrupt`, on the device of ``rot``.
        """
        rot_t, trans_t = rot.clone(), trans.clone()
        for row, generator in enumerate(generators):
            own = slice(row, row + 1), slice(0, int(mask[row].sum()))
            noisy = self.corrupt(
                rot[own].cpu(),
                trans[own].cpu(),
                mask[own].cpu(),
                t[row : row + 1].cpu(),
                generator,
            )
            rot_t[own], trans_t[own] = noisy[0].to(rot), noisy[1].to(trans)
        return rot_t, trans_t
