"""Batches of rankings by number, out of a pair file: pairs as they are, or longer lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proteinweaver.errors import UserError
from proteinweaver.evaluation.critic import load_critic
from proteinweaver.preference.outside import branch_residues
from proteinweaver.preference.pair_file import Members, Pair, load_members
from proteinweaver.preference.step import RankingBatch, ranking_batch
from proteinweaver.structure.backbone import Backbone

__all__ = ["Ranking", "RankingSource", "rankings_of"]


@dataclass(frozen=True)
class Ranking:
    """Designs of one plan, best first.

    Parameters
    ----------
    key : str
        Of its noise.
    records : tuple of mapping
        See `proteinweaver.preference.candidates.Candidate.record`.
    weight : float
    rates : tuple of float
        Win rates of the designs against their set.
    """

    key: str
    records: tuple[Mapping[str, Any], ...]
    weight: float
    rates: tuple[float, ...]


def rankings_of(pairs: Sequence[Pair], size: int, seed: int) -> list[Ranking]:
    """Make rankings out of pairs.

    Parameters
    ----------
    pairs : sequence of Pair
    size : int
        2: the pairs themselves. More: the designs that lie in the pairs of a plan are dealt, in a
        random order, into rankings of so many by their scores; what is left over is not used.
    seed : int
        Of that order.

    Returns
    -------
    list of Ranking

    Raises
    ------
    UserError
        If no plan has enough designs.
    """
    if size == 2:
        return [Ranking(str(p.number), (p.win, p.lose), p.weight, p.rates) for p in pairs]
    plans: dict[str, list[Pair]] = {}
    for pair in pairs:
        plans.setdefault(str(pair.win["plan"]), []).append(pair)
    made = []
    for plan, own in sorted(plans.items()):
        designs = {str(one["sha256"]): one for pair in own for one in (pair.win, pair.lose)}
        deal = np.random.default_rng((seed, int(plan, 16))).permutation(sorted(designs))
        weight = float(np.mean([pair.weight for pair in own]))
        for start in range(0, len(deal) - size + 1, size):
            hand = [designs[name] for name in deal[start : start + size]]
            hand.sort(key=lambda one: (-float(one["score"]), str(one["sha256"])))
            rates = tuple(float(one["win_rate"]) for one in hand)
            made.append(Ranking(f"{plan}/{start}", tuple(hand), weight, rates))
    if not made:
        raise UserError(f"no plan has {size} designs in its pairs; lower data.list_size")
    return made


class RankingSource:
    """Batches by number: every ranking once an epoch, in an order keyed by the epoch.

    Parameters
    ----------
    path : Path
        The pair file.
    rankings : sequence of Ranking
    batch : int
        Rankings of a batch; fewer where there are fewer.
    seed : int
    fresh : bool
        Draw new noise in every batch; else a ranking always meets the same.
    control : bool
        Put the designs of every ranking in an order by lot; win rates are all one half.
    branches : sequence of int
        Branches of the shipped critic that tell what a residue counts: the share q of native
        surroundings in the best design, 1 - q in the others. Default: all count alike.
    """

    def __init__(
        self,
        path: Path,
        rankings: Sequence[Ranking],
        batch: int,
        seed: int,
        *,
        fresh: bool = True,
        control: bool = False,
        branches: Sequence[int] = (),
    ) -> None:
        self.path, self.rankings = path, tuple(rankings)
        self.size, self.seed = min(batch, len(rankings)), seed
        self.fresh, self.control, self.branches = fresh, control, tuple(branches)
        self._members: dict[str, Members] = {}
        self._counts: dict[str, NDArray[np.float32]] = {}

    def batch(self, step: int) -> RankingBatch:
        """Batch number ``step``."""
        count = len(self.rankings)
        chosen = []
        for place in range(step * self.size, (step + 1) * self.size):
            order = np.random.default_rng((self.seed, place // count)).permutation(count)
            chosen.append(self.rankings[int(order[place % count])])
        turn = step if self.fresh else "fixed"
        return ranking_batch(
            [self._load(one) for one in chosen],
            [f"{self.seed}/{one.key}/{turn}" for one in chosen],
            [one.weight for one in chosen],
            [(0.5,) * len(one.rates) if self.control else one.rates for one in chosen],
            [self._counted(one) for one in chosen] if self.branches else None,
        )

    def _load(self, ranking: Ranking) -> Members:
        if ranking.key not in self._members:
            found = load_members(self.path, ranking.records)
            if self.control:
                key = [ord(letter) for letter in ranking.key]
                order = np.random.default_rng((self.seed, *key)).permutation(len(found.ranked))
                found = replace(found, ranked=found.ranked[order])
            self._members[ranking.key] = found
        return self._members[ranking.key]

    def _counted(self, ranking: Ranking) -> NDArray[np.float32]:
        if ranking.key not in self._counts:
            critic = load_critic()
            shares = np.stack(
                [
                    branch_residues(Backbone.from_coord(coord), critic, self.branches)
                    for coord in self._load(ranking).ranked
                ]
            )
            shares[1:] = 1.0 - shares[1:]
            self._counts[ranking.key] = shares
        return self._counts[ranking.key]
