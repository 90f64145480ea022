"""Controls for the tables of generated domains: what a trivial method scores in the same columns.

- natives with Gaussian noise on every atom: local geometry broken, fold kept;
- natives with a smooth displacement along the chain: local geometry nearly kept, packing broken;
- glued fragments: native nine-residue torsion fragments chained at random with ideal bonds and
  angles. A *null generator*: perfect in every local column, without a fold.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from proteinweaver.evaluation.torsions import backbone_torsions
from proteinweaver.structure.ideal import build_backbone

__all__ = ["add_noise", "add_smooth_noise", "glued_fragments"]

FloatArray = NDArray[np.float64]

# Residues. Smooth noise of 2 and 4 A then leaves 86% and 54% of the CA-CA distances in range.
_SMOOTHING = 6.0


def add_noise(coord: ArrayLike, sigma: float, rng: np.random.Generator) -> FloatArray:
    """Add independent Gaussian noise to every atom.

    Parameters
    ----------
    coord : array_like, shape=(L, 4, 3)
        Angstrom.
    sigma : float
        Standard deviation along each axis (angstrom).
    rng : Generator

    Returns
    -------
    ndarray, dtype=float64, shape=(L, 4, 3)
    """
    xyz = np.asarray(coord, dtype=np.float64)
    return xyz + sigma * rng.standard_normal(xyz.shape)


def add_smooth_noise(coord: ArrayLike, rms: float, rng: np.random.Generator) -> FloatArray:
    """Shift whole residues by a random field that is smooth along the chain.

    Parameters
    ----------
    coord : array_like, shape=(L, 4, 3)
        Angstrom.
    rms : float
        Expected root mean square of the displacement (angstrom).
    rng : Generator

    Returns
    -------
    ndarray, dtype=float64, shape=(L, 4, 3)
    """
    xyz = np.asarray(coord, dtype=np.float64)
    reach = int(4 * _SMOOTHING)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _SMOOTHING) ** 2)
    kernel /= np.sqrt((kernel**2).sum())
    white = rng.standard_normal((3, len(xyz) + 2 * reach))
    field = np.stack([np.convolve(axis, kernel, mode="valid") for axis in white], axis=-1)
    return xyz + rms / np.sqrt(3.0) * field[:, None, :]


def glued_fragments(
    pool: Sequence[ArrayLike],
    length: int,
    number: int,
    rng: np.random.Generator,
    fragment: int = 9,
) -> NDArray[np.float32]:
    """Chains of random native torsion fragments with ideal bonds and angles.

    Parameters
    ----------
    pool : sequence of array_like, shape=(L_k, 4, 3)
        Native chains without breaks (angstrom), longer than ``fragment`` + 2.
    length : int
        Residues of every chain.
    number : int
        Chains to make.
    rng : Generator
    fragment : int, optional
        Residues of a fragment.

    Returns
    -------
    ndarray, dtype=float32, shape=(number, length, 4, 3)
        Angstrom.

    Raises
    ------
    ValueError
        If no chain of the pool is long enough.
    """
    chains = [chain for chain in map(np.asarray, pool) if len(chain) >= fragment + 2]
    if not chains:
        raise ValueError(f"no chain of the pool has {fragment + 2} residues")
    torsions = [np.stack(backbone_torsions(chain)) for chain in chains]
    # every residue of the pool that can begin a fragment is equally likely
    starts = np.array([len(chain) - fragment - 1 for chain in chains], dtype=np.float64)
    pieces = -(-length // fragment)
    which = rng.choice(len(chains), size=(number, pieces), p=starts / starts.sum())
    angles = np.empty((number, 3, pieces * fragment))
    for row in range(number):
        for column, chain in enumerate(which[row]):
            first = 1 + int(rng.integers(0, int(starts[chain])))
            window = torsions[chain][:, first : first + fragment]
            angles[row, :, column * fragment : (column + 1) * fragment] = window
    phi, psi, omega = torch.from_numpy(angles[:, :, :length]).unbind(dim=1)
    return build_backbone(phi, psi, omega).numpy().astype(np.float32)
