"""ProteinMPNN's network: the public format, the formulas, invariance, and orders of decoding."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from scipy.special import erf

from proteinweaver.nets.protein_mpnn import LETTERS, UNUSED, ProteinMPNN
from proteinweaver.structure.ideal import build_backbone


def public_shapes(ca_only: bool, width: int = 128) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a public checkpoint, written down from its format."""

    def linear(name, inputs, outputs, bias=True):
        shapes = {f"{name}.weight": (outputs, inputs)}
        return shapes | ({f"{name}.bias": (outputs,)} if bias else {})

    def norm(name):
        return {f"{name}.weight": (width,), f"{name}.bias": (width,)}

    distances = 16 * 9 + 7 if ca_only else 16 * 25
    out = linear("features.embeddings.linear", 66, 16)
    out |= linear("features.edge_embedding", 16 + distances, width, bias=False)
    out |= norm("features.norm_edges")
    if ca_only:
        out |= linear("features.node_embedding", 3, width, bias=False)
        out |= norm("features.norm_nodes") | linear("W_v", width, width)
    out |= linear("W_e", width, width) | {"W_s.weight": (21, width)}
    out |= linear("W_out", width, 21)
    for kind, inputs in (("encoder", 3), ("decoder", 4)):
        for k in range(3):
            layer = f"{kind}_layers.{k}"
            out |= norm(f"{layer}.norm1") | norm(f"{layer}.norm2")
            out |= linear(f"{layer}.W1", inputs * width, width)
            out |= linear(f"{layer}.W2", width, width) | linear(f"{layer}.W3", width, width)
            out |= linear(f"{layer}.dense.W_in", width, 4 * width)
            out |= linear(f"{layer}.dense.W_out", 4 * width, width)
            if kind == "encoder":
                out |= norm(f"{layer}.norm3") | linear(f"{layer}.W11", 3 * width, width)
                out |= linear(f"{layer}.W12", width, width) | linear(f"{layer}.W13", width, width)
    return out


@pytest.mark.parametrize(("ca_only", "numbers"), [(False, 1_660_485), (True, 1_645_765)])
def test_the_public_format_loads_strictly(ca_only, numbers):
    """The totals belong to the sizes of the public files: 6.68 MB, and 6.62 MB with CA alone."""
    shapes = public_shapes(ca_only)
    assert sum(math.prod(shape) for shape in shapes.values()) == numbers
    state = {name: torch.randn(shape) for name, shape in shapes.items()}
    used = {name: value for name, value in state.items() if not name.startswith(UNUSED)}
    assert len(state) - len(used) == (5 if ca_only else 0)
    ProteinMPNN(48, ca_only).load_state_dict(used, strict=True)


def lively(neighbours=12, ca_only=False, width=16, layers=2, seed=0) -> ProteinMPNN:
    """A small network whose parameters are far from their start."""
    torch.manual_seed(seed)
    net = ProteinMPNN(neighbours, ca_only, width, layers).eval().requires_grad_(False)
    for parameter in net.parameters():
        parameter += 0.15 * torch.randn_like(parameter)
    return net


@pytest.fixture(scope="module")
def chains():
    """Two chains with a gap: coordinates, places, chain numbers, amino acids."""
    rng = np.random.default_rng(3)
    phi, psi = np.where(rng.random(40) < 0.5, -1.1, -2.0), rng.uniform(-1, 2.4, 40)
    one = build_backbone(*(torch.from_numpy(x) for x in (phi, psi, np.full(40, math.pi))))
    coord = torch.cat((one[:26], one[:14] @ torch.eye(3).double()[[1, 2, 0]] + 9.0)).float()
    index = torch.cat((torch.arange(10), torch.arange(15, 31), torch.arange(14)))
    chain = torch.cat((torch.zeros(26), torch.ones(14))).long()
    return coord, index, chain, torch.from_numpy(rng.integers(0, 20, 40))


