"""Average two sets of weights of one network, or add what one of them has learned to the other.

    python scripts/blend_weights.py A.safetensors B.safetensors OUT.safetensors --share 0.3
    python scripts/blend_weights.py A.safetensors B.safetensors OUT.safetensors --since C

Weights that descend from the same ancestor often have a better mean than either (model soups,
Wortsman et al. 2022, arXiv 2203.05482): the assembler gains what the domain generator has learned
since they parted (docs/training.md, question 35). With ``--since`` the outcome is A + share (B -
C), share 1 by default: two fine-tunes of C that learned different things (Ilharco et al. 2022,
arXiv 2212.04089).
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
    p.add_argument("--share", type=float, help="of the second; default: a half, with --since 1")
    p.add_argument("--since", help="what both were fine-tuned from")
    a = p.parse_args()
    share = a.share if a.share is not None else 1.0 if a.since else 0.5
    try:
        files = [read_weights(f) for f in (a.first, a.second, a.since) if f]
        first = files[0]
        states = [{k: v.float() for k, v in one.state.items()} for one in files]
        shares = [1.0, share, -share] if a.since else [1.0 - share, share]
        blended = soup(states, shares)
        origin = {
            "stage": first.meta.get("stage", ""),
            "blend": [[one.sha256, x] for one, x in zip(files, shares, strict=True)],
            "parts": {one.sha256: one.meta for one in files},
        }
        sha256 = save_weights(a.out.parent, a.out.stem, blended, first.config, origin)
    except (UserError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{a.out}  sha256 {sha256}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
