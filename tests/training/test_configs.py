"""Every training config composes; a mistyped key is one line with the nearest one."""

from pathlib import Path

import pytest

from proteinweaver.cli.config import compose
from proteinweaver.errors import UserError
from proteinweaver.io.typed import build, plain
from proteinweaver.training.config import TrainConfig
from proteinweaver.training.recipes import NETWORKS, mixtures
from proteinweaver.training.run import train

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
GROUPS = ("model", "data", "optimizer", "trainer", "logger", "experiment")
CHOICES = [
    f"{group}={file.stem}"
    for group in GROUPS
    for file in sorted((CONFIGS / group).glob("*.yaml"))
    if not file.stem.startswith("align_")  # those are of `align`
]


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_composes(choice):
    config = compose("train", TrainConfig, [choice], {"out": "x"})
    assert config.out == "x"
    assert mixtures(config.recipe)


def test_the_tree_adds_nothing_to_the_defaults():
    """Defaults live in the dataclasses: without a choice the tree is empty."""
    assert compose("train", TrainConfig) == TrainConfig()


def test_keys_win_over_groups_and_experiments():
    config = compose(
        "train", TrainConfig, ["experiment=debug", "model=small", "trainer.max_steps=3", "seed=5"]
    )
    assert (config.model.width, config.trainer.max_steps, config.seed) == (64, 3, 5)
    assert config.data.source == "synthetic"


def test_layouts_are_trained_with_their_own_network():
    config = compose("train", TrainConfig, ["experiment=layout"])
    assert config.stage == config.data.recipe == "layout"
    assert config.model == NETWORKS["layout"]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.widht=3", "did you mean 'model.width'"),
        ("traner.max_steps=3", "did you mean 'trainer.max_steps'"),
        ("experiment=overfitt", "did you mean 'overfit'"),
        ("trainer.max_steps=many", "max_steps is 'many'"),
        ("stage=dommain", "did you mean 'domain'"),
        ("optimizer.lr=-1", "optimizer.lr is -1"),
    ],
)
def test_a_mistake_is_one_line(override, said):
    with pytest.raises(UserError, match=said) as caught:
        compose("train", TrainConfig, ["experiment=debug", override])
    assert "\n" not in str(caught.value)


def test_a_config_survives_json():
    config = compose("train", TrainConfig, ["experiment=overfit"])
    assert build(TrainConfig, plain(config)) == config


def test_the_debug_experiment_runs_without_data(tmp_path, monkeypatch):
    """Seconds, no release; ends with weights that `--weights` takes."""
    monkeypatch.delenv("PROTEINWEAVER_DATA", raising=False)
    config = compose("train", TrainConfig, ["experiment=debug"], {"out": str(tmp_path)})
    result = train(config)
    assert result.finished
    assert result.metrics["valid/total"] > 0
    assert (tmp_path / "domain.safetensors").is_file()
