"""``proteinweaver align``: pairs to aligned weights; the same command resumes."""

from typing import Annotated

import typer

from proteinweaver.cli import options
from proteinweaver.cli.training import follow, print_config, training_flags


def align(
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
    """Align the assembler with pairs; experiment=align_NAME chooses an objective.

    data.pairs=FILE names the pairs of prefs. KEY=VALUE sets any other key.
    """
    _, overrides = options.split_words(words)
    flags = training_flags(out, seed, device, overwrite)
    from proteinweaver.cli.config import compose
    from proteinweaver.training.align_config import AlignConfig

    config = compose("align", AlignConfig, overrides, flags)
    if dry_run:
        print_config(config)
        return
    from proteinweaver.training.align_run import align as run

    follow(run, config, quiet=quiet)
