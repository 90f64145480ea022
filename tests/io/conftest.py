"""An ideal helix, and PDB text of it with every irregularity a test asks for."""

from collections.abc import Callable

import numpy as np
import pytest

#: Cylinder coordinates of an alpha helix: radius (A), angle (degrees), height (A) of N, CA, C, O.
_CYLINDER = np.array([[1.55, -28.3, -0.87], [2.28, 0, 0], [1.68, 27.9, 1.03], [2.03, 26.0, 2.22]])


def _helix(n: int) -> np.ndarray:
    angle = np.deg2rad(_CYLINDER[:, 1] + 100.0 * np.arange(n)[:, None])
    radius = _CYLINDER[:, 0]
    height = _CYLINDER[:, 2] + 1.5 * np.arange(n)[:, None]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=-1)


def _atom(
    serial, name, resname, chain, number, xyz, *, altloc=" ", icode=" ", occ="1.00", het=False
):
    record = "HETATM" if het else "ATOM  "
    x, y, z = (f"{v:8.3f}" for v in xyz)
    return (
        f"{record}{serial:5d}  {name:<3}{altloc}{resname:>3} {chain}{number:4d}{icode}   "
        f"{x}{y}{z}{occ:>6}{'10.00':>6}          {name[0]:>2}"
    )


def _pdb(coord, *, chain="A", first=1, resname="ALA", skip=(), icodes=None, het=False):
    """Lines of a chain; `skip` holds (position, atom) that are left out."""
    lines = []
    for i, residue in enumerate(coord):
        for name, xyz in zip(("N", "CA", "C", "O"), residue, strict=True):
            if (i, name) not in skip and np.isfinite(xyz).all():
                icode = icodes[i] if icodes else " "
                lines.append(
                    _atom(
                        len(lines) + 1, name, resname, chain, first + i, xyz, icode=icode, het=het
                    )
                )
    return lines


@pytest.fixture(scope="session")
def helix() -> Callable[[int], np.ndarray]:
    """Coordinates [n, 4, 3] of an ideal helix with proper peptide bonds."""
    return _helix


@pytest.fixture(scope="session")
def atom_line() -> Callable[..., str]:
    """One ATOM or HETATM record."""
    return _atom


@pytest.fixture(scope="session")
def chain_lines() -> Callable[..., list[str]]:
    """ATOM records of a chain."""
    return _pdb


@pytest.fixture
def write(tmp_path):
    """Write lines (or bytes) to a file and return its path."""

    def writer(content, name="x.pdb"):
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text("\n".join([*content, ""]))
        return path

    return writer
