"""The columns against brute force, ideal structures, and figures known for published designs."""

import importlib.util
from dataclasses import asdict

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist
from scipy.spatial.transform import Rotation

from proteinweaver.data.store import StructureStore
from proteinweaver.evaluation.baselines import add_noise
from proteinweaver.evaluation.geometry import chain_metrics, radius_of_gyration_ratio
from proteinweaver.evaluation.metrics import metrics_of
from proteinweaver.structure.backbone import Backbone


def test_ideal_helix(helix):
    found = chain_metrics(helix)
    assert (found.length, found.chain_breaks) == (40, 0)
    assert (found.ca_ok, found.cn_ok, found.rama_ok, found.phi_negative) == (1, 1, 1, 1)
    assert (found.clash_30, found.clash_36) == (0, 0)
    assert found.helix > 0.9
    assert found.helix_right == 1
    assert found.hb == pytest.approx(36 / 40)
    assert found.hb_long == 0


def test_mirror_image_is_noticed(helix):
    found = chain_metrics(helix * np.float32([1, 1, -1]))
    assert found.helix_right == 0
    assert found.phi_negative == 0
    assert (
        found.rama_ok < 0.2 or found.rama_ok == 1
    )  # left-handed helices are a rare allowed region
    assert found.ca_ok == 1  # distances cannot tell


def test_counts_agree_with_brute_force(coil):
    noisy = add_noise(coil, 1.2, np.random.default_rng(0))
    noisy = noisy - 0.45 * (noisy - noisy.mean((0, 1)))  # crowded
    found = chain_metrics(noisy)
    ca, length = noisy[:, 1], len(noisy)
    apart = np.abs(np.subtract.outer(np.arange(length), np.arange(length)))
    distance = cdist(ca, ca)
    assert found.clash_30 == pytest.approx(
        ((distance < 3.0) & (apart >= 2)).sum() / 2 * 100 / length
    )
    assert found.clash_36 == pytest.approx(
        ((distance < 3.6) & (apart >= 2)).sum() / 2 * 100 / length
    )
    assert found.clash_30 > 0
    assert found.contacts_long == pytest.approx(
        ((distance < 8) & (apart >= 12)).sum() / 2 / length
    )
    assert found.min_ca == pytest.approx(distance[apart >= 2].min(), abs=1e-6)
    steps = np.diagonal(distance, 1)
    assert found.ca_ok == pytest.approx(np.mean((steps >= 3.6) & (steps <= 4.0)))


def test_radius_of_gyration_is_half_the_mean_square_distance(coil):
    ca = coil[:, 1].astype(np.float64)
    mean_square = (pdist(ca) ** 2).sum() / len(ca) ** 2  # = Rg^2
    assert radius_of_gyration_ratio(ca) == pytest.approx(np.sqrt(mean_square) / (2.2 * 60**0.38))


def test_rigid_motion_changes_nothing(coil):
    turned = coil @ Rotation.random(random_state=0).as_matrix().T + 400.0
    before, after = asdict(chain_metrics(coil)), asdict(chain_metrics(turned))
    assert before == pytest.approx(after, abs=1e-4, nan_ok=True)


def test_known_breaks_are_not_judged(coil):
    gap = np.concatenate((coil[:30], coil[30:] + 25.0))
    assert chain_metrics(gap).chain_breaks == 1
    assert chain_metrics(gap).ca_ok < 1
    broken = np.zeros(60, dtype=bool)
    broken[29] = True
    told = chain_metrics(gap, broken)
    assert told.chain_breaks == 0
    assert told.ca_ok == 1
    assert told.cn_ok == 1


@pytest.mark.parametrize("length", [1, 2, 3, 5, 6])
def test_very_short_chains(coil, length):
    found = chain_metrics(coil[:length])
    assert found.length == length
    assert 0 <= found.hb <= 1


