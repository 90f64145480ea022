"""``proteinweaver evaluate``: how good structures are, in a table and a page."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proteinweaver.cli import options

if TYPE_CHECKING:
    from proteinweaver.evaluation.run import EvaluateConfig


def evaluate(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH... [KEY=VALUE]...",
            help="Run folders, folders of PDB or mmCIF files, files; any other config key.",
            show_default=False,
        ),
    ],
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="DIR", help="Folder for the results.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            metavar="train|DIR|SET.npz|none",
            help="What novelty is measured against: the training set, or structures of yours.",
            show_default="train",
        ),
    ] = None,
    folded: Annotated[
        str | None,
        typer.Option(
            "--folded",
            metavar="DIR",
            help="Predictions of designed sequences (ColabFold, AlphaFold 3, Boltz, Chai).",
        ),
    ] = None,
    fold: Annotated[
        str | None,
        typer.Option(
            "--fold",
            metavar="esmfold|esmfold2",
            help="Design sequences, fold them and compare.",
        ),
    ] = None,
    sequences: Annotated[
        int | None,
        typer.Option("--sequences", help="Sequences per design to fold.", show_default="8"),
    ] = None,
    protein_mpnn: Annotated[
        str | None,
        typer.Option(
            "--protein-mpnn",
            metavar="FILE",
            help="Checkpoint that designs them.",
            show_default="the critic",
        ),
    ] = None,
    fold_weights: options.FoldWeights = "",
    allow_download: options.AllowDownload = False,
    chunk: options.Chunk = None,
    device: options.Device = None,
    critic: Annotated[
        str | None,
        typer.Option(
            "--critic", metavar="FILE|none", help="Weights of the critic.", show_default="shipped"
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", help="Processes.", show_default="all cores"),
    ] = None,
    no_align: Annotated[
        bool, typer.Option("--no-align", help="No diversity, clusters and novelty.")
    ] = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="No report.html.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Measure files again that did not change.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure structures of anybody and write metrics.csv, summary.json and report.html.

    Geometry, diversity, novelty, and natives of the same lengths. A file that cannot be read is a
    row that says why. Only files that changed since the last time are measured.
    """
    paths, overrides = _split(words)
    folding = {
        "--sequences": sequences,
        "--protein-mpnn": protein_mpnn,
        "--fold-weights": fold_weights or None,
        "--allow-download": allow_download or None,
        "--chunk": chunk,
        "--device": device,
    }
    flags = {
        "paths": paths,
        "out": out,
        "folded": folded,
        "critic": critic,
        "workers": 0 if workers is None else workers,
        "compare.reference": reference,
        "compare.enabled": False if no_align else None,
        "report": False if no_report else None,
        "overwrite": True if overwrite else None,
    }
    from proteinweaver.cli.config import compose
    from proteinweaver.evaluation.run import EvaluateConfig

    config = compose("evaluate", EvaluateConfig, overrides, flags)
    from proteinweaver.cli.progress import Counter
    from proteinweaver.errors import UserError
    from proteinweaver.evaluation import run

    if not config.out:
        raise UserError("no folder to write into; give -o DIR")
    if not config.paths:
        raise UserError("nothing to evaluate; give a run folder, a folder of structures or a file")
    if fold:
        config = _refolded(config, fold, folding, quiet)
    elif given := [flag for flag, value in folding.items() if value is not None]:
        raise UserError(f"{given[0]} is of folding; add --fold esmfold")
    with Counter("files", quiet) as counter:
        result = run.evaluate(config, progress=counter)
    if found := result.summary.get("predictions"):
        _tell_predictions(found)
    if config.report:
        from proteinweaver.report.page import write_page

        write_page(result, config.trajectory_mb)
    failed = sum(not row.is_ok for row in result.rows)
    passed = sum(row.values.get("gate") == 1 for row in result.rows)
    judged = [row.values["pass"] for row in result.rows if row.values.get("pass") in (0, 1)]
    sound = f", {sum(map(int, judged))} pass the critic" if judged else ""
    written = "report.html, metrics.csv, summary.json" if config.report else "metrics.csv"
    typer.echo(
        f"{len(result.rows)} files, {result.measured} measured now, {failed} unreadable;"
        f" {passed} meet the geometry gate{sound}; {result.out}: {written}"
    )


def _refolded(
    config: "EvaluateConfig", model: str, folding: Mapping[str, Any], quiet: bool
) -> "EvaluateConfig":
    """Design sequences and fold them into the folder of the results; compare with those."""
    from dataclasses import replace

    from proteinweaver.cli.progress import Counter
    from proteinweaver.errors import UserError
    from proteinweaver.evaluation.folding_models import find_folding_model
    from proteinweaver.generation.model import pick_device
    from proteinweaver.generation.refold import RefoldRequest, refold

    if config.folded:
        raise UserError("--fold makes predictions, --folded reads some; give one of the two")
    found = find_folding_model(
        model,
        folding["--fold-weights"] or "",
        device=pick_device(folding["--device"] or "auto"),
        chunk=folding["--chunk"],
        allow_download=bool(folding["--allow-download"]),
    )
    request = RefoldRequest(
        paths=config.paths,
        out=config.out,
        protein_mpnn=folding["--protein-mpnn"] or "",
        critic="" if config.critic == "none" else config.critic,
        overwrite=config.overwrite,
    )
    if folding["--sequences"] is not None:
        request = replace(request, sequences=folding["--sequences"])
    with Counter("sequences", quiet) as counter:
        result = refold(request, found, counter)
    options.tell_unfolded(result.failed)
    if not quiet:
        typer.echo(f"{result.folded} sequences folded, {result.kept} kept", err=True)
    return replace(config, folded=str(result.folder))


def _tell_predictions(found: Mapping[str, list[str]]) -> None:
    """Say which designs have no prediction, and which predictions no design."""
    for key, text in (
        ("designs_without", "designs without a prediction"),
        ("of_no_design", "predictions of no design"),
    ):
        if names := found[key]:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            typer.echo(f"{len(names)} {text}: {', '.join(names[:5])}{more}", err=True)


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Separate paths from ``key=value``; a file whose name holds ``=`` is a path."""
    overrides = [
        word
        for word in words
        if ("=" in word or word.startswith(("~", "+"))) and not Path(word).exists()
    ]
    return [word for word in words if word not in overrides], overrides
