"""The smooth Ramachandran density: shape, periodicity, slopes, and the published grid."""

import math

import numpy as np
import pytest
import torch

from proteinweaver.structure.rama import rama_log_density, rama_slopes

CONTOUR = math.log(0.02)


def density(phi_deg: float, psi_deg: float) -> float:
    angles = torch.tensor([phi_deg, psi_deg], dtype=torch.float64) * math.pi / 180
    return float(rama_log_density(angles[:1], angles[1:])[0])


@pytest.mark.parametrize(
    ("phi", "psi", "allowed"),
    [
        (-63, -43, True),  # helix
        (-118, 134, True),  # strand
        (-70, 145, True),  # polyproline
        (57, 45, True),  # left-handed helix
        (60, -120, False),
        (0, 0, False),
        (120, 60, False),
        (-120, -120, False),
    ],
)
def test_known_regions(phi: float, psi: float, allowed: bool) -> None:
    assert (density(phi, psi) > CONTOUR) == allowed


def test_periodic_and_unaffected_by_turns() -> None:
    angles = torch.linspace(-9, 9, 50, dtype=torch.float64)
    here = rama_log_density(angles, angles.flip(0))
    there = rama_log_density(angles + 2 * math.pi, angles.flip(0) - 4 * math.pi)
    torch.testing.assert_close(here, there)


def test_slope_is_the_derivative_and_does_not_jump_at_nodes() -> None:
    """Autograd against central differences, on the nodes (every 5 degrees) and between."""
    phi = torch.deg2rad(torch.tensor([-180.0, -65.0, -63.1, 40.0, 177.5], dtype=torch.float64))
    psi = torch.deg2rad(torch.tensor([0.0, -40.0, 133.3, -180.0, 2.5], dtype=torch.float64))
    phi.requires_grad_(True)
    (slope,) = torch.autograd.grad(rama_log_density(phi, psi).sum(), phi)
    step = 1e-5
    with torch.no_grad():
        right = (rama_log_density(phi + step, psi) - rama_log_density(phi, psi)) / step
        left = (rama_log_density(phi, psi) - rama_log_density(phi - step, psi)) / step
    torch.testing.assert_close(slope, right, rtol=0, atol=2e-3)
    torch.testing.assert_close(slope, left, rtol=0, atol=2e-3)


def test_slopes_without_autograd_are_the_same() -> None:
    angles = torch.linspace(-9, 9, 50, dtype=torch.float64)
    phi, psi = angles.requires_grad_(True), angles.detach().flip(0).requires_grad_(True)
    value = rama_log_density(phi, psi)
    expected = (value, *torch.autograd.grad(value.sum(), (phi, psi)))
    found = rama_slopes(phi.detach().numpy(), psi.detach().numpy())
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=0, atol=1e-9)


def test_forbidden_regions_slope_to_allowed_ones() -> None:
    """Following the slope from anywhere ends in an allowed region."""
    axis = torch.deg2rad(torch.arange(-180.0, 180.0, 30.0))
    phi, psi = (grid.reshape(-1).clone() for grid in torch.meshgrid(axis, axis, indexing="ij"))
    for _ in range(400):
        phi.requires_grad_(True)
        psi.requires_grad_(True)
        slopes = torch.autograd.grad(rama_log_density(phi, psi).sum(), (phi, psi))
        size = torch.stack(slopes).norm(dim=0).clamp_min(1e-3)
        phi = (phi + 0.02 * slopes[0] / size).detach()
        psi = (psi + 0.02 * slopes[1] / size).detach()
    assert float((rama_log_density(phi, psi) > CONTOUR).float().mean()) > 0.95


@pytest.mark.realdata
def test_the_contour_of_the_published_grid_is_kept(data_dir) -> None:
    """Allowed or not agrees with the Top8000 grid for nearly all of its density and its area."""
    rows = np.loadtxt(data_dir / "rama8000_general.data")
    angles = torch.deg2rad(torch.as_tensor(rows[:, :2]))
    ours = rama_log_density(angles[:, 0], angles[:, 1]).numpy() > CONTOUR
    theirs = rows[:, 2] >= 0.02
    assert np.average(ours == theirs, weights=rows[:, 2]) > 0.99
    assert np.mean(ours == theirs) > 0.95
