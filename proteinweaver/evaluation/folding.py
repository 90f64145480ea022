"""Folding the sequences of a FASTA file into a folder, one PDB file each.

::

    OUT/NAME.pdb     predictions, written one by one: a killed run goes on where it was
    OUT/fold.json    which model and weights made them

A prediction is kept if it is of the same sequence. `proteinweaver.evaluation.folded` compares the
folder with the designs. One chain at a time: sequences of several chains, or with letters that are
none of the twenty, are told and passed over.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from proteinweaver.errors import UserError
from proteinweaver.evaluation.folding_models import FoldingModel
from proteinweaver.io.fasta import read_fasta
from proteinweaver.io.run_folder import write_atomic
from proteinweaver.structure.residues import NAMES1, UNKNOWN, index_of_name3

__all__ = ["FoldResult", "fold_sequences"]

_LETTERS = frozenset(NAMES1[:UNKNOWN])
_MOST = 9999  # residues of a chain in a PDB file

Progress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class FoldResult:
    """What was folded.

    Parameters
    ----------
    folder : Path
        The predictions.
    folded, kept : int
        Sequences folded now, and found folded.
    failed : dict of str to str
        Why, by name.
    """

    folder: Path
    folded: int
    kept: int
    failed: dict[str, str] = field(default_factory=dict)


def fold_sequences(
    fasta: str | Path,
    out: str | Path,
    model: FoldingModel,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FoldResult:
    """Fold what is not folded yet.

    Parameters
    ----------
    fasta : path-like
        Sequences.
    out : path-like
        Folder of the predictions.
    model : FoldingModel
        Loaded only if something is to be folded.
    overwrite : bool, optional
        Fold everything again.
    progress : callable, optional
        Receives the numbers of sequences done, of all to fold, and failed.

    Returns
    -------
    FoldResult

    Raises
    ------
    UserError
        If the file or the folder cannot be used, the weights are not those of the model, the
        folder holds predictions of another model, or no sequence at all can be folded.
    """
    folder = Path(out)
    records = read_fasta(fasta)
    failed = {name: why for name, text in records.items() if (why := _unfit(text))}
    fit = {name: text for name, text in records.items() if name not in failed}
    if not fit:
        name, why = next(iter(failed.items()))
        raise UserError(f"{fasta}: {name} {why}; no sequence in it can be folded")
    _refuse_mixture(folder, model, overwrite)
    kept = {n for n, text in fit.items() if not overwrite and _folded(folder / f"{n}.pdb") == text}
    wanted = {name: text for name, text in fit.items() if name not in kept}
    done = 0
    if wanted:
        fold = model.load()
        made = {"model": model.name, "weights": model.weights, "transformers": model.version}
        write_atomic(folder / "fold.json", json.dumps(made, indent=1) + "\n")
        for done, (name, text, why) in enumerate(_fold_all(fold, wanted), 1):
            if why:
                failed[name] = why
            else:
                write_atomic(folder / f"{name}.pdb", text)
            if progress is not None:
                progress(done, len(wanted), len(failed))
        if all(name in failed for name in fit):
            name = next(iter(wanted))
            raise UserError(f"{fasta}: {name} {failed[name]}; no sequence in it could be folded")
    return FoldResult(folder, sum(n not in failed for n in wanted), len(kept), failed)


def _unfit(sequence: str) -> str:
    """Say why a sequence cannot be folded; empty if it can."""
    if ":" in sequence or "/" in sequence:
        return "has several chains; fold complexes elsewhere and give them by --folded"
    if wrong := sorted(set(sequence) - _LETTERS):
        return f"has {''.join(wrong)}, which is none of the twenty amino acids"
    return f"has more than {_MOST} residues" if len(sequence) > _MOST else ""


def _fold_all(
    fold: Callable[[str], str], wanted: dict[str, str]
) -> Iterator[tuple[str, str, str]]:
    """Yield name, PDB text, and why there is none."""
    for name, sequence in wanted.items():
        text, why = "", ""
        try:
            text = fold(sequence)
        except (MemoryError, torch.OutOfMemoryError):
            why = f"needs more memory at {len(sequence)} residues; give a smaller --chunk"
        if why and torch.cuda.is_available():
            torch.cuda.empty_cache()
        yield name, text, why


def _refuse_mixture(folder: Path, model: FoldingModel, overwrite: bool) -> None:
    """Refuse a folder whose predictions another model made."""
    note = folder / "fold.json"
    if overwrite or not note.is_file():
        return
    try:
        made = json.loads(note.read_text(encoding="utf-8"))
        before = (str(made["model"]), str(made["weights"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{note}: cannot be read; remove it or give --overwrite") from None
    if before != (model.name, model.weights):
        raise UserError(
            f"{folder} holds predictions of {before[0]} ({before[1]}), not of {model.name}"
            f" ({model.weights}); choose another folder or give --overwrite"
        )


def _folded(file: Path) -> str:
    """Read the sequence of a prediction; empty if there is none."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    if not lines or not lines[-1].startswith("END"):
        return ""
    return "".join(
        NAMES1[index_of_name3(line[17:20])]
        for line in lines
        if line.startswith("ATOM") and line[12:16] == " CA "
    )
