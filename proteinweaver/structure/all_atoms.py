"""All atoms of a file: side chains and ligands, for grafting and for what a design keeps clear of.

Designs are backbones; this is the one place where more than N, CA, C and O of a file counts.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["WATER", "AllAtoms"]

#: Names of water.
WATER = ("HOH", "DOD", "WAT", "H2O", "SOL", "TIP", "TIP3")


@dataclass(frozen=True)
class AllAtoms:
    """Atoms of one model, one alternate location each, without hydrogens (n atoms).

    Parameters
    ----------
    chain, icode, resname, atom, element : ndarray, dtype=str, shape=(n,)
        Names by author.
    resnum : ndarray, dtype=int64, shape=(n,)
        Author numbers.
    hetero : ndarray, dtype=bool, shape=(n,)
        True for HETATM records.
    coord : ndarray, dtype=float64, shape=(n, 3)
        Angstrom.
    """

    chain: NDArray[np.str_]
    resnum: NDArray[np.int64]
    icode: NDArray[np.str_]
    resname: NDArray[np.str_]
    atom: NDArray[np.str_]
    element: NDArray[np.str_]
    hetero: NDArray[np.bool_]
    coord: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of atoms."""
        return len(self.coord)

    def subset(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Self:
        """Return some of the atoms, by mask or positions."""
        return type(self)(
            self.chain[which],
            self.resnum[which],
            self.icode[which],
            self.resname[which],
            self.atom[which],
            self.element[which],
            self.hetero[which],
            self.coord[which],
        )

    def moved(self, coord: NDArray[np.float64]) -> Self:
        """Return the same atoms at other places."""
        return type(self)(
            self.chain, self.resnum, self.icode, self.resname, self.atom, self.element,
            self.hetero, coord,
        )  # fmt: skip

    @property
    def residues(self) -> list[tuple[str, int, str]]:
        """Chain, number and insertion code of every atom's residue."""
        return list(
            zip(self.chain.tolist(), self.resnum.tolist(), self.icode.tolist(), strict=True)
        )
