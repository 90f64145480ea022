"""All cheap numbers of one design in a flat dictionary, for side files and ranking.

Milliseconds per design; nothing here folds a sequence or looks at other designs.
"""

from dataclasses import asdict, fields

import numpy as np
from numpy.typing import ArrayLike

from proteinweaver.evaluation.assembly import assembly_metrics
from proteinweaver.evaluation.geometry import ChainMetrics, chain_metrics
from proteinweaver.structure.backbone import Backbone

__all__ = ["metrics_of"]


def metrics_of(
    design: Backbone | ArrayLike,
    *,
    domain: ArrayLike | None = None,
    inputs: ArrayLike | None = None,
    break_after: ArrayLike | None = None,
) -> dict[str, float]:
    """Measure one design.

    Parameters
    ----------
    design : Backbone or array_like, shape=(L, 4, 3)
        The design; coordinates in angstrom.
    domain : array_like, dtype=int, shape=(L,), optional
        0 in linkers, 1..k in domains. Default: the labels of the backbone.
    inputs : array_like, shape=(L, 4, 3), optional
        The domains that were given, each in any pose; for the drift.
    break_after : array_like, dtype=bool, shape=(L,), optional
        True where the next residue is known not to be bonded. Default: the breaks of the backbone.

    Returns
    -------
    dict of str to float
        The fields of `ChainMetrics`, and ``finite`` (1 or 0). With two or more domains also
        ``domains``, ``linkers``, ``linkers_closed``, ``linkers_feasible``, ``linker_ok`` (1 or 0),
        ``interface_contacts``, ``interface_residues``, ``interdomain_clashes``,
        ``linker_clashes``, ``domains_touching``; with ``inputs`` also ``domain_rmsd_1`` ..
        ``domain_rmsd_k``, ``domain_rmsd_max`` and ``domains_mirrored``. NaN where a number is not
        defined, and everywhere if a coordinate is not finite.

    Raises
    ------
    ValueError
        If a shape does not fit.
    """
    if isinstance(design, Backbone):
        coord = np.asarray(design.coord, dtype=np.float64)
        domain = design.domain if domain is None else domain
        break_after = design.break_after if break_after is None else break_after
    else:
        coord = np.asarray(design, dtype=np.float64)
    finite = bool(np.isfinite(coord).all())
    if finite:
        found = {
            key: float(value) for key, value in asdict(chain_metrics(coord, break_after)).items()
        }
    else:
        found = {field.name: float("nan") for field in fields(ChainMetrics)}
        found["length"] = float(len(coord))
    found["finite"] = float(finite)
    label = (
        np.zeros(len(coord), np.int64) if domain is None else np.asarray(domain, dtype=np.int64)
    )
    count = len(np.unique(label[label > 0]))
    if count == 0 or (count == 1 and inputs is None):
        return found
    parts = assembly_metrics(
        np.nan_to_num(coord), label, None if inputs is None else np.asarray(inputs)
    )
    numbers: dict[str, float] = {
        "domains": parts.domains,
        "linkers": parts.linkers,
        "linkers_closed": parts.linkers_closed,
        "linkers_feasible": parts.linkers_feasible,
        "linker_ok": parts.linker_ok,
        "interface_contacts": parts.contacts,
        "interface_residues": parts.interface_residues,
        "interdomain_clashes": parts.clashes,
        "linker_clashes": parts.linker_clashes,
        "domains_touching": parts.touching,
    }
    if inputs is not None:
        numbers |= {f"domain_rmsd_{k}": value for k, value in enumerate(parts.drift, start=1)}
        numbers |= {"domain_rmsd_max": parts.drift_max, "domains_mirrored": parts.mirrored}
    found |= {key: float(value) if finite else float("nan") for key, value in numbers.items()}
    return found
