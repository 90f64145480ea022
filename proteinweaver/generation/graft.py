"""Grafting: a design with the side chains and ligands of its given domains.

The original all-atom domain is superposed on its place in the design (N, CA, C). Residues that
closing has moved beside a linker follow their own backbone. Ligands and ions that touch the domain
in its file come along. Linkers and generated domains stay backbones. What clashes is told: heavy
atoms of two domains, of a domain and a linker, or of a ligand and another domain, at least one
of them beyond the backbone, closer than 3.0 A (2.5 A where both are N or O).
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from proteinweaver.errors import UserError
from proteinweaver.evaluation.superposition import move, superpose
from proteinweaver.generation.jobs import DesignPlan, Job, Source
from proteinweaver.generation.results import Design
from proteinweaver.io.read import read_all_atoms
from proteinweaver.io.select import split_spec
from proteinweaver.structure.all_atoms import WATER, AllAtoms
from proteinweaver.structure.backbone import ATOM_NAMES, Backbone
from proteinweaver.structure.residues import NAMES3

__all__ = ["Graft", "check_graft", "graft"]

_BACKBONE = set(ATOM_NAMES)
#: Heavy atoms closer than these (angstrom) clash: in general, and two of N, O, S.
_CLASH, _POLAR_CLASH = 3.0, 2.5
#: A ligand belongs to a domain if an atom of it is this near (angstrom).
_LIGAND = 4.5
#: Residues whose backbone lies farther than this (angstrom) from the moved domain follow it.
_FOLLOWS = 0.1
_MOST_ATOMS = 99_999


@dataclass(frozen=True)
class Graft:
    """A design with all atoms that are known.

    Parameters
    ----------
    text : str
        PDB file.
    clashes : int
        Pairs of heavy atoms that clash.
    worst : tuple of str
        The closest of them in words, at most ten.
    ligands : tuple of str
        What came along, such as ``"FK5 A501"``.
    """

    text: str
    clashes: int
    worst: tuple[str, ...]
    ligands: tuple[str, ...]


@dataclass
class _Rows:
    """Atoms of the graft under construction."""

    record: list[str]
    atom: list[str]
    resname: list[str]
    chain: list[str]
    number: list[int]
    element: list[str]
    part: list[int]  # domain 1..k, 0 for linkers
    coord: list[NDArray[np.float64]]

    def add(self, record: str, atoms: AllAtoms, chain: str, number: int, part: int) -> None:
        for k in range(len(atoms)):
            self.record.append(record)
            self.atom.append(str(atoms.atom[k]))
            self.resname.append(str(atoms.resname[k]))
            self.chain.append(chain)
            self.number.append(number)
            self.element.append(str(atoms.element[k]))
            self.part.append(part)
            self.coord.append(atoms.coord[k])


def check_graft(job: Job) -> None:
    """Refuse to graft domains that do not keep their insides.

    Raises
    ------
    UserError
        If a given domain is not rigid, or none is given.
    """
    given = [source for source in job.sources if not source.generated]
    if not given:
        raise UserError(
            f"job '{job.spec.name}': --graft takes side chains from given domains; there is none"
        )
    for source in given:
        if source.mode != "rigid":
            raise UserError(
                f"job '{job.spec.name}': --graft needs rigid domains, '{source.label}' is"
                f" {source.mode}; add --mode rigid"
            )


@lru_cache(maxsize=16)
def _atoms_of(path: Path) -> AllAtoms:
    atoms = read_all_atoms(path)
    return atoms.subset(~np.isin(atoms.resname, WATER))


def graft(design: Design) -> Graft:
    """Graft the given domains of a design.

    Parameters
    ----------
    design : Design
        Finite, with rigid given domains.

    Returns
    -------
    Graft

    Raises
    ------
    UserError
        If there are more atoms than a PDB file can number.
    """
    rows = _Rows([], [], [], [], [], [], [], [])
    plan = design.plan
    hetero: list[tuple[AllAtoms, int]] = []
    number = 0
    for segment in plan.segments:
        source = None if segment.source < 0 else plan.sources[segment.source]
        number += source is not None
        place = slice(segment.start, segment.stop)
        if source is None or source.backbone is None:
            _add_backbone(rows, design, place, number if source else 0)
            continue
        ligands = _add_domain(rows, design, source, source.backbone, segment.start, number)
        hetero += [(ligand, number) for ligand in ligands]
    ligand_names = []
    for count, (ligand, part) in enumerate(hetero, start=1):
        rows.add("HETATM", ligand, "L", count, part)
        ligand_names.append(f"{ligand.resname[0]} {ligand.chain[0]}{ligand.resnum[0]}")
    pairs = _clashes(rows)
    return Graft(
        _text(rows, plan), len(pairs), tuple(_said(rows, pair) for pair in pairs[:10]),
        tuple(ligand_names),
    )  # fmt: skip


def _add_backbone(rows: _Rows, design: Design, place: slice, part: int) -> None:
    backbone = design.backbone
    for i in range(place.start, place.stop):
        for k, name in enumerate(ATOM_NAMES):
            rows.record.append("ATOM")
            rows.atom.append(name)
            rows.resname.append(NAMES3[int(backbone.aatype[i])])
            rows.chain.append("A")
            rows.number.append(i + 1)
            rows.element.append(name[0])
            rows.part.append(part)
            rows.coord.append(backbone.coord[i, k].astype(np.float64))


def _add_domain(
    rows: _Rows, design: Design, source: Source, given: Backbone, start: int, part: int
) -> list[AllAtoms]:
    """Add a domain's residues; return its moved ligands."""
    atoms = _atoms_of(split_spec(source.file).path)
    here = design.backbone.coord[start : start + len(given)].astype(np.float64)
    rot, trans = superpose(given.coord[:, :3].reshape(-1, 3), here[:, :3].reshape(-1, 3))
    moved = atoms.moved(move(atoms.coord, rot, trans))
    residues: dict[tuple[str, int, str], list[int]] = {}
    for k, key in enumerate(atoms.residues):
        residues.setdefault(key, []).append(k)
    own = np.zeros(len(atoms), dtype=np.bool_)
    laid = move(given.coord, rot, trans)
    for i in range(len(given)):
        key = (str(given.chain[i]), int(given.resnum[i]), str(given.icode[i]))
        which = np.array(residues.get(key, []), dtype=np.int64)
        own[which] = True
        residue = moved.subset(which)
        off = np.linalg.norm(laid[i, :3] - here[i, :3], axis=-1).max()
        if off > _FOLLOWS:
            local = superpose(laid[i, :3], here[i, :3])
            residue = residue.moved(move(residue.coord, *local))
        rows.add("ATOM", residue, "A", start + i + 1, part)
    return _ligands(atoms, moved, own)


