"""Structure files as they come: irregularities are handled as documented or refused in a line."""

import gzip
import io

import numpy as np
import pytest
from biotite.structure.io import pdb as biotite_pdb
from biotite.structure.io import pdbx

from proteinweaver.errors import UserError
from proteinweaver.io.mmcif import cif_text
from proteinweaver.io.read import read_backbone, read_structure, stem_of
from proteinweaver.structure.backbone import Backbone


def quietly(spec, **options):
    """Read and return the backbone with the notes."""
    notes: list[str] = []
    return read_backbone(spec, notes=notes, **options), " | ".join(notes)


def refused(spec, message, **options):
    with pytest.raises(UserError, match=message) as caught:
        read_backbone(spec, **options)
    assert "\n" not in str(caught.value)
    assert str(spec).split(":")[0] in str(caught.value)


def test_a_plain_chain(helix, chain_lines, write):
    path = write([*chain_lines(helix(8), first=5), "TER", "END"])
    backbone, notes = quietly(path)
    assert np.abs(backbone.coord - helix(8)).max() < 1e-3
    assert backbone.resnum.tolist() == list(range(5, 13))
    assert backbone.sequence == "A" * 8
    assert backbone.name == "x"
    assert not backbone.break_after.any()
    assert notes == ""


def test_blank_columns_short_lines_and_carriage_returns(helix, chain_lines, write):
    """Genie 2 leaves occupancy and B blank, others end the line after the coordinates."""
    lines = chain_lines(helix(4))
    blank = [line[:54] + " " * 22 + line[76:] for line in lines]
    short = [line[:54] for line in lines]
    mac = "\r\n".join(lines).encode() + b"\r\n"
    for number, content in enumerate((blank, short, mac)):
        backbone, _ = quietly(write(content, f"{number}.pdb"))
        assert np.abs(backbone.coord - helix(4)).max() < 1e-3


def test_alternate_locations_by_occupancy(helix, chain_lines, atom_line, write):
    coord = helix(6)
    lines = chain_lines(coord, skip={(2, a) for a in ("N", "CA", "C", "O")})
    shifted = coord[2] + np.array([0.1, 0.0, 0.0])
    for altloc, xyz, occ in (("A", shifted, "0.40"), ("B", coord[2], "0.60")):
        for atom, where in zip(("N", "CA", "C", "O"), xyz, strict=True):
            lines.append(atom_line(99, atom, "SER", "A", 3, where, altloc=altloc, occ=occ))
    lines.sort(key=lambda line: int(line[22:26]))
    backbone, notes = quietly(write(lines))
    assert np.abs(backbone.coord - coord).max() < 1e-3
    assert backbone.sequence == "AASAAA"
    assert "alternate locations" in notes and "A3" in notes


def test_equal_occupancy_takes_the_first_and_a_torn_one_is_avoided(
    helix, chain_lines, atom_line, write
):
    coord = helix(4)
    names = ("N", "CA", "C", "O")
    base = chain_lines(coord, skip={(1, a) for a in names})
    for missing, expected in ((None, 0.0), ("C", 0.2)):
        lines = list(base)
        for altloc, shift, occ in (("A", 0.0, "0.50"), ("B", 0.2, "0.50")):
            for atom, where in zip(names, coord[1] + [shift, 0, 0], strict=True):
                if not (altloc == "A" and atom == missing):
                    lines.append(atom_line(9, atom, "ALA", "A", 2, where, altloc=altloc, occ=occ))
        lines.sort(key=lambda line: int(line[22:26]))
        backbone, _ = quietly(write(lines))
        assert backbone.coord[1, 1, 0] == pytest.approx(coord[1, 1, 0] + expected, abs=2e-3)


