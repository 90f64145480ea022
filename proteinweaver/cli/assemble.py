"""``proteinweaver assemble``: given domains into one chain."""

from typing import Annotated

import typer

from proteinweaver.cli import options
from proteinweaver.cli.launch import launch
from proteinweaver.generation.config import AssembleConfig


def assemble(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SPEC] [KEY=VALUE]...", show_default=False),
    ] = None,
    out: options.Out = None,
    domain: Annotated[
        list[str] | None,
        typer.Option(
            "--domain",
            metavar="[NAME=]FILE[:SELECTION]|FOLDER|LENGTH",
            help="A domain, such as a.pdb:A10-120; repeat, N- to C-terminal.",
        ),
    ] = None,
    contig: Annotated[
        str | None,
        typer.Option("--contig", help="Domains and linkers of --file: A10-120/15/B5-90."),
    ] = None,
    file: Annotated[str | None, typer.Option("--file", help="Structure file of --contig.")] = None,
    linker: options.Linker = None,
    order: options.Order = None,
    length: Annotated[
        int | None,
        typer.Option(
            "--total-length", "--length", help="Residues of the whole chain; linkers adapt."
        ),
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
    contacts: Annotated[
        list[str] | None,
        typer.Option("--contacts", metavar="'A:1-9 B:5-8 MAX'", help="Residues to come close."),
    ] = None,
    apart: Annotated[
        list[str] | None,
        typer.Option("--apart", metavar="'A B MIN'", help="Residues to stay away."),
    ] = None,
    keep_pose: Annotated[
        str | None,
        typer.Option("--keep-pose", metavar="NAME,NAME", help="Domains that stay as in the file."),
    ] = None,
    context: Annotated[
        str | None, typer.Option("--context", metavar="FILE", help="Atoms to keep clear of.")
    ] = None,
    pass_budget: Annotated[
        str | None,
        typer.Option("--pass-budget", metavar="P/T", help="Until P pass or T were tried."),
    ] = None,
    poses: options.Poses = None,
    graft: Annotated[
        bool, typer.Option("--graft", help="Write side chains and ligands of rigid domains too.")
    ] = False,
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
    """Assemble domains into one chain.

    Poses and linkers are sought; the residues of given domains keep their names. SPEC is a YAML or
    JSON file of named jobs with the same fields.
    """
    spec, overrides = options.split_words(words, "spec file")
    of_jobs = {
        "domain": domain,
        "contig": contig,
        "file": file,
        "linker": linker,
        "order": order,
        "length": length,
        "mode": mode,
        "contacts": contacts,
        "apart": apart,
        "keep_pose": keep_pose.split(",") if keep_pose else None,
        "context": context,
        "pass_budget": pass_budget,
    }
    if spec:
        named = {f"--{key.replace('_', '-')}": value for key, value in of_jobs.items()}
        options.refuse_with_spec({**named, "-n": n, "--name": name})
    flags = {
        "spec": spec or None,
        **of_jobs,
        "poses": poses,
        "graft": graft or None,
        **options.run_flags(locals()),
        **options.sampler_flags(("assembler_sampler",), locals()),
    }
    from proteinweaver.cli.config import compose

    launch(compose("assemble", AssembleConfig, overrides, flags), dry_run=dry_run, quiet=quiet)
