"""A training run that takes a second: synthetic chains, a tiny network, every step logged."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proteinweaver.nets.denoiser import DenoiserConfig
from proteinweaver.training.config import (
    DataConfig,
    LoggerConfig,
    OptimizerConfig,
    TrainConfig,
    TrainerConfig,
)
from proteinweaver.training.run import TrainResult, train

TINY = DenoiserConfig(width=16, edge_width=8, heads=2, blocks=2, n_outside=4)


def tiny_config(
    out: Path, steps: int = 6, trainer: dict[str, Any] | None = None, **changes: Any
) -> TrainConfig:
    """Config of a run of a few steps."""
    setup = TrainerConfig(
        device="cpu",
        max_minutes=0.0,
        max_steps=steps,
        valid_every=0,
        valid_batches=1,
        save_minutes=60.0,
    )
    config = TrainConfig(
        out=str(out),
        model=TINY,
        data=DataConfig(source="synthetic", recipe="base", residues=110),
        optimizer=OptimizerConfig(warmup_steps=2, lr=3e-3),
        trainer=replace(setup, **(trainer or {})),
        logger=LoggerConfig(every=1),
    )
    return replace(config, **changes)


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., TrainConfig]:
    """Make the config of a tiny run in a folder of this test."""

    def make(name: str, **changes: Any) -> TrainConfig:
        return tiny_config(tmp_path / name, **changes)

    return make


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainConfig, TrainResult]:
    """Six steps in one go. Shared: copy the folder before going on with it."""
    config = tiny_config(tmp_path_factory.mktemp("unbroken"))
    return config, train(config)
