"""Assembly tasks from one native structure: what is known from inside, which poses are hidden.

Nothing in the network knows what a domain is; it weaves *pieces*. The same structure therefore
serves many tasks:

- ``none``: nothing known;
- ``elements``: ideal helices and strands where the native has them (the *blueprint* task); half of
  the native beta hairpins are one piece, loop included, as inference takes hairpins from a small
  library;
- ``frayed``: the same, less sure: ends of elements cut off, some elements not told at all, so that
  a blueprint does not give away one native;
- ``segments``: the chain cut at loops into two to four native segments;
- ``gaps``: one or two stretches as long as linkers hidden, what is left told as segments or, half
  of the time, as one body;
- ``domains``: the domains of a multi-domain chain, its linkers hidden.

References
----------
The spliced map of ProteinWeaver (Ma et al. 2024, arXiv 2411.16686), cut at every scale.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from proteinweaver.data.store import StructureItem
from proteinweaver.structure.dssp import element_letters
from proteinweaver.structure.ideal import ideal_element

__all__ = [
    "MIN_ELEMENT",
    "Insides",
    "Task",
    "domains_task",
    "element_runs",
    "elements_task",
    "find_hairpins",
    "frayed_task",
    "gaps_task",
    "no_map_task",
    "segments_task",
]

#: Shortest run of labels that counts as an element (residues).
MIN_ELEMENT = {"H": 5, "E": 3}
_FRAY = 2  # residues that an end of an element may lose
_UNTOLD = 0.1  # share of elements that are not told
_GAP = (6, 24)  # residues of a hidden stretch, fewest and most
_GAP_ENDS = 10  # residues that are known on both sides of one
_TOKEN = {"?": 0, "H": 1, "E": 2, "L": 3}


@dataclass(frozen=True)
class Insides:
    """How native pieces are told (`segments_task`, `domains_task`).

    Parameters
    ----------
    deformed : float
        Share of tasks whose pieces are deformed smoothly, by up to 0.8 A, as generated domains
        are.
    ragged : bool
        Hide a random number of residues on either side of a cut; False: always half of the most.
    """

    deformed: float = 0.5
    ragged: bool = True


_USUAL = Insides()


@dataclass(frozen=True)
class Task:
    """What is known of a structure.

    Parameters
    ----------
    piece : ndarray, dtype=int64, shape=(L,)
        Piece number from 0, -1 where nothing is known.
    known : ndarray, dtype=float32, shape=(L, 4, 3)
        N, CA, C, O in the piece's own coordinate system (angstrom); zero where ``piece`` is -1.
    ss : ndarray, dtype=int64, shape=(L,)
        Index into `proteinweaver.nets.condition.SS_TOKENS`.
    """

    piece: NDArray[np.int64]
    known: NDArray[np.float32]
    ss: NDArray[np.int64]


@lru_cache(maxsize=512)
def _ideal(kind: str, length: int) -> NDArray[np.float32]:
    return ideal_element(kind, length).numpy().astype(np.float32)


def element_runs(item: StructureItem) -> list[tuple[str, int, int]]:
    """Find helices and strands (DSSP) long enough to be elements, as (letter, start, stop).

    By hydrogen bonds, not by the CA trace (P-SEA, ``item.sse``): half of the long-range bonds of
    natives lie at residues that P-SEA calls coil, and what is told as a loop does not pair
    (docs/training.md, question 36).
    """
    letters = element_letters(item.coord, item.break_after)
    runs = []
    start = 0
    for i in range(1, len(letters) + 1):
        if i == len(letters) or letters[i] != letters[start] or item.break_after[i - 1]:
            letter = letters[start]
            if letter != "L" and i - start >= MIN_ELEMENT[letter]:
                runs.append((letter, start, i))
            start = i
    return runs


def _ss_tokens(length: int, runs: list[tuple[str, int, int]]) -> NDArray[np.int64]:
    tokens = np.full(length, _TOKEN["L"], dtype=np.int64)
    for letter, start, stop in runs:
        tokens[start:stop] = _TOKEN[letter]
    return tokens


def no_map_task(item: StructureItem, rng: np.random.Generator, insides: Insides = _USUAL) -> Task:
    """Nothing known."""
    n = len(item)
    return Task(np.full(n, -1, np.int64), np.zeros((n, 4, 3), np.float32), np.zeros(n, np.int64))


def find_hairpins(
    item: StructureItem, runs: list[tuple[str, int, int]], longest_loop: int = 6
) -> list[tuple[int, int]]:
    """Find beta hairpins: strand, short loop, strand, three or more CA pairs within 5.8 A.

    Parameters
    ----------
    item : StructureItem
    runs : list of (letter, start, stop)
        Elements of the chain.
    longest_loop : int
        Residues.

    Returns
    -------
    list of (int, int)
        First residue and one past the last; hairpins do not overlap.
    """
    found: list[tuple[int, int]] = []
    for (a, start, stop), (b, next_start, next_stop) in pairwise(runs):
        if (
            a != "E"
            or b != "E"
            or next_start - stop > longest_loop
            or (found and found[-1][1] > start)
        ):
            continue
        if item.break_after[stop - 1 : next_start].any():
            continue
        first, second = item.coord[start:stop, 1], item.coord[next_start:next_stop, 1]
        distance = np.linalg.norm(first[:, None] - second[None], axis=-1)
        if (distance < 5.8).sum() >= 3:
            found.append((start, next_stop))
    return found


def elements_task(
    item: StructureItem, rng: np.random.Generator, insides: Insides = _USUAL
) -> Task:
    """Ideal elements where the native has them; loops unknown, secondary structure told."""
    runs = element_runs(item)
    return _told_elements(item, runs, _ss_tokens(len(item), runs), rng)


def frayed_task(item: StructureItem, rng: np.random.Generator, insides: Insides = _USUAL) -> Task:
    """Like `elements_task`, but elements lose ends and some are not told.

    Natives are few and a blueprint nearly names one, so that a network may learn folds by heart in
    long runs (docs/training.md, question 20: so far what is drawn shows none of it). What an
    element has lost is told as nothing, neither as loop nor as element.
    """
    found = element_runs(item)
    tokens = _ss_tokens(len(item), found)
    runs = []
    for letter, start, stop in found:
        left, right = rng.integers(0, _FRAY + 1, size=2).tolist()
        inner = (letter, start + left, stop - right)
        kept = rng.random() >= _UNTOLD and inner[2] - inner[1] >= MIN_ELEMENT[letter]
        tokens[start:stop] = _TOKEN["?"]
        if kept:
            tokens[inner[1] : inner[2]] = _TOKEN[letter]
            runs.append(inner)
    return _told_elements(item, runs, tokens, rng)


def _told_elements(
    item: StructureItem,
    runs: list[tuple[str, int, int]],
    tokens: NDArray[np.int64],
    rng: np.random.Generator,
) -> Task:
    """Ideal insides of the elements; half of the hairpins are one native, deformed piece."""
    n = len(item)
    piece = np.full(n, -1, np.int64)
    known = np.zeros((n, 4, 3), np.float32)
    for number, (letter, start, stop) in enumerate(runs):
        piece[start:stop] = number
        known[start:stop] = _ideal(letter, stop - start)
    for start, stop in find_hairpins(item, runs):
        if rng.random() < 0.5:
            piece[start:stop] = piece[start]
            deformed = (
                item.coord[start:stop]
                + _smooth_noise(stop - start, 0.5 * rng.random(), rng)[:, None, :]
            )
            known[start:stop] = deformed
    return Task(piece, known, tokens)


def _native_pieces(
    item: StructureItem,
    piece: NDArray[np.int64],
    rng: np.random.Generator,
    deformed: float,
    tell_ss: float = 0.5,
) -> Task:
    """Give every piece its native inside, sometimes deformed as generated domains are."""
    known = np.where(piece[:, None, None] >= 0, item.coord, np.float32(0)).astype(np.float32)
    if rng.random() < deformed:
        known = known + _smooth_noise(len(item), float(rng.uniform(0.0, 0.8)), rng)[:, None, :]
        known[piece < 0] = 0
    tokens = np.zeros(len(item), np.int64)
    if rng.random() < tell_ss:
        tokens = _ss_tokens(len(item), element_runs(item))
    return Task(piece, known, tokens)


def _smooth_noise(length: int, rms: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Displacements in angstrom, smooth over about eight residues, of the given RMS."""
    white = rng.standard_normal((length + 32, 3))
    kernel = np.exp(-0.5 * (np.arange(-16, 17) / 6.0) ** 2)
    kernel /= np.sqrt((kernel**2).sum())
    smooth = np.stack([np.convolve(white[:, k], kernel, mode="valid") for k in range(3)], axis=-1)
    return (rms / np.sqrt(3) * smooth[:length]).astype(np.float32)


