"""Known insides under a gradient of rigid motions; steering as `assemble` does it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from proteinweaver.generation.assembly_stage import AssemblyRequest, Inside
from proteinweaver.generation.condition import Piece, condition_for, stack_conditions
from proteinweaver.nets.condition import Condition
from proteinweaver.nets.denoiser import Denoised
from proteinweaver.preference.poses import closed, held, on_known_insides, steering
from proteinweaver.structure.frames import coord_from_frames, frames_from_coord, psi_from_coord
from proteinweaver.structure.ideal import build_backbone
from samplers.noise import NoiseKey


def domain(length: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    phi, psi = -1.2 + 0.6 * rng.standard_normal((2, length))
    return build_backbone(torch.from_numpy(phi), torch.from_numpy(psi + 1.0)).float().numpy()


@pytest.fixture(scope="module")
def requests() -> list[AssemblyRequest]:
    def asked(*lengths: int) -> AssemblyRequest:
        insides, start = [], 0
        for k, length in enumerate(lengths):
            insides.append(Inside(start, domain(length, k), "adapt"))
            start += length + 9
        return AssemblyRequest(start - 9, tuple(insides), NoiseKey(0, "x", 0, "assembly"))

    return [asked(60, 45), asked(30, 40, 20)]


@pytest.fixture(scope="module")
def condition(requests):
    return stack_conditions([request.condition() for request in requests])


def estimate(condition, noise: float) -> Denoised:
    """Pieces in random poses, with noise; linkers anywhere."""
    generator = torch.Generator().manual_seed(4)
    shape = condition.mask.shape
    trans = 10.0 * torch.randn(*shape, 3, generator=generator)
    rot, _ = frames_from_coord(torch.randn(*shape, 3, 3, generator=generator))
    for row, number in ((0, 0), (0, 1), (1, 0), (1, 1), (1, 2)):
        own = condition.piece[row] == number
        turn, _ = frames_from_coord(torch.randn(3, 3, generator=generator))
        trans[row, own] = condition.known_trans[row, own] @ turn.T + 20.0 * number
        rot[row, own] = turn @ condition.known_rot[row, own]
    trans = trans + noise * torch.randn(*shape, 3, generator=generator)
    psi = torch.nn.functional.normalize(torch.randn(*shape, 2, generator=generator), dim=-1)
    return Denoised(rot, trans, psi, trans, ())


def test_insides_are_as_known_and_linkers_as_estimated(condition):
    noisy = estimate(condition, 0.5)
    out, drift = on_known_insides(noisy, condition)
    for row, length in enumerate(condition.lengths):
        square = 0.0
        for number in range(int(condition.piece[row].max()) + 1):
            own = condition.piece[row] == number
            known = condition.known_trans[row, own]
            placed = out.trans[row, own].double()
            torch.testing.assert_close(
                torch.cdist(placed, placed), torch.cdist(known.double(), known.double()),
                atol=1e-3, rtol=0,
            )  # fmt: skip
            square += float((out.trans - noisy.trans)[row, own].square().sum())
        has = condition.piece[row, :length] >= 0
        assert float(drift[row]) == pytest.approx(square / int(has.sum()), rel=1e-5)
        assert 0.4 < float(drift[row]) < 0.9  # three times 0.5^2, less what a fit takes
        linker = ~has
        assert torch.equal(out.trans[row, :length][linker], noisy.trans[row, :length][linker])
    assert float(on_known_insides(estimate(condition, 0.0), condition)[1].max()) < 1e-6


def test_carbonyls_are_those_of_the_domain(requests, condition):
    """O follows from where the next N lies; the last of a piece, and linkers, are told."""
    noisy = estimate(condition, 0.5)
    psi = noisy.psi.clone().requires_grad_()
    out, _ = on_known_insides(replace(noisy, psi=psi), condition)
    for row, request in enumerate(requests):
        for inside in request.insides:
            own = slice(inside.start, inside.stop - 1)
            known = psi_from_coord(torch.from_numpy(inside.coord))[:-1]
            assert float((out.psi[row, own] - known).norm(dim=-1).max()) < 0.1
    gradient = torch.autograd.grad(out.psi.sum(), psi)[0]
    assert torch.equal(gradient.abs().amax(-1) > 0, condition.piece < 0)


def test_only_rigid_motions_have_a_gradient(condition):
    clean = estimate(condition, 0.0)
    trans = clean.trans.clone().requires_grad_()
    out, _ = on_known_insides(replace(clean, trans=trans), condition)
    generator = torch.Generator().manual_seed(5)
    row, own = 1, condition.piece[1] == 1
    at = clean.trans[row, own] - clean.trans[row, own].mean(0)
    slope, slope_rot = (
        torch.randn(len(at), *shape, generator=generator) for shape in ((3,), (3, 3))
    )
    value = (out.trans[row, own] * slope).sum() + (out.rot[row, own] * slope_rot).sum()
    gradient = torch.autograd.grad(value, trans)[0]
    assert float(gradient[0].abs().max()) == 0.0
    assert float(gradient[row, ~own].abs().max()) == 0.0
    shift, turn = torch.randn(2, 3, generator=generator)
    step = shift + torch.linalg.cross(turn.expand_as(at), at)
    angle = torch.zeros(3, 3)
    angle[[2, 0, 1], [1, 2, 0]], angle[[1, 2, 0], [2, 0, 1]] = turn, -turn
    expected = (step * slope).sum() + (angle @ clean.rot[row, own] * slope_rot).sum()
    found = (gradient[row, own] * step).sum()
    assert float(found) == pytest.approx(float(expected), rel=1e-4)
    bend = torch.randn(len(at), 3, generator=generator)
    bend = bend - bend.mean(0)
    basis = torch.stack([torch.linalg.cross(e.expand_as(at), at) for e in torch.eye(3)])
    q, _ = torch.linalg.qr(basis.flatten(1).T)
    bend = bend - (q @ (q.T @ bend.flatten())).view_as(bend)
    assert abs(float((gradient[row, own] * bend).sum())) < 1e-3 * abs(float(expected))


def test_what_assemble_does_not_draw_is_not_drawn(condition):
    """Pieces of a few residues, and the neighbours of a domain whose inside is not known."""
    one = replace(condition, piece=condition.piece[1:].clone())
    one.piece[one.piece == 1] = -1
    one.piece[one.piece == 2] = 1
    assert steering(one)[0].interfaces == ()
    few = replace(condition, piece=condition.piece[:1].clone())
    few.piece[0, 74:] = -1
    assert int((few.piece == 1).sum()) == 5
    assert steering(few)[0].interfaces == () and len(steering(few)[0].bounds) == 1


def test_steering_is_that_of_assemble(requests, condition):
    for request, found in zip(requests, steering(condition), strict=True):
        told = request.wishes(request.condition())
        assert len(found.bounds) == len(told.bounds) == len(request.insides) - 1
        assert found.rounds == told.rounds
        for one, other in zip(found.bounds, told.bounds, strict=True):
            assert (one.a, one.b, one.lower, one.upper) == (
                other.a, other.b, other.lower, other.upper,
            )  # fmt: skip
        assert len(found.interfaces) == len(told.interfaces) == len(request.insides) - 1
        for one, other in zip(found.interfaces, told.interfaces, strict=True):
            assert torch.equal(one.a, other.a) and torch.equal(one.b, other.b)
            assert one.contacts == other.contacts


def test_held_domains_are_one_body_in_the_poses_of_a_design(condition):
    noisy = estimate(condition, 0.0)
    design = coord_from_frames(noisy.rot, noisy.trans, noisy.psi)
    told = held(condition, design)
    has = condition.piece >= 0
    assert torch.equal(told.piece >= 0, has) and int(told.piece.max()) == 0
    assert torch.equal(told.ss, condition.ss) and torch.equal(told.index, condition.index)
    torch.testing.assert_close(told.known_trans[has], design[..., 1, :][has])
    torch.testing.assert_close(told.known_rot[has], noisy.rot[has], atol=1e-4, rtol=0)
    assert torch.equal(told.known_trans[~has], condition.known_trans[~has])
    # the body keeps what is between domains: a design moved as a whole is laid back exactly
    turn, _ = frames_from_coord(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)))
    moved = replace(noisy, rot=turn @ noisy.rot, trans=noisy.trans @ turn.T + 5.0)
    out, drift = on_known_insides(moved, told)
    torch.testing.assert_close(out.trans[has], moved.trans[has], atol=1e-3, rtol=0)
    assert float(drift.max()) < 1e-4


@pytest.fixture(scope="module")
def frayed() -> tuple[torch.Tensor, Condition]:
    """Chains of two domains whose linkers' atoms were shaken; the second is padded."""
    generator = torch.Generator().manual_seed(2)
    rows, conditions = [], []
    for first, second in ((30, 25), (20, 18)):
        chain = torch.from_numpy(domain(first + 8 + second, first))
        pieces = [
            Piece(0, chain[:first].numpy(), "adapt"),
            Piece(first + 8, chain[first + 8 :].numpy(), "adapt"),
        ]
        chain[first : first + 8] += 0.3 * torch.randn(8, 4, 3, generator=generator)
        rows.append(torch.cat((chain, chain[:1].expand(63 - len(chain), -1, -1))))
        conditions.append(condition_for(first + 8 + second, pieces))
    return torch.stack(rows), stack_conditions(conditions)


