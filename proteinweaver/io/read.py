"""Reading structure files into `Backbone` values.

Formats are recognised by content, never by extension: PDB, mmCIF and BinaryCIF, each also gzipped.
What a reader decides on the way (which model, what was left out or rebuilt) is told in notes;
`read_backbone` logs them. What it cannot decide is a `UserError` of one line.
"""

import gzip
import logging
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from proteinweaver.errors import UserError
from proteinweaver.io.select import select_residues, split_spec
from proteinweaver.structure.all_atoms import AllAtoms
from proteinweaver.structure.atoms import AtomTable
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.polymer import Note, read_residues

__all__ = [
    "STRUCTURE_SUFFIXES",
    "StructureFile",
    "read_all_atoms",
    "read_backbone",
    "read_structure",
    "stem_of",
]

logger = logging.getLogger(__name__)

STRUCTURE_SUFFIXES = (".pdb", ".ent", ".pdb1", ".cif", ".mmcif", ".bcif")
"""Endings by which structure files are found in folders, each also with ``.gz``."""

_MAX_BYTES = 2**31  # of one decompressed file
_PDB_RECORD = re.compile(
    r"^(ATOM  |HETATM|HEADER|MODEL |REMARK|CRYST1|TITLE |SEQRES|COMPND|EXPDTA|MDLTYP|END)", re.M
)


@dataclass(frozen=True)
class StructureFile:
    """A structure file that was read.

    Parameters
    ----------
    path : Path
        The file.
    backbone : Backbone
        All its protein chains.
    notes : tuple of Note
        What was left out, rebuilt or chosen.
    rebuilt_o : dict of str to int
        Chain -> number of O atoms placed geometrically.
    entry, method : str
        PDB code (lower case) and experimental method (upper case); ``''`` if not told.
    resolution : float
        Angstrom; NaN if not told.
    """

    path: Path
    backbone: Backbone
    notes: tuple[Note, ...]
    rebuilt_o: dict[str, int]
    entry: str
    method: str
    resolution: float


def read_backbone(
    spec: str | Path,
    *,
    allow_ca_only: bool = False,
    single_chain: bool = False,
    notes: list[str] | None = None,
) -> Backbone:
    """Read a structure file, or the part of it that is selected.

    Without a selection all protein chains are read, in the order of the file.

    Parameters
    ----------
    spec : str or Path
        ``file``, ``file:CHAIN`` or ``file:A10-120``; see `proteinweaver.io.select`.
    allow_ca_only : bool, optional
        Accept a model of CA atoms alone; its N, C and O are NaN (`Backbone.is_ca_only`).
    single_chain : bool, optional
        Refuse a result of several chains.
    notes : list of str, optional
        Receives what the reader decided. Without it the notes are logged as warnings.

    Returns
    -------
    backbone : Backbone
        Named after the file.

    Raises
    ------
    UserError
        If the file is missing, damaged, of another kind or without protein, or the selection
        does not fit.
    """
    wanted = split_spec(spec)
    file = read_structure(wanted.path, allow_ca_only=allow_ca_only)
    backbone = select_residues(file.backbone, wanted.selection, str(wanted.path))
    chains = backbone.chain_names
    if single_chain and len(chains) > 1:
        raise UserError(
            f"{wanted}: {len(chains)} chains ({', '.join(chains)}) where one is needed; name it,"
            f" for example {wanted.path}:{chains[0]}"
        )
    for note in file.notes:
        if note.chain is None or note.chain in chains:
            of_chain = f" chain {note.chain}:" if note.chain else ""
            text = f"{wanted.path}:{of_chain} {note.text}"
            if notes is None:
                logger.warning("%s", text)
            else:
                notes.append(text)
    return backbone


def read_structure(path: str | Path, *, allow_ca_only: bool = False) -> StructureFile:
    """Read all protein chains of a structure file.

    Parameters
    ----------
    path : str or Path
        PDB, mmCIF or BinaryCIF file, also gzipped.
    allow_ca_only : bool, optional
        Accept a model of CA atoms alone.

    Returns
    -------
    file : StructureFile

    Raises
    ------
    UserError
        If the file is missing, damaged, of another kind or without protein.
    """
    path = split_spec(Path(path)).path
    data = _content(path)
    try:
        table = _parser(data)()
        from proteinweaver.structure.biotite_adapter import parent_of

        reading = read_residues(table, parent_of, name=stem_of(path), allow_ca_only=allow_ca_only)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return StructureFile(
        path=path,
        backbone=reading.backbone,
        notes=reading.notes,
        rebuilt_o=reading.rebuilt_o,
        entry=table.entry,
        method=table.method,
        resolution=table.resolution,
    )


def read_all_atoms(path: str | Path) -> AllAtoms:
    """Read all heavy atoms of a structure file: side chains, ligands, water.

    Parameters
    ----------
    path : str or Path
        PDB, mmCIF or BinaryCIF file, also gzipped.

    Returns
    -------
    AllAtoms

    Raises
    ------
    UserError
        If the file is missing, damaged or without atoms.
    """
    from proteinweaver.structure.biotite_adapter import all_atoms

    path = split_spec(Path(path)).path
    try:
        atoms = all_atoms(_content(path))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if not len(atoms):
        raise UserError(f"{path}: no atoms in it; give a structure file")
    return atoms


def stem_of(path: Path) -> str:
    """Return the file name without ``.gz`` and the structure ending."""
    name = path.name
    if name.lower().endswith(".gz"):
        name = name[:-3]
    for suffix in STRUCTURE_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)] or name
    return name


def _content(path: Path) -> bytes:
    """Return the bytes of a file, decompressed."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.GzipFile(fileobj=BytesIO(data)) as stream:
                data = stream.read(_MAX_BYTES + 1)
        except (EOFError, OSError, zlib.error) as error:
            raise UserError(
                f"{path}: the gzip data is truncated or damaged; fetch the file again"
            ) from error
        if len(data) > _MAX_BYTES:
            raise UserError(
                f"{path}: more than {_MAX_BYTES >> 30} GiB when decompressed; split it"
            )
    if not data.strip():
        raise UserError(f"{path}: the file is empty")
    return data


def _parser(data: bytes) -> Callable[[], AtomTable]:
    """Choose the parser by content.

    Raises
    ------
    UserError
        If the content is none of the formats.
    """
    from proteinweaver.structure import biotite_adapter

    for magic, what in _FOREIGN.items():
        if data.startswith(magic):
            raise UserError(f"it is {what}; unpack or convert it to PDB or mmCIF first")
    is_map = 0x80 <= data[0] <= 0x8F or data[0] in (0xDE, 0xDF)  # MessagePack
    if is_map and b"dataBlocks" in data:
        return lambda: biotite_adapter.parse_bcif(data)
    if b"\x00" in data:
        raise UserError("it is a binary file, not PDB, mmCIF or BinaryCIF")
    text = data.decode("utf-8-sig", errors="replace")
    if re.match(r"(\s|#.*\n)*data_", text, re.I) or "\n_atom_site." in text:
        return lambda: biotite_adapter.parse_cif(text)
    if _PDB_RECORD.search(text):
        return lambda: biotite_adapter.parse_pdb(text)
    raise UserError("it is not a structure file; PDB, mmCIF and BinaryCIF are read")


_FOREIGN = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"%PDF": "a PDF document",
    b"<": "an XML or HTML document",
    b"{": "a JSON document",
    b">": "a FASTA sequence file",
}
