"""Fast alignments, clusters, novelty and two-sample tests against independent truth."""

import itertools

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist
from scipy.spatial.transform import Rotation
from scipy.stats import ks_2samp, wasserstein_distance

from proteinweaver.data.store import StructureStore
from proteinweaver.evaluation.alignment import tm_align_pairs
from proteinweaver.evaluation.baselines import add_smooth_noise
from proteinweaver.evaluation.clusters import leader_clusters, likest
from proteinweaver.evaluation.fingerprints import fingerprint, fingerprints, nearest
from proteinweaver.evaluation.natives import NATIVE_COLUMNS, native_table, outside_natives
from proteinweaver.evaluation.pairs import PairScores
from proteinweaver.evaluation.quick import CAREFUL, highest_path, quick_tm_pairs
from proteinweaver.evaluation.sets import load_set
from proteinweaver.evaluation.surroundings import describe, likeness_pairs
from proteinweaver.evaluation.twosample import column_distance, energy_test

#: TM-align (tmtools 0.3.0), mean of both scores, for pairs of the ten published designs.
TM_ALIGN = {
    (0, 1): 0.2978, (0, 2): 0.4222, (0, 3): 0.3638, (0, 4): 0.3647, (0, 5): 0.2935, (0, 6): 0.4398,
    (0, 7): 0.3273, (0, 8): 0.3670, (0, 9): 0.3882, (1, 2): 0.2760, (1, 3): 0.2920, (1, 4): 0.3437,
}  # fmt: skip


def turned(x: np.ndarray, seed: int) -> np.ndarray:
    return x @ Rotation.random(random_state=seed).as_matrix().T + 10.0 * seed


def best_sum(score: np.ndarray) -> float:
    """Exhaustive search over all sequential alignments."""
    n, m = score.shape
    best = 0.0
    for size in range(1, min(n, m) + 1):
        for rows in itertools.combinations(range(n), size):
            for columns in itertools.combinations(range(m), size):
                best = max(best, float(score[list(rows), list(columns)].sum()))
    return best


# ---- alignment ----------------------------------------------------------------------------------


def test_path_against_brute_force():
    score = np.random.default_rng(0).random((6, 5, 4)).astype(np.float32) ** 2
    match = highest_path(score)
    for s, partner in zip(score, match, strict=True):
        rows = np.flatnonzero(partner >= 0)
        assert (np.diff(partner[rows]) > 0).all()
        assert s[rows, partner[rows]].sum() == pytest.approx(best_sum(s), rel=1e-5)


def test_score_of_a_moved_and_a_cut_chain(coil):
    ca = coil[:, 1].astype(np.float64)
    scores = quick_tm_pairs([(turned(ca, 1), ca), (turned(ca, 2)[10:50], ca)])
    np.testing.assert_allclose(scores[0], [1, 1], atol=1e-6)
    np.testing.assert_allclose(scores[1], [1, 40 / 60], atol=2e-2)


@pytest.mark.realdata
def test_fast_scores_against_tm_align(data_dir):
    chains = [b.ca for b in load_set(data_dir / "published" / "rfdiffusion_L150")]
    pairs = [(chains[i], chains[j]) for i, j in TM_ALIGN]
    found = quick_tm_pairs(pairs).mean(axis=1)
    want = np.array(list(TM_ALIGN.values()))
    assert abs((found - want).mean()) < 0.015
    assert np.abs(found - want).max() < 0.06
    swapped = quick_tm_pairs([(b, a) for a, b in pairs[:3]])
    assert np.abs(swapped[:, ::-1] - quick_tm_pairs(pairs[:3])).max() < 0.06
    careful = quick_tm_pairs(pairs, windows=CAREFUL).mean(axis=1)
    assert (careful >= found - 1e-3).all() and (careful > want - 0.04).all()
    assert 0 <= (careful - want).mean() < 0.02  # TM-align itself misses a little


def test_careful_search_of_short_and_unequal_chains(coil):
    ca = coil[:, 1].astype(np.float64)
    pairs = [(ca[:5], turned(ca, 1)[:5]), (ca[:7], ca), (turned(ca, 2)[10:50], ca)]
    scores = quick_tm_pairs(pairs, windows=CAREFUL)
    assert np.isfinite(scores).all() and (scores >= quick_tm_pairs(pairs) - 1e-6).all()
    np.testing.assert_allclose(scores[2], [1, 40 / 60], atol=2e-2)


