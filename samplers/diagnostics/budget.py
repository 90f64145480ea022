r"""Error budgets: what of a sampler's error is due to what.

From the data to what a sampler returns there is a chain of laws

    data -> early stopping -> initialisation -> score -> discretisation,

each differing from the one before in one respect: p_delta (the exact law at the last noise level),
the exact flow from the sampler's prior, the flow of the learned score from that prior, and the
sampler itself. For a distance d between laws, with L_0 the data and L_m the sampler,

    d(L_m, L_0) <= sum_i d(L_i, L_{i-1})                        (sizes, triangle inequality)
    d(L_m, L_0)  = sum_i [d(L_i, L_0) - d(L_{i-1}, L_0)]        (signed: parts may cancel)

For coupled points x_0 ... x_m (the same noise pushed along the chain) the differences add as
vectors, and each one's projection on the total,

    share_i = E<x_i - x_{i-1}, x_m - x_0> / rms(x_m - x_0),

adds up to the RMS error exactly. `gaussian_chain` gives the chain in closed form for diagonal
Gaussians, where the sampler is an affine map along each axis; `flow_chain` gives coupled points
for any target, by reference flows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from samplers.diagnostics.gaussian_law import DiagonalGaussian, exact_gain, sampler_gain
from samplers.diagnostics.maps import Advance
from samplers.schedules import NoiseLaw
from samplers.targets import reference
from samplers.targets.base import Target

__all__ = ["PARTS", "Budget", "flow_chain", "gaussian_chain", "law_budget", "path_budget"]

PARTS = ("early stopping", "initialisation", "score", "discretisation")
Law = TypeVar("Law")


@dataclass(frozen=True)
class Budget:
    """A distance and its parts.

    Attributes
    ----------
    names : tuple of str, length m
    sizes : Tensor, shape=(m,)
        Distance across each link of the chain; their sum is at least the total.
    signed : Tensor, shape=(m,)
        Contributions that add up to the total.
    total : Tensor, shape=()
        Distance between the ends, measured directly.
    """

    names: tuple[str, ...]
    sizes: Tensor
    signed: Tensor
    total: Tensor


def law_budget(
    distance: Callable[[Law, Law], Tensor],
    laws: Sequence[Law],
    names: Sequence[str] = PARTS,
) -> Budget:
    """Budget of a distance between laws.

    Parameters
    ----------
    distance : callable (law, law) -> Tensor, shape=()
        A metric.
    laws : sequence, length m + 1
        The chain, data first, sampler last; whatever ``distance`` takes (samples as well).
    names : sequence of str, length m

    Returns
    -------
    Budget
    """
    _count(laws, names)
    to_data = torch.stack([distance(law, laws[0]) for law in laws[1:]])
    sizes = torch.stack([distance(b, a) for a, b in itertools.pairwise(laws)])
    signed = torch.diff(to_data, prepend=to_data.new_zeros(1))
    return Budget(tuple(names), sizes, signed, to_data[-1])


def path_budget(points: Sequence[Tensor], names: Sequence[str] = PARTS) -> Budget:
    """Budget of the RMS distance between coupled points.

    Parameters
    ----------
    points : sequence of Tensor, shape=(b, n), length m + 1
        Truth first, sampler last; row by row from the same noise.
    names : sequence of str, length m

    Returns
    -------
    Budget
        Distances are RMS over the batch of the Euclidean norm.
    """
    _count(points, names)
    chain = torch.stack(tuple(points))
    links = chain[1:] - chain[:-1]
    whole = chain[-1] - chain[0]
    total = whole.square().sum(-1).mean().sqrt()
    sizes = links.square().sum(-1).mean(-1).sqrt()
    signed = (links * whole).sum(-1).mean(-1) / total
    return Budget(tuple(names), sizes, signed, total)


def _count(laws: Sequence[object], names: Sequence[str]) -> None:
    if len(laws) != len(names) + 1:
        raise ValueError(f"{len(names)} parts need a chain of {len(names) + 1}, got {len(laws)}")


def gaussian_chain(
    data: DiagonalGaussian,
    learned: DiagonalGaussian,
    prior: DiagonalGaussian,
    advance: Advance,
    law: NoiseLaw,
    times: Sequence[float],
) -> list[DiagonalGaussian]:
    """Chain of laws of `PARTS` for diagonal Gaussians, every one a closed form.

    Parameters
    ----------
    data : DiagonalGaussian
        x_0.
    learned : DiagonalGaussian
        The law whose score is used in place of the data's.
    prior : DiagonalGaussian
        What the sampler starts from at ``times[0]``.
    advance : callable (x, times) -> Tensor
        The sampler with the score of ``learned``.
    law : NoiseLaw
    times : sequence of float

    Returns
    -------
    list of DiagonalGaussian, length 5
    """
    start, end = ((law.alpha(t), law.sigma(t)) for t in (times[0], times[-1]))
    flow_shift, flow_gain = exact_gain(data, start, end)
    learned_shift, learned_gain = exact_gain(learned, start, end)
    shift, gain = sampler_gain(advance, times, data.mean)
    return [
        data,
        data.noised(*end),
        prior.mapped(flow_shift, flow_gain),
        prior.mapped(learned_shift, learned_gain),
        prior.mapped(shift, gain),
    ]


def flow_chain(
    target: Target,
    learned: reference.ScoreAt,
    advance: Advance,
    law: NoiseLaw,
    times: Sequence[float],
    start: tuple[Tensor, Tensor],
    *,
    rho_data: float = 1e-3,
    tolerance: float = 1e-10,
) -> list[Tensor]:
    """Coupled points of `PARTS` for any target on R^n.

    Parameters
    ----------
    target : Target
    learned : callable (x, alpha, sigma) -> Tensor
        Score that the sampler uses; ``target.score`` for none.
    advance : callable (x, times) -> Tensor
        The sampler with the learned score.
    law : NoiseLaw
    times : sequence of float
    start : (Tensor, Tensor), shapes=(b, n)
        Draws of p_t at ``times[0]`` and of the sampler's prior, coupled row by row (the same
        noise with and without the data).
    rho_data : float
        Noise-to-signal ratio that counts as no noise: the flow of the first point ends there.
    tolerance : float
        Of the reference flows.

    Returns
    -------
    list of Tensor, length 5
        For `path_budget`.
    """
    exact, prior = start
    first, last = ((law.alpha(t), law.sigma(t)) for t in (times[0], times[-1]))
    data = (1.0, rho_data)
    stopped = reference.flow(target, exact, first, last, tolerance)
    return [
        reference.flow(target, stopped, last, data, tolerance),
        stopped,
        reference.flow(target, prior, first, last, tolerance),
        reference.score_flow(learned, prior, first, last, tolerance),
        advance(prior, times),
    ]
