"""A smooth Ramachandran log-density.

``ln p(phi, psi)`` is a periodic bicubic B-spline through a 72 x 72 table (every 5 degrees), twice
continuously differentiable in both angles. The table is the Top8000 density of general residues
(no Gly, Pro, Ile, Val, pre-Pro; maximum 1), slightly smoothed; outside the 0.02 contour it falls
with the distance from it, so that the slope points to an allowed region from everywhere.
``scripts/build_rama_table.py`` made it.

References
----------
Lovell et al. 2003, Proteins 50, 437 (the density and its 0.02 contour); the Top8000 set of the
Richardson laboratory.
"""

import json
import math
from functools import cache
from importlib.resources import files

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["rama_log_density", "rama_slopes"]

_NODES = 72


def _spline_coefficients(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the periodic bicubic B-spline that takes ``values`` at the nodes; its coefficients."""
    size = values.shape[0]
    # the B-spline is 2/3 at its node and 1/6 at the two next: a circulant system, diagonal in
    # Fourier space
    gain = 2 / 3 + np.cos(2 * np.pi * np.arange(size) / size) / 3
    spectrum = np.fft.fft2(values) / gain[:, None] / gain[None, :]
    return np.ascontiguousarray(np.fft.ifft2(spectrum).real)


@cache
def _coefficients() -> Tensor:
    """Flat spline coefficients, float64, shape=(72 * 72,)."""
    text = files("proteinweaver.structure").joinpath("rama_general.json").read_text()
    rows = [[int(word) for word in row.split()] for row in json.loads(text)["table"]]
    table = np.array(rows, dtype=np.float64) / 100
    if table.shape != (_NODES, _NODES):
        raise ValueError(f"rama_general.json holds a table of shape {table.shape}, not (72, 72)")
    return torch.from_numpy(_spline_coefficients(table).reshape(-1))


def _weights(angle: Tensor) -> tuple[Tensor, Tensor]:
    """Find the four nodes around ``angle`` and their weights, shape=(..., 4) each."""
    position = (angle + math.pi) * (_NODES / (2 * math.pi))
    node = position.detach().floor()
    u = position - node
    v = 1 - u
    u2, v2 = u * u, v * v
    weight = torch.stack(
        (v2 * v / 6, (4 - 6 * u2 + 3 * u2 * u) / 6, (4 - 6 * v2 + 3 * v2 * v) / 6, u2 * u / 6),
        dim=-1,
    )
    offset = torch.arange(-1, 3, device=angle.device)
    return (node.long()[..., None] + offset) % _NODES, weight


def rama_log_density(phi: Tensor, psi: Tensor) -> Tensor:
    """Smooth log density of backbone torsions of general residues.

    Parameters
    ----------
    phi, psi : Tensor, shape=(...)
        Radians; any multiple of 2 pi may be added.

    Returns
    -------
    Tensor, shape=(...)
        ``ln p`` with p about 1 at the alpha-helical maximum; -3.9 is the 0.02 contour.

    Examples
    --------
    >>> import torch
    >>> phi, psi = torch.tensor([-1.1, 0.0]), torch.tensor([-0.75, -1.5])  # helix, clash
    >>> [round(value) for value in rama_log_density(phi, psi).tolist()]
    [0, -7]
    """
    row, row_weight = _weights(phi)
    column, column_weight = _weights(psi)
    table = _coefficients().to(phi)
    values = table[row[..., :, None] * _NODES + column[..., None, :]]
    return ((values @ column_weight[..., None])[..., 0] * row_weight).sum(-1)


def _spline(angle: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Nodes around angles of shape (n,), (4, n), and weights and their slopes, (2, 4, n)."""
    position = (angle + math.pi) * (_NODES / (2 * math.pi))
    node = np.floor(position)
    u = position - node
    v = 1 - u
    u2, v2 = u * u, v * v
    weight = (v2 * v, 4 - 6 * u2 + 3 * u2 * u, 4 - 6 * v2 + 3 * v2 * v, u2 * u)
    slope = (-3 * v2, 9 * u2 - 12 * u, 12 * v - 9 * v2, 3 * u2)
    scale = _NODES / (2 * math.pi)
    both = np.array((weight, slope)) / 6
    both[1] *= scale
    return (node.astype(np.int64) + np.arange(-1, 3)[:, None]) % _NODES, both


def rama_slopes(
    phi: NDArray[np.float64], psi: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Give what `rama_log_density` gives, with its derivatives and without autograd.

    Parameters
    ----------
    phi, psi : ndarray, shape=(n,)
        Radians.

    Returns
    -------
    value, by_phi, by_psi : ndarray, shape=(n,)
    """
    (row, rows), (column, columns) = _spline(phi), _spline(psi)
    values = _coefficients().numpy()[row[:, None] * _NODES + column]
    across = (values * columns[:, None]).sum(2)  # over columns, by weights and by slopes
    value: NDArray[np.float64] = (across[0] * rows[0]).sum(0)
    return value, (across[0] * rows[1]).sum(0), (across[1] * rows[0]).sum(0)
