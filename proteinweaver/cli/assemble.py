"""``proteinweaver assemble``: given domains into one chain."""

from typing import Annotated

import typer

from proteinweaver.cli import options
from proteinweaver.cli.launch import launch
from proteinweaver.generation.config import AssembleConfig


def assemble(
    words: options.Words = None,
    out: options.Out = None,
    domain: Annotated[
        list[str] | None,
        typer.Option(
            "--domain",
            metavar="FILE[:SELECTION]",
            help="A domain, such as a.pdb:A10-120; repeat, N- to C-terminal.",
        ),
    ] = None,
    linker: options.Linker = None,
    order: options.Order = None,
    length: Annotated[
        int | None, typer.Option("--length", help="Residues of the whole chain; linkers adapt.")
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            "--mode",
            metavar="rigid|adapt|free",
            help="How far the inside of the domains may change.",
            show_default="adapt",
        ),
    ] = None,
    n: options.Count = None,
    name: options.Name = None,
    seed: options.Seed = None,
    num_steps: options.NumSteps = None,
    sampler: options.Sampler = None,
    grid: options.Grid = None,
    churn: options.Churn = None,
    noise_scale: options.NoiseScale = None,
    step_scale: options.StepScale = None,
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    weights: options.Weights = None,
    format: options.Format = None,
    traj: options.Traj = False,
    gly: options.Gly = False,
    shard: options.ShardOption = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
) -> None:
    """Assemble given domains into one chain.

    Poses and linkers are sought; the residues of the domains keep their names.
    """
    _, overrides = options.split_words(words)
    flags = {
        "domain": domain,
        "linker": linker,
        "order": order,
        "length": length,
        "mode": mode,
        **options.run_flags(locals()),
        **options.sampler_flags(("assembler_sampler",), locals()),
    }
    from proteinweaver.cli.config import compose

    launch(compose("assemble", AssembleConfig, overrides, flags), dry_run=dry_run, quiet=quiet)
