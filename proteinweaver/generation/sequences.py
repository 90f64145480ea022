"""Sequences for files of backbones: which residues keep their names, and what is written.

::

    OUT/sequences.fasta   all sequences, ``NAME_k``; chains of a backbone joined by ``:``
    OUT/sequences.csv     one row each: backbone, file, temperature, seed, designed, nats

Residues that came from an input domain (the side file of a design tells) keep their amino acids;
so do those the user names. A file that cannot be read or designed is told and passed over.
"""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proteinweaver.errors import UserError, nearest
from proteinweaver.evaluation.critic import load_critic
from proteinweaver.evaluation.folded import label_of
from proteinweaver.evaluation.protein_mpnn import design_with_protein_mpnn, load_protein_mpnn
from proteinweaver.evaluation.samples import Entry, find_entries
from proteinweaver.evaluation.sequence import DesignedSequence, design_sequences
from proteinweaver.generation.fixed_positions import told_residues
from proteinweaver.io.read import read_structure
from proteinweaver.io.run_folder import write_atomic
from proteinweaver.io.select import select_residues
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.residues import NAMES1, index_of_name3, indices_of_sequence

__all__ = ["MODELS", "SequenceRequest", "SequenceResult", "write_sequences"]

MODELS = ("critic", "protein-mpnn")
"""What designs: the shipped critic, or a checkpoint of ProteinMPNN."""

_HEAD = (
    "name",
    "backbone",
    "set",
    "file",
    "temperature",
    "seed",
    "residues",
    "designed",
    "nats",
    "sequence",
)


