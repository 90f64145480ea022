"""Edges: the right residues, the right weights, against a plain search."""

import torch

from proteinweaver.nets.graph import build_graph, fixed_edges

OFFSETS = (1, 2, 5)


def case(length=40, seed=0):
    torch.manual_seed(seed)
    trans = 12 * torch.randn(1, length, 3, dtype=torch.float64)
    mask = torch.ones(1, length, dtype=torch.bool)
    mask[0, -4:] = False
    piece = torch.full((1, length), -1)
    piece[0, 3:15], piece[0, 20:31] = 0, 1
    known = 9 * torch.randn(1, length, 3, dtype=torch.float64)
    return trans, mask, piece, known


def test_fixed_edges_are_offsets_and_the_nearest_inside_the_piece():
    _, mask, piece, known = case()
    edges = fixed_edges(mask, piece, known, OFFSETS, n_inside=3)
    for i in range(36):
        along = {i + s * o for o in OFFSETS for s in (-1, 1)}
        real = {j for j in along if 0 <= j < 36}
        found = edges.source[0, i, :6][edges.weight[0, i, :6] > 0].tolist()
        assert set(found) == real and len(found) == len(real)
        inside = [
            j
            for j in range(36)
            if piece[0, j] == piece[0, i] >= 0 and abs(i - j) not in (0, *OFFSETS)
        ]
        inside.sort(key=lambda j: float((known[0, i] - known[0, j]).norm()))
        found = edges.source[0, i, 6:][edges.weight[0, i, 6:] > 0].tolist()
        assert found == inside[:3]


def test_spatial_edges_are_the_nearest_outside_and_fade():
    trans, mask, piece, known = case(seed=1)
    edges = fixed_edges(mask, piece, known, OFFSETS, n_inside=3)
    graph = build_graph(trans, edges, n_outside=7)
    assert torch.allclose(graph.log_weight.exp().clamp_max(1), graph.weight, atol=1e-8)
    for i in range(36):
        others = [
            j
            for j in range(36)
            if not piece[0, j] == piece[0, i] >= 0 and abs(i - j) not in (0, *OFFSETS)
        ]
        others.sort(key=lambda j: float((trans[0, i] - trans[0, j]).norm()))
        assert graph.source[0, i, 9:].tolist() == others[:7]
        reach = (trans[0, i] - trans[0, others[7]]).square().sum()
        ratio = (trans[0, i] - trans[0, others[:7]]).square().sum(-1) / reach
        assert torch.allclose(graph.weight[0, i, 9:], 1 - ratio**3, atol=1e-9)
