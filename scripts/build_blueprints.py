"""Count the secondary-structure strings of native domains for `proteinweaver.domains.blueprint`.

Reads the train split of a ``proteinweaver-structures-1`` file, assigns DSSP, drops membrane
proteins and elements too short to count (helices under 5, strands under 3 residues), and weights
every domain by one over the size of its 40% cluster. Written are counts, per fold class: order of
the elements, element lengths, loop lengths, class by length.

Usage: python scripts/build_blueprints.py domains.npz proteinweaver/domains/blueprints.json
"""

import hashlib
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from proteinweaver.domains.blueprint import (
    END,
    LENGTH_BINS,
    MIN_ELEMENT,
    elements,
    fold_class,
)
from proteinweaver.structure.dssp import element_letters


def smoothed(text: str) -> str:
    """Turn elements too short into loop; a string over H, E, L."""
    letters = ["L"] * len(text)
    for kind, start, length in elements(text):
        if length >= MIN_ELEMENT[kind]:
            letters[start : start + length] = [kind] * length
    return "".join(letters)


def native_strings(path: Path, split: int) -> list[tuple[str, float]]:
    """Strings and weights of one split (0 train, 1 valid, 2 test)."""
    data = np.load(path, allow_pickle=False)
    offsets, clusters = data["offsets"], data["cluster40"]
    coords = data["coords"] * np.float32(data["coord_scale"])
    sources = data["source_names"][data["source"]]
    _, inverse, size = np.unique(clusters, return_inverse=True, return_counts=True)
    weights = 1.0 / size[inverse]
    items = np.flatnonzero((data["split"] == split) & ~np.char.endswith(sources, "#membrane"))
    return [
        (smoothed(element_letters(coords[offsets[i] : offsets[i + 1]])), float(weights[i]))
        for i in items
    ]


def count(strings: list[tuple[str, float]]) -> dict:
    """All counts, keys joined by blanks."""
    tables: dict[str, dict] = {
        name: defaultdict(lambda: defaultdict(float))
        for name in ("class", "order", "element", "loop")
    }
    for text, weight in strings:
        runs = elements(text)
        if not runs:
            continue
        fold = fold_class(text)
        size = int(np.searchsorted(LENGTH_BINS, len(text), side="right"))
        tables["class"][str(size)][fold] += weight
        before, last, stop = "-", "-", 0
        for kind, start, length in runs:
            tables["order"][f"{fold} {before}{last}"][kind] += weight
            tables["loop"][f"{fold} {last}{kind}"][start - stop] += weight
            tables["element"][f"{fold} {kind}"][length] += weight
            before, last, stop = last, kind, start + length
        tables["order"][f"{fold} {before}{last}"][END] += weight
        tables["loop"][f"{fold} {last}{END}"][len(text) - stop] += weight
    return {
        name: {
            key: {
                str(k): round(v, 2)
                for k, v in sorted(row.items(), key=lambda item: str(item[0]).zfill(4))
            }
            for key, row in sorted(table.items())
        }
        for name, table in tables.items()
    }


def main() -> None:
    """Write the counts."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    strings = native_strings(source, 0)
    payload = {
        "what": "cluster-weighted counts of native secondary structure (DSSP), train split",
        "source": source.name,
        "source_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "domains": len(strings),
        **count(strings),
    }
    target.write_text(json.dumps(payload, indent=0, separators=(",", ":")) + "\n")
    print(f"{len(strings)} domains, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
