"""Checks and ranking of a design, from the figures of `proteinweaver.evaluation`.

Checks are conditions a usable backbone meets; they are reported, never used to drop a design. The
score ranks the designs of a run: a gate of local geometry times the mean share of what natives
show at long range (means over 139 crystal chains of 60-300 residues: hydrogen bonds .57 a
residue, those over more than 5 residues .21, contacts over 12 or more 1.47). The gate only lets
pass, because randomly glued fragments match natives there and fail on everything long-range; and
without it a collapsed chain, all contacts and clashes, would win.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.evaluation.metrics import metrics_of

__all__ = ["Verdict", "judge"]

#: Natives: hydrogen bonds, those over more than 5 residues, contacts over 12 or more, per residue.
_NATIVE_HB, _NATIVE_HB_LONG, _NATIVE_CONTACTS = 0.57, 0.21, 1.47
#: Inter-domain CA contacts (8 A) at which one more no longer counts, for each junction.
_ENOUGH_CONTACTS = 15
#: Largest drift of a domain (A) that still is the same domain.
_MAX_DRIFT = 1.5


@dataclass(frozen=True)
class Verdict:
    """What a design is worth.

    Parameters
    ----------
    metrics : mapping
        Figures by name; NaN where nothing can be counted.
    checks : mapping
        Conditions by name.
    score : float
        Higher is better; 0 for coordinates that are no numbers.
    reasons : mapping
        For checks that fail, what was found and what is asked, where there is more to say than
        the name of the check.
    """

    metrics: Mapping[str, float]
    checks: Mapping[str, bool]
    score: float
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def passes(self) -> bool:
        """Whether all checks are met."""
        return all(self.checks.values())


def judge(
    coord: ArrayLike,
    domain: ArrayLike | None = None,
    break_after: ArrayLike | None = None,
    inputs: Sequence[NDArray[np.float32]] = (),
    expected_contacts: float | None = None,
) -> Verdict:
    """Judge a backbone.

    Parameters
    ----------
    coord : array_like, shape=(L, 4, 3)
        N, CA, C, O in angstrom.
    domain : array_like, dtype=int, shape=(L,), optional
        0 in linkers, 1..k in domains; default one domain.
    break_after : array_like, dtype=bool, shape=(L,), optional
        True where a residue is not bonded to the next one.
    inputs : sequence of ndarray, shape=(n, 4, 3), optional
        The domains 1..k as they entered, anywhere in space.
    expected_contacts : float, optional
        Inter-domain contacts at which one more no longer counts for the score; 0 where contacts
        are not wanted. Default 15 a junction.

    Returns
    -------
    Verdict
    """
    xyz = np.asarray(coord, dtype=np.float64)
    if not np.isfinite(xyz).all():
        return Verdict({}, {"finite": False}, 0.0)
    label = np.ones(len(xyz), np.int64) if domain is None else np.asarray(domain, np.int64)
    given = _laid_out(label, inputs) if inputs else None
    found = metrics_of(xyz, domain=label, inputs=given, break_after=break_after)
    several = int(label.max()) > 1
    if expected_contacts is None:
        expected_contacts = _ENOUGH_CONTACTS * (found.get("domains", 1.0) - 1)
    return Verdict(found, _checks(found, several), _score(found, several, expected_contacts))


def _laid_out(label: NDArray[np.int64], inputs: Sequence[NDArray[np.float32]]) -> np.ndarray:
    """Put the given domains at their residues of an otherwise empty chain."""
    chain = np.full((len(label), 4, 3), np.nan)
    for number, part in enumerate(inputs, 1):
        chain[label == number] = part
    return chain


def _checks(found: Mapping[str, float], several: bool) -> dict[str, bool]:
    # "not less" lets NaN pass: what cannot be counted (no turns in a short chain) is not wrong
    checks = {
        "finite": True,
        "unbroken": found["chain_breaks"] == 0,
        "ca_ok": not found["ca_ok"] < 0.99,
        "cn_ok": not found["cn_ok"] < 0.90,
        "no_ca_clash": not found["min_ca"] < 3.0,
        "rama_ok": not found["rama_ok"] < 0.85,
        "phi_negative": not found["phi_negative"] < 0.90,
        "hydrogen_bonds": not found["hb"] < 0.40,
        "compact": 0.8 <= found["rg_ratio"] <= (1.5 if several else 1.2),
    }
    if several:
        checks["linkers_closed"] = bool(found["linker_ok"])
        checks["domains_touch"] = found["domains_touching"] >= found["domains"] - 1
    if "domain_rmsd_max" in found:
        kept = found["domain_rmsd_max"] <= _MAX_DRIFT and not found["domains_mirrored"]
        checks["domains_kept"] = kept
    return checks


def _score(found: Mapping[str, float], several: bool, expected: float) -> float:
    local = [found[key] for key in ("ca_ok", "cn_ok", "rama_ok") if math.isfinite(found[key])]
    gate = math.prod(local) * math.exp(-found["clash_36"])
    arrangement = [
        min(1.0, found["hb"] / _NATIVE_HB),
        min(1.0, found["hb_long"] / _NATIVE_HB_LONG),
        min(1.0, found["contacts_long"] / _NATIVE_CONTACTS),
    ]
    if several:
        if expected > 0:
            arrangement.append(min(1.0, found["interface_contacts"] / expected))
        arrangement.append(found["linkers_closed"] / max(1.0, found["linkers"]))
    return gate * sum(arrangement) / len(arrangement)
