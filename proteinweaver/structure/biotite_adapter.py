"""The only module that knows biotite; it works with biotite 1.6 and 2.x.

It turns the text or bytes of a structure file into an `AtomTable`, looks up the parents of rare
modified residues in the Chemical Component Dictionary that biotite carries, and assigns secondary
structure. biotite is imported inside the functions: it takes half a second, and most commands
never need it. Where the two versions differ (`annotate_sse` returns letters in 1.6 and integers
in 2.0) the difference ends here.

PDB files in circulation are less regular than the standard, so their lines are brought into shape
before biotite sees them (`proteinweaver.structure.pdb_lines`).

References
----------
Labesse et al. 1997, Comput. Appl. Biosci. 13, 291 (P-SEA).
Kunzmann & Hamacher 2018, BMC Bioinformatics 19, 346 (biotite).
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.errors import UserError
from proteinweaver.structure.all_atoms import AllAtoms
from proteinweaver.structure.atoms import BACKBONE_ATOMS, AtomTable
from proteinweaver.structure.pdb_lines import (
    TRUNCATED,
    diagnosis,
    entry_code,
    first_model,
    float_or_nan,
    header_of,
    is_number,
    refuse_truncated,
    shaped_line,
    split_lines,
)
from proteinweaver.structure.residues import NAMES1, NAMES3

__all__ = ["all_atoms", "annotate_sse", "parent_of", "parse_bcif", "parse_cif", "parse_pdb"]

_SSE_OF_NUMBER = {0: "c", 1: "a", 2: "b", -1: "c"}  # biotite 2: PSeaElement
_SSE_OF_LETTER = {"a": "a", "b": "b", "c": "c", "": "c"}  # biotite 1
_DAMAGED = "the file is truncated or damaged; fetch or write it again"


def parse_pdb(text: str) -> AtomTable:
    """Read the backbone atoms of the first model of a PDB file.

    Parameters
    ----------
    text : str
        Content of the file.

    Returns
    -------
    table : AtomTable

    Raises
    ------
    UserError
        If an atom line is malformed or the file ends before its end.
    """
    lines = split_lines(text)
    kept, model_count = first_model(lines)
    refuse_truncated(lines, kept)
    shaped = [shaped_line(lines[number]) for number in kept]
    with _complaints(lambda: diagnosis(lines, kept)):
        from biotite.structure.io.pdb import PDBFile

        file = PDBFile.read(io.StringIO("\n".join([*shaped, "END", ""])))
        atoms = file.get_structure(model=1, altloc="all", extra_fields=["occupancy"])
        columns = [np.char.strip(atoms.get_annotation(key).astype(str)) for key in _PDB_COLUMNS]
        chain, icode, resname, atom, altloc = columns
        table = AtomTable(
            chain=chain,
            resnum=atoms.res_id.astype(np.int64),
            icode=icode,
            resname=resname,
            atom=atom,
            altloc=altloc,
            coord=atoms.coord.astype(np.float64),
            occupancy=atoms.get_annotation("occupancy").astype(np.float64),
            hetero=atoms.hetero.astype(np.bool_),
            model_count=model_count,
            **header_of(lines),
        )
    return table


_PDB_COLUMNS = ("chain_id", "ins_code", "res_name", "atom_name", "altloc_id")


def parse_cif(text: str) -> AtomTable:
    """Read the backbone atoms of the first model of an mmCIF file.

    Parameters
    ----------
    text : str
        Content of the file.

    Returns
    -------
    table : AtomTable
        Named by author (``auth_*``) where the file has such columns.

    Raises
    ------
    UserError
        If there is no usable ``_atom_site`` table.
    """
    with _complaints(lambda: _cif_diagnosis(text)):
        from biotite.structure.io.pdbx import CIFFile

        file = CIFFile.read(io.StringIO(text))
        table = _from_blocks(list(file.values()))
    _refuse_truncated_cif(text)
    return table


def parse_bcif(data: bytes) -> AtomTable:
    """Read the backbone atoms of the first model of a BinaryCIF file.

    Parameters
    ----------
    data : bytes
        Content of the file.

    Returns
    -------
    table : AtomTable

    Raises
    ------
    UserError
        If there is no usable ``_atom_site`` table.
    """
    with _complaints(lambda: f"BinaryCIF that cannot be read; {_DAMAGED}"):
        from biotite.structure.io.pdbx import BinaryCIFFile

        file = BinaryCIFFile.read(io.BytesIO(data))
        return _from_blocks(list(file.values()))


def all_atoms(data: bytes) -> AllAtoms:
    """Read all heavy atoms of the first model, the best-occupied alternate location of each.

    Parameters
    ----------
    data : bytes
        Content of a PDB, mmCIF or BinaryCIF file.

    Returns
    -------
    AllAtoms

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    with _complaints(lambda: f"its atoms cannot be read; {_DAMAGED}"):
        if b"dataBlocks" in data[:4096] or b"_atom_site." in data:
            from biotite.structure.io import pdbx

            file: Any = (
                pdbx.BinaryCIFFile.read(io.BytesIO(data))
                if b"dataBlocks" in data[:4096]
                else pdbx.CIFFile.read(io.StringIO(data.decode("utf-8-sig", errors="replace")))
            )
            atoms = pdbx.get_structure(file, model=1, altloc="occupancy", use_author_fields=True)
        else:
            from biotite.structure.io.pdb import PDBFile

            text = data.decode("utf-8-sig", errors="replace")
            lines = list(_first_model_atoms(split_lines(text)))
            file = PDBFile.read(io.StringIO("\n".join([*lines, "END", ""])))
            atoms = file.get_structure(model=1, altloc="occupancy")
    names = {key: np.char.strip(atoms.get_annotation(key).astype(str)) for key in _ATOM_NAMES}
    element = np.char.upper(names["element"])
    heavy = ~np.isin(element, ("H", "D"))
    return AllAtoms(
        chain=names["chain_id"],
        resnum=atoms.res_id.astype(np.int64),
        icode=names["ins_code"],
        resname=names["res_name"],
        atom=names["atom_name"],
        element=element,
        hetero=atoms.hetero.astype(np.bool_),
        coord=atoms.coord.astype(np.float64),
    ).subset(heavy)


