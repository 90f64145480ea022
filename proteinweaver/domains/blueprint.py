"""Blueprints: the secondary structure of a domain before it has a structure.

A blueprint is a string over H (helix), E (strand) and L (loop), one letter a residue. Blueprints
are drawn from a semi-Markov model of native strings: a fold class given the length; then elements,
each kind drawn given the two before it, with a loop before each and one at the end, all lengths
from distributions of their own. The model is conditioned on the total length exactly, by a
backward recursion instead of by trimming: with W(s, n) the weight of all ways to finish the last n
residues from state s,

    W(s, n) = sum over kinds k, loops g, lengths d of p(k | s) p(g | s, k) p(d | k) W(s k, n - g -
    d),

a draw goes forward and picks every step with probability proportional to its weight times W of the
rest (forward filtering, backward sampling; Rabiner 1989, Proc. IEEE 77, 257 for the recursion, Yu
2010, Artif. Intell.
174, 215 for explicit durations). The counts behind it ship with the package, made by
``scripts/build_blueprints.py`` from the train split of the structure release.
"""

import itertools
import json
import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proteinweaver.errors import UserError

__all__ = [
    "END",
    "FOLDS",
    "LENGTH_BINS",
    "MIN_ELEMENT",
    "Element",
    "draw_blueprint",
    "elements",
    "fold_class",
    "format_blueprint",
    "parse_blueprint",
]

Fold = Literal["alpha", "beta", "mixed"]

#: Fold classes: (almost) no strands, (almost) no helices, both.
FOLDS: tuple[Fold, ...] = ("alpha", "beta", "mixed")
#: Shortest helix and strand (residues), as in training.
MIN_ELEMENT = {"H": 5, "E": 3}
#: Chain lengths at which the bins of ``p(class | length)`` change.
LENGTH_BINS = (60, 80, 100, 130, 170, 220)
#: State after the last element.
END = "."

_SHORTEST = 12  # shorter chains have no elements
_LONGEST_ELEMENT, _LONGEST_LOOP = 60, 60
_LONG_STRAND = 12  # residues from which on a tilt makes strands no likelier
_MINOR_SHARE = 0.05  # of the residues: less of a kind does not make a class
_LEAST_SHARE = 1 / 5  # of every class among draws; all-beta natives of 256 residues are .08
_SMOOTHING = 1.5  # residues; width of the kernel over counted lengths
_CLASSES = 5  # classes drawn, if none of the first can be met in so few residues
_TRIES = 100  # draws until one is of its class and has a partner for its strand
_TAIL = 1e-4  # share of a flat tail, so that every length can be met


class Element(NamedTuple):
    """One helix or strand: kind ``"H"`` or ``"E"``, first residue from 0, residues."""

    kind: str
    start: int
    length: int


def elements(blueprint: str) -> list[Element]:
    """Helices and strands of a blueprint, in order.

    Examples
    --------
    >>> elements("LLEEELHHHHH")
    [Element(kind='E', start=2, length=3), Element(kind='H', start=6, length=5)]
    """
    runs, start = [], 0
    for letter, group in itertools.groupby(blueprint):
        length = len(list(group))
        if letter != "L":
            runs.append(Element(letter, start, length))
        start += length
    return runs


def fold_class(blueprint: str) -> Fold:
    """Fold class by the share of residues in strands and in helices.

    Examples
    --------
    >>> fold_class("LHHHHHHHHLLHHHHHHHL")
    'alpha'
    """
    helix, strand = blueprint.count("H"), blueprint.count("E")
    if strand < _MINOR_SHARE * len(blueprint):
        return "alpha"
    return "beta" if helix < _MINOR_SHARE * len(blueprint) else "mixed"


def parse_blueprint(text: str) -> str:
    """Read a blueprint, as a plain string or run by run.

    Parameters
    ----------
    text : str
        ``"LLHHHHHL"`` or ``"L2 H5 L1"``; blanks and commas separate, case does not matter.

    Returns
    -------
    str
        One letter a residue.

    Raises
    ------
    UserError
        If it is empty or holds anything but H, E, L and lengths.

    Examples
    --------
    >>> parse_blueprint("h5 L2 E3")
    'HHHHHLLEEE'
    """
    packed = re.sub(r"[\s,]+", "", text).upper()
    wrong = re.sub(r"[HEL]\d*", "", packed)
    if not packed or wrong:
        what = f"{wrong[0]!r} in {text!r}" if wrong else "an empty text"
        raise UserError(
            f"{what} is no blueprint: write H (helix), E (strand), L (loop),"
            " as HHHHHLLEEE or H5 L2 E3"
        )
    runs = re.findall(r"([HEL])(\d*)", packed)
    zero = next(
        (f"{letter}{digits}" for letter, digits in runs if digits and int(digits) == 0), None
    )
    if zero:
        raise UserError(f"blueprint {text!r} has the empty run {zero}; leave it out")
    if sum(int(digits) for _, digits in runs if digits) > 100_000:
        raise UserError(f"blueprint {text!r} is longer than 100000 residues")
    return "".join(letter * int(digits or 1) for letter, digits in runs)


