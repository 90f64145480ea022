"""`--model`: the assembler as trained or as aligned, and what is said where there is none."""

import json
import shutil

import pytest

from proteinweaver.cli.main import run
from proteinweaver.errors import UserError
from proteinweaver.generation.commands import assemble
from proteinweaver.generation.config import AssembleConfig
from proteinweaver.generation.model import load_model
from proteinweaver.generation.settings import default_sampling
from proteinweaver.io.installation import weights_folder
from proteinweaver.io.pdb import pdb_text
from proteinweaver.io.weights import read_weights, save_weights
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.ideal import ideal_element


@pytest.fixture
def words(tiny_weights, tmp_path) -> list[str]:
    """A request for one design; its weights are a copy without an aligned assembler."""
    weights = tmp_path / "weights"
    shutil.copytree(tiny_weights, weights)
    backbone = Backbone.from_coord(ideal_element("H", 10).numpy(), name="d")
    (tmp_path / "d.pdb").write_text(pdb_text(backbone))
    domain = ["--domain", str(tmp_path / "d.pdb")]
    return ["assemble", *domain, *domain, "--linker", "4", "--num-steps", "2", "--name", "x",
            "--weights", str(weights), "--device", "cpu", "-q"]  # fmt: skip


def test_both_assemblers(words, tmp_path, capsys):
    out = ["-o", str(tmp_path / "run")]
    assert run([*words, *out, "--model", "assembler-aligned"]) == 2
    told = capsys.readouterr().err
    assert "has no assembler-aligned.safetensors; take --model assembler" in told
    assert len(told.strip().splitlines()) == 1 and not (tmp_path / "run").exists()
    assert run([*words, *out, "--model", "aligned"]) == 2
    assert "model" in capsys.readouterr().err
    weights = tmp_path / "weights"
    base = read_weights(weights / "assembler")
    state = {k: v + 0.01 if v.is_floating_point() else v for k, v in base.state.items()}
    sha = save_weights(weights, "assembler-aligned", state, base.config, base.meta)
    assert load_model("assembler-aligned", weights, "cpu").stage == "assembler"
    assert run([*words, *out, "--model", "assembler-aligned"]) == 0
    side = json.loads((tmp_path / "run/designs/x_s0_0000.json").read_text())
    assert side["weights"]["assembler"] == sha
    # a folder holds designs of one assembler
    assert run([*words, *out, "--model", "assembler"]) == 2
    assert "weights" in capsys.readouterr().err
    assert run(["info", "--weights", str(weights), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["weights"]
    assert found["assembler-aligned"]["sha256"] == sha
    assert found["assembler"]["sha256"] == base.sha256


def test_aligned_weights_are_taken_where_there_are_any(words, tmp_path):
    weights = tmp_path / "weights"
    base = read_weights(weights / "assembler")
    assert load_model("auto", weights, "cpu").sha256 == base.sha256
    assert load_model("auto", device="cpu").sha256 == load_model("assembler-aligned").sha256
    state = {k: v + 0.01 if v.is_floating_point() else v for k, v in base.state.items()}
    sha = save_weights(weights, "assembler-aligned", state, base.config, base.meta)
    for model, used in (([], sha), (["--model", "assembler"], base.sha256)):
        out = tmp_path / f"run{len(model)}"
        assert run([*words, "-o", str(out), *model]) == 0
        side = json.loads((out / "designs/x_s0_0000.json").read_text())
        assert side["weights"]["assembler"] == used


def test_python_refuses_another_name(words, tmp_path):
    file = str(tmp_path / "d.pdb")
    config = AssembleConfig(domain=(file, file), model="best", weights=words[-4])  # type: ignore[arg-type]
    with pytest.raises(UserError, match="'assembler-aligned'"):
        assemble(config)


@pytest.mark.parametrize("stage", ["layout", "domain", "assembler", "assembler-aligned"])
def test_shipped_weights_say_what_they_are_sampled_with(stage):
    """The record beside the weights is what the commands do by default."""
    found = read_weights(weights_folder() / f"{stage}.safetensors")
    assert found.meta["sampling"] == default_sampling(stage)
