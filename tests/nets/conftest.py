"""Networks far from their quiet start, and conditions with pieces, in float64."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from proteinweaver.nets.condition import Condition, unconditional
from proteinweaver.nets.denoiser import Denoiser, DenoiserConfig, Frames, NoiseLevel, centred


@pytest.fixture(scope="session")
def net() -> Denoiser:
    """A small network with large random parameters: moves every frame by several angstrom."""
    torch.manual_seed(7)
    config = DenoiserConfig(width=24, edge_width=16, heads=4, blocks=3, n_outside=5, n_inside=2)
    made = Denoiser(config).double().eval()
    with torch.no_grad():
        for parameter in made.parameters():
            spread = parameter.shape[-1] ** -0.5 if parameter.ndim > 1 else 0.2
            parameter.normal_(0.0, spread)
        for block in made.blocks:
            block.update.weight.mul_(0.5)
    return made


def random_rotations(*shape: int) -> torch.Tensor:
    """Uniform rotations by QR of Gaussian matrices (independent of our own code)."""
    q, r = torch.linalg.qr(torch.randn(*shape, 3, 3, dtype=torch.float64))
    q = q * torch.diagonal(r, dim1=-2, dim2=-1).sign()[..., None, :]
    return q * torch.det(q)[..., None, None]


@pytest.fixture
def make_case() -> Callable[..., tuple[Frames, NoiseLevel, Condition]]:
    """Noisy frames of a batch with two pieces and a linker each, as float64."""

    def make(
        batch: int = 2, length: int = 30, seed: int = 0
    ) -> tuple[Frames, NoiseLevel, Condition]:
        torch.manual_seed(seed)
        blank = unconditional(length)
        condition = Condition(
            **{
                name: value.expand(batch, *value.shape[1:]).clone()
                for name, value in vars(blank).items()
            }
        )
        piece = condition.piece.clone()
        piece[:, : length // 3] = 0
        piece[:, length // 2 :] = 1
        known_rot = torch.eye(3, dtype=torch.float64).expand(batch, length, 3, 3).clone()
        known_rot[piece >= 0] = random_rotations(int((piece >= 0).sum()))
        known_trans = (
            6 * torch.randn(batch, length, 3, dtype=torch.float64) * (piece >= 0)[..., None]
        )
        mode = torch.zeros_like(piece)
        mode[:, length // 2 :] = 1
        condition = replace(
            condition,
            piece=piece,
            known_rot=known_rot,
            known_trans=known_trans,
            mode=mode,
            ss=torch.randint(0, 4, (batch, length)),
        )
        trans = centred(8 * torch.randn(batch, length, 3, dtype=torch.float64), condition.mask)
        sigma = torch.linspace(0.3, 0.8, batch, dtype=torch.float64)
        level = NoiseLevel((1 - sigma**2).sqrt(), sigma, 1.2 * sigma)
        return (random_rotations(batch, length), trans), level, condition

    return make
