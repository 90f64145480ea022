"""Sequences for a backbone, drawn residue by residue in a random order.

The critic's sequence head (`proteinweaver.nets.critic`) gives the probabilities of a residue's
amino acid from the structure and from the amino acids decoded before it. Fixed residues come first
in the order, so all others see them. All samples of a backbone are drawn side by side, each in an
order of its own; order and luck of a sample are keyed by (seed, backbone, sample), so it is the
same whatever else is drawn.

References
----------
Dauparas et al. 2022, Science 378, 49 (decoding in random order, fixed residues first).
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from proteinweaver.evaluation.critic import TrainedCritic, load_critic, packed
from proteinweaver.nets.critic import AMINO_ACIDS
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.residues import NAMES1, sequence_of_indices

__all__ = ["DesignedSequence", "Draw", "design_sequences", "draw_orders", "sequence_nats"]

_MIN_TEMPERATURE = 1e-3


@dataclass(frozen=True)
class DesignedSequence:
    """One sequence of a backbone.

    Parameters
    ----------
    sequence : str
        One-letter codes of all residues, chains one behind the other.
    nats : float
        Mean negative log-probability of the designed residues, at temperature 1 and with every
        amino acid allowed; NaN where nothing was designed. Compare backbones with care: it is
        two-sided, and low on nonsense too.
    designed : int
        Residues that were not fixed.
    """

    sequence: str
    nats: float
    designed: int


@dataclass(frozen=True)
class Draw:
    """What is asked of all sequences of a backbone, and their luck.

    Parameters
    ----------
    native : ndarray, dtype=int64, shape=(L,)
        Amino acids of the backbone.
    keep : ndarray, dtype=bool, shape=(L,)
        Residues that keep theirs; they come first in every order.
    orders : ndarray, dtype=int64, shape=(n, L)
        Order of decoding of every sequence.
    luck : ndarray, dtype=float64, shape=(n, L, 20)
        Gumbel noise: the amino acid with the highest sum of logit and noise is a sample.
    temperature : float
        Above 0.
    closed : ndarray, dtype=float32, shape=(20,)
        Minus infinity for amino acids that are left out, else 0.
    """

    native: NDArray[np.int64]
    keep: NDArray[np.bool_]
    orders: NDArray[np.int64]
    luck: NDArray[np.float64]
    temperature: float
    closed: NDArray[np.float32]

    def sequences(
        self, amino: NDArray[np.int64], total: NDArray[np.float64]
    ) -> list[DesignedSequence]:
        """Wrap decoded amino acids, shape=(n, L), and their sums of nats, shape=(n,)."""
        free = int((~self.keep).sum())
        return [
            DesignedSequence(
                sequence_of_indices(row.astype(np.uint8)),
                float(nats / free) if free else float("nan"),
                free,
            )
            for row, nats in zip(amino, total, strict=True)
        ]


def draw_orders(
    backbone: Backbone,
    n: int,
    temperature: float,
    fixed: ArrayLike | None,
    omit: Iterable[str],
    seed: int,
) -> Draw:
    """Draw orders and luck for the sequences of a backbone.

    Parameters
    ----------
    backbone, n, temperature, fixed, omit, seed
        As those of `design_sequences`.

    Returns
    -------
    Draw
        Keyed by (seed, name of the backbone, number of the sequence).

    Raises
    ------
    ValueError
        If a number is out of range, a code is unknown, or nothing is left to choose from.
    """
    if n < 1 or not temperature >= 0:
        raise ValueError(f"n is {n} and temperature {temperature}; give n >= 1, temperature >= 0")
    closed = np.zeros(AMINO_ACIDS, dtype=np.float32)
    closed[_indices(omit)] = -np.inf
    native = np.asarray(backbone.aatype, dtype=np.int64)
    keep = np.zeros(len(native), dtype=bool) if fixed is None else np.asarray(fixed, dtype=bool)
    if keep.shape != native.shape:
        raise ValueError(f"fixed has shape {keep.shape}, not {native.shape}")
    keep = keep & (native < AMINO_ACIDS)
    keys = [np.random.default_rng([seed, zlib.crc32(backbone.name.encode()), k]) for k in range(n)]
    orders = np.stack([np.lexsort((key.random(len(native)), ~keep)) for key in keys])
    luck = np.stack([key.gumbel(size=(len(native), AMINO_ACIDS)) for key in keys])
    return Draw(native, keep, orders, luck, max(temperature, _MIN_TEMPERATURE), closed)


def design_sequences(
    backbone: Backbone,
    n: int = 8,
    *,
    temperature: float = 0.1,
    fixed: ArrayLike | None = None,
    omit: Iterable[str] = "",
    seed: int = 0,
    critic: TrainedCritic | None = None,
) -> list[DesignedSequence]:
    """Design sequences.

    Parameters
    ----------
    backbone : Backbone
        With all four atoms of every residue.
    n : int, optional
        Sequences.
    temperature : float, optional
        Divides the logits; towards 0 the most probable amino acid is taken.
    fixed : ndarray, dtype=bool, shape=(L,), optional
        Residues that keep their amino acid; an unknown one (X) is designed all the same.
    omit : iterable of str, optional
        One-letter codes that are never designed. Default none.
    seed : int, optional
    critic : TrainedCritic, optional
        Default: the shipped one.

    Returns
    -------
    list of DesignedSequence

    Raises
    ------
    ValueError
        If a number is out of range, a code is unknown, or nothing is left to choose from.
    UserError
        If an atom is missing.
    """
    draw = draw_orders(backbone, n, temperature, fixed, omit, seed)
    return draw.sequences(*_decode(critic or load_critic(), backbone, draw))


def _indices(codes: Iterable[str]) -> list[int]:
    found = [NAMES1.find(code) if len(code) == 1 else -1 for code in codes]
    if any(not 0 <= index < AMINO_ACIDS for index in found):
        raise ValueError(f"{''.join(codes)!r} has letters that are none of {NAMES1[:20]}")
    if len(set(found)) == AMINO_ACIDS:
        raise ValueError("every amino acid is left out")
    return found


def _decode(
    critic: TrainedCritic, backbone: Backbone, draw: Draw
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Amino acids, shape=(n, L), and summed negative log-probabilities of the free residues."""
    net = critic.net
    n, length = draw.orders.shape
    chains = packed([backbone], net.config.neighbours)
    sample = torch.arange(n)
    with torch.inference_mode():
        trunk = net.trunk(chains)
        layers: list[Any] = list(net.sequence_layers)
        along = [layer.along(layer.edge_norm(trunk.edge)) for layer in layers]
        # what every residue tells its neighbours, layer by layer: replaced as it is decoded
        tells = [layer.untold(trunk.node).expand(n, length, -1).clone() for layer in layers]
        amino = torch.from_numpy(draw.native).expand(n, length).clone()
        total = torch.zeros(n, dtype=torch.float64)
        closed = torch.from_numpy(draw.closed)
        gumbel = torch.from_numpy(draw.luck).float()
        fixed = torch.from_numpy(draw.keep)
        for places in torch.from_numpy(draw.orders.T.copy()):
            states = [trunk.node[places]]
            near, neighbour = chains.near[places], chains.neighbour[places]
            for layer, edge, told in zip(layers, along, tells, strict=True):
                heard = told[sample[:, None], neighbour]
                states.append(layer.update(states[-1], edge[places], heard, near))
            logits = net.sequence_out(states[-1])
            drawn = (logits / draw.temperature + closed + gumbel[sample, places]).argmax(-1)
            chosen = torch.where(fixed[places], amino[sample, places], drawn)
            nats = -torch.log_softmax(logits, -1)[sample, chosen].double()
            total += torch.where(fixed[places], torch.zeros_like(nats), nats)
            amino[sample, places] = chosen
            for layer, state, told in zip(layers, states[:-1], tells, strict=True):
                told[sample, places] = layer.told(state, chosen)
    return amino.numpy(), total.numpy()


