"""The geometry gate: what every backbone must meet before anything else of it is worth asking.

Limits that 96% of the valid split's native domains and 90% of its whole chains meet; they say
nothing of the fold. What passes may still be nonsense: that is what the critic
(`proteinweaver.evaluation.critic`) is for.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from proteinweaver.evaluation.geometry import ChainMetrics

__all__ = ["gate_faults", "passes_gate"]

_MIN_CN_OK = 0.90
_MIN_CA_OK = 0.95
_MIN_CA = 3.0  # angstrom
_MAX_CLASH_36 = 2.0  # per 100 residues
_MIN_RAMA_OK = 0.78
_RG = (0.80, 2.00)


def gate_faults(metrics: ChainMetrics | Mapping[str, Any]) -> tuple[str, ...]:
    """Tell which limits a backbone misses.

    Parameters
    ----------
    metrics : ChainMetrics or mapping
        The same columns by name; others are not looked at.

    Returns
    -------
    tuple of str
        Names of columns; empty if it passes. What cannot be counted (NaN) is no fault.
    """
    m = asdict(metrics) if isinstance(metrics, ChainMetrics) else metrics
    faults = {
        "chain_breaks": m["chain_breaks"] > 0,
        "cn_ok": m["cn_ok"] < _MIN_CN_OK,
        "ca_ok": m["ca_ok"] < _MIN_CA_OK,
        "min_ca": m["min_ca"] < _MIN_CA,
        "clash_36": m["clash_36"] > _MAX_CLASH_36,
        "rama_ok": m["rama_ok"] < _MIN_RAMA_OK,
        "rg_ratio": m["rg_ratio"] < _RG[0] or m["rg_ratio"] > _RG[1],
    }
    return tuple(name for name, wrong in faults.items() if wrong)


def passes_gate(metrics: ChainMetrics | Mapping[str, Any]) -> bool:
    """Whether `gate_faults` finds none."""
    return not gate_faults(metrics)
