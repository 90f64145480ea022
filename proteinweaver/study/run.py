"""Run a study in a folder: case by case, resuming, then tables, figures and the page.

::

    study.json        name, config, versions
    rows.jsonl        one line per finished case: the resume key
    rows.csv          all rows
    NAME.csv          one per table
    NAME.svg          one per figure
    study.html        everything on one page
    scratch/          what cases share, such as reference end points

A killed run loses the case in flight; the same command goes on. Files other than ``rows.jsonl``
and ``scratch/`` are made from the rows at the end, and made again by running the finished study
once more.
"""

import csv
import io
import json
import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from proteinweaver import __version__
from proteinweaver.errors import UserError
from proteinweaver.io.run_folder import write_atomic
from proteinweaver.io.typed import plain
from proteinweaver.study.figure import svg
from proteinweaver.study.page import html_page
from samplers.studies.base import Report, Row, Study

__all__ = ["StudyResult", "run_study"]

#: Keys of a config that may differ between the runs of one folder.
_FREE = ("device",)
OnCase = Callable[[int, int, str], None]


@dataclass(frozen=True)
class StudyResult:
    """What a run gave.

    Parameters
    ----------
    out : Path
    rows : tuple of Row
    report : Report
    done, earlier : int
        Cases run now and before.
    """

    out: Path
    rows: tuple[Row, ...]
    report: Report
    done: int
    earlier: int


def run_study(
    study: Study, out: str | Path, *, overwrite: bool = False, on_case: OnCase | None = None
) -> StudyResult:
    """Run what is missing of a study and write its page.

    Parameters
    ----------
    study : Study
    out : path-like
        Folder; created where it is not there.
    overwrite : bool, optional
        Forget the finished cases of the folder.
    on_case : callable (done, total, line), optional
        Called before the first case and after every one.

    Returns
    -------
    StudyResult

    Raises
    ------
    UserError
        If the folder holds a study with another config, or cannot be written.
    """
    folder = Path(out)
    config = plain(study) | study.identity()
    _open(folder, study, config, overwrite)
    rows_file = folder / "rows.jsonl"
    finished = _read(rows_file)
    cases = study.cases(folder / "scratch")
    report_case = on_case or (lambda done, total, line: None)
    earlier = sum(case.name in finished for case in cases)
    report_case(
        earlier, len(cases), f"{earlier} of {len(cases)} cases are finished" if earlier else ""
    )
    done = 0
    for case in cases:
        if case.name in finished:
            continue
        started = time.perf_counter()
        finished[case.name] = list(case.run())
        _append(rows_file, case.name, finished[case.name])
        done += 1
        seconds = time.perf_counter() - started
        report_case(earlier + done, len(cases), f"{case.name}: {seconds:.1f} s")
    rows = tuple(row for case in cases for row in finished[case.name])
    report = study.report(rows)
    _write(folder, study, config, rows, report)
    return StudyResult(folder, rows, report, done, earlier)


def _open(folder: Path, study: Study, config: dict[str, Any], overwrite: bool) -> None:
    """Check that the folder is this study's, or make it so."""
    file = folder / "study.json"
    if overwrite:
        for old in (file, folder / "rows.jsonl"):
            old.unlink(missing_ok=True)
    if file.is_file():
        found = json.loads(file.read_text(encoding="utf-8"))
        if found.get("study") != study.name:
            raise UserError(
                f"{folder} holds the study '{found.get('study')}'; choose another -o, or "
                "--overwrite"
            )
        known = found.get("config", {})
        other = [k for k, v in config.items() if k not in _FREE and known.get(k) != v]
        if other:
            raise UserError(
                f"{folder} holds this study with another {', '.join(other)}; choose another -o, "
                "or --overwrite"
            )
    elif (folder / "rows.jsonl").is_file() or (folder / "run.json").is_file():
        raise UserError(f"{folder} holds something else; choose another -o")
    else:
        record = {"study": study.name, "config": config, "version": __version__}
        write_atomic(file, json.dumps(record, indent=1) + "\n")


def _read(file: Path) -> dict[str, list[Row]]:
    if not file.is_file():
        return {}
    found: dict[str, list[Row]] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:  # the line a killed run was writing
            continue
        found[entry["case"]] = [
            {k: math.nan if v is None else v for k, v in row.items()} for row in entry["rows"]
        ]
    return found


def _append(file: Path, name: str, rows: Sequence[Row]) -> None:
    """Add one line by one write; numbers that are none become null."""
    sound = [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        for row in rows
    ]
    line = json.dumps({"case": name, "rows": sound}) + "\n"
    if file.is_file() and file.stat().st_size and not file.read_bytes().endswith(b"\n"):
        line = "\n" + line  # a killed run broke off inside a line
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def _write(
    folder: Path, study: Study, config: dict[str, Any], rows: Sequence[Row], report: Report
) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    write_atomic(
        folder / "rows.csv", _csv(columns, [[r.get(c, "") for c in columns] for r in rows])
    )
    for table in report.tables:
        write_atomic(folder / f"{table.name}.csv", _csv(table.columns, table.rows))
    for figure in report.figures:
        drawn = svg(figure).replace("<svg ", '<svg color="#555" ', 1)
        write_atomic(folder / f"{figure.name}.svg", drawn + "\n")
    facts = {
        "proteinweaver": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": str(config.get("device", "cpu")),
    }
    page = html_page(f"Study: {study.title}", report, config, facts)
    write_atomic(folder / "study.html", page)


def _csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
