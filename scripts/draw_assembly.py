"""Draw assemblies: CA traces coloured by domain, linkers grey, from two sides.

    python scripts/draw_assembly.py runs/facing/designs/facing_s0_0000.pdb -o docs/facing.png

Needs matplotlib (``pip install proteinweaver[dev]``).
"""

import argparse
from pathlib import Path

import numpy as np

from proteinweaver.io.read import read_backbone

COLOURS = ("0.6", "#1b6ca8", "#d1495b", "#3a7d44", "#8d5b9f", "#c98b1f", "#2a9d8f")


def labels_of(path: Path, length: int) -> np.ndarray:
    """Domain of every residue, from the B-factor column of a written design."""
    label = np.zeros(length, dtype=int)
    row = 0
    for line in path.read_text().splitlines():
        if line.startswith("ATOM") and line[12:16].strip() == "CA":
            label[row] = round(float(line[60:66]))
            row += 1
    return label


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        2, len(options.files), figsize=(3.2 * len(options.files), 5.2), squeeze=False
    )
    for column, path in enumerate(options.files):
        ca = read_backbone(path, notes=[]).ca.astype(float)
        label = labels_of(path, len(ca))
        ca = ca - ca.mean(0)
        flat = ca @ np.linalg.svd(ca, full_matrices=False)[2].T  # longest axis across the page
        for axis, (x, y, depth) in zip(axes[:, column], ((0, 1, 2), (0, 2, 1)), strict=True):
            order = np.argsort(flat[:-1, depth])
            for k in order:
                colour = COLOURS[label[k] % len(COLOURS)] if label[k] == label[k + 1] else "0.6"
                axis.plot(
                    flat[k : k + 2, x], flat[k : k + 2, y], color=colour, lw=2.4,
                    solid_capstyle="round",
                )  # fmt: skip
            axis.set_aspect("equal")
            axis.axis("off")
        axes[0, column].set_title(path.stem, fontsize=8)
    figure.tight_layout()
    figure.savefig(options.out, dpi=110)


if __name__ == "__main__":
    main()
