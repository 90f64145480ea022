"""Training of the critic: resuming changes nothing, heads keep apart, mistakes are one line."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from proteinweaver.cli.config import compose
from proteinweaver.data.negative_sets import write_negatives
from proteinweaver.data.negatives import Negative
from proteinweaver.data.synthetic import write_synthetic_sets
from proteinweaver.errors import UserError
from proteinweaver.nets.critic import CriticConfig
from proteinweaver.structure.ideal import ideal_element
from proteinweaver.training.config import LoggerConfig, OptimizerConfig, TrainerConfig
from proteinweaver.training.critic_config import CriticDataConfig, CriticTrainConfig
from proteinweaver.training.critic_run import critic_state, train_critic

TINY = CriticConfig(
    width=16,
    neighbours=8,
    judge_neighbours=8,
    trunk_layers=1,
    sequence_layers=1,
    branches=2,
    branch_width=8,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("critic")
    write_synthetic_sets(place / "data")
    coord = ideal_element("E", 40).numpy()
    nothing = np.zeros(40, np.float32)
    made = [Negative("glued", 0.0, "many", coord, nothing.astype(bool), nothing)]
    for split in ("train", "valid"):
        write_negatives(place / f"negatives-{split}.npz", made)
    return place


def config_of(folder, out, steps, **changes):
    config = CriticTrainConfig(
        out=str(out),
        model=TINY,
        data=CriticDataConfig(
            folder=str(folder / "data"), negatives=str(folder), residues=120, max_length=90
        ),
        optimizer=OptimizerConfig(warmup_steps=2, lr=3e-3),
        trainer=TrainerConfig(
            device="cpu",
            max_minutes=0.0,
            max_steps=steps,
            valid_every=3,
            valid_batches=1,
            save_minutes=60.0,
        ),
        logger=LoggerConfig(every=1),
    )
    return replace(config, **changes)


@pytest.fixture(scope="module")
def trunk(folder):
    out = folder / "seq"
    return out, train_critic(config_of(folder, out, 6))


def rows(out):
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_the_sequence_head_learns_what_there_is(trunk):
    """Synthetic chains are all glycine: six steps are enough to see the loss fall."""
    out, result = trunk
    assert (result.step, result.finished) == (6, True)
    seen = [row["nats"] for row in rows(out) if "nats" in row]
    assert seen[-1] < 0.7 * seen[0]


def test_a_resumed_run_is_the_unbroken_one(folder, trunk):
    out = folder / "parts"
    half = config_of(folder, out, 6)
    stopped = replace(half, trainer=replace(half.trainer, max_steps=3))
    train_critic(stopped)
    train_critic(half)
    one, _ = critic_state(trunk[0] / "last.ckpt")
    other, _ = critic_state(out / "last.ckpt")
    # the rate falls with the budget, so the legs differ a little; batches and counters do not
    assert [row["step"] for row in rows(out) if "nats" in row] == [1, 2, 3, 4, 5, 6]
    assert all(torch.allclose(one[k], other[k], atol=0.02) for k in one)


def test_the_soundness_head_starts_on_a_copy_of_the_trunk(folder, trunk):
    start, out = str(trunk[0] / "last.ckpt"), folder / "copied"
    none = OptimizerConfig(lr=1e-12)
    train_critic(config_of(folder, out, 1, head="soundness", init=start, optimizer=none))
    before, after = critic_state(start)[0], critic_state(out / "last.ckpt")[0]
    copied = [key for key in after if key.startswith("judging.")]
    assert copied
    for key in copied:
        assert torch.allclose(after[key], before[key.removeprefix("judging.")], atol=1e-6), key


def test_the_soundness_head_leaves_the_sequence_head_alone(folder, trunk):
    out = folder / "sound"
    start = str(trunk[0] / "last.ckpt")
    wider = CriticDataConfig(str(folder / "data"), str(folder), residues=240)
    train_critic(config_of(folder, out, 3, head="soundness", init=start, data=wider))
    before, _ = critic_state(start)
    after, card = critic_state(out / "last.ckpt")
    assert card["head"] == "soundness"
    changed = {key for key, value in before.items() if not torch.equal(value, after[key])}
    assert {key.split(".")[0] for key in changed} == {"judging", "branches"}
    branches = {key.split(".")[1] for key in before if key.startswith("branches.")}
    assert {k.split(".")[1] for k in changed if k.startswith("branches.")} == branches


def test_a_soundness_head_goes_on_from_one_of_its_own(folder, trunk):
    start = str(trunk[0] / "last.ckpt")
    first = config_of(folder, folder / "before", 1, head="soundness", init=start)
    train_critic(first)
    again = replace(
        first,
        out=str(folder / "further"),
        init=str(folder / "before" / "last.ckpt"),
        optimizer=replace(first.optimizer, lr=1e-12),
    )
    train_critic(again)
    one, other = (critic_state(folder / n / "last.ckpt")[0] for n in ("before", "further"))
    assert all(torch.allclose(one[k], other[k], atol=1e-6) for k in one)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"out": ""}, "no folder"),
        ({"head": "soundness"}, "set init"),
        ({"init": "nowhere.ckpt"}, "no such checkpoint"),
        ({"model": replace(TINY, width=8), "init": "SEQ"}, "set model"),
        ({"data": CriticDataConfig(folder="nowhere")}, "no such structure set"),
    ],
)
def test_mistakes_are_one_line(folder, trunk, tmp_path, changes, said):
    changes = {k: str(trunk[0] / "last.ckpt") if v == "SEQ" else v for k, v in changes.items()}
    with pytest.raises(UserError, match=said) as caught:
        train_critic(replace(config_of(folder, tmp_path / "out", 1), **changes))
    assert "\n" not in str(caught.value)


def test_a_run_of_another_head_is_not_resumed(folder, trunk, tmp_path):
    shutil.copytree(trunk[0], tmp_path / "seq")
    start = str(trunk[0] / "last.ckpt")
    with pytest.raises(UserError, match="another network or head"):
        train_critic(config_of(folder, tmp_path / "seq", 9, head="soundness", init=start))


def test_the_tree_adds_nothing_to_the_defaults():
    assert compose("critic", CriticTrainConfig) == CriticTrainConfig()
