"""Splitting a chain into domains by the density of contacts, from CA distances alone.

A domain has many contacts inside and few with the rest. For two parts A and B of a chain,

    s(A, B) = E(A, B) / (n_A n_B)^alpha / e,

with E the contacts between them, n their residues and e the contacts per residue of the chain; the
exponent makes the value of a cut through a globular domain independent of its size. The chain is
cut where s is least, at one place (N- and C-terminal part) or at two (an inserted part and what is
around it, so that domains need not be contiguous), and its parts again, until every cut is denser
than a threshold. Parts that are dense with one another are then joined again, which finds domains
of several segments. The principle is that of PDP and UniDoc; the constants are tuned on the train
and valid splits by ``scripts/eval_split.py``.

References
----------
Alexandrov & Shindyalov 2003, Bioinformatics 19, 429 (PDP: normalised contacts, double cuts).
Zhu et al. 2023, Bioinformatics 39, btad070 (UniDoc: bottom-up units, intra- against
inter-domain interaction).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.errors import UserError

__all__ = ["SplitSettings", "ranges_of", "split_chain"]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class SplitSettings:
    """Constants of the splitter.

    Parameters
    ----------
    cut : float
        Largest s of a single cut.
    double : float
        Largest s of a double cut, in units of `cut`.
    join : float
        Least s from which on two parts are joined again, in units of `cut`.
    alpha : float
        Exponent of the sizes.
    reach : float
        CA distance in angstrom at which a contact counts half.
    smallest : int
        Fewest residues of a domain.
    segment : int
        Fewest residues on either side of an inserted part.
    """

    cut: float = 0.105
    double: float = 0.8
    join: float = 1.0
    alpha: float = 0.5
    reach: float = 8.0
    smallest: int = 40
    segment: int = 15


def contact_weights(ca: FloatArray, reach: float) -> FloatArray:
    """Soft contacts between residues four or more apart along the chain.

    Parameters
    ----------
    ca : ndarray, shape=(L, 3)
        Angstrom.
    reach : float
        Distance at which a contact counts half.

    Returns
    -------
    ndarray, shape=(L, L)
        Between 0 and 1, symmetric.
    """
    distance = np.linalg.norm(ca[:, None] - ca[None], axis=-1)
    weight = 1.0 / (1.0 + np.exp(np.clip((distance - reach) / 0.7, -30.0, 30.0)))
    apart = np.abs(np.subtract.outer(np.arange(len(ca)), np.arange(len(ca))))
    return np.where(apart >= 4, weight, 0.0)


def split_chain(ca: ArrayLike, settings: SplitSettings | None = None) -> IntArray:
    """Find the domains of a chain.

    Parameters
    ----------
    ca : array_like, shape=(L, 3)
        CA positions in angstrom, finite.
    settings : SplitSettings, optional

    Returns
    -------
    ndarray, dtype=int64, shape=(L,)
        1..k in the order in which domains begin; every residue belongs to one.

    Raises
    ------
    UserError
        If a coordinate is not a number.
    """
    xyz = np.asarray(ca, dtype=np.float64)
    if not np.isfinite(xyz).all():
        raise UserError("a CA coordinate is not a number; splitting needs all of them")
    with_settings = settings or SplitSettings()
    contacts = contact_weights(xyz, with_settings.reach)
    density = max(contacts.sum() / max(len(xyz), 1), 1e-9)
    waiting, found = [np.arange(len(xyz))], []
    while waiting:
        part = waiting.pop()
        halves = _best_cut(contacts, part, density, with_settings)
        if halves is None:
            found.append(part)
        else:
            waiting.extend(halves)
    found = _joined(contacts, found, density, with_settings)
    found.sort(key=lambda part: int(part[0]))
    label = np.zeros(len(xyz), dtype=np.int64)
    for number, part in enumerate(found, start=1):
        label[part] = number
    return label


def _best_cut(
    contacts: FloatArray, part: IntArray, density: float, settings: SplitSettings
) -> list[IntArray] | None:
    """Two parts between which contacts are thinnest, or None if no cut is thin enough."""
    n, least = len(part), settings.smallest
    if n < 2 * least:
        return None
    own = contacts[np.ix_(part, part)]
    prefix = np.zeros((n + 1, n + 1))
    prefix[1:, 1:] = own.cumsum(0).cumsum(1)
    rows = prefix[:, n]  # contacts of the first i residues with the whole part
    i = np.arange(n + 1)
    corner = prefix.diagonal()
    inner = corner[None, :] - 2 * prefix + corner[:, None]  # inside residues i..j-1, at [i, j]
    size = (i[None, :] - i[:, None]).astype(np.float64)
    between = rows[None, :] - rows[:, None] - inner
    with np.errstate(divide="ignore", invalid="ignore"):
        value = between / (size * (n - size)) ** settings.alpha / density
    single = (i[:, None] == 0) & (i[None, :] >= least) & (i[None, :] <= n - least)
    inserted = (
        (i[:, None] >= settings.segment)
        & (i[None, :] <= n - settings.segment)
        & (size >= least)
        & (n - size >= least)
    )
    value = np.where(single, value, np.where(inserted, value / settings.double, np.inf))
    best = int(np.argmin(value))
    if not value.flat[best] < settings.cut:
        return None
    a, b = divmod(best, n + 1)
    return [part[a:b], np.concatenate((part[:a], part[b:]))]


def _joined(
    contacts: FloatArray, parts: list[IntArray], density: float, settings: SplitSettings
) -> list[IntArray]:
    """Join the two parts that are densest with one another, as long as they are dense enough."""
    parts = list(parts)
    while len(parts) > 1:
        best, pair = settings.join * settings.cut, None
        for k, one in enumerate(parts):
            for m in range(k + 1, len(parts)):
                two = parts[m]
                between = contacts[np.ix_(one, two)].sum()
                value = between / (len(one) * len(two)) ** settings.alpha / density
                if value > best:
                    best, pair = value, (k, m)
        if pair is None:
            break
        two = parts.pop(pair[1])
        parts[pair[0]] = np.sort(np.concatenate((parts[pair[0]], two)))
    return parts


def ranges_of(label: ArrayLike) -> dict[int, list[tuple[int, int]]]:
    """Segments of every domain.

    Parameters
    ----------
    label : array_like, dtype=int, shape=(L,)
        0 for no domain, else 1..k.

    Returns
    -------
    dict of int to list of (start, stop)
        From 0, half open, ascending.
    """
    marks = np.asarray(label, dtype=np.int64)
    edges = np.flatnonzero(np.diff(marks)) + 1
    bounds = [0, *edges.tolist(), len(marks)]
    found: dict[int, list[tuple[int, int]]] = {}
    for start, stop in pairwise(bounds):
        if marks[start] > 0:
            found.setdefault(int(marks[start]), []).append((start, stop))
    return dict(sorted(found.items()))
