"""Fine-tuning on a differentiable reward by its gradient through the last steps of sampling.

No pairs, no log-ratios: a design is sampled from the policy, steered as `assemble` steers it, and
the weights climb the reward of its poses, or of its linkers. Of all objectives the quickest to
climb and the quickest to cheat, so it looks at nothing but poses and closed linkers, wants a pull
to the first reference, and a judge that was not climbed.

References
----------
Clark et al. 2023, arXiv 2309.17400 (DRaFT-K); Xu et al. 2023, arXiv 2304.05977 (ReFL).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from proteinweaver.diffusion.field import FrameField
from proteinweaver.diffusion.last_steps import noised, pure_noise, sample_with_gradient
from proteinweaver.diffusion.process import FrameProcess
from proteinweaver.errors import UserError
from proteinweaver.evaluation.critic import TrainedCritic, load_critic
from proteinweaver.nets.condition import Condition
from proteinweaver.nets.denoiser import Denoiser
from proteinweaver.preference.poses import closed, held, on_known_insides, steering
from proteinweaver.preference.soft_rewards import (
    soft_clash,
    soft_interface,
    soft_soundness,
    soft_strain,
)
from proteinweaver.structure.frames import coord_from_frames

__all__ = ["RewardGradientConfig", "reward_of_samples"]


@dataclass(frozen=True)
class RewardGradientConfig:
    """How samples are drawn and what is climbed.

    Parameters
    ----------
    last : int
        Calls of the network with gradient; 0: this objective is off.
    num_steps : int
        Steps of DDIM from `start` to `end`, evenly spread in t.
    start : float
        1: from pure noise. Below, from a design of the pair file with noise of that time, its
        domains held as one body: only linkers are drawn, as `assemble` does between poses that it
        has found (`proteinweaver.generation.pose_assembly`).
    end : float
        Time of the estimate that is rewarded; 0: the design, at the end of all noise. How domains
        lie is decided above 0.3, and through many calls the gradient is untrue
        (docs/preference.md): to climb poses, let `end` lie there.
    contacts, clash, soundness : float
        Weights of the soft interface, of the overlap and of the critic's soundness, this of the
        chain with its linkers closed, and below ``start = 1`` the others too. The critic does not
        see overlaps, so soundness wants a weight on them beside it.
    strain : float
        Weight of the strain of linkers' peptide bonds that closing leaves; above 0 chains are
        closed from noise (``start = 1``) too.
    drift : float
        Weight of the mean square drift of the insides (A^2).
    branches : tuple of int
        Of the critic, whose mean is climbed; the others are only told.
    repulsion : float
        Of the sampler; as in `assemble`.
    """

    last: int = 0
    num_steps: int = 12
    start: float = 1.0
    end: float = 0.0
    contacts: float = 1.0
    clash: float = 0.2
    soundness: float = 0.0
    strain: float = 0.0
    drift: float = 0.5
    repulsion: float = 0.3
    branches: tuple[int, ...] = (0, 1)

    def __post_init__(self) -> None:
        """Refuse what cannot be sampled."""
        if self.num_steps < 1 or not 0 <= self.last <= self.num_steps + 1:
            raise UserError(
                f"reward_gradient.last is {self.last} of {self.num_steps} steps; give 0 to"
                " num_steps + 1"
            )
        if not 0 <= self.end < self.start <= 1:
            raise UserError(
                f"reward_gradient.start is {self.start}, end {self.end}; give 0 to 1, start first"
            )
        for name in ("contacts", "clash", "soundness", "strain", "drift", "repulsion"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise UserError(f"reward_gradient.{name} is {value}; give 0 or more")
        if self.soundness and not self.branches:
            raise UserError("reward_gradient.branches is empty; name branches, such as [0,1]")


def reward_of_samples(
    policy: Denoiser,
    process: FrameProcess,
    condition: Condition,
    keys: Sequence[str],
    config: RewardGradientConfig,
    designs: Tensor | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """Sample what is asked for and reward it.

    Parameters
    ----------
    policy : Denoiser
    process : FrameProcess
    condition : Condition
        Pieces with known insides; those without, and linkers, touch nothing, but linkers that
        are drawn between held domains may overlap.
    keys : sequence of str, length B
        Of the noise.
    config : RewardGradientConfig
    designs : Tensor, shape=(B, L, 4, 3), optional
        Where samples begin that do not begin at pure noise; angstrom, zero centre of mass.

    Returns
    -------
    reward : Tensor, shape=(B,)
        Weighted sum of soft rewards, with gradient.
    figures : dict of str to float
        ``contacts``, ``overlap`` and ``drift`` (A^2), means; where linkers are closed ``strain``;
        with a critic ``soundness``, and ``held_out`` by the branches that are not climbed.

    Raises
    ------
    UserError
        If the critic has no such branch, or samples would begin where noise ends.
    ValueError
        If samples begin at designs and there are none.
    """
    critic = _critic(config.branches) if config.soundness else None
    generators = [_generator(key) for key in keys]
    begin, end = config.start, max(config.end, process.config.t_min)
    if begin <= end:
        raise UserError(
            f"reward_gradient.start is {begin}; give more than {end}, where noise ends"
        )
    real = None  # linkers are not held to account where poses are what is climbed
    if begin == 1:
        asked, wishes = condition, steering(condition)
        state = pure_noise(process, condition.mask, generators)
    elif designs is None:
        raise ValueError("samples begin at designs; give some")
    else:
        asked, wishes, real = held(condition, designs), (), condition.mask
        state = noised(process, designs, condition.mask, begin, generators)
    grid = [begin + (end - begin) * k / config.num_steps for k in range(config.num_steps + 1)]
    field = FrameField(policy, process, asked, repulsion=config.repulsion, wishes=wishes)
    out, drift = on_known_insides(
        sample_with_gradient(field, state, grid, config.last, skip=True), asked
    )
    ca, chains = out.trans, coord_from_frames(out.rot, out.trans, out.psi)
    closes = bool(critic or config.strain) or begin < 1
    if closes:
        chains = closed(chains, asked)
    if begin < 1:  # of poses, closing tells nothing
        ca = chains[..., 1, :]
    contacts = soft_interface(ca, condition.piece)
    overlap = soft_clash(ca, condition.piece, real)
    reward = config.contacts * contacts - config.clash * overlap - config.drift * drift
    figures = {"contacts": contacts, "overlap": overlap, "drift": drift}
    if closes:
        figures["strain"] = soft_strain(chains, condition)
        reward = reward - config.strain * figures["strain"]
    if critic:
        votes = soft_soundness(chains, condition, critic)
        others = [k for k in range(len(votes)) if k not in config.branches]
        figures["soundness"] = votes[list(config.branches)].mean(0)
        if others:
            figures["held_out"] = votes[others].mean(0)
        reward = reward + config.soundness * figures["soundness"]
    return reward, {name: float(value.detach().mean()) for name, value in figures.items()}


def _critic(branches: Sequence[int]) -> TrainedCritic:
    """Load the critic, refusing branches that it does not have."""
    critic = load_critic()
    count = critic.net.config.branches
    if not set(branches) <= set(range(count)):
        raise UserError(
            f"reward_gradient.branches is {list(branches)}; the critic has branches 0 to"
            f" {count - 1}"
        )
    return critic


def _generator(key: str) -> torch.Generator:
    digest = hashlib.sha256(f"{key}/sample".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
