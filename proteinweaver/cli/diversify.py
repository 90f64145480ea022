"""``proteinweaver diversify``: variations of a chain."""

from typing import Annotated

import typer

from proteinweaver.cli import options
from proteinweaver.cli.launch import launch
from proteinweaver.generation.config import DiversifyConfig


def diversify(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE[:SELECTION] [KEY=VALUE]...", show_default=False),
    ] = None,
    out: options.Out = None,
    partial_t: Annotated[
        float | None,
        typer.Option(
            "--partial-t", help="Time of the noise, from 0.05 to below 1.", show_default="0.3"
        ),
    ] = None,
    domain: Annotated[
        list[str] | None,
        typer.Option(
            "--domain",
            metavar="RANGE",
            help="A domain, such as 1-56; repeat. Default: the design's own, else found.",
        ),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            "--mode",
            metavar="rigid|adapt|free",
            help="How far the insides of domains may change.",
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
    model: options.AssemblerModel = None,
    format: options.Format = None,
    traj: options.Traj = False,
    gly: options.Gly = False,
    shard: options.ShardOption = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
) -> None:
    """Vary a chain: noise is added and taken away again.

    Domains keep their insides as the mode says, poses and linkers are found anew near where they
    were: the nearer, the smaller --partial-t.
    """
    source, overrides = options.split_words(words, "structure file")
    flags = {
        "input": source or None,
        "partial_t": partial_t,
        "domain": domain,
        "mode": mode,
        **options.run_flags(locals()),
        **options.sampler_flags(("assembler_sampler",), locals()),
    }
    from proteinweaver.cli.config import compose

    launch(compose("diversify", DiversifyConfig, overrides, flags), dry_run=dry_run, quiet=quiet)