def test_microheterogeneity(helix, chain_lines, atom_line, write):
    """Two amino acids at one place: the more frequent one is read."""
    coord = helix(4)
    names = ("N", "CA", "C", "O")
    lines = chain_lines(coord, skip={(1, a) for a in names})
    for altloc, resname, occ in (("A", "PRO", "0.3"), ("B", "SER", "0.7")):
        for atom, where in zip(names, coord[1], strict=True):
            lines.append(atom_line(9, atom, resname, "A", 2, where, altloc=altloc, occ=occ))
    lines.sort(key=lambda line: int(line[22:26]))
    assert quietly(write(lines))[0].sequence == "ASAA"


def test_insertion_codes_and_numbering_jumps_are_no_breaks(helix, chain_lines, write):
    lines = chain_lines(helix(6), first=60, icodes=" ABC  ")
    lines = [line[:22] + "  60" + line[26:] if line[26] != " " else line for line in lines]
    backbone, _ = quietly(write(lines))
    assert backbone.resnum.tolist() == [60, 60, 60, 60, 64, 65]
    assert backbone.icode.tolist() == ["", "A", "B", "C", "", ""]
    assert not backbone.break_after.any()
    part, _ = quietly(f"{write(lines)}:A60B-64")
    assert part.icode.tolist() == ["B", "C", ""]


def test_modified_residues_in_the_chain_and_amino_acids_beside_it(helix, chain_lines, write):
    coord = helix(8)
    lines = chain_lines(coord[:3])
    lines += chain_lines(coord[3:4], first=4, resname="MSE", het=True)
    lines += chain_lines(coord[4:5], first=5, resname="4HT", het=True)  # from the dictionary
    lines += chain_lines(coord[5:6], first=6, resname="QQQ", het=True)  # nobody knows it
    lines += chain_lines(coord[6:], first=7)
    lines += ["TER"]
    lines += chain_lines(coord[:1] + 40.0, first=301, resname="GLU", het=True)
    lines += chain_lines(coord[:2] + 60.0, first=302, resname="PRO", het=True)  # a dipeptide
    lines += chain_lines(coord[:1] + 80.0, first=401, resname="HOH", het=True)
    backbone, notes = quietly(write([*lines, "END"]))
    assert backbone.sequence == "AAAMWXAA"
    assert not backbone.break_after.any()
    assert "QQQ A6" in notes


def test_a_chain_of_hetatm_alone(helix, chain_lines, write):
    backbone, _ = quietly(write(chain_lines(helix(6), resname="DAL", het=True)))
    assert backbone.sequence == "AAAAAA"


def test_ligand_that_shares_a_number(helix, chain_lines, atom_line, write):
    lines = chain_lines(helix(4))
    lines += [atom_line(99, "O", "HOH", "A", 2, (9.0, 9.0, 9.0), het=True)]
    assert len(quietly(write(lines))[0]) == 4


def test_calcium_is_no_residue(helix, chain_lines, atom_line, write):
    lines = [*chain_lines(helix(4)), atom_line(99, "CA", " CA", "A", 90, (9, 9, 9), het=True)]
    assert len(quietly(write(lines))[0]) == 4


def test_first_of_several_models(helix, chain_lines, write):
    lines: list[str] = []
    for model in range(3):
        lines += [f"MODEL     {model + 1:4d}", *chain_lines(helix(4) + model), "TER", "ENDMDL"]
    backbone, notes = quietly(write([*lines, "END"]))
    assert np.abs(backbone.coord - helix(4)).max() < 1e-3
    assert "3 models; only the first is read" in notes
    joined = [*chain_lines(helix(4)), "END", *chain_lines(helix(4) + 5.0), "END"]
    backbone, notes = quietly(write(joined))
    assert len(backbone) == 4
    assert "models" in notes


@pytest.mark.parametrize("atom", ["N", "CA", "C"])
def test_incomplete_residues_leave_a_break(helix, chain_lines, write, atom):
    backbone, notes = quietly(write(chain_lines(helix(6), skip={(2, atom)})))
    assert backbone.resnum.tolist() == [1, 2, 4, 5, 6]
    assert np.flatnonzero(backbone.break_after).tolist() == [1]
    assert "left out: A3" in notes


