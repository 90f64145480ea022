"""TM-score of structures without a known correspondence, by structural alignment.

The method is TM-align's: start from several superpositions, score every pair of residues by
``1 / (1 + (d_ij / d0)^2)``, find the sequential alignment of highest score by dynamic programming,
superpose on it, and repeat. All pairs of a batch and all their starts advance together, so a set
of some hundred pairs takes seconds.

Starts are (a) gapless shifts of one chain along the other, (b) superpositions of 20-residue
fragments under which most residues find a partner nearby, and (c) those under which most residues
meet the partner that the gapless shift of the fragments gives them (long helices).

References
----------
Zhang & Skolnick 2005, Nucleic Acids Res. 33, 2302.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.evaluation.dynamic import align_sequentially
from proteinweaver.evaluation.superposition import move, superpose
from proteinweaver.evaluation.tm import search_superposition, tm_d0

__all__ = ["tm_align", "tm_align_pairs"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_FRAGMENT = 20
_STRIDE = 7
_STARTS = {"shift": 1, "fragment": 3, "diagonal": 5}
_KEPT = (5, 2)  # starts of a pair that go on after each of the first rounds
_ROUNDS = 6
_CHUNK_CELLS = 4_000_000  # most cells of one array of pairwise scores


def tm_align(x: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """TM-score of two structures under their best sequential alignment.

    Parameters
    ----------
    x, y : array_like, shape=(n, 3) and (m, 3)
        CA positions in angstrom.

    Returns
    -------
    by_x, by_y : float
        The score normalised by the length of ``x`` and of ``y``.

    Raises
    ------
    ValueError
        If a structure has fewer than 5 residues.
    """
    scores = tm_align_pairs([(np.asarray(x), np.asarray(y))])
    return float(scores[0, 0]), float(scores[0, 1])


def tm_align_pairs(pairs: Sequence[tuple[ArrayLike, ArrayLike]]) -> FloatArray:
    """TM-scores of many pairs.

    Parameters
    ----------
    pairs : sequence of (array_like, array_like), shapes (n_k, 3) and (m_k, 3)
        CA positions in angstrom.

    Returns
    -------
    ndarray, dtype=float64, shape=(K, 2)
        Normalised by the first and by the second structure of each pair.

    Raises
    ------
    ValueError
        If a structure has fewer than 5 residues.
    """
    arrays = [(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)) for a, b in pairs]
    for a, b in arrays:
        if min(len(a), len(b)) < 5:
            raise ValueError(f"a structure of {min(len(a), len(b))} residues cannot be aligned")
    out = np.zeros((len(arrays), 2))
    order = sorted(range(len(arrays)), key=lambda k: max(map(len, arrays[k])))
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order):
            widest = max(len(s) for k in order[start : stop + 1] for s in arrays[k])
            if (stop + 1 - start) * sum(_STARTS.values()) * widest**2 > _CHUNK_CELLS:
                break
            stop += 1
        chunk = order[start:stop]
        out[chunk] = _Chunk([arrays[k] for k in chunk]).solve()
        start = stop
    return out


class _Chunk:
    """Pairs padded to one size, aligned together."""

    def __init__(self, pairs: list[tuple[FloatArray, FloatArray]]) -> None:
        self.pairs = pairs
        self.length = np.array([[len(a), len(b)] for a, b in pairs])
        rows, columns = self.length.max(axis=0)
        self.x = np.zeros((len(pairs), rows, 3))
        self.y = np.zeros((len(pairs), columns, 3))
        for k, (a, b) in enumerate(pairs):
            self.x[k, : len(a)] = a
            self.y[k, : len(b)] = b
        self.short = self.length.min(axis=1)
        # TM-align widens d0 by 0.8 A while it searches
        self.d0 = tm_d0(self.short) + 0.8

    def solve(self) -> FloatArray:
        """Scores of the chunk, shape=(K, 2)."""
        starts = [self._starts(a, b, d0) for (a, b), d0 in zip(self.pairs, self.d0, strict=True)]
        owner = np.repeat(np.arange(len(starts)), [len(rot) for rot, _ in starts])
        rot = np.concatenate([r for r, _ in starts])
        trans = np.concatenate([t for _, t in starts])
        best = np.full(len(owner), -1.0)
        match = np.full((len(owner), self.x.shape[1]), -1, dtype=np.int64)
        for kept in _KEPT:
            rot, trans = self._advance(owner, rot, trans, 0.6, best, match)
            chosen = _top(owner, best, kept)
            owner, best, match = owner[chosen], best[chosen], match[chosen]
            rot, trans = rot[chosen], trans[chosen]
        for gap in (0.6, 0.0):
            self._converge(owner, rot, trans, gap, best, match)
        final = match[_top(owner, best, 1)]
        return self._final(final)

    def _converge(
        self,
        owner: IntArray,
        rot: FloatArray,
        trans: FloatArray,
        gap: float,
        best: FloatArray,
        match: IntArray,
    ) -> None:
        """Repeat rounds until nothing gets better; ``best`` and ``match`` are updated in place."""
        live = np.arange(len(owner))
        rot, trans = rot.copy(), trans.copy()
        for _ in range(_ROUNDS):
            best_live, match_live = best[live], match[live]
            new_rot, new_trans = self._advance(
                owner[live], rot[live], trans[live], gap, best_live, match_live, levels=3
            )
            gained = best_live > best[live] + 1e-4
            best[live], match[live] = best_live, match_live
            rot[live], trans[live] = new_rot, new_trans
            live = live[gained]
            if not len(live):
                break

    def _starts(self, a: FloatArray, b: FloatArray, d0: float) -> tuple[FloatArray, FloatArray]:
        """Superpositions to begin with: the best gapless shifts and fragment pairs."""
        rot, trans = _shift_superpositions(a, b)
        chosen = _best(_nearby(a, b, rot, trans, d0), _STARTS["shift"])
        rots, transs = [rot[chosen]], [trans[chosen]]
        rot, trans, shift, few = _fragment_superpositions(a, b)
        near = few[_best(_nearby(a, b, rot[few], trans[few], d0), _STARTS["fragment"])]
        along = _along(a, b, rot, trans, shift, d0)
        along[near] = -1.0
        chosen = np.concatenate((near, _best(along, _STARTS["diagonal"])))
        return np.concatenate([*rots, rot[chosen]]), np.concatenate([*transs, trans[chosen]])

    def _advance(
        self,
        owner: IntArray,
        rot: FloatArray,
        trans: FloatArray,
        gap: float,
        best: FloatArray,
        match: IntArray,
        levels: int = 1,
    ) -> tuple[FloatArray, FloatArray]:
        """Align under the motion, superpose on the alignment; record in place what is better."""
        d0 = self.d0[owner]
        square = _squares(self.x[owner], self.y[owner], rot, trans)
        score = 1.0 / (1.0 + square / (d0**2).astype(np.float32)[:, None, None])
        for k, pair in enumerate(owner):
            score[k, self.length[pair, 0] :] = -10.0
            score[k, :, self.length[pair, 1] :] = -10.0
        new = align_sequentially(score, gap)
        valid = new >= 0
        enough = valid.sum(axis=1) >= 3
        valid[~enough] = False
        valid[~enough, :3] = True  # a dummy match that scores what it scores
        new = np.where(valid, np.maximum(new, 0), -1)
        target = np.take_along_axis(self.y[owner], np.maximum(new, 0)[..., None], axis=1)
        total, rot, trans = search_superposition(
            self.x[owner], target, valid, d0, levels=levels, iterations=6
        )
        value = total / self.short[owner]
        better = value > best
        best[better] = value[better]
        match[better] = new[better]
        return rot, trans

    def _final(self, match: IntArray) -> FloatArray:
        """Scores of the final alignments with the true d0 of either length."""
        valid = match >= 0
        target = np.take_along_axis(self.y, np.maximum(match, 0)[..., None], axis=1)
        out = np.zeros((len(match), 2))
        for side in range(2):
            norm = self.length[:, side]
            total, _, _ = search_superposition(
                self.x, target, valid, tm_d0(norm), levels=5, iterations=15
            )
            out[:, side] = total / norm
        return out


def _top(owner: IntArray, value: FloatArray, number: int) -> IntArray:
    """Rows of the ``number`` highest values of every owner, in the order of the owners."""
    order = np.lexsort((-value, owner))
    first = np.searchsorted(owner[order], np.arange(int(owner.max()) + 1))
    place = np.arange(len(order)) - first[owner[order]]
    return order[place < number]


def _squares(
    x: FloatArray, y: FloatArray, rot: FloatArray, trans: FloatArray
) -> NDArray[np.float32]:
    """Squared distances of moved ``x`` to ``y``, shape=(B, n, m), float32."""
    a = move(x, rot, trans)
    centre = y.mean(axis=-2, keepdims=True)
    a, b = (a - centre).astype(np.float32), (y - centre).astype(np.float32)
    cross = a @ np.swapaxes(b, -1, -2)
    cross *= -2.0
    cross += (a**2).sum(-1)[..., :, None]
    cross += (b**2).sum(-1)[..., None, :]
    return np.maximum(cross, 0.0, out=cross)


def _partners(
    a: FloatArray, b: FloatArray, shift: IntArray
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Residues of ``b`` that those of ``a`` meet under gapless shifts, and which of them exist."""
    partner = np.arange(len(a))[None] + shift[:, None]
    inside = (partner >= 0) & (partner < len(b))
    return b[np.clip(partner, 0, len(b) - 1)], inside


