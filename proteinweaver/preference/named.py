"""Objectives by name, for configs: each a function of log-ratios, best design first."""

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
from proteinweaver.preference.games import game_pairs, inpo, mirror_target
from proteinweaver.preference.pairwise import anchored_dpo, dpo, f_dpo, ipo, rpo, sppo_hard
from proteinweaver.preference.unpaired import (
    clipped_policy_gradient,
    d2o,
    kto,
    plackett_luce,
    raft,
    sppo,
)

__all__ = ["DRIFTING", "LISTWISE", "OBJECTIVES", "Objective", "ObjectiveConfig", "named_objective"]


class Objective(Protocol):
    """Losses of rankings, shape (n,).

    ``ratios`` are log-ratios to the reference of k designs of one plan, best first, shape (n, k);
    ``drift`` those of the reference to the first reference of all rounds, and ``rates`` the win
    rates against their set, both of the same shape. Most objectives look at ``ratios`` alone.
    """

    def __call__(self, ratios: Tensor, drift: Tensor, rates: Tensor) -> Tensor:
        """Compute the losses."""
        ...


@dataclass(frozen=True)
class ObjectiveConfig:
    """An objective and what it is set to; unused fields do nothing.

    Parameters
    ----------
    name : str
        One of `OBJECTIVES`.
    beta : float
        Pull to the reference (DPO and its family, lists, KTO), and hold of D2O.
    eta : float
        Step of SPPO, with hard labels (sppo) or win rates (sppo-rate), and of the games.
    tau : float
        Pull of IPO to the reference, of the games to the first reference.
    anchor : float
        Pull of anchored DPO to the first reference.
    alpha : float
        Of the alpha-divergence.
    supervised : float
        Weight of RPO's supervised term.
    smoothing : float
        Chance of a wrong label in DPO.
    kl : float
        Zero point of KTO.
    push : float
        Push of D2O away from the worst design.
    clip : float
        Of the policy gradient: how far a ratio may go from 1.
    """

    name: str = "sppo"
    beta: float = 1.0
    eta: float = 1.0
    tau: float = 1.0
    anchor: float = 0.1
    alpha: float = 0.5
    supervised: float = 0.1
    smoothing: float = 0.0
    kl: float = 0.0
    push: float = 1.0
    clip: float = 0.2


def _of_pairs(loss: Callable[[Tensor, Tensor], Tensor]) -> Objective:
    return lambda ratios, drift, rates: loss(ratios[:, 0], ratios[:, 1])


def _diverging(divergence: Divergence, config: ObjectiveConfig) -> Objective:
    return _of_pairs(lambda won, lost: f_dpo(won, lost, config.beta, divergence))


def _kto(config: ObjectiveConfig) -> Objective:
    def both(won: Tensor, lost: Tensor) -> Tensor:
        yes, no = torch.ones_like(won, dtype=torch.bool), torch.zeros_like(lost, dtype=torch.bool)
        return kto(won, yes, config.kl, config.beta) + kto(lost, no, config.kl, config.beta)

    return _of_pairs(both)


def _anchored(config: ObjectiveConfig) -> Objective:
    def loss(ratios: Tensor, drift: Tensor, rates: Tensor) -> Tensor:
        won, lost = ratios.unbind(-1)
        won_first, lost_first = (ratios + drift).unbind(-1)
        return anchored_dpo(won, lost, won_first, lost_first, config.beta, config.anchor)

    return loss


def _game(config: ObjectiveConfig) -> Objective:
    def loss(ratios: Tensor, drift: Tensor, rates: Tensor) -> Tensor:
        targets = mirror_target(rates, drift, config.eta, config.tau)
        return game_pairs(ratios[:, 0], ratios[:, 1], targets[:, 0], targets[:, 1])

    return loss


def _inpo(config: ObjectiveConfig) -> Objective:
    def loss(ratios: Tensor, drift: Tensor, rates: Tensor) -> Tensor:
        (won, lost), (won_drift, lost_drift) = ratios.unbind(-1), drift.unbind(-1)
        return inpo(won, lost, won_drift, lost_drift, config.eta, config.tau)

    return loss


#: Makers of objectives by name.
OBJECTIVES: Mapping[str, Callable[[ObjectiveConfig], Objective]] = {
    "sppo": lambda c: _of_pairs(lambda won, lost: sppo_hard(won, lost, c.eta)),
    "sppo-rate": lambda c: lambda ratios, drift, rates: sppo(ratios, rates, c.eta).sum(-1),
    "dpo": lambda c: _of_pairs(lambda won, lost: dpo(won, lost, c.beta, c.smoothing)),
    "ipo": lambda c: _of_pairs(lambda won, lost: ipo(won, lost, c.tau)),
    "rpo": lambda c: _of_pairs(lambda won, lost: rpo(won, lost, c.beta, c.supervised)),
    "anchored-dpo": _anchored,
    "forward-kl": lambda c: _diverging(FORWARD_KL, c),
    "jensen-shannon": lambda c: _diverging(JENSEN_SHANNON, c),
    "chi-squared": lambda c: _diverging(CHI_SQUARED, c),
    "alpha": lambda c: _diverging(alpha_divergence(c.alpha), c),
    "kto": _kto,
    "d2o": lambda c: lambda ratios, drift, rates: d2o(ratios, ratios[:, -1], c.beta, c.push),
    "raft": lambda c: lambda ratios, drift, rates: raft(ratios[:, 0]),
    "plackett-luce": lambda c: lambda ratios, drift, rates: plackett_luce(ratios, c.beta),
    "policy-gradient": lambda c: (
        lambda ratios, drift, rates: clipped_policy_gradient(ratios, rates - 0.5, c.clip).sum(-1)
    ),
    "game": _game,
    "inpo": _inpo,
}

#: Those that take more than two designs of a plan.
LISTWISE = frozenset({"sppo-rate", "d2o", "raft", "plackett-luce", "policy-gradient"})

#: Those that look at the first reference of all rounds.
DRIFTING = frozenset({"anchored-dpo", "game", "inpo"})


def named_objective(config: ObjectiveConfig) -> Objective:
    """Make an objective.

    Parameters
    ----------
    config : ObjectiveConfig

    Returns
    -------
    callable
        An `Objective`.

    Raises
    ------
    UserError
        If no objective has this name, or a setting is not positive where it must be.
    """
    if config.name not in OBJECTIVES:
        raise UserError(f"no objective '{config.name}'; {nearest(config.name, OBJECTIVES)}")
    for key in ("beta", "eta", "tau", "push", "clip"):
        if not 0 < getattr(config, key) < float("inf"):
            raise UserError(f"objective: {key} is {getattr(config, key)}; give a positive number")
    if config.name == "alpha" and not 0 < config.alpha < 1:
        raise UserError(f"objective: alpha is {config.alpha}; give a number between 0 and 1")
    return OBJECTIVES[config.name](config)
