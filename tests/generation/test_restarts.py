"""Noise added to a result and taken away again."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from proteinweaver.errors import UserError
from proteinweaver.generation.condition import condition_for, pieces_of_blueprint
from proteinweaver.generation.model import load_model
from proteinweaver.generation.sampling import NoiseKey, Sampling, Start, sample_backbones
from proteinweaver.generation.settings import SamplerConfig
from proteinweaver.structure.frames import frames_from_coord

BLUEPRINT = "LL" + "H" * 12 + "LLL" + "EEEEE" + "LL"
KEYS = [NoiseKey(1, "x", 0, "domain1")]


@pytest.fixture(scope="module")
def model(tiny_weights):
    return load_model("domain", tiny_weights, "cpu")


@pytest.fixture(scope="module")
def condition():
    return condition_for(len(BLUEPRINT), pieces_of_blueprint(BLUEPRINT), BLUEPRINT)


def test_a_restart_is_a_partial_diffusion_of_the_result(model, condition):
    sampling = Sampling(num_steps=10)
    first = sample_backbones(model, condition, KEYS, sampling, trajectory=True)
    again = replace(sampling, restarts=2, restart_t=0.4)
    twice = sample_backbones(model, condition, KEYS, again, trajectory=True)
    coord, calls = first.coord, first.calls
    for number in range(2):
        rot, trans = frames_from_coord(coord[0])
        key = KEYS[0].with_stage(f"domain1-restart{number}")
        begin = Start(rot[None], (trans - trans.mean(0))[None], 0.4)
        shorter = replace(sampling, num_steps=4)
        more = sample_backbones(model, condition, [key], shorter, start=begin)
        coord, calls = more.coord, calls + more.calls
    np.testing.assert_allclose(twice.coord, coord, atol=2e-3)
    assert twice.calls == calls == 12 + 2 * 6
    assert len(twice.noisy) == len(twice.clean) == 11 + 5 + 5
    assert torch.equal(twice.clean[len(first.clean) - 1], first.coord)
    assert (twice.coord - first.coord).abs().max() > 0.1


def test_a_restart_never_begins_above_the_run(model, condition):
    begin = Start(*(x[None] for x in frames_from_coord(torch.randn(24, 4, 3))), 0.2)
    low, high = (
        sample_backbones(
            model,
            condition,
            KEYS,
            Sampling(num_steps=4, restarts=1, restart_t=t),
            start=begin,
        )
        for t in (0.2, 0.9)
    )
    assert torch.equal(low.coord, high.coord) and low.calls == high.calls


def test_refusals():
    for fields, says in (
        ({"restarts": -1}, "restarts is -1"),
        ({"restart_t": 0.0}, "restart_t is"),
    ):
        with pytest.raises(UserError, match=says):
            SamplerConfig(**fields)
