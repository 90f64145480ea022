"""Plans: the exact length of every domain and linker of a chain.

A plan is k domains with k - 1 linkers between them whose lengths add up to what was asked for, to
the residue. Lengths left open are drawn: linkers uniformly from their ranges as far as the total
allows, domains around their fair share of what is left, within 40 to 256 residues where that can
be met.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from proteinweaver.errors import UserError

__all__ = [
    "DEFAULT_LINKER",
    "LARGEST_DOMAIN",
    "SHORTEST_DOMAIN",
    "SMALLEST_DOMAIN",
    "Plan",
    "Segment",
    "plan_lengths",
    "split_length",
]

#: Residues of a linker nobody asked for (Ma et al. 2024, arXiv 2411.16686).
DEFAULT_LINKER = (15, 15)
#: Preferred bounds of a generated domain, in residues: the range of most natives.
SMALLEST_DOMAIN, LARGEST_DOMAIN = 40, 256
#: A generated domain is never shorter than this.
SHORTEST_DOMAIN = 20

_SPREAD = 0.2  # of the fair share: how far a drawn domain length may lie from it


class Segment(NamedTuple):
    """Residues ``start`` to ``stop - 1``: domain number from 0, or -1 for a linker."""

    domain: int
    start: int
    stop: int


@dataclass(frozen=True)
class Plan:
    """Lengths along the chain.

    Parameters
    ----------
    domains : tuple of int
        Residues of every domain, N- to C-terminal.
    linkers : tuple of int
        Residues of every linker, one fewer than domains; 0 joins two domains directly.
    """

    domains: tuple[int, ...]
    linkers: tuple[int, ...]

    @property
    def total(self) -> int:
        """Residues of the chain."""
        return sum(self.domains) + sum(self.linkers)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Domains and linkers in order; linkers of length 0 left out."""
        found, start = [], 0
        for number, length in enumerate(self.domains):
            found.append(Segment(number, start, start + length))
            start += length
            linker = self.linkers[number] if number < len(self.linkers) else 0
            if linker:
                found.append(Segment(-1, start, start + linker))
            start += linker
        return tuple(found)


def plan_lengths(
    total: int | None,
    domains: int | Sequence[int | None],
    linkers: Sequence[tuple[int, int]] | tuple[int, int] = DEFAULT_LINKER,
    generator: np.random.Generator | int = 0,
) -> Plan:
    """Plan a chain.

    Parameters
    ----------
    total : int or None
        Residues of the chain; None to take what domains and linkers add up to.
    domains : int or sequence of (int or None)
        Number of domains to generate, or the length of each domain in turn, None where the plan
        chooses.
    linkers : tuple of int or sequence of tuple of int
        Shortest and longest length of every linker, or one pair for all.
    generator : numpy.random.Generator or int
        Source of randomness, or a seed.

    Returns
    -------
    Plan

    Raises
    ------
    UserError
        If the lengths cannot be met.

    Examples
    --------
    >>> plan_lengths(200, [85, None], (10, 10)).domains
    (85, 105)
    """
    wanted = [None] * domains if isinstance(domains, int) else list(domains)
    pair = len(linkers) == 2 and all(isinstance(end, int) for end in linkers)
    bounds = [linkers] * (len(wanted) - 1) if pair else list(linkers)
    rng = (
        generator
        if isinstance(generator, np.random.Generator)
        else np.random.default_rng(generator)
    )
    return Plan(*split_length(total, wanted, bounds, rng))  # type: ignore[arg-type]


