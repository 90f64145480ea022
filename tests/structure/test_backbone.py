"""`Backbone`: immutable, checked at birth, and honest about breaks."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proteinweaver.structure.backbone import Backbone, chain_breaks


def line(n: int, step: float = 3.3) -> np.ndarray:
    """n residues in a row: C of one and N of the next are step - 2 apart."""
    residue = np.array([[0, 0, 0], [1, 1, 0], [2, 0, 0], [2, 1.2, 0]], dtype=float)
    return residue + np.arange(n)[:, None, None] * np.array([step, 0, 0])


def test_defaults_of_a_generated_backbone():
    backbone = Backbone.from_coord(line(4), name="x")
    assert len(backbone) == 4
    assert backbone.sequence == "GGGG"
    assert backbone.resnum.tolist() == [1, 2, 3, 4]
    assert backbone.chain_names == ("A",)
    assert not backbone.break_after.any()
    assert backbone.coord.dtype == np.float32
    assert backbone.ca.tolist() == line(4)[:, 1].astype(np.float32).tolist()


def test_arrays_are_private_and_read_only():
    coord = line(3)
    backbone = Backbone.from_coord(coord)
    coord[:] = 7.0
    assert backbone.coord.max() < 10
    for field in ("coord", "aatype", "resnum", "icode", "chain", "domain", "break_after"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(backbone, field)[0] = 0
    with pytest.raises(AttributeError):
        backbone.name = "y"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"coord": np.zeros((3, 3, 3))}, "not \\(L, 4, 3\\)"),
        ({"coord": np.zeros((0, 4, 3))}, "no residues"),
        ({"aatype": [0, 1, 21]}, "0..20"),
        ({"aatype": [0, 1, -1]}, "0..20"),
        ({"aatype": [0.0, 1.0, 2.0]}, "integer"),
        ({"resnum": [1, 2]}, "shape"),
        ({"icode": ["", "AB", ""]}, "longer than 1"),
        ({"chain": ["A", "A", "ABCDE"]}, "longer than 4"),
        ({"chain": ["A", "B", "B"]}, "where the chain ends"),
        ({"chain": ["A", "B", "A"], "break_after": [1, 1, 0]}, "not consecutive"),
        ({"domain": [0, 1, -1]}, "domain"),
        ({"break_after": [False, False, True]}, "last residue"),
    ],
)
def test_contradictions_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Backbone.from_coord(line(3)).replace(**change)


def test_sequence_and_aatype_exclude_each_other():
    assert Backbone.from_coord(line(3), sequence="mkx").sequence == "MKX"
    with pytest.raises(ValueError, match="not both"):
        Backbone.from_coord(line(3), sequence="MKX", aatype=[1, 2, 3])


def test_breaks_from_geometry():
    coord = np.concatenate([line(3), line(2) + 50.0])
    assert chain_breaks(coord).tolist() == [False, False, True, False, False]
    coord[1, 2] = np.nan
    assert chain_breaks(coord).tolist() == [False, True, True, False, False]


def test_chain_change_is_a_break():
    backbone = Backbone.from_coord(line(4), chain=["A", "A", "B", "B"])
    assert backbone.break_after.tolist() == [False, True, False, False]
    parts = backbone.split_chains()
    assert [len(part) for part in parts] == [2, 2]
    assert not any(part.break_after.any() for part in parts)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_subset_breaks_exactly_where_neighbours_are_lost(data):
    n = data.draw(st.integers(1, 12))
    breaks = np.array([*data.draw(st.lists(st.booleans(), min_size=n - 1, max_size=n - 1)), False])
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    backbone = Backbone.from_coord(line(n), break_after=breaks, resnum=np.arange(n) * 3 - 5)
    if not keep.any():
        with pytest.raises(ValueError, match="no residues"):
            backbone.subset(keep)
        return
    part = backbone.subset(keep)
    index = np.flatnonzero(keep)
    assert part.resnum.tolist() == (index * 3 - 5).tolist()
    for i, (left, right) in enumerate(pairwise(index)):
        assert part.break_after[i] == (right != left + 1 or breaks[left])
    assert not part.break_after[-1]
    assert backbone.subset(index).resnum.tolist() == part.resnum.tolist()


def test_subset_must_ascend():
    backbone = Backbone.from_coord(line(4))
    with pytest.raises(ValueError, match="ascending"):
        backbone.subset([2, 1])
    with pytest.raises(IndexError):
        backbone.subset([9])
    assert backbone.subset(slice(1, 3)).resnum.tolist() == [2, 3]


def test_finite_and_ca_only():
    coord = line(3)
    assert Backbone.from_coord(coord).is_finite
    coord[:, [0, 2, 3]] = np.nan
    assert Backbone.from_coord(coord).is_ca_only
    coord[1, 1] = np.nan
    assert not Backbone.from_coord(coord).is_ca_only
    assert not Backbone.from_coord(coord).is_finite