def test_missing_oxygen_is_rebuilt(helix, chain_lines, write):
    """Within 0.1 A inside a chain; the geometry at the end is right though psi is a guess."""
    coord = helix(6)
    backbone, notes = quietly(write(chain_lines(coord, skip={(i, "O") for i in range(6)})))
    assert np.linalg.norm(backbone.coord[:-1, 3] - coord[:-1, 3], axis=-1).max() < 0.25
    bond = np.linalg.norm(backbone.coord[:, 3] - backbone.coord[:, 2], axis=-1)
    assert np.abs(bond - 1.231).max() < 1e-3
    assert "O rebuilt in A1, A2, A3, A4, A5 and 1 more" in notes


def test_terminal_oxygen_stands_in(helix, chain_lines, atom_line, write):
    lines = chain_lines(helix(4), skip={(3, "O")})
    lines.append(atom_line(99, "OXT", "ALA", "A", 4, helix(4)[3, 3]))
    backbone, notes = quietly(write(lines))
    assert np.abs(backbone.coord - helix(4)).max() < 1e-3
    assert notes == ""


def test_atoms_on_top_of_each_other_are_missing_atoms(helix, chain_lines, write):
    coord = helix(6)
    coord[2] = 0.0
    backbone, notes = quietly(write(chain_lines(coord)))
    assert backbone.resnum.tolist() == [1, 2, 4, 5, 6]
    assert "left out: A3" in notes


def test_missing_loop_is_a_break(helix, chain_lines, write):
    lines = [*chain_lines(helix(4)), *chain_lines(helix(4) + 30.0, first=5)]
    assert np.flatnonzero(quietly(write(lines))[0].break_after).tolist() == [3]


def test_several_chains(helix, chain_lines, write):
    lines = [*chain_lines(helix(4)), "TER", *chain_lines(helix(3) + 30.0, chain="b"), "TER"]
    path = write(lines)
    backbone, _ = quietly(path)
    assert backbone.chain_names == ("A", "b")
    assert np.flatnonzero(backbone.break_after).tolist() == [3]
    assert len(quietly(f"{path}:b")[0]) == 3
    refused(path, "2 chains \\(A, b\\) where one is needed.*x.pdb:A", single_chain=True)
    assert len(read_backbone(f"{path}:b", single_chain=True)) == 3
    refused(f"{path}:B", "no chain 'B'; its protein chains are A, b")


def test_chains_whose_atoms_are_scattered(helix, chain_lines, write):
    a, b = chain_lines(helix(4)), chain_lines(helix(4) + 30.0, chain="B")
    backbone, _ = quietly(write([*a[:8], *b[:8], *a[8:], *b[8:]]))
    assert backbone.chain.tolist() == ["A"] * 4 + ["B"] * 4


def test_notes_concern_the_selected_chain_only(helix, chain_lines, write, caplog):
    lines = [*chain_lines(helix(4), skip={(1, "C")}), *chain_lines(helix(3) + 30.0, chain="B")]
    path = write(lines)
    assert quietly(f"{path}:B")[1] == ""
    assert "left out" in quietly(f"{path}:A")[1]
    read_backbone(path)
    assert "left out: A2" in caplog.text


def test_ca_only(helix, chain_lines, write):
    path = write([line for line in chain_lines(helix(5)) if line[12:16].strip() == "CA"])
    refused(path, "only CA atoms: none of its 5 residues has N, CA and C")
    backbone, _ = quietly(path, allow_ca_only=True)
    assert backbone.is_ca_only
    assert np.abs(backbone.ca - helix(5)[:, 1]).max() < 1e-3
    assert not backbone.break_after.any()
    gap = [line for line in path.read_text().splitlines() if int(line[22:26]) != 3]
    assert np.flatnonzero(
        quietly(write(gap, "gap.pdb"), allow_ca_only=True)[0].break_after
    ).tolist() == [1]


