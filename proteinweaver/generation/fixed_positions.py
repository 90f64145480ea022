"""``fixed_positions.jsonl``: which residues a sequence design tool should leave as they are.

ProteinMPNN reads one JSON object, ``{design: {chain: [positions]}}``, positions from 1, of
residues that keep their amino acid (``--fixed_positions_jsonl``). Here these are the residues of
given domains and of linkers whose sequence was told; other linkers and generated domains are open.

References
----------
Dauparas et al. 2022, Science 378, 49; github.com/dauparas/ProteinMPNN (input format).
"""

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from proteinweaver.io.manifest import Manifest
from proteinweaver.io.run_folder import write_atomic

__all__ = ["fixed_positions", "write_fixed_positions"]


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
        told = [
            row["first"] + k
            for row in content["plan"]["segments"]
            if row["kind"] == "linker"
            for k, letter in enumerate(row.get("sequence", ""))
            if letter != "X"
        ]
        if told:
            chains["A"] = sorted([*chains.get("A", []), *told])
        if chains:
            yield line["name"], chains


def write_fixed_positions(path: Path) -> None:
    """Write ``fixed_positions.jsonl`` where some design has given residues.

    Parameters
    ----------
    path : Path
        The run folder.
    """
    found = (f"{json.dumps(name)}: {json.dumps(own)}" for name, own in fixed_positions(path))
    first = next(found, None)
    if first is not None:
        text = chain(["{", first], (f", {entry}" for entry in found), ["}\n"])
        write_atomic(path / "fixed_positions.jsonl", text)
