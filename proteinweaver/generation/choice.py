"""Which of several draws is kept: of a generated domain, or of an assembled chain.

Draws of one blueprint differ in their layout, which decides how wide they are, and in what the
last steps decide: whether strands pair and how all of it packs (docs/training.md, questions 32 and
49). A few draws and a choice are therefore cheaper than steps. Those that meet all checks come
first. Then the choice is the critic's, which sees packing, of domains with a word of the
long-range hydrogen bonds, which it hardly counts (questions 42 and 46).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from proteinweaver.evaluation.critic import load_critic, soundness_of
from proteinweaver.generation.quality import Verdict, judge
from proteinweaver.structure.backbone import Backbone

__all__ = ["PAIRING", "chain_worth", "domain_worth"]

#: Units of the critic's logit that one long-range hydrogen bond a residue is worth.
PAIRING = 20.0


def domain_worth(chains: Sequence[NDArray[np.float32]], closed: bool) -> list[tuple[bool, float]]:
    """Tell by what the best of several domains is chosen.

    Parameters
    ----------
    chains : sequence of ndarray, shape=(L, 4, 3)
        N, CA, C, O in angstrom.
    closed : bool
        Whether peptide bonds were closed. Of open ones the critic knows nothing: then it is the
        score of a design.

    Returns
    -------
    list of (bool, float)
        Whether it meets all checks; the critic's logit, with `PAIRING` for every long-range
        hydrogen bond a residue, minus infinity for coordinates that are no numbers. Higher is
        better.
    """
    verdicts = [judge(chain) for chain in chains]
    worth = chain_worth([Backbone.from_coord(chain) for chain in chains], verdicts, closed)
    if not closed:
        return worth
    return [
        (passes, logit + PAIRING * verdict.metrics.get("hb_long", 0.0))
        for (passes, logit), verdict in zip(worth, verdicts, strict=True)
    ]


def chain_worth(
    backbones: Sequence[Backbone], verdicts: Sequence[Verdict], closed: bool
) -> list[tuple[bool, float]]:
    """Tell by what the best of several chains of one plan is chosen.

    Parameters
    ----------
    backbones : sequence of Backbone
    verdicts : sequence of Verdict
        Of the checks.
    closed : bool
        Whether peptide bonds were closed. Of open ones the critic knows nothing: then it is the
        score of a design.

    Returns
    -------
    list of (bool, float)
        Whether it meets all checks; the critic's logit, minus infinity for coordinates that are no
        numbers. Higher is better.
    """
    if not closed:
        return [(verdict.passes, verdict.score) for verdict in verdicts]
    worth = [(False, -math.inf)] * len(backbones)
    sound = [k for k, one in enumerate(backbones) if np.isfinite(one.coord).all()]
    gates = [True] * len(sound)
    found = soundness_of([backbones[k] for k in sound], load_critic(), gates)
    for k, judged in zip(sound, found, strict=True):
        worth[k] = (verdicts[k].passes, judged.logit)
    return worth