def test_a_copy_without_its_own_chain_name_is_refused(helix, chain_lines, write):
    lines = [*chain_lines(helix(4)), "TER", *chain_lines(helix(4) + 30.0)]
    refused(write(lines), "residue A1: atom N is there twice.*give each its own name")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"hello world\n" * 9, "not a structure file"),
        (b"\x00\x01\x02" * 99, "binary file"),
        (bytes(range(256)) * 9, "binary file"),
        (b"PK\x03\x04 junk", "zip archive"),
        (b"BZh91AY", "bzip2"),
        (b"<html><body>not found</body></html>", "HTML"),
        (b'{"a": 1}', "JSON"),
        (b">x\nMKV\n", "FASTA"),
        (b"\x1f\x8b\x08\x00garbage", "gzip data is truncated or damaged"),
        (b"\x83\xa7version\xa50.3.0\xaadataBlocks", "BinaryCIF"),
        (b"HEADER    X\nEND\n", "no protein in it"),
        (b"data_x\n_cell.length_a 3\n", "no _atom_site table"),
        (b"data_x\nloop_\n_atom_site.id\n_atom_site.type_symbol\n1 C 2\n", "mmCIF|column|row"),
    ],
)
def test_what_is_no_structure(write, content, message):
    refused(write(content, "y.pdb"), message)


def test_water_and_dna_are_no_protein(atom_line, write):
    water = [atom_line(i, "O", "HOH", "A", i, (i, 0, 0), het=True) for i in range(1, 9)]
    refused(write(water), "no protein in it")
    dna = [atom_line(i, "P", " DA", "A", i, (i, 0, 0)) for i in range(1, 9)]
    refused(write(dna), "no protein in it")


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        (slice(30, 38), "     nan", "residue A1: a coordinate of atom N is not a number"),
        (slice(30, 38), "     inf", "not a number"),
        (slice(38, 46), "  x1.000", "line 1: coordinate y is ' +x1.000', not a number"),
        (slice(54, 60), " 1.0.0", "line 1: occupancy"),
        (slice(22, 26), "    ", "line 1: residue number"),
    ],
)
def test_damaged_fields_are_named(helix, chain_lines, write, column, text, message):
    lines = chain_lines(helix(4))
    lines[0] = lines[0][: column.start] + text + lines[0][column.stop :]
    refused(write(lines), message)


def test_truncated_pdb(helix, chain_lines, write):
    lines = ["SEQRES   1 A    6  ALA ALA ALA ALA ALA ALA", *chain_lines(helix(6)), "TER", "END"]
    whole = "\n".join(lines).encode()
    assert len(quietly(write(whole))[0]) == 6
    for cut in (100, 500, len(whole) - 30):
        refused(write(whole[:cut]), "truncated")
    bare = "\n".join(chain_lines(helix(6))).encode()
    refused(write(bare[:-20]), "ends inside an atom record")
    refused(write(bare[:-70]), "ends inside an atom record")
    model = ["MODEL        1", *chain_lines(helix(6))]
    refused(write(model), "no ENDMDL record")


def test_truncated_cif(helix, write):
    text = cif_text(Backbone.from_coord(helix(6))).encode()
    assert len(quietly(write(text, "x.cif"))[0]) == 6
    for cut in (len(text) - 2, len(text) - 40, len(text) - 500):
        refused(write(text[:cut], "x.cif"), "truncated|does not end|not closed")


def test_content_decides_not_the_ending(helix, chain_lines, write):
    pdb = "\n".join([*chain_lines(helix(4)), "END", ""]).encode()
    cif = cif_text(Backbone.from_coord(helix(4))).encode()
    for name, content in (
        ("a.cif", pdb),
        ("b.pdb", cif),
        ("c", cif),
        ("d.txt", gzip.compress(pdb)),
        ("e.pdb", gzip.compress(cif)),
        ("f.pdb", b"\xef\xbb\xbf" + pdb),
    ):
        assert len(quietly(write(content, name))[0]) == 4, name
    refused(write(gzip.compress(pdb)[:-9], "g.pdb.gz"), "gzip data is truncated")