def naive(net: ProteinMPNN, coord, index, chain, amino, rank) -> np.ndarray:
    """Log-probabilities by the formulas, edge by edge in float64, inputs joined as they stand."""
    p = {name: value.double().numpy() for name, value in net.state_dict().items()}
    x, size = coord.double().numpy(), len(coord)
    ca = x[:, 1]
    b, c = x[:, 1] - x[:, 0], x[:, 2] - x[:, 1]
    beta = ca - 0.58273431 * np.cross(b, c) + 0.56802827 * b - 0.54067466 * c
    atom = dict(zip("NACOB", (*x.transpose(1, 0, 2), beta), strict=True))
    near = np.argsort(np.linalg.norm(ca[:, None] - ca[None], axis=-1), axis=1)
    near = near[:, : net.neighbours]

    def gelu(v):
        return v * (1 + erf(v / math.sqrt(2))) / 2

    def linear(name, v):
        return p[f"{name}.weight"] @ v + p.get(f"{name}.bias", 0.0)

    def norm(name, v):
        return (v - v.mean()) / np.sqrt(v.var() + 1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]

    def message(layer, names, v):
        first, second, third = (f"{layer}.{name}" for name in names)
        return linear(third, gelu(linear(second, gelu(linear(first, v)))))

    def settle(layer, h, messages):
        h = norm(f"{layer}.norm1", h + sum(messages) / 30)
        inner = gelu(linear(f"{layer}.dense.W_in", h))
        return norm(f"{layer}.norm2", h + linear(f"{layer}.dense.W_out", inner))

    pairs = "AA NN CC OO BB AN AC AO AB NC NO NB BC BO OC NA CA OA BA CN ON BN CB OB CO".split()
    edge = {}
    for i in range(size):
        for j in near[i]:
            kind = 65 if chain[i] != chain[j] else np.clip(int(index[i] - index[j]), -32, 32) + 32
            along = linear("features.embeddings.linear", np.eye(66)[kind])
            r = [math.sqrt(((atom[s][i] - atom[t][j]) ** 2).sum() + 1e-6) for s, t in pairs]
            spread = np.exp(-(((np.array(r)[:, None] - np.linspace(2, 22, 16)) / 1.25) ** 2))
            seen = linear("features.edge_embedding", np.concatenate((along, spread.ravel())))
            edge[i, j] = linear("W_e", norm("features.norm_edges", seen))
    h = np.zeros((size, p["W_e.bias"].size))
    for k in range(len(net.encoder_layers)):
        layer = f"encoder_layers.{k}"
        h = np.stack([
            settle(layer, h[i], [
                message(layer, ("W1", "W2", "W3"), np.concatenate((h[i], edge[i, j], h[j])))
                for j in near[i]
            ]) for i in range(size)
        ])  # fmt: skip
        edge = {
            (i, j): norm(
                f"{layer}.norm3",
                e + message(layer, ("W11", "W12", "W13"), np.concatenate((h[i], e, h[j]))),
            )
            for (i, j), e in edge.items()
        }
    encoded, none = h, np.zeros_like(h[0])
    for k in range(len(net.decoder_layers)):
        layer, new = f"decoder_layers.{k}", []
        for i in range(size):
            told = []
            for j in near[i]:
                before = rank[j] < rank[i]
                heard = (p["W_s.weight"][amino[j]], h[j]) if before else (none, encoded[j])
                joined = np.concatenate((h[i], edge[i, j], *heard))
                told.append(message(layer, ("W1", "W2", "W3"), joined))
            new.append(settle(layer, h[i], told))
        h = np.stack(new)
    logits = np.stack([linear("W_out", v) for v in h])
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def log_probabilities(net, chains, rank, amino=None):
    coord, index, chain, own = chains
    encoded = net.encode(coord, index, chain)
    return torch.log_softmax(net.logits(encoded, own if amino is None else amino, rank), -1)


def test_the_formulas_edge_by_edge(chains):
    net = lively(neighbours=9, width=8)
    rank = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    expected = naive(net, *chains, rank)
    assert expected.std() > 0.3
    np.testing.assert_allclose(log_probabilities(net, chains, rank), expected, atol=2e-5)


def moved(chains, turn: bool, mirror: bool = False):
    coord, *rest = chains
    rotation = Rotation.random(random_state=4).as_matrix() if turn else np.eye(3)
    if mirror:
        rotation = rotation @ np.diag([1, 1, -1])
    return (coord @ torch.from_numpy(rotation.T).float() + torch.tensor([8.0, -30, 4]), *rest)


