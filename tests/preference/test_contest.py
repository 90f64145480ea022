"""Win rates, best of m and paired changes against counting them out; collapse and its limits."""

from itertools import combinations, product

import numpy as np
import pytest

from proteinweaver.errors import UserError
from proteinweaver.evaluation.intervals import mean_interval
from proteinweaver.preference.contest import (
    Entrant,
    best_of_shares,
    compare_entrants,
    describe,
    entrant,
    relative_change,
    reranked,
    win_share,
)
from proteinweaver.preference.trials import Trial, trial_rows, write_rows
from proteinweaver.preference.watch import Limits, collapse, round_figures

RNG = np.random.default_rng(3)
NAN = float("nan")


def trial(name: str, sample: int, **changes) -> Trial:
    told = {
        "weights": "w", "set": name, "sample": sample, "plan": name, "missed": (),
        "training": 0.5, "held_out": 0.5, "terms": {}, "drift": 0.4, "contacts": 1.0,
        "alike": (0.6,) * sample,
    }  # fmt: skip
    return Trial(**(told | changes))


def made(sets: int = 6, k: int = 5, better: float = 0.0, rng=RNG) -> Entrant:
    """A model whose rewards are random; ``better`` is added to both."""
    rows = [
        trial(
            f"s{s}", j, training=float(rng.integers(0, 8)) / 8 + better,
            held_out=float(rng.random()) + better, missed=("x",) if rng.random() < 0.4 else (),
            drift=float(rng.random()), alike=tuple(rng.random(j).tolist()),
        )
        for s in range(sets)
        for j in range(k)
    ]  # fmt: skip
    return entrant(rows, k)


def test_win_share_counts_all_pairs():
    ours, theirs = (
        RNG.integers(0, 4, (3, 4)).astype(float),
        RNG.integers(0, 4, (3, 5)).astype(float),
    )
    theirs[1, 2] = NAN
    found = win_share(ours, theirs)
    for s in range(3):
        pairs = [(a, b) for a, b in product(ours[s], theirs[s]) if b == b]
        wanted = np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs])
        assert found[s] == pytest.approx(wanted)
    assert win_share(ours, ours) == pytest.approx(0.5)
    assert np.isnan(win_share(np.full((1, 2), NAN), np.ones((1, 2)))).all()


@pytest.mark.parametrize(("n", "m"), [(5, 1), (5, 3), (5, 5), (7, 2)])
def test_best_of_shares_by_counting(n, m):
    counts = np.zeros(n)
    for chosen in combinations(range(n), m):
        counts[min(chosen)] += 1  # rank 0 is the best
    np.testing.assert_allclose(best_of_shares(n, m), counts / counts.sum(), atol=1e-12)
    with pytest.raises(ValueError, match="cannot be taken"):
        best_of_shares(n, n + 1)


def test_reranking_by_counting():
    one = made(sets=3, k=5)
    one.values["training"] = RNG.permuted(np.tile(np.arange(5.0), (3, 1)), axis=1)  # no ties
    found = reranked(one, 3)
    score, held = one.values["training"], one.values["held_out"]
    for s in range(3):
        kept = [max(chosen, key=lambda j: score[s, j]) for chosen in combinations(range(5), 3)]
        assert found["held_out"][s] == pytest.approx(np.mean(held[s, kept]))
        wins = []
        for left in range(5):
            others = [j for j in range(5) if j != left]
            for chosen in combinations(others, 3):
                best = max(chosen, key=lambda j: score[s, j])
                wins.append(held[s, best] > held[s, left])
        assert found["win_held_out"][s] == pytest.approx(np.mean(wins))
    # without choice it is the model itself
    alone = reranked(one, 1)
    np.testing.assert_allclose(alone["failed"], one.values["failed"].mean(1))
    np.testing.assert_allclose(alone["win_training"], 0.5)
    np.testing.assert_allclose(found["win_training"], 3 / 4)  # best of 4 is so with chance 1 / 4


