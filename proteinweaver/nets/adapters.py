"""Low-rank adapters: linear layers that learn in a few directions only.

A chosen layer computes with ``W0 + (alpha / r) B A`` in place of W0; A (r, in) starts random, B
(out, r) at zero, and only these two learn. The network is changed in nothing else, since the sum
stands where the weight stood; merged, it has the names and shapes of a network without adapters.

References
----------
Hu et al. 2021, arXiv 2106.09685, equation 3 and section 4.1.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

__all__ = ["LowRank", "add_adapters", "merged_state"]

_BASE, _OWN = ".parametrizations.weight.original", ".parametrizations.weight.0."


class LowRank(nn.Module):
    """A weight and its low-rank update.

    Parameters
    ----------
    weight : Tensor, shape=(out, in)
        Gives shape, type and device.
    rank : int
    alpha : float
        The update is multiplied by ``alpha / rank``, so that a rate of learning suits any rank.
    generator : torch.Generator
        On the CPU; of the first `down`.
    """

    def __init__(
        self, weight: Tensor, rank: int, alpha: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        out, width = weight.shape
        bound = 1.0 / math.sqrt(width)
        start = (2.0 * torch.rand(rank, width, generator=generator) - 1.0) * bound
        self.down = nn.Parameter(start.to(weight))
        self.up = nn.Parameter(weight.new_zeros(out, rank))
        # kept with the weights, so that they can be merged without any config
        self.register_buffer("scale", weight.new_tensor(alpha / rank))

    scale: Tensor

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight that the layer computes with."""
        return weight + self.scale * (self.up @ self.down)


def add_adapters(
    net: nn.Module, layers: Sequence[str], rank: int, alpha: float, generator: torch.Generator
) -> tuple[str, ...]:
    """Give chosen linear layers adapters and freeze all else, in place.

    Parameters
    ----------
    net : nn.Module
    layers : sequence of str
        A linear layer is chosen if a part of its dotted name is one of these: "out" chooses
        ``blocks.0.out``, ``blocks.1.out``, ...; "transition" both layers of every transition.
    rank : int
    alpha : float
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    tuple of str
        Names of the layers with adapters.

    Raises
    ------
    ValueError
        If the rank is below 1, or a name chooses no linear layer.
    """
    if rank < 1:
        raise ValueError(f"rank {rank} of an adapter; give 1 or more")
    linear = {name: m for name, m in net.named_modules() if isinstance(m, nn.Linear)}
    for part in layers:
        if not any(part in name.split(".") for name in linear):
            known = sorted({p for name in linear for p in name.split(".") if not p.isdigit()})
            raise ValueError(f"no linear layer has '{part}' in its name; known: {known}")
    net.requires_grad_(False)
    chosen = tuple(name for name in linear if set(layers) & set(name.split(".")))
    for name in chosen:
        layer = linear[name]
        adapter = LowRank(layer.weight.detach(), rank, alpha, generator)
        parametrize.register_parametrization(layer, "weight", adapter)
    return chosen


def merged_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a network with adapters as those of one without.

    Parameters
    ----------
    state : mapping of str to Tensor
        ``state_dict()`` of the network; one without adapters comes back as it is.

    Returns
    -------
    dict of str to Tensor
    """
    out = {}
    for name, value in state.items():
        if name.endswith(_BASE):
            layer = name.removesuffix(_BASE)
            up, down, scale = (state[f"{layer}{_OWN}{part}"] for part in ("up", "down", "scale"))
            out[f"{layer}.weight"] = value + scale * (up @ down)
        elif _OWN not in name:
            out[name] = value
    return out
