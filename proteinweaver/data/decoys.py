"""Compact, clash-free chains in torsion space: the forge of the critic's negatives.

A chain of native steps (`proteinweaver.structure.torsion_chain`) is pushed, by changes of phi and
psi alone, to be free of clashes and as compact as asked, while a spring holds every torsion near
where it was. Bonds, angles, omega and most of the Ramachandran plot stay native, so a network that
tells the result from a native must look at the arrangement.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from proteinweaver.structure.torsion_chain import TorsionChain

__all__ = ["Bonds", "Relaxation", "bonds_of", "relax", "superposed"]

FloatArray = NDArray[np.float64]

#: Closest distances (angstrom) of N, CA, C, O, CB of residues three or more apart; 0 is not asked.
_CLOSEST = np.array(
    [
        [3.2, 3.5, 3.5, 2.75, 3.4],
        [3.5, 3.9, 3.7, 3.15, 3.8],
        [3.5, 3.7, 3.7, 3.1, 3.6],
        [2.75, 3.15, 3.1, 2.9, 3.1],
        [3.4, 3.8, 3.6, 3.1, 3.8],
    ]
)
_USED = np.array([0, 1, 3, 4])  # C lies between CA and O and is left out

#: Distances by which a hydrogen bond is held: atoms (N, CA, C, O) of donor and acceptor.
_HELD = ((0, 3), (0, 2), (1, 3))
_LONGEST_BOND, _LEAST_ANGLE = 3.5, 110.0  # N..O in angstrom, C=O..N in degrees
_BOND_SPRING = 3.0  # per square angstrom


@dataclass(frozen=True)
class Bonds:
    """Hydrogen bonds between backbone atoms.

    Parameters
    ----------
    donor, acceptor : ndarray, dtype=int64, shape=(B,)
        Residues whose N and whose O are bonded.
    distance : ndarray, dtype=float64, shape=(B, 3)
        N..O, N..C and CA..O in angstrom.
    """

    donor: NDArray[np.int64]
    acceptor: NDArray[np.int64]
    distance: FloatArray

    def inside(self, start: int, stop: int) -> "Bonds":
        """Those with both residues in ``start`` to ``stop - 1``, counted from ``start``."""
        low = np.minimum(self.donor, self.acceptor)
        kept = (low >= start) & (np.maximum(self.donor, self.acceptor) < stop)
        return Bonds(self.donor[kept] - start, self.acceptor[kept] - start, self.distance[kept])

    def behind(self, count: int) -> "Bonds":
        """Give the same ones with ``count`` residues put before them."""
        return Bonds(self.donor + count, self.acceptor + count, self.distance)


@dataclass(frozen=True)
class Relaxation:
    """What a chain is pushed to.

    Parameters
    ----------
    rg : float
        Radius of gyration of the CA to reach (angstrom); 0 leaves it alone.
    stiffness : ndarray, dtype=float64, shape=(L,)
        Of the springs on both torsions, per square radian.
    target : ndarray, dtype=float64, shape=(L, 3), optional
        Places the CA are drawn to (after superposition).
    bonds : Bonds, optional
        Hydrogen bonds to hold.
    push : float
        Strength of the push against clashes.
    steps : int
        Iterations at most.
    """

    rg: float
    stiffness: FloatArray
    target: FloatArray | None = None
    bonds: Bonds | None = None
    push: float = 1.0
    steps: int = 100


def superposed(mobile: FloatArray, fixed: FloatArray) -> FloatArray:
    """Place points by the rotation and shift that bring them nearest to others (Kabsch 1976)."""
    a, b = mobile - mobile.mean(0), fixed - fixed.mean(0)
    u, _, vt = np.linalg.svd(a.T @ b)
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    placed: FloatArray = a @ (u @ flip @ vt) + fixed.mean(0)
    return placed


def _clashes(
    atoms: FloatArray, closest: NDArray[np.float32], far: NDArray[np.bool_]
) -> tuple[float, FloatArray]:
    """Sum of (d0 - d)^2 over pairs closer than d0, and its derivative."""
    flat = atoms[:, _USED].reshape(-1, 3)
    x = (flat - flat.mean(0)).astype(np.float32)
    size = (x * x).sum(-1)
    square = size[:, None] + size[None] - 2.0 * (x @ x.T)
    i, j = np.nonzero((square < closest) & far)
    difference = flat[i] - flat[j]
    distance = np.maximum(np.linalg.norm(difference, axis=-1), 1e-3)
    depth = np.maximum(np.sqrt(closest[i, j]) - distance, 0.0)
    push = (-2.0 * depth / distance)[:, None] * difference
    gradient = np.zeros_like(flat)
    for k in range(3):
        gradient[:, k] = np.bincount(i, push[:, k], len(flat))
        gradient[:, k] -= np.bincount(j, push[:, k], len(flat))
    found = np.zeros_like(atoms)
    found[:, _USED] = gradient.reshape(len(atoms), len(_USED), 3)
    return float((depth**2).sum()), found


def bonds_of(coord: NDArray[np.floating]) -> Bonds:
    """Find the hydrogen bonds of a backbone by distance and angle.

    Parameters
    ----------
    coord : ndarray, shape=(L, 4, 3)
        N, CA, C, O in angstrom.

    Returns
    -------
    Bonds
        N..O up to 3.5 A, C=O..N at least 110 degrees, two or more residues apart.

    References
    ----------
    Baker & Hubbard 1984, Prog. Biophys. Mol. Biol. 44, 97 (such criteria).
    """
    xyz = np.asarray(coord, dtype=np.float64)
    n, c, o = xyz[:, 0], xyz[:, 2], xyz[:, 3]
    donor, acceptor = np.nonzero(np.linalg.norm(n[:, None] - o[None], axis=-1) < _LONGEST_BOND)
    apart = abs(donor - acceptor) >= 2
    donor, acceptor = donor[apart], acceptor[apart]
    back, on = c[acceptor] - o[acceptor], n[donor] - o[acceptor]
    cosine = (back * on).sum(-1) / np.linalg.norm(back, axis=-1) / np.linalg.norm(on, axis=-1)
    bonded = cosine < np.cos(np.radians(_LEAST_ANGLE))
    donor, acceptor = donor[bonded], acceptor[bonded]
    away = [np.linalg.norm(xyz[donor, a] - xyz[acceptor, b], axis=-1) for a, b in _HELD]
    return Bonds(donor, acceptor, np.stack(away, axis=-1))


def _stretched(atoms: FloatArray, bonds: Bonds) -> tuple[float, FloatArray]:
    """Energy of the springs on hydrogen bonds, and its derivative."""
    gradient = np.zeros_like(atoms)
    value = 0.0
    for k, (a, b) in enumerate(_HELD):
        difference = atoms[bonds.donor, a] - atoms[bonds.acceptor, b]
        distance = np.maximum(np.linalg.norm(difference, axis=-1), 1e-3)
        off = distance - bonds.distance[:, k]
        value += _BOND_SPRING * float((off**2).sum())
        pull = (2.0 * _BOND_SPRING * off / distance)[:, None] * difference
        np.add.at(gradient[:, a], bonds.donor, pull)
        np.add.at(gradient[:, b], bonds.acceptor, -pull)
    return value, gradient


def relax(
    chain: TorsionChain,
    goal: Relaxation,
    phi: FloatArray | None = None,
    psi: FloatArray | None = None,
) -> FloatArray:
    """Push a chain to its goal by L-BFGS on the torsions.

    Parameters
    ----------
    chain : TorsionChain
    goal : Relaxation
    phi, psi : ndarray, dtype=float64, shape=(L,), optional
        Changes of the torsions to start from and to be held near. Default none.

    Returns
    -------
    ndarray, dtype=float64, shape=(L, 4, 3)
        N, CA, C, O in angstrom. Whether clashes are gone is for the caller to measure.

    References
    ----------
    Byrd et al. 1995, SIAM J. Sci. Comput. 16, 1190 (L-BFGS-B).
    """
    length = len(chain)
    anchor = np.stack(
        (np.zeros(length) if phi is None else phi, np.zeros(length) if psi is None else psi)
    )
    closest = np.tile(_CLOSEST[np.ix_(_USED, _USED)] ** 2, (length, length)).astype(np.float32)
    place = np.repeat(np.arange(length), len(_USED))
    far = place[None] - place[:, None] >= 3

    def energy(flat: FloatArray) -> tuple[float, FloatArray]:
        angle = flat.reshape(2, length)
        atoms = chain.atoms(angle[0], angle[1])
        value, gradient = _clashes(atoms, closest, far)
        value, gradient = goal.push * value, goal.push * gradient
        ca = atoms[:, 1]
        centred = ca - ca.mean(0)
        rg = float(np.sqrt((centred**2).sum(-1).mean()))
        if goal.rg and rg > goal.rg:
            value += length * (rg - goal.rg) ** 2
            gradient[:, 1] += 2.0 * (rg - goal.rg) / rg * centred
        if goal.target is not None:
            away = ca - superposed(goal.target, ca)
            value += 0.15 * float((away**2).sum())
            gradient[:, 1] += 0.3 * away
        if goal.bonds is not None:
            stretch, pull = _stretched(atoms, goal.bonds)
            value += stretch
            gradient += pull
        turned = angle - anchor
        value += float((goal.stiffness * turned**2).sum())
        torque = np.stack(TorsionChain.torques(atoms, gradient)) + 2.0 * goal.stiffness * turned
        return value, torque.ravel()

    found = minimize(
        energy, anchor.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": goal.steps}
    )
    angle = found.x.reshape(2, length)
    return chain.atoms(angle[0], angle[1])[:, :4]
