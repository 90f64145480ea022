"""``proteinweaver data``: structure sets from folders of files, and what is in them."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(no_args_is_help=True, help="Build and describe structure sets for training.")


@data.command()
def build(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SRC...", help="Structure files or folders of them.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="SET.npz", help="File to write.")],
    valid: Annotated[float, typer.Option("--valid", help="Fraction for validation.")] = 0.05,
    test: Annotated[float, typer.Option("--test", help="Fraction for testing.")] = 0.05,
    seed: Annotated[int, typer.Option("--seed", help="Chooses which groups go where.")] = 0,
    cluster: Annotated[
        str, typer.Option("--cluster", metavar="auto|mmseqs|kmer", help="Finds homologues.")
    ] = "auto",
    workers: Annotated[int, typer.Option("--workers", help="Processes that read files.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the last lines.")] = False,
) -> None:
    """Build a structure set from PDB, mmCIF and BinaryCIF files.

    A file that cannot be read is counted and told, never fatal.
    """
    from proteinweaver.cli.progress import Counter
    from proteinweaver.data.build import build_dataset

    with Counter("files", quiet) as counter:
        report = build_dataset(
            list(sources),
            out,
            valid=valid,
            test=test,
            seed=seed,
            cluster=cluster,
            workers=workers,
            progress=counter,
        )
    for file, message in report.errors:
        print(f"skipped {file}: {message}", file=sys.stderr)
    for fault, count in report.refused.items():
        print(f"refused {count} chains: {fault}", file=sys.stderr)
    parts = ", ".join(f"{name} {count}" for name, count in report.splits.items())
    typer.echo(
        f"{report.path}: {report.items} chains, {report.residues} residues from {report.files}"
        f" files ({len(report.errors)} unreadable, {sum(report.refused.values())} chains refused,"
        f" {report.duplicates} duplicates); {parts}; clustered by {report.clustering};"
        f" sha256 {report.sha256}"
    )


@data.command()
def info(
    sets: Annotated[list[Path], typer.Argument(metavar="SET.npz...", help="Structure sets.")],
) -> None:
    """Describe structure sets, as JSON."""
    from proteinweaver.data.archive import dataset_info

    for file in sets:
        typer.echo(json.dumps(dataset_info(file), indent=1))
