"""Build the table of `proteinweaver.structure.rama` from the Top8000 general grid.

The published grid (2 degree bins) holds densities normalised to a maximum of 1. Inside the allowed
region (0.02 and more) the table holds its logarithm; outside, ln 0.02 less 0.07 for every degree
to the nearest allowed bin, so that there is a slope everywhere and no forbidden hill to get stuck
on. All is smoothed by a wrapped Gaussian of 4 degrees and sampled every 5 degrees, as 100 ln p in
integers.

Usage: python scripts/build_rama_table.py rama8000_general.data
proteinweaver/structure/rama_general.json
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, label

ALLOWED = 0.02
SLOPE_PER_DEG = 0.07
SMOOTH_DEG, STEP_DEG = 4.0, 5


def read_grid(path: Path) -> np.ndarray:
    """Read the 180 x 180 grid, phi along rows, bin centres -179, -177, ... degrees."""
    grid = np.zeros((180, 180))
    for line in path.read_text().splitlines():
        if not line.startswith("#") and line.strip():
            phi, psi, value = (float(word) for word in line.split())
            grid[int((phi + 179) // 2), int((psi + 179) // 2)] = value
    return grid


def smooth_log(grid: np.ndarray) -> np.ndarray:
    """Smooth log density at -180, -175, ... degrees, shape (72, 72)."""
    far = 2 * distance_transform_edt(np.tile(grid < ALLOWED, (3, 3)))[180:360, 180:360]
    island, count = label(grid >= ALLOWED)
    for number in range(1, count + 1):
        if np.sum(island == number) < 50:  # the type II' turn, which smoothing would drown
            grid = np.where(island == number, np.maximum(grid, 0.05), grid)
    inside = np.log(np.maximum(grid, ALLOWED))
    log_p = np.where(grid >= ALLOWED, inside, np.log(ALLOWED) - SLOPE_PER_DEG * far)
    log_p = gaussian_filter(log_p, SMOOTH_DEG / 2, mode="wrap")
    # centres of the 2-degree bins -> every degree by cyclic linear interpolation, then every fifth
    # degree
    nodes = np.arange(-180, 180, STEP_DEG)
    position = (nodes + 179) / 2
    low = np.floor(position).astype(int)
    share = position - low
    rows = (1 - share)[:, None] * log_p[low % 180] + share[:, None] * log_p[(low + 1) % 180]
    return (1 - share) * rows[:, low % 180] + share * rows[:, (low + 1) % 180]


def main() -> None:
    """Write the table."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    table = np.rint(100 * smooth_log(read_grid(source))).astype(int)
    payload = {
        "what": "100 ln p, smoothed Top8000 general Ramachandran density; row phi, column psi",
        "first_deg": -180,
        "step_deg": STEP_DEG,
        "source": source.name,
        "source_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "table": [" ".join(str(v) for v in row) for row in table],
    }
    target.write_text(json.dumps(payload, indent=0) + "\n")


if __name__ == "__main__":
    main()
