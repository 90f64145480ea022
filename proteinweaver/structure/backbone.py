"""`Backbone`: the one value that travels through the package.

A backbone is a list of residues, each with the four atoms N, CA, C, O in angstrom, plus what a
file said about it: amino acid, author number, insertion code, chain, domain label, and whether
the peptide bond to the next residue is absent (a *break*: missing residues, or a chain end). It is
immutable: the arrays are private read-only copies, and a change makes a new value.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.structure.residues import GLY, NAMES1, indices_of_sequence, sequence_of_indices

__all__ = ["ATOM_NAMES", "MAX_PEPTIDE_BOND", "Backbone", "chain_breaks"]

ATOM_NAMES: tuple[str, str, str, str] = ("N", "CA", "C", "O")
"""Atom order of every coordinate array."""

MAX_PEPTIDE_BOND = 1.8
"""Largest C-N distance (angstrom) of two bonded residues; the ideal length is 1.33."""


def chain_breaks(coord: ArrayLike, max_bond: float = MAX_PEPTIDE_BOND) -> NDArray[np.bool_]:
    """Tell where consecutive residues are too far apart to be bonded.

    Parameters
    ----------
    coord : array_like, dtype=float, shape=(L, 4, 3)
        Backbone coordinates in angstrom (N, CA, C, O).
    max_bond : float, optional
        Largest C-N distance of a bond, in angstrom.

    Returns
    -------
    breaks : ndarray, dtype=bool, shape=(L,)
        True at residue i where the C of i and the N of i+1 are more than `max_bond` apart
        (or not finite). False for the last residue.
    """
    xyz = np.asarray(coord, dtype=np.float64)
    breaks = np.zeros(len(xyz), dtype=np.bool_)
    breaks[:-1] = ~(np.linalg.norm(xyz[1:, 0] - xyz[:-1, 2], axis=-1) <= max_bond)
    return breaks


@dataclass(frozen=True, eq=False)
class Backbone:
    """Protein backbone of one or several chains.

    Parameters
    ----------
    coord : ndarray, dtype=float32, shape=(L, 4, 3)
        Coordinates in angstrom, atoms N, CA, C, O. A CA-only model has NaN for N, C and O of every
        residue (see `is_ca_only`). Otherwise coordinates are not checked to be finite, so that a
        failed design can be carried; writers refuse it (see `is_finite`).
    aatype : ndarray, dtype=uint8, shape=(L,)
        Positions in `residues.NAMES1`.
    resnum : ndarray, dtype=int32, shape=(L,)
        Residue numbers as the author of the file gave them.
    icode : ndarray, dtype='<U1', shape=(L,)
        Insertion codes, ``''`` for none.
    chain : ndarray, dtype='<U4', shape=(L,)
        Chain names; the residues of a chain are consecutive.
    domain : ndarray, dtype=int16, shape=(L,)
        Domain labels: 0 linker or unassigned, else 1..k.
    break_after : ndarray, dtype=bool, shape=(L,)
        True where the next residue exists but is not bonded. True at the end of every chain
        but the last; False for the last residue.
    name : str, optional
        Name for messages and file names.

    Raises
    ------
    ValueError
        If there is no residue, or a shape, type index, label or break contradicts the above.

    Examples
    --------
    >>> import numpy as np
    >>> Backbone.from_coord(np.zeros((3, 4, 3))).sequence
    'GGG'
    """

    coord: NDArray[np.float32]
    aatype: NDArray[np.uint8]
    resnum: NDArray[np.int32]
    icode: NDArray[np.str_]
    chain: NDArray[np.str_]
    domain: NDArray[np.int16]
    break_after: NDArray[np.bool_]
    name: str = ""

    def __post_init__(self) -> None:
        """Copy, convert, check and freeze the arrays."""
        coord = np.array(self.coord, dtype=np.float32, order="C")
        if coord.ndim != 3 or coord.shape[1:] != (4, 3):
            raise ValueError(f"coord has shape {coord.shape}, not (L, 4, 3): N, CA, C, O")
        length = len(coord)
        if length == 0:
            raise ValueError(f"backbone {self.name!r} has no residues")
        self._set("coord", coord)
        self._set("aatype", _integers("aatype", self.aatype, length, 0, len(NAMES1) - 1, np.uint8))
        bound = np.iinfo(np.int32).max
        self._set("resnum", _integers("resnum", self.resnum, length, -bound, bound, np.int32))
        self._set("icode", _strings("icode", self.icode, length, 1))
        self._set("chain", _strings("chain", self.chain, length, 4))
        top = np.iinfo(np.int16).max
        self._set("domain", _integers("domain", self.domain, length, 0, top, np.int16))
        breaks = np.array(self.break_after, dtype=np.bool_)
        if breaks.shape != (length,):
            raise ValueError(f"break_after has shape {breaks.shape}, not ({length},)")
        if breaks[-1]:
            raise ValueError("break_after is True for the last residue, which has no successor")
        ends = _chain_ends(self.chain)
        if np.any(ends & ~breaks):
            where = int(np.flatnonzero(ends & ~breaks)[0])
            raise ValueError(f"break_after is False at index {where}, where the chain ends")
        names = self.chain[np.append(ends[:-1], True)]
        if len(set(names.tolist())) < len(names):
            raise ValueError(f"the residues of a chain are not consecutive: {names.tolist()}")
        self._set("break_after", breaks)

    def _set(self, field: str, array: NDArray[Any]) -> None:
        array.setflags(write=False)
        object.__setattr__(self, field, array)

    @classmethod
    def from_coord(
        cls,
        coord: ArrayLike,
        *,
        sequence: str | None = None,
        aatype: ArrayLike | None = None,
        resnum: ArrayLike | None = None,
        icode: ArrayLike | None = None,
        chain: str | Sequence[str] | NDArray[np.str_] = "A",
        domain: ArrayLike | None = None,
        break_after: ArrayLike | None = None,
        name: str = "",
    ) -> "Backbone":
        """Make a backbone from coordinates; everything else has a default.

        Parameters
        ----------
        coord : array_like, dtype=float, shape=(L, 4, 3)
            Coordinates in angstrom, atoms N, CA, C, O.
        sequence : str, optional
            One-letter codes; alternative to `aatype`. Default: all glycine.
        aatype : array_like, dtype=int, shape=(L,), optional
            Positions in `residues.NAMES1`.
        resnum : array_like, dtype=int, shape=(L,), optional
            Default 1..L.
        icode : array_like, dtype=str, shape=(L,), optional
            Default: none.
        chain : str or array_like of str, shape=(L,), optional
            One name for all residues, or one each. Default ``"A"``.
        domain : array_like, dtype=int, shape=(L,), optional
            Default 0 everywhere.
        break_after : array_like, dtype=bool, shape=(L,), optional
            Default: only where the chain name changes. Geometry is not looked at; pass
            ``chain_breaks(coord)`` for that.
        name : str, optional
            Name of the backbone.

        Returns
        -------
        backbone : Backbone

        Raises
        ------
        ValueError
            If an array does not fit, or both `sequence` and `aatype` are given.
        """
        xyz = np.asarray(coord, dtype=np.float32)
        length = len(xyz)
        if sequence is not None and aatype is not None:
            raise ValueError("give sequence or aatype, not both")
        if sequence is not None:
            aatype = indices_of_sequence(sequence)
        names = np.full(length, chain) if isinstance(chain, str) else np.asarray(chain)
        breaks = _chain_ends(names) if break_after is None else np.asarray(break_after, np.bool_)
        return cls(
            coord=xyz,
            aatype=np.full(length, GLY) if aatype is None else np.asarray(aatype),
            resnum=_numbers(length) if resnum is None else np.asarray(resnum),
            icode=np.full(length, "") if icode is None else np.asarray(icode),
            chain=names,
            domain=np.zeros(length, np.int16) if domain is None else np.asarray(domain),
            break_after=breaks,
            name=name,
        )

    def __len__(self) -> int:
        """Return the number of residues."""
        return len(self.coord)

    @property
    def ca(self) -> NDArray[np.float32]:
        """CA coordinates in angstrom, shape (L, 3), read-only."""
        return self.coord[:, 1]

    @property
    def sequence(self) -> str:
        """One-letter sequence of all residues."""
        return sequence_of_indices(self.aatype)

    @property
    def chain_names(self) -> tuple[str, ...]:
        """Names of the chains in order of appearance."""
        return tuple(dict.fromkeys(self.chain.tolist()))

    @property
    def is_finite(self) -> bool:
        """Whether every coordinate is a finite number."""
        return bool(np.isfinite(self.coord).all())

    @property
    def is_ca_only(self) -> bool:
        """Whether every residue has a CA and none has N, C or O."""
        others = self.coord[:, (0, 2, 3)]
        return bool(np.isfinite(self.ca).all() and np.isnan(others).all())

    def split_chains(self) -> tuple["Backbone", ...]:
        """Return one backbone per chain, in order."""
        return tuple(self.subset(self.chain == chain) for chain in self.chain_names)

    def replace(self, **changes: Any) -> "Backbone":
        """Return a copy with some fields replaced.

        Parameters
        ----------
        **changes
            New values by field name.

        Returns
        -------
        backbone : Backbone

        Raises
        ------
        ValueError
            If the new values do not fit together.
        """
        return replace(self, **changes)

    def subset(self, index: slice | ArrayLike) -> "Backbone":
        """Return some of the residues, keeping numbers, names and labels.

        Parameters
        ----------
        index : slice, array_like of bool, shape=(L,), or array_like of int
            Residues to keep, in ascending order.

        Returns
        -------
        backbone : Backbone
            With a break wherever two kept neighbours were not bonded before.

        Raises
        ------
        ValueError
            If nothing is left or the positions do not ascend.
        IndexError
            If a position is outside the backbone.
        """
        key = index if isinstance(index, slice) else np.asarray(index)
        if not isinstance(key, slice) and key.size == 0:
            key = key.astype(np.intp)
        keep = np.arange(len(self))[key]
        if np.any(np.diff(keep) <= 0):
            raise ValueError("residues of a subset must be given in ascending order, each once")
        breaks = np.zeros(len(keep), dtype=np.bool_)
        breaks[:-1] = (np.diff(keep) != 1) | self.break_after[keep[:-1]]
        return Backbone(
            coord=self.coord[keep],
            aatype=self.aatype[keep],
            resnum=self.resnum[keep],
            icode=self.icode[keep],
            chain=self.chain[keep],
            domain=self.domain[keep],
            break_after=breaks,
            name=self.name,
        )


def _numbers(length: int) -> NDArray[np.int32]:
    """Return 1..length."""
    return np.arange(1, length + 1, dtype=np.int32)


def _chain_ends(chain: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Tell which residues end a chain that another one follows."""
    ends = np.zeros(len(chain), dtype=np.bool_)
    ends[:-1] = chain[1:] != chain[:-1]
    return ends


def _integers(
    field: str, value: ArrayLike, length: int, low: int, high: int, dtype: type[np.integer[Any]]
) -> NDArray[Any]:
    """Return a checked integer copy of `value`."""
    array = np.asarray(value)
    if array.shape != (length,):
        raise ValueError(f"{field} has shape {array.shape}, not ({length},)")
    if array.dtype.kind not in "iu":
        raise ValueError(f"{field} has type {array.dtype}, not an integer type")
    if array.min() < low or array.max() > high:
        raise ValueError(f"{field} runs from {array.min()} to {array.max()}, not {low}..{high}")
    return np.array(array, dtype=dtype)


def _strings(field: str, value: ArrayLike, length: int, width: int) -> NDArray[np.str_]:
    """Return a checked string copy of `value`."""
    array = np.asarray(value, dtype=np.str_)
    if array.shape != (length,):
        raise ValueError(f"{field} has shape {array.shape}, not ({length},)")
    longest = max(array.tolist(), key=len)
    if len(longest) > width:
        raise ValueError(f"{field} {longest!r} is longer than {width} character(s)")
    return np.array(array, dtype=f"<U{width}")
