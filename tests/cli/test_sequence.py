"""``proteinweaver sequence``: FASTA for folders and files, given residues kept, junk told."""

import csv
import json

import numpy as np
import pytest

from proteinweaver.cli.main import run
from proteinweaver.io.layout import residue_map
from proteinweaver.io.pdb import write_pdb
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.ideal import ideal_element


@pytest.fixture
def designs(tmp_path):
    """A run folder: a design whose first ten residues were given, written as glycine."""
    folder = tmp_path / "run" / "designs"
    folder.mkdir(parents=True)
    coord = ideal_element("H", 24).numpy()
    given = Backbone.from_coord(coord[:10], sequence="MKVLAAGWYF")
    entries = [entry | {"output_chain": "A"} for entry in residue_map(given)]
    write_pdb(folder / "one.pdb", Backbone.from_coord(coord))
    side = {"length": 24, "plan": {"segments": []}, "residue_map": entries}
    (folder / "one.json").write_text(json.dumps(side))
    return tmp_path / "run"


def records(folder):
    blocks = (folder / "sequences.fasta").read_text().split(">")[1:]
    return {b.split()[0]: b.splitlines()[1] for b in blocks}


def sequence(*words):
    return run(["sequence", *map(str, words)])


def test_given_residues_keep_their_names(designs, tiny_critic, tmp_path, capsys):
    out = tmp_path / "out"
    assert sequence(designs, "-o", out, "-n", 3, "--critic", tiny_critic, "--omit", "cw") == 0
    found = records(out)
    assert list(found) == ["one_1", "one_2", "one_3"]
    for text in found.values():
        assert text[:10] == "MKVLAAGWYF"
        assert len(text) == 24 and not set("CW") & set(text[10:])
    rows = list(csv.DictReader((out / "sequences.csv").open()))
    assert [row["sequence"] for row in rows] == list(found.values())
    assert {row["designed"] for row in rows} == {"14"}
    assert "3 sequences of 1 backbones" in capsys.readouterr().out


def test_redesign_and_fixed_positions(designs, tiny_critic, tmp_path):
    words = ("--critic", tiny_critic, "-n", 4, "-t", 1.0)
    assert sequence(designs, "-o", tmp_path / "a", "--redesign", *words) == 0
    assert any(text[:10] != "MKVLAAGWYF" for text in records(tmp_path / "a").values())
    assert sequence(designs, "-o", tmp_path / "b", "--fixed", "A12-14", *words) == 0
    assert {text[11:14] for text in records(tmp_path / "b").values()} == {"GGG"}


def test_chains_and_numbers_of_a_foreign_file(tiny_critic, tmp_path):
    coord = ideal_element("H", 20).numpy()
    pair = Backbone.from_coord(
        np.concatenate((coord, coord + 12.0)),
        sequence="A" * 40,
        chain=["A"] * 20 + ["B"] * 20,
    )
    write_pdb(tmp_path / "two chains.pdb", pair)
    code = sequence(
        tmp_path / "two chains.pdb", "-o", tmp_path, "-n", 1, "--fixed", "B",
        "--critic", tiny_critic,
    )  # fmt: skip
    assert code == 0
    first, second = records(tmp_path)["two_chains_1"].split(":")
    assert (len(first), second) == (20, "A" * 20)


def test_the_same_command_gives_the_same_bytes(designs, tiny_critic, tmp_path):
    for name in "ab":
        sequence(designs, "-o", tmp_path / name, "--critic", tiny_critic, "-q", "-t", 0.8)
    one, two = ((tmp_path / name / "sequences.fasta").read_bytes() for name in "ab")
    assert one == two


def test_junk_among_designs_is_told_and_passed_over(designs, tiny_critic, tmp_path, capsys):
    (designs / "designs" / "junk.pdb").write_text("nothing\n")
    assert sequence(designs, "-o", tmp_path / "out", "-n", 1, "--critic", tiny_critic) == 1
    assert list(records(tmp_path / "out")) == ["one_1"]
    told = [line for line in capsys.readouterr().err.splitlines() if "junk" in line]
    assert len(told) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere", "-o", "out"], "no such file or folder"),
        (["PDB"], "give -o DIR"),
        ([], "no backbones"),
        (["PDB", "-o", "out", "-n", "0"], "give 1 or more"),
        (["PDB", "-o", "out", "-t", "-1"], "from 0 to 10"),
        (["PDB", "-o", "out", "--omit", "B1"], "none of"),
        (["PDB", "-o", "out", "--omit", "ACDEFGHIKLMNPQRSTVWY"], "no amino acid"),
        (["PDB", "-o", "out", "--fixed", "Z1-5"], "Z"),
        (["PDB", "-o", "out", "--critic", "nowhere.safetensors"], "no such weights"),
        (["JUNK", "-o", "out"], "junk.pdb"),
    ],
)
def test_bad_input_is_one_line(designs, tiny_critic, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "junk.pdb").write_text("nothing\n")
    places = {"PDB": str(designs / "designs" / "one.pdb"), "JUNK": str(tmp_path / "junk.pdb")}
    words = [places.get(word, word) for word in words]
    words = words if "--critic" in words else [*words, "--critic", str(tiny_critic)]
    assert run(["sequence", *words]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.strip().splitlines()) == 1
    assert said in shown.err
    assert not (tmp_path / "out").exists()


def test_a_folder_is_not_written_over(designs, tiny_critic, tmp_path, capsys):
    words = (designs, "-o", tmp_path / "out", "-n", 1, "--critic", tiny_critic, "-q")
    assert sequence(*words) == 0
    assert sequence(*words) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert sequence(*words, "--overwrite") == 0


def test_a_side_file_of_another_design_is_refused(designs, tiny_critic, tmp_path, capsys):
    side = designs / "designs" / "one.json"
    side.write_text(side.read_text().replace('"length": 24', '"length": 25'))
    words = (designs, "-o", tmp_path / "out", "--critic", tiny_critic)
    assert sequence(*words) == 2
    assert "does not belong" in capsys.readouterr().err
    assert sequence(*words, "--redesign", "-q") == 0
