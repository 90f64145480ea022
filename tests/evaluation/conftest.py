"""Small structures with known answers."""

import math

import numpy as np
import pytest
import torch

from proteinweaver.structure.ideal import build_backbone, ideal_element


@pytest.fixture(scope="session")
def helix() -> np.ndarray:
    """An ideal right-handed helix of 40 residues."""
    return ideal_element("H", 40).numpy()


@pytest.fixture(scope="session")
def coil() -> np.ndarray:
    """A random but plausible chain of 60 residues, helix, turns and strands mixed."""
    rng = np.random.default_rng(7)
    phi = np.where(rng.random(60) < 0.6, -1.1, -2.1) + 0.15 * rng.standard_normal(60)
    psi = np.where(phi > -1.6, -0.75, 2.3) + 0.15 * rng.standard_normal(60)
    omega = math.pi + 0.05 * rng.standard_normal(60)
    return build_backbone(*(torch.from_numpy(x) for x in (phi, psi, omega))).numpy()
