"""Rewards from elsewhere: the critic, a set to be different from, the user's code or table."""

import csv
import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray

from proteinweaver.errors import UserError, nearest
from proteinweaver.evaluation.critic import TrainedCritic, packed
from proteinweaver.evaluation.quick import describe, quick_tm_pairs
from proteinweaver.nets.critic import Judgement
from proteinweaver.preference.subjects import Subject
from proteinweaver.structure.backbone import Backbone

__all__ = [
    "branch_residues",
    "branch_soundness",
    "novelty",
    "python_reward",
    "read_scores",
    "soundness",
]


def branch_soundness(
    subject: Subject, critic: TrainedCritic, branches: Sequence[int]
) -> tuple[float, ...]:
    """Calibrated soundness by single branches of the critic, each times the wholeness.

    Parameters
    ----------
    subject : Subject
        With all four atoms.
    critic : TrainedCritic
    branches : sequence of int
        From 0. Keep some for the held-out reward: they must not have been trained on.

    Returns
    -------
    tuple of float

    Raises
    ------
    UserError
        If there is no such branch.
    """
    judged = _judged(subject.backbone, critic, branches)
    logits = judged.chain[list(branches), 0].double().numpy()
    values = critic.calibration.probability(logits)
    return tuple((values * subject.wholeness).tolist())


def branch_residues(
    backbone: Backbone, critic: TrainedCritic, branches: Sequence[int]
) -> NDArray[np.float32]:
    """Share of native surroundings of every residue by single branches of the critic, their mean.

    Parameters
    ----------
    backbone : Backbone
        With all four atoms.
    critic : TrainedCritic
    branches : sequence of int
        From 0.

    Returns
    -------
    ndarray, dtype=float32, shape=(L,)
        In [0, 1].

    Raises
    ------
    UserError
        If there is no such branch.
    """
    residue = _judged(backbone, critic, branches).residue[list(branches)]
    return torch.sigmoid(residue).mean(0).numpy()


def _judged(backbone: Backbone, critic: TrainedCritic, branches: Sequence[int]) -> Judgement:
    """Let the whole critic judge one backbone; refuse branches that it has not."""
    count = critic.net.config.branches
    if not branches or min(branches) < 0 or max(branches) >= count:
        raise UserError(f"the critic has branches 0 to {count - 1}, not {list(branches)}")
    chains = packed([backbone], critic.net.config.judge_neighbours)
    with torch.no_grad():
        return critic.net.judge(chains)


def soundness(votes: Sequence[float], caution: float) -> float:
    """Lower confidence bound of an ensemble, mean - caution * standard deviation, at least 0.

    Parameters
    ----------
    votes : sequence of float
        In [0, 1].
    caution : float
        0 for the mean.

    Returns
    -------
    float
    """
    return max(0.0, float(np.mean(votes) - caution * np.std(votes)))


def novelty(subject: Subject, known: Sequence[NDArray[np.float64]]) -> float:
    """Distance to the nearest of a set, 1 - largest TM-score, times the wholeness.

    Parameters
    ----------
    subject : Subject
    known : sequence of ndarray, shape=(n, 3)
        CA positions in angstrom.

    Returns
    -------
    float
        TM-scores are normalised by the design's length (`proteinweaver.evaluation.quick`).
    """
    own = np.asarray(subject.backbone.ca, dtype=np.float64)
    features = describe(own)
    scores = quick_tm_pairs(
        [(own, other) for other in known], [(features, describe(other)) for other in known]
    )
    return float(np.clip(1.0 - scores[:, 0].max(), 0.0, 1.0)) * subject.wholeness


def python_reward(target: str) -> Callable[[Subject], float]:
    """Load the user's reward.

    Parameters
    ----------
    target : str
        ``package.module:function`` or ``path/to/file.py:function``. The function is called with a
        `proteinweaver.structure.backbone.Backbone` and returns a number from 0 to 1, or NaN where
        it cannot tell.

    Returns
    -------
    callable

    Raises
    ------
    UserError
        If it cannot be loaded; when called, if it fails or leaves [0, 1].
    """
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise UserError(f"python reward '{target}' is not module:function or file.py:function")
    function = getattr(_module(place, target), name, None)
    if not callable(function):
        raise UserError(f"python reward '{target}': {place} has no function {name}")
    chosen: Callable[[Backbone], object] = function

    def score(subject: Subject) -> float:
        try:
            value = float(chosen(subject.backbone))  # type: ignore[arg-type]
        except Exception as error:  # whatever the user's code raises is the user's to mend
            raise UserError(
                f"python reward '{target}' failed on {subject.name}: "
                f"{type(error).__name__}: {error}; mend the function"
            ) from error
        return _within(value, f"python reward '{target}' of {subject.name}", 0.0, 1.0)

    return score


def _module(place: str, target: str) -> ModuleType:
    try:
        if not place.endswith(".py"):
            return importlib.import_module(place)
        spec = importlib.util.spec_from_file_location(Path(place).stem, place)
        if spec is None or spec.loader is None or not Path(place).is_file():
            raise FileNotFoundError(f"no file {place}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    except Exception as error:
        raise UserError(
            f"python reward '{target}' cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def read_scores(path: str, column: str, low: float, high: float) -> Mapping[str, float]:
    """Read scores that another program gave.

    Parameters
    ----------
    path : str
        CSV with a column ``name`` (of the design) and the one asked for.
    column : str
    low, high : float
        Worst and best value; ``low`` may be the greater one, where less is better.

    Returns
    -------
    mapping of str to float
        From 0 to 1 by design; NaN for empty fields.

    Raises
    ------
    UserError
        If the file or a column is missing, a value is no number or lies outside, or a design
        stands in it twice.
    """
    if low == high:
        raise UserError(f"{path}: low and high are both {low:g}; give the worst and best value")
    try:
        with open(path, newline="", encoding="utf-8") as handle:
            reader = csv.DictReader(handle)
            known = list(reader.fieldnames or [])
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as CSV ({error})") from None
    for wanted in ("name", column):
        if wanted not in known:
            raise UserError(f"{path}: no column '{wanted}'; {nearest(wanted, known)}")
    found: dict[str, float] = {}
    for number, row in enumerate(rows, 2):
        name, text = str(row["name"]), (row[column] or "").strip()
        if name in found:
            raise UserError(f"{path}: line {number}: {name} stands here twice; keep one")
        try:
            value = float(text) if text else float("nan")
        except ValueError:
            raise UserError(f"{path}: line {number}: {column} '{text}' is no number") from None
        value = _within(value, f"{path}: line {number}: {column}", *sorted((low, high)))
        found[name] = (value - low) / (high - low)
    return found


def _within(value: float, what: str, low: float, high: float) -> float:
    """Return a value inside its bounds or NaN; refuse any other."""
    if value != value:
        return value
    if not isfinite(value) or not low <= value <= high:
        raise UserError(f"{what} is {value:g}, outside {low:g} to {high:g}; give its true bounds")
    return value
