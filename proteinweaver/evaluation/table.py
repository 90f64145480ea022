"""Tables: one typed row per design, one aggregated line per set, every number with its interval.

A `Column` says which number of a row it shows and how a set is summed up: the mean, the median, or
the share of designs that meet a condition. `summarise` makes a `Summary` of a set; `render` prints
summaries as a markdown table that is readable as plain text too; `to_json` gives the same numbers
to a file.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from proteinweaver.evaluation.intervals import (
    Interval,
    mean_interval,
    median_interval,
    share_interval,
)

__all__ = ["Column", "Summary", "render", "summarise", "to_json"]

Row = TypeVar("Row")
Statistic = Literal["mean", "median", "share"]

_INTERVALS: dict[str, Callable[[list[float]], Interval]] = {
    "mean": mean_interval,
    "median": median_interval,
    "share": share_interval,
}


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column.

    Parameters
    ----------
    key : str
        Name in JSON.
    title : str
        Head in the printed table.
    value : callable
        Row to one number, or to several (one per domain); NaN is left out.
    statistic : {"mean", "median", "share"}, optional
        How a set is summed up.
    decimals : int, optional
        Printed.
    """

    key: str
    title: str
    value: Callable[[Row], float | Sequence[float]]
    statistic: Statistic = "mean"
    decimals: int = 2


@dataclass(frozen=True)
class Summary:
    """One set of a table.

    Parameters
    ----------
    name : str
        Name of the set.
    n : int
        Designs in it.
    cells : mapping of str to Interval
        By column key; may hold numbers that only a set has, such as the mean pairwise TM-score.
    note : str, optional
        Where it comes from.
    """

    name: str
    n: int
    cells: Mapping[str, Interval]
    note: str = ""


def summarise(
    name: str,
    rows: Sequence[Row],
    columns: Sequence[Column[Row]],
    *,
    extra: Mapping[str, Interval] | None = None,
    note: str = "",
) -> Summary:
    """Sum up a set.

    Parameters
    ----------
    name : str
        Name of the set.
    rows : sequence
        One row per design.
    columns : sequence of Column
        What to show.
    extra : mapping of str to Interval, optional
        Numbers of the set as a whole, by column key.
    note : str, optional
        Where it comes from.

    Returns
    -------
    Summary
    """
    cells: dict[str, Interval] = {}
    for column in columns:
        values: list[float] = []
        for row in rows:
            value = column.value(row)
            values.extend(value if isinstance(value, Sequence) else [float(value)])
        cells[column.key] = _INTERVALS[column.statistic](values)
    return Summary(name, len(rows), cells | dict(extra or {}), note)


def _number(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) and decimals else text


def _cell(interval: Interval | None, decimals: int, intervals: bool) -> str:
    if interval is None or not math.isfinite(interval.value):
        return "-"
    text = _number(interval.value, decimals)
    if not intervals or not math.isfinite(interval.low):
        return text
    return f"{text} ({_number(interval.low, decimals)}-{_number(interval.high, decimals)})"


def render(
    summaries: Sequence[Summary], columns: Sequence[Column[Any]], *, intervals: bool = True
) -> str:
    """Print sets as a markdown table, one line per column and one column per set.

    Parameters
    ----------
    summaries : sequence of Summary
        The sets.
    columns : sequence of Column
        What to show.
    intervals : bool, optional
        Add the 95% interval to every number.

    Returns
    -------
    str
        Lines joined by newlines, padded so that the table reads well as plain text.
    """
    table = [["", *(summary.name for summary in summaries)]]
    table.append(["n", *(str(summary.n) for summary in summaries)])
    for column in columns:
        cells = [_cell(s.cells.get(column.key), column.decimals, intervals) for s in summaries]
        table.append([column.title, *cells])
    widths = [max(len(line[k]) for line in table) for k in range(len(table[0]))]
    lines = [
        "| "
        + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True))
        + " |"
        for line in table
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def to_json(
    summaries: Sequence[Summary], columns: Sequence[Column[Any]], **about: Any
) -> dict[str, Any]:
    """Give the numbers of a table as JSON types.

    Parameters
    ----------
    summaries : sequence of Summary
        The sets.
    columns : sequence of Column
        What is shown.
    **about
        Anything else worth recording: data, split, seed, command.

    Returns
    -------
    dict
        ``columns`` (key, title, statistic) and ``sets`` (name, n, note, and per key value, low,
        high, n). Numbers that are not finite become null.
    """
    return {
        **about,
        "interval": "95%: percentile bootstrap over designs; Wilson for shares",
        "columns": [
            {"key": column.key, "title": column.title, "statistic": column.statistic}
            for column in columns
        ],
        "sets": [
            {
                "name": summary.name,
                "n": summary.n,
                "note": summary.note,
                "cells": {key: _json_interval(cell) for key, cell in summary.cells.items()},
            }
            for summary in summaries
        ],
    }


def _json_interval(interval: Interval) -> dict[str, float | int | None]:
    def number(value: float) -> float | None:
        return round(value, 5) if math.isfinite(value) else None

    return {
        "value": number(interval.value),
        "low": number(interval.low),
        "high": number(interval.high),
        "n": interval.n,
    }