def _first_model_atoms(lines: list[str]) -> Iterator[str]:
    """Yield the atom lines of the first model, all atoms, with their elements filled in."""
    seen = False
    for line in lines:
        if line.startswith("ENDMDL") and seen:
            return
        if not line.startswith(("ATOM  ", "HETATM")) or not line[12:16].strip():
            continue
        seen = True
        letters = re.sub(r"[^A-Za-z].*", "", line[12:16].lstrip("0123456789 "))[:2].upper()
        long = line.startswith("HETATM") and line[12] != " " and letters in _TWO_LETTERS
        yield f"{shaped_line(line)[:76]}{letters if long else letters[:1]:>2}  "


#: Elements of two letters that stand in ligands and ions.
_TWO_LETTERS = {
    "BR", "CA", "CD", "CL", "CO", "CU", "FE", "HG", "MG", "MN", "NA", "NI", "SE", "SI", "ZN",
}  # fmt: skip
_ATOM_NAMES = ("chain_id", "ins_code", "res_name", "atom_name", "element")


@lru_cache(maxsize=4096)
def parent_of(resname: str) -> str | None:
    """Look up the parent amino acid of a residue in the Chemical Component Dictionary.

    Parameters
    ----------
    resname : str
        Three-letter code.

    Returns
    -------
    parent : str or None
        Three-letter code of one of the twenty amino acids, ``"UNK"`` for a peptide residue
        without one, None for anything that is no peptide residue.
    """
    from biotite.structure import info

    link = info.link_type(resname)
    if link is None or "PEPTIDE" not in link.upper():
        return None
    letter = info.one_letter_code(resname)
    if letter is None or len(letter) != 1 or letter not in NAMES1:
        return "UNK"
    return NAMES3[NAMES1.index(letter)]


