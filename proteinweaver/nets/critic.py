"""The critic's network: a structure trunk with two heads, each on a copy of its own.

The trunk passes messages over the graph of nearest residues (`proteinweaver.nets.critic_graph`),

    m_ij = gelu(A h_i + B h_j + C e_ij),    h_i <- h_i + W mean_j m_ij,    h_i <- h_i + FF(h_i),
    e_ij <- e_ij + W' gelu(A' h_i + B' h_j + C' e_ij),

which is the message network of ProteinMPNN with its first layer split over its three inputs and
its last taken after the sum: two thirds of the work are gone, because they happen once a residue.

*Sequence head*: the probability of a sequence in a random order of decoding, every residue seeing
the amino acids of the neighbours that come before it in that order (order-agnostic).

*Soundness head*: an ensemble of small branches on a second trunk, which starts as a copy of the
first and learns what tells natives from negatives. A branch passes messages of its own, gives a
logit to every residue and one to the whole backbone: from the mean of the residues and four means
weighted by attention, of states and of the residues' own logits, and from the mean of descriptors
(`proteinweaver.nets.critic_descriptors`).

References
----------
Dauparas et al. 2022, Science 378, 49 (ProteinMPNN); Uria et al. 2014, ICML (order-agnostic
autoregression); Lakshminarayanan et al. 2017, NeurIPS 30 (ensembles for uncertainty).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn, set_grad_enabled
from torch.nn import functional

from proteinweaver.nets.critic_descriptors import DESCRIPTORS, residue_descriptors
from proteinweaver.nets.critic_graph import (
    EDGE_FEATURES,
    NODE_FEATURES,
    OFFSETS,
    PackedChains,
    edge_features,
    node_features,
    separation,
)

__all__ = ["AMINO_ACIDS", "Critic", "CriticConfig", "Judgement", "StructureTrunk", "Trunk"]

#: Amino acids of the sequence head; the next index is "not known".
AMINO_ACIDS = 20
_HIDDEN = AMINO_ACIDS
_FARTHEST = 5.0  # of a mean of descriptors, in units of its spread
_SHRINK = 0.003  # of the linear law of descriptors


@dataclass(frozen=True)
class CriticConfig:
    """Sizes of the critic.

    Parameters
    ----------
    width : int
        Channels of residues and edges.
    neighbours, judge_neighbours : int
        K of the graph of the sequence head, and of the soundness head.
    trunk_layers, sequence_layers : int
        Message layers of the trunk and of the sequence head.
    branches, branch_width, branch_layers : int
        The ensemble of the soundness head, channels and message layers of each.
    dropout : float
        Of messages, in training.
    """

    width: int = 96
    neighbours: int = 20
    judge_neighbours: int = 20
    trunk_layers: int = 3
    sequence_layers: int = 3
    branches: int = 3
    branch_width: int = 64
    branch_layers: int = 2
    dropout: float = 0.05


@dataclass(frozen=True)
class Trunk:
    """What the trunk knows of packed chains.

    Parameters
    ----------
    node : Tensor, shape=(R, width)
    edge : Tensor, shape=(R, K, width)
    """

    node: Tensor
    edge: Tensor


@dataclass(frozen=True)
class Judgement:
    """Logits of soundness; higher is more native-like.

    Parameters
    ----------
    chain : Tensor, shape=(branches, B)
        Of whole backbones.
    residue : Tensor, shape=(branches, R)
        Of residues.
    """

    chain: Tensor
    residue: Tensor


def _if_asked(chains: PackedChains) -> set_grad_enabled:
    """Gradient of features only where somebody wants that of the coordinates."""
    return set_grad_enabled(torch.is_grad_enabled() and chains.coord.requires_grad)


def _mean(messages: Tensor, near: Tensor) -> Tensor:
    weight = near.to(messages.dtype)
    return (messages * weight[..., None]).sum(-2) / weight.sum(-1, keepdim=True)


class _FeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, 4 * width)
        self.outer = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        update: Tensor = self.outer(functional.gelu(self.inner(self.norm(x))))
        return x + update


class _Messages(nn.Module):
    """gelu(A h_i + B h_j + C e_ij) on every edge."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.edge_norm = nn.LayerNorm(width)
        self.own = nn.Linear(width, width)
        self.other = nn.Linear(width, width, bias=False)
        self.along = nn.Linear(width, width, bias=False)

    def forward(self, h: Tensor, e: Tensor, neighbour: Tensor) -> Tensor:
        x = self.norm(h)
        return functional.gelu(
            self.own(x)[:, None] + self.other(x)[neighbour] + self.along(self.edge_norm(e))
        )


