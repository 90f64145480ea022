r"""What a study is: a typed config that lists cases, and turns their rows into tables and figures.

A *case* is the unit of resuming: it has a name and a function that gives rows (flat mappings of
text and numbers). A study computes nothing else; tables and figures are made from rows alone, so
they can be drawn from a finished file at any time. Randomness is seeded per case, hence a
resumed study has the rows of an uninterrupted one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

__all__ = ["Case", "Figure", "Report", "Row", "Series", "Study", "Table", "cell", "select"]

Row = dict[str, str | int | float]


@dataclass(frozen=True)
class Case:
    """One unit of work.

    Attributes
    ----------
    name : str
        Unique in its study, the same in every run of the same config.
    run : callable () -> sequence of Row
    """

    name: str
    run: Callable[[], Sequence[Row]]


@dataclass(frozen=True)
class Series:
    """One line of a figure, or its points alone; those that are not finite are left out."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    dashed: bool = False
    joined: bool = True


@dataclass(frozen=True)
class Figure:
    """A plot of lines with markers.

    Attributes
    ----------
    name : str
        File name without its ending.
    title, x_label, y_label : str
    series : tuple of Series
    log_x, log_y : bool
    """

    name: str
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    log_x: bool = True
    log_y: bool = True


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes
    ----------
    name : str
        File name without its ending.
    title : str
    columns : tuple of str
    rows : tuple of tuple of str
    note : str
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Report:
    """What a study says: a few sentences, tables, figures."""

    text: tuple[str, ...]
    tables: tuple[Table, ...]
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Study(ABC):
    """Config of a study.

    Attributes
    ----------
    seed : int
        Of everything random.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    seed: int = 0

    def __post_init__(self) -> None:
        """Check the fields.

        Raises
        ------
        ValueError
            For a value that cannot be used.
        """
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; give a number from 0")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.default and isinstance(value, tuple) and not value:
                raise ValueError(f"{field.name} is empty; give at least one value")
            if field.name == "steps" and min(value) < 1:
                raise ValueError(f"steps holds {min(value)}; give counts from 1")
        self.check()

    def check(self) -> None:  # noqa: B027 - most studies have nothing to add
        """Check what is special to a study; raises ValueError."""

    def identity(self) -> dict[str, str]:
        """Tell what rows depend on beside the config, such as the hash of weights."""
        return {}

    @abstractmethod
    def cases(self, scratch: Path | None = None) -> tuple[Case, ...]:
        """Units of work, in order.

        Parameters
        ----------
        scratch : Path, optional
            Folder for what several cases need and is expensive to make again.
        """

    @abstractmethod
    def report(self, rows: Sequence[Row]) -> Report:
        """Tables and figures of rows, which may be those of a part of the cases."""


def cell(value: object, digits: int = 3) -> str:
    """Write a number for a table: significant digits, or a dash where there is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int):
        return str(value)
    return f"{value:.{digits}g}" if math.isfinite(value) else "–"


def select(rows: Sequence[Row], **wanted: str | int | float) -> list[Row]:
    """Rows whose entries equal those named, in their order."""
    return [row for row in rows if all(row.get(k) == v for k, v in wanted.items())]