def format_blueprint(blueprint: str) -> str:
    """Write a blueprint run by run.

    Examples
    --------
    >>> format_blueprint("HHHHHLLEEE")
    'H5 L2 E3'
    """
    return " ".join(f"{letter}{len(list(run))}" for letter, run in itertools.groupby(blueprint))


@cache
def _counts() -> dict[str, Any]:
    return dict(
        json.loads(
            files("proteinweaver.domains").joinpath("blueprints.json").read_text(encoding="utf-8")
        )
    )


def _length_law(counts: dict[str, float], shortest: int, longest: int) -> NDArray[np.float64]:
    """Smoothed probabilities of the lengths 0..longest."""
    size = np.arange(longest + 1)
    law = np.zeros(longest + 1)
    for text, count in counts.items():
        if int(text) <= longest:
            # the shortest length is common and sharp: smooth longer ones more
            width = 0.05 + _SMOOTHING * min(1.0, int(text) / 10)
            kernel = np.exp(-0.5 * ((size - int(text)) / width) ** 2)
            kernel[:shortest] = 0
            law += float(count) * kernel / kernel.sum()
    if law.sum() > 0:
        law /= law.sum()
    law[shortest:] += _TAIL * np.exp(-size[shortest:] / 10) / np.exp(-size[shortest:] / 10).sum()
    return np.asarray(law / law.sum())


class _Model:
    """Semi-Markov model of one fold class, with the weights W(s, n) for n up to ``longest``."""

    def __init__(self, fold: Fold, longest: int, loop_tilt: float, strand_tilt: float) -> None:
        counts = _counts()
        tilt = np.exp(-loop_tilt * np.arange(_LONGEST_LOOP + 1))
        self.element = {
            kind: _length_law(
                counts["element"].get(f"{fold} {kind}", {}), MIN_ELEMENT[kind], _LONGEST_ELEMENT
            )
            for kind in "HE"
        }
        size = np.minimum(np.arange(_LONGEST_ELEMENT + 1), _LONG_STRAND)
        longer = self.element["E"] * np.exp(strand_tilt * size)
        self.element["E"] = longer / longer.sum()  # lengths change, not how many strands there are
        self.order: dict[str, dict[str, float]] = {}
        self.loop: dict[str, NDArray[np.float64]] = {}
        for key, row in counts["order"].items():
            if key.startswith(f"{fold} "):
                total = sum(row.values())
                self.order[key.split()[1]] = {kind: value / total for kind, value in row.items()}
        for key, row in counts["loop"].items():
            if key.startswith(f"{fold} "):
                pair = key.split()[1]
                self.loop[pair] = _length_law(row, int(pair[0] == pair[1]), _LONGEST_LOOP) * tilt
        self.rest = self._backward(longest)

    def _backward(self, longest: int) -> dict[str, NDArray[np.float64]]:
        """W(s, n) for every state s and n = 0..longest."""
        rest = {state: np.zeros(longest + 1) for state in self.order}
        # joint law of loop + element, then one recursion in n
        joint = {
            f"{last}{kind}": np.convolve(self.loop[f"{last}{kind}"], self.element[kind])
            for last in "-HE"
            for kind in "HE"
            if f"{last}{kind}" in self.loop
        }
        for n in range(longest + 1):
            for state, row in self.order.items():
                weight = 0.0
                for kind, share in row.items():
                    pair = f"{state[1]}{kind}"
                    if kind == END:
                        weight += share * (self.loop[pair][n] if n <= _LONGEST_LOOP else 0.0)
                        continue
                    following = rest.get(f"{state[1]}{kind}")
                    if following is not None:
                        steps = joint[pair][1 : n + 1]
                        weight += (
                            share * float(steps @ following[n - 1 :: -1][: len(steps)])
                            if n
                            else 0.0
                        )
                rest[state][n] = weight
        return rest

    def draw(self, length: int, rng: np.random.Generator) -> str:
        """One string of exactly ``length`` letters."""
        state, left, text = "--", length, ""
        while True:
            kinds, weights, tables = [], [], []
            for kind, share in self.order[state].items():
                pair = f"{state[1]}{kind}"
                if kind == END:
                    fits = left <= _LONGEST_LOOP
                    table = np.array([[self.loop[pair][left] if fits else 0.0]])
                elif pair in self.rest:
                    table = self._steps(pair, kind, left)
                else:
                    continue
                kinds.append(kind)
                tables.append(table)
                weights.append(share * table.sum())
            pick = _pick(np.array(weights), rng.random())
            kind, table = kinds[pick], tables[pick]
            if kind == END:
                return text + "L" * left
            loop, extra = divmod(_pick(table.reshape(-1), rng.random()), table.shape[1])
            text += "L" * loop + kind * extra
            left -= loop + extra
            state = state[1] + kind

    def _steps(self, pair: str, kind: str, left: int) -> NDArray[np.float64]:
        """Weigh every (loop, element) with ``left`` residues to go, shape=(loops, lengths)."""
        after = left - np.arange(_LONGEST_LOOP + 1)[:, None] - np.arange(_LONGEST_ELEMENT + 1)
        rest = np.where(after >= 0, self.rest[pair][np.maximum(after, 0)], 0.0)
        return np.asarray(self.loop[pair][:, None] * self.element[kind] * rest)


