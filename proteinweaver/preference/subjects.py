"""What a reward looks at: one design with its domain labels and the domains it was made from."""

from dataclasses import dataclass
from functools import cached_property
from math import exp

import numpy as np
from numpy.typing import NDArray

from proteinweaver.evaluation.assembly import AssemblyMetrics, assembly_metrics
from proteinweaver.evaluation.geometry import ChainMetrics, chain_metrics
from proteinweaver.structure.backbone import Backbone

__all__ = ["Subject"]


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to ``low``, 1 from ``high``, linear between; 1 for what cannot be counted."""
    return 1.0 if np.isnan(value) else float(np.clip((value - low) / (high - low), 0.0, 1.0))


@dataclass(frozen=True, eq=False)
class Subject:
    """A design to be scored; what several rewards need is measured once.

    Parameters
    ----------
    backbone : Backbone
        Labels 1..k in domains, 0 in linkers.
    inputs : ndarray, shape=(L, 4, 3), optional
        The domains that were given, each in any pose, at their residues; NaN in linkers.
    """

    backbone: Backbone
    inputs: NDArray[np.float32] | None = None

    @property
    def name(self) -> str:
        """Name of the design."""
        return self.backbone.name

    @property
    def is_finite(self) -> bool:
        """Whether every coordinate is a number."""
        return self.backbone.is_finite

    @cached_property
    def chain(self) -> ChainMetrics:
        """Geometry of the chain."""
        return chain_metrics(self.backbone.coord, self.backbone.break_after)

    @cached_property
    def parts(self) -> AssemblyMetrics:
        """Measures between and inside its domains."""
        return assembly_metrics(self.backbone.coord, self.backbone.domain, self.inputs)

    @property
    def junctions(self) -> int:
        """Number of domains less one."""
        return len(np.unique(self.backbone.domain[self.backbone.domain > 0])) - 1

    @cached_property
    def wholeness(self) -> float:
        """How far the chain is one that could exist, from 0 to 1; 1 for sound natives.

        A product over peptide bonds, CA steps, breaks, overlaps, torsions and collapse, each with
        the limit of `proteinweaver.evaluation.gate` as the value from which it no longer matters.
        Rewards that ask for *more* of something are multiplied by it, so that nothing can be
        bought with broken bonds or by falling in.
        """
        m = self.chain
        shares = (
            _ramp(m.cn_ok, 0.5, 0.90)
            * _ramp(m.ca_ok, 0.7, 0.95)
            * _ramp(m.rama_ok, 0.3, 0.78)
            * _ramp(m.min_ca, 2.0, 3.0)
            * _ramp(m.rg_ratio, 0.6, 0.8)
        )
        return shares * exp(-m.chain_breaks - max(0.0, m.clash_36 - 2.0) / 2.0)
