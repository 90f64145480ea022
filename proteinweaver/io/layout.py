"""What PDB and mmCIF writers share: output numbering, remarks, and the checks before writing.

Written chains are numbered 1..L without gaps whatever the author numbers were, because sequence
design tools fill every gap in the numbering with residues that do not exist. Where a residue came
from stands in the residue map (`residue_map`), which goes into the JSON side file; a file that
was read back gets its numbers, names and breaks from there (`restore_residues`).
"""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.errors import UserError
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.residues import GLY, NAMES3, index_of_name3

__all__ = ["DOMAIN_BFACTOR", "Layout", "lay_out", "residue_map", "restore_residues"]

DOMAIN_BFACTOR = "domain index of the residue (1, 2, ...; 0 for linkers and unassigned residues)"
"""What the B-factor column holds unless the caller says otherwise."""


@dataclass(frozen=True)
class Layout:
    """A backbone prepared for writing.

    Parameters
    ----------
    backbone : Backbone
        The backbone.
    chain : tuple of str
        Output chain name of every residue.
    number : ndarray, dtype=int64, shape=(L,)
        Output number of every residue, 1.. in each chain.
    models : ndarray, dtype=float64, shape=(M, L, 4, 3)
        Coordinates in angstrom, rounded to 3 decimals.
    bfactor : ndarray, dtype=float64, shape=(L,)
        B-factor of every residue.
    atoms : tuple of int
        Atoms that are written: all four, or CA alone.
    remarks : tuple of str
        Text lines about the file.
    """

    backbone: Backbone
    chain: tuple[str, ...]
    number: NDArray[np.int64]
    models: NDArray[np.float64]
    bfactor: NDArray[np.float64]
    atoms: tuple[int, ...]
    remarks: tuple[str, ...]

    @property
    def resnames(self) -> list[str]:
        """Three-letter code of every residue."""
        return [NAMES3[index] for index in self.backbone.aatype.tolist()]


def lay_out(
    backbone: Backbone,
    *,
    remarks: Sequence[str] = (),
    bfactor: ArrayLike | None = None,
    bfactor_meaning: str | None = None,
    generated: ArrayLike | None = None,
    models: ArrayLike | None = None,
    bounds: tuple[float, float] | None = None,
) -> Layout:
    """Assign output numbers, check the values and collect the remarks.

    Parameters
    ----------
    backbone : Backbone
        What to write.
    remarks : sequence of str, optional
        Text of the caller: seed, sampler, version.
    bfactor : array_like, dtype=float, shape=(L,), optional
        One value per residue. Default: the domain index.
    bfactor_meaning : str, optional
        What the values are; required with `bfactor`.
    generated : array_like, dtype=bool, shape=(L,), optional
        Residues without a sequence, to say so in the file. Default: all, if all are GLY.
    models : array_like, dtype=float, shape=(M, L, 4, 3), optional
        Coordinates of several models, in angstrom; default the backbone's own. With NaN for every
        N, C and O only CA atoms are written.
    bounds : (float, float), optional
        Smallest and largest coordinate the format can hold. Coordinates outside are brought in
        by moving the centre of all models to the origin, and a remark says so.

    Returns
    -------
    layout : Layout

    Raises
    ------
    UserError
        If a coordinate or B-factor is not finite, or the coordinates do not fit.
    ValueError
        If an array has a wrong shape, or `bfactor` comes without its meaning.
    """
    length = len(backbone)
    label = backbone.name or "backbone"
    xyz = np.asarray(backbone.coord[None] if models is None else models, dtype=np.float64)
    if xyz.ndim != 4 or len(xyz) == 0 or xyz.shape[1:] != (length, 4, 3):
        raise ValueError(f"models have shape {xyz.shape}, not (M, {length}, 4, 3)")
    atoms = (1,) if np.isnan(xyz[:, :, (0, 2, 3)]).all() else (0, 1, 2, 3)
    written = xyz[:, :, atoms]
    finite = np.isfinite(written).all(axis=(2, 3))
    if not finite.all():
        model, residue = (int(value) for value in np.argwhere(~finite)[0])
        of_model = f" of model {model + 1}" if len(xyz) > 1 else ""
        raise UserError(
            f"{label}: residue {residue + 1}{of_model} has a coordinate that is not a number;"
            " nothing is written (a failed design)"
        )
    told = _told(backbone, generated, atoms)
    if bounds is not None and (written.min() < bounds[0] or written.max() > bounds[1]):
        centre = np.round(written.reshape(-1, 3).mean(axis=0), 3)
        xyz = xyz - centre
        told.append(f"Coordinates moved by {', '.join(f'{-v:.3f}' for v in centre)} A to fit.")
        if np.nanmin(xyz) < bounds[0] or np.nanmax(xyz) > bounds[1]:
            raise UserError(
                f"{label}: coordinates span more than the PDB format can hold; write .cif instead"
            )
    if bfactor is None:
        values, bfactor_meaning = backbone.domain.astype(np.float64), DOMAIN_BFACTOR
    else:
        values = np.asarray(bfactor, dtype=np.float64)
        if bfactor_meaning is None or values.shape != (length,):
            raise ValueError(f"bfactor needs a meaning and the shape ({length},)")
        if not np.isfinite(values).all():
            raise UserError(f"{label}: a B-factor ({bfactor_meaning}) is not a number")
    chain, number = _numbering(backbone)
    return Layout(
        backbone=backbone,
        chain=chain,
        number=number,
        models=np.round(xyz, 3) + 0.0,  # no minus zero
        bfactor=np.round(values, 2) + 0.0,
        atoms=atoms,
        remarks=(f"B-factor column: {bfactor_meaning}.", *told, *remarks),
    )


