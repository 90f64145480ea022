"""The same design comes out the same: alone, in a batch, in a shard, after a kill and resume."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from proteinweaver.generation import run as run_module
from proteinweaver.generation.commands import design
from proteinweaver.generation.config import DesignConfig
from proteinweaver.generation.settings import SamplerConfig
from proteinweaver.io.manifest import read_manifest
from proteinweaver.io.read import read_backbone


@pytest.fixture(scope="module")
def config(tiny_weights: Path) -> DesignConfig:
    """Three small designs; not closed, because closing untrained tangles takes long."""
    few = SamplerConfig(num_steps=3)
    return DesignConfig(
        length=76,
        domains=2,
        linker=("6-9",),
        n=3,
        name="x",
        device="cpu",
        close=False,
        weights=str(tiny_weights),
        domain_sampler=few,
        assembler_sampler=few,
    )


@pytest.fixture(scope="module")
def reference(config: DesignConfig) -> dict[str, np.ndarray]:
    return coords(config)


def coords(config: DesignConfig) -> dict[str, np.ndarray]:
    return {d.name: d.backbone.coord for d in design(config).designs}


def written(folder: Path) -> dict[str, np.ndarray]:
    files = sorted((folder / "designs").glob("*.pdb"))
    return {file.stem: read_backbone(file).coord for file in files}


def test_in_a_batch(config, reference):
    again = coords(replace(config, batch_size=3))
    assert again.keys() == reference.keys()
    for name, coord in again.items():
        np.testing.assert_allclose(coord, reference[name], atol=1e-3)


def test_fewer_designs_are_the_first_ones(config, reference):
    alone = coords(replace(config, n=1))
    assert list(alone) == ["x_s0_0000"]
    np.testing.assert_allclose(alone["x_s0_0000"], reference["x_s0_0000"], atol=1e-3)


def test_in_a_shard(config, reference):
    second = coords(replace(config, shard="2/2"))
    assert list(second) == ["x_s0_0001"]
    np.testing.assert_allclose(second["x_s0_0001"], reference["x_s0_0001"], atol=1e-3)


def test_other_seeds_and_names_are_other_designs(config, reference):
    first = reference["x_s0_0000"]
    for changed in (replace(config, n=1, seed=1), replace(config, n=1, name="y")):
        (coord,) = coords(changed).values()
        assert coord.shape == first.shape
        assert np.abs(coord - first).max() > 1.0


def test_killed_and_resumed(config, reference, tmp_path, monkeypatch):
    """A kill after the first design; the same request goes on and ends with the same files."""
    out = tmp_path / "run"
    asked = replace(config, out=str(out))
    append = run_module.RunFolder.write
    count = []

    def killed(self, line, files):
        append(self, line, files)
        count.append(line["name"])
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module.RunFolder, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        design(asked)
    monkeypatch.undo()
    assert list(read_manifest(out)) == count
    result = design(asked)
    assert result.finished == 1
    assert len(result.designs) == 2
    found = written(out)
    assert found.keys() == reference.keys()
    for name, coord in found.items():
        np.testing.assert_allclose(coord, reference[name], atol=1e-3)
    assert design(asked).designs == ()


def test_shards_fill_one_folder(config, reference, tmp_path):
    for part in (1, 2):
        design(replace(config, out=str(tmp_path / "run"), shard=f"{part}/2"))
    found = written(tmp_path / "run")
    assert found.keys() == reference.keys()
    for name, coord in found.items():
        np.testing.assert_allclose(coord, reference[name], atol=1e-3)
    rows = (tmp_path / "run/metrics.csv").read_text().splitlines()
    assert len(rows) == 1 + len(reference)
    assert [row.split(",")[0] for row in rows[1:]] == ["1", "2", "3"]


def test_a_larger_n_goes_on(config, reference, tmp_path):
    design(replace(config, out=str(tmp_path / "run"), n=1))
    result = design(replace(config, out=str(tmp_path / "run")))
    assert (result.finished, len(result.designs)) == (1, 2)
    assert written(tmp_path / "run").keys() == reference.keys()
