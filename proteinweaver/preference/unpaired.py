"""Objectives of samples that need no partner: win rates, labels, rewards, rankings.

Log-ratios r(x) = log pi_theta(x) / pi_ref(x) as in `proteinweaver.preference.pairwise`; one loss
per sample (or per group of samples), nothing shared within a batch. What a method takes from a
whole batch in its paper (the KL estimate of KTO) is an argument here.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

__all__ = ["clipped_policy_gradient", "d2o", "kto", "plackett_luce", "raft", "sppo"]


def sppo(ratio: Tensor, win_rate: Tensor, eta: float) -> Tensor:
    """Self-play preference optimisation: (ratio - eta (P - 1/2))^2.

    Parameters
    ----------
    ratio : Tensor, shape=(n,)
        Log-ratios to the previous policy, from which the samples were drawn.
    win_rate : Tensor, shape=(n,)
        Estimated probability P that the sample beats one of the previous policy.
    eta : float
        Step size. The true normaliser of the multiplicative-weights step is replaced by eta / 2:
        exact to first order in eta.

    Returns
    -------
    Tensor, shape=(n,)

    References
    ----------
    Wu et al. 2024, arXiv 2405.00675, equation 4.7.
    """
    return (ratio - eta * (win_rate - 0.5)).square()


def kto(
    ratio: Tensor,
    desirable: Tensor,
    kl: Tensor | float,
    beta: float,
    weight_desirable: float = 1.0,
    weight_undesirable: float = 1.0,
) -> Tensor:
    """Kahneman-Tversky optimisation of labelled single samples.

    w_d (1 - sigmoid(beta (ratio - kl))) for a desirable sample,
    w_u (1 - sigmoid(beta (kl - ratio))) for an undesirable one.

    Parameters
    ----------
    ratio : Tensor, shape=(n,)
        Log-ratios to a fixed reference.
    desirable : Tensor, dtype=bool, shape=(n,)
        Labels.
    kl : Tensor or float
        Estimate of KL(pi, pi_ref), the zero point of gain and loss, not negative; no gradient
        passes through it. A running mean over batches keeps losses independent of the batch.
    beta, weight_desirable, weight_undesirable : float
        Sensitivity, and what a gain or a loss weighs.

    Returns
    -------
    Tensor, shape=(n,)

    References
    ----------
    Ethayarajh et al. 2024, arXiv 2402.01306, equation 8.
    """
    zero = torch.as_tensor(kl, dtype=ratio.dtype, device=ratio.device).detach()
    gain = weight_desirable * (1.0 - torch.sigmoid(beta * (ratio - zero)))
    loss = weight_undesirable * (1.0 - torch.sigmoid(beta * (zero - ratio)))
    return torch.where(desirable, gain, loss)


def d2o(own: Tensor, lost: Tensor, beta: float, alpha: float) -> Tensor:
    """Distributional dispreference: away from a bad sample, own samples held.

    -log sigmoid(beta mean_i own_i - alpha lost).

    Parameters
    ----------
    own : Tensor, shape=(n, k)
        Log-ratios of k samples of the reference itself, of any quality.
    lost : Tensor, shape=(n,)
        Log-ratio of a dispreferred sample of the same domains and plan.
    beta, alpha : float
        Weights of the hold and of the push.

    Returns
    -------
    Tensor, shape=(n,)

    References
    ----------
    Duan et al. 2024, arXiv 2403.03419, equation 3, both of its references the same.
    """
    return -logsigmoid(beta * own.mean(-1) - alpha * lost)


def raft(ratio: Tensor) -> Tensor:
    """Supervised loss on chosen samples, -ratio: reward-ranked fine-tuning.

    Parameters
    ----------
    ratio : Tensor, shape=(n,)
        Log-ratios of the samples that ranking has kept, such as the best of k; -log pi but for a
        constant. Where the network is told the reward class of every sample, all are kept and
        this is reward-conditioned denoising: its minimiser is the law of each class.

    Returns
    -------
    Tensor, shape=(n,)

    References
    ----------
    Dong et al. 2023, arXiv 2304.06767, algorithm 1; conditioning on reward: Kumar et al. 2019,
    arXiv 1912.13465.
    """
    return -ratio


def plackett_luce(ratios: Tensor, beta: float, mask: Tensor | None = None) -> Tensor:
    """Negative log-likelihood of a ranking under scores beta r.

    -sum_j log( exp(beta r_j) / sum_{i >= j} exp(beta r_i) ), best first.

    Parameters
    ----------
    ratios : Tensor, shape=(n, k)
        Log-ratios to a fixed reference in the order of the ranking; k = 2 is DPO.
    beta : float
        Strength of the pull to the reference.
    mask : Tensor, dtype=bool, shape=(n, k), optional
        False for places that a shorter list leaves empty, at its end.

    Returns
    -------
    Tensor, shape=(n,)

    References
    ----------
    Rafailov et al. 2023, arXiv 2305.18290, appendix A.3; Plackett 1975, Appl. Stat.
    24, 193.
    """
    score = beta * ratios
    here = torch.ones_like(score, dtype=torch.bool) if mask is None else mask
    low = torch.finfo(score.dtype).min
    tail = torch.where(here, score, low).flip(-1).logcumsumexp(-1).flip(-1)
    return torch.where(here, tail - score, torch.zeros_like(score)).sum(-1)


def clipped_policy_gradient(ratio: Tensor, advantage: Tensor, clip: float = 0.2) -> Tensor:
    """Proximal policy gradient, -min(u A, clamp(u, 1 - clip, 1 + clip) A) with u = e^ratio.

    Parameters
    ----------
    ratio : Tensor, shape=(n,)
        Log-ratios to the policy that sampled; for a chain of denoising steps those of single
        steps, each with the advantage of its end.
    advantage : Tensor, shape=(n,)
        Reward less its mean for the same domains and plan.
    clip : float, optional
        Ratio beyond which nothing more is gained.

    Returns
    -------
    Tensor, shape=(n,)
        At ratio 0 its gradient is that of -A log pi.

    References
    ----------
    Schulman et al. 2017, arXiv 1707.06347, equation 7; denoising as steps: Black et al. 2023,
    arXiv 2305.13301, section 4.3.
    """
    u = ratio.exp()
    return -torch.minimum(u * advantage, u.clamp(1.0 - clip, 1.0 + clip) * advantage)
