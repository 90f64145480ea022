"""Helix, strand, coil from CA positions (P-SEA), and what they amount to.

P-SEA reads distances and angles of the CA trace alone; it calls more coil on natives than DSSP
does (0.32/0.14/0.54 against 0.38/0.22/0.40 for helix, strand and coil of the same chains).

References
----------
Labesse et al. 1997, CABIOS 13, 291.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.evaluation.torsions import ca_torsions

__all__ = ["blueprint_letters", "helix_handedness", "secondary_structure"]

_LETTERS = {"a": "H", "b": "E", "c": "L"}


def secondary_structure(ca: ArrayLike, break_after: ArrayLike | None = None) -> NDArray[np.str_]:
    """P-SEA secondary structure.

    Parameters
    ----------
    ca : array_like, shape=(L, 3)
        CA positions in angstrom.
    break_after : array_like, dtype=bool, shape=(L,), optional
        True where the next residue is not bonded. Default: nowhere.

    Returns
    -------
    ndarray, dtype='<U1', shape=(L,)
        ``'a'`` helix, ``'b'`` strand, ``'c'`` coil.
    """
    from proteinweaver.structure.biotite_adapter import annotate_sse

    return annotate_sse(np.asarray(ca, dtype=np.float32), break_after)


def blueprint_letters(ca: ArrayLike) -> str:
    """P-SEA secondary structure in the letters that a blueprint asks for it.

    Parameters
    ----------
    ca : array_like, shape=(L, 3)
        CA positions in angstrom.

    Returns
    -------
    str
        L letters: H helix, E strand, L loop.
    """
    return "".join(_LETTERS[letter] for letter in secondary_structure(ca))


def helix_handedness(ca: ArrayLike, sse: ArrayLike) -> float:
    """Share of right-handed turns among the turns inside helices.

    Parameters
    ----------
    ca : array_like, shape=(L, 3)
        CA positions in angstrom.
    sse : array_like, dtype=str, shape=(L,)
        ``'a'`` marks helix.

    Returns
    -------
    float
        Share of four consecutive helical CA with a positive torsion; NaN without any. Natives:
        0.995.
    """
    helix = np.asarray(sse) == "a"
    if len(helix) < 4:
        return float("nan")
    turns = ca_torsions(ca)[helix[:-3] & helix[1:-2] & helix[2:-1] & helix[3:]]
    return float((turns > 0).mean()) if len(turns) else float("nan")