def _ligands(atoms: AllAtoms, moved: AllAtoms, own: NDArray[np.bool_]) -> list[AllAtoms]:
    """Group hetero atoms that touch the domain in its file and are no residues of a chain."""
    found: dict[tuple[str, int, str], list[int]] = {}
    for k, key in enumerate(atoms.residues):
        if atoms.hetero[k] and not own[k]:
            found.setdefault(key, []).append(k)
    if not own.any():
        return []
    tree = cKDTree(atoms.coord[own])
    groups = [np.array(rows) for rows in found.values()]
    return [
        moved.subset(group)
        for group in groups
        if tree.query(atoms.coord[group])[0].min() <= _LIGAND
        and not {"N", "CA", "C"} <= set(atoms.atom[group].tolist())
    ]


def _clashes(rows: _Rows) -> list[tuple[float, int, int]]:
    """Pairs of atoms too close to one another, closest first."""
    coord = np.array(rows.coord)
    side = np.array(
        [
            record == "HETATM" or atom not in _BACKBONE
            for record, atom in zip(rows.record, rows.atom, strict=True)
        ]
    )
    pairs = cKDTree(coord).query_pairs(_CLASH, output_type="ndarray")
    found = []
    for i, j in pairs.tolist():
        apart = abs(rows.number[i] - rows.number[j]) > 1 or rows.chain[i] != rows.chain[j]
        if rows.part[i] == rows.part[j] or not apart or not (side[i] or side[j]):
            continue
        distance = float(np.linalg.norm(coord[i] - coord[j]))
        polar = {rows.element[i], rows.element[j]} <= {"N", "O", "S"}
        if distance < (_POLAR_CLASH if polar else _CLASH):
            found.append((distance, i, j))
    return sorted(found)


def _said(rows: _Rows, pair: tuple[float, int, int]) -> str:
    names = [f"{rows.resname[k]} {rows.chain[k]}{rows.number[k]} {rows.atom[k]}" for k in pair[1:]]
    return f"{names[0]} - {names[1]}: {pair[0]:.2f} A"


def _text(rows: _Rows, plan: DesignPlan) -> str:
    """Write the atoms as a PDB file, version 3.3."""
    if len(rows.coord) > _MOST_ATOMS:
        raise UserError(
            f"{plan.name}: {len(rows.coord)} atoms, a PDB file holds {_MOST_ATOMS}; leave out"
            " --graft"
        )
    coord = np.array(rows.coord)
    coord = coord - np.round(coord.mean(0), 3)
    lines = [
        "REMARK   3 B-factor column: domain index of the atom (0 in linkers).",
        f"REMARK   6 {plan.name} with side chains and ligands of its given domains;",
        "REMARK   6 residues without side chains were generated and have no sequence yet.",
    ]
    last = ""
    for k, (x, y, z) in enumerate(coord.tolist()):
        if last and rows.record[k] != last:
            lines.append("TER")
        last = rows.record[k]
        element = rows.element[k]
        atom = rows.atom[k] if len(element) == 2 or len(rows.atom[k]) > 3 else f" {rows.atom[k]}"
        lines.append(
            f"{rows.record[k]:<6}{k + 1:5d} {atom:<4} {rows.resname[k]:>3} {rows.chain[k]}"
            f"{rows.number[k]:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00{rows.part[k]:6.2f}"
            f"          {element:>2}"
        )
    lines += ["TER", "END"]
    return "".join(f"{line:<80}\n" for line in lines)
