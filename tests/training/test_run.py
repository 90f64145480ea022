"""From config to checkpoint: resuming, stopping, starting from other weights, bad input."""

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from proteinweaver.data.batches import BatchSource
from proteinweaver.errors import UserError
from proteinweaver.nets.denoiser import Denoiser
from proteinweaver.training.checkpoints import read_checkpoint
from proteinweaver.training.config import DataConfig
from proteinweaver.training.run import train
from proteinweaver.training.schedule import ema_decay

LOSSES = ("total", "trans", "rot", "backbone", "local", "intermediate", "norm", "lr")


def rows(out):
    lines = (Path(out) / "metrics.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if "total" in row]


def assert_same_curve(first, second):
    assert [row["step"] for row in first] == [row["step"] for row in second]
    for a, b in zip(first, second, strict=True):
        assert [a[k] for k in LOSSES] == pytest.approx(
            [b[k] for k in LOSSES], abs=1e-5, rel=1e-5
        ), a["step"]
        assert a["residues"] == b["residues"]


def stop_at(step):
    """Callback that sends SIGTERM just before the given step, which is then the last."""

    def on_row(row):
        if row["step"] == step - 1:
            os.kill(os.getpid(), signal.SIGTERM)

    return on_row


@pytest.fixture
def copied(unbroken, tmp_path):
    """The unbroken run in a folder that may be changed."""
    config, _ = unbroken
    shutil.copytree(config.out, tmp_path / "copy")
    return replace(config, out=str(tmp_path / "copy"))


def test_a_killed_run_continues_its_loss_curve(make_config, unbroken):
    """SIGTERM in step 3, then the same call again: the same losses, rates and weights."""
    _, whole = unbroken
    config = make_config("killed")
    before = signal.getsignal(signal.SIGTERM)
    first = train(config, stop_at(3))
    assert (first.step, first.finished) == (3, False)
    assert signal.getsignal(signal.SIGTERM) == before
    second = train(config)
    assert (second.step, second.finished) == (6, True)
    assert_same_curve(rows(whole.checkpoint.parent), rows(config.out))
    a, b = read_checkpoint(whole.checkpoint), read_checkpoint(second.checkpoint)
    assert (a.step, a.residues) == (b.step, b.residues) == (6, a.residues)
    for name in a.state:
        assert torch.allclose(a.state[name], b.state[name], atol=1e-6), name


def test_rows_after_the_checkpoint_are_written_once(make_config, unbroken):
    """A run that died without saving repeats its last steps; the log shows every step once."""
    config, _ = unbroken
    broken = make_config("broken")
    train(broken, stop_at(3))
    with (Path(broken.out) / "metrics.jsonl").open("a") as log:
        log.write('{"step": 4, "total": 99.0}\n{"step": 5, "total": 99.0}\n')
    train(broken)
    assert_same_curve(rows(config.out), rows(broken.out))


def test_a_finished_run_is_left_alone_unless_its_budget_grows(copied):
    checkpoint = Path(copied.out) / "last.ckpt"
    stamp = checkpoint.stat().st_mtime_ns
    again = train(copied)
    assert again.finished
    assert again.step == 6
    assert checkpoint.stat().st_mtime_ns == stamp
    longer = replace(copied, trainer=replace(copied.trainer, max_steps=8))
    assert train(longer).step == 8
    assert [row["step"] for row in rows(copied.out)] == list(range(1, 9))


def test_the_checkpoint_holds_average_and_weights(unbroken):
    _, result = unbroken
    raw = torch.load(result.checkpoint, weights_only=True)
    name = "net.blocks.0.edge.weight"
    assert not torch.equal(raw["state_dict"][name], raw["current_model_state"][name])
    assert raw["proteinweaver"]["data"].keys() == {"domains.npz", "chains.npz"}
    assert raw["proteinweaver"]["stage"] == "domain"


def test_the_average_is_the_one_declared(make_config):
    """Rebuilt from the weights after every step with the recursion, decay (1 + n) / (10 + n)."""
    average = None
    for steps in range(1, 5):
        config = make_config("one", steps=4, trainer={"session_minutes": 1e-9})
        raw = torch.load(train(config).checkpoint, weights_only=True)
        current = raw["current_model_state"]
        assert raw["proteinweaver"]["step"] == steps
        if average is None:
            average = {k: v.clone() for k, v in current.items()}
        else:
            d = ema_decay(steps - 1, 0.999)
            average = {k: d * v + (1 - d) * current[k] for k, v in average.items()}
        for k, v in average.items():
            assert torch.allclose(raw["state_dict"][k], v, atol=1e-6), (steps, k)


def test_held_out_losses_are_measured_at_every_noise_level(make_config):
    config = make_config("valid", steps=4, trainer={"valid_every": 2})
    result = train(config)
    for t in (0.1, 0.3, 0.5, 0.7, 0.9):
        assert result.metrics[f"valid/trans/t{t:.1f}"] > 0
    lines = [
        json.loads(line) for line in (Path(config.out) / "metrics.jsonl").read_text().splitlines()
    ]
    assert [row["step"] for row in lines if "valid/total" in row] == [2, 4]
    mean = sum(result.metrics[f"valid/rot/t{t:.1f}"] for t in (0.1, 0.3, 0.5, 0.7, 0.9)) / 5
    assert result.metrics["valid/rot"] == pytest.approx(mean)


def test_measuring_does_not_change_the_training(make_config, unbroken):
    config, _ = unbroken
    measured = make_config("measured", trainer={"valid_every": 2})
    train(measured)
    assert_same_curve(rows(config.out), rows(measured.out))


def test_mixed_precision_follows_the_loss_curve(make_config, unbroken):
    """Layers in bfloat16, geometry and losses in full: six steps agree to 1%."""
    config = make_config("mixed", trainer={"precision": "bf16-mixed"})
    train(config)
    curve, exact = ([row["total"] for row in rows(c.out)] for c in (config, unbroken[0]))
    assert curve == pytest.approx(exact, rel=0.01)
    assert curve != exact


def test_starting_from_other_weights(make_config, unbroken):
    """The average of another run becomes the first weights; step and optimizer start anew."""
    _, result = unbroken
    config = make_config("child", steps=1, init=str(result.checkpoint), stage="assembler")
    config = replace(config, optimizer=replace(config.optimizer, lr=1e-12, weight_decay=0.0))
    child = train(config)
    assert child.step == 1
    parent = read_checkpoint(result.checkpoint).state
    for name, value in read_checkpoint(child.checkpoint).state.items():
        assert torch.allclose(value, parent[name], atol=1e-7)


@pytest.mark.parametrize("how", ["init", "resume"])
def test_another_network_is_refused(make_config, unbroken, how):
    _, result = unbroken
    config = make_config("other", **{how: str(result.checkpoint)})
    with pytest.raises(UserError, match=r"width|model\.\*"):
        train(replace(config, model=replace(config.model, width=24)))


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 broken", b"text"])
def test_a_broken_checkpoint_is_one_line(make_config, content):
    config = make_config("x")
    file = Path(config.out).with_suffix(".ckpt")
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(
        UserError, match="no such checkpoint" if content is None else "not a readable checkpoint"
    ):
        train(replace(config, resume=str(file)))


def test_bad_input_is_one_line(make_config, monkeypatch, tmp_path):
    monkeypatch.delenv("PROTEINWEAVER_DATA", raising=False)
    config = make_config("bad")
    with pytest.raises(UserError, match="no folder to write into"):
        train(replace(config, out=""))
    with pytest.raises(UserError, match=r"data\.folder"):
        train(replace(config, data=DataConfig()))
    with pytest.raises(UserError, match="no such structure set"):
        train(replace(config, data=DataConfig(folder=str(tmp_path))))
    with pytest.raises(UserError, match="no item 'nobody'"):
        train(replace(config, data=replace(config.data, recipe="none", item="nobody")))
    with pytest.raises(UserError, match="use auto, cpu or cuda"):
        train(replace(config, trainer=replace(config.trainer, device="abacus")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(UserError, match="install g\\+\\+"):
            train(replace(config, trainer=replace(config.trainer, compile=True)))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write into"):
        train(replace(config, out=str(tmp_path / "file")))


def test_one_item_alone(make_config):
    config = make_config("alone", steps=1)
    config = replace(config, data=replace(config.data, recipe="none", item="ideal-domains-2"))
    seen = []
    original = BatchSource.batch

    def spy(self, step):
        made = original(self, step)
        seen.append(made)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BatchSource, "batch", spy)
        train(config)
    coords = seen[0].coord
    assert len(coords) >= 1
    assert all(torch.equal(row, coords[0]) for row in coords)
    assert (seen[0].condition.piece == -1).all()


def test_a_batch_with_bad_gradients_costs_one_step(make_config, monkeypatch):
    """NaN in one step: its gradient is dropped, training goes on with finite weights."""
    import proteinweaver.training.tasks as tasks

    original, calls = tasks.total_loss, []

    def spoiled(losses, mask):
        calls.append(1)
        return original(losses, mask) * (float("nan") if len(calls) == 2 else 1.0)

    monkeypatch.setattr(tasks, "total_loss", spoiled)
    result = train(make_config("nan", steps=4))
    assert result.step == 4
    assert all(torch.isfinite(v).all() for v in read_checkpoint(result.checkpoint).state.values())


def test_trained_weights_fit_the_network(unbroken):
    config, result = unbroken
    net = Denoiser(config.model)
    net.load_state_dict(read_checkpoint(result.checkpoint).state)
