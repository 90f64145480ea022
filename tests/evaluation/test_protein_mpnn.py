"""Sequences by ProteinMPNN: reading checkpoints, options, luck, and the command."""

import csv

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from proteinweaver.cli.main import run
from proteinweaver.errors import UserError
from proteinweaver.evaluation.protein_mpnn import (
    design_with_protein_mpnn,
    encode_backbone,
    load_protein_mpnn,
)
from proteinweaver.io.pdb import write_pdb
from proteinweaver.nets.protein_mpnn import ProteinMPNN
from proteinweaver.structure.backbone import Backbone

ALPHABET = "ACDEFGHIKLMNPQRSTVWYX"


def checkpoint(path, ca_only=False, width=16, seed=0):
    """Write a random checkpoint as the public ones are written, unused layers and all."""
    torch.manual_seed(seed)
    state = ProteinMPNN(6, ca_only, width, 2).state_dict()
    for value in state.values():
        value += 0.15 * torch.randn_like(value)
    if ca_only:
        state |= {"W_v.weight": torch.zeros(width, width), "W_v.bias": torch.zeros(width)}
        state |= {"features.node_embedding.weight": torch.zeros(width, 3)}
        state |= {f"features.norm_nodes.{x}": torch.zeros(width) for x in ("weight", "bias")}
    torch.save({"num_edges": 6, "noise_level": 0.2, "model_state_dict": state}, path)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_protein_mpnn(checkpoint(tmp_path_factory.mktemp("mpnn") / "v_6_020.pt"))


@pytest.fixture
def backbone(coil):
    return Backbone.from_coord(coil[:30], sequence="MKVLAAGWYFDERSTNQCHIPMKVLAAGWY", name="one")


def test_a_checkpoint_is_read(model, tmp_path):
    assert (model.net.neighbours, model.net.ca_only, model.noise_level) == (6, False, 0.2)
    assert not model.net.training
    ca = load_protein_mpnn(checkpoint(tmp_path / "ca.pt", ca_only=True))
    assert ca.net.ca_only and len(ca.net.encoder_layers) == 2


def test_other_files_are_refused_in_one_line(tmp_path):
    def refused(path, match):
        with pytest.raises(UserError, match=match) as caught:
            load_protein_mpnn(path)
        assert "v_48_020.pt" in str(caught.value)

    refused(tmp_path / "absent.pt", "no such weights")
    refused(tmp_path, "is a folder")
    (tmp_path / "text.pt").write_text("nothing")
    refused(tmp_path / "text.pt", "not a checkpoint of PyTorch")
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.pt")
    refused(tmp_path / "other.pt", "lacks num_edges")
    raw = torch.load(checkpoint(tmp_path / "a.pt"), weights_only=True)
    raw["model_state_dict"]["atom_context.weight"] = torch.zeros(2)
    torch.save(raw, tmp_path / "ligand.pt")
    refused(tmp_path / "ligand.pt", "not the network of ProteinMPNN.*atom_context")


class Payload:
    def __reduce__(self):
        return (print, ("code ran",))


def test_no_code_in_a_checkpoint_runs(tmp_path, capsys):
    torch.save({"num_edges": 6, "noise_level": 0.2, "model_state_dict": Payload()}, tmp_path / "x")
    with pytest.raises(UserError, match="not a checkpoint"):
        load_protein_mpnn(tmp_path / "x")
    assert "code ran" not in capsys.readouterr().out


def test_fixed_residues_stay_and_left_out_ones_stay_away(model, backbone):
    fixed = np.zeros(30, dtype=bool)
    fixed[5:15] = True
    found = design_with_protein_mpnn(
        backbone, model, 6, temperature=2.0, fixed=fixed, omit="ACDEFG", seed=1
    )
    for design in found:
        assert design.sequence[5:15] == backbone.sequence[5:15] and design.designed == 20
        assert not set("ACDEFGX") & set(design.sequence[:5] + design.sequence[15:])
    assert len({design.sequence for design in found}) == 6
    with pytest.raises(ValueError, match="every amino acid"):
        design_with_protein_mpnn(backbone, model, omit=ALPHABET[:20])


def test_a_sequence_does_not_depend_on_those_beside_it(model, backbone, monkeypatch):
    many = design_with_protein_mpnn(backbone, model, 7, temperature=0.7)
    alone = design_with_protein_mpnn(backbone, model, 1, temperature=0.7)[0]
    assert alone.sequence == many[0].sequence
    assert alone.nats == pytest.approx(many[0].nats, abs=1e-6)
    monkeypatch.setattr("proteinweaver.evaluation.protein_mpnn._AT_ONCE", 60)
    pairs = design_with_protein_mpnn(backbone, model, 7, temperature=0.7)
    assert [design.sequence for design in pairs] == [design.sequence for design in many]
    other = design_with_protein_mpnn(backbone, model, 1, temperature=0.7, seed=1)
    assert other[0].sequence != many[0].sequence


