"""The hairpins of the library are paired strands, and blueprints take them where they fit."""

import numpy as np
import pytest

from proteinweaver.domains.hairpins import hairpin_loops, ideal_hairpin
from proteinweaver.generation.condition import pieces_of_blueprint
from proteinweaver.structure.hbonds import hydrogen_bonds


@pytest.mark.parametrize("loop", hairpin_loops())
def test_a_hairpin_has_the_lengths_asked_for_and_is_paired(loop):
    rng = np.random.default_rng(0)
    for _ in range(5):
        coord = ideal_hairpin(5, loop, 5, rng)
        assert coord is not None
        assert coord.shape == (10 + loop, 4, 3)
        peptide = np.linalg.norm(coord[1:, 0] - coord[:-1, 2], axis=-1)
        assert (np.abs(peptide - 1.33) < 0.12).all()
        acceptor = hydrogen_bonds(coord)
        donor = np.flatnonzero(acceptor >= 0)
        assert (np.abs(donor - acceptor[donor]) >= loop).sum() >= 2


def test_there_is_no_hairpin_with_an_endless_arm_or_loop():
    rng = np.random.default_rng(0)
    assert ideal_hairpin(40, 4, 5, rng) is None
    assert ideal_hairpin(5, 30, 5, rng) is None


def test_a_blueprint_takes_hairpins_only_with_a_generator():
    text = "LLL" + "E" * 5 + "LLLL" + "E" * 6 + "LLL" + "H" * 12 + "LL"
    single = pieces_of_blueprint(text)
    assert [(p.start, len(p.coord)) for p in single] == [(3, 5), (12, 6), (21, 12)]
    welded = pieces_of_blueprint(text, np.random.default_rng(0))
    assert [(p.start, len(p.coord)) for p in welded] == [(3, 15), (21, 12)]
    again = pieces_of_blueprint(text, np.random.default_rng(0))
    assert all(np.array_equal(a.coord, b.coord) for a, b in zip(welded, again, strict=True))
