"""Conditions of a design: where the known pieces go in the new chain."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from proteinweaver.domains.hairpins import ideal_hairpin
from proteinweaver.errors import UserError
from proteinweaver.nets.condition import (
    ADAPT,
    RIGID,
    SS_TOKENS,
    Condition,
    stack_conditions,
    unconditional,
)
from proteinweaver.structure.frames import frames_from_coord
from proteinweaver.structure.ideal import ideal_element

__all__ = ["Piece", "condition_for", "pieces_of_blueprint", "stack_conditions"]

#: Residues of each strand that a hairpin covers at most: the first of these for which the library
#: has one.
HAIRPIN_ARMS = (7, 6, 5)
#: Shorter elements are left to the network.
SHORTEST_ELEMENT = 3

PieceMode = Literal["rigid", "adapt", "free"]


@dataclass(frozen=True)
class Piece:
    """A part of the new chain whose inside is known.

    Parameters
    ----------
    start : int
        First residue, from 0.
    coord : ndarray, dtype=float32, shape=(n, 4, 3)
        N, CA, C, O in angstrom, anywhere in space.
    mode : {"rigid", "adapt", "free"}
        Kept exactly; kept as far as the network's gate pulls; or not shown at all.
    group : int, optional
        Pieces of one group keep their relative pose too.
    """

    start: int
    coord: NDArray[np.float32]
    mode: PieceMode = "adapt"
    group: int | None = None


def condition_for(length: int, pieces: Sequence[Piece], ss: str | None = None) -> Condition:
    """Condition of one chain.

    Parameters
    ----------
    length : int
        Residues.
    pieces : sequence of Piece
        Must not overlap.
    ss : str, optional
        Secondary structure asked for, one of ``?HEL`` per residue.

    Returns
    -------
    Condition
        Shapes (1, length, ...).

    Raises
    ------
    UserError
        If a piece leaves the chain or overlaps another, or ``ss`` is malformed.
    """
    condition = unconditional(length)
    piece, mode = condition.piece, condition.mode
    known_rot, known_trans = condition.known_rot, condition.known_trans
    numbers: dict[int, int] = {}
    count = 0
    for part in pieces:
        stop = part.start + len(part.coord)
        if part.start < 0 or stop > length:
            raise UserError(
                f"piece {part.start + 1}-{stop} leaves the chain of {length} residues; "
                "correct its start"
            )
        rows = slice(part.start, stop)
        if bool((piece[0, rows] >= 0).any()):
            raise UserError(
                f"piece {part.start + 1}-{stop} overlaps another piece; move one of them"
            )
        if part.mode == "free":
            continue
        if part.group is None or part.group not in numbers:
            number, count = count, count + 1
            if part.group is not None:
                numbers[part.group] = number
        else:
            number = numbers[part.group]
        rot, trans = frames_from_coord(torch.as_tensor(np.asarray(part.coord, dtype=np.float32)))
        piece[0, rows] = number
        mode[0, rows] = RIGID if part.mode == "rigid" else ADAPT
        known_rot[0, rows] = rot
        known_trans[0, rows] = trans
    if ss is None:
        return condition
    if len(ss) != length or set(ss) - set(SS_TOKENS):
        raise UserError(
            f"secondary structure must be {length} letters of {''.join(SS_TOKENS)}, not {ss!r}"
        )
    return replace(condition, ss=torch.tensor([[SS_TOKENS.index(letter) for letter in ss]]))


def pieces_of_blueprint(blueprint: str, rng: np.random.Generator | None = None) -> list[Piece]:
    """Ideal insides of a blueprint's elements, as pieces to adapt.

    Parameters
    ----------
    blueprint : str
        One of H, E, L per residue.
    rng : numpy.random.Generator, optional
        Draws a beta hairpin from the library (`proteinweaver.domains.hairpins`) for every strand,
        short loop and strand in a row; without it strands stay single.

    Returns
    -------
    list of Piece
        Helices, strands and hairpins; loops stay unknown.
    """
    runs = [(letter, len(list(group))) for letter, group in groupby(blueprint)]
    starts = np.concatenate(([0], np.cumsum([n for _, n in runs]))).tolist()
    pieces: list[Piece] = []
    k = 0
    while k < len(runs):
        letter, size = runs[k]
        start = starts[k]
        if rng is not None and [r[0] for r in runs[k : k + 3]] == ["E", "L", "E"]:
            loop, second = runs[k + 1][1], runs[k + 2][1]
            hairpin = None
            for arm in HAIRPIN_ARMS:
                first = min(size, arm)
                hairpin = hairpin or _hairpin(
                    start + size - first, first, loop, min(second, arm), rng
                )
            if hairpin is not None:
                pieces.append(hairpin)
                k += 3
                continue
        if letter in "HE" and size >= SHORTEST_ELEMENT:
            pieces.append(Piece(start, ideal_element(letter, size).numpy().astype(np.float32)))
        k += 1
    return pieces


def _hairpin(
    start: int, first: int, loop: int, second: int, rng: np.random.Generator
) -> Piece | None:
    coord = ideal_hairpin(first, loop, second, rng)
    return None if coord is None else Piece(start, coord)