def residue_map(backbone: Backbone) -> list[dict[str, Any]]:
    """Tell where every residue of a written file comes from.

    Parameters
    ----------
    backbone : Backbone
        The backbone that is written.

    Returns
    -------
    entries : list of dict
        One per residue, in file order: ``output_chain``, ``output_number`` as written; ``chain``,
        ``number``, ``icode``, ``name`` (three-letter code) and ``break_after`` of the backbone.
    """
    chain, number = _numbering(backbone)
    return [
        {
            "output_chain": chain[i],
            "output_number": int(number[i]),
            "chain": str(backbone.chain[i]),
            "number": int(backbone.resnum[i]),
            "icode": str(backbone.icode[i]),
            "name": NAMES3[int(backbone.aatype[i])],
            "break_after": bool(backbone.break_after[i]),
        }
        for i in range(len(backbone))
    ]


def restore_residues(written: Backbone, entries: Sequence[Mapping[str, Any]]) -> Backbone:
    """Give a backbone that was read from a written file its own numbers, names and breaks back.

    Parameters
    ----------
    written : Backbone
        As read from the file.
    entries : sequence of mapping
        The residue map of the file (`residue_map`).

    Returns
    -------
    backbone : Backbone

    Raises
    ------
    UserError
        If the map belongs to another file.
    """
    here = list(zip(written.chain.tolist(), written.resnum.tolist(), strict=True))
    try:
        there = [(str(e["output_chain"]), int(e["output_number"])) for e in entries]
        chain = [str(e["chain"]) for e in entries]
        number = [int(e["number"]) for e in entries]
        icode = [str(e["icode"]) for e in entries]
        aatype = [index_of_name3(str(e["name"])) for e in entries]
        breaks = [bool(e["break_after"]) for e in entries]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{written.name}: the residue map is damaged ({error!r})") from error
    if here != there:
        raise UserError(f"{written.name}: the residue map belongs to another file")
    return written.replace(
        chain=np.array(chain),
        resnum=np.array(number),
        icode=np.array(icode),
        aatype=np.array(aatype),
        break_after=np.array(breaks),
    )


def _numbering(backbone: Backbone) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return output chain names and numbers; a blank chain gets the first free letter."""
    chains = backbone.chain_names
    free = next(letter for letter in string.ascii_uppercase + "?" if letter not in chains)
    names = [name or free for name in backbone.chain.tolist()]
    number = np.zeros(len(backbone), dtype=np.int64)
    for name in chains:
        members = backbone.chain == name
        number[members] = np.arange(1, int(members.sum()) + 1)
    return tuple(names), number


def _told(backbone: Backbone, generated: ArrayLike | None, atoms: tuple[int, ...]) -> list[str]:
    """Return the remarks that follow from the backbone itself."""
    told = []
    all_gly = bool((backbone.aatype == GLY).all())
    without = np.full(len(backbone), all_gly) if generated is None else np.asarray(generated)
    if without.shape != (len(backbone),):
        raise ValueError(f"generated has shape {without.shape}, not ({len(backbone)},)")
    if without.any():
        which = "All residues" if without.all() else f"{int(without.sum())} generated residues"
        told.append(
            f"{which} are backbone only and have no sequence yet, GLY is a placeholder: design"
            " one (for instance with ProteinMPNN) before folding or ordering."
        )
    if atoms == (1,):
        told.append("CA-only model.")
    chain, number = _numbering(backbone)
    breaks = np.flatnonzero(
        backbone.break_after[:-1] & (backbone.chain[1:] == backbone.chain[:-1])
    )
    if len(breaks):
        places = ", ".join(f"{chain[i]}{number[i]}" for i in breaks)
        told.append(f"No peptide bond after: {places} (numbering runs on).")
    return told
