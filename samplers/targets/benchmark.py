"""The problems that samplers are compared on: the same modes, weights and starts every time.

`mixture` is an eight-mode Gaussian mixture in any dimension, `rotations` an eight-mode IGSO(3)
mixture, `frames` two arrangements of rigid frames that must be told apart by translations and
rotations together. `starts` and `rotation_starts` are the shared initial noises.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from samplers.targets.frames import FrameMixture
from samplers.targets.mixture import GaussianMixture
from samplers.targets.rotation import IGSO3Mixture

__all__ = ["frames", "mixture", "rotation_starts", "rotations", "starts"]

_MODES = 8


def _weights() -> Tensor:
    weights = np.linspace(1, 2, _MODES)
    return torch.from_numpy(weights / weights.sum())


def mixture(dim: int) -> GaussianMixture:
    """Eight isotropic modes, standard deviations 0.15 to 0.35, spread about 1 a coordinate."""
    means = 0.95 * np.random.default_rng([0, dim, _MODES]).standard_normal((_MODES, dim))
    stds = torch.from_numpy(np.linspace(0.15, 0.35, _MODES))
    return GaussianMixture(_weights(), torch.from_numpy(means), stds)


def starts(dim: int, count: int = 256) -> Tensor:
    """Draw the initial noises z, shape (count, dim); runs start at x = alpha sqrt(1 + rho^2) z."""
    return torch.from_numpy(np.random.default_rng(1234).standard_normal((count, dim)))


def rotations() -> IGSO3Mixture:
    """Eight modes of heat-kernel variance 0.02."""
    centres = torch.from_numpy(Rotation.random(_MODES, random_state=1).as_matrix())
    return IGSO3Mixture(_weights(), centres, torch.full((_MODES,), 0.02, dtype=torch.float64))


def rotation_starts(count: int = 128) -> Tensor:
    """Uniform rotations, shape (count, 3, 3)."""
    return torch.from_numpy(Rotation.random(count, random_state=7).as_matrix())


def frames(length: int = 2, modes: int = 4) -> FrameMixture:
    """``modes`` arrangements of ``length`` frames, spread about 1 in translation."""
    rng = np.random.default_rng([0, length, modes])
    centres = Rotation.random(modes * length, random_state=1).as_matrix()
    weights = np.linspace(1, 2, modes)
    return FrameMixture(
        torch.from_numpy(weights / weights.sum()),
        torch.from_numpy(0.95 * rng.standard_normal((modes, length, 3))),
        torch.from_numpy(np.linspace(0.15, 0.35, modes)),
        torch.from_numpy(centres.reshape(modes, length, 3, 3)),
        torch.full((modes,), 0.02, dtype=torch.float64),
    )
