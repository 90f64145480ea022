"""Rewards that geometry alone can tell, from 0 (bad) to 1 (nothing left to gain).

Each saturates where natives lie: beyond that point one more contact or one more square angstrom is
no better, so a policy cannot win by excess. What asks for more of something is multiplied by
`Subject.wholeness`, and what lies between domains falls with every clash.
"""

from math import exp, isnan

from proteinweaver.evaluation.linkers import linker_rama_ok
from proteinweaver.evaluation.surface import interface_area
from proteinweaver.preference.subjects import Subject

__all__ = [
    "buried_area",
    "chain_terms",
    "clash_terms",
    "compactness",
    "drift",
    "interface",
    "secondary_structure",
]

#: Inter-domain CA contacts (8 A), and buried area (A^2, with beads), a junction needs.
_CONTACTS, _AREA = 15.0, 400.0
#: Drift (A) at which a domain is no longer the same.
_DRIFT = 1.5
_NAN = float("nan")


def _unclashed(subject: Subject) -> float:
    return exp(-subject.parts.clashes - 0.5 * subject.parts.linker_clashes)


def interface(subject: Subject) -> float:
    """Contacts between domains, up to 15 a junction, over the share of junctions that touch.

    Parameters
    ----------
    subject : Subject

    Returns
    -------
    float
        0 without contacts, with overlapping domains or a chain that could not exist; NaN for one
        domain.
    """
    if subject.junctions < 1:
        return _NAN
    found = subject.parts
    contacts = min(1.0, found.contacts / (_CONTACTS * subject.junctions))
    touching = min(1.0, found.touching / subject.junctions)
    return contacts * touching * _unclashed(subject) * subject.wholeness


def buried_area(subject: Subject) -> float:
    """Area that domains bury against each other, 1 - exp(-area / 400 A^2 a junction).

    Parameters
    ----------
    subject : Subject

    Returns
    -------
    float
        NaN for one domain. The area is that of a backbone with one bead a side chain
        (`proteinweaver.evaluation.surface`).
    """
    if subject.junctions < 1:
        return _NAN
    whole = _unclashed(subject) * subject.wholeness
    if whole == 0.0:
        return 0.0
    area = interface_area(subject.backbone.coord, subject.backbone.domain)
    return whole * (1.0 - exp(-area / (_AREA * subject.junctions)))


def clash_terms(subject: Subject) -> float:
    """exp(-clashes), between domains, with linkers, and anywhere beyond what natives show.

    Parameters
    ----------
    subject : Subject

    Returns
    -------
    float
        1 without any.
    """
    return _unclashed(subject) * exp(-max(0.0, subject.chain.clash_36 - 2.0) / 2.0)


def chain_terms(subject: Subject) -> float:
    """Wholeness of the chain times the shares of closed, spannable and allowed linkers.

    Parameters
    ----------
    subject : Subject

    Returns
    -------
    float
    """
    found = subject.parts
    shares = 1.0
    if found.linkers:
        shares = found.linkers_closed * found.linkers_feasible / found.linkers**2
        allowed = linker_rama_ok(
            subject.backbone.coord, subject.backbone.domain, subject.backbone.break_after
        )
        shares *= 1.0 if isnan(allowed) else allowed
    return subject.wholeness * shares


def drift(subject: Subject) -> float:
    """How well the domains are kept, exp(-(largest CA-RMSD / 1.5 A)^2); 0 for a mirror image.

    Parameters
    ----------
    subject : Subject

    Returns
    -------
    float
        NaN without the domains that were given.
    """
    if subject.inputs is None:
        return _NAN
    found = subject.parts
    if found.mirrored or isnan(found.drift_max):
        return 0.0
    return exp(-((found.drift_max / _DRIFT) ** 2)) * subject.wholeness


def compactness(subject: Subject) -> float:
    """Radius of gyration like that of natives: 1 between 0.9 and 1.25 of 2.2 L^0.38 A.

    Parameters
    ----------
    subject : Subject

    Returns
    -------
    float
        Falls to 0 at 0.75 (collapsed) and at 2.0 (stretched).
    """
    ratio = subject.chain.rg_ratio
    low, high = (ratio - 0.75) / 0.15, (2.0 - ratio) / 0.75
    return max(0.0, min(1.0, low, high)) * subject.wholeness


def secondary_structure(subject: Subject, helix: float, strand: float) -> float:
    """Compare helix and strand content (P-SEA) with a wish: 1 - half the sum of differences.

    Parameters
    ----------
    subject : Subject
    helix, strand : float
        Wanted shares; the rest is coil.

    Returns
    -------
    float
        Multiplied by the share of hydrogen bonds that the found helices and strands should have
        (0.8 a residue), so that a CA trace of the right shape is not enough.
    """
    m = subject.chain
    off = abs(m.helix - helix) + abs(m.strand - strand) + abs(m.coil - (1.0 - helix - strand))
    bonded = min(1.0, m.hb / max(1e-9, 0.8 * (m.helix + m.strand)))
    return (1.0 - 0.5 * off) * bonded * subject.wholeness
