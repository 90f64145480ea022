"""What stands in the files of a design, read back with an independent reader."""

import json
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest

from proteinweaver.evaluation.superposition import rmsd
from proteinweaver.generation.commands import assemble, generate
from proteinweaver.generation.config import AssembleConfig
from proteinweaver.generation.settings import SamplerConfig
from proteinweaver.io.read import read_backbone
from proteinweaver.structure.backbone import Backbone

FEW = SamplerConfig(num_steps=3)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two domains with author numbers, an insertion code and a break, written by gemmi."""
    from proteinweaver.structure.ideal import ideal_element

    folder = tmp_path_factory.mktemp("inputs")
    files = []
    for number, (chain, first, sequence) in enumerate(
        (("B", 101, "MKTAYIAKQRLISFVKSHFS"), ("H", -2, "GSWQERTYKLPAHNVD"))
    ):
        model = gemmi.Model(1)
        part = gemmi.Chain(chain)
        coord = ideal_element("H", len(sequence)).numpy() + 30.0 * number
        for i, letter in enumerate(sequence):
            residue = gemmi.Residue()
            residue.name = gemmi.expand_one_letter(letter, gemmi.ResidueKind.AA)
            # chain H: 1, 1A, 2, ...; chain B: nothing between 110 and 115
            jump = 4 if chain == "B" and i >= 10 else 0
            at = first + i + jump - (1 if chain == "H" and i >= 4 else 0)
            residue.seqid = gemmi.SeqId(at, "A" if chain == "H" and i == 4 else " ")
            for name, xyz in zip(("N", "CA", "C", "O"), coord[i], strict=True):
                atom = gemmi.Atom()
                atom.name, atom.element = name, gemmi.Element(name[0])
                shift = 12.0 if chain == "B" and i >= 10 else 0.0
                atom.pos = gemmi.Position(*(float(v) + shift for v in xyz))
                residue.add_atom(atom)
            part.add_residue(residue)
        model.add_chain(part)
        structure = gemmi.Structure()
        structure.add_model(model)
        files.append(folder / f"{chain}.pdb")
        structure.write_pdb(str(files[-1]))
    return files


@pytest.fixture(scope="module")
def run(inputs, tiny_weights, tmp_path_factory) -> Path:
    """One assembly, rigid domains, second domain first."""
    out = tmp_path_factory.mktemp("run") / "a"
    config = AssembleConfig(
        domain=tuple(map(str, inputs)),
        linker=("6",),
        order="2,1",
        mode="rigid",
        out=str(out),
        name="pair",
        device="cpu",
        weights=str(tiny_weights),
        assembler_sampler=FEW,
        poses="noise",
        traj=True,
        close=False,
    )
    assemble(config)
    return out


def test_the_design_is_one_contiguous_chain(run):
    structure = gemmi.read_structure(str(run / "designs/pair_s0_0000.pdb"))
    (chain,) = structure[0]
    assert chain.name == "A"
    assert [residue.seqid.num for residue in chain] == list(range(1, 43))
    assert all([atom.name for atom in residue] == ["N", "CA", "C", "O"] for residue in chain)
    one_letter = gemmi.one_letter_code([residue.name for residue in chain])
    assert one_letter == "GSWQERTYKLPAHNVD" + "G" * 6 + "MKTAYIAKQRLISFVKSHFS"
    factors = [residue[0].b_iso for residue in chain]
    assert factors == [1.0] * 16 + [0.0] * 6 + [2.0] * 20


def test_rigid_domains_keep_their_insides(run, inputs):
    coord = read_backbone(run / "designs/pair_s0_0000.pdb").coord
    for rows, file in ((slice(0, 16), inputs[1]), (slice(22, 42), inputs[0])):
        given = read_backbone(file).coord
        assert rmsd(coord[rows].reshape(-1, 3), given.reshape(-1, 3)) < 2e-3


def test_the_residue_map_restores_the_input(run, inputs):
    side = json.loads((run / "designs/pair_s0_0000.json").read_text())
    entries = side["residue_map"]
    assert [entry["output_number"] for entry in entries] == [*range(1, 17), *range(23, 43)]
    for number, file in ((1, inputs[1]), (2, inputs[0])):
        given = read_backbone(file)
        mine = [entry for entry in entries if entry["domain"] == number]
        assert [entry["number"] for entry in mine] == given.resnum.tolist()
        assert [entry["icode"] for entry in mine] == given.icode.tolist()
        assert {entry["chain"] for entry in mine} == set(given.chain.tolist())
        assert [entry["break_after"] for entry in mine] == given.break_after.tolist()
    assert [e["number"] for e in entries if e["icode"] == "A"] == [1]
    assert side["breaks_after"] == [32]


def test_the_side_file_tells_the_plan(run, inputs):
    side = json.loads((run / "designs/pair_s0_0000.json").read_text())
    segments = [(s["kind"], s["first"], s["last"]) for s in side["plan"]["segments"]]
    assert segments == [("domain", 1, 16), ("linker", 17, 22), ("domain", 23, 42)]
    assert side["plan"]["order"] == [2, 1]
    assert side["plan"]["segments"][0]["source"] == str(inputs[1])
    assert side["timing"]["total_s"] > 0
    assert side["weights"].keys() == {"assembler"}
    assert len(side["weights"]["assembler"]) == 64
    assert side["metrics"]["domain_rmsd_max"] < 0.01
    assert side["checks"]["domains_kept"] is True
    assert (side["seed"], side["index"], side["length"]) == (0, 0, 42)


def test_trajectories_are_written_noise_first_design_last(run):
    design = read_backbone(run / "designs/pair_s0_0000.pdb")
    for kind in ("x0", "xt"):
        structure = gemmi.read_structure(str(run / f"traj/pair_s0_0000_{kind}.pdb"))
        assert len(structure) >= FEW.num_steps + 1
        last = [residue["CA"][0].pos.tolist() for residue in structure[-1][0]]
        np.testing.assert_allclose(last, design.ca, atol=2e-3)
    first = [residue["CA"][0].pos.tolist() for residue in structure[0][0]]
    assert np.abs(np.array(first) - design.ca).max() > 3.0  # of the states: noise


def test_domains_stand_beside_the_design(run, inputs):
    names = sorted(file.name for file in (run / "domains").iterdir())
    assert names == ["pair_s0_0000_d1.pdb", "pair_s0_0000_d2.pdb"]
    assert len(read_backbone(run / "domains" / names[0])) == 16


def test_run_record_and_manifest(run):
    record = json.loads((run / "run.json").read_text())
    assert record["config"]["order"] == "2,1"
    assert record["versions"].keys() >= {"python", "torch"}
    (line,) = [json.loads(text) for text in (run / "manifest.jsonl").read_text().splitlines()]
    assert line["name"] == "pair_s0_0000"
    assert all((run / file).is_file() for file in line["files"])


def test_gly_names_all_residues(inputs, tiny_weights):
    fields = {"weights": str(tiny_weights), "device": "cpu", "close": False}
    result = assemble(domain=tuple(map(str, inputs)), gly=True, assembler_sampler=FEW, **fields)
    assert set(result.designs[0].backbone.sequence) == {"G"}


def test_generated_chains_are_gly_and_cif_reads_back(tiny_weights, tmp_path):
    result = generate(
        length=30,
        out=str(tmp_path),
        format="cif",
        device="cpu",
        close=False,
        weights=str(tiny_weights),
        layout_sampler=FEW,
        domain_sampler=FEW,
    )
    (design,) = result.designs
    assert isinstance(design.backbone, Backbone)
    chain = gemmi.read_structure(str(tmp_path / "designs/domain30_s0_0000.cif"))[0][0]
    assert gemmi.one_letter_code([residue.name for residue in chain]) == "G" * 30
    found = np.array([[atom.pos.tolist() for atom in residue] for residue in chain])
    np.testing.assert_allclose(found, design.backbone.coord, atol=1e-3)
    side = json.loads((tmp_path / "designs/domain30_s0_0000.json").read_text())
    assert len(side["plan"]["segments"][0]["blueprint"]) == 30
    assert side["residue_map"] == []


def test_a_design_that_is_no_number_fails_and_is_told(tiny_weights, tmp_path, monkeypatch):
    """Nothing is written of it but a manifest line; the others are not touched."""
    from proteinweaver.generation import domain_stage

    sample = domain_stage.sample_backbones

    def broken(model, condition, keys, *args, **kwargs):
        drawn = sample(model, condition, keys, *args, **kwargs)
        coord = drawn.coord.clone()
        coord[:, 5] = float("nan")
        return replace(drawn, coord=coord) if keys[0].index == 1 else drawn

    monkeypatch.setattr(domain_stage, "sample_backbones", broken)
    fields = {"weights": str(tiny_weights), "device": "cpu", "close": False}
    result = generate(
        length=30, n=3, out=str(tmp_path), layout_sampler=FEW, domain_sampler=FEW, **fields
    )
    assert result.failed == ("domain30_s0_0001",)
    assert len(result.designs) == 2
    assert len(list((tmp_path / "designs").glob("*.pdb"))) == 2
    lines = [json.loads(text) for text in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert [line["status"] for line in lines] == ["ok", "failed", "ok"]
    again = generate(
        length=30, n=3, out=str(tmp_path), layout_sampler=FEW, domain_sampler=FEW, **fields
    )
    assert (again.designs, again.finished, again.failed) == ((), 2, result.failed)
