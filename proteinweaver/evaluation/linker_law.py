r"""Where a linker of known sequence lets the second of two domains lie: a law from native chains.

The residues on both sides of a linker are known to the atom, those of the linker by their types.
Every unbroken stretch of a native chain of the same length is a guess of how the chain goes on: it
is laid on the last residues of the first domain, and the second domain is laid on its end. What a
stretch is worth is a sum over its residues,

    log w = sum over residues s_r B(type, type of the stretch)
            - sum over known torsions t_r (1 - cos(angle - angle of the stretch)) + const,

with B the BLOSUM62 matrix and s_r, t_r constants of how far a residue lies from the linker
(`POSE_CONSTANTS`, fitted on the train split so that native poses are likely under the mixture of
Gaussians about the motions; ``scripts/fit_pose_finder.py``). A linker that goes on as a helix is
found so at once; a loop leaves many motions.

References
----------
Simons et al. 1997, J. Mol. Biol. 268, 209 (fragments of native chains by sequence and neighbours);
Henikoff & Henikoff 1992, PNAS 89, 10915 (BLOSUM62).
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proteinweaver.evaluation.stretches import Stretches
from proteinweaver.evaluation.superposition import lay_on_many
from proteinweaver.evaluation.torsions import backbone_torsions
from proteinweaver.structure.residues import UNKNOWN

__all__ = [
    "FLANK",
    "POSE_CONSTANTS",
    "Motions",
    "linker_motions",
    "pose_constants",
]

POSE_CONSTANTS = Path(__file__).with_name("pose_finder.json")
#: Residues on either side of the linker that are compared, and those that are superposed.
FLANK, _LAID = 6, 3
#: Which constant of the torsions belongs to a flank residue, by its place from the linker.
_GROUP = (0, 1, 2, 2, 3, 3)
#: CA of the stretch closer than this (angstrom) to a CA of a domain are hits; the two residues of
#: a domain next to the linker are not asked.
_HIT, _NEXT = 4.0, 2
#: Points that are asked at a time: their distances stay in the cache.
_CHUNK = 2048
#: Rows that are weighed at a time: little memory, however long the linker.
_ROWS = 32768

FloatArray = NDArray[np.float64]


@cache
def pose_constants() -> dict[str, NDArray[np.float64]]:
    """Read the constants: ``blosum`` (21, 21), ``types`` (3,), ``torsions`` (4,), ``terms``."""
    content = json.loads(POSE_CONSTANTS.read_text(encoding="utf-8"))
    names = ("blosum", "types", "torsions", "terms")
    return {name: np.array(content[name], dtype=np.float64) for name in names}


@dataclass(frozen=True)
class Motions:
    """How the second domain is moved by every stretch, the first one staying.

    Parameters
    ----------
    rot : ndarray, dtype=float64, shape=(M, 3, 3)
    trans : ndarray, dtype=float64, shape=(M, 3)
        ``x @ rot.T + trans``, angstrom.
    terms : ndarray, dtype=float32, shape=(M, 7)
        What the constants ``types`` and ``torsions`` multiply.
    log_weight : ndarray, dtype=float64, shape=(M,)
        Log-weight, up to a constant.
    hits : ndarray, dtype=int64, shape=(M,)
        CA pairs of stretch and domain under 4 A.
    """

    rot: FloatArray
    trans: FloatArray
    terms: NDArray[np.float32]
    log_weight: FloatArray
    hits: NDArray[np.int64]


def linker_motions(
    stretches: Stretches,
    chain: NDArray[np.floating],
    linker: tuple[int, int],
    kinds: NDArray[np.integer],
    most: int = 30000,
    without: int | None = None,
) -> Motions:
    """Lay the second domain by the most fitting stretches.

    Parameters
    ----------
    stretches : Stretches
    chain : ndarray, shape=(L, 4, 3)
        Both domains, each in any pose; NaN in the linker.
    linker : (int, int)
        First residue of the linker and of the second domain; at least six residues on either side.
    kinds : ndarray, dtype=int, shape=(L,)
        Residue types, linker included.
    most : int, optional
        Stretches kept.
    without : int, optional
        Cluster whose chains are left out.

    Returns
    -------
    Motions
        Likeliest first.

    Raises
    ------
    ValueError
        If a domain has fewer than six residues beside the linker, or no stretch is so long.
    """
    start, stop = linker
    width = stop - start + 2 * FLANK
    if start < FLANK or stop + FLANK > len(chain):
        raise ValueError(f"fewer than {FLANK} residues beside the linker {linker} of {len(chain)}")
    rows = stretches.starts(width, without)
    if not len(rows):
        raise ValueError(f"no native stretch of {width} residues")
    rules = _rules(chain, linker, kinds)
    if len(rows) > most:  # terms of those alone that may be kept; rounding decides about no one
        rough, some = _log_weight(stretches, rules)[rows], min(most + most // 50, len(rows) - 1)
        rows = np.sort(rows[np.argpartition(-rough, some)[: some + 1]])
    terms = _terms(stretches, rows, rules)
    constants = pose_constants()
    log_weight = terms @ np.concatenate((constants["types"], constants["torsions"]))
    best = np.argsort(-log_weight, kind="stable")[:most]
    rows, terms, log_weight = rows[best], terms[best], log_weight[best]

    def laid(place: int) -> tuple[FloatArray, FloatArray]:
        found = stretches.coord[rows[:, None] + place + np.arange(_LAID)]
        given = chain[start - FLANK + place : start - FLANK + place + _LAID, :3]
        return lay_on_many(given.reshape(-1, 3), found.reshape(len(rows), -1, 3))

    # both domains go to where the stretch lies, and with the first one fixed the second one moves
    (rot, trans), (turn, shift) = laid(FLANK - _LAID), laid(width - FLANK)
    within = stretches.coord[rows[:, None] + np.arange(FLANK, width - FLANK), 1]
    ca = chain[:, 1]
    hits = _hits((within - trans[:, None]) @ rot, ca[: start - _NEXT])
    hits += _hits((within - shift[:, None]) @ turn, ca[stop + _NEXT :])
    back = rot.swapaxes(1, 2)
    shift = (back @ (shift - trans)[..., None])[..., 0]
    return Motions(back @ turn, shift, terms, log_weight.astype(np.float64), hits)


@dataclass(frozen=True)
class _Rule:
    """What one residue of a stretch is compared with.

    Parameters
    ----------
    alike : ndarray, dtype=float64, shape=(21,)
        Likeness of every type.
    of_types : int
        Which constant it is multiplied by.
    phi, psi : float
        Known torsions (radians); NaN where there is none.
    of_torsions : int or None
        Which constant belongs to them; None in the linker.
    """

    alike: FloatArray
    of_types: int
    phi: float
    psi: float
    of_torsions: int | None


def _rules(
    chain: NDArray[np.floating], linker: tuple[int, int], kinds: NDArray[np.integer]
) -> list[_Rule]:
    """One rule for every residue of a stretch."""
    start, stop = linker
    first, width = start - FLANK, stop - start + 2 * FLANK
    # the domains lie anywhere: no torsion spans the linker, even where it has no residues
    apart = np.zeros(len(chain), dtype=bool)
    apart[start - 1 : stop] = True
    phi, psi, _ = backbone_torsions(chain, apart)
    blosum = pose_constants()["blosum"]
    rules = []
    for k in range(width):
        alike = blosum[min(int(kinds[first + k]), UNKNOWN)]
        of_types, of_torsions = 0, None
        if not FLANK <= k < width - FLANK:
            away = min(abs(k - FLANK + 1), abs(k - width + FLANK))
            of_types, of_torsions = 1 if away < 3 else 2, _GROUP[away]
        rules.append(
            _Rule(alike, of_types, float(phi[first + k]), float(psi[first + k]), of_torsions)
        )
    return rules


def _log_weight(stretches: Stretches, rules: list[_Rule]) -> NDArray[np.float32]:
    """Log-weights of all rows as starts, broken ones too, up to a constant and rounding.

    The sum over the residues of a stretch is a correlation of traits and what they are worth.
    """
    constants, traits = pose_constants(), stretches.traits
    worth = np.zeros((len(rules), len(traits)), dtype=np.float32)
    for row, rule in zip(worth, rules, strict=True):
        row[: UNKNOWN + 1] = constants["types"][rule.of_types] * rule.alike
        for first, known in ((UNKNOWN + 1, rule.phi), (UNKNOWN + 4, rule.psi)):
            if rule.of_torsions is not None and np.isfinite(known):
                way = np.array((np.cos(known), np.sin(known), -1.0))
                row[first : first + 3] = constants["torsions"][rule.of_torsions] * way
    out = np.zeros(traits.shape[1] - len(rules) + 1, dtype=np.float32)
    for first in range(0, len(out), _ROWS):
        part = out[first : first + _ROWS]
        of_residue = worth @ traits[:, first : first + len(part) + len(rules) - 1]
        for k, values in enumerate(of_residue):
            part += values[k : k + len(part)]
    return out


def _terms(
    stretches: Stretches, rows: NDArray[np.int64], rules: list[_Rule]
) -> NDArray[np.float32]:
    """Likeness of types (linker, near, far flank) and minus that of torsions by place, (M, 7)."""
    terms = np.zeros((len(rows), 7), dtype=np.float32)
    for k, rule in enumerate(rules):
        terms[:, rule.of_types] += rule.alike.astype(np.float32)[stretches.kind[rows + k]]
        if rule.of_torsions is None:
            continue
        for known, other in ((rule.phi, stretches.phi), (rule.psi, stretches.psi)):
            if np.isfinite(known):
                off = 1.0 - np.cos(other[rows + k] - np.float32(known))
                terms[:, 3 + rule.of_torsions] -= np.nan_to_num(off, nan=2.0)
    return terms


def _hits(points: FloatArray, ca: NDArray[np.floating]) -> NDArray[np.int64]:
    """Pairs under `_HIT` of point sets (M, n, 3) and one set (m, 3), NaN for none, shape (M,)."""
    ca = ca[np.isfinite(ca[:, 0])]
    out = np.zeros(len(points), dtype=np.int64)
    # the k-th residues of all stretches lie in a ball: k bonds from the end of the domain
    for place, centre in zip(np.moveaxis(points, 1, 0), points.mean(0), strict=True):
        x, y = place - centre, ca - centre
        away = np.einsum("mi,mi->m", x, x)
        y = y[np.linalg.norm(y, axis=1) < np.sqrt(away.max()) + _HIT]
        # |x - y|^2 less the bound, as one product
        left = np.column_stack((x, away - _HIT**2, np.ones(len(x)))).astype(np.float32)
        right = np.column_stack((-2.0 * y, np.ones(len(y)), (y**2).sum(1))).astype(np.float32)
        for first in range(0, len(left), _CHUNK):
            part = left[first : first + _CHUNK]
            close = np.flatnonzero(part @ right.T < 0.0)  # few: quicker than sums along rows
            out[first : first + _CHUNK] += np.bincount(close // len(y), minlength=len(part))
    return out
