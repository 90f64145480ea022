"""The page of an alignment: what reward was bought with how much divergence and diversity.

It reads the folder of ``scripts/align_rounds.py``: a line of ``rounds.jsonl`` holds what the fresh
samples of a round say of the weights that made them, and ``R/metrics.jsonl`` how far leg R went.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from proteinweaver.errors import UserError
from proteinweaver.study.page import html_page
from samplers.studies.base import Figure, Report, Series, Table, cell

__all__ = ["Round", "read_rounds", "tradeoff_page"]

Round = dict[str, float]

#: Column of a row, name on the page.
_COLUMNS = {
    "round": "round",
    "training": "training reward",
    "held_out": "held-out reward",
    "kl": "divergence",
    "diversity": "diversity",
    "failed": "failed checks",
    "drift": "drift (A)",
    "contacts": "contacts",
    "sets": "sets",
}
_REWARDS = ("training", "held_out")


def read_rounds(folder: str | Path) -> list[Round]:
    """Read the rounds of a folder.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    list of dict of str to float
        In their order; what is no finite number is left out. ``kl`` is added where all legs up to
        the round tell it: the sum of their last figures ``valid/kl`` (else ``kl``), each the
        divergence of the round's weights from those that they began with.

    Raises
    ------
    UserError
        If there are none, or a line cannot be read.
    """
    log = Path(folder) / "rounds.jsonl"
    if not log.is_file():
        raise UserError(f"{log}: no such file; give the folder of scripts/align_rounds.py")
    found: dict[int, Round] = {}
    for number, line in enumerate(log.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            found[int(row["round"])] = {k: float(v) for k, v in row.items() if _is_number(v)}
        except (ValueError, TypeError, KeyError):
            raise UserError(f"{log}, line {number}: not a round; mend or remove it") from None
    if not found:
        raise UserError(f"{log}: holds no round yet")
    total = 0.0
    for place in range(1, max(found) + 1):
        if place in found and math.isfinite(total):
            found[place].setdefault("kl", total)
        total += _divergence(Path(folder) / str(place) / "metrics.jsonl")
    return [found[place] for place in sorted(found)]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _divergence(log: Path) -> float:
    """Last divergence of a leg; NaN where none is told."""
    last: dict[str, Any] = {}
    for line in log.read_text(encoding="utf-8").splitlines() if log.is_file() else []:
        last |= json.loads(line)
    return float(last.get("valid/kl", last.get("kl", math.nan)))


def tradeoff_page(rows: Sequence[Round], config: Mapping[str, Any], source: str) -> str:
    """Compose the page.

    Parameters
    ----------
    rows : sequence of dict of str to float
        Of `read_rounds`.
    config : mapping
        Of a leg, printed at the end.
    source : str
        Where the rows come from.

    Returns
    -------
    str
        A whole HTML document: the curves, and a table of all rounds.
    """
    figures = [
        _curve(rows, "kl", "divergence from the first weights (summed over legs)"),
        _curve(rows, "diversity", "diversity (mean of 1 - TM within a set)"),
        _by_round(rows),
    ]
    report = Report(
        text=(_sentence(rows),),
        tables=(_table(rows),),
        figures=tuple(figure for figure in figures if figure.series),
    )
    return html_page("Rounds of alignment", report, config, {"rounds": source})


def _line(rows: Sequence[Round], x: str, y: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    told = [(row[x], row[y]) for row in rows if x in row and y in row]
    return tuple(p[0] for p in told), tuple(p[1] for p in told)


def _curve(rows: Sequence[Round], x: str, label: str) -> Figure:
    lines = {y: _line(rows, x, y) for y in _REWARDS}
    series = [Series(_COLUMNS[y], *line, dashed=y == "held_out") for y, line in lines.items()]
    return Figure(
        name=f"reward-{x}",
        title=f"Reward against {_COLUMNS[x]}, round by round",
        x_label=label,
        y_label="mean reward",
        series=tuple(s for s in series if s.x),
        log_x=False,
        log_y=False,
    )


def _by_round(rows: Sequence[Round]) -> Figure:
    names = (*_REWARDS, "diversity", "failed")
    series = [Series(_COLUMNS[y], *_line(rows, "round", y), dashed=y == "held_out") for y in names]
    return Figure(
        name="rounds",
        title="Round by round",
        x_label="round (1: the weights at first)",
        y_label="mean over sets",
        series=tuple(s for s in series if s.x),
        log_x=False,
        log_y=False,
    )


def _table(rows: Sequence[Round]) -> Table:
    names = [name for name in _COLUMNS if any(name in row for row in rows)]
    return Table(
        name="rounds",
        title="All rounds",
        columns=tuple(_COLUMNS[name] for name in names),
        rows=tuple(tuple(_shown(row, name) for name in names) for row in rows),
        note="Round r judges fresh samples of the weights that leg r - 1 made. A divergence of a"
        " leg is measured on pairs of the weights it began with.",
    )


def _shown(row: Round, name: str) -> str:
    value = row.get(name, math.nan)
    return cell(int(value)) if name in ("round", "sets") and name in row else cell(value)


def _sentence(rows: Sequence[Round]) -> str:
    first, last = rows[0], rows[-1]
    told = [
        f"{_COLUMNS[name]} {first[name]:.3f} to {last[name]:.3f}"
        for name in (*_REWARDS, "diversity", "failed", "drift")
        if name in first and name in last
    ]
    return f"From round {first['round']:.0f} to round {last['round']:.0f}: {', '.join(told)}."
