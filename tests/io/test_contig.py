"""Contigs: what each term means, and round trips."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proteinweaver.errors import UserError
from proteinweaver.io.contig import ContigDomain, parse_contig


def test_two_given_domains_and_a_linker() -> None:
    contig = parse_contig("A10-120/15/B5-90")
    assert [domain.selection for domain in contig.domains] == ["A10-120", "B5-90"]
    assert contig.linkers == ((15, 15),)


def test_numbers_are_linkers_after_domains_and_domains_after_linkers() -> None:
    contig = parse_contig("80/10-20/A/0/60-70")
    assert contig.domains == (
        ContigDomain(length=(80, 80)),
        ContigDomain("A"),
        ContigDomain(length=(60, 70)),
    )
    assert contig.linkers == ((10, 20), (0, 0))
    assert [domain.is_given for domain in contig.domains] == [False, True, False]


def test_neighbours_are_joined_directly() -> None:
    assert parse_contig("A1-50/B-3-60").linkers == ((0, 0),)


def test_insertion_codes_and_long_chain_names() -> None:
    assert parse_contig("AA10A-120B/5/H:1-9").domains[0].selection == "AA10A-120B"


bounds = st.tuples(st.integers(1, 99), st.integers(0, 40)).map(lambda p: (p[0], p[0] + p[1]))
domains = st.sampled_from(["A10-120", "B", "C5-9"]) | bounds.map(lambda p: f"{p[0]}-{p[1]}")


@given(st.lists(st.tuples(domains, bounds), min_size=1, max_size=6))
def test_written_and_read_again(terms) -> None:
    text = "/".join(f"{domain}/{low}-{high}" for domain, (low, high) in terms) + "/Z"
    contig = parse_contig(text)
    assert parse_contig(str(contig)) == contig
    assert contig.linkers == tuple(linker for _, linker in terms)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty term"),
        ("A10-120/", "empty term"),
        ("A10-120/15", "ends with a linker"),
        ("A10-120/x!/B", "'x!' is no term"),
        ("A10-120/20-10/B", "runs backwards"),
        ("A10-120/0 B5-90", "breaks the chain"),
        ("0/5/A", "a domain of 0 residues"),
        ("A10-120/15/-5", "'-5' is no term"),
    ],
)
def test_one_line_for_what_cannot_be_read(text, message) -> None:
    with pytest.raises(UserError, match=message):
        parse_contig(text)
