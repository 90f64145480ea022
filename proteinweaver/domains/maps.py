"""The spliced map: what the paper's assembler sees.

M is the L x L matrix of CA distances inside every domain and -1 elsewhere: between domains, and
wherever a linker is involved. Domains of one *group* were given in one coordinate system and keep
their relative pose, so their mutual distances are known too. A map alone does not tell a domain
from its mirror image.

References
----------
Ma et al. 2024, ProteinWeaver, arXiv 2411.16686 (the map); groups as BoltzGen's
``structure_groups``.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.errors import UserError

__all__ = ["UNKNOWN", "pieces_of_map", "spliced_map"]

#: Entry of a pair whose distance is not known.
UNKNOWN = -1.0


def spliced_map(
    length: int, pieces: Iterable[tuple[int, ArrayLike] | tuple[int, ArrayLike, int | None]]
) -> NDArray[np.float32]:
    """Build the spliced map of a chain.

    Parameters
    ----------
    length : int
        Residues of the chain.
    pieces : iterable of (start, coord) or (start, coord, group)
        First residue from 0; N, CA, C, O of shape (n, 4, 3) or CA of shape (n, 3), in angstrom;
        group number of pieces given in one coordinate system, or None.

    Returns
    -------
    ndarray, dtype=float32, shape=(length, length)
        CA distances in angstrom, symmetric; `UNKNOWN` where they are not known.

    Raises
    ------
    UserError
        If a piece leaves the chain or overlaps another.
    """
    label = np.full(length, -1)
    ca = np.zeros((length, 3))
    names: dict[object, int] = {}
    for number, (start, coord, *group) in enumerate(pieces):
        xyz = np.asarray(coord, dtype=np.float64)
        xyz = xyz[:, 1] if xyz.ndim == 3 else xyz
        stop = start + len(xyz)
        if start < 0 or stop > length:
            raise UserError(
                f"piece {start + 1}-{stop} leaves the chain of {length} residues;"
                " correct its start"
            )
        if (label[start:stop] >= 0).any():
            raise UserError(f"piece {start + 1}-{stop} overlaps another piece; move one of them")
        name = ("alone", number) if not group or group[0] is None else ("group", group[0])
        label[start:stop] = names.setdefault(name, len(names))
        ca[start:stop] = xyz
    known = (label[:, None] == label[None, :]) & (label[:, None] >= 0)
    distance = np.linalg.norm(ca[:, None] - ca[None, :], axis=-1)
    return np.where(known, distance, UNKNOWN).astype(np.float32)


def pieces_of_map(spliced: ArrayLike) -> NDArray[np.int64]:
    """Piece numbers of a spliced map: the connected components of its known pairs.

    Parameters
    ----------
    spliced : array_like, shape=(L, L)
        As from `spliced_map`.

    Returns
    -------
    ndarray, dtype=int64, shape=(L,)
        0, 1, ... in the order of the chain; -1 where nothing is known.
    """
    known = np.asarray(spliced) >= 0
    label = np.full(len(known), -1, dtype=np.int64)
    count = 0
    for seed in range(len(known)):
        if label[seed] >= 0 or not known[seed, seed]:
            continue
        front = [seed]
        label[seed] = count
        while front:
            found = np.flatnonzero(known[front.pop()] & (label < 0))
            label[found] = count
            front.extend(found.tolist())
        count += 1
    return label
