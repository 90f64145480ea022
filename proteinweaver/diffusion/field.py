"""The probability-flow field of a trained model: plain tensors in, plain tensors out.

`FrameField` closes over network, condition and guidance. It maps a state ``(translations,
rotations)`` at time t to ``(x0, score)``: the clean translations in units of `LENGTH_UNIT`, and
the body-frame score of the rotations that the network's clean rotations imply, ``s = grad log
p_tau(R | R0)`` (IGSO(3)).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from proteinweaver.diffusion.guidance import separate_pieces
from proteinweaver.diffusion.process import FrameProcess
from proteinweaver.diffusion.wishes import Wishes, meet_wishes
from proteinweaver.nets.condition import Condition
from proteinweaver.nets.denoiser import LENGTH_UNIT, Denoised, Denoiser, Frames, centred
from samplers import igso3

__all__ = ["FrameField"]


def _carried(value: Denoised, path: Frames) -> Denoised:
    """Give frames the gradient of those that they were moved from, beside their own.

    The move counts as constant. Values stay: products of turns would leave SO(3) in many calls.
    """
    rot, trans = path
    turned = rot @ (rot.detach().transpose(-1, -2) @ value.rot.detach())
    return replace(
        value,
        rot=value.rot + (turned - turned.detach()),
        trans=value.trans + (trans - trans.detach()),
    )


class FrameField:
    """Field of one batch.

    Parameters
    ----------
    net : Denoiser
    process : FrameProcess
    condition : Condition
    memory : bool
        True: the network sees the estimate of the previous call of this run (self-conditioning as
        a declared memory). False: two passes at the same (state, t), which makes the field a pure
        function; used in every study of order.
    guidance : float
        How far translations are led on, away from what the first half of the network's blocks
        thinks: ``x + guidance (x - x_half)``. A weaker estimate of the same network errs as the
        whole does, only more (Karras et al. 2024, arXiv 2406.02507, equation 3), and this one
        costs nothing.
    repulsion : float
        Strength with which overlapping pieces are moved apart in the estimate (`separate_pieces`):
        its share is ``repulsion rho^2 / (rho^2 + 0.1^2) / (1 + rho^2)``, so neither the pure noise
        nor the last steps feel it.
    wishes : sequence of Wishes, optional
        One for each item of the batch. Whole pieces are moved in the estimate until they are met
        (`meet_wishes`), with a share of ``rho^2 / (rho^2 + 0.01^2)``: down to a tenth of an
        angstrom of noise.
    """

    def __init__(
        self,
        net: Denoiser,
        process: FrameProcess,
        condition: Condition,
        memory: bool = True,
        guidance: float = 0.0,
        repulsion: float = 0.0,
        wishes: Sequence[Wishes] = (),
    ) -> None:
        self.net, self.process, self.condition, self.memory = net, process, condition, memory
        self.guidance, self.repulsion, self.wishes = guidance, repulsion, tuple(wishes)
        self.calls = 0
        self._setting = net.settle(condition)
        self._previous: Frames | None = None

    @torch.no_grad()
    def denoise(self, trans: Tensor, rot: Tensor, t: float) -> Denoised:
        """Clean frames at a state.

        Parameters
        ----------
        trans : Tensor, shape=(B, L, 3)
            Diffused variable, units of `LENGTH_UNIT`.
        rot : Tensor, shape=(B, L, 3, 3)
        t : float

        Returns
        -------
        Denoised
        """
        return self.estimate(trans, rot, t)

    def estimate(self, trans: Tensor, rot: Tensor, t: float, skip: bool = False) -> Denoised:
        """Clean frames at a state, as `denoise`, with gradient where it is enabled.

        How steering moves pieces counts as constant: displacements of CA, and turns in the frame
        of every residue.

        Parameters
        ----------
        trans, rot, t
            See `denoise`.
        skip : bool
            The network begins with the estimate that it remembers and stops the gradient there.
            True puts back what the stop cuts; no value changes.

        Returns
        -------
        Denoised
        """
        time = torch.full((len(trans),), t, dtype=trans.dtype, device=trans.device)
        noisy = (rot, LENGTH_UNIT * trans, self.process.level(time), self._setting)
        previous = self._previous
        if previous is None or not self.memory:
            with torch.no_grad():
                first = self._estimate(*noisy)
            previous = (first.rot, first.trans)
        out = self._estimate(*noisy, previous)
        if skip and previous[1].requires_grad:
            out = _carried(out, previous)
        moved = self._steered(replace(out, rot=out.rot.detach(), trans=out.trans.detach()), t)
        if out.trans.requires_grad:
            moved = _carried(moved, (out.rot, out.trans))
        self._previous = (moved.rot, moved.trans)
        return moved

    @torch.no_grad()
    def _steered(self, out: Denoised, t: float) -> Denoised:
        """Move whole pieces: apart where they overlap, then as the wishes say."""
        if not self.repulsion and not any(self.wishes):
            return out
        rho2 = self.process.trans_law.rho(t) ** 2
        if self.repulsion:
            share = self.repulsion * rho2 / (rho2 + 0.01) / (1.0 + rho2)
            moved = separate_pieces(out.trans, self.condition.piece, share)
            out = replace(out, trans=centred(moved, self.condition.mask))
        if any(self.wishes):
            share = rho2 / (rho2 + 1e-4)
            out = self._granted(out, share, share / (1.0 + rho2))
        return out

    def _estimate(self, *noisy: Any) -> Denoised:
        """One call of the network, led away from its first half."""
        out: Denoised = self.net(*noisy)
        self.calls += 1
        if not self.guidance:
            return out
        return replace(out, trans=out.trans + self.guidance * (out.trans - out.half))

    def _granted(self, out: Denoised, share: float, part: float) -> Denoised:
        """Move the pieces of every item as its wishes say."""
        rot, trans = out.rot.clone(), out.trans.clone()
        condition = self.condition
        for row, (wishes, length) in enumerate(zip(self.wishes, condition.lengths, strict=True)):
            known = (condition.known_rot[row, :length], condition.known_trans[row, :length])
            rot[row, :length], trans[row, :length] = meet_wishes(
                rot[row, :length],
                trans[row, :length],
                condition.piece[row, :length],
                known,
                wishes,
                share,
                part,
            )
        return replace(out, rot=rot, trans=centred(trans, condition.mask))

    def predictions(
        self, state: tuple[Tensor, ...], out: Denoised, t: float
    ) -> tuple[Tensor, ...]:
        """``(x0, score)`` that an estimate implies at ``state = (translations, rotations)``."""
        sigma = torch.as_tensor(
            self.process.rot_law.sigma(t), dtype=state[0].dtype, device=state[0].device
        )
        return out.trans / LENGTH_UNIT, igso3.score(state[1], out.rot, sigma)

    def __call__(self, state: tuple[Tensor, ...], t: float) -> tuple[Tensor, ...]:
        """``(x0, score)`` at ``state = (translations, rotations)``."""
        return self.predictions(state, self.denoise(state[0], state[1], t), t)
