"""Draw the page of an alignment: reward against divergence and diversity, round by round.

python scripts/draw_rounds.py OUT        # of scripts/align_rounds.py; writes OUT/tradeoff.html
"""

import argparse
import json
import sys
from pathlib import Path

from proteinweaver.errors import UserError
from proteinweaver.io.run_folder import write_atomic
from proteinweaver.study.tradeoff import read_rounds, tradeoff_page


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    folder = parser.parse_args(words).out
    rows = read_rounds(folder)
    leg = folder / "1" / "train.json"
    config = json.loads(leg.read_text(encoding="utf-8")) if leg.is_file() else {}
    page = folder / "tradeoff.html"
    write_atomic(page, tradeoff_page(rows, config, str(folder / "rounds.jsonl")))
    print(page)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"draw_rounds: {error}")
