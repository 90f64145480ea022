"""Guidance moves whole pieces apart, and nothing else."""

import torch

from proteinweaver.diffusion.guidance import separate_pieces


def _two_balls(distance: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    ball = 6.0 * torch.randn(40, 3, generator=generator)
    other = 6.0 * torch.randn(40, 3, generator=generator) + torch.tensor([distance, 0.0, 0.0])
    linker = torch.zeros(5, 3)
    piece = torch.tensor([0] * 40 + [-1] * 5 + [1] * 40)
    return torch.cat((ball, linker, other))[None], piece[None]


def _overlaps(trans: torch.Tensor) -> int:
    return int((torch.cdist(trans[:, :40], trans[:, 45:]) < 4.0).sum())


def test_overlapping_pieces_move_apart_as_bodies():
    trans, piece = _two_balls(4.0)
    moved = separate_pieces(trans, piece, 1.0, rounds=20)
    assert _overlaps(moved) < 0.5 * _overlaps(trans)
    for part in (slice(0, 40), slice(45, 85)):
        shift = moved[0, part] - trans[0, part]
        torch.testing.assert_close(shift, shift[:1].expand_as(shift), atol=1e-4, rtol=0)
    assert torch.equal(moved[0, 40:45], trans[0, 40:45])


def test_distant_pieces_single_pieces_and_no_share_stay():
    trans, piece = _two_balls(80.0)
    torch.testing.assert_close(separate_pieces(trans, piece, 1.0), trans, atol=1e-5, rtol=0)
    near, _ = _two_balls(4.0)
    assert torch.equal(separate_pieces(near, torch.zeros_like(piece), 1.0), near)
    assert torch.equal(separate_pieces(near, piece, 0.0), near)


def test_guidance_turns_with_the_chain():
    trans, piece = _two_balls(6.0)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)))[0]
    torch.testing.assert_close(
        separate_pieces(trans @ turn, piece, 0.7),
        separate_pieces(trans, piece, 0.7) @ turn,
        atol=1e-3,
        rtol=0,
    )
