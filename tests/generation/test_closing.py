"""Rigid bodies with loose ends: bonds close, bodies stay, ends stay near their body."""

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from proteinweaver.diffusion.wishes import Bound
from proteinweaver.evaluation.superposition import rmsd
from proteinweaver.generation.closing import close_chain, linker_bonds
from proteinweaver.structure.closure import close_backbone, loose_ends
from proteinweaver.structure.ideal import build_backbone, ideal_element

SIZES = (24, 6, 24)


def broken_chain(gap: float) -> tuple[np.ndarray, np.ndarray]:
    """Two helices and a loop, the second helix ``gap`` angstrom farther away."""
    helix, loop = ideal_element("H", SIZES[0]).numpy(), SIZES[1]
    whole = sum(SIZES)
    phi = torch.full((whole,), np.radians(-63.0))
    psi = torch.full((whole,), np.radians(-42.0))
    middle = slice(SIZES[0], SIZES[0] + loop)
    phi[middle], psi[middle] = np.radians(-75.0), np.radians(145.0)
    coord = build_backbone(phi, psi).numpy().astype(np.float32)
    away = coord[SIZES[0] + loop :, 1].mean(0) - coord[: SIZES[0], 1].mean(0)
    coord[SIZES[0] + loop :] += gap * away / np.linalg.norm(away)
    domain = np.repeat([1, 0, 2], SIZES)
    assert rmsd(coord[: SIZES[0], 1], helix[:, 1]) < 0.3
    return coord, domain


def body_of(domain: np.ndarray) -> np.ndarray:
    return np.where(domain > 0, domain - 1, -1)


def test_loose_ends_lie_beside_junctions():
    body = np.array([0] * 5 + [-1] * 3 + [1] * 5)
    assert np.flatnonzero(loose_ends(body, 2)).tolist() == [3, 4, 8, 9]
    assert np.flatnonzero(loose_ends(np.array([0] * 4 + [1] * 4), 1)).tolist() == [3, 4]
    assert not loose_ends(np.zeros(6, int), 2).any()


def test_an_open_linker_closes_and_domains_stay():
    coord, domain = broken_chain(2.0)
    body, bonded = body_of(domain), np.ones(len(domain), bool)
    before, _ = linker_bonds(coord, domain)
    assert np.abs(before - 1.329).max() > 0.8
    closed = close_chain(torch.as_tensor(coord), body, bonded, domain).numpy()
    c_n, ca_ca = linker_bonds(closed, domain)
    assert np.abs(c_n - 1.329).max() < 0.1
    assert ((ca_ca > 3.6) & (ca_ca < 4.0)).all()
    for part in (1, 2):
        rows = domain == part
        assert rmsd(closed[rows, 1], coord[rows, 1]) < 0.5
        core = rows & ~loose_ends(body, 3)
        assert rmsd(closed[core].reshape(-1, 3), coord[core].reshape(-1, 3)) < 1e-3


def test_a_wish_holds_while_closing():
    """The pull of a stretched linker is not allowed to bring two ends closer than asked."""
    coord, domain = broken_chain(5.0)
    body, bonded = body_of(domain), np.ones(len(domain), bool)
    a, b = torch.arange(20), torch.arange(34, 54)
    start = np.linalg.norm(coord[:20, None, 1] - coord[None, 34:, 1], axis=-1).min()
    limit = float(start) - 0.2

    def gap(wishes: tuple[Bound, ...]) -> float:
        out = close_chain(torch.as_tensor(coord), body, bonded, domain, wishes).numpy()
        return float(np.linalg.norm(out[:20, None, 1] - out[None, 34:, 1], axis=-1).min())

    free, held = gap(()), gap((Bound(a, b, lower=limit),))
    assert free < limit - 0.5
    assert held > limit - 0.3


def test_without_loose_ends_a_body_is_exact():
    coord, domain = broken_chain(1.0)
    closed = close_backbone(torch.as_tensor(coord), None, torch.as_tensor(body_of(domain))).coord
    rows = domain == 2
    assert rmsd(closed.numpy()[rows].reshape(-1, 3), coord[rows].reshape(-1, 3)) < 1e-3


def test_rigid_domains_stay_in_contact_while_a_linker_closes():
    """Two helices side by side, joined by a linker that would rather be longer."""
    helix = ideal_element("H", 24).numpy().astype(np.float32)
    centre = helix[:, 1].mean(0)
    axis = helix[-4:, 1].mean(0) - helix[:4, 1].mean(0)
    aside = np.cross(axis, [0.0, 0.0, 1.0])
    aside /= np.linalg.norm(aside)
    turn = Rotation.from_rotvec(np.pi * aside).as_matrix()
    back = ((helix - centre) @ turn.T + centre + 9.5 * aside).astype(np.float32)
    ends = helix[-1], back[0]
    steps = np.linspace(0, 1, 12, dtype=np.float32)[1:-1, None, None]
    linker = ends[0] + steps * (ends[1] - ends[0])
    coord = np.concatenate((helix, linker, back))
    domain = np.repeat([1, 0, 2], (24, 10, 24))
    body, bonded = body_of(domain), np.ones(len(domain), bool)

    def contacts(xyz: np.ndarray) -> int:
        gap = np.linalg.norm(xyz[:24, None, 1] - xyz[None, 34:, 1], axis=-1)
        return int((gap < 8.0).sum())

    closed = close_chain(torch.as_tensor(coord), body, bonded, domain).numpy()
    assert contacts(coord) > 10
    assert contacts(closed) >= 0.7 * contacts(coord)
    assert np.abs(linker_bonds(closed, domain)[0] - 1.329).max() < 0.1
