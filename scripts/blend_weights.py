"""Average two sets of weights of one network, as a start for training.

    python scripts/blend_weights.py A.safetensors B.safetensors --share 0.3 OUT.safetensors

Weights that descend from the same ancestor often have a better mean than either (model soups,
Wortsman et al. 2022, arXiv 2203.05482): the assembler gains what the domain generator has learned
since they parted (docs/training.md, question 35).
"""

import argparse
import sys
from pathlib import Path

from proteinweaver.errors import UserError
from proteinweaver.io.weights import read_weights, save_weights
from proteinweaver.preference.mixing import soup


def main() -> int:
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("first", help="its configuration is kept")
    p.add_argument("second")
    p.add_argument("out", type=Path)
    p.add_argument("--share", type=float, default=0.5, help="of the second")
    a = p.parse_args()
    try:
        first, second = read_weights(a.first), read_weights(a.second)
        states = [{k: v.float() for k, v in one.state.items()} for one in (first, second)]
        blended = soup(states, [1 - a.share, a.share])
        origin = {"blend": {first.sha256: 1 - a.share, second.sha256: a.share}}
        sha256 = save_weights(a.out.parent, a.out.stem, blended, first.config, origin)
    except (UserError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{a.out}  sha256 {sha256}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
