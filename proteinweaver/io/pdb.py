"""Writing PDB files, version 3.3 of the format, columns as its documentation counts them.

One ATOM record per N, CA, C, O with element and B-factor, TER after every chain, END, and REMARK
records that say what the file is: REMARK 3 explains the B-factor column, REMARK 6 (free text)
the rest. Several models (a trajectory) are wrapped in MODEL and ENDMDL. The format cannot hold
chain names of two letters or ten thousand residues; such structures are refused with the advice to
write mmCIF.

References
----------
wwPDB, Atomic Coordinate Entry Format version 3.3, https://www.wwpdb.org/documentation/file-format
"""

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from numpy.typing import ArrayLike

from proteinweaver.errors import UserError
from proteinweaver.io.layout import Layout, lay_out
from proteinweaver.io.run_folder import write_atomic
from proteinweaver.structure.backbone import ATOM_NAMES, Backbone

__all__ = ["pdb_text", "write_pdb"]

_BOUNDS = (-999.999, 9999.999)  # what 8.3f holds
_MAX_NUMBER = 9999
_MAX_SERIAL = 99999


def pdb_text(
    backbone: Backbone,
    *,
    remarks: Sequence[str] = (),
    bfactor: ArrayLike | None = None,
    bfactor_meaning: str | None = None,
    generated: ArrayLike | None = None,
    models: ArrayLike | None = None,
) -> str:
    """Return the text of a PDB file.

    Parameters
    ----------
    backbone : Backbone
        What to write; a CA-only model is written as CA atoms.
    remarks : sequence of str, optional
        Text of the caller: seed, sampler, version. Long lines are wrapped.
    bfactor : array_like, dtype=float, shape=(L,), optional
        One value per residue. Default: the domain index.
    bfactor_meaning : str, optional
        What `bfactor` holds; required with it.
    generated : array_like, dtype=bool, shape=(L,), optional
        Residues without a sequence, to say so. Default: all, if all are GLY.
    models : array_like, dtype=float, shape=(M, L, 4, 3), optional
        Coordinates of a trajectory in angstrom, in the order of writing; NaN for every N, C and O
        writes CA atoms alone.

    Returns
    -------
    text : str

    Raises
    ------
    UserError
        If a value is not finite or does not fit the format.
    ValueError
        If an array has a wrong shape.
    """
    layout = lay_out(
        backbone,
        remarks=remarks,
        bfactor=bfactor,
        bfactor_meaning=bfactor_meaning,
        generated=generated,
        models=models,
        bounds=_BOUNDS,
    )
    _refuse_oversize(layout)
    return "".join(f"{line:<80}\n" for line in _lines(layout, models is not None))


def write_pdb(
    path: str | Path,
    backbone: Backbone,
    *,
    remarks: Sequence[str] = (),
    bfactor: ArrayLike | None = None,
    bfactor_meaning: str | None = None,
    generated: ArrayLike | None = None,
    models: ArrayLike | None = None,
) -> None:
    """Write a PDB file, completely or not at all.

    Parameters
    ----------
    path : str or Path
        Where; an existing file is replaced.
    backbone, remarks, bfactor, bfactor_meaning, generated, models
        See `pdb_text`.

    Raises
    ------
    UserError
        If a value does not fit the format or the file cannot be written.
    ValueError
        If an array has a wrong shape.
    """
    text = pdb_text(
        backbone,
        remarks=remarks,
        bfactor=bfactor,
        bfactor_meaning=bfactor_meaning,
        generated=generated,
        models=models,
    )
    write_atomic(Path(path), text)


def _refuse_oversize(layout: Layout) -> None:
    """Raise if the format has no room for something."""
    label = layout.backbone.name or "backbone"
    advice = "write .cif instead"
    chains = list(dict.fromkeys(layout.chain))
    for name in chains:
        if len(name) > 1 or not name.isascii():
            raise UserError(
                f"{label}: a PDB file has no room for the chain name {name!r}; {advice}"
            )
    longest = int(layout.number.max())
    if longest > _MAX_NUMBER:
        raise UserError(
            f"{label}: a chain of {longest} residues, a PDB file holds {_MAX_NUMBER}; {advice}"
        )
    serials = len(layout.chain) * len(layout.atoms) + len(chains)
    if serials > _MAX_SERIAL:
        raise UserError(f"{label}: {serials} records, a PDB file holds {_MAX_SERIAL}; {advice}")
    if len(layout.models) > _MAX_NUMBER:
        raise UserError(
            f"{label}: {len(layout.models)} models, a PDB file holds {_MAX_NUMBER}; {advice}"
        )
    if layout.bfactor.max() > 999.99 or layout.bfactor.min() < -99.99:
        raise UserError(f"{label}: a B-factor outside -99.99..999.99 does not fit a PDB file")


def _lines(layout: Layout, as_models: bool) -> Iterator[str]:
    """Yield the records."""
    if layout.backbone.name:
        yield from _titled(_ascii(layout.backbone.name))
    for index, remark in enumerate(layout.remarks):
        number = 3 if index == 0 else 6
        for text in remark.splitlines():
            for piece in textwrap.wrap(_ascii(text), 69) or [""]:
                yield f"REMARK {number:3d} {piece}"
    # everything but the coordinates is the same in every model
    residues = list(
        zip(
            layout.resnames, layout.chain, layout.number.tolist(), layout.bfactor.tolist(),
            strict=True,
        )
    )  # fmt: skip
    for model, coord in enumerate(layout.models.tolist(), start=1):
        if as_models:
            yield f"MODEL     {model:4d}"
        serial = 0
        for index, (resname, chain, number, bfactor) in enumerate(residues):
            place = f"{resname:>3} {chain}{number:4d}"
            for atom in layout.atoms:
                serial += 1
                x, y, z = coord[index][atom]
                name = ATOM_NAMES[atom]
                yield (
                    f"ATOM  {serial:5d}  {name:<3} {place}    {x:8.3f}{y:8.3f}{z:8.3f}"
                    f"  1.00{bfactor:6.2f}{'':10}{name[0]:>2}"
                )
            if index + 1 == len(residues) or residues[index + 1][1] != chain:
                serial += 1
                yield f"TER   {serial:5d}      {place}"
        if as_models:
            yield "ENDMDL"
    yield "END"


def _titled(name: str) -> Iterator[str]:
    """Yield TITLE records."""
    for index, piece in enumerate(textwrap.wrap(name, 69)[:99], start=1):
        yield f"TITLE     {piece}" if index == 1 else f"TITLE   {index:2d} {piece}"


def _ascii(text: str) -> str:
    """Return `text` with what a PDB file cannot hold replaced by question marks."""
    plain = text.encode("ascii", "replace").decode("ascii")
    return "".join(letter if letter.isprintable() else " " for letter in plain)