def annotate_sse(ca: ArrayLike, break_after: ArrayLike | None = None) -> NDArray[np.str_]:
    """Assign secondary structure from CA coordinates by P-SEA.

    Parameters
    ----------
    ca : array_like, dtype=float, shape=(L, 3)
        CA coordinates in angstrom.
    break_after : array_like, dtype=bool, shape=(L,), optional
        True where the next residue is not bonded; no element crosses such a place.

    Returns
    -------
    sse : ndarray, dtype='<U1', shape=(L,)
        ``'a'`` helix, ``'b'`` strand, ``'c'`` everything else (five residues or fewer are all
        ``'c'``, and so is a residue without a finite CA).

    Raises
    ------
    ValueError
        If `ca` does not have the shape (L, 3).

    Notes
    -----
    P-SEA looks at each chain stretch by itself, so it also calls an isolated extended stretch a
    strand; it knows no hydrogen bonds.
    """
    coord = np.asarray(ca, dtype=np.float32)
    if coord.ndim != 2 or coord.shape[1] != 3:
        raise ValueError(f"ca has shape {coord.shape}, not (L, 3)")
    length = len(coord)
    if length <= 5:
        return np.full(length, "c", dtype="<U1")
    from biotite.structure import AtomArray
    from biotite.structure import annotate_sse as biotite_annotate_sse

    atoms = AtomArray(length)
    atoms.coord = coord
    atoms.atom_name[:] = "CA"
    atoms.element[:] = "C"
    atoms.res_name[:] = "GLY"
    atoms.chain_id[:] = "A"
    atoms.res_id[:] = np.arange(1, length + 1)
    if break_after is not None:
        atoms.res_id[1:] += np.cumsum(np.asarray(break_after, dtype=np.bool_)[:-1])
    with np.errstate(invalid="ignore", divide="ignore"):
        raw = np.asarray(biotite_annotate_sse(atoms))
    if raw.dtype.kind in "iu":
        return np.array([_SSE_OF_NUMBER[int(value)] for value in raw], dtype="<U1")
    return np.array([_SSE_OF_LETTER[str(value)] for value in raw], dtype="<U1")


@contextmanager
def _complaints(describe: Callable[[], str]) -> Iterator[None]:
    """Turn whatever a parser throws at damaged input into one clear error.

    Damaged bytes surface as many exception types (and as `PanicException`, a `BaseException`,
    from compiled parsers); none of them tells a user more than the description.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (UserError, KeyboardInterrupt, SystemExit, GeneratorExit, ImportError):
        raise
    except BaseException as error:
        raise UserError(describe()) from error


def _cif_diagnosis(text: str) -> str:
    """Say what is the matter with an mmCIF file that cannot be parsed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if "#" in lines and lines[-1] != "#":
        return f"its last table is not closed by '#'; {TRUNCATED}"
    return f"mmCIF that cannot be read; {_DAMAGED}"


def _refuse_truncated_cif(text: str) -> None:
    """Raise if a file that closes its tables with ``#`` stops inside the atom table.

    Not every writer closes tables, so only one that did so before is held to it.
    """
    closes = [match.start() for match in re.finditer(r"^#\s*$", text, re.M)]
    site = text.rfind("\n_atom_site.")
    if closes and closes[0] < site and closes[-1] < site:
        raise UserError(f"the _atom_site table does not end with '#'; {TRUNCATED}")


def _from_blocks(blocks: list[Any]) -> AtomTable:
    """Make the table from the first data block that has atoms."""
    for block in blocks:
        if "atom_site" in block:
            return _from_atom_site(block)
    raise UserError("it has no _atom_site table (no atoms); is it a structure file?")


