"""One self-contained HTML page of a study: text, tables, figures; nothing is loaded from a net."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from proteinweaver.study.figure import svg
from samplers.studies.base import Report, Table

__all__ = ["html_page"]

_STYLE = """
:root { color-scheme: light dark; --text: #1c2330; --ground: #ffffff; --line: #c9d0da;
  --soft: #f4f6f9; }
@media (prefers-color-scheme: dark) { :root { --text: #dde3ec; --ground: #14181f;
  --line: #3a4453; --soft: #1c222b; } }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: var(--text);
  background: var(--ground); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; font-size: 0.86rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.7rem; border-bottom: 1px solid var(--line); text-align: left; }
th { position: sticky; top: 0; background: var(--soft); }
.wide { overflow-x: auto; } .note { font-size: 0.86rem; opacity: 0.8; }
figure { margin: 1.5rem 0; } pre { background: var(--soft); padding: 0.8rem; overflow-x: auto; }
svg { max-width: 100%; height: auto; }
"""


def html_page(
    title: str, report: Report, config: Mapping[str, Any], facts: Mapping[str, str]
) -> str:
    """Compose the page.

    Parameters
    ----------
    title : str
    report : Report
    config : mapping
        The study's config, printed at the end.
    facts : mapping
        Where and with what it was run.

    Returns
    -------
    str
        A whole HTML document.
    """
    body = [f"<h1>{escape(title)}</h1>"]
    body += [f"<p>{escape(line)}</p>" for line in report.text]
    body += [_table(table) for table in report.tables]
    body += [f"<figure>{svg(figure)}</figure>" for figure in report.figures]
    body.append("<h2>How it was made</h2>")
    body.append("<p>" + escape("; ".join(f"{k} {v}" for k, v in facts.items())) + "</p>")
    body.append(f"<pre>{escape(json.dumps(config, indent=1))}</pre>")
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row) + "</tr>"
        for row in table.rows
    )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<h2>{escape(table.title)}</h2><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{note}"
    )
