"""``proteinweaver sequence``: amino acids for backbones, as FASTA."""

from typing import Annotated

import typer

from proteinweaver.cli import options
from proteinweaver.errors import UserError


def sequence(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH...", help="Run folders, folders of files, files.", show_default=False
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="DIR", help="Folder to write into.")
    ] = None,
    n: Annotated[int, typer.Option("-n", "--num-seqs", help="Sequences per backbone.")] = 8,
    temperature: Annotated[
        float, typer.Option("--temperature", "-t", help="0: the most probable amino acid.")
    ] = 0.1,
    fixed: Annotated[
        str,
        typer.Option(
            "--fixed", metavar="SELECTION", help="Residues that keep their names, as A10-50,A60."
        ),
    ] = "",
    redesign: Annotated[
        bool, typer.Option("--redesign", help="Redesign residues of input domains too.")
    ] = False,
    omit: Annotated[
        str, typer.Option("--omit", metavar="LETTERS", help="Amino acids never designed.")
    ] = "",
    seed: Annotated[int, typer.Option("--seed", help="Key of all luck.")] = 0,
    critic: Annotated[
        str,
        typer.Option("--critic", metavar="FILE", help="Weights.", show_default="shipped"),
    ] = "",
    model: Annotated[
        str, typer.Option("--model", metavar="critic|protein-mpnn", help="What designs.")
    ] = "critic",
    weights: Annotated[
        str,
        typer.Option(
            "--weights", metavar="FILE", help="Checkpoint of ProteinMPNN, as v_48_020.pt."
        ),
    ] = "",
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Design sequences for backbones.

    Residues of input domains keep their names; all others are designed.
    """
    if not paths:
        raise UserError("no backbones; give a run folder, a folder of files, or files")
    from proteinweaver.generation.sequences import SequenceRequest, write_sequences

    request = SequenceRequest(
        paths=tuple(paths),
        out=out or "",
        n=n,
        temperature=temperature,
        fixed=fixed,
        redesign=redesign,
        omit=omit,
        seed=seed,
        critic=critic,
        model=model,
        weights=weights,
        overwrite=overwrite,
    )
    result = write_sequences(
        request, None if quiet else lambda name: typer.echo(f"{name}: {n} sequences", err=True)
    )
    for file, why in result.failed.items():
        typer.echo(why if why.startswith(file) else f"{file}: {why}", err=True)
    typer.echo(f"{result.sequences} sequences of {result.backbones} backbones; {result.fasta}")
    if result.failed:
        raise typer.Exit(1)
