"""Hard checks of an assembly: what a design must meet to pass, and why it does not.

=================  ===============================================================================
`finite`           all coordinates are numbers
`unbroken`         no C-N distance above 1.8 A where a bond is due
`domains_kept`     CA-RMSD of every rigid domain from its file at most 0.5 A, of every domain that
                   adapts 1.0 A, and no domain mirrored; free domains may move, and the side file
                   says how far
`no_clash`         no CA pair of two domains closer than 3.0 A
`linker_bonds`     C-N within 0.1 A of 1.329 A at every bond of a linker, both junctions included
`enough_contacts`  at least half the CA contacts (8 A) that natives of these sizes have between
                   consecutive domains (median; `proteinweaver.domains.trends`); not asked where
                   domains are to stay apart
`compact`          radius of gyration at most 1.2 of the native trend; not asked where domains are
                   to stay apart
=================  ===============================================================================

and every wish (`proteinweaver.generation.wishes`). A chain with generated domains also meets the
checks of a single domain (`proteinweaver.generation.quality`); the insides of given domains are
the user's own.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from proteinweaver.domains.trends import native_contacts, native_gyration
from proteinweaver.generation.closing import linker_bonds
from proteinweaver.generation.jobs import DesignPlan
from proteinweaver.generation.quality import Verdict, judge
from proteinweaver.generation.wishes import DesignWishes, measure_wishes

__all__ = ["DRIFT", "assess"]

#: Largest CA-RMSD (A) of a domain from its input, by mode.
DRIFT = {"rigid": 0.5, "adapt": 1.0, "free": float("inf")}
_BOND, _BOND_ROOM = 1.329, 0.1
_CONTACT_SHARE, _GYRATION = 0.5, 1.2
#: Checks of single domains that a chain with generated domains meets too.
_OF_GENERATED = ("ca_ok", "cn_ok", "no_ca_clash", "rama_ok", "phi_negative", "hydrogen_bonds")


def assess(
    plan: DesignPlan,
    wishes: DesignWishes,
    coord: NDArray[np.float32],
    domain: NDArray[np.int64],
    break_after: NDArray[np.bool_],
    inputs: Sequence[NDArray[np.float32]],
) -> Verdict:
    """Judge an assembled chain.

    Parameters
    ----------
    plan : DesignPlan
        What was asked for.
    wishes : DesignWishes
        Its wishes.
    coord : ndarray, dtype=float32, shape=(L, 4, 3)
        The design, angstrom.
    domain : ndarray, dtype=int, shape=(L,)
        0 in linkers, 1..k in domains.
    break_after : ndarray, dtype=bool, shape=(L,)
        True where a residue is not bonded to the next one.
    inputs : sequence of ndarray, shape=(n, 4, 3)
        The domains as they entered.

    Returns
    -------
    Verdict
    """
    lengths = [len(segment) for segment in plan.domains]
    expected = 0.0 if wishes.apart else native_contacts(lengths)
    verdict = judge(coord, domain, break_after, inputs, expected_contacts=expected)
    if not verdict.checks["finite"]:
        return verdict
    found = dict(verdict.metrics)
    generated = any(source.generated for source in plan.sources)
    checks = {
        name: met
        for name, met in verdict.checks.items()
        if name in ("finite", "unbroken") or (generated and name in _OF_GENERATED)
    }
    reasons: dict[str, str] = {}

    def note(name: str, met: bool, text: str) -> None:
        checks[name] = met
        if not met:
            reasons[name] = text

    modes = [plan.sources[segment.source].mode for segment in plan.domains]
    drift = [found.get(f"domain_rmsd_{k}", 0.0) for k in range(1, len(modes) + 1)]
    moved = [
        f"domain {k} ({mode}) moved by {value:.2f} A, at most {DRIFT[mode]:g}"
        for k, (mode, value) in enumerate(zip(modes, drift, strict=True), start=1)
        if value > DRIFT[mode]
    ]
    held = any(mode != "free" for mode in modes)
    if held and found.get("domains_mirrored", 0.0) > 0:
        moved.append("a domain is mirrored")
    note("domains_kept", not moved, "; ".join(moved))
    if len(modes) > 1:
        clashes = found["interdomain_clashes"]
        note("no_clash", clashes == 0, f"{clashes:.0f} CA pairs of two domains under 3.0 A")
        bonds, _ = linker_bonds(coord, domain)
        worst = float(np.abs(bonds - _BOND).max(initial=0.0))
        found["linker_bond_off"] = worst
        note("linker_bonds", worst <= _BOND_ROOM, f"a C-N bond is off by {worst:.2f} A")
        ca = np.asarray(coord[:, 1], dtype=np.float64)
        gyration = float(np.sqrt(((ca - ca.mean(0)) ** 2).sum(-1).mean()))
        found["gyration_share"] = gyration / native_gyration(plan.length)
        found["contact_share"] = found["interface_contacts"] / native_contacts(lengths)
        if not wishes.apart:
            share = found["contact_share"]
            note("enough_contacts", share >= _CONTACT_SHARE, f"{share:.2f} of native contacts")
            size = found["gyration_share"]
            note("compact", size <= _GYRATION, f"radius of gyration {size:.2f} of the trend")
    findings = measure_wishes(plan, wishes, coord)
    return Verdict(
        {**found, **findings.metrics},
        {**checks, **findings.checks},
        verdict.score,
        {**reasons, **findings.reasons},
    )
