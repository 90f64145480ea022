"""``proteinweaver align``: pairs to aligned weights; the same command resumes."""

import json
from typing import Annotated

import typer

from proteinweaver.cli import options


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
    flags = {"out": out, "seed": seed, "trainer.device": device}
    if overwrite:
        flags["overwrite"] = True
    from proteinweaver.cli.config import compose
    from proteinweaver.io.typed import plain
    from proteinweaver.training.align_config import AlignConfig

    config = compose("align", AlignConfig, overrides, flags)
    if dry_run:
        typer.echo(json.dumps(plain(config), indent=1))
        return
    from proteinweaver.training.align_run import align as run

    def show(row: dict[str, float]) -> None:
        if not quiet:
            typer.echo(" ".join(f"{key} {value:.5g}" for key, value in row.items()), err=True)

    result = run(config, show)
    state = "finished" if result.finished else "stopped early; the same command goes on"
    typer.echo(f"{result.checkpoint}: step {result.step}, {state}")
