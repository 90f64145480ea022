"""TM-score against a general optimiser; alignment against brute force and TM-align."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from proteinweaver.evaluation.alignment import tm_align, tm_align_pairs
from proteinweaver.evaluation.diversity import mean_pairwise_tm
from proteinweaver.evaluation.dynamic import align_sequentially
from proteinweaver.evaluation.sets import load_set
from proteinweaver.evaluation.tm import tm_after_superposing, tm_d0, tm_score

#: Scores of TM-align (tmtools 0.3.0) for pairs of the ten published RFdiffusion designs.
TM_ALIGN = {
    (0, 1): 0.2978, (0, 2): 0.4222, (0, 3): 0.3638, (0, 4): 0.3647, (0, 5): 0.2935, (0, 6): 0.4398,
    (0, 7): 0.3273, (0, 8): 0.3670, (0, 9): 0.3882, (1, 2): 0.2760, (1, 3): 0.2920, (1, 4): 0.3437,
}  # fmt: skip


def moved(x: np.ndarray, seed: int) -> np.ndarray:
    return x @ Rotation.random(random_state=seed).as_matrix().T + 30.0


def hinged(x: np.ndarray) -> np.ndarray:
    """The second half swung round by 120 degrees, with a little noise."""
    half = len(x) // 2
    turn = Rotation.from_rotvec([0.0, 0.0, 2.1])
    out = x.copy()
    out[half:] = turn.apply(x[half:] - x[half]) + x[half]
    return out + 0.4 * np.random.default_rng(5).standard_normal(x.shape)


def test_d0_of_known_lengths():
    np.testing.assert_allclose(tm_d0([100, 300]), [3.6521, 6.3602], atol=2e-4)
    assert tm_d0(12) == 0.5


def test_identical_structures_score_one(coil):
    ca = coil[:, 1].astype(np.float64)
    assert tm_score(moved(ca, 0), ca) == pytest.approx(1.0, abs=1e-9)
    assert tm_score(ca, ca, length=120) == pytest.approx(0.5, abs=1e-9)


def test_search_reaches_what_a_general_optimiser_reaches(coil):
    """Nelder-Mead over all rigid motions from many starts never beats the search."""
    x = coil[:, 1].astype(np.float64)
    y = moved(hinged(x), 1)
    x, y = x - x.mean(0), y - y.mean(0)
    d0 = float(tm_d0(len(x)))

    def loss(motion):
        away = Rotation.from_rotvec(motion[:3]).apply(x) + motion[3:] - y
        return -np.mean(1 / (1 + (away**2).sum(-1) / d0**2))

    starts = [
        np.concatenate((Rotation.random(random_state=k).as_rotvec(), np.zeros(3)))
        for k in range(12)
    ]
    best = max(-minimize(loss, start, method="Powell").fun for start in starts)
    ours = tm_score(x, y)
    assert ours >= best - 2e-3
    assert 0.3 < ours < 0.9  # a hinge, not a copy


def test_pose_is_judged_by_the_other_part(coil):
    ca = coil[:, 1].astype(np.float64)
    first = np.arange(len(ca)) < 30
    same = tm_after_superposing(moved(ca, 2), ca, first, ~first)
    assert same == pytest.approx(1.0, abs=1e-9)
    assert tm_after_superposing(hinged(ca), ca, first, ~first) < 0.5


def brute_force(score: np.ndarray, gap: float) -> float:
    """Best total of any sequential alignment; a jump costs a gap for each side it skips on."""
    n, m = score.shape
    best = 0.0
    for k in range(1, min(n, m) + 1):
        for rows in itertools.combinations(range(n), k):
            for columns in itertools.combinations(range(m), k):
                total = sum(score[i, j] for i, j in zip(rows, columns, strict=True))
                for a, b in itertools.pairwise(zip(rows, columns, strict=True)):
                    total -= gap * ((b[0] - a[0] > 1) + (b[1] - a[1] > 1))
                best = max(best, total)
    return best


@pytest.mark.parametrize("gap", [0.0, 0.3, 0.6])
def test_dynamic_programming_finds_the_best_alignment(gap):
    score = np.random.default_rng(3).random((40, 5, 6)).astype(np.float32)
    for matrix, partner in zip(score, align_sequentially(score, gap), strict=True):
        rows = np.flatnonzero(partner >= 0)
        columns = partner[rows]
        assert (np.diff(columns) > 0).all()
        total = matrix[rows, columns].sum()
        total -= gap * ((np.diff(rows) > 1).sum() + (np.diff(columns) > 1).sum())
        assert total == pytest.approx(brute_force(matrix, gap), abs=1e-4)


def test_alignment_finds_a_part_and_a_shift(coil):
    """A chain without its first and some middle residues aligns with itself perfectly."""
    ca = coil[:, 1].astype(np.float64)
    part = np.delete(ca, np.r_[0:9, 30:34], axis=0)
    by_part, by_whole = tm_align(moved(part, 4), ca)
    assert by_part > 0.98
    assert by_whole == pytest.approx(len(part) / len(ca), abs=0.03)


def test_batch_and_single_agree(coil, helix):
    pairs = [(coil[:, 1], helix[:, 1]), (helix[:30, 1], coil[:50, 1]), (coil[5:, 1], coil[:, 1])]
    together = tm_align_pairs(pairs)
    alone = [tm_align(a, b) for a, b in pairs]
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_mean_pairwise_tm_of_copies_is_one(coil):
    ca = coil[:, 1].astype(np.float64)
    found = mean_pairwise_tm([ca, moved(ca, 1), moved(ca, 2)])
    assert found.value == pytest.approx(1.0, abs=1e-6)
    assert found.n == 3
    assert np.isnan(mean_pairwise_tm([ca]).value)


def test_too_short_or_unequal_is_refused(coil):
    with pytest.raises(ValueError, match="3 residues"):
        tm_score(np.zeros((2, 3)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="equal numbers"):
        tm_score(coil[:, 1], coil[:50, 1])
    with pytest.raises(ValueError, match="4 residues"):
        tm_align(coil[:4, 1], coil[:, 1])


@pytest.mark.realdata
def test_alignment_reaches_tm_align_on_published_designs(data_dir):
    designs = [chain.ca for chain in load_set(data_dir / "published" / "rfdiffusion_L150")]
    found = tm_align_pairs([(designs[i], designs[j]) for i, j in TM_ALIGN])[:, 1]
    known = np.array(list(TM_ALIGN.values()))
    assert (found > known - 0.05).all()
    assert known.mean() - 0.005 < found.mean() < known.mean() + 0.02
