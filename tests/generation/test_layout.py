"""Domains that begin from a layout of their own."""

from dataclasses import replace

import numpy as np
import pytest

from proteinweaver.errors import UserError
from proteinweaver.evaluation.critic import load_critic, soundness_of
from proteinweaver.generation import domain_stage
from proteinweaver.generation.choice import PAIRING, domain_worth
from proteinweaver.generation.commands import generate
from proteinweaver.generation.config import GenerateConfig
from proteinweaver.generation.domain_stage import DomainRequest, LayoutDraw, sample_domains
from proteinweaver.generation.layout_stage import draw_layouts
from proteinweaver.generation.model import has_model, load_model
from proteinweaver.generation.quality import judge
from proteinweaver.generation.sampling import NoiseKey, Sampling
from proteinweaver.generation.settings import SamplerConfig
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.hbonds import hydrogen_bonds

HELICES = "L" + "H" * 14 + "LLL" + "H" * 14 + "LL"
FEW = SamplerConfig(num_steps=3)


@pytest.fixture(scope="module")
def models(tiny_weights):
    return load_model("domain", tiny_weights, "cpu"), load_model("layout", tiny_weights, "cpu")


def requests(*blueprints):
    return [
        DomainRequest(len(text), NoiseKey(3, "x", k, "domain1"), text)
        for k, text in enumerate(blueprints)
    ]


def test_a_layout_decides_where_a_domain_begins(models):
    domain, layout = models
    draw = LayoutDraw(layout, Sampling(num_steps=4), 0.4)
    asked = requests(HELICES, "L" * 20, HELICES)
    sampling = Sampling(num_steps=10)
    free = sample_domains(domain, asked, sampling, close=False)
    led = sample_domains(domain, asked, sampling, layout=draw, close=False)
    # one call a step, one at the end, and one more to have an estimate to begin with
    assert [s.calls for s in free] == [12, 12, 12]
    assert [s.calls for s in led] == [4 + 2 + 4 + 2, 12, 4 + 2 + 4 + 2]
    np.testing.assert_array_equal(led[1].coord, free[1].coord)  # no element: no layout
    assert np.abs(led[0].coord - free[0].coord).max() > 0.5
    assert np.abs(led[0].coord - led[2].coord).max() > 0.5  # another key, another layout
    alone = sample_domains(domain, asked[2:], sampling, layout=draw, close=False)
    np.testing.assert_array_equal(alone[0].coord, led[2].coord)
    colder = replace(draw, sampling=Sampling(num_steps=4, step_scale=3.0))
    other = sample_domains(domain, asked[:1], sampling, layout=colder, close=False)
    assert np.abs(other[0].coord - led[0].coord).max() > 0.1


def test_in_a_batch(models):
    domain, layout = models
    draw, sampling = LayoutDraw(layout, Sampling(num_steps=3), 0.5), Sampling(num_steps=6)
    asked = requests(HELICES, HELICES + "LLEEEELLLLEEEE")
    together = sample_domains(domain, asked, sampling, layout=draw, batch_size=2, close=False)
    for k, one in enumerate(asked):
        alone = sample_domains(domain, [one], sampling, layout=draw, close=False)[0]
        np.testing.assert_allclose(together[k].coord, alone.coord, atol=1e-3)


def test_from_the_config(tiny_weights, tmp_path):
    fields = {"n": 1, "weights": str(tiny_weights), "device": "cpu", "close": False}
    fields |= {"blueprint": HELICES, "layout_sampler": FEW, "domain_sampler": FEW}
    led, free = (generate(**fields, layout_t=t).designs[0] for t in (0.4, 1.0))
    assert led.calls > free.calls
    assert np.abs(led.backbone.coord - free.backbone.coord).max() > 0.5
    for stage in ("domain.safetensors", "domain.json"):  # weights of one's own without layouts
        (tmp_path / stage).write_bytes((tiny_weights / stage).read_bytes())
    assert has_model("layout", tiny_weights) and not has_model("layout", tmp_path)
    own = generate(**{**fields, "weights": str(tmp_path)}).designs[0]
    np.testing.assert_array_equal(own.backbone.coord, free.backbone.coord)
    for t in (0.0, 1.2):
        with pytest.raises(UserError, match=r"layout_t is .*; give 0.05 to 1"):
            GenerateConfig(layout_t=t)


