"""From checkpoint to shipped weights to a model."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from proteinweaver.errors import UserError
from proteinweaver.generation.model import load_model
from proteinweaver.generation.settings import default_sampling
from proteinweaver.io.weights import read_weights
from proteinweaver.training.checkpoints import read_checkpoint
from proteinweaver.training.export import export_weights


def test_a_finished_run_leaves_its_weights(unbroken):
    config, result = unbroken
    found = read_weights(Path(config.out) / "domain.safetensors")
    average = read_checkpoint(result.checkpoint).state
    assert all(torch.equal(found.state[name], value) for name, value in average.items())
    assert found.meta["steps"] == 6
    assert found.meta["residues"] == read_checkpoint(result.checkpoint).residues
    rows = [
        json.loads(line) for line in (Path(config.out) / "metrics.jsonl").read_text().splitlines()
    ]
    assert found.meta["losses"]["train"]["total"] == pytest.approx(rows[-1]["total"], abs=1e-5)
    data = Path(config.out) / "synthetic" / "domains.npz"
    assert found.meta["data"]["domains.npz"] == hashlib.sha256(data.read_bytes()).hexdigest()


def test_the_model_is_loaded_by_stage_and_by_path(unbroken):
    config, result = unbroken
    by_stage = load_model("domain", config.out, "cpu")
    by_path = load_model(Path(config.out) / "domain.safetensors", device="cpu")
    assert by_stage.sha256 == by_path.sha256
    assert by_path.stage == "domain"
    assert not by_path.net.training
    assert by_path.net.config == config.model
    assert by_path.process.config == config.process
    average = read_checkpoint(result.checkpoint).state
    assert torch.equal(by_stage.net.state_dict()["psi.1.weight"], average["psi.1.weight"])


def test_half_precision_halves_the_file_and_loads_as_float32(unbroken, tmp_path):
    config, result = unbroken
    export_weights(result.checkpoint, "domain", tmp_path, half=True)
    full = (Path(config.out) / "domain.safetensors").stat().st_size
    header = 8 + 200 * 80  # names and shapes
    assert (tmp_path / "domain.safetensors").stat().st_size < 0.5 * full + header
    net = load_model("domain", tmp_path, "cpu").net
    exact = load_model("domain", config.out, "cpu").net
    for a, b in zip(net.parameters(), exact.parameters(), strict=True):
        assert a.dtype == torch.float32
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-6)


def test_the_caller_may_tell_what_a_plain_checkpoint_does_not(unbroken, tmp_path):
    config, result = unbroken
    data = Path(config.out) / "synthetic"
    export_weights(
        result.checkpoint, "x", tmp_path, stage="assembler", command="by hand", data=data
    )
    meta = read_weights(tmp_path / "x.safetensors").meta
    assert "sampling" not in meta
    assert (meta["stage"], meta["command"]) == ("assembler", "by hand")
    with pytest.raises(UserError, match="no structure sets"):
        export_weights(result.checkpoint, "x", tmp_path, data=tmp_path)


def test_the_record_of_sampling_is_that_of_the_stage_whatever_the_name(unbroken, tmp_path):
    """The checkpoint is of stage domain, its weights are called x."""
    export_weights(unbroken[1].checkpoint, "x", tmp_path, sampling=default_sampling)
    assert read_weights(tmp_path / "x.safetensors").meta["sampling"] == default_sampling("domain")
    assert default_sampling("domain") != default_sampling("assembler")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"denoiser": {"width": 17}}, "does not fit the network"),
        ({"denoiser": {"widht": 16}}, "did you mean 'width'"),
        ({"process": {"rho_max": "much"}}, "rho_max is 'much'"),
    ],
)
def test_weights_whose_config_does_not_fit_are_refused(unbroken, tmp_path, change, said):
    _, result = unbroken
    export_weights(result.checkpoint, "domain", tmp_path)
    file = tmp_path / "domain.json"
    card = json.loads(file.read_text())
    for group, values in change.items():
        card["config"][group] |= values
    file.write_text(json.dumps(card))
    with pytest.raises(UserError, match=said):
        load_model("domain", tmp_path, "cpu")


def test_a_model_that_does_not_exist(tmp_path):
    with pytest.raises(UserError, match="no model 'domian'"):
        load_model("domian", device="cpu")
    with pytest.raises(UserError, match="no such weights"):
        load_model("domain", tmp_path, "cpu")
