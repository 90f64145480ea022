"""``proteinweaver design``: both stages, from lengths or a spec to ranked designs."""

from typing import Annotated

import typer

from proteinweaver.cli import options
from proteinweaver.cli.launch import launch
from proteinweaver.generation.config import DesignConfig


def design(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SPEC] [KEY=VALUE]...", show_default=False),
    ] = None,
    out: options.Out = None,
    length: Annotated[int | None, typer.Option("--length", help="Residues, exactly.")] = None,
    domains: Annotated[
        int | None, typer.Option("--domains", help="Number of domains.", show_default="2")
    ] = None,
    n: options.Count = None,
    linker: options.Linker = None,
    order: options.Order = None,
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
    model: options.AssemblerModel = None,
    poses: options.Poses = None,
    format: options.Format = None,
    traj: options.Traj = False,
    gly: options.Gly = False,
    shard: options.ShardOption = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
) -> None:
    """Plan, generate domains, assemble, check and rank.

    SPEC is a YAML or JSON file of named jobs with the same fields; KEY=VALUE sets any other key of
    the config, such as domain_sampler.num_steps=30.
    """
    spec, overrides = options.split_words(words, "spec file")
    if spec:
        of_jobs = {"--length": length, "--domains": domains, "-n": n, "--name": name}
        options.refuse_with_spec({**of_jobs, "--linker": linker, "--order": order})
    flags = {
        "spec": spec or None,
        "length": length,
        "domains": domains,
        "linker": linker,
        "order": order,
        "poses": poses,
        **options.run_flags(locals()),
        "domain_sampler.restarts": restarts,
        **options.sampler_flags(
            ("layout_sampler", "domain_sampler", "assembler_sampler"), locals()
        ),
    }
    from proteinweaver.cli.config import compose

    launch(compose("design", DesignConfig, overrides, flags), dry_run=dry_run, quiet=quiet)
