"""Which of several draws is kept: of a generated domain, or of the linkers between found poses.

Draws of one blueprint from one layout differ most in what the last steps decide: whether strands
pair and how all of it packs (docs/training.md, question 32). A few draws and a choice are
therefore cheaper than steps. The choice is the critic's, which sees packing, with a word of the
long-range hydrogen bonds, which it hardly counts. Of chains that differ in their linkers those
that meet all checks come first, then those the critic likes (question 46).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from proteinweaver.evaluation.critic import load_critic, soundness_of
from proteinweaver.evaluation.geometry import chain_metrics
from proteinweaver.generation.quality import Verdict, judge
from proteinweaver.structure.backbone import Backbone

__all__ = ["PAIRING", "chain_worth", "domain_worth"]

#: Units of the critic's logit that one long-range hydrogen bond a residue is worth.
PAIRING = 20.0


def domain_worth(chains: Sequence[NDArray[np.float32]], closed: bool) -> list[float]:
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
    list of float
        Higher is better; minus infinity for coordinates that are no numbers.
    """
    if not closed:
        return [judge(chain).score for chain in chains]
    worth = [-math.inf] * len(chains)
    sound = [k for k, chain in enumerate(chains) if np.isfinite(chain).all()]
    backbones = [Backbone.from_coord(chains[k]) for k in sound]
    gates = [True] * len(sound)  # the logit does not ask for them
    for k, verdict in zip(sound, soundness_of(backbones, load_critic(), gates), strict=True):
        worth[k] = verdict.logit + PAIRING * chain_metrics(chains[k]).hb_long
    return worth


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
