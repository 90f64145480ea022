"""``fixed_positions.jsonl``: which residues a sequence design tool should leave as they are.

ProteinMPNN reads one JSON object, ``{design: {chain: [positions]}}``, positions from 1, of
residues that keep their amino acid (``--fixed_positions_jsonl``). Here these are the residues of
given domains and of linkers whose sequence was told; other linkers and generated domains are open.

References
----------
Dauparas et al. 2022, Science 378, 49; github.com/dauparas/ProteinMPNN (input format).
"""

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from proteinweaver.io.manifest import Manifest
from proteinweaver.io.run_folder import write_atomic

__all__ = ["fixed_positions", "told_residues", "write_fixed_positions"]


def fixed_positions(path: Path) -> Iterator[tuple[str, dict[str, list[int]]]]:
    """Collect the residues of given domains of all designs of a run folder.

    Parameters
    ----------
    path : Path
        The run folder.

    Yields
    ------
    name : str
        Of a design; those without given residues are left out.
    positions : dict
        Positions from 1 by chain.
    """
    manifest = Manifest(path)
    for line in manifest.lines(sorted(manifest.names())):
        side = path / "designs" / f"{line['name']}.json"
        if line.get("status") != "ok" or not side.is_file():
            continue
        chains: dict[str, list[int]] = {}
        content = json.loads(side.read_text(encoding="utf-8"))
        for entry in content["residue_map"]:
            if not entry["written_as_gly"]:
                chains.setdefault(entry["output_chain"], []).append(entry["output_number"])
        told = [number for number, _ in told_residues(content)]
        if told:
            chains["A"] = sorted([*chains.get("A", []), *told])
        if chains:
            yield line["name"], chains


def told_residues(side: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Residues of linkers that were asked for with a sequence.

    Parameters
    ----------
    side : mapping
        The side file of a design.

    Returns
    -------
    list of (int, str)
        Number in chain A, from 1, and one-letter code.
    """
    return [
        (int(row["first"]) + k, letter)
        for row in side.get("plan", {}).get("segments", ())
        if row["kind"] == "linker"
        for k, letter in enumerate(row.get("sequence", ""))
        if letter != "X"
    ]


def write_fixed_positions(path: Path) -> None:
    """Write ``fixed_positions.jsonl`` where some design has given residues.

    Parameters
    ----------
    path : Path
        The run folder.
    """
    found = (f"{json.dumps(name)}: {json.dumps(own)}" for name, own in fixed_positions(path))
    first = next(found, None)
    file = path / "fixed_positions.jsonl"
    if first is None:
        file.unlink(missing_ok=True)  # of an earlier run
        return
    write_atomic(file, chain(["{", first], (f", {entry}" for entry in found), ["}\n"]))
