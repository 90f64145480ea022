"""Controls: noise of the stated size, and fragments that are native locally and nowhere else."""

import numpy as np
import pytest

from proteinweaver.data.store import StructureStore
from proteinweaver.evaluation.baselines import add_noise, add_smooth_noise, glued_fragments
from proteinweaver.evaluation.geometry import chain_metrics
from proteinweaver.evaluation.torsions import backbone_torsions


def test_noise_has_the_stated_size(coil):
    rng = np.random.default_rng(0)
    shift = np.stack([add_noise(coil, 0.5, rng) - coil for _ in range(100)])
    assert shift.std() == pytest.approx(0.5, rel=0.03)


def test_smooth_noise_moves_far_but_neighbours_together(coil):
    rng = np.random.default_rng(0)
    shift = np.stack([add_smooth_noise(coil, 2.0, rng) - coil for _ in range(300)])
    assert np.sqrt((shift**2).sum(-1).mean()) == pytest.approx(2.0, rel=0.05)
    step = np.diff(shift[:, :, 1], axis=1)
    # a field with kernel width s changes by 2 / (s sqrt 2) per residue
    assert np.sqrt((step**2).sum(-1).mean()) == pytest.approx(2.0 / (6.0 * np.sqrt(2)), rel=0.05)
    np.testing.assert_allclose(shift[:, :, 0], shift[:, :, 3])  # residues move whole


def test_fragments_are_cut_from_the_pool(coil):
    chains = glued_fragments([coil], 45, 3, np.random.default_rng(0))
    assert chains.shape == (3, 45, 4, 3)
    phi, psi, _ = backbone_torsions(coil)
    for chain in chains:
        found_phi, found_psi, _ = backbone_torsions(chain)
        for start in range(0, 45, 9):
            first = int(np.nanargmin(np.abs(phi - found_phi[start + 1])))
            native = slice(first, first + 7)
            np.testing.assert_allclose(found_phi[start + 1 : start + 8], phi[native], atol=1e-3)
            np.testing.assert_allclose(found_psi[start + 1 : start + 8], psi[native], atol=1e-3)


def test_an_empty_pool_is_refused(coil):
    with pytest.raises(ValueError, match="11 residues"):
        glued_fragments([coil[:8]], 30, 1, np.random.default_rng(0))


@pytest.mark.realdata
def test_fragments_pass_locally_and_fail_globally(data_dir):
    """Known figures: caOK .996, cnOK 1.0, clash 5.8, ramaF .93, rg 1.94, hbLR .02."""
    store = StructureStore(data_dir / "domains.npz")
    pool = [store.item(int(k)).coord for k in store.members("valid")[:80]]
    chains = glued_fragments(pool, 120, 24, np.random.default_rng(0))
    rows = [chain_metrics(chain) for chain in chains]
    assert np.mean([row.ca_ok for row in rows]) > 0.98
    assert np.mean([row.cn_ok for row in rows]) == 1.0
    assert np.mean([row.rama_ok for row in rows]) > 0.85
    assert np.mean([row.rg_ratio for row in rows]) > 1.5
    assert np.mean([row.hb_long for row in rows]) < 0.05
    assert np.mean([row.clash_30 for row in rows]) > 1.0
