"""Fine-tuning on a differentiable reward by its gradient through the last steps of sampling.

No pairs, no log-ratios: a design is sampled from the policy and the weights climb its reward. Of
all objectives the quickest to climb and the quickest to cheat, so it wants a pull to the first
reference and a reward without loopholes.

References
----------
Clark et al. 2023, arXiv 2309.17400 (DRaFT-K); Xu et al. 2023, arXiv 2304.05977 (ReFL).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from proteinweaver.diffusion.last_steps import pure_noise, sample_with_gradient
from proteinweaver.diffusion.process import FrameProcess
from proteinweaver.errors import UserError
from proteinweaver.nets.condition import Condition
from proteinweaver.nets.denoiser import Denoiser
from proteinweaver.preference.soft_rewards import soft_clash, soft_interface

__all__ = ["RewardGradientConfig", "reward_of_samples"]


@dataclass(frozen=True)
class RewardGradientConfig:
    """How samples are drawn and what is climbed.

    Parameters
    ----------
    last : int
        Calls of the network with gradient; 0: this objective is off.
    num_steps : int
        Steps of DDIM from pure noise to `end`, evenly spread in t.
    end : float
        Time of the estimate that is rewarded; 0: the design, at the end of all noise. How domains
        lie is decided above 0.3, so `last` must reach back to there, or `end` lie there.
    clash : float
        Weight of the overlap; contacts have weight one.
    """

    last: int = 0
    num_steps: int = 12
    end: float = 0.0
    clash: float = 0.2

    def __post_init__(self) -> None:
        """Refuse what cannot be sampled."""
        if self.num_steps < 1 or not 0 <= self.last <= self.num_steps + 1:
            raise UserError(
                f"reward_gradient.last is {self.last} of {self.num_steps} steps; give 0 to"
                " num_steps + 1"
            )
        if not 0 <= self.end < 1:
            raise UserError(f"reward_gradient.end is {self.end}; give 0 to below 1")


def reward_of_samples(
    policy: Denoiser,
    process: FrameProcess,
    condition: Condition,
    keys: Sequence[str],
    config: RewardGradientConfig,
) -> tuple[Tensor, dict[str, float]]:
    """Sample what is asked for and reward it.

    Parameters
    ----------
    policy : Denoiser
    process : FrameProcess
    condition : Condition
        Pieces with known insides; those without, and linkers, touch nothing.
    keys : sequence of str, length B
        Of the noise.
    config : RewardGradientConfig

    Returns
    -------
    reward : Tensor, shape=(B,)
        Soft interface less weighted overlap, with gradient.
    figures : dict of str to float
        ``contacts`` and ``overlap``, means.
    """
    state = pure_noise(process, condition.mask, [_generator(key) for key in keys])
    end = max(config.end, process.config.t_min)
    grid = [1.0 + (end - 1.0) * k / config.num_steps for k in range(config.num_steps + 1)]
    out = sample_with_gradient(policy, process, condition, state, grid, config.last, skip=True)
    contacts = soft_interface(out.trans, condition.piece)
    overlap = soft_clash(out.trans, condition.piece)
    figures = {"contacts": contacts, "overlap": overlap}
    return contacts - config.clash * overlap, {
        name: float(value.detach().mean()) for name, value in figures.items()
    }


def _generator(key: str) -> torch.Generator:
    digest = hashlib.sha256(f"{key}/sample".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
