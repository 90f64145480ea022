"""The only module that knows biotite; it works with biotite 1.6 and 2.x.

It turns the text or bytes of a structure file into an `AtomTable`, looks up the parents of rare
modified residues in the Chemical Component Dictionary that biotite carries, and assigns secondary
structure. biotite is imported inside the functions: it takes half a second, and most commands
never need it. Where the two versions differ (`annotate_sse` returns letters in 1.6 and integers
in 2.0) the difference ends here.

Structure files in circulation are less regular than the standard, so PDB lines are brought into
shape before biotite sees them: lines of other atoms and of later models are dropped, a blank
occupancy counts as 1, and the columns behind it, which we do not use, are overwritten.

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
from proteinweaver.structure.atoms import BACKBONE_ATOMS, AtomTable
from proteinweaver.structure.residues import NAMES1, NAMES3

__all__ = ["annotate_sse", "parent_of", "parse_bcif", "parse_cif", "parse_pdb"]

_SSE_OF_NUMBER = {0: "c", 1: "a", 2: "b", -1: "c"}  # biotite 2: PSeaElement
_SSE_OF_LETTER = {"a": "a", "b": "b", "c": "c", "": "c"}  # biotite 1
_DAMAGED = "the file is truncated or damaged; fetch or write it again"
_TRUNCATED = "the file looks truncated; fetch or write it again"


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
    lines = re.split(r"\r\n|\n|\r", text)
    kept, model_count = _first_model(lines)
    _refuse_truncated_pdb(lines, kept)
    shaped = [_shaped(lines[number]) for number in kept]
    with _complaints(lambda: _diagnosis(lines, kept)):
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
            **_pdb_header(lines),
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


def _first_model(lines: list[str]) -> tuple[list[int], int]:
    """Return the positions of the backbone atom lines of the first model, and the model count."""
    kept: list[int] = []
    models = 0
    closed = False
    atoms_later = False
    for number, line in enumerate(lines):
        record = line[:6]
        if record in ("ATOM  ", "HETATM"):
            if closed:
                atoms_later = True
            elif line[12:16].strip() in BACKBONE_ATOMS:
                kept.append(number)
            elif len(line) < 16:
                raise UserError(f"line {number + 1} ends inside an atom record; {_TRUNCATED}")
        elif record.rstrip() == "MODEL":
            models += 1
            closed = closed or models > 1 or bool(kept)
        elif record.rstrip() in ("ENDMDL", "END"):
            closed = closed or bool(kept)
    if models == 0 and atoms_later:
        models = 2
    return kept, max(models, 1)


def _refuse_truncated_pdb(lines: list[str], kept: list[int]) -> None:
    """Raise if a PDB file stops in the middle."""
    filled = [number for number, line in enumerate(lines) if line.strip()]
    records = {lines[number][:6].rstrip() for number in filled}
    last = filled[-1]
    if lines[last][:6].rstrip() in ("END", "ENDMDL", "MASTER", "CONECT"):
        return
    if "SEQRES" in records and "END" not in records:
        raise UserError(f"it has SEQRES records but no END record; {_TRUNCATED}")
    if "MODEL" in records and "ENDMDL" not in records:
        raise UserError(f"it has a MODEL record but no ENDMDL record; {_TRUNCATED}")
    is_atom = lines[last][:6] in ("ATOM  ", "HETATM")
    ends_open = last == len(lines) - 1  # no line break behind it
    usual = len(lines[kept[0]].rstrip()) if kept else 54
    if is_atom and ends_open and len(lines[last].rstrip()) < min(usual, 66):
        raise UserError(f"line {last + 1} ends inside an atom record; {_TRUNCATED}")


def _cif_diagnosis(text: str) -> str:
    """Say what is the matter with an mmCIF file that cannot be parsed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if "#" in lines and lines[-1] != "#":
        return f"its last table is not closed by '#'; {_TRUNCATED}"
    return f"mmCIF that cannot be read; {_DAMAGED}"


def _refuse_truncated_cif(text: str) -> None:
    """Raise if a file that closes its tables with ``#`` stops inside the atom table.

    Not every writer closes tables, so only one that did so before is held to it.
    """
    closes = [match.start() for match in re.finditer(r"^#\s*$", text, re.M)]
    site = text.rfind("\n_atom_site.")
    if closes and closes[0] < site and closes[-1] < site:
        raise UserError(f"the _atom_site table does not end with '#'; {_TRUNCATED}")


def _shaped(line: str) -> str:
    """Return an atom line with the columns that are used, all filled."""
    line = line.encode("ascii", "replace").decode("ascii")  # one byte per column
    occupancy = line[54:60].strip() or "1.00"
    element = line[12:16].strip()[0]
    return f"{line[:54]:<54}{occupancy:>6}{'0.00':>6}{'':10}{element:>2}  "


def _diagnosis(lines: list[str], kept: list[int]) -> str:
    """Say which atom line cannot be read and why."""
    for number in kept:
        line = lines[number]
        if len(line.rstrip()) < 54:
            return f"line {number + 1} ends before the coordinates do; {_TRUNCATED}"
        for what, text in (("x", line[30:38]), ("y", line[38:46]), ("z", line[46:54])):
            if not _is_number(text):
                return f"line {number + 1}: coordinate {what} is {text!r}, not a number"
        if line[54:60].strip() and not _is_number(line[54:60]):
            return f"line {number + 1}: occupancy is {line[54:60]!r}, not a number"
        if not re.fullmatch(r"\s*-?[0-9A-Za-z]+\s*", line[22:26]):
            return f"line {number + 1}: residue number is {line[22:26]!r}"
    if not kept:
        return "no protein in it: no N, CA or C atom"
    return "an atom line cannot be read; is it a PDB file?"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _pdb_header(lines: list[str]) -> dict[str, Any]:
    """Return PDB code, method and resolution of a PDB file, as far as told."""
    told: dict[str, Any] = {}
    for line in lines:
        if line.startswith("HEADER"):
            told.setdefault("entry", _entry(line[62:66]))
        elif line.startswith("EXPDTA"):
            told.setdefault("method", line[10:79].strip().upper())
        elif match := re.match(r"REMARK   2 RESOLUTION\.\s+([0-9.]+)\s+ANG", line):
            told.setdefault("resolution", _float_or_nan(match.group(1)))
        elif line.startswith("ATOM"):
            break
    return told


def _entry(code: str) -> str:
    """Return a PDB code in lower case, ``''`` if it is none."""
    text = code.strip().lower()
    return text if re.fullmatch(r"[0-9][0-9a-z]{3}", text) else ""


def _float_or_nan(text: str) -> float:
    return float(text) if _is_number(text) else float("nan")


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
        raise UserError(f"the _atom_site table ends in the middle of a row; {_TRUNCATED}")
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
        entry=_entry(_item(block, "entry", "id")),
        method=_item(block, "exptl", "method").upper(),
        resolution=_resolution(block),
    )


def _resolution(block: Any) -> float:
    for category, key in (
        ("refine", "ls_d_res_high"),
        ("em_3d_reconstruction", "resolution"),
    ):
        value = _float_or_nan(_item(block, category, key))
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
        wrong = next(text for text in texts if text and not _is_number(text))
        raise UserError(f"_atom_site.{key}: {wrong!r} is not a number") from None
