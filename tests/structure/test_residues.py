"""Residue names against the Chemical Component Dictionary."""

from biotite.structure import info

from proteinweaver.structure.biotite_adapter import parent_of
from proteinweaver.structure.residues import (
    NAMES1,
    NAMES3,
    PARENTS,
    UNKNOWN,
    index_of_name3,
    indices_of_sequence,
    sequence_of_indices,
)

#: Names of force fields; the dictionary has ligands or nothing under these codes.
FORCE_FIELD = {"ASH", "CYX", "GLH", "HID", "HIE", "HSD", "HSE", "HSP", "HIP", "CYM", "LYN"}


def test_letters_and_codes_agree_with_the_dictionary():
    assert len(NAMES1) == len(NAMES3) == 21
    for letter, code in zip(NAMES1[:20], NAMES3[:20], strict=True):
        assert info.one_letter_code(code) == letter
        assert NAMES1[index_of_name3(code.lower())] == letter


def test_parents_agree_with_the_dictionary_where_it_knows():
    told = {code: info.one_letter_code(code) for code in PARENTS if code not in FORCE_FIELD}
    known = {code: letter for code, letter in told.items() if letter and letter in NAMES1}
    assert len(known) > 100
    for code, letter in known.items():
        assert NAMES3[NAMES1.index(letter)] == PARENTS[code], code


def test_rare_residues_are_looked_up():
    assert parent_of("MSE") == "MET"
    assert parent_of("4HT") == "TRP"  # not in our own table
    assert "4HT" not in PARENTS
    assert parent_of("HOH") is None
    assert parent_of("HEM") is None
    assert parent_of("???") is None


def test_sequences_go_both_ways():
    assert sequence_of_indices(indices_of_sequence(NAMES1)) == NAMES1
    assert indices_of_sequence("B-").tolist() == [UNKNOWN, UNKNOWN]
    assert index_of_name3("MSE") == NAMES1.index("M")
    assert index_of_name3("XYZ") == UNKNOWN