def test_linkers_are_closed_and_bodies_stay(frayed):
    coord, condition = frayed
    told = held(condition, coord)
    found = closed(coord, told)
    for row, (length, first) in enumerate(zip(condition.lengths, (30, 20), strict=True)):
        bond = (found[row, 1:length, 0] - found[row, : length - 1, 2]).norm(dim=-1)
        before = (coord[row, 1:length, 0] - coord[row, : length - 1, 2]).norm(dim=-1)
        assert float((bond - 1.329).abs().max()) < 0.05 < 0.2 < float((before - 1.329).abs().max())
        inner = torch.cat((torch.arange(first - 2), torch.arange(first + 10, length)))
        atoms, old = (x[row, inner, :3].reshape(-1, 3).double() for x in (found, coord))
        torch.testing.assert_close(
            torch.cdist(atoms, atoms), torch.cdist(old, old), atol=2e-3, rtol=0
        )
        assert torch.equal(found[row, length:], coord[row, length:])


@pytest.mark.parametrize("alone", [True, False])
def test_what_closing_passes_of_a_gradient(frayed, alone):
    """Linkers: forces on residues, averaged along the chain. A body alone: nothing."""
    coord, condition = frayed
    told = held(condition, coord) if alone else condition
    free = (condition.piece < 0) & condition.mask
    start = coord.clone().requires_grad_()
    slope = torch.randn(coord.shape, generator=torch.Generator().manual_seed(3))
    (found,) = torch.autograd.grad((closed(start, told) * slope).sum(), start)
    bodies = found[~free & condition.mask]
    assert torch.equal(
        bodies, torch.zeros_like(bodies) if alone else slope[~free & condition.mask]
    )
    force = (slope.sum(2) * free[..., None]).double().numpy()
    expected = gaussian_filter1d(force, 2.0, axis=1, mode="constant", truncate=2.0) / 4
    torch.testing.assert_close(
        found[free].double(),
        torch.from_numpy(expected)[free][:, None].expand(-1, 4, -1),
        atol=1e-5, rtol=1e-4,
    )  # fmt: skip