def _shift_superpositions(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Motions that superpose all residues which overlap under a gapless shift of the chains."""
    least = max(5, min(len(a), len(b)) // 2)
    shift = np.arange(least - len(a), len(b) - least + 1)
    shift = shift[:: max(1, len(shift) // 40)]
    target, inside = _partners(a, b, shift)
    return superpose(a[None], target, inside)


def _fragment_superpositions(
    a: FloatArray, b: FloatArray
) -> tuple[FloatArray, FloatArray, IntArray, IntArray]:
    """Motions that superpose fragments of both chains, their shifts, a sparse choice."""
    size = min(_FRAGMENT, len(a), len(b))
    number = max(1, round((len(a) - size) / _STRIDE)) + 1
    starts = np.linspace(0, len(a) - size, number).round().astype(np.int64)
    # a shift by one residue turns a helix by 100 degrees, so the other chain is not skipped
    one, two = (part.ravel() for part in np.meshgrid(starts, np.arange(len(b) - size + 1)))
    window = np.arange(size)
    rot, trans = superpose(a[one[:, None] + window], b[two[:, None] + window])
    return rot, trans, two - one, np.flatnonzero(two % _STRIDE == 0)


def _nearby(
    a: FloatArray, b: FloatArray, rot: FloatArray, trans: FloatArray, d0: float
) -> FloatArray:
    """How many residues of ``a`` find a partner in ``b``, whatever their order."""
    square = _squares(a[None, ::3], b[None], rot, trans).min(axis=-1)
    return (1.0 / (1.0 + square / d0**2)).sum(-1)


def _along(
    a: FloatArray, b: FloatArray, rot: FloatArray, trans: FloatArray, shift: IntArray, d0: float
) -> FloatArray:
    """How many residues of ``a`` find the partner that a gapless shift gives them."""
    target, inside = _partners(a, b, shift)
    square = ((move(a[None], rot, trans) - target) ** 2).sum(-1)
    return np.where(inside, 1.0 / (1.0 + square / d0**2), 0.0).sum(-1)


def _best(value: FloatArray, number: int) -> IntArray:
    """Positions of the highest values."""
    return np.argsort(-value, kind="stable")[:number]
