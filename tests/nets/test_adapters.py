"""Low-rank adapters: nothing at first, an update of the rank told, merged into plain weights."""

import copy

import pytest
import torch
from torch import Tensor

from proteinweaver.nets.adapters import add_adapters, merged_state
from proteinweaver.nets.denoiser import Denoiser

LAYERS = ("edge", "out", "transition", "update")


def outputs(net: Denoiser, make_case) -> Tensor:
    (rot, trans), level, condition = make_case(batch=1)
    out = net(rot, trans, level, condition)
    return torch.cat([v.flatten() for v in (out.rot, out.trans, out.psi)])


def adapted(base: Denoiser, rank: int = 2) -> tuple[Denoiser, tuple[str, ...]]:
    net = copy.deepcopy(base)
    names = add_adapters(net, LAYERS, rank, 4.0, torch.Generator().manual_seed(2))
    return net, names


def test_an_adapter_says_nothing_at_first_and_what_its_product_says_later(net, make_case):
    base, (net, names) = net, adapted(net)
    assert len(names) == len(base.blocks) * 5  # a transition has two linear layers
    torch.testing.assert_close(outputs(net, make_case), outputs(base, make_case), rtol=0, atol=0)
    assert merged_state(net.state_dict()).keys() == base.state_dict().keys()
    generator = torch.Generator().manual_seed(3)
    for module in net.modules():
        if hasattr(module, "up"):
            module.up.data.normal_(generator=generator)
    plain = Denoiser(base.config).double()
    plain.load_state_dict(merged_state(net.state_dict()))
    torch.testing.assert_close(
        outputs(net, make_case), outputs(plain, make_case), rtol=0, atol=1e-6
    )
    assert float((outputs(net, make_case) - outputs(base, make_case)).detach().abs().max()) > 1e-2
    start, end = base.state_dict(), plain.state_dict()
    for name in start:
        rank = int(
            torch.linalg.matrix_rank((end[name] - start[name]).reshape(len(start[name]), -1))
        )
        assert rank == (2 if name.removesuffix(".weight") in names else 0), name
    # the formula itself, on one layer: W0 + (alpha / r) B A
    own = net.blocks[1].out.parametrizations.weight[0]
    expected = start["blocks.1.out.weight"] + (4.0 / 2) * (own.up @ own.down).detach()
    torch.testing.assert_close(end["blocks.1.out.weight"], expected)


def test_only_adapters_learn(net, make_case):
    net, names = adapted(net)
    outputs(net, make_case).square().sum().backward()
    learning = {name for name, p in net.named_parameters() if p.requires_grad}
    expected = {f"{n}.parametrizations.weight.0.{part}" for n in names for part in ("up", "down")}
    assert learning == expected
    last = f"blocks.{len(net.blocks) - 1}.update"
    for name, parameter in net.named_parameters():
        if name not in learning or (".update." in name and not name.startswith(last)):
            # frames carry no gradient from block to block, so an earlier update has none
            assert parameter.grad is None, name
        elif name.endswith("up"):  # at B = 0 the gradient of A is zero, that of B is not
            assert float(parameter.grad.abs().max()) > 0, name


def test_plain_weights_stay_and_wrong_names_are_told(net):
    assert merged_state(net.state_dict()).keys() == net.state_dict().keys()
    generator = torch.Generator()
    with pytest.raises(ValueError, match=r"'outt'.*known: .*'out'"):
        add_adapters(net, ("outt",), 2, 1.0, generator)
    with pytest.raises(ValueError, match="rank 0"):
        add_adapters(net, LAYERS, 0, 1.0, generator)
    assert all(p.requires_grad for p in net.parameters())
