"""Objectives of pairs by name, for configs: each a function of (won, lost, rates)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from proteinweaver.errors import UserError, nearest
from proteinweaver.preference.divergences import (
    CHI_SQUARED,
    FORWARD_KL,
    JENSEN_SHANNON,
    Divergence,
    alpha_divergence,
)
from proteinweaver.preference.pairwise import dpo, f_dpo, ipo, rpo, sppo_hard
from proteinweaver.preference.unpaired import kto, raft, sppo

__all__ = ["PAIR_OBJECTIVES", "ObjectiveConfig", "PairObjective", "pair_objective"]


class PairObjective(Protocol):
    """Losses of pairs, shape (n,).

    ``won`` and ``lost`` are log-ratios, shape (n,); ``rates`` the win rates of both members
    against their set, shape (n, 2), which most objectives do not look at.
    """

    def __call__(self, won: Tensor, lost: Tensor, rates: Tensor) -> Tensor:
        """Compute the losses."""
        ...


@dataclass(frozen=True)
class ObjectiveConfig:
    """An objective of pairs and what it is set to; unused fields do nothing.

    Parameters
    ----------
    name : str
        One of `PAIR_OBJECTIVES`.
    beta : float
        Pull to the reference (DPO and its family, KTO).
    eta : float
        Step of SPPO, with hard labels (sppo) or win rates (sppo-rate).
    tau : float
        Pull of IPO.
    alpha : float
        Of the alpha-divergence.
    supervised : float
        Weight of RPO's supervised term.
    smoothing : float
        Chance of a wrong label in DPO.
    kl : float
        Zero point of KTO.
    """

    name: str = "sppo"
    beta: float = 1.0
    eta: float = 1.0
    tau: float = 1.0
    alpha: float = 0.5
    supervised: float = 0.1
    smoothing: float = 0.0
    kl: float = 0.0


def _diverging(divergence: Divergence, config: ObjectiveConfig) -> PairObjective:
    return lambda won, lost, rates: f_dpo(won, lost, config.beta, divergence)


def _kto(config: ObjectiveConfig) -> PairObjective:
    def both(won: Tensor, lost: Tensor, rates: Tensor) -> Tensor:
        yes, no = torch.ones_like(won, dtype=torch.bool), torch.zeros_like(lost, dtype=torch.bool)
        return kto(won, yes, config.kl, config.beta) + kto(lost, no, config.kl, config.beta)

    return both


#: Makers of objectives by name.
PAIR_OBJECTIVES: Mapping[str, Callable[[ObjectiveConfig], PairObjective]] = {
    "sppo": lambda c: lambda won, lost, rates: sppo_hard(won, lost, c.eta),
    "sppo-rate": lambda c: (
        lambda won, lost, rates: sppo(won, rates[:, 0], c.eta) + sppo(lost, rates[:, 1], c.eta)
    ),
    "dpo": lambda c: lambda won, lost, rates: dpo(won, lost, c.beta, c.smoothing),
    "ipo": lambda c: lambda won, lost, rates: ipo(won, lost, c.tau),
    "rpo": lambda c: lambda won, lost, rates: rpo(won, lost, c.beta, c.supervised),
    "forward-kl": lambda c: _diverging(FORWARD_KL, c),
    "jensen-shannon": lambda c: _diverging(JENSEN_SHANNON, c),
    "chi-squared": lambda c: _diverging(CHI_SQUARED, c),
    "alpha": lambda c: _diverging(alpha_divergence(c.alpha), c),
    "kto": _kto,
    "raft": lambda c: lambda won, lost, rates: raft(won) + 0.0 * lost,
}


def pair_objective(config: ObjectiveConfig) -> PairObjective:
    """Make an objective.

    Parameters
    ----------
    config : ObjectiveConfig

    Returns
    -------
    callable
        A `PairObjective`.

    Raises
    ------
    UserError
        If no objective has this name, or a setting is not positive where it must be.
    """
    if config.name not in PAIR_OBJECTIVES:
        raise UserError(f"no objective '{config.name}'; {nearest(config.name, PAIR_OBJECTIVES)}")
    for key in ("beta", "eta", "tau"):
        if not 0 < getattr(config, key) < float("inf"):
            raise UserError(f"objective: {key} is {getattr(config, key)}; give a positive number")
    if config.name == "alpha" and not 0 < config.alpha < 1:
        raise UserError(f"objective: alpha is {config.alpha}; give a number between 0 and 1")
    return PAIR_OBJECTIVES[config.name](config)
