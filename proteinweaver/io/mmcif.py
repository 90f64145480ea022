"""Writing mmCIF files.

Besides the atoms (`_atom_site`) a file carries what programs need to see a polymer: `_entity`,
`_entity_poly`, `_entity_poly_seq`, `_struct_asym`, and `_software` for its origin. Chains with the
same sequence are one entity. Remarks are comments at the top.

References
----------
wwPDB, PDBx/mmCIF Dictionary, https://mmcif.wwpdb.org
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from numpy.typing import ArrayLike

from proteinweaver import __version__
from proteinweaver.io.layout import Layout, lay_out
from proteinweaver.io.run_folder import write_atomic
from proteinweaver.structure.backbone import ATOM_NAMES, Backbone
from proteinweaver.structure.residues import NAMES1, NAMES3

__all__ = ["cif_text", "write_cif"]

_SITE = (
    "group_PDB", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id",
    "label_asym_id", "label_entity_id", "label_seq_id", "pdbx_PDB_ins_code", "Cartn_x", "Cartn_y",
    "Cartn_z", "occupancy", "B_iso_or_equiv", "auth_seq_id", "auth_comp_id", "auth_asym_id",
    "auth_atom_id", "pdbx_PDB_model_num",
)  # fmt: skip


def cif_text(
    backbone: Backbone,
    *,
    remarks: Sequence[str] = (),
    bfactor: ArrayLike | None = None,
    bfactor_meaning: str | None = None,
    generated: ArrayLike | None = None,
    models: ArrayLike | None = None,
) -> str:
    """Return the text of an mmCIF file.

    Parameters
    ----------
    backbone : Backbone
        What to write; a CA-only model is written as CA atoms.
    remarks : sequence of str, optional
        Text of the caller: seed, sampler, version.
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
        If a value is not finite.
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
    )
    return "".join(f"{line}\n" for line in _lines(layout))


def write_cif(
    path: str | Path,
    backbone: Backbone,
    *,
    remarks: Sequence[str] = (),
    bfactor: ArrayLike | None = None,
    bfactor_meaning: str | None = None,
    generated: ArrayLike | None = None,
    models: ArrayLike | None = None,
) -> None:
    """Write an mmCIF file, completely or not at all.

    Parameters
    ----------
    path : str or Path
        Where; an existing file is replaced.
    backbone, remarks, bfactor, bfactor_meaning, generated, models
        See `cif_text`.

    Raises
    ------
    UserError
        If a value is not finite or the file cannot be written.
    ValueError
        If an array has a wrong shape.
    """
    text = cif_text(
        backbone,
        remarks=remarks,
        bfactor=bfactor,
        bfactor_meaning=bfactor_meaning,
        generated=generated,
        models=models,
    )
    write_atomic(Path(path), text)


def _lines(layout: Layout) -> Iterator[str]:
    """Yield the lines of the file."""
    name = layout.backbone.name or "backbone"
    entry = re.sub(r"[^A-Za-z0-9_.+-]", "_", name)[:80]
    yield f"data_{entry}"
    for remark in layout.remarks:
        for text in remark.splitlines():
            yield f"# {text}".rstrip() if text.strip() else "# -"
    yield from _pairs("entry", {"id": entry})
    title = " ".join(name.replace('"', "'").split())[:1000]  # one line, one kind of quotes
    yield from _pairs("struct", {"entry_id": entry, "title": title})
    software = {"pdbx_ordinal": "1", "name": "proteinweaver", "version": __version__}
    yield from _pairs("software", {**software, "classification": "model building"})
    chains = _sequences(layout)
    entities: dict[tuple[int, ...], list[str]] = {}
    for chain, sequence in chains.items():
        entities.setdefault(sequence, []).append(chain)
    entity_of = {
        chain: str(number)
        for number, members in enumerate(entities.values(), start=1)
        for chain in members
    }
    numbers = range(1, len(entities) + 1)
    yield from _loop("entity", ("id", "type"), ((str(number), "polymer") for number in numbers))
    yield from _loop(
        "entity_poly",
        (
            "entity_id", "type", "nstd_linkage", "nstd_monomer", "pdbx_seq_one_letter_code",
            "pdbx_seq_one_letter_code_can", "pdbx_strand_id",
        ),
        (
            (
                str(number), "polypeptide(L)", "no", "no",
                "".join(_letter(index) for index in sequence),
                "".join(NAMES1[index] for index in sequence), ",".join(members),
            )
            for number, (sequence, members) in enumerate(entities.items(), start=1)
        ),
    )  # fmt: skip
    yield from _loop(
        "entity_poly_seq",
        ("entity_id", "num", "mon_id", "hetero"),
        (
            (str(number), str(position), NAMES3[index], "n")
            for number, sequence in enumerate(entities, start=1)
            for position, index in enumerate(sequence, start=1)
        ),
    )
    yield from _loop("struct_asym", ("id", "entity_id"), entity_of.items())
    yield from _loop("atom_site", _SITE, _atoms(layout, entity_of))


