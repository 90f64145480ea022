"""``proteinweaver check``: resolve and validate, print, write nothing."""

from typing import Annotated

import typer


def check(
    what: Annotated[str, typer.Argument(metavar="SPEC|FILE[:SELECTION]", show_default=False)],
) -> None:
    """Check a design spec or a structure file; write nothing.

    Every job of a SPEC (.yaml, .yml, .json) is resolved as a run would: files read, ranges found,
    wishes tested for contradictions, all designs planned. No model is loaded.
    """
    from proteinweaver.generation.check import check_spec, check_structure

    is_spec = what.lower().endswith((".yaml", ".yml", ".json"))
    for line in check_spec(what) if is_spec else check_structure(what):
        typer.echo(line)
