"""``proteinweaver train``: config to checkpoint; the same command resumes."""

from typing import Annotated

import typer

from proteinweaver.cli import options
from proteinweaver.cli.training import follow, print_config, training_flags


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
    flags = training_flags(out, seed, device, overwrite)
    from proteinweaver.cli.config import compose
    from proteinweaver.training.config import TrainConfig

    config = compose("train", TrainConfig, overrides, flags)
    if dry_run:
        print_config(config)
        return
    from proteinweaver.training.run import train as run

    follow(run, config, quiet=quiet)
