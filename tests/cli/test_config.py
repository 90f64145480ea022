"""Composing configs: defaults, overrides, flags, and how a mistake reads."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
import yaml

from proteinweaver.cli.config import compose, config_dir
from proteinweaver.errors import UserError
from proteinweaver.generation.config import AssembleConfig, DesignConfig, GenerateConfig
from proteinweaver.generation.sampling import Sampling
from proteinweaver.generation.settings import SamplerConfig, assembler_sampler, domain_sampler


def test_without_words_the_defaults_of_the_dataclass_hold():
    assert compose("generate", GenerateConfig) == GenerateConfig()


def test_defaults_live_in_one_place():
    """The sampler config and what the sampling function takes cannot drift apart."""
    theirs = {field.name: field.default for field in fields(Sampling)}
    assert {field.name: field.default for field in fields(SamplerConfig)} == theirs


def test_overrides_and_flags():
    words = ["domain_sampler.num_steps=7", "length=120"]
    flags = {"length": 300, "n": 4, "seed": None, "assembler_sampler.grid": "uniform"}
    config = compose("design", DesignConfig, words, flags)
    assert (config.length, config.n, config.seed) == (120, 4, 0)
    assert config.domain_sampler == replace(domain_sampler(), num_steps=7)
    assert config.assembler_sampler == assembler_sampler()


def test_paths_with_odd_characters_pass_as_flags():
    flags = {"domain": ["a b=c,d.pdb:A1-5", "${x}.cif"], "out": "x y/{z}"}
    config = compose("assemble", AssembleConfig, (), flags)
    assert config.domain == ("a b=c,d.pdb:A1-5", "${x}.cif")
    assert config.out == "x y/{z}"


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("lenght=3", "unknown key 'lenght'; did you mean 'length'?"),
        ("domain_sampler.num_step=3", "did you mean 'domain_sampler.num_steps'?"),
        ("+extra=1", "unknown key 'extra'"),
        ("domain_sampler.extra.deep=1", "domain_sampler.extra.deep"),
        ("sampler@domain_sampler=defualt", "did you mean 'default'?"),
        ("length=abc", "length is 'abc', not a whole number"),
        ("length=1.5", "length is 1.5, not a whole number"),
        ("domain_sampler=ddim", "not a group of keys"),
        ("length=1,2", "length"),
        ("n=[1", "cannot read override"),
        ("hydra.run.dir=x", "no effect here"),
        ("domain_sampler.churn=${nothing}", "nothing"),
        ("domain_sampler.step_scale=0", "step_scale is 0"),
        ("domain_sampler.num_steps=0", "num_steps is 0"),
    ],
)
def test_mistakes_are_one_line(word, says):
    with pytest.raises(UserError) as caught:
        compose("generate", GenerateConfig, [word])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_yaml_of_the_tree_is_read():
    """No file of the tree is broken YAML, and every sampler recipe fits its schema."""
    files = sorted(config_dir().rglob("*.yaml"))
    assert files
    for file in files:
        yaml.safe_load(file.read_text())
    for file in (config_dir() / "sampler").glob("*.yaml"):
        words = [f"sampler@domain_sampler={file.stem}"]
        assert isinstance(compose("generate", GenerateConfig, words), GenerateConfig)


def test_the_tree_is_found_beside_the_package(repo: Path):
    assert config_dir() == repo / "configs"
