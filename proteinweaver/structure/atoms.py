"""From the atoms of a file to the residues of a `Backbone`.

Every format is first brought into one table of backbone atoms (`AtomTable`), so what counts as a
residue is decided once, here:

- an alternate location is chosen per residue: the one with a complete backbone and the highest
  mean occupancy, the first in the file on a tie;
- a modified residue counts as its parent amino acid; a residue that is no known amino acid counts
  (as ``X``) if it has N, CA, C and a peptide bond to a neighbour;
- water and ligands are left out: they are not part of the polymer sequence (mmCIF), or they have
  no complete backbone, or no peptide bonds tie a HETATM residue to the chain (PDB);
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
from proteinweaver.structure.backbone import MAX_PEPTIDE_BOND, Backbone
from proteinweaver.structure.residues import UNKNOWN, index_of_name3

__all__ = ["BACKBONE_ATOMS", "MAX_CA_STEP", "AtomTable", "Note", "ResidueReading", "read_residues"]

BACKBONE_ATOMS = {"N": 0, "CA": 1, "C": 2, "O": 3, "OT1": 3, "O1": 3, "OXT": 3}
"""Atom name -> position in a `Backbone`; terminal oxygens stand in for O, in this order."""

MAX_CA_STEP = 4.5
"""Largest CA-CA distance (angstrom) of bonded residues in a CA-only model; 3.8 is usual."""

_NOT_IN_POLYMER = -1


@dataclass(frozen=True)
class AtomTable:
    """Backbone atoms of one model of a file, in file order (n atoms).

    Parameters
    ----------
    chain, icode, resname, atom, altloc : ndarray, dtype=str, shape=(n,)
        Names; ``''`` for no insertion code or no alternate location.
    resnum : ndarray, dtype=int64, shape=(n,)
        Author residue numbers.
    coord : ndarray, dtype=float64, shape=(n, 3)
        Angstrom.
    occupancy : ndarray, dtype=float64, shape=(n,)
        1 where the file leaves it blank.
    hetero : ndarray, dtype=bool, shape=(n,)
        True for HETATM records.
    position : ndarray, dtype=int64, shape=(n,), optional
        Position in the polymer sequence (mmCIF ``label_seq_id``), -1 outside polymers. None where
        the format does not tell.
    model_count : int
        Models in the file; the table holds the first.
    entry, method : str
        PDB code in lower case and experimental method in upper case; ``''`` if not told.
    resolution : float
        Angstrom; NaN if not told.
    """

    chain: NDArray[np.str_]
    resnum: NDArray[np.int64]
    icode: NDArray[np.str_]
    resname: NDArray[np.str_]
    atom: NDArray[np.str_]
    altloc: NDArray[np.str_]
    coord: NDArray[np.float64]
    occupancy: NDArray[np.float64]
    hetero: NDArray[np.bool_]
    position: NDArray[np.int64] | None = None
    model_count: int = 1
    entry: str = ""
    method: str = ""
    resolution: float = float("nan")


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


@dataclass
class _Residue:
    chain: str
    resnum: int
    icode: str
    resname: str
    aatype: int
    coord: NDArray[np.float64]  # [4, 3], NaN where missing
    hetero: bool
    position: int | None
    is_amino_acid: bool
    has_altloc: bool

    @property
    def label(self) -> str:
        return f"{self.chain}{self.resnum}{self.icode}"

    @property
    def has_only_ca(self) -> bool:
        return bool(np.isnan(self.coord[[0, 2, 3]]).all())

    @property
    def is_complete(self) -> bool:
        return bool(np.isfinite(self.coord[:3]).all())


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
    residues = _residues(table, parent_of)
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
    chains: dict[str, list[_Residue]] = {}
    for residue in kept:
        chains.setdefault(residue.chain, []).append(residue)
    notes: list[Note] = []
    rebuilt: dict[str, int] = {}
    parts: list[_Residue] = []
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


def _residues(table: AtomTable, parent_of: Callable[[str], str | None]) -> list[_Residue]:
    """Group atoms by residue, in order of first appearance, and settle each."""
    rows: dict[tuple[str, int, str], list[int]] = {}
    keys = zip(table.chain.tolist(), table.resnum.tolist(), table.icode.tolist(), strict=True)
    in_polymer = table.position is not None and bool((table.position != _NOT_IN_POLYMER).any())
    for row, key in enumerate(keys):
        if in_polymer and table.position is not None and table.position[row] == _NOT_IN_POLYMER:
            continue
        rows.setdefault(key, []).append(row)
    parents: dict[str, tuple[int, bool]] = {}
    residues = []
    for (chain, resnum, icode), members in rows.items():
        where = f"residue {chain}{resnum}{icode}"
        if not (chain + icode).isprintable():
            raise UserError(f"{where}: unprintable chain name or insertion code")
        if abs(resnum) > np.iinfo(np.int32).max:
            raise UserError(f"{where}: the residue number is out of range")
        picked, has_altloc = _conformer(table, members, where)
        names = {table.atom[row] for row in picked}
        if not names & {"N", "CA", "C"}:
            continue
        resname = str(table.resname[picked[0]])
        if resname not in parents:
            # loading the dictionary takes long: not for ligands with an atom C, nor for calcium
            possible = names >= {"N", "CA", "C"} or (names == {"CA"} and resname != "CA")
            parents[resname] = _identify(resname, parent_of if possible else _no_parent)
        aatype, is_amino_acid = parents[resname]
        coord = np.full((4, 3), np.nan)
        for row in reversed(picked):  # the first of several stand-ins for O wins
            if not np.isfinite(table.coord[row]).all():
                raise UserError(f"{where}: a coordinate of atom {table.atom[row]} is not a number")
            coord[BACKBONE_ATOMS[str(table.atom[row])]] = table.coord[row]
        if (np.linalg.norm(coord[[0, 2]] - coord[1], axis=-1) < 0.1).any():
            coord[[0, 2, 3]] = np.nan  # placeholders on top of each other are missing atoms
        position = None
        if in_polymer and table.position is not None:
            position = int(table.position[picked[0]])
        hetero = bool(table.hetero[picked[0]])
        residues.append(
            _Residue(
                chain, resnum, icode, resname, aatype, coord, hetero, position, is_amino_acid,
                has_altloc,
            )
        )  # fmt: skip
    return residues


def _identify(resname: str, parent_of: Callable[[str], str | None]) -> tuple[int, bool]:
    """Return the residue index of a name and whether it is known to be an amino acid."""
    index = index_of_name3(resname)
    if index != UNKNOWN or resname == "UNK":
        return index, True
    parent = parent_of(resname)
    return (UNKNOWN, False) if parent is None else (index_of_name3(parent), True)


def _no_parent(resname: str) -> None:
    """Stand in for the dictionary where a residue cannot be an amino acid."""


def _conformer(table: AtomTable, rows: list[int], where: str) -> tuple[list[int], bool]:
    """Return the rows of the chosen alternate location, best stand-in for O first."""
    seen: dict[tuple[str, str, str], int] = {}
    for row in rows:
        key = (str(table.altloc[row]), str(table.atom[row]), str(table.resname[row]))
        if key in seen:
            raise UserError(
                f"{where}: atom {key[1]} is there twice; if the file holds several copies of a"
                " chain, give each its own name"
            )
        seen[key] = row
    locations = list(dict.fromkeys(alt for alt, _, _ in seen if alt)) or [""]
    resnames = {str(table.resname[row]) for row in rows if not table.hetero[row]}
    best: list[int] = []
    best_rank = (-1, -1.0)
    for location in locations:
        own = [row for (alt, _, _), row in seen.items() if alt in (location, "")]
        if len({str(table.resname[row]) for row in own}) > 1:
            # a ligand or water that shares a number with a residue of the chain
            own = [row for row in own if not table.hetero[row]] if len(resnames) == 1 else own
        if len(kinds := sorted({str(table.resname[row]) for row in own})) > 1:
            raise UserError(f"{where}: it is both {' and '.join(kinds)}; renumber one of them")
        own.sort(key=lambda row: table.altloc[row] == "")  # a located atom before a common one
        atoms: dict[str, int] = {}
        for row in own:
            atoms.setdefault(str(table.atom[row]), row)
        picked = sorted(atoms.values(), key=lambda row: _ORDER[str(table.atom[row])])
        located = [row for row in picked if table.altloc[row]] or picked
        mean = float(np.mean(table.occupancy[located])) if located else 0.0
        rank = (len({"N", "CA", "C"} & set(atoms)), mean)
        if rank > best_rank:
            best, best_rank = picked, rank
    return best, len(locations) > 1


_ORDER = {name: order for order, name in enumerate(BACKBONE_ATOMS)}


def _bonded_polymer(members: list[_Residue], ca_only: bool) -> tuple[list[_Residue], list[bool]]:
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


def _belongs(residue: _Residue) -> bool:
    """Tell whether record and name alone show that a residue is part of the chain."""
    return residue.is_amino_acid and (not residue.hetero or residue.position is not None)


def _rebuild_oxygens(residues: list[_Residue], breaks: list[bool]) -> list[str]:
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


def _tell(chain: str, members: list[_Residue], good: list[_Residue], notes: list[Note]) -> None:
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
