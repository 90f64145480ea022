"""``proteinweaver split``: the domains of a chain, one file each."""

from typing import Annotated

import typer

from proteinweaver.cli import options


def split(
    file: Annotated[str, typer.Argument(metavar="FILE[:SELECTION]", show_default=False)],
    out: options.Out = None,
    smallest: Annotated[
        int | None,
        typer.Option("--smallest", help="Fewest residues of a domain.", show_default="40"),
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Find the domains of a structure by the density of its contacts.

    Prints what names each domain, ready for --domain; with -o also writes one file for each.
    """
    from proteinweaver.domains.split import SplitSettings
    from proteinweaver.generation.split import split as find
    from proteinweaver.generation.split import write_domains

    found = find(file, SplitSettings().smallest if smallest is None else smallest)
    if out:
        write_domains(found, file, out, overwrite=overwrite)
    from proteinweaver.io.select import split_spec

    path = split_spec(file).path
    for domain in found:
        typer.echo(f"{path}:{domain.selection}  {len(domain.backbone)} residues")