def test_words_of_cif_inside_a_pdb_file(helix, chain_lines, write):
    """Rosetta appends score tables behind the atoms."""
    table = ["#BEGIN_POSE_ENERGIES_TABLE", "loop_closure 1.0", "data_ 3"]
    assert len(quietly(write([*chain_lines(helix(4)), "TER", *table]))[0]) == 4


def test_comments_before_cif(helix, write):
    text = "# written by somebody\n\n" + cif_text(Backbone.from_coord(helix(4)))
    assert len(quietly(write(text.encode(), "x"))[0]) == 4


def test_stems():
    from pathlib import Path

    names = ["a.pdb", "b.PDB.gz", "c.tar.cif", "d", ".pdb", "e.bcif.gz", "f.ent"]
    stems = [stem_of(Path(name)) for name in names]
    assert stems == ["a", "b", "c.tar", "d", ".pdb", "e", "f"]


CIF_ROWS = ("N", "CA", "C", "O")


def cif_lines(coord, *, columns=None, seq=None, numbers=None, chain="AAA"):
    """A table with author names that differ from the labels."""
    keys = columns or [
        "group_PDB", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id",
        "label_asym_id", "label_entity_id", "label_seq_id", "pdbx_PDB_ins_code", "Cartn_x",
        "Cartn_y", "Cartn_z", "occupancy", "auth_seq_id", "auth_asym_id", "pdbx_PDB_model_num",
    ]  # fmt: skip
    lines = ["data_x", "loop_", *(f"_atom_site.{key}" for key in keys)]
    for i, residue in enumerate(coord):
        for atom, (x, y, z) in zip(CIF_ROWS, residue, strict=True):
            row = {
                "group_PDB": "ATOM", "id": "1", "type_symbol": atom[0], "label_atom_id": atom,
                "label_alt_id": ".", "label_comp_id": "ALA", "label_asym_id": "Q",
                "label_entity_id": "1", "label_seq_id": str(seq[i] if seq else i + 1),
                "pdbx_PDB_ins_code": "?", "Cartn_x": f"{x:.3f}", "Cartn_y": f"{y:.3f}",
                "Cartn_z": f"{z:.3f}", "occupancy": "1", "auth_seq_id": str(
                    numbers[i] if numbers else i + 101), "auth_asym_id": chain,
                "pdbx_PDB_model_num": "1",
            }  # fmt: skip
            lines.append(" ".join(row[key] for key in keys))
    return [*lines, "#"]


def test_cif_goes_by_author_names(helix, write):
    backbone, _ = quietly(f"{write(cif_lines(helix(5)), 'x.cif')}:AAA102-104")
    assert backbone.resnum.tolist() == [102, 103, 104]
    assert backbone.chain_names == ("AAA",)


def test_cif_with_few_columns(helix, write):
    few = ["label_atom_id", "label_comp_id", "label_asym_id", "label_seq_id", "Cartn_x"]
    few += ["Cartn_y", "Cartn_z"]
    backbone, _ = quietly(write(cif_lines(helix(5), columns=few), "x.cif"))
    assert backbone.chain_names == ("Q",)
    assert backbone.resnum.tolist() == [1, 2, 3, 4, 5]
    refused(write(cif_lines(helix(5), columns=few[:-1]), "y.cif"), "no column Cartn_z")


def test_cif_sequence_positions_tell_of_missing_residues(helix, write):
    told = cif_lines(helix(5), seq=[1, 2, 3, 9, 10])
    assert np.flatnonzero(quietly(write(told, "x.cif"))[0].break_after).tolist() == [2]
    ligand = cif_lines(helix(5), seq=[1, 2, 3, 4, "."])  # outside the polymer
    assert len(quietly(write(ligand, "y.cif"))[0]) == 4


