"""The best designs as training data, and weights that are blended."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from proteinweaver.data.archive import dataset_info
from proteinweaver.data.batches import BatchSource, Mixture
from proteinweaver.data.store import StructureStore
from proteinweaver.errors import UserError
from proteinweaver.io.read import read_backbone
from proteinweaver.io.weights import read_weights, save_weights
from proteinweaver.preference.candidates import find_candidates
from proteinweaver.preference.chosen import best_of_plans, write_designs
from proteinweaver.preference.rewards import reward_of

REPO = Path(__file__).resolve().parents[2]


def test_the_best_of_a_plan_are_those_that_pass(candidate):
    many = [candidate(n, s) for n, s in zip("abcd", (0.2, 0.9, 0.5, 0.6), strict=True)]
    others = [candidate("e", 0.3, plan="q"), candidate("f", 0.99, plan="q", passed=False)]
    assert [one.name for one in best_of_plans([*others, *many], 2)] == ["e", "b", "d"]
    assert [one.name for one in best_of_plans([*others, *many], 3, least=0.55)] == ["b", "d"]


def test_chosen_designs_train_the_assembler(runs, tmp_path, reward):
    found = find_candidates([runs / "run0"], reward_of([reward])).candidates
    passing = [replace(one, passed=True) for one in found]  # untrained weights pass nothing
    chosen = best_of_plans(passing, 2)
    write_designs(tmp_path / "designs.npz", chosen, {"why": "a test"})
    about = dataset_info(tmp_path / "designs.npz")
    assert about["items"] == about["splits"]["train"]["items"] == 2
    assert about["provenance"] == {"why": "a test", "models": [found[0].model], "plans": 1}
    store = StructureStore(tmp_path / "designs.npz")
    for number, one in enumerate(chosen):
        item = store.item(number)
        made = read_backbone(Path(one.run) / one.file)
        assert item.annotated and item.domain.tolist() == [1] * 14 + [0] * 5 + [2] * 12
        away = item.coord - (made.coord - made.ca.mean(0))
        assert np.abs(away).max() < 0.006  # hundredths of an angstrom
    whole = (Mixture("designs", {"domains": 1.0}, min_length=20),)
    batch = BatchSource({"designs": store}, whole, "train", 99, 0).batch(0)
    hidden = batch.condition.piece[batch.condition.mask] < 0
    assert hidden.any() and int(batch.condition.piece.max()) == 1  # two domains, a linker
    with pytest.raises(UserError, match="no design is good enough"):
        write_designs(tmp_path / "none.npz", [], {})
    assert not (tmp_path / "none.npz").exists()


def script(name: str):
    spec = importlib.util.spec_from_file_location(name, REPO / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_of_chosen_designs_replaces_no_file(runs, tmp_path, capsys, reward):
    main = script("build_design_set").main
    words = [str(runs / "run0"), "--reward", reward]
    with pytest.raises(UserError, match=r"no chains\.npz there"):
        main([*words, "-o", str(tmp_path / "out"), "--data", str(tmp_path)])
    assert not (tmp_path / "out").exists()
    data = tmp_path / "data"
    data.mkdir()
    (data / "chains.npz").write_bytes(b"natives")
    with pytest.raises(UserError, match="a file of its own"):  # the data themselves
        main([*words, "-o", str(data), "--data", str(data)])
    assert (data / "chains.npz").read_bytes() == b"natives"
    with pytest.raises(UserError, match="no design is good enough"):  # untrained weights
        main([*words, "-o", str(tmp_path / "out"), "--data", str(data), "--model", "other"])
    assert "left out, wrong model: 3 (first: pair_s0_0000: made by" in capsys.readouterr().err
    assert (tmp_path / "out/chains.npz").read_bytes() == b"natives"


def test_what_two_fine_tunes_learned_is_added(tmp_path, monkeypatch):
    shas = {}
    for name, value in (("base", 1.0), ("one", 1.5), ("two", 0.75)):
        state = {"w": torch.full((2,), value)}
        shas[name] = save_weights(tmp_path, name, state, {}, {"stage": "assembler"})
    files = {name: str(tmp_path / f"{name}.safetensors") for name in (*shas, "sum", "mean")}
    blend = script("blend_weights").main
    monkeypatch.setattr(
        "sys.argv",
        ["blend", files["one"], files["two"], files["sum"], "--since", files["base"]],
    )
    assert blend() == 0
    found = read_weights(tmp_path / "sum.safetensors")
    assert found.state["w"].tolist() == [1.25, 1.25]  # 1.5 - 0.25
    assert found.meta["blend"] == [[shas["one"], 1.0], [shas["two"], 1.0], [shas["base"], -1.0]]
    monkeypatch.setattr("sys.argv", ["blend", files["one"], files["two"], files["mean"]])
    assert blend() == 0
    assert read_weights(tmp_path / "mean.safetensors").state["w"].tolist() == [1.125, 1.125]
