"""The critic that ships with the package tells whether a backbone is sound.

An ensemble of branches (`proteinweaver.nets.critic`) gives every backbone a logit each. Their
mean, calibrated on the valid split (Platt), is the *soundness*: the probability that a backbone
out of natives and negatives in equal parts (`proteinweaver.data.negatives`) is a native. The
spread of the branches is its uncertainty. A backbone *passes* if it meets the geometry gate and
its soundness is above the value that 95% of the valid split's natives exceed; that threshold is
stored with the weights.

The critic was never shown designs, and never a backbone with broken bonds: below the gate its
number means nothing.

References
----------
Platt 1999, Advances in Large Margin Classifiers 61 (calibration); Guo et al. 2017, ICML.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from proteinweaver.data.critic_batches import chain_index
from proteinweaver.errors import UserError
from proteinweaver.evaluation.gate import passes_gate
from proteinweaver.evaluation.geometry import chain_metrics
from proteinweaver.io.installation import weights_folder
from proteinweaver.io.typed import build
from proteinweaver.io.weights import read_weights
from proteinweaver.nets.critic import Critic, CriticConfig
from proteinweaver.nets.critic_graph import PackedChains, pack
from proteinweaver.structure.backbone import Backbone

__all__ = [
    "CRITIC_COLUMNS",
    "Calibration",
    "Soundness",
    "TrainedCritic",
    "critic_columns",
    "load_critic",
    "packed",
    "soundness_of",
]

FloatArray = NDArray[np.float64]

#: Columns that `critic_columns` gives, with their meaning.
CRITIC_COLUMNS: Mapping[str, str] = {
    "soundness": "Calibrated probability that the backbone is a native, not a negative.",
    "soundness_min": "Lowest soundness of nine residues in a row.",
    "critic_std": "Standard deviation of the soundness over the critic's branches.",
    "pass": "1 where the geometry gate is met and soundness is above what 95% of natives exceed.",
}
_WINDOW = 9
_RESIDUES_AT_ONCE = 3000


@dataclass(frozen=True)
class Calibration:
    """From logits to probabilities, and where to draw the line.

    Parameters
    ----------
    slope, offset : float
        soundness = 1 / (1 + exp(-(slope logit + offset))).
    threshold : float
        Soundness that 95% of the valid split's natives exceed.
    """

    slope: float = 1.0
    offset: float = 0.0
    threshold: float = 0.5

    def probability(self, logit: ArrayLike) -> FloatArray:
        """Soundness of logits."""
        x = self.slope * np.asarray(logit, dtype=np.float64) + self.offset
        return 1.0 / (1.0 + np.exp(-np.clip(x, -60.0, 60.0)))


@dataclass(frozen=True)
class TrainedCritic:
    """A critic with its weights.

    Parameters
    ----------
    net : Critic
        In evaluation mode, on the CPU.
    calibration : Calibration
    sha256 : str
        Hash of the weights.
    """

    net: Critic
    calibration: Calibration
    sha256: str


@dataclass(frozen=True)
class Soundness:
    """What the critic says of one backbone.

    Parameters
    ----------
    soundness : float
        Calibrated, from 0 to 1.
    lowest : float
        Lowest mean over nine residues in a row of the residues' soundness.
    std : float
        Spread over the branches.
    passed : bool
        Gate and threshold.
    residue : ndarray, dtype=float64, shape=(L,)
        Expected share of native surroundings of every residue, from 0 to 1.
    logit : float
        Mean of the branches, not calibrated.
    """

    soundness: float
    lowest: float
    std: float
    passed: bool
    residue: FloatArray
    logit: float


@lru_cache(maxsize=4)
def load_critic(path: str | Path | None = None) -> TrainedCritic:
    """Load the critic; the same path is read once only.

    Parameters
    ----------
    path : path-like, optional
        A ``.safetensors`` file with its ``.json``, or the folder of ``critic.safetensors``.
        Default: the shipped one.

    Returns
    -------
    TrainedCritic

    Raises
    ------
    UserError
        If it is missing, damaged or no critic.
    """
    file = Path(path) if path else weights_folder()
    file = file / "critic.safetensors" if file.is_dir() else file
    found = read_weights(file)
    where = str(file.with_suffix(".json"))
    if "critic" not in found.config:
        raise UserError(f"{where}: these are no weights of a critic; give critic.safetensors")
    net = Critic(build(CriticConfig, found.config["critic"], f"{where}: critic"))
    try:
        net.load_state_dict(found.state)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise UserError(f"{file}: does not fit the network of its .json: {first}") from None
    calibration = build(Calibration, found.config.get("calibration", {}), f"{where}: calibration")
    return TrainedCritic(net.eval().requires_grad_(False), calibration, found.sha256)


def packed(backbones: Sequence[Backbone], neighbours: int) -> PackedChains:
    """Pack backbones for the network.

    Parameters
    ----------
    backbones : sequence of Backbone
        With all four atoms of every residue.
    neighbours : int

    Returns
    -------
    PackedChains

    Raises
    ------
    UserError
        If an atom is missing.
    """
    for backbone in backbones:
        if not backbone.is_finite:
            what = "only CA atoms" if backbone.is_ca_only else "coordinates that are not finite"
            raise UserError(f"{backbone.name}: {what}; the critic needs N, CA, C and O")
    coords = [torch.from_numpy(np.array(b.coord)) for b in backbones]
    coords = [xyz - xyz[:, 1].mean(0) for xyz in coords]
    return pack(coords, [chain_index(b.break_after) for b in backbones], neighbours)


def _groups(backbones: Sequence[Backbone]) -> Iterator[slice]:
    """Cut a list into runs of backbones of a few thousand residues."""
    start, total = 0, 0
    for k, backbone in enumerate(backbones):
        if k > start and total + len(backbone) > _RESIDUES_AT_ONCE:
            yield slice(start, k)
            start, total = k, 0
        total += len(backbone)
    if start < len(backbones):
        yield slice(start, len(backbones))


def _lowest_window(residue: FloatArray) -> float:
    width = min(_WINDOW, len(residue))
    return float(np.convolve(residue, np.ones(width) / width, mode="valid").min())


def soundness_of(
    backbones: Sequence[Backbone],
    critic: TrainedCritic | None = None,
    gates: Sequence[bool] | None = None,
) -> list[Soundness]:
    """Judge backbones.

    Parameters
    ----------
    backbones : sequence of Backbone
        Whole structures; the chains of one are judged together.
    critic : TrainedCritic, optional
        Default: the shipped one.
    gates : sequence of bool, optional
        Whether each meets the geometry gate, where that is known. Default: it is measured.

    Returns
    -------
    list of Soundness

    Raises
    ------
    UserError
        If a backbone lacks atoms or the weights cannot be read.
    """
    critic = critic or load_critic()
    law = critic.calibration
    out: list[Soundness] = []
    for rows in _groups(backbones):
        group = backbones[rows]
        chains = packed(group, critic.net.config.judge_neighbours)
        with torch.no_grad():
            found = critic.net.judge(chains)
        logits = found.chain.double().numpy()
        residue = torch.sigmoid(found.residue).mean(0).double().numpy()
        ends = np.cumsum([0, *map(len, group)])
        for k, backbone in enumerate(group):
            own = residue[ends[k] : ends[k + 1]]
            soundness = float(law.probability(logits[:, k].mean()))
            gate = (
                passes_gate(chain_metrics(backbone.coord, backbone.break_after))
                if gates is None
                else gates[rows.start + k]
            )
            out.append(
                Soundness(
                    soundness=soundness,
                    lowest=_lowest_window(own),
                    std=float(law.probability(logits[:, k]).std()),
                    passed=gate and soundness >= law.threshold,
                    residue=own,
                    logit=float(logits[:, k].mean()),
                )
            )
    return out


def critic_columns(
    backbones: Sequence[Backbone],
    critic: TrainedCritic | None = None,
    gates: Sequence[bool] | None = None,
) -> list[dict[str, float]]:
    """Give the columns of `CRITIC_COLUMNS` for a table.

    Parameters
    ----------
    backbones : sequence of Backbone
    critic : TrainedCritic, optional
        Default: the shipped one.
    gates : sequence of bool, optional
        Whether each meets the geometry gate, where that is known. Default: it is measured.

    Returns
    -------
    list of dict of str to float
        One row per backbone; NaN where an atom is missing (``pass`` 0).
    """
    whole = [k for k, backbone in enumerate(backbones) if backbone.is_finite]
    nothing = dict.fromkeys(CRITIC_COLUMNS, float("nan")) | {"pass": 0.0}
    rows = [dict(nothing) for _ in backbones]
    known = None if gates is None else [gates[k] for k in whole]
    judged = soundness_of([backbones[k] for k in whole], critic, known)
    for k, found in zip(whole, judged, strict=True):
        rows[k] = {
            "soundness": found.soundness,
            "soundness_min": found.lowest,
            "critic_std": found.std,
            "pass": float(found.passed),
        }
    return rows