def test_of_several_candidates_the_best_is_kept(models):
    """Bonds are open: closing random chains would enlarge the rounding of a batch too far."""
    domain, layout = models
    draw, sampling = LayoutDraw(layout, Sampling(num_steps=4), 0.4), Sampling(num_steps=10)
    asked = requests(HELICES, "L" * 20, HELICES + "LL" + HELICES)
    single = sample_domains(domain, asked, sampling, layout=draw, close=False)
    three = [replace(one, candidates=3) for one in asked]
    kept = sample_domains(domain, three, sampling, layout=draw, close=False)
    assert [s.calls for s in kept] == [s.calls for s in single]  # one call for all three
    for best, one in zip(kept, single, strict=True):
        worth = domain_worth([best.coord, one.coord], closed=False)
        (passes, value), (one_passes, one_value) = worth
        # equal but for the batch's rounding, or better
        assert passes > one_passes or (passes == one_passes and value >= one_value - 1e-2)
    assert any(np.abs(a.coord - b.coord).max() > 0.1 for a, b in zip(kept, single, strict=True))
    alone = sample_domains(domain, three[2:], sampling, layout=draw, close=False)[0]
    np.testing.assert_array_equal(alone.coord, kept[2].coord)


def test_every_candidate_begins_at_a_layout_of_its_own(models, monkeypatch):
    domain, layout = models
    seen = []

    def spy(*args):
        seen.append(draw_layouts(*args))
        return seen[-1]

    monkeypatch.setattr(domain_stage, "draw_layouts", spy)
    draw, sampling = LayoutDraw(layout, Sampling(num_steps=4), 0.4), Sampling(num_steps=10)
    asked = requests(HELICES)
    for count in (1, 3):
        sample_domains(
            domain, [replace(asked[0], candidates=count)], sampling, layout=draw, close=False
        )
    one, three = (start.trans for start, _ in seen)
    assert (len(one), len(three)) == (1, 3)
    np.testing.assert_allclose(three[0], one[0], atol=1e-2)
    assert min(float((three[k] - three[0]).abs().max()) for k in (1, 2)) > 1.0


def test_candidates_are_judged_by_the_critic_and_by_paired_strands(models, monkeypatch):
    domain, _ = models
    request = replace(requests(HELICES)[0], candidates=4)
    seen = []

    def last(chains, closed):
        seen.append((len(chains), closed))
        return list(range(len(chains)))

    monkeypatch.setattr(domain_stage, "domain_worth", last)
    four = sample_domains(domain, [request], Sampling(num_steps=3), close=False)[0]
    assert seen == [(4, False)]
    key = request.candidate_keys()[3]
    other = sample_domains(
        domain, [replace(request, key=key, candidates=1)], Sampling(3), close=False
    )
    np.testing.assert_allclose(four.coord, other[0].coord, atol=1e-2)


def test_worth(helix, coil):
    """The critic's logit and paired strands; the score where bonds are open; nothing for NaN."""
    broken = np.full_like(coil, np.nan)
    worth = domain_worth([helix, broken, coil], closed=True)
    for chain, value in zip((helix, coil), worth[::2], strict=True):
        backbone = Backbone.from_coord(chain)
        logit = soundness_of([backbone], load_critic())[0].logit
        acceptor = hydrogen_bonds(chain)
        far = np.abs(acceptor - np.arange(len(chain))) > 5
        paired = (far & (acceptor >= 0)).mean()
        assert value == (judge(chain).passes, pytest.approx(logit + PAIRING * paired, abs=1e-3))
    assert worth[1] == (False, -np.inf)
    assert domain_worth([coil], closed=False) == [(judge(coil).passes, judge(coil).score)]


def test_from_the_command(tiny_weights):
    fields = {"length": 40, "n": 2, "weights": str(tiny_weights), "device": "cpu", "seed": 5}
    fields |= {"layout_sampler": FEW, "domain_sampler": FEW}
    kept, first = (generate(**fields, domain_candidates=k).designs for k in (3, 1))
    assert any(
        np.abs(a.backbone.coord - b.backbone.coord).max() > 0.1
        for a, b in zip(kept, first, strict=True)
    )
