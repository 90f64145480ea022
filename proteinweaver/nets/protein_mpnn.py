"""ProteinMPNN: the network of the public checkpoints, for designing sequences.

The encoder starts from edges alone (`proteinweaver.nets.protein_mpnn_features`) and passes

    h_i <- norm(h_i + 1/30 sum_j W3 gelu(W2 gelu(W1 [h_i, e_ij, h_j]))),
    h_i <- norm(h_i + FF(h_i)),
    e_ij <- norm(e_ij + W13 gelu(W12 gelu(W11 [h_i, e_ij, h_j]))).

The decoder passes messages from [h_i, e_ij, s_j, h_j]. A neighbour j that comes before i in the
order of decoding is heard with its amino acid s_j and its state in the decoder; any other with
s_j = 0 and its state from the encoder. So every order gives a proper probability of a sequence.

W1 of joined inputs is the sum of its parts, and a sum of W3 is W3 of the sum: taken apart like
that, a residue's part is computed once, and one place is decoded at the cost of its K edges. The
names of parameters are those of the checkpoints. Their CA-only kind holds layers that are never
used (`UNUSED`); they are left out.

References
----------
Dauparas et al. 2022, Science 378, 49 (architecture and order-agnostic decoding).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from proteinweaver.nets.protein_mpnn_features import CaFeatures, FullFeatures, nearest

__all__ = ["LETTERS", "UNUSED", "Decoding", "Encoded", "ProteinMPNN"]

#: Amino acids in the order of `structure.residues.NAMES1`, and X.
LETTERS = 21
#: Beginnings of the names of parameters that CA-only checkpoints hold and nothing uses.
UNUSED = ("features.node_embedding.", "features.norm_nodes.", "W_v.")
_SCALE = 30.0  # of sums of messages


@dataclass(frozen=True)
class Encoded:
    """What the encoder knows of a backbone.

    Parameters
    ----------
    node : Tensor, shape=(L, width)
    edge : Tensor, shape=(L, K, width)
    neighbour : Tensor, dtype=int64, shape=(L, K)
    """

    node: Tensor
    edge: Tensor
    neighbour: Tensor


class _Dense(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.W_in = nn.Linear(width, 4 * width)
        self.W_out = nn.Linear(4 * width, width)

    def forward(self, h: Tensor) -> Tensor:
        out: Tensor = self.W_out(functional.gelu(self.W_in(h)))
        return out


class _Layer(nn.Module):
    """Messages from `parts` joined inputs, and the update of a residue."""

    def __init__(self, width: int, parts: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.W1 = nn.Linear(parts * width, width)
        self.W2 = nn.Linear(width, width)
        self.W3 = nn.Linear(width, width)
        self.dense = _Dense(width)

    def part(self, x: Tensor, which: int) -> Tensor:
        """W1 of one of its inputs, without the bias."""
        return _part(self.W1, x, which)

    def update(self, h: Tensor, joined: Tensor) -> Tensor:
        """Update states by W1 of their edges, shapes (..., width) and (..., K, width)."""
        inner = functional.gelu(self.W2(functional.gelu(joined))).sum(-2)
        heard = functional.linear(inner, self.W3.weight) + joined.shape[-2] * self.W3.bias
        h = self.norm1(h + heard / _SCALE)
        out: Tensor = self.norm2(h + self.dense(h))
        return out


def _part(linear: nn.Linear, x: Tensor, which: int) -> Tensor:
    width = x.shape[-1]
    return functional.linear(x, linear.weight[:, which * width : (which + 1) * width])


class _EncoderLayer(_Layer):
    def __init__(self, width: int) -> None:
        super().__init__(width, 3)
        self.norm3 = nn.LayerNorm(width)
        self.W11 = nn.Linear(3 * width, width)
        self.W12 = nn.Linear(width, width)
        self.W13 = nn.Linear(width, width)

    def forward(self, h: Tensor, e: Tensor, neighbour: Tensor) -> tuple[Tensor, Tensor]:
        h = self.update(h, _joined(self.W1, h, e, neighbour))
        inner = functional.gelu(self.W12(functional.gelu(_joined(self.W11, h, e, neighbour))))
        return h, self.norm3(e + self.W13(inner))


def _joined(linear: nn.Linear, h: Tensor, e: Tensor, neighbour: Tensor) -> Tensor:
    own, along, other = _part(linear, h, 0), _part(linear, e, 1), _part(linear, h, 2)
    return own[:, None] + along + other[neighbour] + linear.bias


class ProteinMPNN(nn.Module):
    """The network of a checkpoint.

    Parameters
    ----------
    neighbours : int
        K of the graph (``num_edges`` of a checkpoint).
    ca_only : bool, optional
        Of the CA-only kind.
    width : int, optional
        Channels; 128 in all public checkpoints.
    layers : int, optional
        Of the encoder and of the decoder; 3 in all public checkpoints.
    """

    def __init__(
        self, neighbours: int, ca_only: bool = False, width: int = 128, layers: int = 3
    ) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.ca_only = ca_only
        self.features = CaFeatures(width) if ca_only else FullFeatures(width)
        self.W_e = nn.Linear(width, width)
        self.W_s = nn.Embedding(LETTERS, width)
        self.encoder_layers = nn.ModuleList(_EncoderLayer(width) for _ in range(layers))
        self.decoder_layers = nn.ModuleList(_Layer(width, 4) for _ in range(layers))
        self.W_out = nn.Linear(width, LETTERS)

    def encode(self, coord: Tensor, index: Tensor, chain: Tensor) -> Encoded:
        """Encode a backbone.

        Parameters
        ----------
        coord : Tensor, dtype=float32, shape=(L, 4, 3)
            N, CA, C, O in angstrom; of a CA-only network only CA is read.
        index : Tensor, dtype=int64, shape=(L,)
            Place along the chain, missing residues counted.
        chain : Tensor, dtype=int64, shape=(L,)
            Which chain.

        Returns
        -------
        Encoded
        """
        neighbour = nearest(coord[:, 1], self.neighbours)
        edge = self.W_e(self.features(coord, index, chain, neighbour))
        node = edge.new_zeros(len(coord), edge.shape[-1])
        layers: list[Any] = list(self.encoder_layers)
        for layer in layers:
            node, edge = layer(node, edge, neighbour)
        return Encoded(node, edge, neighbour)

    def logits(self, encoded: Encoded, amino: Tensor, rank: Tensor) -> Tensor:
        """Logits of every residue's amino acid, given those before it.

        Parameters
        ----------
        encoded : Encoded
        amino : Tensor, dtype=int64, shape=(L,)
        rank : Tensor, dtype=int64, shape=(L,)
            Place of every residue in the order of decoding.

        Returns
        -------
        Tensor, shape=(L, 21)
        """
        near = encoded.neighbour
        before = (rank[near] < rank[:, None])[..., None]
        h = encoded.node
        named = self.W_s(amino)
        layers: list[Any] = list(self.decoder_layers)
        for layer in layers:
            told = layer.part(named, 2) + layer.part(h, 3)
            heard = torch.where(before, told[near], layer.part(encoded.node, 3)[near])
            along = layer.part(encoded.edge, 1) + layer.W1.bias
            h = layer.update(h, layer.part(h, 0)[:, None] + along + heard)
        out: Tensor = self.W_out(h)
        return out

    def decoding(self, encoded: Encoded, count: int) -> "Decoding":
        """Start to decode sequences side by side.

        Parameters
        ----------
        encoded : Encoded
        count : int
            Sequences.

        Returns
        -------
        Decoding
        """
        return Decoding(self, encoded, count)


class Decoding:
    """Sequences of one backbone while they are decoded, each in an order of its own.

    Parameters
    ----------
    net : ProteinMPNN
    encoded : Encoded
    count : int
        Sequences.
    """

    def __init__(self, net: ProteinMPNN, encoded: Encoded, count: int) -> None:
        self.net = net
        self.encoded = encoded
        self.sample = torch.arange(count, device=encoded.node.device)
        self.layers: list[Any] = list(net.decoder_layers)
        self.along = [layer.part(encoded.edge, 1) + layer.W1.bias for layer in self.layers]
        # what a residue tells its neighbours, by layer: replaced when it is decoded
        self.tells = [
            layer.part(encoded.node, 3).expand(count, *encoded.node.shape).clone()
            for layer in self.layers
        ]
        self.states: list[Tensor] = []

    def logits(self, places: Tensor) -> Tensor:
        """Logits of the amino acids of one residue of every sequence.

        Parameters
        ----------
        places : Tensor, dtype=int64, shape=(n,)
            Which residue.

        Returns
        -------
        Tensor, shape=(n, 21)
        """
        near = self.encoded.neighbour[places]
        self.states = [self.encoded.node[places]]
        for layer, along, told in zip(self.layers, self.along, self.tells, strict=True):
            h = self.states[-1]
            heard = told[self.sample[:, None], near]
            self.states.append(layer.update(h, layer.part(h, 0)[:, None] + along[places] + heard))
        out: Tensor = self.net.W_out(self.states[-1])
        return out

    def tell(self, places: Tensor, amino: Tensor) -> None:
        """Make known what was chosen there, after `logits` of the same places.

        Parameters
        ----------
        places, amino : Tensor, dtype=int64, shape=(n,)
        """
        named = self.net.W_s(amino)
        for layer, h, told in zip(self.layers, self.states[:-1], self.tells, strict=True):
            told[self.sample, places] = layer.part(named, 2) + layer.part(h, 3)