def test_likeness_against_brute_force(coil, helix):
    chains = [coil[:6, 1], turned(helix[:5, 1], 1), coil[30:36, 1]]
    described = [describe(x) for x in chains]
    pairs = [(0, 1), (0, 2), (1, 2), (0, 0)]
    found = likeness_pairs([(described[i], described[j]) for i, j in pairs])
    for value, (i, j) in zip(found, pairs, strict=True):
        away = cdist(described[i], described[j], "sqeuclidean")
        alike = np.maximum(np.exp(-away / 16) - 0.05, 0)
        size = np.sqrt(len(chains[i]) * len(chains[j]))
        assert value == pytest.approx(best_sum(alike) / size, rel=1e-4)
    assert found[3] == pytest.approx(0.95)


# ---- fingerprints and clusters ------------------------------------------------------------------


@pytest.fixture(scope="module")
def families(data_dir):
    """Eight native folds of about 60 residues, four bent copies of each, in mixed order."""
    store = StructureStore(data_dir / "domains.npz")
    members = np.flatnonzero((store.lengths > 52) & (store.lengths < 68))
    _, first = np.unique(store.arrays["cluster40"][members], return_index=True)
    rng = np.random.default_rng(2)
    chosen = rng.choice(members[first], 8, replace=False)
    chains = [
        turned(add_smooth_noise(store.item(int(k)).coord, 1.0, rng)[:, 1], seed)
        for k in chosen
        for seed in range(4)
    ]
    order = rng.permutation(len(chains))
    return [chains[k].astype(np.float32) for k in order], order // 4


@pytest.mark.realdata
def test_fingerprints_do_not_depend_on_the_pose_and_find_the_family(families):
    chains, family = families
    np.testing.assert_allclose(
        fingerprint(turned(chains[0], 3)), fingerprint(chains[0]), atol=2e-3
    )
    prints = fingerprints(chains)
    ranked = nearest(prints, prints, 4)
    assert (ranked[:, 0] == np.arange(32)).all()
    assert (family[ranked] == family[:, None]).mean() > 0.9
    with PairScores(chains, [str(k) for k in range(32)], workers=1) as scores:
        found = likest(range(8), range(32), prints, scores, 4)
    assert (found[:, 0] == np.arange(8)).all()
    assert (family[found] == family[:8, None]).mean() > 0.9


@pytest.mark.realdata
def test_clusters_are_those_of_all_against_all(families):
    chains, family = families
    prints, lengths = fingerprints(chains), [len(c) for c in chains]
    with PairScores(chains, [str(k) for k in range(32)], workers=1) as scores:
        few = leader_clusters(range(32), lengths, prints, scores, 0.6, 4)
        assert len(scores._known) < 32 * 31 / 4  # most pairs were never aligned
        full = leader_clusters(range(32), lengths, prints, scores, 0.6, 32)
    assert abs(len(set(few.values())) - len(set(full.values()))) <= 1
    for place in (few, full):
        assert all(place[leader] == leader for leader in place.values())
        same = [family[k] == family[leader] for k, leader in place.items()]
        assert np.mean(same) > 0.9


class Table:
    """Scores read from two tables, the first a little low."""

    def __init__(self, low: np.ndarray, true: np.ndarray) -> None:
        self.low, self.true = low, true
        self.asked = self.asked_again = 0

    def of(self, pairs):
        self.asked += len(pairs)
        return np.array([[self.low[i, j]] * 2 for i, j in pairs]).reshape(-1, 2)

    def careful(self, pairs):
        self.asked_again += len(pairs)
        return np.array([[self.true[i, j]] * 2 for i, j in pairs]).reshape(-1, 2)

    def likeness(self, pairs):
        return np.array([self.low[i, j] for i, j in pairs])


def test_leader_clusters_against_the_textbook():
    """With all candidates the result is the sequential algorithm's, longest first.

    Scores that are a little low are asked for again where they just miss the threshold.
    """
    rng = np.random.default_rng(0)
    n = 150
    tm = rng.random((n, n)) ** 2
    tm = (tm + tm.T) / 2
    lengths = rng.integers(50, 90, n).tolist()
    prints = rng.standard_normal((n, 4)).astype(np.float32)
    table = Table(tm - 0.02 * rng.random((n, n)), tm)
    found = leader_clusters(range(n), lengths, prints, table, 0.55, n)
    assert table.asked and table.asked_again < 3 * n
    for k, leader in found.items():
        earlier = [j for j in set(found.values()) if (-lengths[j], j) < (-lengths[k], k)]
        if leader == k:
            assert all(tm[j, k] < 0.55 for j in earlier)
        else:
            assert tm[leader, k] >= 0.55 and leader in earlier