def sequence_nats(
    backbone: Backbone, orders: int = 1, seed: int = 0, critic: TrainedCritic | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Judge the backbone's own sequence, given the residues before it in random orders.

    Parameters
    ----------
    backbone : Backbone
    orders : int, optional
        Random orders to average over.
    seed : int, optional
    critic : TrainedCritic, optional
        Default: the shipped one.

    Returns
    -------
    nats : ndarray, dtype=float64, shape=(L,)
        Negative log-probability of every residue; NaN for unknown ones.
    recovered : ndarray, dtype=float64, shape=(L,)
        Share of the orders in which the most probable amino acid is the residue's own.
    """
    critic = critic or load_critic()
    native = torch.from_numpy(np.asarray(backbone.aatype, dtype=np.int64))
    generator = torch.Generator().manual_seed(seed)
    nats, right = torch.zeros(len(native)).double(), torch.zeros(len(native)).double()
    with torch.inference_mode():
        chains = packed([backbone], critic.net.config.neighbours)
        trunk = critic.net.trunk(chains)
        for _ in range(orders):
            rank: Tensor = torch.randperm(len(native), generator=generator)
            logits = critic.net.sequence_logits(trunk, chains, native, rank)
            own = native.clamp_max(AMINO_ACIDS - 1)
            nats -= torch.log_softmax(logits.double(), -1)[torch.arange(len(native)), own]
            right += (logits.argmax(-1) == native).double()
    known = native < AMINO_ACIDS
    nats, right = torch.where(known, nats / orders, torch.nan), right / orders
    return nats.numpy(), torch.where(known, right, torch.nan).numpy()
