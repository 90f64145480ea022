"""Written files: the format to the column, and back through three readers."""

import io

import gemmi
import numpy as np
import pytest
from biotite.structure.io import pdb as biotite_pdb
from biotite.structure.io import pdbx as biotite_pdbx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proteinweaver.errors import UserError
from proteinweaver.io.layout import residue_map, restore_residues
from proteinweaver.io.mmcif import cif_text, write_cif
from proteinweaver.io.pdb import pdb_text, write_pdb
from proteinweaver.io.read import read_backbone
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.residues import NAMES1

WRITERS = pytest.mark.parametrize(("write", "end"), [(write_pdb, "pdb"), (write_cif, "cif")])


def by_gemmi(path) -> np.ndarray:
    """[M, L, 4, 3] as gemmi sees it."""
    structure = gemmi.read_structure(str(path))
    return np.array(
        [
            [[atom.pos.tolist() for atom in residue] for chain in model for residue in chain]
            for model in structure
        ]
    )


def by_biotite(path, end: str) -> np.ndarray:
    if end == "pdb":
        stack = biotite_pdb.PDBFile.read(str(path)).get_structure()
    else:
        stack = biotite_pdbx.get_structure(biotite_pdbx.CIFFile.read(str(path)))
    return np.asarray(stack.coord)


def test_pdb_by_the_column(helix):
    backbone = Backbone.from_coord(
        helix(3), sequence="MGX", resnum=[77, 78, 90], domain=[1, 0, 2], name="design 1"
    )
    lines = pdb_text(backbone, remarks=["seed 7"]).splitlines()
    assert {len(line) for line in lines} == {80}
    atoms = [line for line in lines if line.startswith("ATOM")]
    assert len(atoms) == 12
    x, y, z = helix(3)[0, 1]
    assert atoms[1] == (
        f"ATOM      2  CA  MET A   1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  1.00           C  "
    )
    assert [line[17:26] for line in atoms[::4]] == ["MET A   1", "GLY A   2", "UNK A   3"]
    assert [line[60:66].strip() for line in atoms[::4]] == ["1.00", "0.00", "2.00"]
    assert [line[76:78] for line in atoms[:4]] == [" N", " C", " C", " O"]
    assert lines[-2].startswith("TER      13      UNK A   3")
    assert lines[-1].strip() == "END"
    text = "\n".join(lines)
    assert "REMARK   3 B-factor column: domain index" in text
    assert "seed 7" in text
    assert lines[0].startswith("TITLE     design 1")


def test_one_ter_per_chain_and_numbering_starts_again(helix):
    backbone = Backbone.from_coord(
        helix(5), chain=["A", "A", "B", "B", "B"], resnum=[5, 6, 7, 8, 9]
    )
    lines = pdb_text(backbone).splitlines()
    assert [line[21:26] for line in lines if line.startswith("TER")] == ["A   2", "B   3"]
    serials = [int(line[6:11]) for line in lines if line.startswith(("ATOM", "TER"))]
    assert serials == list(range(1, len(serials) + 1))


def test_placeholders_and_breaks_are_told(helix):
    glycine = Backbone.from_coord(helix(4), break_after=[0, 1, 0, 0])
    for text in (pdb_text(glycine), cif_text(glycine)):
        flat = " ".join(text.replace("REMARK   6", " ").split())
        assert "All residues are backbone only and have no sequence yet" in flat
        assert "No peptide bond after: A2" in flat
    mixed = Backbone.from_coord(helix(4), sequence="MGGK")
    assert "placeholder" not in pdb_text(mixed)
    told = pdb_text(mixed, generated=[False, True, True, False])
    assert "2 generated residues" in told


@WRITERS
def test_long_and_foreign_remarks(helix, tmp_path, write, end):
    backbone = Backbone.from_coord(helix(3), name="naïve; 'x' \"y\" data_ _z" * 9)
    remarks = ["word " * 60, "Ångström\nsecond line", "x" * 200, ""]
    path = tmp_path / f"x.{end}"
    write(path, backbone, remarks=remarks)
    assert len(read_backbone(path)) == 3
    assert by_gemmi(path).shape == (1, 3, 4, 3)
    if end == "pdb":
        assert {len(line) for line in path.read_text(encoding="ascii").splitlines()} == {80}