def _from_atom_site(block: Any) -> AtomTable:
    """Make the table from the ``_atom_site`` category of a block."""
    site = block["atom_site"]
    atom = _strings(site, "auth_atom_id", "label_atom_id")
    counts = {len(site[key].data.array) for key in site}
    if len(counts) != 1:
        raise UserError(f"the _atom_site table ends in the middle of a row; {TRUNCATED}")
    models = _strings(site, "pdbx_PDB_model_num", default="1")
    use = np.isin(atom, list(BACKBONE_ATOMS)) & (models == models[0] if len(models) else True)
    coord = np.stack([_numbers(site, f"Cartn_{axis}", use) for axis in "xyz"], axis=-1)
    occupancy = _numbers(site, "occupancy", use, blank=1.0)
    names = _strings(site, "auth_asym_id", "label_asym_id")
    position = None
    if "label_seq_id" in site:
        position = _numbers(site, "label_seq_id", use, blank=-1.0).astype(np.int64)
    resnum = _numbers(site, "auth_seq_id" if "auth_seq_id" in site else "label_seq_id", use)
    if not np.isfinite(resnum).all():
        raise UserError("a residue number in the _atom_site table is missing")
    return AtomTable(
        chain=names[use],
        resnum=resnum.astype(np.int64),
        icode=_strings(site, "pdbx_PDB_ins_code", default="")[use],
        resname=_strings(site, "auth_comp_id", "label_comp_id")[use],
        atom=atom[use],
        altloc=_strings(site, "label_alt_id", default="")[use],
        coord=coord,
        occupancy=occupancy,
        hetero=_strings(site, "group_PDB", default="ATOM")[use] == "HETATM",
        position=position,
        model_count=len(set(models.tolist())),
        entry=entry_code(_item(block, "entry", "id")),
        method=_item(block, "exptl", "method").upper(),
        resolution=_resolution(block),
    )


def _resolution(block: Any) -> float:
    for category, key in (
        ("refine", "ls_d_res_high"),
        ("em_3d_reconstruction", "resolution"),
    ):
        value = float_or_nan(_item(block, category, key))
        if np.isfinite(value):
            return value
    return float("nan")


def _item(block: Any, category: str, key: str) -> str:
    """Return the first value of a column, ``''`` if there is none."""
    if category not in block or key not in block[category]:
        return ""
    values = _strings(block[category], key)
    return str(values[0]) if len(values) else ""


def _strings(site: Any, *keys: str, default: str | None = None) -> NDArray[np.str_]:
    """Return the first column that is there, with blanks (``.`` and ``?``) as empty strings."""
    for key in keys:
        if key in site:
            values = np.asarray(site[key].data.array).astype(np.str_)
            mask = site[key].mask
            blank = np.isin(values, (".", "?")) if mask is None else np.asarray(mask.array) != 0
            return np.where(blank, "", values)
    if default is None:
        raise UserError(f"the _atom_site table has no column {keys[-1]}")
    return np.full(site.row_count, default)


def _numbers(
    site: Any, key: str, use: NDArray[np.bool_], blank: float = float("nan")
) -> NDArray[np.float64]:
    """Return a numeric column of the used rows; `blank` where the file has none."""
    if key not in site and np.isfinite(blank):
        return np.full(int(use.sum()), blank)
    values = np.asarray(site[key].data.array) if key in site else np.empty(0, dtype=np.str_)
    if values.dtype.kind in "iuf":  # BinaryCIF stores numbers
        mask = site[key].mask
        missing = np.zeros(len(values)) if mask is None else np.asarray(mask.array)
        return np.where(missing[use] != 0, blank, values[use].astype(np.float64))
    texts = _strings(site, key)[use].tolist()
    try:
        return np.array([float(text) if text else blank for text in texts], dtype=np.float64)
    except ValueError:
        wrong = next(text for text in texts if text and not is_number(text))
        raise UserError(f"_atom_site.{key}: {wrong!r} is not a number") from None