def _sequences(layout: Layout) -> dict[str, tuple[int, ...]]:
    """Return the residue indices of every output chain."""
    chains: dict[str, list[int]] = {}
    for chain, index in zip(layout.chain, layout.backbone.aatype.tolist(), strict=True):
        chains.setdefault(chain, []).append(index)
    return {chain: tuple(indices) for chain, indices in chains.items()}


def _letter(index: int) -> str:
    """Return the one-letter code as `_entity_poly` wants it."""
    return "(UNK)" if NAMES1[index] == "X" else NAMES1[index]


def _atoms(layout: Layout, entity_of: dict[str, str]) -> Iterator[tuple[str, ...]]:
    """Yield the rows of `_atom_site`."""
    resnames = layout.resnames
    numbers = [str(number) for number in layout.number]
    bfactors = [f"{value:.2f}" for value in layout.bfactor]
    serial = 0
    for model, coord in enumerate(layout.models.tolist(), start=1):
        for i, chain in enumerate(layout.chain):
            for atom in layout.atoms:
                serial += 1
                name = ATOM_NAMES[atom]
                x, y, z = (f"{value:.3f}" for value in coord[i][atom])
                yield (
                    "ATOM", str(serial), name[0], name, ".", resnames[i], chain, entity_of[chain],
                    numbers[i], "?", x, y, z, "1.00", bfactors[i], numbers[i], resnames[i], chain,
                    name, str(model),
                )  # fmt: skip


def _pairs(category: str, items: dict[str, str]) -> Iterator[str]:
    """Yield a category of one row, closed by a ``#``."""
    for key, value in items.items():
        yield from _joined(f"_{category}.{key}", _quoted(value))
    yield "#"


def _loop(category: str, keys: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a category of many rows, closed by a ``#``."""
    yield "loop_"
    for key in keys:
        yield f"_{category}.{key}"
    for row in rows:
        yield from _joined(*(_quoted(value) for value in row))
    yield "#"


def _joined(*values: str) -> Iterator[str]:
    """Yield values on one line, text blocks on lines of their own."""
    line: list[str] = []
    for value in values:
        if value.startswith("\n"):
            if line:
                yield " ".join(line)
            yield value[1:]
            line = []
        else:
            line.append(value)
    if line:
        yield " ".join(line)


def _quoted(value: str) -> str:
    """Return a value as CIF writes it; a long sequence is a text block, after a line break."""
    if value in (".", "?") or re.fullmatch(r"[A-Za-z0-9+-][A-Za-z0-9_.+\-*(),]{0,79}", value):
        reserved = re.match(r"(data_|save_|loop_|stop_|global_)", value, re.I)
        if not reserved:
            return value
    if len(value) < 80 or " " in value:
        for mark in "'\"":
            if mark not in value:
                return f"{mark}{value}{mark}"
    folded = "\n".join(value[i : i + 80] for i in range(0, len(value), 80))
    return f"\n;{folded}\n;"
