"""Which domains are drawn together while an assembly is sampled, and how far."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from proteinweaver.diffusion.wishes import Bound, Wishes
from proteinweaver.domains.trends import native_contacts
from proteinweaver.generation.assembly_stage import AssemblyRequest, Inside
from proteinweaver.structure.ideal import ideal_element
from samplers.noise import NoiseKey

HELIX = ideal_element("H", 60).numpy().astype(np.float32)
KEY = NoiseKey(0, "x", 0, "assembly")


def request(**fields) -> AssemblyRequest:
    """Three domains of 60, 50 and 60 residues with linkers of 10 and none."""
    insides = (Inside(70, HELIX[:50]), Inside(0, HELIX), Inside(120, HELIX))
    return AssemblyRequest(180, insides, KEY, **fields)


def counts(asked: AssemblyRequest) -> list[tuple[int, int, int]]:
    """First residues and contacts of every interface."""
    found = asked.wishes(asked.condition()).interfaces
    return [(int(one.a[0]), int(one.b[0]), one.contacts) for one in found]


def test_neighbours_along_the_chain_are_drawn_to_native_contacts():
    asked = request(contact_share=1.5)
    expected = round(1.5 * native_contacts([60, 50]))
    assert expected > 5
    assert counts(asked) == [(0, 70, expected), (70, 120, expected)]
    assert counts(request(contact_share=0.0)) == []


@pytest.mark.parametrize("change", ["apart", "varied", "free", "group"])
def test_not_where_contacts_are_unwanted_or_decided(change):
    asked = request()
    one, two, three = asked.insides
    if change == "apart":
        bound = Bound(torch.arange(60), torch.arange(70, 120), lower=15.0)
        assert counts(replace(asked, bounds=(bound,))) == []
    elif change == "varied":
        start = np.zeros((180, 4, 3), dtype=np.float32)
        assert len(counts(replace(asked, start=start, start_t=0.3))) == 2
        varied = replace(asked, start=start, start_t=0.3, contact_share=0.0)
        assert varied.wishes(varied.condition()) == Wishes()
    elif change == "free":
        free = replace(asked, insides=(replace(one, mode="free"), two, three))
        assert counts(free) == []
    else:
        kept = (replace(one, group=1), replace(two, group=1), three)
        assert [pair[:2] for pair in counts(replace(asked, insides=kept))] == [(70, 120)]


def test_tethers_hold_linkers_and_wishes_take_more_rounds():
    asked = request()
    plain = asked.wishes(asked.condition())
    ends = [(int(bound.a[0]), int(bound.b[0])) for bound in plain.bounds]
    assert ends == [(59, 70), (119, 120)]
    assert all(bound.lower == 0 for bound in plain.bounds)
    contact = replace(asked, bounds=(Bound(torch.arange(5), torch.arange(70, 75), upper=7.0),))
    assert contact.wishes(contact.condition()).rounds > plain.rounds
