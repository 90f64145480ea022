"""From the atoms of a file to settled residues.

Every format is first brought into one table of backbone atoms (`AtomTable`), so what a residue is
gets decided once, here:

- an alternate location is chosen per residue: the one with a complete backbone and the highest
  mean occupancy, the first in the file on a tie;
- a modified residue counts as its parent amino acid; a name that the Chemical Component Dictionary
  does not list as a peptide residue may still be one and is left to `polymer` to judge;
- atoms outside the polymer sequence, where the file tells it (mmCIF), are dropped.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proteinweaver.errors import UserError
from proteinweaver.structure.residues import UNKNOWN, index_of_name3

__all__ = ["BACKBONE_ATOMS", "AtomTable", "Residue", "group_residues"]

BACKBONE_ATOMS = {"N": 0, "CA": 1, "C": 2, "O": 3, "OT1": 3, "O1": 3, "OXT": 3}
"""Atom name -> position in a `Backbone`; terminal oxygens stand in for O, in this order."""

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


@dataclass
class Residue:
    """A residue with its chosen atoms, while a chain is being put together.

    Parameters
    ----------
    chain, icode, resname : str
        Names as in the file.
    resnum : int
        Author number.
    aatype : int
        Position in `residues.NAMES1`.
    coord : ndarray, dtype=float64, shape=(4, 3)
        Angstrom; NaN for a missing atom.
    hetero : bool
        Whether it is made of HETATM records.
    position : int or None
        Position in the polymer sequence where the file tells it.
    is_amino_acid : bool
        Whether its name is that of an amino acid.
    has_altloc : bool
        Whether there were alternate locations to choose from.
    """

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
        """Chain, number and insertion code in one word."""
        return f"{self.chain}{self.resnum}{self.icode}"

    @property
    def has_only_ca(self) -> bool:
        """Whether N, C and O are missing."""
        return bool(np.isnan(self.coord[[0, 2, 3]]).all())

    @property
    def is_complete(self) -> bool:
        """Whether N, CA and C are there."""
        return bool(np.isfinite(self.coord[:3]).all())


def group_residues(table: AtomTable, parent_of: Callable[[str], str | None]) -> list[Residue]:
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
            Residue(
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
