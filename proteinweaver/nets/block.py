"""One block of the denoiser: look at the neighbours, think, move the frame."""

import torch
from torch import Tensor, nn

from proteinweaver.nets.embeddings import EdgeEmbedding
from proteinweaver.nets.graph import Graph
from proteinweaver.nets.sketch import SKETCH_CHANNELS

__all__ = ["CHAIN_EDGES", "UPDATE_PARTS", "Block"]

#: Leading edges of the graph (sequence offsets -1, 1, -2, 2) that every residue reads one by one.
CHAIN_EDGES = 4
#: Channels of an update: local step (3) and rotation (3), gate of the known insides, sketch.
UPDATE_PARTS = (6, 1, SKETCH_CHANNELS)

_FIRST_SKETCH = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, -2.5)


class Block(nn.Module):
    """Attention over a sparse graph with values made of edges, a transition, and a frame update.

    Attention weights and values come from the same small network on edge features (invariant
    geometry plus both residues), so the cost per residue is K times a narrow edge network whatever
    the length of the chain. The edges to the first `CHAIN_EDGES` neighbours along the chain are
    read directly besides, not through the average of attention: peptide bonds are a matter of
    exactly those.

    Parameters
    ----------
    width : int
        Channels of a residue.
    edge_width : int
        Channels of an edge.
    heads : int
        Attention heads.
    """

    def __init__(self, width: int, edge_width: int, heads: int) -> None:
        super().__init__()
        self.norm_in = nn.LayerNorm(width)
        self.embed = EdgeEmbedding(width, edge_width)
        self.edge = nn.Linear(edge_width, edge_width)
        self.logits = nn.Linear(edge_width, heads)
        self.out = nn.Linear(heads * edge_width, width)
        self.chain = nn.Linear(CHAIN_EDGES * edge_width, width)
        contract = nn.Linear(4 * width, width)
        self.transition = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.SiLU(), contract
        )
        self.norm_out = nn.LayerNorm(width)
        self.update = nn.Linear(width, sum(UPDATE_PARTS))
        with torch.no_grad():
            for layer, scale in (
                (self.out, 0.1),
                (contract, 0.1),
                (self.update, 0.01),
                (self.chain, 0.0),
            ):
                layer.weight.mul_(scale)
                layer.bias.zero_()
            # A sketch starts as a small random cloud of parallel frames that is hardly trusted.
            own = self.update.bias[-SKETCH_CHANNELS:]
            own.copy_(own.new_tensor(_FIRST_SKETCH))
            self.update.weight[-SKETCH_CHANNELS:][:3].mul_(10.0)

    def forward(
        self, h: Tensor, geometry: Tensor, offset: Tensor, graph: Graph
    ) -> tuple[Tensor, Tensor]:
        """Update residue features and propose a frame update.

        Parameters
        ----------
        h : Tensor, shape=(B, L, width)
        geometry : Tensor, shape=(B, L, K, EDGE_FEATURES)
        offset : Tensor, dtype=int64, shape=(B, L, K)
            `proteinweaver.nets.embeddings.offset_class` of the neighbour.
        graph : Graph

        Returns
        -------
        h : Tensor, shape=(B, L, width)
        update : Tensor, shape=(B, L, sum(UPDATE_PARTS))
            Local step (3), rotation update (3), gate logit (1), sketch; dimensionless.
        """
        edge = self.embed(self.norm_in(h), geometry, offset, graph.source)
        edge = nn.functional.silu(edge, inplace=True)
        edge = nn.functional.silu(self.edge(edge), inplace=True).add_(edge)
        edge = edge.view(*graph.source.shape, -1)
        logits = self.logits(edge) + graph.log_weight[..., None]
        message = torch.softmax(logits, dim=-2).transpose(-1, -2) @ edge
        along = edge[:, :, :CHAIN_EDGES] * graph.weight[:, :, :CHAIN_EDGES, None]
        h = h + self.out(message.flatten(-2)) + self.chain(along.flatten(-2))
        h = h + self.transition(h)
        return h, self.update(self.norm_out(h))