def test_nats_are_the_score_of_the_whole_pass(model, backbone):
    """One decoded sequence, judged again by the pass over all places in the same order."""
    from proteinweaver.evaluation.sequence import draw_orders

    design = design_with_protein_mpnn(backbone, model, 1, temperature=0.5, seed=3)[0]
    rank = torch.from_numpy(draw_orders(backbone, 1, 0.5, None, "", 3).orders[0].argsort())
    amino = torch.tensor([ALPHABET.index(letter) for letter in design.sequence])
    with torch.no_grad():
        logits = model.net.logits(encode_backbone(backbone, model), amino, rank)
    nats = torch.nn.functional.cross_entropy(logits, amino)
    assert design.nats == pytest.approx(float(nats), abs=1e-4)


def test_amino_acids_are_drawn_from_the_probabilities(model, coil):
    """One residue, 4,000 draws at temperature 1.5, against the softmax without X."""
    alone = Backbone.from_coord(coil[:1], name="alone")
    found = design_with_protein_mpnn(alone, model, 4000, temperature=1.5)
    with torch.no_grad():
        encoded = encode_backbone(alone, model)
        logits = model.net.logits(encoded, torch.zeros(1).long(), torch.zeros(1).long())[0]
    expected = torch.softmax(logits[:20].double() / 1.5, 0).numpy() * 4000
    counts = [sum(design.sequence == letter for design in found) for letter in ALPHABET[:20]]
    assert expected.max() > 300
    assert chisquare(counts, expected).pvalue > 1e-3


def test_missing_residues_and_chains_count_as_the_public_reader_counts_them(model, coil):
    """A gap in the numbers changes the answer; the same gap with other numbers does not."""

    def logits(resnum, chain="A"):
        backbone = Backbone.from_coord(coil[:20], resnum=resnum, chain=chain)
        with torch.no_grad():
            encoded = encode_backbone(backbone, model)
            return model.net.logits(encoded, torch.zeros(20).long(), torch.arange(20))

    plain = logits(range(1, 21))
    assert torch.equal(logits(range(-300, -280)), plain)
    gap = logits([*range(1, 11), *range(15, 25)])
    assert not torch.equal(gap, plain)
    assert torch.equal(logits([*range(101, 111), *range(115, 125)]), gap)
    two = [*range(1, 11), *range(1, 11)]
    chains = logits(two, ["A"] * 10 + ["B"] * 10)
    assert not torch.equal(chains, plain)
    assert torch.equal(logits([*range(1, 11), *range(700, 710)], ["x"] * 10 + ["y"] * 10), chains)


def records(folder):
    blocks = (folder / "sequences.fasta").read_text().split(">")[1:]
    return {block.split()[0]: block.splitlines()[1] for block in blocks}


def test_the_command(backbone, tmp_path, capsys):
    weights, out = checkpoint(tmp_path / "v_6_020.pt"), tmp_path / "out"
    write_pdb(tmp_path / "one.pdb", backbone)
    words = [
        "sequence", str(tmp_path / "one.pdb"), "-o", str(out), "-n", "3", "--fixed", "A1-4",
        "--omit", "cw", "--model", "protein-mpnn", "--weights", str(weights), "-t", "0.5",
    ]  # fmt: skip
    assert run(words) == 0
    found = records(out)
    assert list(found) == ["one_1", "one_2", "one_3"]
    assert all(t[:4] == "MKVL" and not set("CW") & set(t[4:]) for t in found.values())
    first = (out / "sequences.fasta").read_bytes()
    assert run([*words, "--overwrite"]) == 0 and (out / "sequences.fasta").read_bytes() == first
    with (out / "sequences.csv").open() as file:
        assert {row["designed"] for row in csv.DictReader(file)} == {"26"}
    capsys.readouterr()


def test_ca_atoms_are_enough_for_a_ca_only_checkpoint(backbone, tmp_path, capsys):
    bare = np.full((30, 4, 3), np.nan)
    bare[:, 1] = backbone.ca
    write_pdb(tmp_path / "ca.pdb", Backbone.from_coord(bare))
    words = ["sequence", str(tmp_path / "ca.pdb"), "-n", "2", "--model", "protein-mpnn"]
    full, ca = checkpoint(tmp_path / "full.pt"), checkpoint(tmp_path / "ca.pt", ca_only=True)
    assert run([*words, "-o", str(tmp_path / "a"), "--weights", str(full)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert run([*words, "-o", str(tmp_path / "b"), "--weights", str(ca)]) == 0
    assert {len(text) for text in records(tmp_path / "b").values()} == {30}
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "protein-mpnn"], "needs --weights FILE"),
        (["--model", "proteinmpnn"], "did you mean 'protein-mpnn'?"),
        (["--weights", "x.pt"], "add --model protein-mpnn"),
        (["--model", "protein-mpnn", "--weights", "x.pt"], "no such weights"),
        (["--model", "protein-mpnn", "--weights", "x.pt", "--critic", "y"], "leave one out"),
    ],
)
def test_bad_options_are_one_line(words, said, backbone, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_pdb(tmp_path / "one.pdb", backbone)
    assert run(["sequence", "one.pdb", "-o", "out", *words]) == 2
    shown = capsys.readouterr().err.strip()
    assert said in shown and "\n" not in shown
    assert not (tmp_path / "out").exists()