def _pick(weights: NDArray[np.float64], place: float) -> int:
    """Position at which the cumulative weights pass a share of their sum, in [0, 1)."""
    cumulative = np.cumsum(weights)
    return int(np.searchsorted(cumulative, place * cumulative[-1], side="right"))


@lru_cache(maxsize=16)
def _model(fold: Fold, longest: int, loop_tilt: float, strand_tilt: float) -> _Model:
    return _Model(fold, longest, loop_tilt, strand_tilt)


def _draw_fold(length: int, place: float) -> Fold:
    row = _counts()["class"][str(int(np.searchsorted(LENGTH_BINS, length, side="right")))]
    share = np.array([row.get(fold, 0.0) for fold in FOLDS])
    share = np.maximum(share / share.sum(), _LEAST_SHARE)
    share[share.argmax()] -= share.sum() - 1.0  # what rare classes gain, the commonest gives
    return FOLDS[_pick(share, place)]


def draw_blueprint(
    length: int,
    generator: np.random.Generator | int,
    *,
    fold: Fold | None = None,
    place: float | None = None,
    loop_tilt: float = 0.0,
    strand_tilt: float = 0.0,
) -> str:
    """Draw a native-like blueprint.

    Parameters
    ----------
    length : int
        Residues. Chains of fewer than 12 residues are all loop.
    generator : numpy.random.Generator or int
        Source of randomness, or a seed.
    fold : {"alpha", "beta", "mixed"}, optional
        Fold class; by default drawn as often as natives of this length have it, but at least one
        time in five.
    place : float, optional
        In [0, 1): chooses the fold class in place of a random number, so that blueprints at
        evenly spread places have every class in its share.
    loop_tilt : float, optional
        Makes every loop residue ``exp(-loop_tilt)`` times as likely: 0 is native, 0.1 gives
        compact designs.
    strand_tilt : float, optional
        Makes every residue of a strand, up to 12, ``exp(strand_tilt)`` times as likely: 0 is
        native, above it strands are longer.

    Returns
    -------
    str
        Exactly ``length`` letters over H, E, L, of class `fold`.

    Raises
    ------
    UserError
        If the length is below 1, the class is unknown, the place is none, or the class cannot be
        met in so few residues.
    """
    if length < 1:
        raise UserError(
            f"a blueprint of {length} residues does not exist; give a length of at least 1"
        )
    if fold is not None and fold not in FOLDS:
        raise UserError(f"fold class {fold!r} is unknown; choose {', '.join(FOLDS)}")
    if place is not None and not 0 <= place < 1:
        raise UserError(f"place is {place}; give 0 or more and less than 1")
    rng = (
        generator
        if isinstance(generator, np.random.Generator)
        else np.random.default_rng(generator)
    )
    if length < _SHORTEST:
        return "L" * length
    for _ in range(_CLASSES):
        # drawn once for many tries: classes are met with different ease, yet each keeps its share
        wanted = fold or _draw_fold(length, rng.random() if place is None else place)
        place = None  # a class that cannot be met gives way to a drawn one
        # sizes in steps of 64 let designs of similar length share one recursion
        model = _model(wanted, -(-length // 64) * 64, loop_tilt, strand_tilt)
        for _ in range(_TRIES):
            text = model.draw(length, rng)
            kinds = [run.kind for run in elements(text)]
            if fold_class(text) == wanted and kinds and kinds != ["E"]:
                return text
    raise UserError(
        f"no {fold} blueprint of {length} residues was found; choose another class or length"
    )