def test_pair_scores_are_kept_and_oriented(coil, tmp_path):
    ca = coil[:, 1]
    chains = [ca, turned(ca, 1)[5:45].astype(np.float32)]
    with PairScores(chains, ["b", "a"], workers=1) as scores:
        forward, backward = scores.of([(0, 1)])[0], scores.of([(1, 0)])[0]
        np.testing.assert_allclose(forward, backward[::-1])
        assert forward[1] == pytest.approx(1, abs=0.02)  # by the shorter chain
        careful = scores.careful([(0, 1)])[0]
        assert (careful >= forward).all()
        np.testing.assert_array_equal(scores.of([(0, 1)])[0], careful)
        scores.save(tmp_path / "pairs.npz")
    with PairScores(chains[::-1], ["a", "b"], workers=1) as again:
        again.load(tmp_path / "pairs.npz")
        assert len(again._known) == len(again._careful) == 1
        np.testing.assert_allclose(again.of([(1, 0)])[0], careful, rtol=1e-6)
        (tmp_path / "pairs.npz").write_bytes(b"not an npz")
        again.load(tmp_path / "pairs.npz")  # damaged: computed again, not fatal


# ---- distributions ------------------------------------------------------------------------------


def test_column_distance_against_scipy():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0.5, 1, 80), rng.normal(0, 1, 300)
    found = column_distance(np.append(x, np.nan), y)
    assert found.ks == pytest.approx(ks_2samp(x, y).statistic)
    assert found.p_value == pytest.approx(ks_2samp(x, y).pvalue)
    assert found.wasserstein.value == pytest.approx(wasserstein_distance(x, y) / y.std())
    assert found.wasserstein.low < 0.5 < found.wasserstein.high  # a shift of half a deviation
    assert found.floor < 0.25
    assert column_distance([1, 2], y) is None


def test_energy_distance_against_its_definition():
    rng = np.random.default_rng(1)
    x, y = rng.normal(0.7, 1, (30, 3)), rng.normal(0, 1, (40, 3))
    s = y.std(axis=0)
    a, b = x / s, y / s
    cross = np.mean([np.linalg.norm(p - q) for p in a for q in b])
    inside = 2 * pdist(a).sum() / 30**2, 2 * pdist(b).sum() / 40**2
    found = energy_test(x, y)
    assert found.distance == pytest.approx(2 * cross - sum(inside))
    assert found.p_value == pytest.approx(1 / 500)
    null = [
        energy_test(rng.normal(0, 1, (30, 3)), rng.normal(0, 1, (40, 3))).p_value
        for _ in range(12)
    ]
    assert min(null) > 0.005 and np.mean(null) > 0.25  # no alarm among equals


def test_natives_are_matched_by_length():
    table = native_table()
    assert table.values.shape[1] == len(NATIVE_COLUMNS) and len(table.values) > 1000
    rows = table.matched([60] * 50 + [300] * 50, most=80)
    assert len(rows) == len(set(rows.tolist())) == 80
    lengths = table.column("length")[rows]
    assert np.mean(np.abs(np.log(lengths / 60)) < 0.13) == pytest.approx(0.5, abs=0.05)
    assert np.median(table.column("ca_ok")) == 1


def test_outside_names_what_is_odd():
    table = native_table()
    rows = table.near(100)
    middle = dict(
        zip(NATIVE_COLUMNS, np.nanmedian(table.values[rows], axis=0).tolist(), strict=True)
    )
    assert outside_natives(middle) == []
    odd = {**middle, "rg_ratio": 2.2, "cn_ok": 0.5, "bond_dev": 0.0}
    assert set(outside_natives(odd)) == {"rg_ratio", "cn_ok"}  # too good is no oddity


@pytest.mark.slow
@pytest.mark.realdata
def test_fast_scores_against_the_long_search(data_dir):
    """Over random native pairs the fast score is a little below the long search's, never far."""
    store = StructureStore(data_dir / "domains.npz")
    members = np.flatnonzero((store.lengths > 70) & (store.lengths < 110))
    chosen = np.random.default_rng(0).choice(members, 80, replace=False)
    chains = [store.item(int(k)).coord[:, 1] for k in chosen]
    pairs = list(zip(chains[::2], chains[1::2], strict=True))
    gap = (tm_align_pairs(pairs) - quick_tm_pairs(pairs)).mean(axis=1)
    assert 0 <= gap.mean() < 0.03
