"""Plans: exact sums whatever is asked for, and one clear line where nothing fits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proteinweaver.domains.plan import (
    LARGEST_DOMAIN,
    SHORTEST_DOMAIN,
    SMALLEST_DOMAIN,
    Plan,
    plan_lengths,
    split_length,
)
from proteinweaver.errors import UserError

ranges = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda pair: tuple(sorted(pair)))


@st.composite
def requests(draw):
    """Domains given or open, one range per linker, and a total that may or may not fit."""
    count = draw(st.integers(1, 6))
    domains = draw(st.lists(st.none() | st.integers(5, 300), min_size=count, max_size=count))
    linkers = draw(st.lists(ranges, min_size=count - 1, max_size=count - 1))
    total = draw(st.integers(1, 2000))
    return total, domains, linkers, draw(st.integers(0, 2**32))


def feasible(total, domains, linkers) -> bool:
    """By the definition: bounds of everything, nothing else."""
    low = sum(SHORTEST_DOMAIN if n is None else n for n in domains) + sum(a for a, _ in linkers)
    high = sum(n or 0 for n in domains) + sum(b for _, b in linkers)
    return low <= total and (None in domains or total <= high)


@given(requests())
@settings(max_examples=300, deadline=None)
def test_exact_or_refused(request) -> None:
    total, domains, linkers, seed = request
    if not feasible(total, domains, linkers):
        with pytest.raises(UserError):
            split_length(total, domains, linkers, np.random.default_rng(seed))
        return
    lengths, gaps = split_length(total, domains, linkers, np.random.default_rng(seed))
    assert sum(lengths) + sum(gaps) == total
    assert all(n == asked for n, asked in zip(lengths, domains, strict=True) if asked is not None)
    assert all(
        n >= SHORTEST_DOMAIN for n, asked in zip(lengths, domains, strict=True) if not asked
    )
    assert all(low <= gap <= high for gap, (low, high) in zip(gaps, linkers, strict=True))


@given(st.integers(1, 8), st.integers(0, 2**32), st.data())
@settings(max_examples=100, deadline=None)
def test_generated_domains_stay_in_the_preferred_range(count, seed, data) -> None:
    linkers = (count - 1) * 15
    total = data.draw(
        st.integers(count * SMALLEST_DOMAIN + linkers, count * LARGEST_DOMAIN + linkers)
    )
    plan = plan_lengths(total, count, generator=seed)
    assert plan.total == total
    assert all(SMALLEST_DOMAIN <= n <= LARGEST_DOMAIN for n in plan.domains)
    assert plan.linkers == (15,) * (count - 1)


def test_same_seed_same_plan_and_other_seeds_others() -> None:
    plans = [plan_lengths(300, 3, (10, 20), seed) for seed in range(20)]
    assert plans == [plan_lengths(300, 3, (10, 20), seed) for seed in range(20)]
    assert len(set(plans)) > 15


def test_no_place_is_favoured() -> None:
    """First, second and third domain have the same mean length."""
    rng = np.random.default_rng(0)
    lengths = np.array([plan_lengths(330, 3, generator=rng).domains for _ in range(600)])
    assert np.abs(lengths.mean(0) - 100).max() < 2
    assert lengths.std(0).min() > 5


def test_segments_cover_the_chain() -> None:
    plan = Plan((50, 60, 40), (10, 0))
    assert plan.total == 160
    assert plan.segments == ((0, 0, 50), (-1, 50, 60), (1, 60, 120), (2, 120, 160))


def test_lengths_given_and_no_total() -> None:
    plan = plan_lengths(None, [50, 60], (0, 30), 3)
    assert plan.domains == (50, 60)
    assert 0 <= plan.linkers[0] <= 30


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((30, 2), "total length 30 is too short.*need 55; ask for 55 or more"),
        ((100, [50, 50], (5, 5)), "too short: 100 residues of the given 2 domains"),
        ((200, [50, 50], (5, 5)), "too long.*ask for 105 or fewer"),
        ((100, [99]), "too long: the domains have 99 residues and no linker"),
        ((None, [None]), "give a total length"),
        ((100, 0), "at least 1 domain"),
        ((0, 1), "total length is 0"),
        ((100, [0, 50]), "domain 1 has length 0"),
        ((100, 2, (9, 3)), "linker 1 has the range 9-3"),
        ((100, 3, [(1, 2)]), "3 domains have 2 linkers between them, got 1"),
    ],
)
def test_one_line_for_the_impossible(arguments, message) -> None:
    with pytest.raises(UserError, match=message) as caught:
        plan_lengths(*arguments)
    assert "\n" not in str(caught.value)
