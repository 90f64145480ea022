"""Residue names: the twenty amino acids, their codes, and the parents of modified residues.

A residue type is stored as a small integer, the position of its one-letter code in `NAMES1`.
The last position, ``X``, stands for a peptide residue whose parent amino acid is unknown.
A chemically modified residue (selenomethionine, phosphoserine, ...) is stored as the amino acid
it was made from, its *parent*, as the wwPDB Chemical Component Dictionary records it. The most
frequent ones are listed here so that naming residues needs no structure library; the reader asks
the dictionary (through `proteinweaver.structure.biotite_adapter`) for the rest.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "GLY",
    "NAMES1",
    "NAMES3",
    "PARENTS",
    "UNKNOWN",
    "index_of_name3",
    "indices_of_sequence",
    "sequence_of_indices",
]

NAMES1 = "ACDEFGHIKLMNPQRSTVWYX"
"""One-letter codes in the order of the stored indices; ``X`` (20) is unknown."""

NAMES3: tuple[str, ...] = (
    "ALA", "CYS", "ASP", "GLU", "PHE", "GLY", "HIS", "ILE", "LYS", "LEU",
    "MET", "ASN", "PRO", "GLN", "ARG", "SER", "THR", "VAL", "TRP", "TYR", "UNK",
)  # fmt: skip
"""Three-letter codes in the order of `NAMES1`."""

UNKNOWN = NAMES1.index("X")
GLY = NAMES1.index("G")

PARENTS: dict[str, str] = {
    # alanine
    "AIB": "ALA", "ALN": "ALA", "AYA": "ALA", "DAL": "ALA", "FLA": "ALA", "MAA": "ALA",
    # arginine
    "2MR": "ARG", "AGM": "ARG", "ARM": "ARG", "CIR": "ARG", "DA2": "ARG", "DAR": "ARG",
    "HMR": "ARG", "MMO": "ARG",
    # asparagine and aspartate, with the protonation names of force fields
    "AHB": "ASN", "DSG": "ASN", "MEN": "ASN", "SNN": "ASN",
    "ASA": "ASP", "ASH": "ASP", "BFD": "ASP", "BHD": "ASP", "DAS": "ASP", "IAS": "ASP",
    "PHD": "ASP",
    # cysteine
    "CAF": "CYS", "CAS": "CYS", "CCS": "CYS", "CGU": "GLU", "CME": "CYS", "CMT": "CYS",
    "CSD": "CYS", "CSO": "CYS", "CSP": "CYS", "CSR": "CYS", "CSS": "CYS", "CSU": "CYS",
    "CSW": "CYS", "CSX": "CYS", "CSZ": "CYS", "CY0": "CYS", "CYG": "CYS", "CYM": "CYS",
    "CYQ": "CYS", "CYX": "CYS", "DCY": "CYS", "OCS": "CYS", "SCH": "CYS", "SCS": "CYS",
    "SCY": "CYS", "SEC": "CYS", "SMC": "CYS", "SNC": "CYS", "YCM": "CYS",
    # glutamate and glutamine
    "DGL": "GLU", "GLH": "GLU", "GMA": "GLU", "PCA": "GLN", "DGN": "GLN", "GHG": "GLN",
    "MEQ": "GLN", "MGN": "GLN", "5HP": "GLU",
    # glycine
    "GL3": "GLY", "GLZ": "GLY", "MSA": "GLY", "SAR": "GLY",
    # histidine
    "DHI": "HIS", "HIC": "HIS", "HID": "HIS", "HIE": "HIS", "HIP": "HIS", "HS8": "HIS",
    "HSD": "HIS", "HSE": "HIS", "HSP": "HIS", "MHS": "HIS", "NEP": "HIS",
    # isoleucine, leucine, valine
    "DIL": "ILE", "IIL": "ILE", "BUG": "VAL", "DVA": "VAL", "MVA": "VAL",
    "DLE": "LEU", "MLE": "LEU", "NLE": "LEU", "NLN": "LEU",
    # lysine
    "ALY": "LYS", "BTK": "LYS", "DLY": "LYS", "FZN": "LYS", "KCX": "LYS", "KPI": "LYS",
    "KST": "LYS", "LLP": "LYS", "LYN": "LYS", "LYR": "LYS", "LYZ": "LYS", "M3L": "LYS",
    "MCL": "LYS", "MLY": "LYS", "MLZ": "LYS", "PYL": "LYS", "SLZ": "LYS",
    # methionine
    "CXM": "MET", "FME": "MET", "MED": "MET", "MHO": "MET", "MME": "MET", "MSE": "MET",
    "MSO": "MET", "OMT": "MET", "SME": "MET",
    # phenylalanine
    "DPN": "PHE", "HPQ": "PHE", "MEA": "PHE", "PHI": "PHE", "PHL": "PHE",
    # proline
    "DPR": "PRO", "HY3": "PRO", "HYP": "PRO",
    # serine
    "DSN": "SER", "MIS": "SER", "OAS": "SER", "SAC": "SER", "SEP": "SER", "SVA": "SER",
    # threonine
    "BMT": "THR", "DTH": "THR", "TPO": "THR",
    # tryptophan
    "BTR": "TRP", "DTR": "TRP", "HTR": "TRP", "TRO": "TRP", "TRQ": "TRP", "TOX": "TRP",
    # tyrosine
    "DTY": "TYR", "IYR": "TYR", "OMY": "TYR", "OMZ": "TYR", "PAQ": "TYR", "PTR": "TYR",
    "TPQ": "TYR", "TYI": "TYR", "TYQ": "TYR", "TYS": "TYR", "TYY": "TYR",
}  # fmt: skip
"""Three-letter code of a modified residue -> three-letter code of its parent amino acid.

Names of protonation states in AMBER and CHARMM files are among them: ASH, CYM, CYX, GLH, HID, HIE,
HIP, HSD, HSE, HSP, LYN. The wwPDB gives some of these codes to rare ligands.
"""

_INDEX3 = {name: index for index, name in enumerate(NAMES3)}
_INDEX1 = {name: index for index, name in enumerate(NAMES1)}


def index_of_name3(name: str) -> int:
    """Return the residue index of a three-letter code.

    Parameters
    ----------
    name : str
        Three-letter code, any case; one of the twenty or a modified residue of `PARENTS`.

    Returns
    -------
    index : int
        Position in `NAMES1`; `UNKNOWN` for any other name.

    Examples
    --------
    >>> NAMES1[index_of_name3("MSE")]
    'M'
    """
    code = name.strip().upper()
    return _INDEX3.get(PARENTS.get(code, code), UNKNOWN)


def indices_of_sequence(sequence: str) -> NDArray[np.uint8]:
    """Return the residue indices of a one-letter sequence.

    Parameters
    ----------
    sequence : str
        One-letter codes, any case; a letter outside `NAMES1` counts as unknown.

    Returns
    -------
    aatype : ndarray, dtype=uint8, shape=(L,)
    """
    return np.array([_INDEX1.get(letter, UNKNOWN) for letter in sequence.upper()], dtype=np.uint8)


def sequence_of_indices(aatype: Iterable[int]) -> str:
    """Return the one-letter sequence of residue indices.

    Parameters
    ----------
    aatype : iterable of int, shape=(L,)
        Positions in `NAMES1`.

    Returns
    -------
    sequence : str
    """
    return "".join(NAMES1[int(index)] for index in aatype)
