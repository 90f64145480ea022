"""Two processes are one: the same weights as one process that sees both their batches."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from proteinweaver.data.datamodule import NumberedBatch
from proteinweaver.training.schedule import ema_decay, learning_rate, used_budget
from proteinweaver.training.sources import open_sources
from proteinweaver.training.tasks import TASKS

STEPS = 4
WORDS = [
    "stage=domain", "model.width=16", "model.edge_width=8", "model.heads=2", "model.blocks=2",
    "model.n_outside=4", "data.source=synthetic", "data.recipe=base", "data.residues=110",
    "optimizer.warmup_steps=2", "optimizer.lr=0.003", "logger.every=1", "trainer.max_minutes=0",
    f"trainer.max_steps={STEPS}", "trainer.valid_every=0", "trainer.threads=1",
    "trainer.devices=2", "trainer.strategy=ddp", "trainer.save_minutes=60",
]  # fmt: skip


def one_process(config, folder):
    """The loop written out: mean loss of both batches, clip, AdamW, average."""
    source = open_sources(config, folder).train
    torch.manual_seed(config.seed)
    task = TASKS[config.stage](config)
    optimizer = task.configure_optimizers()
    average: dict[str, torch.Tensor] = {}
    residues = 0
    for step in range(STEPS):
        used = used_budget(step, 0.0, config.trainer)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, used, config.optimizer)
        losses = []
        for number in (2 * step, 2 * step + 1):
            batch = source.batch(number)
            residues += batch.residues
            losses.append(task.training_step(NumberedBatch(number, batch, batch.residues), 0))
        optimizer.zero_grad()
        torch.stack(losses).mean().backward()
        torch.nn.utils.clip_grad_norm_(task.net.parameters(), config.optimizer.clip)
        optimizer.step()
        current = {k: v.detach().clone() for k, v in task.state_dict().items()}
        d = ema_decay(step - 1, config.optimizer.ema_decay) if average else 0.0
        average = {k: d * average.get(k, v) + (1 - d) * v for k, v in current.items()}
    return current, average, residues


@pytest.mark.slow
def test_two_processes_equal_one_on_the_same_batches(make_config, tmp_path):
    """The command as a user starts it: it starts the second process by itself."""
    config = make_config("one", steps=STEPS)
    config = replace(config, trainer=replace(config.trainer, save_minutes=60.0))
    current, average, residues = one_process(config, tmp_path)
    out = tmp_path / "two"
    ask = [sys.executable, "-m", "proteinweaver", "train", *WORDS]
    done = subprocess.run(
        [*ask, "--device", "cpu", "-o", str(out)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=3600,
    )
    assert done.returncode == 0, done.stderr
    raw = torch.load(out / "last.ckpt", weights_only=True)
    card = raw["proteinweaver"]
    assert (card["step"], card["residues"]) == (STEPS, pytest.approx(residues, rel=0.2))
    for name, value in current.items():
        assert torch.allclose(raw["current_model_state"][name], value, atol=1e-5), name
        assert torch.allclose(raw["state_dict"][name], average[name], atol=1e-5), name
    assert (out / "domain.safetensors").is_file()