@dataclass(frozen=True)
class SequenceRequest:
    """What is asked.

    Parameters
    ----------
    paths : tuple of str
        Run folders, folders of structure files, files.
    out : str
        Folder.
    n : int
        Sequences per backbone.
    temperature : float
    fixed : str
        Selection of residues that keep their amino acid in every file (`proteinweaver.io.select`).
    redesign : bool
        Redesign residues of input domains too.
    omit : str
        One-letter codes never designed.
    seed : int
    critic : str
        Weights; empty for the shipped ones.
    model : str
        One of `MODELS`.
    weights : str
        Checkpoint of ProteinMPNN.
    overwrite : bool
        Replace what is in the folder.
    """

    paths: tuple[str, ...]
    out: str
    n: int = 8
    temperature: float = 0.1
    fixed: str = ""
    redesign: bool = False
    omit: str = ""
    seed: int = 0
    critic: str = ""
    model: str = MODELS[0]
    weights: str = ""
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be designed."""
        if not self.out:
            raise UserError("no folder to write into; give -o DIR")
        if self.n < 1:
            raise UserError(f"-n {self.n}: give 1 or more")
        if not 0 <= self.temperature <= 10:
            raise UserError(f"--temperature {self.temperature}: give a number from 0 to 10")
        wrong = sorted(set(self.omit.upper()) - set(NAMES1[:20]))
        if wrong:
            raise UserError(f"--omit: {''.join(wrong)} is none of {NAMES1[:20]}")
        if set(self.omit.upper()) >= set(NAMES1[:20]):
            raise UserError("--omit leaves no amino acid to design with")
        if self.model not in MODELS:
            raise UserError(f"--model {self.model}: {nearest(self.model, MODELS)}")
        if self.model == "protein-mpnn" and not self.weights:
            raise UserError(
                "--model protein-mpnn needs --weights FILE: a checkpoint such as"
                " vanilla_model_weights/v_48_020.pt of github.com/dauparas/ProteinMPNN"
            )
        if self.model == "protein-mpnn" and self.critic:
            raise UserError("--critic does not go with --model protein-mpnn; leave one out")
        if self.model == "critic" and self.weights:
            raise UserError(
                "--weights holds ProteinMPNN's checkpoint; add --model protein-mpnn, or give the"
                " critic's weights by --critic"
            )


@dataclass(frozen=True)
class SequenceResult:
    """What was written.

    Parameters
    ----------
    fasta : Path
    backbones, sequences : int
    failed : dict of str to str
        Why, by file.
    """

    fasta: Path
    backbones: int
    sequences: int
    failed: dict[str, str] = field(default_factory=dict)


def write_sequences(
    request: SequenceRequest, on_backbone: Callable[[str], None] | None = None
) -> SequenceResult:
    """Design sequences for all backbones of a request.

    Parameters
    ----------
    request : SequenceRequest
    on_backbone : callable, optional
        Called with the name of every backbone that is finished.

    Returns
    -------
    SequenceResult

    Raises
    ------
    UserError
        If there is nothing to design, the folder cannot be used, or no file could be designed.
    """
    fasta = Path(request.out) / "sequences.fasta"
    if fasta.exists() and not request.overwrite:
        raise UserError(f"{fasta} exists; choose another -o or give --overwrite")
    entries, _ = find_entries(request.paths)
    designer = _designer(request)
    names = [entry.name for entry in entries]
    records: list[str] = []
    rows: list[dict[str, object]] = []
    failed: dict[str, str] = {}
    done = 0
    for entry in entries:
        label = label_of(entry.name, "" if names.count(entry.name) == 1 else entry.set)
        try:
            backbone, keep = _read(entry, request, designer.ca_only)
            found = designer.design(backbone.replace(name=label), keep)
        except UserError as error:
            failed[str(entry.file)] = str(error)
            continue
        done += 1
        for k, design in enumerate(found, 1):
            sequence = _by_chain(backbone, design.sequence)
            records.append(
                f">{label}_{k} T={request.temperature:g} seed={request.seed}"
                f" designed={design.designed} nats={design.nats:.4f}\n{sequence}\n"
            )
            values = (
                f"{label}_{k}", entry.name, entry.set, str(entry.file), request.temperature,
                request.seed, len(backbone), design.designed, f"{design.nats:.4f}", sequence,
            )  # fmt: skip
            rows.append(dict(zip(_HEAD, values, strict=True)))
        if on_backbone is not None:
            on_backbone(entry.name)
    if not done:
        raise UserError(next(iter(failed.values())))
    try:
        fasta.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write into {fasta.parent}: {error.strerror}") from None
    table = io.StringIO()
    writer = csv.DictWriter(table, _HEAD, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(fasta.with_suffix(".csv"), table.getvalue())
    write_atomic(fasta, "".join(records))
    return SequenceResult(fasta, done, len(rows), failed)


@dataclass(frozen=True)
class _Designer:
    """The loaded model: how it designs, and whether CA atoms are enough for it."""

    design: Callable[[Backbone, NDArray[np.bool_]], list[DesignedSequence]]
    ca_only: bool = False


def _designer(request: SequenceRequest) -> _Designer:
    omit = request.omit.upper()
    if request.model == "protein-mpnn":
        model = load_protein_mpnn(request.weights)
        return _Designer(
            lambda backbone, keep: design_with_protein_mpnn(
                backbone,
                model,
                request.n,
                temperature=request.temperature,
                fixed=keep,
                omit=omit,
                seed=request.seed,
            ),
            model.net.ca_only,
        )
    critic = load_critic(request.critic or None)
    return _Designer(
        lambda backbone, keep: design_sequences(
            backbone,
            request.n,
            temperature=request.temperature,
            fixed=keep,
            omit=omit,
            seed=request.seed,
            critic=critic,
        )
    )


def _read(
    entry: Entry, request: SequenceRequest, ca_only: bool
) -> tuple[Backbone, NDArray[np.bool_]]:
    """Read a backbone with the names of its given residues, and which residues keep theirs."""
    backbone = read_structure(entry.file, allow_ca_only=ca_only).backbone
    keep = np.zeros(len(backbone), dtype=np.bool_)
    if not request.redesign and entry.side is not None:
        backbone, keep = _given(backbone, entry.side)
    if request.fixed:
        tagged = backbone.replace(domain=np.arange(len(backbone)))
        chosen = select_residues(tagged, request.fixed, str(entry.file)).domain
        keep[chosen] = True
    return backbone, keep


def _given(backbone: Backbone, side: Path) -> tuple[Backbone, NDArray[np.bool_]]:
    """Take the names of input residues from the side file of a design.

    Raises
    ------
    UserError
        If the side file cannot be read or belongs to another structure.
    """
    keep = np.zeros(len(backbone), dtype=np.bool_)
    try:
        told = json.loads(side.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{side}: not readable ({error}); mend or remove it") from None
    if not isinstance(told, dict) or "residue_map" not in told:
        return backbone, keep
    place = {
        (chain, int(number)): k
        for k, (chain, number) in enumerate(
            zip(backbone.chain.tolist(), backbone.resnum.tolist(), strict=True)
        )
    }
    aatype = np.array(backbone.aatype)
    try:
        if int(told["length"]) != len(backbone):
            raise KeyError("length")
        for residue in told["residue_map"]:
            k = place[str(residue["output_chain"]), int(residue["output_number"])]
            aatype[k], keep[k] = index_of_name3(str(residue["name"])), True
        for number, letter in told_residues(told):
            k = place["A", number]
            aatype[k], keep[k] = indices_of_sequence(letter)[0], True
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{side}: does not belong to the structure beside it ({error}); remove it or give"
            " --redesign"
        ) from None
    return backbone.replace(aatype=aatype), keep


def _by_chain(backbone: Backbone, sequence: str) -> str:
    """Join the chains of a sequence by ``:``."""
    letters = np.array(list(sequence))
    return ":".join("".join(letters[backbone.chain == c]) for c in backbone.chain_names)
