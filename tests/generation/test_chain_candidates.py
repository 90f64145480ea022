"""A chain, or its linkers between found poses, is drawn several times, and the best is kept."""

from dataclasses import replace

import numpy as np
import pytest

from proteinweaver import assemble
from proteinweaver.errors import UserError
from proteinweaver.evaluation.critic import load_critic, soundness_of
from proteinweaver.evaluation.stretches import Stretches
from proteinweaver.generation import chain_stage
from proteinweaver.generation.checks import assess
from proteinweaver.generation.choice import chain_worth
from proteinweaver.generation.config import AssembleConfig
from proteinweaver.generation.jobs import resolve_jobs
from proteinweaver.generation.quality import judge
from proteinweaver.generation.settings import SamplerConfig
from proteinweaver.generation.weave import make_kit
from proteinweaver.generation.wishes import resolve_wishes
from proteinweaver.io.pdb import pdb_text
from proteinweaver.structure.backbone import Backbone


@pytest.fixture(scope="module")
def fields(tiny_weights, tmp_path_factory) -> dict:
    """Two native stretches of fifty residues with their types, to be joined by few steps."""
    stretches = Stretches.shipped()
    folder, files = tmp_path_factory.mktemp("domains"), []
    for number, start in enumerate(stretches.starts(50)[[1000, 9000]]):
        coord = np.zeros((50, 4, 3), dtype=np.float32)
        coord[:, :3] = stretches.coord[start : start + 50]
        coord[:, 3] = coord[:, 2] + np.float32(0.7)
        kinds = stretches.kind[start : start + 50].astype(np.uint8)
        files.append(folder / f"native{number}.pdb")
        files[-1].write_text(pdb_text(Backbone.from_coord(coord, aatype=kinds)))
    steps = SamplerConfig(num_steps=20, repulsion=0.3)
    return {
        "domain": tuple(map(str, files)), "linker": (9,), "weights": str(tiny_weights),
        "device": "cpu", "assembler_sampler": steps,
    }  # fmt: skip


def watched(monkeypatch, name: str) -> list:
    """What every call of a function of the stage comes to return."""
    seen, function = [], getattr(chain_stage, name)

    def spy(*args, **kwargs):
        seen.append(function(*args, **kwargs))
        return seen[-1]

    monkeypatch.setattr(chain_stage, name, spy)
    return seen


def logit(backbone) -> float:
    return soundness_of([backbone], load_critic(), [True])[0].logit


def test_the_best_of_several_draws_is_kept(fields, monkeypatch):
    seen = watched(monkeypatch, "assemble_poses")
    monkeypatch.setattr(chain_stage, "_TURNS", 1)
    (single,) = assemble(**fields, chain_candidates=1).designs
    (kept,) = assemble(**fields, chain_candidates=4).designs
    assert single.found is not None and kept.found is not None
    assert [len(drawn) for drawn in seen] == [1, 4]
    np.testing.assert_array_equal(kept.found.coord, single.found.coord)  # one pose for all
    drawn = seen[1]
    np.testing.assert_allclose(drawn[0].coord, single.backbone.coord, atol=1e-2)
    linkers = np.stack([one.coord[50:59, 1] for one in drawn])
    assert np.abs(linkers[1:] - linkers[0]).max(axis=(1, 2)).min() > 0.1
    plan, label = kept.plan, kept.backbone.domain.astype(int)
    worth = []
    for one in drawn:
        backbone = replace(kept.backbone, coord=one.coord)
        inputs = [part.coord for part in kept.parts]
        verdict = assess(
            plan, resolve_wishes(plan), one.coord, label, backbone.break_after, inputs
        )
        worth.append((all(verdict.checks.values()), logit(backbone)))
    assert np.array_equal(kept.backbone.coord, drawn[worth.index(max(worth))].coord)
    assert len(set(worth)) == 4
    open_one = assemble(**fields, chain_candidates=3, close=False).designs[0]
    scores = [judge(one.coord, label, None, inputs).score for one in seen[-1]]
    assert len(seen[-1]) == 3 and np.isfinite(scores).all()
    assert any(np.array_equal(open_one.backbone.coord, one.coord) for one in seen[-1])
    assert kept.calls == single.calls  # one call for all four
    assert kept.timing["assembly_s"] > drawn[0].seconds


