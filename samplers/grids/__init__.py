"""Where the time points go.

`fixed` has the textbook clocks, by name; `density` one clock with a free density of points, fitted
to a model, a sampler and a budget by the modules beside it: `refine` (by the error at the end),
`equidistribute` (by step doubling) and `shortest_path` (by dynamic programming). The three need
runs of a sampler, which itself needs this package: import them by their module.
"""

from samplers.grids.density import DensityClock
from samplers.grids.fixed import GRIDS, Grid, check, make

__all__ = ["GRIDS", "DensityClock", "Grid", "check", "make"]
