"""From residues to the chains of a `Backbone`: what belongs to a chain, and where it is broken.

- water and ligands are left out: they are not part of the polymer sequence (mmCIF), or they have
  no complete backbone, or no peptide bonds tie a HETATM residue to the chain (PDB);
- a residue that is no known amino acid counts (as ``X``) if it has N, CA, C and a peptide bond
  that ties it to the chain;
- a residue without N, CA or C is left out and leaves a break; a missing O is rebuilt in the plane
  of its peptide bond;
- two residues are bonded if C and N are at most 1.8 angstrom apart (CA and CA at most 4.5 in a
  CA-only model) and the polymer sequence, where the file tells it, has no residue between them.
  Author numbers are no evidence: they jump in bonded chains and run on over missing loops.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proteinweaver.errors import UserError
from proteinweaver.structure.atoms import AtomTable, Residue, group_residues
from proteinweaver.structure.backbone import MAX_PEPTIDE_BOND, Backbone
from proteinweaver.structure.residues import UNKNOWN

__all__ = ["MAX_CA_STEP", "Note", "ResidueReading", "read_residues"]

MAX_CA_STEP = 4.5
"""Largest CA-CA distance (angstrom) of bonded residues in a CA-only model; 3.8 is usual."""


@dataclass(frozen=True)
class Note:
    """Something a reader decided; `chain` is None where it concerns the whole file."""

    text: str
    chain: str | None = None


@dataclass(frozen=True)
class ResidueReading:
    """Result of `read_residues`.

    Parameters
    ----------
    backbone : Backbone
        All protein chains, in order of appearance.
    notes : tuple of Note
        What was left out, rebuilt or chosen.
    rebuilt_o : dict of str to int
        Chain -> number of O atoms that were placed geometrically.
    """

    backbone: Backbone
    notes: tuple[Note, ...]
    rebuilt_o: dict[str, int]


def read_residues(
    table: AtomTable,
    parent_of: Callable[[str], str | None],
    *,
    name: str = "",
    allow_ca_only: bool = False,
) -> ResidueReading:
    """Make a backbone from the atoms of a file.

    Parameters
    ----------
    table : AtomTable
        Atoms of the first model.
    parent_of : callable
        Three-letter code of a residue outside `residues.PARENTS` -> code of its parent amino acid,
        or None if it is no amino acid.
    name : str, optional
        Name of the backbone.
    allow_ca_only : bool, optional
        Accept a model of CA atoms alone; its N, C and O are NaN then.

    Returns
    -------
    reading : ResidueReading

    Raises
    ------
    UserError
        If there is no protein in the table, only CA atoms (unless allowed), a coordinate that is
        no number, an atom twice, or a chain name that is too long.
    """
    residues = group_residues(table, parent_of)
    kept = [r for r in residues if r.is_amino_acid or r.is_complete]
    complete = [r for r in kept if r.is_complete]
    ca_only = False
    if not complete:
        kept = [r for r in kept if r.is_amino_acid and np.isfinite(r.coord[1]).all()]
        if not kept:
            raise UserError("no protein in it: no residue has the atoms N, CA and C")
        if not allow_ca_only:
            what = "only CA atoms" if all(r.has_only_ca for r in kept) else "no complete backbone"
            raise UserError(
                f"{what}: none of its {len(kept)} residues has N, CA and C; rebuild the backbone"
                " with another tool first"
            )
        ca_only = True
        for residue in kept:
            residue.coord[[0, 2, 3]] = np.nan
    chains: dict[str, list[Residue]] = {}
    for residue in kept:
        chains.setdefault(residue.chain, []).append(residue)
    notes: list[Note] = []
    rebuilt: dict[str, int] = {}
    parts: list[Residue] = []
    breaks: list[bool] = []
    if table.model_count > 1:
        notes.append(Note(f"{table.model_count} models; only the first is read"))
    for chain, members in chains.items():
        good, chain_breaks = _bonded_polymer(members, ca_only)
        if not good:
            continue
        if len(chain) > 4:
            raise UserError(f"chain name {chain!r} is longer than 4 characters; rename the chain")
        _tell(chain, members, good, notes)
        if not ca_only:
            built = _rebuild_oxygens(good, chain_breaks)
            if built:
                rebuilt[chain] = len(built)
                notes.append(Note(f"O rebuilt in {_listing(built)}", chain))
        parts += good
        breaks += [*chain_breaks[:-1], True]
    if not parts:
        raise UserError("no protein in it: no residue with a complete backbone is part of a chain")
    breaks[-1] = False
    backbone = Backbone(
        coord=np.array([r.coord for r in parts], dtype=np.float32),
        aatype=np.array([r.aatype for r in parts], dtype=np.uint8),
        resnum=np.array([r.resnum for r in parts], dtype=np.int32),
        icode=np.array([r.icode for r in parts]),
        chain=np.array([r.chain for r in parts]),
        domain=np.zeros(len(parts), dtype=np.int16),
        break_after=np.array(breaks),
        name=name,
    )
    return ResidueReading(backbone, tuple(notes), rebuilt)


def _bonded_polymer(members: list[Residue], ca_only: bool) -> tuple[list[Residue], list[bool]]:
    """Return the residues of a chain that are kept and where it is broken after them.

    A residue that does not belong to the chain by its record and name (an unknown name, a HETATM
    outside a told polymer sequence) must be tied by peptide bonds to one that does; else it is a
    free amino acid or a peptide ligand and is dropped. A chain of such residues alone is kept
    where they are tied to each other. A residue left out breaks the chain.
    """
    usable = [i for i, residue in enumerate(members) if residue.is_complete or ca_only]
    segments: list[list[int]] = []
    first, second, limit = (1, 1, MAX_CA_STEP) if ca_only else (2, 0, MAX_PEPTIDE_BOND)
    for index in usable:
        if segments:
            a, b = members[segments[-1][-1]], members[index]
            near = float(np.linalg.norm(b.coord[second] - a.coord[first])) <= limit
            step = 1 if a.position is None or b.position is None else b.position - a.position
            if near and step == 1:
                segments[-1].append(index)
                continue
        segments.append([index])
    sure = [s for s in segments if any(_belongs(members[i]) for i in s)]
    if not sure:
        sure = [s for s in segments if len(s) > 1]
    good = [members[i] for segment in sure for i in segment]
    breaks = [i == segment[-1] for segment in sure for i in segment]
    return good, [*breaks[:-1], False] if breaks else []


def _belongs(residue: Residue) -> bool:
    """Tell whether record and name alone show that a residue is part of the chain."""
    return residue.is_amino_acid and (not residue.hetero or residue.position is not None)


def _rebuild_oxygens(residues: list[Residue], breaks: list[bool]) -> list[str]:
    """Place missing O atoms; return the labels of their residues.

    O lies in the peptide plane of CA, C and the next N, opposite to N, 1.231 angstrom from C at an
    angle CA-C-O of 120.1 degrees (Engh & Huber 2001). Before a break the plane is unknown and
    psi = 135 degrees, the middle of the extended region, is assumed.
    """
    built = []
    for index, residue in enumerate(residues):
        if np.isfinite(residue.coord[3]).all():
            continue
        n, ca, c = residue.coord[:3]
        along = _unit(c - ca)
        bonded = index + 1 < len(residues) and not breaks[index]
        if bonded:
            side = -_unit_across(residues[index + 1].coord[0] - c, along)
        else:
            across = _unit_across(n - ca, along)
            psi_o = np.deg2rad(135.0 - 180.0)
            side = np.cos(psi_o) * across + np.sin(psi_o) * np.cross(along, across)
        angle = np.deg2rad(120.1)
        residue.coord[3] = c + 1.231 * (-np.cos(angle) * along + np.sin(angle) * side)
        built.append(residue.label)
    return built


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def _unit_across(vector: NDArray[np.float64], along: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the direction of `vector` at a right angle to `along` (any, if parallel)."""
    across = vector - (vector @ along) * along
    if np.linalg.norm(across) < 1e-6:
        across = np.cross(along, np.eye(3)[int(np.argmin(np.abs(along)))])
    return _unit(across)


def _tell(chain: str, members: list[Residue], good: list[Residue], notes: list[Note]) -> None:
    """Add notes about one chain."""
    incomplete = [r.label for r in members if not r.is_complete and r.is_amino_acid]
    if incomplete and len(incomplete) < len(members):
        notes.append(Note(f"incomplete backbone, left out: {_listing(incomplete)}", chain))
    located = [r.label for r in good if r.has_altloc]
    if located:
        text = f"alternate locations, the most occupied is taken: {_listing(located)}"
        notes.append(Note(text, chain))
    unknown = [f"{r.resname} {r.label}" for r in good if r.aatype == UNKNOWN]
    if unknown:
        notes.append(Note(f"unknown residue, read as X: {_listing(unknown)}", chain))


def _listing(labels: list[str], most: int = 5) -> str:
    """Join labels, the first few only."""
    shown = ", ".join(labels[:most])
    rest = len(labels) - most
    return f"{shown} and {rest} more" if rest > 0 else shown
