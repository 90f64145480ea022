"""``proteinweaver train``: config to checkpoint; the same command resumes."""

import json
from typing import Annotated

import typer

from proteinweaver.cli import options


def train(
    words: options.Words = None,
    out: Annotated[str | None, typer.Option("--out", "-o", metavar="DIR", help="Folder.")] = None,
    seed: options.Seed = None,
    device: Annotated[
        str | None, typer.Option("--device", help="auto, cpu, cuda.", show_default="auto")
    ] = None,
    overwrite: options.Overwrite = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the config.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a model, or go on training; experiment=NAME chooses a recipe.

    KEY=VALUE sets any key of the config, such as trainer.max_minutes=60. Interrupt with Ctrl-C and
    run the same command to go on.
    """
    _, overrides = options.split_words(words)
    flags = {"out": out, "seed": seed, "trainer.device": device}
    if overwrite:
        flags["overwrite"] = True
    from proteinweaver.cli.config import compose
    from proteinweaver.io.typed import plain
    from proteinweaver.training.config import TrainConfig

    config = compose("train", TrainConfig, overrides, flags)
    if dry_run:
        typer.echo(json.dumps(plain(config), indent=1))
        return
    from proteinweaver.training.run import train as run

    def show(row: dict[str, float]) -> None:
        if not quiet:
            typer.echo(" ".join(f"{key} {value:.5g}" for key, value in row.items()), err=True)

    result = run(config, show)
    state = "finished" if result.finished else "stopped early; the same command goes on"
    typer.echo(f"{result.checkpoint}: step {result.step}, {state}")
