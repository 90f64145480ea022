"""``fixed_positions.jsonl``: which residues a sequence design tool should leave as they are.

ProteinMPNN reads one JSON object, ``{design: {chain: [positions]}}``, positions from 1, of
residues that keep their amino acid (``--fixed_positions_jsonl``). Here these are the residues of
given domains; linkers and generated domains are open.

References
----------
Dauparas et al. 2022, Science 378, 49; github.com/dauparas/ProteinMPNN (input format).
"""

import json
from pathlib import Path

from proteinweaver.io.run_folder import read_manifest, write_atomic

__all__ = ["fixed_positions", "write_fixed_positions"]


def fixed_positions(path: Path) -> dict[str, dict[str, list[int]]]:
    """Collect the residues of given domains of all designs of a run folder.

    Parameters
    ----------
    path : Path
        The run folder.

    Returns
    -------
    dict
        Positions from 1 by chain by design; designs without given residues are left out.
    """
    found: dict[str, dict[str, list[int]]] = {}
    for name, line in sorted(read_manifest(path).items()):
        side = path / "designs" / f"{name}.json"
        if line.get("status") != "ok" or not side.is_file():
            continue
        chains: dict[str, list[int]] = {}
        for entry in json.loads(side.read_text(encoding="utf-8"))["residue_map"]:
            if not entry["written_as_gly"]:
                chains.setdefault(entry["output_chain"], []).append(entry["output_number"])
        if chains:
            found[name] = chains
    return found


def write_fixed_positions(path: Path) -> None:
    """Write ``fixed_positions.jsonl`` where some design has given residues.

    Parameters
    ----------
    path : Path
        The run folder.
    """
    found = fixed_positions(path)
    if found:
        write_atomic(path / "fixed_positions.jsonl", json.dumps(found) + "\n")
