"""Fold classes of generated domains: spread evenly over the designs of a job."""

import pytest

from proteinweaver.domains.blueprint import FOLDS, fold_class
from proteinweaver.generation.domain_stage import DomainRequest
from samplers.noise import NoiseKey


def classes(seed: int, number: int, stage: str = "domain1") -> list[str]:
    return [
        fold_class(DomainRequest(100, NoiseKey(seed, "d", k, stage)).drawn_blueprint())
        for k in range(number)
    ]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_class_is_there_in_its_share(seed):
    for number in (16, 64):
        found = classes(seed, number)
        for fold, share in zip(FOLDS, (0.20, 0.263, 0.537), strict=True):
            assert abs(found.count(fold) - share * number) < 2.0


@pytest.mark.parametrize("seed", [0, 3])
def test_classes_of_two_domains_of_a_chain_go_together_in_all_ways(seed):
    pairs = []
    for k in range(400):
        one, two = (
            DomainRequest(100, NoiseKey(seed, "d", k, f"domain{d + 1}"), number=d)
            for d in range(2)
        )
        pairs.append((fold_class(one.drawn_blueprint()), fold_class(two.drawn_blueprint())))
    shares = dict(zip(FOLDS, (0.20, 0.263, 0.537), strict=True))
    for one, p in shares.items():
        for two, q in shares.items():
            assert pairs.count((one, two)) / 400 == pytest.approx(p * q, abs=0.02)


def test_seeds_and_domains_of_a_chain_begin_at_places_of_their_own():
    assert len({tuple(classes(seed, 8)) for seed in range(6)}) > 1
    assert classes(0, 8) != classes(0, 8, "domain2")
    assert classes(0, 8) == classes(0, 12)[:8]
