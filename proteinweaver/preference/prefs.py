"""From run folders to a pair file: score, compare, write, and tell what was left out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from proteinweaver.errors import UserError
from proteinweaver.preference.candidates import Candidate, draws_of_a_chain, find_candidates
from proteinweaver.preference.comparisons import Comparison, PairSettings, compare, summary
from proteinweaver.preference.pair_file import write_pairs
from proteinweaver.preference.rewards import reward_of

__all__ = ["DEFAULT_REWARDS", "PrefsRequest", "PrefsResult", "make_pairs", "reward_card"]

#: What a backbone alone can be judged by.
DEFAULT_REWARDS = ("2*interface", "buried-area", "clash", "chain", "drift", "compactness")


@dataclass(frozen=True)
class PrefsRequest:
    """What to compare, and how.

    Parameters
    ----------
    paths : tuple of str
        Run folders.
    out : str
        Pair file.
    rewards : tuple of str
        See `proteinweaver.preference.rewards.reward_of`.
    models : tuple of str
        Hashes, or their beginnings, of the assembler weights that samples may come from.
    settings : PairSettings
    overwrite : bool
    held_out : tuple of str
        Another reward, which decides nothing: how far it agrees is told.
    """

    paths: tuple[str, ...]
    out: str
    rewards: tuple[str, ...] = DEFAULT_REWARDS
    models: tuple[str, ...] = ()
    settings: PairSettings = field(default_factory=PairSettings)
    overwrite: bool = False
    held_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class PrefsResult:
    """What came of it.

    Parameters
    ----------
    pairs : int
    designs : int
        Scored ones.
    summary : mapping
        See `proteinweaver.preference.comparisons.summary`, and ``lonely``: designs whose plan no
        other shares; with a held-out reward ``held_out``: ``designs`` that both could score,
        ``rank_correlation`` over them, ``agrees``: share of the pairs that it decides alike, ties
        counting half, and ``pairs`` that it could judge.
    card : mapping
        See `reward_card`.
    problems : tuple of (str, str)
        Kind of fault and a line, for every design left out.
    chosen : tuple of str
        Run folders whose chains are the best of several draws, which are no samples of the model.
    """

    pairs: int
    designs: int
    summary: Mapping[str, Any]
    card: Mapping[str, Mapping[str, float | None]]
    problems: tuple[tuple[str, str], ...]
    chosen: tuple[str, ...] = ()


def reward_card(candidates: Sequence[Candidate]) -> dict[str, dict[str, float | None]]:
    """Tell what decides the scores of a set of designs.

    Parameters
    ----------
    candidates : sequence of Candidate

    Returns
    -------
    dict
        By term: ``mean``, ``std``, and ``rank_correlation`` (Spearman) with the whole reward; None
        where a term is the same for all.
    """
    total = np.array([c.score.value for c in candidates])
    card: dict[str, dict[str, float | None]] = {}
    for name in candidates[0].score.terms if candidates else ():
        values = np.array([c.score.terms[name] for c in candidates])
        card[name] = {
            "mean": round(float(values.mean()), 4),
            "std": round(float(values.std()), 4),
            "rank_correlation": _rank_correlation(values, total),
        }
    return card


def make_pairs(request: PrefsRequest) -> PrefsResult:
    """Write a pair file.

    Parameters
    ----------
    request : PrefsRequest

    Returns
    -------
    PrefsResult

    Raises
    ------
    UserError
        If the request cannot be met or gives no pair; then nothing has been written.
    """
    out = Path(request.out)
    if out.exists() and not request.overwrite:
        raise UserError(f"{out} exists; give another file or --overwrite")
    found = find_candidates(request.paths, reward_of(request.rewards), request.models)
    comparisons = compare(found.candidates, request.settings)
    told = summary(comparisons)
    plans = Counter(candidate.plan for candidate in found.candidates)
    told["lonely"] = sum(count == 1 for count in plans.values())
    pairs = int(told.get("pair", 0))
    if not pairs:
        raise UserError(_why_none(told, found.problems, len(found.candidates)))
    if request.held_out:
        told["held_out"] = _held_out(request, found.candidates, comparisons)
    card = reward_card(found.candidates)
    header = {
        "rewards": list(request.rewards),
        "settings": asdict(request.settings),
        "models": sorted({candidate.model for candidate in found.candidates}),
        "designs": len(found.candidates),
        "left_out": dict(Counter(kind for kind, _ in found.problems)),
        "summary": told,
        "card": card,
    }
    write_pairs(out, header, comparisons)
    chosen = tuple(run for run in request.paths if draws_of_a_chain(Path(run)) > 1)
    return PrefsResult(pairs, len(found.candidates), told, card, found.problems, chosen)


def _held_out(
    request: PrefsRequest, candidates: Sequence[Candidate], comparisons: Sequence[Comparison]
) -> dict[str, Any]:
    """Compare the reward with one that decided nothing."""
    other = find_candidates(request.paths, reward_of(request.held_out), request.models)
    value = {(c.plan, c.sha256): c.score.value for c in other.candidates}
    both = [
        (c.score.value, value[c.plan, c.sha256]) for c in candidates if (c.plan, c.sha256) in value
    ]
    gains = [
        value[c.win.plan, c.win.sha256] - value[c.lose.plan, c.lose.sha256]
        for c in comparisons
        if c.verdict == "pair"
        and (c.win.plan, c.win.sha256) in value
        and (c.lose.plan, c.lose.sha256) in value
    ]
    mine, theirs = np.array(both).reshape(-1, 2).T
    agrees = float(np.mean((np.sign(gains) + 1) / 2)) if gains else None
    return {
        "rewards": list(request.held_out),
        "designs": len(both),
        "rank_correlation": _rank_correlation(mine, theirs),
        "pairs": len(gains),
        "agrees": None if agrees is None else round(agrees, 4),
    }


def _rank_correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    """Spearman's; None where one of them does not vary."""
    varied = len(x) > 2 and np.ptp(x) > 0 and np.ptp(y) > 0
    return round(float(spearmanr(x, y).statistic), 4) if varied else None


def _why_none(told: Mapping[str, Any], problems: Sequence[tuple[str, str]], designs: int) -> str:
    """Say why no pair came out, with the mend."""
    if not designs:
        first = f"; {problems[0][1]}" if problems else ""
        return f"no design could be scored{first}"
    if not told["comparisons"]:
        return (
            f"{designs} designs, no two of one plan; sample several designs of the same domains"
            " with a fixed --order and exact --linker lengths"
        )
    counts = ", ".join(
        f"{told[k]} {k}" for k in ("tie", "disagreement", "near-identical") if told.get(k)
    )
    return f"no pair among {told['comparisons']} comparisons ({counts}); lower the margin"