def split_length(
    total: int | None,
    domains: Sequence[int | None],
    linkers: Sequence[tuple[int, int]],
    rng: np.random.Generator,
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Lengths of all domains and linkers that add up to ``total`` exactly.

    Parameters
    ----------
    total : int or None
        Residues of the chain; None only where every domain has a length.
    domains : sequence of (int or None)
        Length of each domain, None where it is to be chosen.
    linkers : sequence of tuple of int
        Inclusive bounds of each linker.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    domains, linkers : tuple of int

    Raises
    ------
    UserError
        If there is no such plan.
    """
    _check(total, domains, linkers)
    given = sum(length for length in domains if length is not None)
    count = sum(length is None for length in domains)
    low, high = sum(pair[0] for pair in linkers), sum(pair[1] for pair in linkers)
    if total is None:
        if count:
            raise UserError(
                "a domain has no length and the chain has none either; give a total length"
            )
        return tuple(int(n) for n in domains if n is not None), tuple(
            int(rng.integers(a, b + 1)) for a, b in linkers
        )
    rest = total - given  # for linkers and open domains
    if rest < low + count * SHORTEST_DOMAIN:
        raise UserError(_too_short(total, given, len(domains) - count, low, count))
    if not count:
        if rest > high:
            what = f"linkers of at most {high}" if linkers else "no linker"
            raise UserError(
                f"total length {total} is too long: the domains have {given} residues and {what};"
                f" ask for {given + high} or fewer, or longer linkers"
            )
        return tuple(int(n) for n in domains if n is not None), _parts(rest, linkers, rng)
    # linkers first, but not so long (short) that the domains would leave their preferred range
    longest = min(high, max(low, rest - count * SMALLEST_DOMAIN))
    shortest = max(low, min(longest, rest - count * LARGEST_DOMAIN))
    free = _parts_within(shortest, longest, linkers, rng)
    left = rest - sum(free)
    floor = SMALLEST_DOMAIN if left >= count * SMALLEST_DOMAIN else SHORTEST_DOMAIN
    ceiling = LARGEST_DOMAIN if left <= count * LARGEST_DOMAIN else left
    drawn = iter(_parts(left, [(floor, ceiling)] * count, rng, _SPREAD))
    return tuple(next(drawn) if n is None else int(n) for n in domains), free


def _check(
    total: int | None, domains: Sequence[int | None], linkers: Sequence[tuple[int, int]]
) -> None:
    if not domains:
        raise UserError("a plan needs at least 1 domain, got 0")
    if len(linkers) != len(domains) - 1:
        raise UserError(
            f"{len(domains)} domains have {len(domains) - 1} linkers between them,"
            f" got {len(linkers)}"
        )
    if total is not None and total < 1:
        raise UserError(
            f"total length is {total}; give at least {SHORTEST_DOMAIN} residues a domain"
        )
    for number, length in enumerate(domains, start=1):
        if length is not None and length < 1:
            raise UserError(f"domain {number} has length {length}; give at least 1 residue")
    for number, (low, high) in enumerate(linkers, start=1):
        if not 0 <= low <= high:
            raise UserError(
                f"linker {number} has the range {low}-{high}; write shortest-longest, from 0"
            )


def _too_short(total: int, given: int, fixed: int, low: int, count: int) -> str:
    needs = []
    if fixed:
        needs.append(f"{given} residues of the given {_plural(fixed, 'domain')}")
    if count:
        needs.append(f"{SHORTEST_DOMAIN} for each of {_plural(count, 'domain')} to generate")
    if low:
        needs.append(f"{low} of linkers")
    least = given + low + count * SHORTEST_DOMAIN
    return (
        f"total length {total} is too short: {' + '.join(needs)} need {least};"
        f" ask for {least} or more"
    )


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _parts_within(
    low: int, high: int, bounds: Sequence[tuple[int, int]], rng: np.random.Generator
) -> tuple[int, ...]:
    """Draw integers uniformly within bounds, one by one, their sum between low and high."""
    drawn: list[int] = []
    later_low = [*itertools.accumulate(pair[0] for pair in reversed(bounds)), 0]
    later_high = [*itertools.accumulate(pair[1] for pair in reversed(bounds)), 0]
    for place, (least, most) in enumerate(bounds):
        behind = len(bounds) - place - 2
        most = min(most, high - sum(drawn) - later_low[behind])
        least = max(least, low - sum(drawn) - later_high[behind])
        drawn.append(int(rng.integers(least, most + 1)))
    return tuple(drawn)


def _parts(
    total: int,
    bounds: Sequence[tuple[int, int]],
    rng: np.random.Generator,
    spread: float | None = None,
) -> tuple[int, ...]:
    """Draw integers within bounds that add up to ``total``, the places in random order."""
    parts = [0] * len(bounds)
    waiting = [int(k) for k in rng.permutation(len(bounds))]
    while waiting:
        place = waiting.pop()
        low = max(bounds[place][0], total - sum(bounds[k][1] for k in waiting))
        high = min(bounds[place][1], total - sum(bounds[k][0] for k in waiting))
        if spread is not None:
            share = total / (len(waiting) + 1)
            low = min(max(low, round(share * (1 - spread))), high)
            high = max(min(high, round(share * (1 + spread))), low)
        parts[place] = int(rng.integers(low, high + 1))
        total -= parts[place]
    return tuple(parts)
