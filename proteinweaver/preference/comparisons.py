"""Comparisons of designs of one plan: which make a pair, how much it weighs, and why others not.

Within a set (designs of one plan) every two designs are compared. A comparison becomes a *pair* if
its margin is no tie, an ensemble of judges takes the winner's side, and the two are not nearly the
same structure: an oracle is over-confident there, and such pairs unsettle self-play (S-SPPO, arXiv
2606.01561). Weights multiply three shares: agreement of the ensemble 2 a - 1, distance (1 - TM)
below a bound, and 4 p (1 - p) for a set with pass rate p, since sets where all or none pass teach
little.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np

from proteinweaver.errors import UserError
from proteinweaver.evaluation.tm import tm_score
from proteinweaver.preference.candidates import Candidate

__all__ = ["Comparison", "PairSettings", "Verdict", "agreement", "compare", "summary"]

Verdict = Literal["pair", "tie", "disagreement", "near-identical", "surplus"]
_LEAST_SET_WEIGHT = 0.1


@dataclass(frozen=True)
class PairSettings:
    """Which comparisons become pairs.

    Parameters
    ----------
    margin : float
        Smallest difference of scores that is no tie.
    same : float
        TM-score (residue by residue) from which two designs are nearly the same.
    near : {"drop", "weigh"}
        Drop such comparisons, or weigh them by (1 - TM) / (1 - same).
    per_set : int
        Most pairs of one plan, largest margins first; 0 for all.
    uses : int
        Most pairs one design takes part in, so that one winner does not teach everything; 0 for
        any number.
    """

    margin: float = 0.05
    same: float = 0.9
    near: Literal["drop", "weigh"] = "drop"
    per_set: int = 4
    uses: int = 2

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        if not 0 <= self.margin < 1:
            raise UserError(f"margin {self.margin} is not from 0 to below 1, as scores are")
        if not 0 < self.same <= 1:
            raise UserError(f"same {self.same} is no TM-score; take about 0.9")
        if self.per_set < 0 or self.uses < 0:
            raise UserError("per_set and uses are counts; 0 for no limit")


@dataclass(frozen=True)
class Comparison:
    """Two designs of one plan.

    Parameters
    ----------
    win, lose : Candidate
        By score; in a tie the order means nothing.
    verdict : str
        ``"pair"``, or why it is none.
    margin : float
    agreement : float
        Share of an ensemble on the winner's side; 1 without ensemble.
    pass_rate : float
        Of the set.
    tm : float
        NaN where it was not needed.
    weight : float
        0 unless it is a pair.
    rates : tuple of (float, float)
        Share of the other designs of the plan that ``win`` and ``lose`` beat: by the votes of an
        ensemble, else by score, ties counting half.
    """

    win: Candidate
    lose: Candidate
    verdict: Verdict
    margin: float
    agreement: float
    pass_rate: float
    tm: float = float("nan")
    weight: float = 0.0
    rates: tuple[float, float] = (1.0, 0.0)


def agreement(win: Candidate, lose: Candidate) -> float:
    """Share of an ensemble's votes for ``win``, equal ones counting half; 1 without ensemble."""
    if not win.score.votes or len(win.score.votes) != len(lose.score.votes):
        return 1.0
    gain = np.subtract(win.score.votes, lose.score.votes)
    return float(np.mean((np.sign(gain) + 1) / 2))


def compare(candidates: Sequence[Candidate], settings: PairSettings) -> list[Comparison]:
    """Compare all designs of equal plan.

    Parameters
    ----------
    candidates : sequence of Candidate
    settings : PairSettings

    Returns
    -------
    list of Comparison
        Set by set, those of intermediate pass rate first; within a set by margin.
    """
    sets: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        sets[candidate.plan].append(candidate)
    judged = [(_pass_rate(members), plan, members) for plan, members in sets.items()]
    judged.sort(key=lambda item: (-_set_weight(item[0]), item[1]))
    return [c for rate, _, members in judged for c in _compare_set(members, rate, settings)]


def _pass_rate(members: Sequence[Candidate]) -> float:
    return sum(member.passed for member in members) / len(members)


def _set_weight(rate: float) -> float:
    return max(_LEAST_SET_WEIGHT, 4.0 * rate * (1.0 - rate))


