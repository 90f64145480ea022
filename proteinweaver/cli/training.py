"""What training commands share: their flags, the config printed, a line per row of the log."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from proteinweaver.training.fit import RunSetup
    from proteinweaver.training.run import TrainResult

__all__ = ["follow", "print_config", "training_flags"]

_Config = TypeVar("_Config", bound="RunSetup")


def training_flags(
    out: str | None, seed: int | None, device: str | None, overwrite: bool
) -> dict[str, Any]:
    """Give the flags of a training command as config keys."""
    flags: dict[str, Any] = {"out": out, "seed": seed, "trainer.device": device}
    return flags | ({"overwrite": True} if overwrite else {})


def print_config(config: "RunSetup") -> None:
    """Print a config as JSON."""
    from proteinweaver.io.typed import plain

    typer.echo(json.dumps(plain(config), indent=1))


def follow(
    run: Callable[[_Config, Callable[[dict[str, float]], None]], "TrainResult"],
    config: _Config,
    *,
    quiet: bool,
) -> None:
    """Train, show the rows of the log unless `quiet`, and say how it ended."""

    def show(row: dict[str, float]) -> None:
        if not quiet:
            typer.echo(" ".join(f"{key} {value:.5g}" for key, value in row.items()), err=True)

    result = run(config, show)
    state = "finished" if result.finished else "stopped early; the same command goes on"
    typer.echo(f"{result.checkpoint}: step {result.step}, {state}")
