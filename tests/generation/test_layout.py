"""Domains that begin from a layout of their own."""

from dataclasses import replace

import numpy as np
import pytest

from proteinweaver.errors import UserError
from proteinweaver.evaluation.critic import load_critic, soundness_of
from proteinweaver.generation.commands import generate
from proteinweaver.generation.config import GenerateConfig
from proteinweaver.generation.domain_stage import DomainRequest, LayoutDraw, sample_domains
from proteinweaver.generation.model import has_model, load_model
from proteinweaver.generation.sampling import NoiseKey, Sampling
from proteinweaver.generation.settings import SamplerConfig

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


def test_of_several_candidates_the_soundest_is_kept(tiny_weights):
    """The critic decides where bonds are closed, and the candidates are those of single draws."""
    fields = {"length": 40, "n": 2, "weights": str(tiny_weights), "device": "cpu", "seed": 5}
    fields |= {"layout_sampler": FEW, "domain_sampler": FEW}
    kept = generate(**fields, domain_candidates=3).designs
    first = generate(**fields).designs
    critic = load_critic()
    for best, one in zip(kept, first, strict=True):
        # each alone: in a batch of two, equal chains differ by float rounding
        found = [soundness_of([chain], critic)[0] for chain in (best.backbone, one.backbone)]
        assert found[0].logit >= found[1].logit - 1e-6
        assert best.calls == 3 * one.calls
    assert any(
        np.abs(a.backbone.coord - b.backbone.coord).max() > 0.1
        for a, b in zip(kept, first, strict=True)
    )