def test_full_backbones_may_be_moved_and_turned_but_not_mirrored(chains):
    net, rank = lively(), torch.arange(40)
    here = log_probabilities(net, chains, rank)
    torch.testing.assert_close(
        log_probabilities(net, moved(chains, True), rank), here, atol=2e-4, rtol=0
    )
    mirrored = log_probabilities(net, moved(chains, True, mirror=True), rank)
    assert (mirrored - here).abs().max() > 0.01


def test_the_ca_only_network_may_be_moved_alone(chains):
    """Its quaternions turn with the backbone: a fact of the public network, kept."""
    net, rank = lively(ca_only=True), torch.arange(40)
    here = log_probabilities(net, chains, rank)
    there = log_probabilities(net, moved(chains, False), rank)
    torch.testing.assert_close(there, here, atol=2e-4, rtol=0)
    assert (log_probabilities(net, moved(chains, True), rank) - here).abs().max() > 1e-3
    coord, *rest = chains
    hidden = coord.clone()
    hidden[:, [0, 2, 3]] = torch.nan
    assert torch.equal(log_probabilities(net, (hidden, *rest), rank), here)


@pytest.mark.parametrize("ca_only", [False, True])
def test_a_residue_hears_those_before_it_and_no_other(chains, ca_only):
    """Changing one amino acid changes only places later in the order, whatever the order is."""
    net = lively(ca_only=ca_only)
    for seed in (0, 1):
        rank = torch.randperm(40, generator=torch.Generator().manual_seed(seed))
        here = log_probabilities(net, chains, rank)
        for place in (3, 17, 33):
            amino = chains[3].clone()
            amino[place] = (amino[place] + 7) % 20
            changed = (log_probabilities(net, chains, rank, amino) != here).any(-1)
            assert not changed[rank <= rank[place]].any()
            assert changed[rank > rank[place]].any()


def test_probabilities_of_all_sequences_sum_to_one():
    """Three residues, 21 letters, 9261 sequences: the chain rule holds in a random order."""
    net = lively(neighbours=3)
    coord = build_backbone(*(torch.tensor(v, dtype=torch.float64) for v in (
        [-1.0, -1.1, -1.2], [-0.8, -0.7, -0.9], [math.pi] * 3)))  # fmt: skip
    encoded = net.encode(coord.float(), torch.arange(3), torch.zeros(3).long())
    rank = torch.tensor([2, 0, 1])
    every = torch.cartesian_prod(*[torch.arange(LETTERS)] * 3)
    first = torch.log_softmax(net.logits(encoded, every[0], rank)[1], -1)
    total = 0.0
    for a in range(LETTERS):
        given = torch.tensor([0, a, 0])
        second = torch.log_softmax(net.logits(encoded, given, rank)[2], -1)
        for b in range(LETTERS):
            third = torch.log_softmax(net.logits(encoded, torch.tensor([0, a, b]), rank)[0], -1)
            total += float((first[a] + second[b] + third).exp().sum())
    assert total == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("ca_only", [False, True])
def test_decoding_place_by_place_is_the_whole_pass(chains, ca_only):
    """Three sequences side by side, each in its own order, equal three passes over all places."""
    net = lively(ca_only=ca_only)
    coord, index, chain, _ = chains
    encoded = net.encode(coord, index, chain)
    generator = torch.Generator().manual_seed(2)
    amino = torch.randint(0, 20, (3, 40), generator=generator)
    orders = torch.stack([torch.randperm(40, generator=generator) for _ in range(3)])
    decoding, rows = net.decoding(encoded, 3), torch.arange(3)
    stepwise = torch.empty(3, 40, LETTERS)
    for places in orders.T:
        stepwise[rows, places] = decoding.logits(places)
        decoding.tell(places, amino[rows, places])
    for k in range(3):
        whole = net.logits(encoded, amino[k], orders[k].argsort())
        torch.testing.assert_close(stepwise[k], whole, atol=2e-5, rtol=0)