class _TrunkLayer(nn.Module):
    """Messages to residues, then to edges (left out where ``moves_edges`` is false)."""

    def __init__(self, width: int, dropout: float, moves_edges: bool = True) -> None:
        super().__init__()
        self.messages = _Messages(width)
        self.gather = nn.Linear(width, width)
        self.feed = _FeedForward(width)
        self.drop = nn.Dropout(dropout)
        self.edge_messages = _Messages(width) if moves_edges else None
        self.edge_out = nn.Linear(width, width) if moves_edges else None

    def forward(
        self, h: Tensor, e: Tensor, neighbour: Tensor, near: Tensor
    ) -> tuple[Tensor, Tensor]:
        heard = _mean(self.messages(h, e, neighbour), near)
        h = self.feed(h + self.drop(self.gather(heard)))
        if self.edge_messages is not None and self.edge_out is not None:
            e = e + self.edge_out(self.edge_messages(h, e, neighbour))
        return h, e


class _SequenceLayer(nn.Module):
    """Messages from neighbours: with their amino acid where it is visible, without elsewhere."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.node_norm = nn.LayerNorm(width)
        self.edge_norm = nn.LayerNorm(width)
        self.own = nn.Linear(width, width)
        self.other = nn.Linear(width, width, bias=False)
        self.along = nn.Linear(width, width, bias=False)
        self.amino = nn.Embedding(AMINO_ACIDS + 1, width)
        self.gather = nn.Linear(width, width)
        self.feed = _FeedForward(width)
        self.drop = nn.Dropout(dropout)

    def told(self, g: Tensor, amino: Tensor) -> Tensor:
        """Say what a decoded residue tells: its state and its amino acid."""
        return self.other(self.norm(g)) + self.amino(amino)

    def untold(self, node: Tensor) -> Tensor:
        """Say what a residue not decoded yet tells: its place in the structure."""
        return self.other(self.node_norm(node)) + self.amino.weight[_HIDDEN]

    def update(self, g: Tensor, along: Tensor, heard: Tensor, near: Tensor) -> Tensor:
        """Give the new state of residues that hear ``heard`` from their neighbours."""
        messages = functional.gelu(self.own(self.norm(g))[:, None] + heard + along)
        out: Tensor = self.feed(g + self.drop(self.gather(_mean(messages, near))))
        return out

    def forward(
        self,
        g: Tensor,
        node: Tensor,
        e: Tensor,
        amino: Tensor,
        place: Tensor,
        near: Tensor,
    ) -> Tensor:
        both = torch.cat((self.untold(node), self.told(g, amino)))
        return self.update(g, self.along(self.edge_norm(e)), both[place], near)


class _Branch(nn.Module):
    """One member of the soundness ensemble."""

    def __init__(self, config: CriticConfig) -> None:
        super().__init__()
        width = config.branch_width
        self.node_in = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, width))
        self.described = nn.Linear(DESCRIPTORS, width)
        self.edge_in = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, width))
        self.layers = nn.ModuleList(
            _TrunkLayer(width, config.dropout, k + 1 < config.branch_layers)
            for k in range(config.branch_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.residue = nn.Linear(width, 1)
        self.attention = nn.Linear(width, 4)
        inputs = 5 * width + DESCRIPTORS
        self.chain = nn.Sequential(nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, 1))
        self.plain = nn.Linear(DESCRIPTORS, 1)
        self.gain = nn.Parameter(torch.ones(5))
        self.centre: Tensor
        self.scale: Tensor
        self.register_buffer("centre", torch.zeros(DESCRIPTORS))
        self.register_buffer("scale", torch.ones(DESCRIPTORS))

    def forward(
        self, trunk: Trunk, described: Tensor, chains: PackedChains, count: int
    ) -> tuple[Tensor, Tensor]:
        h = self.node_in(trunk.node) + self.described(described)
        e = self.edge_in(trunk.edge)
        for layer in self.layers:
            h, e = layer(h, e, chains.neighbour, chains.near)
        h = self.norm(h)
        # the mean, and four means weighted by attention; softmax inside every backbone
        score = self.attention(h).clamp(-10.0, 10.0).exp()
        weight = torch.cat((torch.ones_like(score[:, :1]), score), dim=-1)
        total = weight.new_zeros(count, 5).index_add(0, chains.item, weight)
        share = weight / total[chains.item]
        pooled = h.new_zeros(count, 5, h.shape[-1]).index_add(
            0, chains.item, share[..., None] * h[:, None]
        )
        # backbones differ little in their descriptors: measured in units of that difference
        mean = described.new_zeros(count, DESCRIPTORS).index_add(
            0, chains.item, share[:, :1] * described
        )
        mean = ((mean - self.centre) / self.scale).clamp(-_FARTHEST, _FARTHEST)
        pooled = torch.cat((pooled.flatten(1), mean), dim=-1)
        residue = self.residue(h)[:, 0]
        told = h.new_zeros(count, 5).index_add(0, chains.item, share * residue[:, None])
        logit = self.chain(pooled)[:, 0] + self.plain(mean)[:, 0] + told @ self.gain / 5.0
        return logit, residue


class StructureTrunk(nn.Module):
    """Features of residues and edges, and the message layers on them.

    Parameters
    ----------
    config : CriticConfig
    """

    def __init__(self, config: CriticConfig) -> None:
        super().__init__()
        width = config.width
        self.node_in = nn.Linear(NODE_FEATURES, width)
        self.edge_in = nn.Linear(EDGE_FEATURES, width)
        self.offset = nn.Embedding(OFFSETS, width)
        self.layers = nn.ModuleList(
            _TrunkLayer(width, config.dropout, k + 1 < config.trunk_layers)
            for k in range(config.trunk_layers)
        )

    def trunk(self, chains: PackedChains) -> Trunk:
        """Run the trunk."""
        with _if_asked(chains):
            edges = edge_features(chains.coord, chains.neighbour)
            nodes = node_features(chains.coord, chains.index)
        h = self.node_in(nodes)
        e = self.edge_in(edges) + self.offset(separation(chains))
        for layer in self.layers:
            h, e = layer(h, e, chains.neighbour, chains.near)
        return Trunk(h, e)


class Critic(StructureTrunk):
    """Structure network with a sequence head, and its copy with a soundness head.

    Parameters
    ----------
    config : CriticConfig
    """

    def __init__(self, config: CriticConfig) -> None:
        super().__init__(config)
        self.config = config
        width = config.width
        self.sequence_layers = nn.ModuleList(
            _SequenceLayer(width, config.dropout) for _ in range(config.sequence_layers)
        )
        self.sequence_out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, AMINO_ACIDS))
        self.judging = StructureTrunk(config)
        self.branches = nn.ModuleList(_Branch(config) for _ in range(config.branches))

    def sequence_logits(
        self, trunk: Trunk, chains: PackedChains, amino: Tensor, rank: Tensor
    ) -> Tensor:
        """Logits of every residue's amino acid, given those of lower rank.

        Parameters
        ----------
        trunk : Trunk
        chains : PackedChains
        amino : Tensor, dtype=int64, shape=(R,)
            Amino acids; 20 where not known, which tells nothing.
        rank : Tensor, shape=(R,)
            Order of decoding; residues of equal rank do not see each other.

        Returns
        -------
        Tensor, shape=(R, 20)
        """
        visible = rank[chains.neighbour] < rank[:, None]
        place = chains.neighbour + visible.long() * len(rank)
        g = trunk.node
        for layer in self.sequence_layers:
            g = layer(g, trunk.node, trunk.edge, amino, place, chains.near)
        logits: Tensor = self.sequence_out(g)
        return logits

    def start_branches(self, means: Tensor, target: Tensor) -> None:
        """Start the branches from the logistic regression of descriptors.

        Parameters
        ----------
        means : Tensor, shape=(B, DESCRIPTORS)
            Means over backbones; their spread becomes the unit the branches measure in.
        target : Tensor, shape=(B,)
            Soundness, from 0 to 1.
        """
        centre, scale = means.mean(0), means.std(0).clamp_min(1e-3)
        z = ((means - centre) / scale).clamp(-_FARTHEST, _FARTHEST)
        law = nn.Linear(z.shape[-1], 1)
        nn.init.zeros_(law.weight)
        nn.init.zeros_(law.bias)
        solver = torch.optim.LBFGS(law.parameters(), max_iter=100, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            solver.zero_grad()
            value = functional.binary_cross_entropy_with_logits(law(z)[:, 0], target)
            value = value + _SHRINK * law.weight.square().sum()
            value.backward()
            return value

        with torch.enable_grad():
            solver.step(loss)
        branch: Any
        with torch.no_grad():
            for branch in self.branches:
                branch.centre.copy_(centre)
                branch.scale.copy_(scale)
                branch.plain.weight.copy_(law.weight)
                branch.plain.bias.copy_(law.bias)

    def judge(self, chains: PackedChains) -> Judgement:
        """Logits of soundness from every branch; with gradient where coordinates have one."""
        count = chains.count
        with _if_asked(chains):
            described = residue_descriptors(chains)
        trunk = self.judging.trunk(chains)
        found = [branch(trunk, described, chains, count) for branch in self.branches]
        return Judgement(torch.stack([c for c, _ in found]), torch.stack([r for _, r in found]))