def test_comparison_of_a_model_with_itself_and_with_a_better_one():
    rng = np.random.default_rng(9)
    base = made(sets=12, rng=np.random.default_rng(1))
    same = compare_entrants(base, base)
    assert same["win_training"].value == same["win_held_out"].value == 0.5
    for key in ("failed", "diversity", "drift", "contacts"):
        assert (same[key].value, same[key].low, same[key].high) == (0.0, 0.0, 0.0)
    better = made(sets=12, better=2.0, rng=np.random.default_rng(1))
    told = compare_entrants(better, base)
    assert told["win_training"].low == told["win_held_out"].value == 1.0
    assert told["failed"].value == told["failed_change"].value == 0.0
    # coverage of the win rate's interval where there is nothing to win: about 95%
    inside = 0
    for _ in range(60):
        one, two = (made(12, 4, rng=rng).values["held_out"] for _ in range(2))
        found = mean_interval(win_share(one, two))
        inside += found.low <= 0.5 <= found.high
    assert inside >= 50
    summary = describe(base)
    assert summary["failed"].value == pytest.approx(base.values["failed"].mean())
    assert summary["drift"].value == pytest.approx(np.median(base.values["drift"]))
    assert -1 <= summary["agreement"].value <= 1


def test_relative_change():
    theirs = np.array([0.2, 0.4, 0.6, NAN])
    found = relative_change(0.75 * theirs, theirs)
    assert (found.value, found.low, found.high) == pytest.approx((-0.25, -0.25, -0.25))
    assert found.n == 3
    assert np.isnan(relative_change(theirs, 0 * theirs).value)


def test_sets_that_are_not_whole_or_not_the_same():
    rows = [trial("a", j) for j in range(3)] + [trial("b", j) for j in range(2)]
    one = entrant(rows, 3)
    assert one.sets == ("a",)
    assert one.diversity == pytest.approx([0.4])
    two = entrant([trial("a", j, plan="other") for j in range(3)], 3)
    with pytest.raises(UserError, match="different plans"):
        compare_entrants(one, two)
    broken = trial("a", 1, plan="", missed=("finite",), alike=(None,), training=0.0)
    assert entrant([rows[0], broken, rows[2]], 3).values["failed"].tolist() == [[0.0, 1.0, 0.0]]


def test_rows_survive_a_kill(tmp_path):
    file, settings = tmp_path / "rows.jsonl", {"seed": 1, "rewards": ("a", "b")}
    first = [trial("a", j, terms={"clash": 1.0}, missed=("x",)) for j in range(3)]
    write_rows(file, first, settings)
    write_rows(file, [trial("b", 0)], {"seed": 2, "rewards": ("a", "b")})
    text = file.read_text()
    file.write_text(text[:-40])  # the last row is torn
    assert trial_rows(file, settings) == first
    write_rows(file, [trial("c", 0)], settings)
    assert trial_rows(file, settings) == [*first, trial("c", 0)]
    assert trial_rows(tmp_path / "none", settings) == []


def test_collapse_is_seen():
    good = [trial(f"s{s}", j) for s in range(4) for j in range(4)]
    first = round_figures(good, 4)
    assert first["failed"] == 0.0 and first["diversity"] == pytest.approx(0.4)
    assert collapse(first, first, Limits()) == ""
    failing = round_figures([trial(t.set, t.sample, missed=("x",)) for t in good], 4)
    assert "failures rose by 1.000" in collapse(first, failing, Limits())
    assert collapse(failing, first, Limits()) == ""
    alike = [trial(t.set, t.sample, alike=(0.9,) * t.sample) for t in good]
    assert "diversity fell by 75.0%" in collapse(first, round_figures(alike, 4), Limits())
    assert collapse(first, round_figures(alike, 4), Limits(diversity=0.8)) == ""
    with pytest.raises(UserError, match="no set has 5"):
        round_figures(good, 5)
    with pytest.raises(UserError, match="shares"):
        Limits(failures=2.0)
