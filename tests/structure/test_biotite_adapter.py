"""The adapter hides which biotite is installed, and loads it late."""

import subprocess
import sys

import numpy as np
import pytest

from proteinweaver.structure import biotite_adapter
from proteinweaver.structure.biotite_adapter import annotate_sse


def helix_ca(n: int) -> np.ndarray:
    """CA of an ideal right-handed alpha helix: 100 degrees and 1.5 A a residue, radius 2.3 A."""
    angle = np.deg2rad(100.0) * np.arange(n)
    return np.stack([2.3 * np.cos(angle), 2.3 * np.sin(angle), 1.5 * np.arange(n)], axis=-1)


def strand_ca(n: int) -> np.ndarray:
    """CA of an ideal flat strand: 3.3 A a residue, pleated by 0.9 A."""
    i = np.arange(n)
    return np.stack([3.3 * i, 0.9 * (-1.0) ** i, 0.0 * i], axis=-1)


def test_ideal_elements_are_recognised():
    """biotite 2 returns integers: comparing those with letters would call every helix coil."""
    helix = annotate_sse(helix_ca(20))
    assert helix.dtype == np.dtype("<U1")
    assert "".join(helix).strip("c") == "a" * (20 - list(helix).count("c"))
    assert (helix == "a").sum() >= 16
    strand = annotate_sse(strand_ca(12))
    assert (strand == "b").sum() >= 8
    assert not (strand == "a").any()


def test_mirror_image_is_no_helix():
    """Only the right-handed helix meets P-SEA's torsion; distances alone still may."""
    mirrored = helix_ca(20) * np.array([1.0, 1.0, -1.0])
    right, left = annotate_sse(helix_ca(20)), annotate_sse(mirrored)
    assert (right == "a").sum() >= (left == "a").sum()


def test_short_broken_and_missing():
    assert "".join(annotate_sse(helix_ca(5))) == "ccccc"
    whole = annotate_sse(helix_ca(24))
    breaks = np.zeros(24, dtype=bool)
    breaks[[3, 7, 11, 15, 19]] = True
    assert (whole == "a").sum() > (annotate_sse(helix_ca(24), breaks) == "a").sum()
    gap = helix_ca(24)
    gap[12] = np.nan
    assert annotate_sse(gap)[12] == "c"
    with pytest.raises(ValueError, match="shape"):
        annotate_sse(np.zeros((4, 4, 3)))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (np.array(["a", "b", "c", "", "a", "b", "c"]), "abccabc"),  # biotite 1
        (np.array([1, 2, 0, -1, 1, 2, 0]), "abccabc"),  # biotite 2
    ],
)
def test_both_versions_give_letters(monkeypatch, raw, expected):
    import biotite.structure

    monkeypatch.setattr(biotite.structure, "annotate_sse", lambda atoms: raw)
    assert "".join(annotate_sse(helix_ca(7))) == expected


def test_importing_the_reader_does_not_load_biotite():
    code = "import sys, proteinweaver.io.read, proteinweaver.structure.biotite_adapter as a;"
    code += "sys.exit('biotite' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == 0
    assert biotite_adapter.parent_of.cache_info().maxsize == 4096
