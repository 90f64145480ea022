"""Wishes that no chain can grant are refused before a model is loaded, each with its own sentence.

Only certain impossibilities are refused: distances inside one rigid body that the file decides,
linkers too short for what they must span, wishes that exclude each other. A wish that is merely
hard is sampled, and the checks of the design say whether it came true.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from proteinweaver.errors import UserError
from proteinweaver.evaluation.assembly import linker_span
from proteinweaver.generation.jobs import DesignPlan, Source
from proteinweaver.generation.wishes import DesignWishes, PairWish, resolve_wishes

__all__ = ["check_plan"]

#: How far the inside of a domain that adapts may differ from its file (angstrom).
_ADAPTS = 2.0
#: CA atoms of two kept domains closer than this (angstrom) clash.
_CLASH = 3.0


def check_plan(plan: DesignPlan) -> DesignWishes:
    """Refuse a plan whose wishes cannot be granted.

    Parameters
    ----------
    plan : DesignPlan

    Returns
    -------
    DesignWishes
        The wishes, with residues found.

    Raises
    ------
    UserError
        With what is impossible, why, and the mend.
    """
    wishes = resolve_wishes(plan)
    label = f"job '{plan.job.spec.name}': " if plan.job.spec.name else ""
    try:
        _check_shared_pose(plan)
        _check_kept_linkers(plan)
        for pair in wishes.pairs:
            _check_inside(plan, pair)
            _check_reach(plan, pair)
        _check_pairs(wishes.pairs)
        _check_triangles(plan, wishes.pairs)
    except UserError as error:
        raise UserError(f"{label}{error}") from None
    return wishes


def _given(plan: DesignPlan, place: int) -> Source:
    return plan.sources[plan.domains[place].source]


def _check_shared_pose(plan: DesignPlan) -> None:
    """Domains of one group may neither share residues nor lie inside each other."""
    grouped = [source for source in plan.sources if source.group is not None]
    for k, one in enumerate(grouped):
        for two in grouped[k + 1 :]:
            if one.group != two.group or one.backbone is None or two.backbone is None:
                continue
            names = f"domains '{one.label}' and '{two.label}'"
            if one.sha256 == two.sha256 and (shared := _residues(one) & _residues(two)):
                chain, number, code = min(shared)
                raise UserError(
                    f"{names} keep their pose but their ranges overlap in {len(shared)} residues,"
                    f" {chain}{number}{code} first; make the ranges end before one another"
                )
            gap = np.linalg.norm(one.backbone.ca[:, None] - two.backbone.ca[None], axis=-1)
            if gap.min() < _CLASH:
                raise UserError(
                    f"{names} keep their pose, in which CA atoms come within {gap.min():.1f} A;"
                    " superpose the files or drop one from keep_pose"
                )


def _residues(source: Source) -> set[tuple[str, int, str]]:
    part = source.backbone
    assert part is not None
    return set(zip(part.chain.tolist(), part.resnum.tolist(), part.icode.tolist(), strict=True))


def _check_kept_linkers(plan: DesignPlan) -> None:
    """Refuse linkers that cannot span the gap between two kept domains."""
    kept = [k for k, _ in enumerate(plan.domains) if _given(plan, k).kept]
    for left, right in pairwise(kept):
        one, two = _given(plan, left), _given(plan, right)
        assert one.backbone is not None and two.backbone is not None
        gap = float(np.linalg.norm(two.backbone.ca[0] - one.backbone.ca[-1]))
        low, high = _span(plan, left, right)
        if gap > high:
            between = plan.domains[right].start - plan.domains[left].stop
            raise UserError(
                f"domains '{one.label}' and '{two.label}' keep their pose with {gap:.1f} A from"
                f" the end of one to the start of the other, and the {between} residues between"
                f" them reach {high:.1f} A; lengthen the linker or change the order"
            )
        if right == left + 1 and gap < low:
            raise UserError(
                f"domains '{one.label}' and '{two.label}' keep their pose with {gap:.1f} A from"
                f" the end of one to the start of the other, too close for a direct bond"
                f" ({low:.1f} A or more); shorten one domain or add a linker"
            )


def _span(plan: DesignPlan, left: int, right: int) -> tuple[float, float]:
    """Least and largest CA distance from the end of one domain to the start of a later one."""
    low, high = 0.0, 0.0
    for place in range(left, right):
        here, there = plan.domains[place], plan.domains[place + 1]
        low, most = linker_span(there.start - here.stop)
        high += most
        if place + 1 < right:
            source = _given(plan, place + 1)
            high += (
                3.8 * len(there)
                if source.backbone is None or source.mode == "free"
                else float(np.linalg.norm(source.backbone.ca[-1] - source.backbone.ca[0]))
                + _ADAPTS
            )
    return low, high


def _place_of(plan: DesignPlan, residue: int) -> int:
    return next(k for k, s in enumerate(plan.domains) if s.start <= residue < s.stop)


def _inside_ca(plan: DesignPlan, place: int) -> NDArray[np.float64] | None:
    """CA positions of a domain whose inside is known and stays."""
    source = _given(plan, place)
    if source.backbone is None or source.mode == "free":
        return None
    return np.asarray(source.backbone.ca, dtype=np.float64)


def _check_inside(plan: DesignPlan, pair: PairWish) -> None:
    """Refuse a distance that the file has decided: in one domain, or between kept ones."""
    one, two = _place_of(plan, int(pair.a[0])), _place_of(plan, int(pair.b[0]))
    first, second = _given(plan, one), _given(plan, two)
    together = one == two or (first.kept and second.kept)
    ca_a, ca_b = _inside_ca(plan, one), _inside_ca(plan, two)
    if not together or ca_a is None or ca_b is None:
        return
    a = ca_a[pair.a - plan.domains[one].start]
    b = ca_b[pair.b - plan.domains[two].start]
    distance = float(np.linalg.norm(a[:, None] - b[None], axis=-1).min())
    slack = 0.0 if first.mode == "rigid" else _ADAPTS
    wrong = distance - pair.limit if pair.kind == "contact" else pair.limit - distance
    if wrong > slack:
        whose = f"domain '{first.label}'" if one == two else "the kept pose"
        raise UserError(
            f"{pair.text}: both ends lie in {whose}, where they are {distance:.1f} A apart and"
            " stay so; drop the wish or let the domains move"
        )


def _check_reach(plan: DesignPlan, pair: PairWish) -> None:
    """Refuse distances that the linkers and domains between two domains do not allow."""
    one, two = sorted((_place_of(plan, int(pair.a[0])), _place_of(plan, int(pair.b[0]))))
    if one == two:
        return
    ca_one, ca_two = _inside_ca(plan, one), _inside_ca(plan, two)
    if ca_one is None or ca_two is None:
        return
    ends = (pair.a, pair.b) if pair.a[0] < pair.b[0] else (pair.b, pair.a)
    a = ca_one[ends[0] - plan.domains[one].start]
    b = ca_two[ends[1] - plan.domains[two].start]
    between = plan.domains[two].start - plan.domains[one].stop
    linker = f"a linker of {between} residues"
    if two > one + 1:
        linker = f"a stretch of {between} residues between two domains"
    high = _span(plan, one, two)[1]
    to_end = np.linalg.norm(a - ca_one[-1], axis=-1)
    from_start = np.linalg.norm(b - ca_two[0], axis=-1)
    if pair.kind == "apart":
        farthest = float((to_end[:, None] + from_start[None]).min() + high)
        if farthest < pair.limit:
            raise UserError(
                f"{pair.text}: {linker} lets the closest of them be at most"
                f" {farthest:.1f} A apart; lengthen the linker, or leave out residues beside it"
            )
        return
    nearest = float(np.abs(to_end[:, None] - from_start[None]).min() - high)
    if nearest > pair.limit:
        raise UserError(
            f"{pair.text}: {linker} keeps them at least {nearest:.1f} A apart; lengthen the linker"
        )


def _check_pairs(pairs: tuple[PairWish, ...]) -> None:
    """Refuse a contact among residues that are all to stay apart."""
    for contact in (pair for pair in pairs if pair.kind == "contact"):
        for apart in (pair for pair in pairs if pair.kind == "apart"):
            if contact.limit >= apart.limit:
                continue
            for a, b in ((apart.a, apart.b), (apart.b, apart.a)):
                if np.isin(contact.a, a).all() and np.isin(contact.b, b).all():
                    raise UserError(
                        f"{contact.text} contradicts {apart.text}; drop one of the two wishes"
                    )


def _check_triangles(plan: DesignPlan, pairs: tuple[PairWish, ...]) -> None:
    """Refuse two domains that stay farther apart than a third one that both touch is wide."""
    contacts = [pair for pair in pairs if pair.kind == "contact"]
    ends = [(pair, pair.a, pair.b) for pair in contacts]
    ends += [(pair, pair.b, pair.a) for pair in contacts]
    for apart in (pair for pair in pairs if pair.kind == "apart"):
        for one, outer_a, inner_a in ends:
            for two, outer_b, inner_b in ends:
                middle = _place_of(plan, int(inner_a[0]))
                ca = _inside_ca(plan, middle)
                if ca is None or middle != _place_of(plan, int(inner_b[0])):
                    continue
                if not (np.isin(outer_a, apart.a).all() and np.isin(outer_b, apart.b).all()):
                    continue
                start = plan.domains[middle].start
                wide = np.linalg.norm(ca[inner_a - start][:, None] - ca[inner_b - start], axis=-1)
                most = one.limit + float(wide.max()) + _ADAPTS + two.limit
                if most < apart.limit:
                    label = _given(plan, middle).label
                    raise UserError(
                        f"{apart.text} contradicts {one.text} and {two.text}: both touch domain"
                        f" '{label}', which leaves them {most:.1f} A at most; drop one of three"
                    )
