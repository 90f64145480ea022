r"""Predictor-correctors with one call per step: UniPC ([1]_).

``unipc<p>`` is UniP-p with UniC-p: p past predictions predict, p + 1 correct, and the order is
p + 1. Its coefficients solve the full system of [1]_ (theorem 3.1), whose solution is the exact
exponential weights of the interpolation polynomial and does not depend on B(h); the shortcut
a = 1/2 of published codes at p = 1 and 2 is not taken.

References
----------
.. [1] W. Zhao et al., "UniPC: a unified predictor-corrector framework for fast sampling of
   diffusion models", NeurIPS 2023, arXiv:2302.04867.
"""

from __future__ import annotations

from samplers.steppers.multistep import Multistep

__all__ = ["SAMPLERS"]

SAMPLERS = tuple(
    Multistep(name=f"unipc{nodes}_{kind}", nodes=nodes, kind=kind, corrector=True)
    for nodes in (1, 2, 3)
    for kind in ("x0", "eps", "v")
)
