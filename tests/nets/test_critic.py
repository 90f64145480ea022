"""The critic's network: invariance, order of decoding as a law of probability, packing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from proteinweaver.evaluation.geometry import chain_metrics
from proteinweaver.nets.critic import AMINO_ACIDS, Critic, CriticConfig
from proteinweaver.nets.critic_descriptors import residue_descriptors
from proteinweaver.nets.critic_graph import edge_features, node_features, pack
from proteinweaver.structure.hbonds import hydrogen_bonds
from proteinweaver.structure.ideal import build_backbone, ideal_element

CONFIG = CriticConfig(
    width=16,
    neighbours=8,
    judge_neighbours=8,
    trunk_layers=2,
    sequence_layers=2,
    branches=2,
    branch_width=8,
    branch_layers=2,
)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return Critic(CONFIG).double().eval()


def chain(length, seed=0):
    rng = np.random.default_rng(seed)
    phi = np.where(rng.random(length) < 0.6, -1.1, -2.1) + 0.15 * rng.standard_normal(length)
    psi = np.where(phi > -1.6, -0.75, 2.3) + 0.15 * rng.standard_normal(length)
    return build_backbone(torch.from_numpy(phi), torch.from_numpy(psi))


def packed(*coords):
    return pack(list(coords), [torch.arange(len(xyz)) for xyz in coords], CONFIG.neighbours)


def both_heads(net, chains, amino, rank):
    with torch.no_grad():
        trunk = net.trunk(chains)
        judged = net.judge(chains)
        return net.sequence_logits(trunk, chains, amino, rank), judged.chain, judged.residue


def test_rotations_change_nothing_and_mirrors_do(net):
    xyz = chain(30)
    amino, rank = torch.randint(0, 20, (30,)), torch.randperm(30)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    turn = turn * torch.sign(torch.linalg.det(turn))
    here = both_heads(net, packed(xyz), amino, rank)
    there = both_heads(net, packed(xyz @ turn.T + 50.0), amino, rank)
    mirror = both_heads(net, packed(xyz * torch.tensor([1.0, 1.0, -1.0])), amino, rank)
    for a, b, c in zip(here, there, mirror, strict=True):
        assert torch.allclose(a, b, atol=1e-8)
        assert not torch.allclose(a, c, atol=1e-3)


def test_a_backbone_is_the_same_alone_and_packed(net):
    one, two = chain(25, 1), chain(5, 2)  # the second is shorter than the graph is wide
    amino, rank = torch.randint(0, 20, (30,)), torch.randperm(30)
    together = both_heads(net, packed(one, two), amino, rank)
    alone = both_heads(net, packed(two), amino[25:], rank[25:])
    assert torch.allclose(together[0][25:], alone[0], atol=1e-9)
    assert torch.allclose(together[1][:, 1:], alone[1], atol=1e-9)
    assert torch.allclose(together[2][:, 25:], alone[2], atol=1e-9)


def test_sequences_of_any_order_add_up_to_one(net):
    """Over all 400 sequences of two residues the probabilities sum to 1, in both orders."""
    xyz = chain(2, 3)
    grid = torch.cartesian_prod(torch.arange(AMINO_ACIDS), torch.arange(AMINO_ACIDS))
    copies = packed(*[xyz] * len(grid))
    for order in ([0, 1], [1, 0]):
        rank = torch.tensor(order).repeat(len(grid))
        logits, *_ = both_heads(net, copies, grid.flatten(), rank)
        log_p = torch.log_softmax(logits, -1)[torch.arange(len(logits)), grid.flatten()]
        assert float(log_p.reshape(-1, 2).sum(-1).exp().sum()) == pytest.approx(1.0, abs=1e-9)


def test_a_residue_hears_only_what_is_decoded_before(net):
    chains, rank = packed(chain(20, 4)), torch.randperm(20)
    amino = torch.randint(0, 20, (20,))
    middle = int((rank == 10).nonzero())
    changed = amino.clone()
    changed[middle] = (amino[middle] + 1) % 20
    before, *_ = both_heads(net, chains, amino, rank)
    after, *_ = both_heads(net, chains, changed, rank)
    moved = (before - after).abs().amax(-1) > 1e-9
    assert not moved[rank <= 10].any()
    assert moved[rank > 10].any()


def test_unknown_neighbours_tell_nothing(net):
    """An unknown amino acid (20) shows the network its place only, like an undecoded one."""
    chains = packed(chain(12, 5))
    amino = torch.full((12,), AMINO_ACIDS)
    shown, *_ = both_heads(net, chains, amino, torch.arange(12))
    assert torch.isfinite(shown).all()


def test_features_are_what_they_say():
    xyz = chain(15, 6)
    chains = packed(xyz)
    features = edge_features(xyz, chains.neighbour)
    seen = features[..., 140:155].reshape(15, 8, 5, 3) * 10
    ca = xyz[:, 1]
    distance = (ca[chains.neighbour] - ca[:, None]).norm(dim=-1)
    assert torch.allclose(seen[:, :, 1].norm(dim=-1), distance)
    own = seen[:, 0, 2]  # the nearest residue is the residue itself; its C lies on the first axis
    assert torch.allclose(own, torch.tensor([1.525, 0.0, 0.0], dtype=xyz.dtype), atol=1e-5)
    nodes = node_features(xyz, torch.tensor([*range(7), *range(100, 108)]))
    assert nodes[7, 2] == 0  # phi across a jump is not told
    assert nodes[6, 5] == 0
    assert (nodes[1:7, 2] == 1).all()


def test_descriptors_count_what_the_geometry_columns_count():
    """Hydrogen bonds, contacts, Ramachandran and gyration against `evaluation`."""
    xyz = torch.cat((chain(40, 8), ideal_element("H", 30).double()))
    one, two = xyz[:40], xyz[40:]
    chains = pack([one, two], [torch.arange(40), torch.arange(30)], 20)
    found = residue_descriptors(chains)
    for rows, coord in ((slice(0, 40), one.numpy()), (slice(40, 70), two.numpy())):
        mean, plain = found[rows].mean(0), chain_metrics(coord)
        bonds = hydrogen_bonds(coord)
        assert ((found[rows, 0] > 0.5).numpy() >= (bonds >= 0)).all()
        assert float(mean[4]) * 4 == pytest.approx(2 * plain.contacts_long, abs=0.05)
        assert float(mean[10]) ** 0.5 == pytest.approx(plain.rg_ratio, abs=1e-6)
        assert float(mean[7]) == pytest.approx(plain.rama_ok, abs=0.08)
    assert found[44:70, 0].min() > 0.9  # inside a helix every N-H donates
    assert found[40:66, 2].min() > 0.9  # and every O accepts
    assert found[40:, 1].max() < 0.1  # never over more than five residues


def test_logits_have_the_gradient_of_the_coordinates(net):
    coord, direction = chain(24, 3), torch.randn(24, 4, 3, dtype=torch.float64)

    def logits(step, neighbour=None):
        chains = packed(coord + step * direction)
        # nearest residues change in steps; the slope is that of a fixed graph
        return net.judge(chains if neighbour is None else replace(chains, neighbour=neighbour))

    near = packed(coord).neighbour
    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    slope = torch.autograd.grad(logits(step, near).chain.sum(), step)[0]
    with torch.no_grad():
        ahead, behind = (logits(x, near).chain.sum() for x in (1e-5, -1e-5))
    assert float(slope) == pytest.approx(float(ahead - behind) / 2e-5, rel=1e-5)
    assert abs(float(slope)) > 1e-4
    still = net.judge(packed(coord))
    assert torch.equal(still.chain, logits(step).chain)
