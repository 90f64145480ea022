"""``proteinweaver info``: versions, devices, weights and their hashes."""

import json
from typing import Annotated

import typer


def info(
    weights: Annotated[
        str | None,
        typer.Option("--weights", metavar="DIR", help="Weights to list.", show_default="shipped"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show versions, devices, weights and their hashes."""
    from proteinweaver.io.installation import installation

    found = installation(weights)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for name, version in found["versions"].items():
        typer.echo(f"{name:20} {version}")
    for device in found["devices"]:
        details = ", ".join(f"{k} {v}" for k, v in device.items() if k not in {"name", "kind"})
        typer.echo(f"device {device['name']:13} {device['kind']} ({details})")
    for name, entry in found["weights"].items():
        typer.echo(f"weights {name:17} {entry['size_mib']} MiB, {entry.get('sha256', '-')}")
        if entry["status"] != "ok":
            typer.echo(f"        {entry['status']}")
    if not found["weights"]:
        typer.echo("weights              none")
