"""Checkpoints that travel: small, free of pickles, and a resumed run is the unbroken one."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from proteinweaver.errors import UserError
from proteinweaver.nets.denoiser import Denoiser, DenoiserConfig
from proteinweaver.training import shards
from proteinweaver.training.checkpoints import initial_state, read_checkpoint
from proteinweaver.training.optimizers import SETTINGS, with_optimizer
from proteinweaver.training.run import train
from proteinweaver.training.shards import read_shards, write_shards

LIMIT = 16 * 2**20


def assert_equal(a, b, path=""):
    assert type(a) is type(b) or (isinstance(a, dict) and isinstance(b, dict)), path
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype and torch.equal(a, b), path
    elif isinstance(a, dict):
        assert list(a) == list(b), path
        for key in a:
            assert_equal(a[key], b[key], f"{path}/{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), path
        for k, (one, two) in enumerate(zip(a, b, strict=True)):
            assert_equal(one, two, f"{path}/{k}")
    else:
        assert a == b, path


def loaded(out):
    return torch.load(Path(out) / "last.ckpt", weights_only=True)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_run_killed_and_moved_goes_on_exactly(make_config, tmp_path, name):
    """Three of six steps, then only the shards reach the other folder: the same last bit."""

    def setup(folder, **trainer):
        config = make_config(folder, trainer={"shards": True, **trainer})
        return replace(config, optimizer=with_optimizer(config.optimizer, name))

    unbroken = setup("unbroken")
    train(unbroken)
    killed = setup("killed", session_minutes=1e-9)
    for _ in range(3):
        train(killed)
    assert read_checkpoint(killed.out).step == 3
    moved = setup("moved")
    shutil.copytree(Path(killed.out) / "shards", Path(moved.out) / "shards")
    shutil.rmtree(killed.out)
    assert train(moved).step == 6
    a, b = loaded(unbroken.out), loaded(moved.out)
    for part in ("state_dict", "current_model_state", "optimizer_states", "averaging_state"):
        assert_equal(a[part], b[part], part)
    log = (Path(unbroken.out) / "metrics.jsonl").read_text().splitlines()[3:]
    again = (Path(moved.out) / "metrics.jsonl").read_text().splitlines()
    for one, two in zip(map(json.loads, log), map(json.loads, again), strict=True):
        for timing in ("seconds_per_step", "minutes"):
            del one[timing], two[timing]
        assert one == two
    assert not list(Path(moved.out).glob(".*")), "nothing is left behind"


def test_nothing_is_lost(unbroken, tmp_path):
    config, result = unbroken
    state = loaded(config.out)
    (path,) = write_shards(tmp_path / "shards", state, 6)
    assert path.name == "00000006.1-of-1.safetensors"
    for place in (path, tmp_path / "shards", tmp_path):
        assert_equal(read_shards(place), state)
    found, model = initial_state(path)
    assert model == config.model
    assert_equal(found, read_checkpoint(result.checkpoint).state)


def state_of(weights: dict[str, torch.Tensor]):
    """What training keeps of a network: weights, average, two moments."""
    noise = {name: torch.rand_like(value) for name, value in weights.items()}
    moments = {k: {"exp_avg": v, "exp_avg_sq": v**2} for k, v in enumerate(noise.values())}
    return {
        "state_dict": weights,
        "current_model_state": noise,
        "optimizer_states": [{"state": moments, "param_groups": [{"betas": (0.9, 0.98)}]}],
    }


@pytest.fixture
def state():
    """Of eight matrices of 64 KiB: 2 MiB."""
    torch.manual_seed(0)
    return state_of({f"layer{k}": torch.rand(128, 128) for k in range(8)})


def test_the_network_we_ship_travels(tmp_path):
    paths = write_shards(tmp_path, state_of(Denoiser(DenoiserConfig()).state_dict()), 1)
    assert len(paths) <= 3
    assert all(path.stat().st_size <= LIMIT for path in paths)


def test_what_does_not_fit_exactly_has_rounded_moments(tmp_path, monkeypatch, state):
    limit = 550 * 2**10
    monkeypatch.setattr(shards, "SHARD_BYTES", limit)
    paths = write_shards(tmp_path / "part", state, 1)
    assert len(paths) == 3
    assert all(path.stat().st_size <= limit for path in paths)
    found = read_shards(tmp_path / "part")
    assert_equal(found["state_dict"], state["state_dict"])
    assert_equal(found["current_model_state"], state["current_model_state"])
    assert found["optimizer_states"][0]["param_groups"] == [{"betas": (0.9, 0.98)}]
    pairs = zip(
        found["optimizer_states"][0]["state"].values(),
        state["optimizer_states"][0]["state"].values(),
        strict=True,
    )
    for rounded, exact in pairs:
        for name, value in exact.items():
            assert rounded[name].dtype == torch.float32
            assert torch.allclose(rounded[name], value, rtol=2**-8, atol=0)
    monkeypatch.setattr(shards, "SHARD_BYTES", limit - 2**17)
    with pytest.raises(UserError, match=r"more than 3 shards.*trainer\.shards=false"):
        write_shards(tmp_path / "none", state, 1)


def test_a_crash_between_shards_leaves_the_earlier_checkpoint(tmp_path, monkeypatch, state):
    monkeypatch.setattr(shards, "SHARD_BYTES", 3 * 2**19)
    assert len(write_shards(tmp_path, state, 1)) == 2
    save, calls = shards.save_file, []

    def fails(*args):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        save(*args)

    monkeypatch.setattr(shards, "save_file", fails)
    changed = {**state, "state_dict": {k: v + 1 for k, v in state["state_dict"].items()}}
    with pytest.raises(UserError, match="No space left"):
        write_shards(tmp_path, changed, 2)
    assert_equal(read_shards(tmp_path)["state_dict"], state["state_dict"])


def test_a_missing_or_foreign_shard_is_one_line(tmp_path, monkeypatch, state):
    monkeypatch.setattr(shards, "SHARD_BYTES", 3 * 2**19)
    first, second = write_shards(tmp_path / "a", state, 3)
    other = {**state, "more": 1}
    _, foreign = write_shards(tmp_path / "b", other, 3)
    shutil.copy(foreign, second)
    with pytest.raises(UserError, match="of different checkpoints"):
        read_checkpoint(tmp_path / "a")
    second.write_bytes(b"broken")
    with pytest.raises(UserError, match="not a readable shard"):
        read_checkpoint(first)
    second.unlink()
    with pytest.raises(UserError, match=r"not all shards.*1-of-2"):
        read_checkpoint(tmp_path / "a")
    with pytest.raises(UserError, match="not all shards"):
        read_checkpoint(tmp_path / "nowhere" / "00000003.1-of-2.safetensors")
