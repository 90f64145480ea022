"""``proteinweaver fold``: structures of sequences, by a folding model the user has."""

from typing import Annotated

import typer

from proteinweaver.cli import options


def fold(
    fasta: Annotated[
        str,
        typer.Argument(metavar="FASTA", help="Sequences, as `sequence` writes them."),
    ],
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="DIR", help="Folder of the predictions.")
    ] = None,
    model: Annotated[
        str, typer.Option("--model", metavar="esmfold|esmfold2", help="What folds.")
    ] = "esmfold",
    weights: Annotated[
        str,
        typer.Option(
            "--weights",
            "--fold-weights",
            metavar="DIR",
            help="Folder of weights, or their name on the hub.",
            show_default="public ones, from the hub's cache",
        ),
    ] = "",
    allow_download: options.AllowDownload = False,
    chunk: options.Chunk = None,
    device: options.Device = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Fold again what is folded.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Fold sequences, one PDB file each; only what is missing is folded.

    Needs the package transformers and weights, which are never downloaded unasked.
    """
    from proteinweaver.cli.progress import Counter
    from proteinweaver.errors import UserError
    from proteinweaver.evaluation.folding import fold_sequences
    from proteinweaver.evaluation.folding_models import find_folding_model
    from proteinweaver.generation.model import pick_device

    if not out:
        raise UserError("no folder to write into; give -o DIR")
    found = find_folding_model(
        model,
        weights,
        device=pick_device(device or "auto"),
        chunk=chunk,
        allow_download=allow_download,
    )
    with Counter("sequences", quiet) as counter:
        result = fold_sequences(fasta, out, found, overwrite=overwrite, progress=counter)
    options.tell_unfolded(result.failed)
    typer.echo(f"{result.folded} sequences folded, {result.kept} kept; {result.folder}")
    if result.failed:
        raise typer.Exit(1)
