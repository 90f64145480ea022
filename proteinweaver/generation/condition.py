"""Conditions of a design: where the known pieces go in the new chain."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from proteinweaver.errors import UserError
from proteinweaver.nets.condition import ADAPT, RIGID, SS_TOKENS, Condition, stack_conditions, unconditional
from proteinweaver.structure.frames import frames_from_coord
from proteinweaver.structure.ideal import ideal_element

__all__ = ["Piece", "condition_for", "pieces_of_blueprint", "stack_conditions"]

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
            raise UserError(f"piece {part.start + 1}-{stop} leaves the chain of {length} residues; correct its start")
        rows = slice(part.start, stop)
        if bool((piece[0, rows] >= 0).any()):
            raise UserError(f"piece {part.start + 1}-{stop} overlaps another piece; move one of them")
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
        raise UserError(f"secondary structure must be {length} letters of {''.join(SS_TOKENS)}, not {ss!r}")
    return replace(condition, ss=torch.tensor([[SS_TOKENS.index(letter) for letter in ss]]))


def pieces_of_blueprint(blueprint: str) -> list[Piece]:
    """Ideal helices and strands of a blueprint (a string over H, E, L) as pieces to adapt."""
    pieces = []
    start = 0
    for i in range(1, len(blueprint) + 1):
        if i == len(blueprint) or blueprint[i] != blueprint[start]:
            letter = blueprint[start]
            if letter in "HE" and i - start >= 3:
                pieces.append(Piece(start, ideal_element(letter, i - start).numpy().astype(np.float32)))
            start = i
    return pieces