@given(st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_round_trip(tmp_path_factory, data):
    """Coordinates to 1e-3 A through our reader and gemmi; the map restores everything else."""
    chains = data.draw(
        st.lists(st.sampled_from("ABCXYZabc019"), min_size=1, max_size=3, unique=True)
    )
    lengths = [data.draw(st.integers(1, 6)) for _ in chains]
    n = sum(lengths)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = np.array([[0, 0, 0], [1.46, 0, 0], [2.0, 1.4, 0], [1.3, 2.4, 0.2]])
    bonded = np.array([3.3, 1.4, 0.0]) * np.arange(n)[:, None]
    coord = shape + bonded[:, None] + rng.normal(scale=0.02, size=(n, 4, 3))
    coord += data.draw(st.sampled_from([0.0, -800.0, 9000.0]))
    chain = np.repeat(chains, lengths)
    breaks = rng.random(n) < 0.3
    breaks[np.flatnonzero(chain[1:] != chain[:-1])] = True
    breaks[-1] = False
    backbone = Backbone.from_coord(
        coord,
        aatype=rng.integers(0, 21, n),
        resnum=np.sort(rng.integers(-99, 9999, n)),
        icode=rng.choice(["", "A", "B"], n),
        chain=chain,
        domain=rng.integers(0, 4, n),
        break_after=breaks,
        name="x",
    )
    folder = tmp_path_factory.mktemp("round")
    for write, end in ((write_pdb, "pdb"), (write_cif, "cif")):
        path = folder / f"x.{end}"
        write(path, backbone)
        again = read_backbone(path, notes=[])
        assert np.abs(again.coord - backbone.coord).max() <= 1.01e-3
        assert np.abs(by_gemmi(path)[0] - backbone.coord).max() <= 1.01e-3
        restored = restore_residues(again, residue_map(backbone))
        for field in ("aatype", "resnum", "icode", "chain", "break_after"):
            assert getattr(restored, field).tolist() == getattr(backbone, field).tolist(), field


@WRITERS
def test_models(helix, tmp_path, write, end):
    backbone = Backbone.from_coord(helix(6))
    noise = np.random.default_rng(0).normal(scale=30.0, size=(5, 6, 4, 3))
    models = np.concatenate([noise, backbone.coord[None]])
    path = tmp_path / f"x.{end}"
    write(path, backbone, models=models)
    assert np.abs(by_gemmi(path) - models).max() < 1e-3
    assert np.abs(by_biotite(path, end) - models.reshape(6, -1, 3)).max() < 1e-3
    if end == "pdb":
        text = path.read_text()
        assert text.count("MODEL ") == text.count("ENDMDL") == 6
        assert text.rstrip().endswith("END")


@WRITERS
def test_ca_only(helix, tmp_path, write, end):
    coord = helix(6)
    coord[:, [0, 2, 3]] = np.nan
    backbone = Backbone.from_coord(coord)
    path = tmp_path / f"x.{end}"
    write(path, backbone)
    again = read_backbone(path, allow_ca_only=True)
    assert again.is_ca_only
    assert np.abs(again.ca - backbone.ca).max() < 1e-3
    write(path, backbone, models=np.stack([coord, coord + 1.0]))
    assert by_gemmi(path).shape == (2, 6, 1, 3)


def test_bfactors(helix):
    backbone = Backbone.from_coord(helix(3))
    text = pdb_text(backbone, bfactor=[1.5, 99.999, -5], bfactor_meaning="confidence 0-100")
    assert "B-factor column: confidence 0-100." in text
    column = [line[60:66] for line in text.splitlines() if line.startswith("ATOM")][::4]
    assert column == ["  1.50", "100.00", " -5.00"]
    with pytest.raises(UserError, match="B-factor"):
        pdb_text(backbone, bfactor=[1000, 0, 0], bfactor_meaning="x")
    with pytest.raises(UserError, match="not a number"):
        pdb_text(backbone, bfactor=[np.nan, 0, 0], bfactor_meaning="x")
    with pytest.raises(ValueError, match="meaning"):
        pdb_text(backbone, bfactor=[1, 2, 3])


@WRITERS
def test_failed_designs_are_not_written(helix, tmp_path, write, end):
    coord = helix(4)
    coord[2, 3, 1] = np.nan
    path = tmp_path / f"x.{end}"
    with pytest.raises(UserError, match="residue 3 has a coordinate that is not a number"):
        write(path, Backbone.from_coord(coord))
    models = np.stack([helix(4), coord])
    with pytest.raises(UserError, match="residue 3 of model 2"):
        write(path, Backbone.from_coord(helix(4)), models=models)
    assert list(tmp_path.iterdir()) == []


def test_limits_of_the_pdb_format(helix, tmp_path):
    with pytest.raises(UserError, match=r"chain name 'AA'; write \.cif"):
        pdb_text(Backbone.from_coord(helix(3), chain="AA"))
    many = np.zeros((10_000, 4, 3)) + np.arange(10_000)[:, None, None] * 0.1
    with pytest.raises(UserError, match=r"10000 residues, a PDB file holds 9999; write \.cif"):
        pdb_text(Backbone.from_coord(many))
    wide = helix(3)
    wide[2] += 20_000
    with pytest.raises(UserError, match="span more than the PDB format"):
        pdb_text(Backbone.from_coord(wide))
    path = tmp_path / "x.cif"
    write_cif(path, Backbone.from_coord(wide, chain="AA"))
    assert np.abs(read_backbone(path).coord - wide).max() < 3e-3  # float32 at 2e4


def test_far_coordinates_are_centred_and_told(helix):
    text = pdb_text(Backbone.from_coord(helix(4) - 2000.0))
    assert "Coordinates moved by" in text
    xyz = np.array(
        [
            [float(line[i : i + 8]) for i in (30, 38, 46)]
            for line in text.splitlines()
            if line.startswith("ATOM")
        ]
    )
    assert np.abs(xyz.mean(axis=0)).max() < 1e-2
    shift = xyz - helix(4).reshape(-1, 3)
    assert np.abs(shift - shift.mean(axis=0)).max() < 2e-3


def test_blank_chain_gets_a_free_letter(helix, tmp_path):
    backbone = Backbone.from_coord(helix(4), chain=["A", "A", "", ""])
    write_pdb(tmp_path / "x.pdb", backbone)
    again = read_backbone(tmp_path / "x.pdb")
    assert again.chain_names == ("A", "B")
    assert restore_residues(again, residue_map(backbone)).chain_names == ("A", "")


def test_cif_has_the_tables_of_a_polymer(helix, tmp_path):
    backbone = Backbone.from_coord(
        helix(9), sequence="MKXMKXGGG", chain=["A"] * 3 + ["B"] * 3 + ["C"] * 3, name="a b"
    )
    path = tmp_path / "x.cif"
    write_cif(path, backbone, remarks=["seed 3"])
    assert "# seed 3" in path.read_text()
    block = gemmi.cif.read(str(path)).sole_block()
    assert [row[0] for row in block.find("_entity.", ["id"])] == ["1", "2"]
    rows = block.find("_entity_poly.", ["entity_id", "type", "pdbx_seq_one_letter_code_can"])
    assert [[gemmi.cif.as_string(v) for v in row] for row in rows] == [
        ["1", "polypeptide(L)", "MKX"],
        ["2", "polypeptide(L)", "GGG"],
    ]
    asym = [tuple(row) for row in block.find("_struct_asym.", ["id", "entity_id"])]
    assert asym == [("A", "1"), ("B", "1"), ("C", "2")]
    assert block.find_value("_software.name") == "proteinweaver"
    structure = gemmi.read_structure(str(path))
    assert [entity.polymer_type for entity in structure.entities] == [
        gemmi.PolymerType.PeptideL
    ] * 2
    assert structure[0]["A"].get_polymer().length() == 3


def test_long_sequences_in_cif(helix):
    sequence = (NAMES1[:20] * 12)[:230]
    text = cif_text(Backbone.from_coord(helix(230), sequence=sequence))
    block = gemmi.cif.read_string(text).sole_block()
    row = next(iter(block.find("_entity_poly.", ["pdbx_seq_one_letter_code_can"])))
    assert gemmi.cif.as_string(row[0]).replace("\n", "") == sequence
    assert max(map(len, text.splitlines())) <= 140
    ours = biotite_pdbx.CIFFile.read(io.StringIO(text)).block["entity_poly"]
    assert "pdbx_strand_id" in ours


def test_map_of_another_file_is_refused(helix):
    backbone = Backbone.from_coord(helix(4))
    entries = residue_map(backbone)
    assert entries[0] == {
        "output_chain": "A", "output_number": 1, "chain": "A", "number": 1, "icode": "",
        "name": "GLY", "break_after": False,
    }  # fmt: skip
    with pytest.raises(UserError, match="another file"):
        restore_residues(backbone, entries[:-1])
    with pytest.raises(UserError, match="damaged"):
        restore_residues(backbone, [{**entry, "number": "x"} for entry in entries])
    with pytest.raises(UserError, match="damaged"):
        restore_residues(backbone, [{} for _ in entries])


@WRITERS
def test_nothing_is_left_behind(helix, tmp_path, write, end, monkeypatch):
    import os

    backbone = Backbone.from_coord(helix(4))
    path = tmp_path / f"x.{end}"
    write(path, backbone)
    before = path.read_text()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="No space left"):
        write(path, backbone.replace(coord=backbone.coord + 1))
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
