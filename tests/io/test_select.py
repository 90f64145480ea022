"""``file:A10-120`` and its relatives."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proteinweaver.errors import UserError
from proteinweaver.io.select import select_residues, split_spec
from proteinweaver.structure.backbone import Backbone


def backbone(**chains) -> Backbone:
    """One residue per (number, icode) listed for each chain."""
    residues = [(chain, n) for chain, numbers in chains.items() for n in numbers]
    labels = [(n, "") if isinstance(n, int) else (int(n[:-1]), n[-1]) for _, n in residues]
    return Backbone.from_coord(
        np.zeros((len(residues), 4, 3)),
        chain=[chain for chain, _ in residues],
        resnum=[number for number, _ in labels],
        icode=[icode for _, icode in labels],
    )


def labels(part: Backbone) -> list[str]:
    rows = zip(part.chain.tolist(), part.resnum.tolist(), part.icode.tolist(), strict=True)
    return ["".join(map(str, row)) for row in rows]


TWO = {"A": [*range(-3, 4), "3A", "3B", 4, 8, 9], "B": range(1, 4)}


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("", None),
        ("B", ["B1", "B2", "B3"]),
        ("A2-4", ["A2", "A3", "A3A", "A3B", "A4"]),
        ("A:2-4", ["A2", "A3", "A3A", "A3B", "A4"]),
        ("A3", ["A3", "A3A", "A3B"]),
        ("A3A", ["A3A"]),
        ("A3A-4", ["A3A", "A3B", "A4"]),
        ("A2-3A", ["A2", "A3", "A3A"]),
        ("A-3--1", ["A-3", "A-2", "A-1"]),
        ("A-1-1", ["A-1", "A0", "A1"]),
        ("A-3", ["A-3"]),
        ("A4-8", ["A4", "A8"]),
        ("A-3--2,A4-9", ["A-3", "A-2", "A4", "A8", "A9"]),
        (" A4 , B2-3 ", ["A4", "B2", "B3"]),
        ("A,B", None),
    ],
)
def test_selections(selection, expected):
    whole = backbone(**TWO)
    assert labels(select_residues(whole, selection, "x.pdb")) == (expected or labels(whole))


def test_cut_out_ranges_leave_a_break():
    part = select_residues(backbone(A=range(1, 10)), "A1-3,A5-9", "x.pdb")
    assert np.flatnonzero(part.break_after).tolist() == [2]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ("C", "no chain 'C'; its protein chains are A, B"),
        ("C1-2", "no chain 'C'"),
        ("a", "no chain 'a'"),
        ("A0-10", "outside the file; chain A has residues -3 to 9"),
        ("A-9-2", "outside"),
        ("A9-8", "backwards"),
        ("A5-7", "no residue in 'A5-7'"),
        ("A3C-4", "no residue A3C"),
        ("A1-3,A2-4", "overlaps"),
        ("A8-9,A1-2", "in the order of the file"),
        ("B,A", "in the order of the file"),
        ("A1-", "cannot read|no chain"),
        ("A1-2-3", "cannot read|no chain"),
        ("1-2", "cannot read the selection '1-2'"),
        ("A1 2", "cannot read"),
        (",", "cannot read"),
        ("A,,B", "cannot read"),
    ],
)
def test_what_the_file_does_not_have(selection, message):
    with pytest.raises(UserError, match=message) as caught:
        select_residues(backbone(**TWO), selection, "x.pdb")
    assert "x.pdb" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_alone_in_a_file_of_one_chain():
    assert labels(select_residues(backbone(A=range(1, 9)), "3-5", "x")) == ["A3", "A4", "A5"]
    blank = backbone(**{"": range(1, 9)})
    assert labels(select_residues(blank, "3-5", "x")) == ["3", "4", "5"]


def test_chain_names_of_several_letters_and_digits():
    many = backbone(AA=range(1, 6), B2=range(1, 6), **{"A-2": range(1, 3)})
    assert labels(select_residues(many, "AA2-3", "x")) == ["AA2", "AA3"]
    assert labels(select_residues(many, "B2", "x")) == [f"B2{i}" for i in range(1, 6)]
    assert labels(select_residues(many, "B22-3", "x")) == ["B22", "B23"]
    assert labels(select_residues(many, "A-2", "x")) == ["A-21", "A-22"]


def test_ambiguity_is_refused_and_resolved_by_a_colon():
    both = backbone(A=range(0, 130), A1=range(0, 130))
    with pytest.raises(UserError, match="several ways; write A:10-120 or A1:0-120"):
        select_residues(both, "A10-120", "x")
    assert len(select_residues(both, "A:10-120", "x")) == 111
    assert len(select_residues(both, "A1:0-120", "x")) == 121


@given(st.integers(-50, 50), st.integers(-50, 50))
@settings(max_examples=60, deadline=None)
def test_any_range_of_a_complete_chain(first, last):
    whole = backbone(A=range(-50, 51))
    text = f"A{first}-{last}"
    if first > last:
        with pytest.raises(UserError, match="backwards"):
            select_residues(whole, text, "x")
    else:
        assert select_residues(whole, text, "x").resnum.tolist() == list(range(first, last + 1))


def test_file_names_with_colons(tmp_path):
    odd = tmp_path / "a:b.pdb"
    odd.touch()
    assert split_spec(str(odd)).selection == ""
    parts = split_spec(f"{odd}:A10-20")
    assert (parts.path, parts.selection) == (odd, "A10-20")
    assert split_spec(f"{odd}:A:10-20").selection == "A:10-20"
    (tmp_path / "a:b.pdb:A").touch()
    assert split_spec(f"{odd}:A").path.name == "a:b.pdb:A"  # a file wins


def test_spec_errors(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        split_spec(str(tmp_path / "none.pdb") + ":A")
    with pytest.raises(UserError, match="is a folder"):
        split_spec(str(tmp_path))
    with pytest.raises(UserError, match="is a folder"):
        split_spec(f"{tmp_path}:A")
    with pytest.raises(UserError, match="no such file"):
        split_spec(Path("x.pdb:A"))
    with pytest.raises(UserError, match="no file given"):
        split_spec("  ")
    with pytest.raises(UserError, match="no such file"):
        split_spec("x\0y")
    with pytest.raises(UserError, match="no such file"):
        split_spec("x" * 5000)
    (tmp_path / "x.pdb").touch()
    with pytest.raises(UserError, match="nothing after the colon"):
        split_spec(f"{tmp_path / 'x.pdb'}:")
