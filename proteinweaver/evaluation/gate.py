"""The geometry gate: what every backbone must meet before anything else of it is worth asking.

Limits that at least 95% of native chains meet; they say nothing of the fold. What passes may still
be nonsense: that is what the critic (`proteinweaver.evaluation.critic`) is for.
"""

from proteinweaver.evaluation.geometry import ChainMetrics

__all__ = ["gate_faults", "passes_gate"]

_MIN_CN_OK = 0.90
_MIN_CA_OK = 0.95
_MIN_CA = 3.0  # angstrom
_MAX_CLASH_36 = 2.0  # per 100 residues
_MIN_RAMA_OK = 0.78
_RG = (0.80, 2.00)


def gate_faults(metrics: ChainMetrics) -> tuple[str, ...]:
    """Tell which limits a backbone misses.

    Parameters
    ----------
    metrics : ChainMetrics

    Returns
    -------
    tuple of str
        Names of columns; empty if it passes. What cannot be counted (NaN) is no fault.
    """
    faults = {
        "chain_breaks": metrics.chain_breaks > 0,
        "cn_ok": metrics.cn_ok < _MIN_CN_OK,
        "ca_ok": metrics.ca_ok < _MIN_CA_OK,
        "min_ca": metrics.min_ca < _MIN_CA,
        "clash_36": metrics.clash_36 > _MAX_CLASH_36,
        "rama_ok": metrics.rama_ok < _MIN_RAMA_OK,
        "rg_ratio": metrics.rg_ratio < _RG[0] or metrics.rg_ratio > _RG[1],
    }
    return tuple(name for name, wrong in faults.items() if wrong)


def passes_gate(metrics: ChainMetrics) -> bool:
    """Whether `gate_faults` finds none."""
    return not gate_faults(metrics)
