"""Designs that may be compared: read from run folders, each with the plan it shares with others.

Two designs may be compared only if they answer the same question: the same domains (their insides
to the last digit of the file), in the same order, at the same residues, kept in the same mode. The
*plan* of a design is a hash of all that. What cannot be used is told, never passed over.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proteinweaver.errors import UserError
from proteinweaver.evaluation.samples import Entry, find_entries, read_sample
from proteinweaver.preference.rewards import Reward, Score
from proteinweaver.preference.subjects import Subject

__all__ = [
    "Candidate",
    "Found",
    "draws_of_a_chain",
    "find_candidates",
    "plan_of",
    "run_identity",
    "side_content",
]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A scored design.

    Parameters
    ----------
    name, job : str
    index, seed : int
        With the run's ``run.json`` they make the design again.
    run, file : str
        Run folder, and the structure file inside it.
    sha256 : str
        Of the structure file.
    model : str
        Hash of the assembler's weights.
    plan : str
        See `plan_of`.
    passed : bool
        Whether it met every check when it was made.
    score : Score
    ca : ndarray, shape=(L, 3)
        Angstrom.
    """

    name: str
    job: str
    index: int
    seed: int
    run: str
    file: str
    sha256: str
    model: str
    plan: str
    passed: bool
    score: Score
    ca: NDArray[np.float32] = field(repr=False)

    @property
    def record(self) -> dict[str, Any]:
        """What a pair file keeps of it; JSON types only."""
        names = ("name", "job", "index", "seed", "run", "file", "sha256", "model", "plan")
        told: dict[str, Any] = {name: getattr(self, name) for name in names}
        terms = {key: round(value, 6) for key, value in self.score.terms.items()}
        votes = [round(vote, 6) for vote in self.score.votes]
        return told | {
            "passed": self.passed,
            "score": round(self.score.value, 6),
            "terms": terms,
            "votes": votes,
        }


@dataclass(frozen=True)
class Found:
    """What run folders hold.

    Parameters
    ----------
    candidates : tuple of Candidate
    problems : tuple of (str, str)
        Kind of fault, and a line about one design.
    """

    candidates: tuple[Candidate, ...]
    problems: tuple[tuple[str, str], ...]


def plan_of(side: Mapping[str, Any], inputs: NDArray[np.float64]) -> str:
    """Hash everything that two designs must share to be compared.

    Parameters
    ----------
    side : mapping
        Content of the side file.
    inputs : ndarray, shape=(L, 4, 3)
        The given domains at their residues; NaN in linkers.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    segments = [
        {key: s.get(key) for key in ("kind", "first", "last", "mode", "request")}
        for s in side["plan"]["segments"]
    ]
    told = json.dumps([side["plan"]["order"], segments], sort_keys=True)
    whole = hashlib.sha256(told.encode())
    whole.update(np.round(np.nan_to_num(inputs, nan=-999.0), 3).astype("<f8").tobytes())
    return whole.hexdigest()[:16]


def run_identity(run: Path) -> dict[str, Any]:
    """Read what makes a run folder the run it is: settings and weights; empty if it cannot be."""
    try:
        return dict(json.loads((run / "run.json").read_text(encoding="utf-8"))["identity"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def draws_of_a_chain(run: Path) -> int:
    """Tell of how many draws the chains of a run folder are the best; 1 where it does not say."""
    told = run_identity(run).get("chain_candidates")
    return told if isinstance(told, int) else 1


def find_candidates(
    paths: Sequence[str | Path], reward: Reward, models: Iterable[str] = ()
) -> Found:
    """Read and score the designs of run folders.

    Parameters
    ----------
    paths : sequence of path-like
        Run folders.
    reward : Reward
    models : iterable of str, optional
        Hashes (or their beginnings) of the assembler weights that samples may come from. Default:
        all designs must come from one model.

    Returns
    -------
    Found
        Candidates in the order of the paths; the same structure is taken once only.

    Raises
    ------
    UserError
        If a folder is missing, or designs of several models lie here and none was named.
    """
    allowed = tuple(models)
    candidates: list[Candidate] = []
    problems: list[tuple[str, str]] = []
    seen: dict[tuple[str, str], str] = {}
    for path in paths:
        entries, _ = find_entries([path])
        for entry in entries:
            made = _candidate(entry, Path(path), reward, allowed)
            if isinstance(made, tuple):
                problems.append(made)
            elif (key := (made.plan, made.sha256)) in seen:
                problems.append(("duplicate", f"{made.name}: the same file as {seen[key]}"))
            else:
                seen[key] = made.name
                candidates.append(made)
    found = sorted({candidate.model for candidate in candidates})
    if not allowed and len(found) > 1:
        short = ", ".join(model[:12] for model in found)
        raise UserError(f"designs of {len(found)} models ({short}); name those meant with --model")
    return Found(tuple(candidates), tuple(problems))


def _candidate(
    entry: Entry, run: Path, reward: Reward, allowed: Sequence[str]
) -> Candidate | tuple[str, str]:
    """Score one design, or say why not."""
    sample = read_sample(entry)
    backbone = sample.backbone
    if backbone is None:
        return "unreadable", f"{entry.name}: {sample.error}"
    side = side_content(entry)
    if not side:
        return "no side file", f"{entry.name}: nothing tells its plan and seed"
    model = str(side.get("weights", {}).get("assembler", ""))
    if not model:
        return "no model", f"{entry.name}: no assembler made it"
    if allowed and not any(model.startswith(name) for name in allowed):
        return "wrong model", f"{entry.name}: made by {model[:12]}, not {', '.join(allowed)}"
    if sample.inputs is None:
        return "no inputs", f"{entry.name}: its domains are missing in domains/"
    score = reward(Subject(backbone, sample.inputs.astype(np.float32)))
    if not np.isfinite(score.value):
        return "no score", f"{entry.name}: {score.reason}"
    return Candidate(
        name=entry.name,
        job=str(side["job"]),
        index=int(side["index"]),
        seed=int(side["seed"]),
        run=str(run),
        file=str(entry.file.relative_to(run)) if run.is_dir() else entry.file.name,
        sha256=hashlib.sha256(entry.file.read_bytes()).hexdigest(),
        model=model,
        plan=plan_of(side, sample.inputs),
        passed=all(side.get("checks", {}).values()),
        score=score,
        ca=backbone.ca,
    )


def side_content(entry: Entry) -> Mapping[str, Any]:
    """Read the side file of a design; empty where it is not one of ours.

    Parameters
    ----------
    entry : Entry

    Returns
    -------
    mapping
        With ``index``, ``seed``, ``job`` and ``plan`` at least.
    """
    if entry.side is None:
        return {}
    try:
        told = json.loads(entry.side.read_text(encoding="utf-8"))
        int(told["index"]), int(told["seed"]), str(told["job"]), told["plan"]["segments"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    ours: Mapping[str, Any] = told
    return ours
