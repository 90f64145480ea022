"""``proteinweaver study``: what samplers do, measured, on one page."""

import json
from pathlib import Path
from typing import Annotated

import typer

from proteinweaver.cli import options
from proteinweaver.errors import UserError, nearest

_NAMES = ("order", "budget", "dimension", "score-error", "certificate", "se3", "model")


def study(
    kind: Annotated[str, typer.Argument(metavar="|".join(_NAMES), show_default=False)],
    words: options.Words = None,
    out: Annotated[str | None, typer.Option("--out", "-o", metavar="DIR", help="Folder.")] = None,
    seed: options.Seed = None,
    multirun: Annotated[
        bool, typer.Option("--multirun", "-m", help="KEY=A,B runs each, in a folder of its own.")
    ] = False,
    overwrite: options.Overwrite = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print config and cases, run nothing.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Study samplers: orders, budgets, dimension, score errors, certificates, a protein model.

    Writes rows, tables, figures and one page (study.html); the same command goes on where it was
    stopped. KEY=VALUE sets any key, such as steps=[16,32,64] or, for the model, device=cuda.
    """
    if kind not in _NAMES:
        raise UserError(f"unknown study '{kind}'; {nearest(kind, _NAMES)}")
    _, overrides = options.split_words(words)
    from proteinweaver.cli.config import sweep

    runs = sweep(overrides) if multirun else [overrides]
    for chosen in runs:
        folder = None
        if out:
            swept = [word for word in chosen if word not in overrides]
            folder = Path(out) / ",".join(swept).replace("/", "_") if swept else Path(out)
        _run(kind, chosen, folder, seed, overwrite=overwrite, dry_run=dry_run, quiet=quiet)


def _run(
    kind: str,
    overrides: list[str],
    folder: Path | None,
    seed: int | None,
    *,
    overwrite: bool,
    dry_run: bool,
    quiet: bool,
) -> None:
    from proteinweaver.cli.config import compose
    from proteinweaver.io.typed import plain
    from proteinweaver.study.catalogue import CATALOGUE

    root = f"study_{kind.replace('-', '_')}"
    try:
        config = compose(root, CATALOGUE[kind], overrides, {"seed": seed})
        cases = config.cases()
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"study {kind}: {error}") from None
    if dry_run:
        typer.echo(json.dumps(plain(config), indent=1))
        typer.echo("\n".join(case.name for case in cases))
        return
    if folder is None:
        raise UserError("no folder to write into; give -o DIR (or --dry-run to see the cases)")
    from proteinweaver.cli.progress import Cases
    from proteinweaver.study.run import run_study

    with Cases("cases", quiet) as progress:
        result = run_study(config, folder, overwrite=overwrite, on_case=progress)
    for line in result.report.text:
        typer.echo(line)
    earlier = f", {result.earlier} finished before" if result.earlier else ""
    typer.echo(f"{result.done} cases run{earlier}; {result.out}/study.html")
