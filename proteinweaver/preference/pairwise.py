"""Objectives of one comparison: a winner, a loser, and how much likelier each has become.

``won`` and ``lost`` are log-ratios r(x) = log pi_theta(x) / pi_ref(x) of the members of a pair,
for a diffusion model estimated by `proteinweaver.preference.surrogate`. Every function returns one
loss per pair and looks at no other pair, so that a gradient does not depend on the batch a pair
lies in; weights and means are the caller's.
"""

from torch import Tensor
from torch.nn.functional import logsigmoid

from proteinweaver.preference.divergences import Divergence

__all__ = ["anchored_dpo", "dpo", "f_dpo", "ipo", "rpo", "sppo_hard"]


def dpo(won: Tensor, lost: Tensor, beta: float, smoothing: float = 0.0) -> Tensor:
    """Direct preference optimisation: -log sigmoid(beta (won - lost)).

    Parameters
    ----------
    won, lost : Tensor, shape=(n,)
        Log-ratios to a fixed reference.
    beta : float
        Strength of the pull to the reference; under Bradley-Terry preferences of a reward R the
        minimiser is pi_ref exp(R / beta) / Z.
    smoothing : float, optional
        Probability s that a label is wrong: (1 - s) l(won - lost) + s l(lost - won).

    Returns
    -------
    Tensor, shape=(n,)

    References
    ----------
    Rafailov et al. 2023, arXiv 2305.18290, equation 7; smoothing: Mitchell 2023, "A note on DPO
    with noisy preferences", equation 3.
    """
    logit = beta * (won - lost)
    return -(1.0 - smoothing) * logsigmoid(logit) - smoothing * logsigmoid(-logit)


def ipo(won: Tensor, lost: Tensor, tau: float) -> Tensor:
    """Identity preference optimisation: (won - lost - 1 / (2 tau))^2.

    Parameters
    ----------
    won, lost : Tensor, shape=(n,)
        Log-ratios to a fixed reference.
    tau : float
        Strength of the pull; the minimiser is pi_ref exp(P(x beats the pairs' law) / tau) / Z for
        any preference P, also where DPO would run to certainty.

    Returns
    -------
    Tensor, shape=(n,)

    References
    ----------
    Azar et al. 2023, arXiv 2310.12036, equation 17.
    """
    return (won - lost - 0.5 / tau).square()


def sppo_hard(won: Tensor, lost: Tensor, eta: float) -> Tensor:
    """Self-play preference optimisation with hard labels: (won - eta/2)^2 + (lost + eta/2)^2.

    Parameters
    ----------
    won, lost : Tensor, shape=(n,)
        Log-ratios to the *previous* policy, from which both members were drawn.
    eta : float
        Step size: a sure win asks for a log-ratio of eta / 2.

    Returns
    -------
    Tensor, shape=(n,)

    References
    ----------
    Wu et al. 2024, arXiv 2405.00675, equation 4.7 of algorithm 1 with win rates 1 and 0.
    """
    return (won - 0.5 * eta).square() + (lost + 0.5 * eta).square()


def f_dpo(won: Tensor, lost: Tensor, beta: float, divergence: Divergence) -> Tensor:
    """DPO under another divergence: -log sigmoid(beta (f'(e^won) - f'(e^lost))).

    Parameters
    ----------
    won, lost : Tensor, shape=(n,)
        Log-ratios to a fixed reference.
    beta : float
        The minimiser under Bradley-Terry preferences of R maximises E R - beta D_f(pi, pi_ref).
    divergence : Divergence
        One of `proteinweaver.preference.divergences`.

    Returns
    -------
    Tensor, shape=(n,)

    References
    ----------
    Wang et al. 2023, arXiv 2309.16240, theorem 1 and table 1; chi-squared: Huang et al. 2024,
    arXiv 2407.13399, algorithm 1.
    """
    return -logsigmoid(beta * (divergence.slope(won) - divergence.slope(lost)))


def rpo(won: Tensor, lost: Tensor, beta: float, supervised: float) -> Tensor:
    """DPO with a supervised term that keeps the winner likely: dpo - supervised * won.

    Parameters
    ----------
    won, lost : Tensor, shape=(n,)
        Log-ratios to a fixed reference; -won differs from -log pi(winner) by a constant.
    beta, supervised : float
        Weights; 0 for ``supervised`` is DPO.

    Returns
    -------
    Tensor, shape=(n,)

    References
    ----------
    Pang et al. 2024, arXiv 2404.19733, equation 1; Liu et al. 2024, arXiv 2405.16436 (why it
    bounds over-optimisation).
    """
    return dpo(won, lost, beta) - supervised * won


def anchored_dpo(
    won: Tensor, lost: Tensor, won_first: Tensor, lost_first: Tensor, beta: float, anchor: float
) -> Tensor:
    """Online DPO of a later round, held to the first reference too.

    -log sigmoid(beta (won - lost) + anchor (won_first - lost_first)).

    Parameters
    ----------
    won, lost : Tensor, shape=(n,)
        Log-ratios to the policy that the round started from.
    won_first, lost_first : Tensor, shape=(n,)
        Log-ratios of the same policy to the first reference of all rounds.
    beta, anchor : float
        Weights of KL(pi, pi_round) and KL(pi, pi_first) in the reward problem that it solves: its
        minimiser is (pi_round^beta pi_first^anchor exp(R))^(1 / (beta + anchor)) / Z. ``beta`` = 0
        is iterative DPO against the first reference.

    Returns
    -------
    Tensor, shape=(n,)

    References
    ----------
    Xiong et al. 2023, arXiv 2312.11456, algorithm 1 (KL to the first policy in every round); two
    references: Le et al. 2024, arXiv 2405.16388.
    """
    return -logsigmoid(beta * (won - lost) + anchor * (won_first - lost_first))
