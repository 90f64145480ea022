"""Named rewards and their sum.

A request such as ``interface``, ``2*drift`` or ``secondary:helix=0.4,strand=0.2`` names a reward,
its weight and its options; a list of requests makes one `Reward`: their weighted mean, from 0 to
1, and NaN as soon as one term cannot be told. `CATALOGUE` says what each prefers and dislikes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isnan

import numpy as np

from proteinweaver.errors import UserError, nearest
from proteinweaver.evaluation.critic import load_critic
from proteinweaver.evaluation.sets import load_set
from proteinweaver.preference import geometric, outside
from proteinweaver.preference.subjects import Subject

__all__ = ["CATALOGUE", "Entry", "Reward", "Score", "reward_of"]

NAN = float("nan")
Options = Mapping[str, str]
Judge = Callable[[Subject], tuple[float, tuple[float, ...]]]
"""Value of a design, and the votes of an ensemble where there is one."""


@dataclass(frozen=True)
class Score:
    """What a reward says of a design.

    Parameters
    ----------
    value : float
        From 0 to 1; NaN where it cannot be told.
    terms : mapping of str to float
        Value of every term.
    votes : tuple of float
        The value with every voice of an ensemble in place of its bound; empty without ensemble.
    reason : str
        Why it is NaN.
    """

    value: float
    terms: Mapping[str, float]
    votes: tuple[float, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Reward:
    """A weighted mean of named terms.

    Parameters
    ----------
    requests : tuple of str
        As asked for; what goes into records.
    terms : tuple of (str, float, callable)
        Name, weight and judge of each.
    """

    requests: tuple[str, ...]
    terms: tuple[tuple[str, float, Judge], ...]

    def __call__(self, subject: Subject) -> Score:
        """Score one design."""
        if not subject.is_finite:
            return Score(NAN, {}, reason="coordinates are not numbers")
        total = sum(weight for _, weight, _ in self.terms)
        found = {name: judge(subject) for name, _, judge in self.terms}
        values = {name: value for name, (value, _) in found.items()}
        unknown = [name for name, value in values.items() if isnan(value)]
        if unknown:
            return Score(NAN, values, reason=f"{', '.join(unknown)} cannot be told")
        value = sum(weight * values[name] for name, weight, _ in self.terms) / total
        voices = {name: votes for name, (_, votes) in found.items() if votes}
        votes = tuple(
            sum(
                weight * (voices[name][k] if name in voices else values[name])
                for name, weight, _ in self.terms
            )
            / total
            for k in range(min(map(len, voices.values()), default=0))
        )
        return Score(value, values, votes)


@dataclass(frozen=True)
class Entry:
    """A reward of the catalogue.

    Parameters
    ----------
    prefers, dislikes : str
        For people.
    options : mapping of str to str
        Names and defaults; an empty default must be given.
    make : callable
        From options to a judge.
    """

    prefers: str
    dislikes: str
    options: Mapping[str, str]
    make: Callable[[Options], Judge]


def _plain(score: Callable[[Subject], float]) -> Callable[[Options], Judge]:
    return lambda _: lambda subject: (score(subject), ())


def _number(options: Options, key: str) -> float:
    try:
        return float(options[key])
    except ValueError:
        raise UserError(f"reward option {key}={options[key]} is no number") from None


def _secondary(options: Options) -> Judge:
    helix, strand = _number(options, "helix"), _number(options, "strand")
    if min(helix, strand) < 0 or helix + strand > 1:
        raise UserError(f"helix {helix:g} and strand {strand:g} are not shares of one chain")
    score = partial(geometric.secondary_structure, helix=helix, strand=strand)
    return lambda subject: (score(subject), ())


def _soundness(options: Options) -> Judge:
    critic = load_critic(options["critic"] or None)
    caution = _number(options, "caution")
    try:
        branches = [int(k) for k in options["branches"].split("/")] if options["branches"] else []
    except ValueError:
        raise UserError(f"branches={options['branches']} is not such as 0/1/2") from None
    chosen = branches or range(critic.net.config.branches)

    def judge(subject: Subject) -> tuple[float, tuple[float, ...]]:
        votes = outside.branch_soundness(subject, critic, chosen)
        return outside.soundness(votes, caution), votes

    return judge


def _novelty(options: Options) -> Judge:
    known = [np.asarray(b.ca, dtype=np.float64) for b in load_set(options["reference"])]
    return lambda subject: (outside.novelty(subject, known), ())


def _python(options: Options) -> Judge:
    score = outside.python_reward(options["call"])
    return lambda subject: (score(subject), ())


def _csv(options: Options) -> Judge:
    low, high = _number(options, "low"), _number(options, "high")
    scores = outside.read_scores(options["file"], options["column"], low, high)
    return lambda subject: (scores.get(subject.name, NAN), ())


#: All rewards by name.
CATALOGUE: Mapping[str, Entry] = {
    "interface": Entry(
        "15 or more CA contacts a junction, every junction touching",
        "domains apart, overlapping, or a chain that could not exist",
        {},
        _plain(geometric.interface),
    ),
    "buried-area": Entry(
        "a large area between domains", "loose or overlapping domains", {},
        _plain(geometric.buried_area),
    ),
    "clash": Entry(
        "no CA overlaps", "every pair of domains or linkers closer than 3 A", {},
        _plain(geometric.clash_terms),
    ),
    "chain": Entry(
        "closed, relaxed linkers and ideal bonds", "gaps, stretched or forced linkers", {},
        _plain(geometric.chain_terms),
    ),
    "drift": Entry(
        "domains as they were given", "bent or mirrored domains", {}, _plain(geometric.drift)
    ),
    "compactness": Entry(
        "a radius of gyration as natives have it", "stretched and collapsed chains", {},
        _plain(geometric.compactness),
    ),
    "secondary": Entry(
        "wanted shares of helix and strand, hydrogen-bonded", "any other content",
        {"helix": "", "strand": ""}, _secondary,
    ),
    "novelty": Entry(
        "folds unlike those of a set", "what the set already holds", {"reference": ""}, _novelty
    ),
    "soundness": Entry(
        "backbones that the critic's branches agree are native-like",
        "what one of them doubts (mean less caution times spread)",
        {"critic": "shipped", "branches": "all", "caution": "1"}, _soundness,
    ),
    "python": Entry("what your function says", "the same", {"call": ""}, _python),
    "csv": Entry(
        "what a table says, such as scTM from a folding program", "the same",
        {"file": "", "column": "", "low": "0", "high": "1"}, _csv,
    ),
}  # fmt: skip


def reward_of(requests: Sequence[str]) -> Reward:
    """Make a reward from requests.

    Parameters
    ----------
    requests : sequence of str
        Each ``[WEIGHT*]NAME[:KEY=VALUE,...]``.

    Returns
    -------
    Reward

    Raises
    ------
    UserError
        If a request cannot be understood or met.

    Examples
    --------
    >>> [weight for _, weight, _ in reward_of(["interface", "2*chain"]).terms]
    [1.0, 2.0]
    """
    if not requests:
        raise UserError(f"no reward; give one or more of {', '.join(CATALOGUE)}")
    terms: dict[str, tuple[str, float, Judge]] = {}
    for request in requests:
        head, _, tail = request.partition(":")
        weight, star, name = head.rpartition("*")
        name = name.strip()
        if name not in CATALOGUE:
            raise UserError(f"no reward '{name}'; {nearest(name, CATALOGUE)}")
        try:
            number = float(weight) if star else 1.0
        except ValueError:
            number = NAN
        if not 0 < number < float("inf"):
            raise UserError(f"reward '{request}': weight '{weight}' is not a positive number")
        entry = CATALOGUE[name]
        key = name if name not in terms else f"{name}-{len(terms) + 1}"
        terms[key] = (key, number, entry.make(_options(request, tail, entry)))
    return Reward(tuple(requests), tuple(terms.values()))


def _options(request: str, text: str, entry: Entry) -> Options:
    given: dict[str, str] = {}
    for item in filter(None, text.split(",")):
        key, sign, value = item.partition("=")
        if not sign or key not in entry.options:
            hint = nearest(key, entry.options) if entry.options else "it has none"
            raise UserError(f"reward '{request}': no option '{key}'; {hint}")
        given[key] = value
    missing = [key for key, value in entry.options.items() if not value and key not in given]
    if missing:
        raise UserError(f"reward '{request}' needs {', '.join(f'{key}=...' for key in missing)}")
    defaults = {k: "" if v in {"shipped", "all"} else v for k, v in entry.options.items()}
    return {**defaults, **given}
