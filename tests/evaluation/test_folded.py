"""The round trip through a folding program: layouts, names, and the comparison of the folds."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from proteinweaver.cli.main import run as command
from proteinweaver.errors import UserError
from proteinweaver.evaluation.assembly import domain_labels
from proteinweaver.evaluation.bfactors import mean_confidence
from proteinweaver.evaluation.folded import compare_fold, find_predictions
from proteinweaver.io.mmcif import cif_text
from proteinweaver.io.pdb import pdb_text
from proteinweaver.structure.backbone import Backbone


def turned(x: np.ndarray, seed: int = 1) -> np.ndarray:
    return x @ Rotation.random(random_state=seed).as_matrix().T + 5.0


def write(path: Path, coord: np.ndarray, confidence: float = 80.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    backbone = Backbone.from_coord(np.asarray(coord, dtype=np.float32))
    text_of = cif_text if path.suffix == ".cif" else pdb_text
    values = np.full(len(backbone), confidence)
    path.write_text(text_of(backbone, bfactor=values, bfactor_meaning="pLDDT"))


LAYOUTS = {
    "colabfold": "{name}_1_unrelaxed_rank_001_alphafold2_ptm_model_3_seed_000.pdb",
    "alphafold3": "{lower}_1/{lower}_1_model.cif",
    "boltz": "boltz_results_x/predictions/{name}_1/{name}_1_model_0.cif",
    "chai": "{name}_1/pred.model_idx_0.cif",
    "plain": "{name}_1.pdb",
    "unnumbered": "{name}.pdb",
}
WORSE = {
    "colabfold": "{name}_1_unrelaxed_rank_002_alphafold2_ptm_model_1_seed_000.pdb",
    "alphafold3": "{lower}_1/seed-1_sample-3/{lower}_1_seed-1_sample-3_model.cif",
    "boltz": "boltz_results_x/predictions/{name}_1/{name}_1_model_1.cif",
    "chai": "{name}_1/pred.model_idx_1.cif",
}


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_layouts_of_folding_programs(layout, helix, coil, tmp_path):
    names = {"name": "Design_A", "lower": "design_a"}
    write(tmp_path / LAYOUTS[layout].format(**names), helix)
    if layout in WORSE:
        write(tmp_path / WORSE[layout].format(**names), coil)
    found = find_predictions(tmp_path)
    own = found.of("Design_A")
    assert list(own) == ["design_a" if layout == "unnumbered" else "design_a_1"]
    assert "seed-1" not in str(*own.values()) and "002" not in str(*own.values())
    assert found.of("Design") == {} and found.of("Design_A_1_x") == {}
    assert found.unmatched([("Other", "")]) == sorted(own)
    assert mean_confidence(next(iter(own.values()))) == pytest.approx(80)


def test_names_that_fasta_cannot_hold(helix, tmp_path):
    """Sequences are named by letters and digits; designs of two sets may share their name."""
    for name in ("1abc_A_v2_1", "runs_a_x_3", "runs_b_x_1", "x_model_2"):
        write(tmp_path / f"{name}.pdb", helix)
    assert "x" in find_predictions(tmp_path).files  # Boltz would mean x, rank 2
    (tmp_path / "fold.json").write_text("{}")
    found = find_predictions(tmp_path)
    assert list(found.of("1abc-A v2")) == ["1abc_a_v2_1"]
    assert list(found.of("x", "runs/a")) == ["runs_a_x_3"]
    assert list(found.of("x", "runs/b")) == ["runs_b_x_1"]
    assert list(found.of("x_model")) == ["x_model_2"]
    designs = [("1abc-A v2", ""), ("x", "runs/a"), ("x_model", "")]
    assert found.unmatched(designs) == ["runs_b_x_1"]


def test_confidence_of_one_is_a_share(helix, tmp_path):
    write(tmp_path / "a.pdb", helix, 0.5)
    assert mean_confidence(tmp_path / "a.pdb") == pytest.approx(50)
    (tmp_path / "b.pdb").write_text("nothing")
    assert math.isnan(mean_confidence(tmp_path / "b.pdb"))
    assert math.isnan(mean_confidence(tmp_path / "absent.pdb"))


def test_a_domain_that_swings_away(coil):
    """Both domains are kept, the pose is not: scTM falls by half, interface and pose tell why."""
    a = coil[:, 1].astype(np.float64)
    two = np.concatenate((a, turned(a, 3) - turned(a, 3).mean(0) + a.mean(0) + [0.0, 6, 0]))
    label = domain_labels(120, [(0, 58), (62, 120)]).astype(np.int16)
    same = compare_fold(two, turned(two), label)
    for key in ("sc_tm", "sc_interface_tm", "sc_contacts_kept", "sc_pose_tm"):
        assert same[key] == pytest.approx(1, abs=1e-9)
    assert same["sc_rmsd"] == pytest.approx(0, abs=1e-9)
    swung = two.copy()
    swung[60:] = turned(two[60:], 9) + 40
    found = compare_fold(two, swung, label)
    assert 0.45 < found["sc_tm"] < 0.6
    assert found["sc_contacts_kept"] < 0.05 and found["sc_pose_tm"] < 0.2
    assert found["sc_interface_tm"] < 0.7 and found["sc_interface_rmsd"] > 5
    assert set(compare_fold(two, swung)) == {"sc_tm", "sc_rmsd"}


def test_round_trip_on_the_command_line(helix, coil, tmp_path, capsys):
    designs, folded, out = tmp_path / "designs", tmp_path / "folded", tmp_path / "out"
    write(designs / "a.pdb", helix)
    write(designs / "b.pdb", coil)
    write(designs / "c.pdb", coil)
    noise = np.random.default_rng(0).standard_normal(helix.shape)
    write(folded / "a_1.pdb", turned(helix + 2 * noise), 55)
    write(folded / "a_2.pdb", turned(helix + 0.3 * noise), 91)
    write(folded / "b_1.pdb", coil[:50])
    write(folded / "stray_1.pdb", helix)
    words = ["evaluate", str(designs), "-o", str(out), "--critic", "none", "--no-report", "-q"]
    assert command([*words, "--folded", str(folded)]) == 0
    told = capsys.readouterr().err
    assert "2 designs without a prediction: b, c" in told
    assert "1 predictions of no design: stray_1" in told
    import csv

    rows = {row["name"]: row for row in csv.DictReader((out / "metrics.csv").open())}
    assert rows["a"]["sc_best"] == "a_2" and rows["a"]["sc_count"] == "2"
    assert float(rows["a"]["sc_rmsd"]) < 0.6 and float(rows["a"]["sc_plddt"]) == 91
    assert "50 residues, not 60" in rows["b"]["sc_problems"] and rows["b"]["sc_tm"] == ""
    summary = json.loads((out / "summary.json").read_text())
    assert summary["predictions"]["of_no_design"] == ["stray_1"]
    assert command([*words, "--folded", str(tmp_path / "nowhere")]) == 2
    with pytest.raises(UserError, match="no predicted structure"):
        find_predictions(designs.parent / "out")