def test_cif_faults(helix, write):
    lines = cif_lines(helix(3))
    x = f"{helix(3)[2, 1, 0]:.3f}"
    wrong = [line.replace(f" {x} ", " 1.2.3 ") for line in lines]
    assert wrong != lines
    refused(write(wrong, "x.cif"), "_atom_site.Cartn_x: '1.2.3' is not a number")
    unnamed = [line.replace(f" {x} ", " nan ") for line in lines]
    refused(write(unnamed, "z.cif"), "residue AAA103: a coordinate of atom CA is not a number")
    refused(write(cif_lines(helix(3), chain="ABCDE"), "y.cif"), "longer than 4 characters")


def as_bcif(cif: str, *, compress: bool) -> bytes:
    """Convert by biotite, numbers as numbers."""
    source = pdbx.CIFFile.read(io.StringIO(cif)).block["atom_site"]
    columns = {}
    for key, column in source.items():
        mask = None if column.mask is None else column.mask.array.astype(np.uint8)
        if key.startswith("Cartn") or key in ("occupancy", "B_iso_or_equiv"):
            columns[key] = pdbx.BinaryCIFColumn(column.as_array(float))
        elif key in ("id", "label_seq_id", "auth_seq_id", "pdbx_PDB_model_num"):
            columns[key] = pdbx.BinaryCIFColumn(column.as_array(int, -1), mask)
        else:
            columns[key] = pdbx.BinaryCIFColumn(column.data.array, mask)
    block = pdbx.BinaryCIFBlock()
    block["atom_site"] = pdbx.BinaryCIFCategory(columns)
    file = pdbx.BinaryCIFFile()
    file["x"] = block
    stream = io.BytesIO()
    (pdbx.compress(file) if compress else file).write(stream)
    return stream.getvalue()


@pytest.mark.parametrize("compress", [False, True])
def test_binary_cif(helix, write, compress):
    original = Backbone.from_coord(helix(9), sequence="MKTAYIAKQ", chain="AB")
    data = as_bcif(cif_text(original), compress=compress)
    for content in (data, gzip.compress(data)):
        backbone, _ = quietly(write(content, "x.bcif"))
        assert np.abs(backbone.coord - original.coord).max() < 1.1e-3
        assert backbone.sequence == original.sequence
        assert backbone.chain_names == ("AB",)
    refused(write(data[: len(data) // 2], "y.bcif"), "BinaryCIF")


def test_same_atoms_as_biotite(helix, chain_lines, write):
    """The shaping of lines before biotite loses nothing that biotite would read."""
    path = write([*chain_lines(helix(9), first=-3), "END"])
    atoms = biotite_pdb.PDBFile.read(str(path)).get_structure(model=1)
    backbone, _ = quietly(path)
    assert np.abs(backbone.coord.reshape(-1, 3) - atoms.coord).max() < 1e-4
    assert np.repeat(backbone.resnum, 4).tolist() == atoms.res_id.tolist()


def test_header(helix, chain_lines, write):
    head = [
        "HEADER    HYDROLASE                               17-MAY-95   1BTY",
        "EXPDTA    X-RAY DIFFRACTION",
        "REMARK   2 RESOLUTION.    1.50 ANGSTROMS.",
    ]
    file = read_structure(write([*head, *chain_lines(helix(4)), "END"]))
    assert (file.entry, file.method, file.resolution) == ("1bty", "X-RAY DIFFRACTION", 1.5)
    bare = read_structure(write([*chain_lines(helix(4)), "END"]))
    assert (bare.entry, bare.method) == ("", "")
    assert np.isnan(bare.resolution)


def test_unreadable_file(helix, chain_lines, write, monkeypatch):
    from pathlib import Path

    path = write(chain_lines(helix(4)))

    def deny(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", deny)
    refused(path, "cannot be read \\(Permission denied\\)")
