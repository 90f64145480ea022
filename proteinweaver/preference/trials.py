"""Samples as they are judged: one row a sample, with two rewards, checks, drift and likeness.

A `Trial` holds what comparisons of models need and no coordinates, so that rows can be kept in a
text file and added to. The *training* reward is what pairs were made by; the *held-out* one
decided nothing, so what it says is evidence. A sample whose coordinates are not finite has both
rewards 0 and fails; one that a reward cannot judge has none, and is left out.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proteinweaver.errors import UserError
from proteinweaver.evaluation.samples import Entry, find_entries, read_sample
from proteinweaver.evaluation.tm import tm_score
from proteinweaver.io.manifest import read_manifest
from proteinweaver.preference.candidates import plan_of, run_identity, side_content
from proteinweaver.preference.rewards import Reward
from proteinweaver.preference.subjects import Subject

__all__ = ["Trial", "read_trials", "trial_rows", "write_rows"]

NAN = float("nan")


@dataclass(frozen=True)
class Trial:
    """One sample of one set.

    Parameters
    ----------
    weights : str
        Hash of the assembler's weights.
    set : str
    sample : int
        From 0; the same number starts from the same noise under any weights.
    plan : str
        See `proteinweaver.preference.candidates.plan_of`; empty for one that is not finite.
    missed : tuple of str
        Hard checks that it does not meet; ``("finite",)`` for one that is not finite.
    training, held_out : float or None
        Rewards; None where they cannot be told.
    terms : mapping of str to float or None
        Of both rewards, those held out with ``held-out`` before them.
    drift : float or None
        Largest CA-RMSD of a domain from its file (A).
    contacts : float or None
        Contacts between domains over those of natives of these sizes.
    alike : tuple of (float or None)
        TM-scores, residue by residue, to the samples 0, 1, ... before it in its set.
    """

    weights: str
    set: str
    sample: int
    plan: str
    missed: tuple[str, ...]
    training: float | None
    held_out: float | None
    terms: Mapping[str, float | None]
    drift: float | None
    contacts: float | None
    alike: tuple[float | None, ...]

    @property
    def failed(self) -> bool:
        """Whether it misses a hard check."""
        return bool(self.missed)


def read_trials(
    run: Path, training: Reward, held_out: Reward, known: Iterable[tuple[str, int]] = ()
) -> Iterator[Trial]:
    """Judge the samples of a run folder.

    Parameters
    ----------
    run : Path
    training, held_out : Reward
    known : iterable of (str, int)
        Sets and samples that need not be judged.

    Yields
    ------
    Trial
        Set by set, by number.

    Raises
    ------
    UserError
        If the folder holds no samples, or a file of one is missing or damaged.
    """
    lines = sorted(read_manifest(run).values(), key=lambda x: (str(x["job"]), int(x["index"])))
    if not lines:
        raise UserError(f"{run}: no samples here; the run has not begun")
    skip = set(known)
    sound = any(line.get("status") == "ok" for line in lines)
    entries = {entry.name: entry for entry in find_entries([run])[0]} if sound else {}
    model = _model(run)
    before: list[NDArray[np.float32] | None] = []
    name = None
    for line in lines:
        if line["job"] != name:
            name, before = line["job"], []
        key = (str(line["job"]), int(line["index"]))
        if line.get("status") != "ok":
            if key not in skip:
                nothing = (None,) * len(before)
                yield Trial(model, *key, "", ("finite",), 0.0, 0.0, {}, None, None, nothing)
            before.append(None)
            continue
        entry = entries.get(str(line["name"]))
        sample = read_sample(entry) if entry else None
        if entry is None or sample is None or sample.backbone is None:
            why = sample.error if sample else "no file"
            raise UserError(f"{run}: {line['name']} cannot be read ({why}); sample it again")
        ca = sample.backbone.ca
        if key not in skip:
            inputs = None if sample.inputs is None else sample.inputs.astype(np.float32)
            subject = Subject(sample.backbone, inputs)
            alike = [None if other is None else tm_score(other, ca) for other in before]
            yield _judged(model, key, entry, subject, training, held_out, alike)
        before.append(ca)


def _judged(
    model: str,
    key: tuple[str, int],
    entry: Entry,
    subject: Subject,
    training: Reward,
    held_out: Reward,
    alike: Sequence[float | None],
) -> Trial:
    side = side_content(entry)
    if not side or subject.inputs is None:
        raise UserError(f"{entry.file}: its side file or its domains are missing; sample it again")
    one, two = training(subject), held_out(subject)
    terms = {**one.terms, **{f"held-out {name}": x for name, x in two.terms.items()}}
    metrics = side.get("metrics", {})
    return Trial(
        weights=model,
        set=key[0],
        sample=key[1],
        plan=plan_of(side, np.asarray(subject.inputs, dtype=np.float64)),
        missed=tuple(name for name, met in side.get("checks", {}).items() if not met),
        training=_number(one.value),
        held_out=_number(two.value),
        terms={name: _number(value) for name, value in terms.items()},
        drift=_number(metrics.get("domain_rmsd_max")),
        contacts=_number(metrics.get("contact_share")),
        alike=tuple(None if x is None else round(x, 5) for x in alike),
    )


def _model(run: Path) -> str:
    """Hash of the assembler that a run folder was made with."""
    try:
        return str(run_identity(run)["weights"]["assembler"])
    except (KeyError, TypeError):
        raise UserError(f"{run}: run.json does not tell the assembler's weights") from None


def _number(value: Any) -> float | None:
    return round(float(value), 6) if value is not None and np.isfinite(value) else None


def write_rows(path: Path, trials: Iterable[Trial], settings: Mapping[str, Any]) -> None:
    """Append trials to a file of rows, in one write, so that several processes may share it.

    Parameters
    ----------
    path : Path
    trials : iterable of Trial
    settings : mapping
        JSON types; what made and judged them. Rows of other settings may stand in the same file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    torn = path.is_file() and path.read_bytes()[-1:] not in (b"", b"\n")
    lines = [json.dumps({**asdict(trial), "settings": settings}) + "\n" for trial in trials]
    with path.open("ab", buffering=0) as file:
        file.write(("\n" * torn + "".join(lines)).encode())


def trial_rows(path: Path, settings: Mapping[str, Any]) -> list[Trial]:
    """Read the rows of a file that were made with these settings.

    Parameters
    ----------
    path : Path
        Need not exist.
    settings : mapping

    Returns
    -------
    list of Trial
        A torn last line is left out; of a sample that stands twice the last row counts.
    """
    found: dict[tuple[str, str, int], Trial] = {}
    wanted = json.loads(json.dumps(settings))
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
            if row.pop("settings") != wanted:
                continue
            row |= {"missed": tuple(row["missed"]), "alike": tuple(row["alike"])}
            trial = Trial(**row)
        except (ValueError, KeyError, TypeError):
            continue
        found[trial.weights, trial.set, trial.sample] = trial
    return list(found.values())
