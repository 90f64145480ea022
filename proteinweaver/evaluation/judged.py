"""The critic as a source of columns, with its judgement of every residue for the page."""

from collections.abc import Sequence
from pathlib import Path

from proteinweaver.evaluation.critic import (
    CRITIC_COLUMNS,
    TrainedCritic,
    load_critic,
    soundness_of,
)
from proteinweaver.evaluation.gate import passes_gate
from proteinweaver.evaluation.geometry import chain_metrics
from proteinweaver.evaluation.measure import ColumnSource, Layer, Measured
from proteinweaver.evaluation.samples import Sample
from proteinweaver.evaluation.schema import ColumnInfo
from proteinweaver.io.installation import weights_folder

__all__ = ["critic_source", "has_critic"]


def has_critic(path: str = "") -> bool:
    """Whether there are weights of a critic, at ``path`` or shipped."""
    folder = Path(path) if path else weights_folder()
    return folder.is_file() or (folder / "critic.safetensors").is_file()


def critic_source(path: str = "") -> ColumnSource:
    """Make the source of the columns of `critic.CRITIC_COLUMNS`.

    Parameters
    ----------
    path : str, optional
        Weights of a critic. Default: the shipped ones.

    Returns
    -------
    ColumnSource
        Its version is the hash of the weights. Structures without N, C and O get no answer.

    Raises
    ------
    UserError
        If the weights cannot be read.
    """
    critic = load_critic(path or None)
    columns = tuple(
        ColumnInfo(
            key,
            "0/1" if key == "pass" else "",
            meaning,
            "low" if key == "critic_std" else "high",
        )
        for key, meaning in CRITIC_COLUMNS.items()
    )
    return ColumnSource(
        "critic", critic.sha256, columns, lambda samples: _measure(samples, critic)
    )


def _measure(samples: Sequence[Sample], critic: TrainedCritic) -> list[Measured]:
    out = [Measured({}) for _ in samples]
    whole = [k for k, s in enumerate(samples) if s.backbone is not None and s.backbone.is_finite]
    backbones = [backbone for k in whole if (backbone := samples[k].backbone) is not None]
    gates = [
        passes_gate(chain_metrics(backbone.coord, samples[k].gap))
        for k, backbone in zip(whole, backbones, strict=True)
    ]
    judged = soundness_of(backbones, critic, gates)
    for k, found in zip(whole, judged, strict=True):
        values = {
            "soundness": found.soundness,
            "soundness_min": found.lowest,
            "critic_std": found.std,
            "pass": int(found.passed),
        }
        out[k] = Measured(values, {"soundness": Layer(found.residue, 0.0, 1.0)})
    return out
