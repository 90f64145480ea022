"""Side chains, ligands, kept poses and budgets of assembled files, on untrained weights."""

import json
from pathlib import Path

import gemmi
import numpy as np
import pytest

from proteinweaver.errors import UserError
from proteinweaver.generation.commands import assemble, diversify
from proteinweaver.generation.config import AssembleConfig
from proteinweaver.generation.plans import plan_run
from proteinweaver.generation.settings import SamplerConfig
from proteinweaver.generation.split import split, write_domains

pytestmark = pytest.mark.realdata
FEW = SamplerConfig(num_steps=2)


@pytest.fixture(scope="module")
def run(data_dir: Path, tiny_weights: Path, tmp_path_factory) -> Path:
    """FKBP with its ligand, and SH3, grafted."""
    out = tmp_path_factory.mktemp("graft") / "run"
    raw = data_dir / "raw"
    config = AssembleConfig(
        domain=(f"fkbp={raw / '3o5r.cif'}:A", f"sh3={raw / '1shg.pdb'}"),
        linker=("8",),
        mode="rigid",
        name="pair",
        graft=True,
        out=str(out),
        device="cpu",
        close=False,
        weights=str(tiny_weights),
        assembler_sampler=FEW,
    )
    assemble(config)
    return out


def test_a_graft_has_every_atom_of_the_file_in_place(run, data_dir):
    design = gemmi.read_structure(str(run / "designs/pair_s0_0000.pdb"))[0]["A"]
    whole = gemmi.read_structure(str(run / "grafts/pair_s0_0000.pdb"))[0]
    source = gemmi.read_structure(str(data_dir / "raw/1shg.pdb"))
    source.remove_hydrogens()
    source.remove_ligands_and_waters()
    residues = list(source[0]["A"])
    grafted = list(whole["A"])
    assert [r.name for r in grafted] == [r.name for r in design]
    for mine, theirs in zip(grafted[-len(residues) :], residues, strict=True):
        assert {atom.name for atom in mine} == {atom.name for atom in theirs}
    # distances between atoms are those of the file: nothing was bent
    pick = [(k, atom.name) for k, r in enumerate(residues) for atom in r][::7]
    a = np.array([residues[k][name][0].pos.tolist() for k, name in pick])
    b = np.array([grafted[k - len(residues)][name][0].pos.tolist() for k, name in pick])
    gap = np.linalg.norm(a[:, None] - a[None], axis=-1)
    np.testing.assert_allclose(np.linalg.norm(b[:, None] - b[None], axis=-1), gap, atol=0.01)


def test_the_ligand_comes_along_and_clashes_are_told(run):
    whole = gemmi.read_structure(str(run / "grafts/pair_s0_0000.pdb"))[0]
    assert [residue.name for residue in whole["L"]] == ["FK5"]
    report = json.loads((run / "grafts/pair_s0_0000.json").read_text())
    assert report["ligands"][0].startswith("FK5 A")
    assert report["clashes"] >= len(report["worst"])
    ligand = np.array([atom.pos.tolist() for atom in whole["L"][0]])
    protein = np.array([a.pos.tolist() for r in list(whole["A"])[:128] for a in r])
    gap = np.linalg.norm(ligand[:, None] - protein[None], axis=-1).min()
    assert 2.3 < gap < 4.5


def test_grafting_needs_rigid_domains(data_dir):
    raw = data_dir / "raw"
    config = AssembleConfig(
        domain=(str(raw / "1shg.pdb"), str(raw / "1ubq.pdb")), graft=True, device="cpu"
    )
    with pytest.raises(UserError, match="--graft needs rigid domains"):
        plan_run(config)


def test_fixed_positions_are_the_given_residues(run):
    (line,) = (run / "fixed_positions.jsonl").read_text().splitlines()
    fixed = json.loads(line)["pair_s0_0000"]["A"]
    assert fixed == [*range(1, 129), *range(137, 137 + 57)]


def test_a_kept_pose_is_exact_before_closing(data_dir, tiny_weights):
    raw = data_dir / "raw"
    config = AssembleConfig(
        domain=(f"n={raw / '1div.pdb'}:A1-52", f"c={raw / '1div.pdb'}:A56-149", "20"),
        linker=("3", "6"),
        keep_pose=("n", "c"),
        device="cpu",
        close=False,
        weights=str(tiny_weights),
        assembler_sampler=FEW,
        layout_sampler=FEW,
        domain_sampler=FEW,
        pass_budget="1/3",
    )
    result = assemble(config)
    assert len(result.designs) == 3  # none passes: the budget runs out
    for design in result.designs:
        assert design.metrics["pose_kept"] < 1e-3
        assert design.checks["pose_kept"]
        assert not design.passed
        assert "linker_bonds" in design.reasons


def test_a_split_names_what_assembles(data_dir, tmp_path):
    source = str(data_dir / "raw/1fnf.pdb")
    found = split(source)
    assert len(found) == 4
    write_domains(found, source, tmp_path / "parts")
    about = json.loads((tmp_path / "parts/split.json").read_text())["domains"]
    assert sum(entry["residues"] for entry in about) == 368
    names = tuple(f"{source}:{entry['selection']}" for entry in about)
    (plan,) = plan_run(AssembleConfig(domain=names, linker=(0,), device="cpu"))
    assert plan.length == 368


def test_variations_stay_near_and_know_their_domains(run, tiny_weights, tmp_path):
    design = run / "designs/pair_s0_0000.pdb"
    kept = {
        t: diversify(
            input=str(design),
            partial_t=t,
            device="cpu",
            close=False,
            weights=str(tiny_weights),
            assembler_sampler=FEW,
        ).designs[0]
        for t in (0.06, 0.6)
    }
    near = kept[0.06]
    assert [len(segment) for segment in near.plan.segments] == [128, 8, 57]
    moved = {}
    given = np.array([a.pos.tolist() for a in _ca(design)])
    for t, one in kept.items():
        gap = np.linalg.norm(given[:, None] - given[None], axis=-1)
        ca = one.backbone.ca
        moved[t] = np.abs(np.linalg.norm(ca[:, None] - ca[None], axis=-1) - gap).mean()
    assert moved[0.06] < moved[0.6]


def _ca(path: Path) -> list[gemmi.Atom]:
    chain = gemmi.read_structure(str(path))[0]["A"]
    return [residue["CA"][0] for residue in chain]
