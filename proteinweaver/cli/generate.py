"""``proteinweaver generate``: stage 1 alone, single domains."""

from typing import Annotated

import typer

from proteinweaver.cli import options
from proteinweaver.cli.launch import launch
from proteinweaver.errors import UserError
from proteinweaver.generation.config import GenerateConfig


def generate(
    words: options.Words = None,
    out: options.Out = None,
    length: Annotated[
        int | None, typer.Option("--length", help="Residues, exactly.", show_default="100")
    ] = None,
    blueprint: Annotated[
        str | None,
        typer.Option(
            "--ss",
            "--blueprint",
            metavar="TEXT",
            help="Secondary structure instead of a length: LLHHHHHHL or L2 H6 L1.",
            show_default="drawn: classes as natives, strands longer, loops shorter",
        ),
    ] = None,
    fold: Annotated[
        str | None,
        typer.Option(
            "--fold",
            metavar="alpha|beta|mixed",
            help="Class of the blueprints that are drawn.",
            show_default="as natives have it, each a fifth at least",
        ),
    ] = None,
    candidates: Annotated[
        int | None,
        typer.Option(
            "--candidates",
            metavar="N",
            help="Domains drawn for every one kept, which critic and paired strands choose.",
            show_default="4",
        ),
    ] = None,
    n: options.Count = None,
    name: options.Name = None,
    seed: options.Seed = None,
    num_steps: options.NumSteps = None,
    restarts: options.Restarts = None,
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
    shard: options.ShardOption = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
) -> None:
    """Generate single domains.

    KEY=VALUE sets any other key of the config, such as layout_sampler.num_steps=20.
    """
    _, overrides = options.split_words(words)
    if blueprint is not None:
        for flag, value in (("--length", length), ("--fold", fold)):
            if value is not None:
                raise UserError(f"--ss tells {flag[2:]} already; drop {flag} (or drop --ss)")
    flags = {
        "length": length,
        "blueprint": blueprint,
        "fold": fold,
        "domain_candidates": candidates,
        **options.run_flags(locals()),
        "domain_sampler.restarts": restarts,
        **options.sampler_flags(("layout_sampler", "domain_sampler"), locals()),
    }
    from proteinweaver.cli.config import compose

    launch(compose("generate", GenerateConfig, overrides, flags), dry_run=dry_run, quiet=quiet)
