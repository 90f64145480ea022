"""Folding a FASTA into a folder: what is folded, kept, refused and told, without a real model."""

import json

import pytest
import torch

from proteinweaver.cli.main import run
from proteinweaver.errors import UserError
from proteinweaver.evaluation.folding import fold_sequences
from proteinweaver.evaluation.folding_models import FoldingModel, find_folding_model
from proteinweaver.io.fasta import read_fasta
from proteinweaver.io.pdb import pdb_text
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.ideal import ideal_element


class Oven:
    """A folding model that makes helices, and counts."""

    def __init__(self, name="esmfold", stop_at=None, full_at=None):
        self.folded: list[str] = []
        self.loads = 0
        self.stop_at, self.full_at = stop_at, full_at
        self.model = FoldingModel(name, "here", "0", self.load)

    def load(self):
        self.loads += 1
        return self.fold

    def fold(self, sequence):
        if sequence == self.stop_at:
            raise KeyboardInterrupt
        if sequence == self.full_at:
            raise torch.OutOfMemoryError
        self.folded.append(sequence)
        coord = ideal_element("H", len(sequence)).numpy()
        return pdb_text(Backbone.from_coord(coord, sequence=sequence))


@pytest.fixture
def fasta(tmp_path):
    path = tmp_path / "sequences.fasta"
    path.write_text(">a_1 T=0.1\nMKVLA\nAGW\n>a_2\nmkvlaagy\n>b_1\nWWWKKKDDD\n")
    return path


def test_only_what_is_missing_is_folded(fasta, tmp_path):
    out, oven, seen = tmp_path / "out", Oven(), []
    first = fold_sequences(fasta, out, oven.model, progress=lambda *step: seen.append(step))
    assert (first.folded, first.kept, first.failed) == (3, 0, {})
    assert seen == [(1, 3, 0), (2, 3, 0), (3, 3, 0)]
    assert oven.folded == ["MKVLAAGW", "MKVLAAGY", "WWWKKKDDD"]
    assert sorted(path.name for path in out.iterdir()) == [
        "a_1.pdb", "a_2.pdb", "b_1.pdb", "fold.json"
    ]  # fmt: skip
    again = fold_sequences(fasta, out, oven.model)
    assert (again.folded, again.kept, oven.loads) == (0, 3, 1)
    # one lost, one cut short, one of another sequence
    (out / "a_1.pdb").unlink()
    half = (out / "a_2.pdb").read_text().splitlines()[:9]
    (out / "a_2.pdb").write_text("\n".join(half))
    fasta.write_text(fasta.read_text().replace("WWWKKKDDD", "WWWKKKEEE"))
    third = fold_sequences(fasta, out, oven.model)
    assert (third.folded, oven.folded[3:]) == (3, ["MKVLAAGW", "MKVLAAGY", "WWWKKKEEE"])
    assert fold_sequences(fasta, out, oven.model, overwrite=True).folded == 3


def test_a_killed_run_goes_on(fasta, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        fold_sequences(fasta, out, Oven(stop_at="WWWKKKDDD").model)
    assert sorted(path.name for path in out.glob("*.pdb")) == ["a_1.pdb", "a_2.pdb"]
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    oven = Oven()
    assert fold_sequences(fasta, out, oven.model).kept == 2 and oven.folded == ["WWWKKKDDD"]


def test_predictions_of_two_models_are_not_mixed(fasta, tmp_path):
    fold_sequences(fasta, tmp_path / "out", Oven().model)
    other = Oven("esmfold2")
    with pytest.raises(UserError, match="holds predictions of esmfold"):
        fold_sequences(fasta, tmp_path / "out", other.model)
    assert fold_sequences(fasta, tmp_path / "out", other.model, overwrite=True).folded == 3
    assert json.loads((tmp_path / "out" / "fold.json").read_text())["model"] == "esmfold2"
    (tmp_path / "out" / "fold.json").write_text("nothing")
    with pytest.raises(UserError, match="cannot be read"):
        fold_sequences(fasta, tmp_path / "out", other.model)


def test_what_cannot_be_folded_is_told(fasta, tmp_path):
    fasta.write_text(fasta.read_text() + ">pair_1\nAAA:GGG\n>odd_1\nAXBA\n")
    oven = Oven(full_at="WWWKKKDDD")
    result = fold_sequences(fasta, tmp_path / "out", oven.model)
    assert result.folded == 2 and list(result.failed) == ["pair_1", "odd_1", "b_1"]
    assert "several chains" in result.failed["pair_1"]
    assert "BX" in result.failed["odd_1"] and "--chunk" in result.failed["b_1"]
    fasta.write_text(">pair_1\nAAA:GGG\n")
    with pytest.raises(UserError, match="several chains"):
        fold_sequences(fasta, tmp_path / "none", oven.model)
    fasta.write_text(">b_1\nWWWKKKDDD\n")
    with pytest.raises(UserError, match="9 residues"):
        fold_sequences(fasta, tmp_path / "full", oven.model)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no record"),
        ("MKV\n", "no '>' line"),
        (">a\n>b\nMKV\n", "'a' has no sequence"),
        (">a\nMK\n>A x\nMK\n", "second record 'A'"),
        (">../up\nMK\n", "cannot name a file"),
        (">\nMK\n", "cannot name a file"),
    ],
)
def test_a_broken_fasta_is_one_line(text, said, tmp_path):
    path = tmp_path / "x.fasta"
    path.write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        read_fasta(path)
    assert "x.fasta" in str(caught.value)
    with pytest.raises(UserError, match="give a FASTA file"):
        read_fasta(tmp_path)


def test_transformers_that_are_not_installed(fasta, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    out = tmp_path / "out"
    assert run(["fold", str(fasta), "-o", str(out), "--device", "cpu"]) == 2
    shown = capsys.readouterr().err.strip()
    assert "pip install 'proteinweaver[fold]'" in shown and "\n" not in shown
    assert not out.exists()
    with pytest.raises(UserError, match="did you mean 'esmfold'"):
        find_folding_model("esmfald")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fold", "FASTA"], "give -o DIR"),
        (["fold", "FASTA", "-o", "out", "--device", "cuda:77"], "not usable here"),
        (["fold", "FASTA", "-o", "out", "--chunk", "-1"], "--chunk"),
        (["evaluate", "PDB", "-o", "out", "--sequences", "4"], "add --fold esmfold"),
        (["evaluate", "PDB", "-o", "out", "--allow-download"], "add --fold esmfold"),
        (["evaluate", "PDB", "-o", "out", "--fold", "esmfald"], "did you mean 'esmfold'?"),
        (["evaluate", "PDB", "-o", "out", "--fold", "esmfold", "--folded", "x"], "one of the two"),
    ],
)
def test_wrong_options_are_one_line(words, said, fasta, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.pdb").write_text(Oven().fold("MKVLAAGWYF"))
    places = {"FASTA": str(fasta), "PDB": "d.pdb"}
    assert run([places.get(word, word) for word in words]) == 2
    shown = capsys.readouterr()
    assert said in shown.err and len(shown.err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
