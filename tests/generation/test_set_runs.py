"""Sets sampled into one folder, judged row by row, and two models compared by the script."""

import importlib.util
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from proteinweaver.errors import UserError
from proteinweaver.evaluation.tm import tm_score
from proteinweaver.generation.set_runs import sample_sets, weights_folder_of
from proteinweaver.generation.settings import SamplerConfig
from proteinweaver.io.manifest import read_manifest
from proteinweaver.io.pdb import pdb_text
from proteinweaver.io.read import read_backbone
from proteinweaver.io.weights import read_weights, save_weights
from proteinweaver.preference.candidates import find_candidates
from proteinweaver.preference.domain_sets import read_sets
from proteinweaver.preference.rewards import reward_of
from proteinweaver.preference.trials import read_trials
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.ideal import ideal_element

REPO = Path(__file__).resolve().parents[2]
TRAINING, HELD_OUT = ["clash", "drift"], ["compactness"]


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("sets")
    for k, (kind, length) in enumerate((("H", 10), ("E", 8))):
        backbone = Backbone.from_coord(ideal_element(kind, length).numpy(), name=f"d{k}")
        (place / f"d{k}.pdb").write_text(pdb_text(backbone))
    lines = [
        {"name": f"s{linker}", "domain": ["d0.pdb", "d1.pdb"], "linker": [str(linker)]}
        for linker in (4, 5)
    ]
    (place / "SETS.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return place / "SETS.jsonl"


@pytest.fixture(scope="module")
def run(sets, tiny_weights) -> Path:
    """Three samples of two sets, in two goes."""
    out, options = sets.parent / "run", {"sampler": SamplerConfig(num_steps=2), "device": "cpu"}
    given = read_sets(sets)
    assert not sample_sets(
        given, out, tiny_weights, n=2, deadline=time.monotonic() - 1, **options
    )  # at most the design in flight is made
    assert len(read_manifest(out)) <= 1
    assert sample_sets(given, out, tiny_weights, n=2, **options)
    assert sample_sets(given, out, tiny_weights, n=3, **options)
    return out


def test_rows_tell_what_the_files_say(run, tiny_weights):
    rewards = reward_of(TRAINING), reward_of(HELD_OUT)
    rows = list(read_trials(run, *rewards))
    assert [(row.set, row.sample) for row in rows] == [
        (s, j) for s in ("s4", "s5") for j in (0, 1, 2)
    ]
    found = {(c.job, c.index): c for c in find_candidates([run], rewards[0]).candidates}
    for row in rows:
        same = found[row.set, row.sample]
        assert row.training == pytest.approx(same.score.value, abs=1e-6)
        assert row.plan == same.plan and row.weights == same.model
        assert row.failed is not same.passed
        assert set(row.terms) == {"clash", "drift", "held-out compactness"}
        side = json.loads((run / f"designs/{same.name}.json").read_text())
        assert row.drift == pytest.approx(side["metrics"]["domain_rmsd_max"], abs=1e-5)
        assert set(row.missed) == {k for k, met in side["checks"].items() if not met}
    ca = [read_backbone(str(run / f"designs/s5_s0_000{j}.pdb"), notes=[]).ca for j in range(3)]
    wanted = [tm_score(ca[0], ca[2]), tm_score(ca[1], ca[2])]
    np.testing.assert_allclose(rows[5].alike, wanted, atol=1e-4)
    assert rows[0].weights == read_weights(tiny_weights / "assembler").sha256
    assert list(read_trials(run, *rewards, {(r.set, r.sample) for r in rows[:5]})) == rows[5:]


def test_a_sample_that_is_not_finite_loses(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    manifest = copy / "manifest.jsonl"
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    bad = next(line for line in lines if line["job"] == "s4" and line["index"] == 1)
    for file in copy.glob(f"*/{bad['name']}*"):
        file.unlink()
    kept = {key: bad[key] for key in ("name", "job", "index", "seed", "length")}
    lines[lines.index(bad)] = {**kept, "status": "failed"}
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = list(read_trials(copy, reward_of(TRAINING), reward_of(HELD_OUT)))
    assert rows[1].failed and rows[1].missed == ("finite",)
    assert rows[1].training == rows[1].held_out == 0.0 and rows[1].alike == (None,)
    assert rows[2].alike[1] is None and rows[2].alike[0] is not None
    bad = next(line for line in lines if line["index"] == 2)
    (copy / f"designs/{bad['name']}.pdb").unlink()
    with pytest.raises(UserError, match="sample it again"):
        list(read_trials(copy, reward_of(TRAINING), reward_of(HELD_OUT)))
    with pytest.raises(UserError, match="has not begun"):
        list(read_trials(tmp_path, reward_of(TRAINING), reward_of(HELD_OUT)))


@pytest.mark.slow
def test_base_against_aligned(sets, tiny_weights, tmp_path, capsys):
    """Killed by its budget, the script goes on; the same weights win half."""
    spec = importlib.util.spec_from_file_location("ev", REPO / "scripts" / "eval_alignment.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    base = tiny_weights / "assembler.safetensors"
    found = read_weights(base)
    other = {k: v + 0.3 if v.is_floating_point() else v for k, v in found.state.items()}
    for name, state in (("twin", found.state), ("other", other)):
        save_weights(tmp_path / name, "assembler", state, found.config, {"name": name})
    words = [str(sets), "--base", str(base), "--aligned",
             f"{tmp_path}/other/assembler.safetensors", "--mix", "0", "0.5",
             "--also", f"twin={tmp_path}/twin/assembler.safetensors",
             "-k", "3", "--num-steps", "2", "--device", "cpu", "--chunk", "1", "--best", "1", "2",
             "--reward", "clash", "--reward", "drift", "--held-out", "compactness",
             "--rows", str(tmp_path / "rows.jsonl"),
             "--out", str(tmp_path / "told.json")]  # fmt: skip
    with pytest.raises(UserError, match="no set has 3 samples"):
        script.main([*words, "--budget", "0"])
    script.main([*words, "--part", "2/2", "--best", "1"])  # one set of two
    script.main(words)
    text = (tmp_path / "rows.jsonl").read_text()
    assert len(text.splitlines()) == 4 * 2 * 3  # the twin is the base
    told = json.loads((tmp_path / "told.json").read_text())
    against = told["against_base"]
    for name in ("twin", "mix 0"):
        assert against[name]["win_training"][:3] == [0.5, 0.5, 0.5]
        assert against[name]["diversity_change"][0] == 0.0
    assert against["aligned"]["win_training"][0] != 0.5
    assert against["mix 0.5"]["win_training"][3] == 2  # sets
    assert against["base, best of 1"]["failed"][0] == 0.0
    assert told["sets"]["aligned"] == 2
    assert "| aligned |" in capsys.readouterr().out
    script.main([*words, "--table"])
    assert (tmp_path / "rows.jsonl").read_text() == text
    folder = weights_folder_of(base, tmp_path / "copy")
    assert read_weights(folder / "assembler").sha256 == found.sha256
