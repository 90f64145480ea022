"""Before stage 1: where the elements of a blueprint lie to each other.

A blueprint's chain is first drawn from afar (`proteinweaver.nets.coarse`), where its fold is
decided and a call is cheap. Stage 1 then begins at that layout with noise of a few angstrom added,
and finds loops, pairing and packing. A layout of the wrong hand is reflected first.
"""

from collections.abc import Sequence

import torch

from proteinweaver.generation.handedness import right_handed
from proteinweaver.generation.model import LoadedModel
from proteinweaver.generation.sampling import NoiseKey, Sampling, Start, sample_backbones
from proteinweaver.nets.coarse import coarsened, laid_out, marks
from proteinweaver.nets.condition import Condition, stack_conditions
from proteinweaver.structure.frames import frames_from_coord

__all__ = ["draw_layouts"]


def draw_layouts(
    model: LoadedModel,
    conditions: Sequence[Condition],
    keys: Sequence[NoiseKey],
    sampling: Sampling,
    t: float,
) -> tuple[Start, int]:
    """Draw a layout of every chain.

    Parameters
    ----------
    model : LoadedModel
        Trained on marks.
    conditions : sequence of Condition
        Of one chain each, with at least `proteinweaver.nets.coarse.FEWEST_MARKS` marks.
    keys : sequence of NoiseKey
        One per chain.
    sampling : Sampling
    t : float
        Time at which stage 1 takes over.

    Returns
    -------
    start : Start
        Padded to the longest chain.
    calls : int
        Network evaluations.
    """
    rows = [marks(condition) for condition in conditions]
    coarse = [coarsened(c, r) for c, r in zip(conditions, rows, strict=True)]
    stacked = stack_conditions(coarse).to(model.device)
    own = [key.with_stage(f"{key.stage}-layout") for key in keys]
    drawn = sample_backbones(model, stacked, own, sampling)
    longest = max(c.mask.shape[1] for c in conditions)
    rot = torch.eye(3).repeat(len(conditions), longest, 1, 1)
    trans = torch.zeros(len(conditions), longest, 3)
    for k, (condition, chosen) in enumerate(zip(conditions, rows, strict=True)):
        frames = frames_from_coord(drawn.coord[k, : len(chosen)])
        placed = right_handed(condition, *laid_out(condition, chosen, *frames))
        length = condition.mask.shape[1]
        rot[k, :length] = placed[0]
        trans[k, :length] = placed[1] - placed[1].mean(0)
    return Start(rot, trans, t), drawn.calls