def _hide_around(
    piece: NDArray[np.int64], boundary: int, rng: np.random.Generator, most: int, ragged: bool
) -> None:
    left, right = rng.integers(0, most + 1, size=2)  # drawn always: one stream for either way
    if not ragged:
        left, right = most // 2, -(-most // 2)
    piece[max(0, boundary - left) : boundary + right] = -1


def segments_task(
    item: StructureItem, rng: np.random.Generator, insides: Insides = _USUAL
) -> Task:
    """Two to four native segments cut at loops, a few residues hidden at every cut."""
    n = len(item)
    loops = [i for i in range(12, n - 12) if item.sse[i] == 2]
    count = min(int(rng.integers(1, 4)), max(1, n // 25))
    cuts: list[int] = []
    for candidate in rng.permutation(loops) if loops else []:
        if all(abs(int(candidate) - cut) >= 15 for cut in cuts):
            cuts.append(int(candidate))
        if len(cuts) == count:
            break
    piece = np.zeros(n, np.int64)
    for cut in sorted(cuts):
        piece[cut:] += 1
    for i in np.flatnonzero(item.break_after):
        piece[i + 1 :] += 1
    for cut in cuts:
        _hide_around(piece, cut, rng, 4, insides.ragged)
    return _native_pieces(item, piece, rng, insides.deformed)


def gaps_task(item: StructureItem, rng: np.random.Generator, insides: Insides = _USUAL) -> Task:
    """One or two stretches about loops hidden, each as long as a linker that designs ask for.

    The rest keeps its pose half of the time, as domains do whose linkers are drawn first
    (`proteinweaver.generation.pose_assembly`); else every segment is a piece of its own.
    """
    n = len(item)
    piece = np.zeros(n, np.int64)
    count = int(rng.integers(1, 3))
    broken = np.flatnonzero(item.break_after[:-1])
    loops = [i for i in range(_GAP_ENDS, n - _GAP_ENDS) if item.sse[i] == 2]
    gaps: list[tuple[int, int]] = []
    for middle in rng.permutation(loops) if loops else []:
        size = min(int(rng.integers(_GAP[0], _GAP[1] + 1)), n // 4)
        start = int(middle) - size // 2
        stop = start + size
        apart = all(stop + _GAP_ENDS <= a or b + _GAP_ENDS <= start for a, b in gaps)
        inner = _GAP_ENDS <= start and stop <= n - _GAP_ENDS
        if inner and apart and not ((broken >= start - 1) & (broken < stop)).any():
            gaps.append((start, stop))
        if len(gaps) == count:
            break
    if not gaps:  # nothing would be hidden
        return segments_task(item, rng, insides)
    if rng.random() < 0.5:
        for first in sorted([*(a for a, _ in gaps), *(int(i) + 1 for i in broken)]):
            piece[first:] += 1
    for start, stop in gaps:
        piece[start:stop] = -1
    return _native_pieces(item, piece, rng, insides.deformed)


def domains_task(item: StructureItem, rng: np.random.Generator, insides: Insides = _USUAL) -> Task:
    """Known domains, annotated or automatic; linkers and residues at boundaries hidden."""
    piece = item.domain.astype(np.int64) - 1
    changes = np.flatnonzero(np.diff(item.domain.astype(np.int64)) != 0) + 1
    for boundary in changes:
        _hide_around(piece, int(boundary), rng, 5, insides.ragged)
    return _native_pieces(item, piece, rng, insides.deformed)
