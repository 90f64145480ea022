"""What native chains of several domains look like, as functions of their lengths.

Power laws through medians of the train split, by ``scripts/fit_assembly_trends.py`` (715 junctions
and 553 chains). Natives scatter widely around them: a quarter of all junctions has less than a
quarter of the trend's contacts, a quarter of all chains is 13% larger than the trend.
"""

from collections.abc import Sequence
from itertools import pairwise

__all__ = ["CONTACT_SHARE", "native_contacts", "native_gyration"]

#: Share of the native contacts until which consecutive domains are drawn together while sampling.
#: A half to two thirds of them are there at the end: the network and the closing take the rest.
CONTACT_SHARE = 1.8

_CONTACTS = (0.0377, 1.401)
_GYRATION = (5.16, 0.251)


def native_contacts(domains: Sequence[int]) -> float:
    """Median number of CA contacts (8 A) between the consecutive domains of a native chain.

    Parameters
    ----------
    domains : sequence of int
        Residues of every domain along the chain.

    Returns
    -------
    float
    """
    factor, exponent = _CONTACTS
    return sum(factor * min(one, two) ** exponent for one, two in pairwise(domains))


def native_gyration(length: int) -> float:
    """Median CA radius of gyration in angstrom of a native chain of two or more domains.

    Parameters
    ----------
    length : int
        Residues.

    Returns
    -------
    float
    """
    factor, exponent = _GYRATION
    return float(factor * length**exponent)
