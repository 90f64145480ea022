"""``proteinweaver prefs``: comparisons of designs, for alignment."""

from typing import Annotated, Literal

import typer

from proteinweaver.cli import options
from proteinweaver.errors import UserError


def prefs(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="DIR...", help="Run folders.", show_default=False),
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="FILE", help="Pair file (JSON lines).")
    ] = None,
    reward: Annotated[
        list[str] | None,
        typer.Option(
            "--reward",
            metavar="[W*]NAME[:KEY=VALUE,...]",
            help="A term of the reward; repeat.",
            show_default="interface, area, clash, chain, drift, compactness",
        ),
    ] = None,
    held_out: Annotated[
        list[str] | None,
        typer.Option("--held-out", metavar="TERM", help="A reward to compare with; repeat."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="HASH", help="Weights that designs may come from."),
    ] = None,
    margin: Annotated[float, typer.Option("--margin", help="Smaller differences tie.")] = 0.05,
    same: Annotated[
        float, typer.Option("--same", help="TM-score of nearly identical designs.")
    ] = 0.9,
    near: Annotated[
        Literal["drop", "weigh"], typer.Option("--near", help="What becomes of those.")
    ] = "drop",
    per_set: Annotated[int, typer.Option("--per-set", help="Most pairs of a plan; 0: all.")] = 4,
    uses: Annotated[int, typer.Option("--uses", help="Most pairs of a design; 0: any.")] = 2,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare designs of the same domains and plan by a reward.

    Every comparison is written, with seeds and hashes; designs that cannot be used are named.
    """
    if not paths:
        raise UserError("no designs; give run folders")
    if not out:
        raise UserError("no file to write into; give -o pairs.jsonl")
    from proteinweaver.preference.comparisons import PairSettings
    from proteinweaver.preference.prefs import DEFAULT_REWARDS, PrefsRequest, make_pairs
    from proteinweaver.preference.rewards import CATALOGUE

    settings = PairSettings(margin=margin, same=same, near=near, per_set=per_set, uses=uses)
    result = make_pairs(
        PrefsRequest(
            paths=tuple(paths),
            out=out,
            rewards=tuple(reward or DEFAULT_REWARDS),
            models=tuple(model or ()),
            settings=settings,
            held_out=tuple(held_out or ()),
            overwrite=overwrite,
        )
    )
    for kind, line in result.problems:
        typer.echo(f"left out, {kind}: {line}", err=True)
    for run in result.chosen:
        typer.echo(
            f"{run}: each chain is the best of several draws, so no sample of the model; to learn"
            " from, sample with chain_candidates=1",
            err=True,
        )
    if not quiet:
        for name, row in result.card.items():
            entry = CATALOGUE.get(name)
            rank = row["rank_correlation"]
            typer.echo(
                f"{name}: mean {row['mean']}, std {row['std']}, rank correlation with the reward "
                f"{'-' if rank is None else rank}"
                + (f"; prefers {entry.prefers}; dislikes {entry.dislikes}" if entry else ""),
                err=True,
            )
    told = result.summary
    if other := told.get("held_out"):
        typer.echo(
            f"held-out reward: agrees with {other['agrees']} of {other['pairs']} pairs, rank "
            f"correlation {other['rank_correlation']} over {other['designs']} designs",
            err=True,
        )
    counts = ", ".join(
        f"{told[key]} {key}"
        for key in ("tie", "disagreement", "near-identical", "surplus", "lonely")
        if told.get(key)
    )
    typer.echo(
        f"{result.pairs} pairs of {result.designs} designs in {told['sets']} sets"
        f"{f' ({counts})' if counts else ''}; {out}"
    )