@pytest.mark.parametrize(
    ("worths", "turns", "best"),  # of the best draw of every turn
    [
        ([(True, 0.0)], 1, 0),
        ([(False, 9.0), (True, 0.0)], 2, 1),
        ([(False, 1.0), (False, 3.0), (False, 2.0)], 3, 1),  # then the best of what there is
        ([(False, 3.0), (False, 1.0), (False, 2.0)], 3, 0),
    ],
)
def test_where_no_draw_meets_all_checks_more_are_drawn(fields, monkeypatch, worths, turns, best):
    seen = watched(monkeypatch, "chain_draws")

    def told(backbones, *_):
        return [(False, -1.0), worths[len(seen) - 1]]  # the second draw is the better one

    monkeypatch.setattr(chain_stage, "chain_worth", told)
    few = {**fields, "assembler_sampler": SamplerConfig(num_steps=3, repulsion=0.3)}
    (design,) = assemble(**few).designs
    assert len(seen) == turns
    assert np.array_equal(design.backbone.coord, seen[best][0][1].coord)
    assert design.calls == turns * seen[0][0][0].calls
    assert design.timing["assembly_s"] > sum(own.seconds for turn in seen for own in turn[0])
    assert len({own.coord.tobytes() for turn in seen for own in turn[0]}) == 2 * turns


def test_only_what_fails_is_drawn_again(fields, monkeypatch):
    turns, chain_draws = [], chain_stage.chain_draws
    sound = iter([True, False, False, False, True])  # of three designs the second never passes

    def spy(*args):
        turns.append(args[-1] if isinstance(args[-1], int) else 0)
        return chain_draws(*args)

    monkeypatch.setattr(chain_stage, "chain_draws", spy)
    few = {**fields, "assembler_sampler": SamplerConfig(num_steps=3, repulsion=0.3), "n": 3}
    for fixed in ({"chain_candidates": 1}, {"close": False}):  # open bonds fail in any draw
        turns.clear()
        assemble(**few, **fixed)
        assert turns == [0, 0, 0]
    turns.clear()
    monkeypatch.setattr(
        chain_stage, "chain_worth", lambda own, *_: [(next(sound), 0.0)] * len(own)
    )
    assemble(**few)
    assert turns == [0, 0, 1, 2, 0]


def test_the_critic_is_named_where_it_may_choose(fields):
    """Its hash is part of what a run is, so only where it has a say."""
    fine = {"device": "cpu", "domain_candidates": 1}
    given = {**fields, **fine}

    def named(**more) -> bool:
        config = AssembleConfig(**{**given, **more})
        return "critic" in make_kit(config, resolve_jobs(config)).settings["weights"]

    assert named()
    assert not named(chain_candidates=1)
    assert named(domain=("40", "40"))
    assert not named(close=False)


def test_from_noise_all_of_the_chain_is_drawn(fields, monkeypatch):
    seen = watched(monkeypatch, "assemble_domains")
    monkeypatch.setattr(chain_stage, "_TURNS", 1)
    few = {**fields, "poses": "noise", "assembler_sampler": SamplerConfig(num_steps=3)}
    one, kept = (assemble(**few, chain_candidates=k).designs[0] for k in (1, 3))
    assert one.found is None
    single, drawn = (found for found in seen if found)
    assert [len(single), len(drawn)] == [1, 3]
    np.testing.assert_allclose(drawn[0].coord, single[0].coord, atol=1e-2)
    assert np.abs(np.diff([own.coord for own in drawn], axis=0)).max(axis=(1, 2, 3)).min() > 1.0
    assert any(np.array_equal(kept.backbone.coord, own.coord) for own in drawn)
    assert kept.calls == one.calls


def test_what_passes_comes_before_what_the_critic_likes():
    chain = np.zeros((60, 4, 3), dtype=np.float32)
    stretches = Stretches.shipped()
    start = int(stretches.starts(60)[2000])
    chain[:, :3] = stretches.coord[start : start + 60]
    chain[:, 3] = chain[:, 2] + np.float32(0.7)
    rng = np.random.default_rng(0)
    shaken = chain + rng.normal(0, 0.3, chain.shape).astype(np.float32)
    lost = np.full_like(chain, np.nan)
    backbones = [Backbone.from_coord(one) for one in (chain, shaken, lost)]
    fine = replace(judge(chain), checks={"finite": True})
    failed = replace(fine, checks={"finite": True, "no_clash": False})
    worth = chain_worth(backbones, [fine, fine, failed], closed=True)
    assert worth[0] > worth[1] > worth[2] == (False, -np.inf)
    worth = chain_worth(backbones, [failed, fine, failed], closed=True)
    assert worth[1] > worth[0] > worth[2]
    assert chain_worth(backbones[:1], [fine], closed=False) == [(True, fine.score)]


def test_no_draw_at_all_is_refused():
    with pytest.raises(UserError, match="chain_candidates is 0; draw at least 1"):
        AssembleConfig(domain=("a.pdb", "b.pdb"), chain_candidates=0)


@pytest.mark.parametrize("tries", [0, 17])
def test_poses_that_are_not_there_are_refused(tries):
    with pytest.raises(UserError, match=f"pose_tries is {tries}; take 1 to 16"):
        AssembleConfig(domain=("a.pdb", "b.pdb"), pose_tries=tries)