@pytest.mark.parametrize(
    "bad", [np.zeros((0, 4, 3)), np.zeros((5, 3)), np.full((5, 4, 3), np.nan)]
)
def test_nonsense_is_refused(bad):
    with pytest.raises(ValueError, match="coord"):
        chain_metrics(bad)


def test_metrics_of_a_backbone(coil):
    label = np.r_[np.full(25, 1), np.zeros(8), np.full(27, 2)].astype(int)
    found = metrics_of(Backbone.from_coord(coil, domain=label), inputs=coil)
    assert {"hb_long", "rg_ratio", "interface_contacts", "domain_rmsd_1", "domain_rmsd_2"} <= set(
        found
    )
    assert all(type(value) is float for value in found.values())
    assert found["linker_ok"] == 1
    assert found["domain_rmsd_max"] == pytest.approx(0, abs=1e-5)
    assert found["finite"] == 1
    assert "domains" not in metrics_of(coil)


def test_metrics_of_a_failed_design_are_undefined(coil):
    broken = coil.copy()
    broken[10] = np.nan
    label = np.r_[np.full(30, 1), np.full(30, 2)]
    found = metrics_of(broken, domain=label, inputs=coil)
    assert set(found) == set(metrics_of(coil, domain=label, inputs=coil))
    assert found.pop("finite") == 0
    assert found.pop("length") == 60
    assert np.isnan(list(found.values())).all()


@pytest.fixture(scope="module")
def published(repo):
    """The script that prints the published rows."""
    spec = importlib.util.spec_from_file_location(
        "eval_published", repo / "scripts/eval_published.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.realdata
def test_published_rows_are_reproduced(published, data_dir):
    """RFdiffusion and FrameDiff, every column within 2% of the known figure."""
    sets = published.PUBLISHED[: published.BINDING]
    differences = published.deviations(published.published_summaries(data_dir, sets=sets))
    assert len(differences) == 2 * len(published.KEYS)
    assert [row for row in differences if row[-1] > 0.02] == []


@pytest.mark.realdata
def test_natives_score_as_natives_do(data_dir):
    """Figures known for another sample of crystal chains of 60-300 residues."""
    store = StructureStore(data_dir / "domains.npz")
    chosen = [k for k in store.members("valid") if 60 <= store.lengths[k] <= 300][::2]
    rows = [chain_metrics(store.item(int(k)).coord) for k in chosen]
    assert len(rows) > 80
    mean = {key: np.mean([asdict(row)[key] for row in rows]) for key in asdict(rows[0])}
    assert mean["ca_ok"] == pytest.approx(0.995, abs=0.005)
    assert mean["cn_ok"] > 0.99
    assert mean["clash_36"] < 0.1
    assert mean["rama_ok"] == pytest.approx(0.93, abs=0.03)
    assert mean["coil"] == pytest.approx(0.55, abs=0.05)
    assert mean["rg_ratio"] == pytest.approx(1.02, abs=0.05)
    assert mean["hb"] == pytest.approx(0.57, abs=0.04)
    assert mean["hb_long"] == pytest.approx(0.21, abs=0.05)
    assert mean["contacts_long"] == pytest.approx(1.47, abs=0.2)


@pytest.mark.realdata
def test_noise_is_punished_as_it_should_be(data_dir):
    """0.5 A noise on natives: known figures .22, .11, .33 for caOK, cnOK, ramaF; hb .29."""
    store = StructureStore(data_dir / "domains.npz")
    rng = np.random.default_rng(0)
    chosen = [k for k in store.members("valid") if 60 <= store.lengths[k] <= 300][:40]
    rows = [chain_metrics(add_noise(store.item(int(k)).coord, 0.5, rng)) for k in chosen]
    assert np.mean([row.ca_ok for row in rows]) == pytest.approx(0.22, abs=0.02)
    assert np.mean([row.cn_ok for row in rows]) == pytest.approx(0.11, abs=0.02)
    assert np.mean([row.rama_ok for row in rows]) == pytest.approx(0.33, abs=0.03)
    assert np.mean([row.hb for row in rows]) == pytest.approx(0.29, abs=0.04)
