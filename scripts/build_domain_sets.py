"""Sets of two and three domains of a split, to align an assembler with and to judge it.

    python scripts/build_domain_sets.py -o OUT --split train --pairs 60 --triples 40
    python scripts/build_domain_sets.py -o OUT --list benchmarks/alignment-test-sets.jsonl
    python scripts/build_domain_sets.py --names LIST --split test --pairs 120 --triples 80 --reuse

Single, break-free domains of the structure release, fixed order, exact linkers. The first command
draws sets whose domains are all of different clusters and writes OUT/list.jsonl (names),
OUT/domains/ (PDB files) and OUT/SETS.jsonl (what scripts/align_rounds.py and
scripts/eval_alignment.py read); the second writes the sets of a list; the third only a list.
Learn from `train`, choose with `valid`, report on `test`; benchmarks/alignment-test-sets.jsonl
is what the third command, as it stands, gave.
"""

import argparse
import os
import sys
from pathlib import Path

from proteinweaver.data.store import SPLITS, StructureStore
from proteinweaver.errors import UserError
from proteinweaver.preference.domain_sets import (
    Draw,
    draw_sets,
    most_used,
    read_list,
    write_list,
    write_sets,
)

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data release")
    parser.add_argument("-o", "--out", type=Path, help="folder of the files")
    parser.add_argument("--list", type=Path, help="sets to write; default: draw some")
    parser.add_argument("--names", type=Path, help="write the names of what was drawn")
    parser.add_argument("--split", choices=tuple(SPLITS), default="train")
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--triples", type=int, default=40)
    parser.add_argument("--lengths", type=int, nargs=2, default=(50, 130))
    parser.add_argument("--linkers", type=int, nargs=2, default=(8, 20))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reuse", action="store_true", help="use clusters in several sets")
    options = parser.parse_args(words)
    if not (options.out or options.names):
        parser.error("nowhere to write: give -o or --names")
    store = StructureStore(options.data / "domains.npz")
    if options.list:
        sets = read_list(options.list)
    else:
        draw = Draw(
            options.split, options.pairs, options.triples, tuple(options.lengths),
            tuple(options.linkers), options.seed, options.reuse,
        )  # fmt: skip
        sets = draw_sets(store, draw)
        for path in (options.names, options.out and options.out / "list.jsonl"):
            if path:
                write_list(path, sets)
    domains, most = most_used(sets)
    print(f"{len(sets)} sets of {domains} domains, each used at most {most} times")
    if options.out:
        print(write_sets(options.out, store, sets))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"build_domain_sets: {error}")
