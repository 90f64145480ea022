"""Run a generating command: plan only, or weave with progress and a last line."""

from typing import TYPE_CHECKING

import typer

from proteinweaver.errors import UserError

if TYPE_CHECKING:
    from proteinweaver.generation.config import DiversifyConfig, RequestConfig

__all__ = ["launch"]


def launch(config: "RequestConfig | DiversifyConfig", *, dry_run: bool, quiet: bool) -> None:
    """Weave the designs of a request, or print their plans.

    Parameters
    ----------
    config : RequestConfig or DiversifyConfig
        The request.
    dry_run : bool
        Print the plans; load no model, write nothing.
    quiet : bool
        Show only the last line.

    Raises
    ------
    UserError
        If the request cannot be met, or names no folder.
    typer.Exit
        With code 1 if a design failed.
    """
    if not config.out and not dry_run:
        raise UserError("no folder to write into; give -o DIR (or --dry-run to see the plan)")
    if dry_run:
        from proteinweaver.generation.check import plan_line
        from proteinweaver.generation.plans import plan_run
        from proteinweaver.generation.weave import check_samplers

        check_samplers(config)
        for plan in plan_run(config):
            typer.echo(plan_line(plan))
        return
    from proteinweaver.cli.progress import Reporter
    from proteinweaver.generation.run import run_designs

    with Reporter(quiet) as reporter:
        result = run_designs(config, reporter, keep=False)
    earlier = f", {result.finished} finished before" if result.finished else ""
    typer.echo(
        f"{result.woven} designs woven{earlier}, {result.passed} pass all checks;"
        f" {result.out}/designs, ranked in {result.out}/metrics.csv"
        " (generated residues are GLY: backbones without a sequence)"
    )
    if result.failed:
        typer.echo(f"{len(result.failed)} failed: {', '.join(result.failed)}", err=True)
        raise typer.Exit(1)
