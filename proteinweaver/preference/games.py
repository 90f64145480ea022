"""Objectives for preferences that no reward explains: steps towards a Nash point.

Preferences P(x > y) may run in circles. The regularised game

    max_pi min_mu  P(pi > mu) - tau KL(pi, ref) + tau KL(mu, ref)

has one Nash point, the solution of pi = ref exp(P(. > pi) / tau) / Z. Each round asks for a mirror
step from the current policy pi_k,

    log pi(x) / pi_k(x) = eta (A(x) - tau log pi_k(x) / ref(x)) + const,

with A(x) the win rate of x against some opponent. The opponent makes the method: pi_k itself
(online mirror descent), the policy that a first such step would give (mirror prox: two steps a
round), or A extrapolated from the last two rounds (optimistic: one step a round). The constant is
unknown; `game_pairs` compares two samples of the same domains and plan, where it drops out, and so
has the mirror step as its exact minimiser, while `proteinweaver.preference.unpaired.sppo` sets it
to eta / 2. With denoising steps as the turns of the game, sum the log-ratios of the turns.

References
----------
Munos et al. 2023, arXiv 2312.00886 (Nash learning, regularised game); Nemirovski 2004, SIAM J.
Optim. 15, 229 (mirror prox); Rakhlin & Sridharan 2013, arXiv 1311.1869 (optimism); Wu et al. 2025,
arXiv 2502.12678 (MPO and OMPO: turns as steps of a Markov game).
"""

from torch import Tensor

__all__ = ["game_pairs", "inpo", "mirror_target", "optimistic_win_rate"]


def mirror_target(win_rate: Tensor, drift: Tensor, eta: float, tau: float) -> Tensor:
    """Log-ratio to the current policy that a mirror step asks for, but for a constant.

    eta (win_rate - 1/2 - tau drift).

    Parameters
    ----------
    win_rate : Tensor, shape=(n,)
        Probability of beating the opponent.
    drift : Tensor, shape=(n,)
        log pi_k / ref of the same samples: how far the current policy is from the reference.
    eta : float
        Step size; up to about 1 / tau.
    tau : float
        Strength of the pull to the reference; 0 for the game without it.

    Returns
    -------
    Tensor, shape=(n,)
        Without gradient.

    References
    ----------
    Munos et al. 2023, arXiv 2312.00886 (mirror descent with a regularised payoff).
    """
    return (eta * (win_rate - 0.5 - tau * drift)).detach()


def optimistic_win_rate(now: Tensor, before: Tensor) -> Tensor:
    """Win rates of the last two rounds extrapolated to the next, 2 now - before.

    Parameters
    ----------
    now, before : Tensor, shape=(n,)
        Win rates against the current policy and against the one before.

    Returns
    -------
    Tensor, shape=(n,)
        May leave [0, 1].

    References
    ----------
    Rakhlin & Sridharan 2013, arXiv 1311.1869; as OMPO: Wu et al. 2025, arXiv 2502.12678.
    """
    return 2.0 * now - before


def game_pairs(
    first: Tensor, second: Tensor, target_first: Tensor, target_second: Tensor
) -> Tensor:
    """Regress the difference of two log-ratios on that of their targets.

    (first - second - (target_first - target_second))^2.

    Parameters
    ----------
    first, second : Tensor, shape=(n,) or (n, turns)
        Log-ratios to the current policy of two samples of the same domains and plan; of every turn
        where the game has turns.
    target_first, target_second : Tensor, shape=(n,)
        `mirror_target` of the two.

    Returns
    -------
    Tensor, shape=(n,)

    References
    ----------
    Gao et al. 2024, arXiv 2404.16767, algorithm 1 (regression to relative values); turns: Wu et
    al. 2025, arXiv 2502.12678.
    """
    if first.dim() > target_first.dim():
        first, second = first.sum(-1), second.sum(-1)
    return (first - second - (target_first - target_second).detach()).square()


def inpo(
    won: Tensor, lost: Tensor, won_drift: Tensor, lost_drift: Tensor, eta: float, tau: float
) -> Tensor:
    """Mirror step from hard labels alone: no win rate is estimated.

    (won - lost + eta tau (won_drift - lost_drift) - eta / 2)^2, all pairs drawn from the current
    policy; its expectation differs from that of `game_pairs` against the current policy by a
    constant.

    Parameters
    ----------
    won, lost : Tensor, shape=(n,)
        Log-ratios to the current policy.
    won_drift, lost_drift : Tensor, shape=(n,)
        log pi_k / ref of the same samples.
    eta, tau : float
        Step size and pull, as in `mirror_target`.

    Returns
    -------
    Tensor, shape=(n,)

    References
    ----------
    Zhang et al. 2024, arXiv 2407.00617, section 3; its eta is 1 / eta of ours.
    """
    pull = eta * tau * (won_drift - lost_drift).detach()
    return (won - lost + pull - 0.5 * eta).square()
