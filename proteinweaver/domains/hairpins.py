"""Beta hairpins as ready-made pieces, taken from a small library.

Strand pairing is exact to fractions of an angstrom, so it is the last thing that a generator
learns; a hairpin is the one kind of pairing that a blueprint already names (strand, short loop,
strand). The library holds, for every loop length, the native hairpins of the train split with most
hydrogen bonds between their strands (`scripts/build_hairpins.py`).
"""

from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

__all__ = ["hairpin_loops", "ideal_hairpin"]

_FILE = "hairpins.npz"


@lru_cache(maxsize=1)
def _library() -> list[tuple[int, int, int, NDArray[np.float32]]]:
    """Hairpins as (first arm, loop, second arm, coordinates)."""
    with (files("proteinweaver.domains") / _FILE).open("rb") as handle, np.load(handle) as archive:
        coord = archive["coord"].astype(np.float32) * np.float32(0.01)
        arms = archive["arms"]
    sizes = arms.sum(-1)
    parts = np.split(coord, np.cumsum(sizes)[:-1])
    return [(int(a), int(b), int(c), part) for (a, b, c), part in zip(arms, parts, strict=True)]


def hairpin_loops() -> tuple[int, ...]:
    """Loop lengths for which there are hairpins."""
    return tuple(sorted({loop for _, loop, _, _ in _library()}))


def ideal_hairpin(
    first: int, loop: int, second: int, rng: np.random.Generator
) -> NDArray[np.float32] | None:
    """Draw a hairpin of the given lengths among those of the library with long enough arms.

    Parameters
    ----------
    first, loop, second : int
        Residues of the first strand, the loop and the second strand.
    rng : numpy.random.Generator
        Draws among the candidates.

    Returns
    -------
    ndarray, dtype=float32, shape=(first + loop + second, 4, 3), or None
        N, CA, C, O in angstrom; None where the library has no such hairpin.
    """
    fitting = [h for h in _library() if h[0] >= first and h[1] == loop and h[2] >= second]
    if not fitting:
        return None
    arm, _, _, coord = fitting[int(rng.integers(len(fitting)))]
    start = arm - first
    return coord[start : start + first + loop + second].copy()