def _compare_set(
    members: Sequence[Candidate], rate: float, settings: PairSettings
) -> list[Comparison]:
    ordered = [
        tuple(sorted(two, key=lambda c: (-c.score.value, c.name)))
        for two in combinations(members, 2)
    ]
    ordered.sort(key=lambda two: -(two[0].score.value - two[1].score.value))
    rates = {m.sha256: _win_rate(m, members, settings.margin) for m in members}
    uses: Counter[str] = Counter()
    kept = 0
    out = []
    for win, lose in ordered:
        margin = win.score.value - lose.score.value
        sided = agreement(win, lose)
        verdict: Verdict = "pair"
        tm, weight = float("nan"), 0.0
        worn = settings.uses and max(uses[win.sha256], uses[lose.sha256]) >= settings.uses
        if margin <= settings.margin:
            verdict = "tie"
        elif sided <= 0.5:
            verdict = "disagreement"
        elif worn or (settings.per_set and kept >= settings.per_set):
            verdict = "surplus"
        else:
            tm = tm_score(win.ca, lose.ca)
            apart = min(1.0, (1.0 - tm) / max(1e-9, 1.0 - settings.same))
            if tm >= settings.same and (settings.near == "drop" or apart <= 0.0):
                verdict = "near-identical"
            else:
                weight = (2.0 * sided - 1.0) * apart * _set_weight(rate)
                kept += 1
                uses[win.sha256] += 1
                uses[lose.sha256] += 1
        both = rates[win.sha256], rates[lose.sha256]
        out.append(Comparison(win, lose, verdict, margin, sided, rate, tm, weight, both))
    return out


def _win_rate(one: Candidate, members: Sequence[Candidate], margin: float) -> float:
    """Estimated probability of beating a design of the same plan."""
    shares = []
    for other in members:
        if other is one:
            continue
        gain = one.score.value - other.score.value
        if one.score.votes:
            shares.append(agreement(one, other))
        else:
            shares.append(0.5 if abs(gain) <= margin else float(gain > 0))
    return float(np.mean(shares)) if shares else 0.5


def summary(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Count what became of comparisons, and how far the judgement can be trusted.

    Parameters
    ----------
    comparisons : sequence of Comparison

    Returns
    -------
    dict
        JSON types: ``sets``, counts by verdict, ``tie_share``; with an ensemble ``noise`` (median
        standard deviation of a design's votes), ``below_noise`` (share of pairs whose margin is
        smaller than the noise of a difference) and ``cyclic`` (share of triples on which the
        majority runs in a circle); ``models`` (share of pair members by model).
    """
    counts = Counter(c.verdict for c in comparisons)
    pairs = [c for c in comparisons if c.verdict == "pair"]
    told: dict[str, Any] = {
        "sets": len({c.win.plan for c in comparisons}),
        "comparisons": len(comparisons),
        **{verdict: counts[verdict] for verdict in sorted(counts)},
        "tie_share": round(counts["tie"] / max(1, len(comparisons)), 4),
    }
    designs = {c.sha256: c for pair in comparisons for c in (pair.win, pair.lose)}
    spread = [float(np.std(c.score.votes)) for c in designs.values() if c.score.votes]
    if spread:
        noise = float(np.median(spread))
        below = sum(c.margin < np.sqrt(2.0) * noise for c in pairs)
        told |= {"noise": round(noise, 6), "below_noise": round(below / max(1, len(pairs)), 4)}
        told |= _cycles(comparisons)
    members = [c.model for pair in pairs for c in (pair.win, pair.lose)]
    shares = {model: round(n / len(members), 4) for model, n in Counter(members).items()}
    return told | {"models": shares}


def _cycles(comparisons: Sequence[Comparison]) -> Mapping[str, Any]:
    """Triples of one set in which the majority of votes prefers a to b, b to c and c to a."""
    beats: dict[str, set[tuple[str, str]]] = defaultdict(set)
    members: dict[str, set[str]] = defaultdict(set)
    for found in comparisons:
        one, two = found.win.sha256, found.lose.sha256
        members[found.win.plan] |= {one, two}
        share = agreement(found.win, found.lose)
        if share != 0.5:
            beats[found.win.plan].add((one, two) if share > 0.5 else (two, one))
    triples = cyclic = 0
    for plan, names in members.items():
        for a, b, c in combinations(sorted(names), 3):
            triples += 1
            ways = {(a, b), (b, c), (c, a)} & beats[plan]
            back = {(b, a), (c, b), (a, c)} & beats[plan]
            cyclic += len(ways) == 3 or len(back) == 3
    return {"triples": triples, "cyclic": round(cyclic / max(1, triples), 4)}
