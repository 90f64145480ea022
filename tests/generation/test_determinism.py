"""The same design comes out the same: alone, in a batch, in a shard, after a kill and resume."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from proteinweaver.generation import run as run_module
from proteinweaver.generation.commands import design
from proteinweaver.generation.config import DesignConfig
from proteinweaver.generation.run import run_designs
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
        layout_sampler=few,
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


def kill_after_one_design(monkeypatch, asked):
    """Run a request and die when its first design is written; returns the names written."""
    write = run_module.RunFolder.write
    names = []

    def killed(self, line, files):
        write(self, line, files)
        names.append(line["name"])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_module.RunFolder, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            design(asked)
    return names


def test_killed_and_resumed(config, reference, tmp_path, monkeypatch):
    """A kill after the first design; the same request goes on and ends with the same files."""
    out = tmp_path / "run"
    asked = replace(config, out=str(out))
    names = kill_after_one_design(monkeypatch, asked)
    assert list(read_manifest(out)) == names
    result = design(asked)
    assert result.finished == 1
    assert len(result.designs) == result.woven == 2
    found = written(out)
    assert found.keys() == reference.keys()
    for name, coord in found.items():
        np.testing.assert_allclose(coord, reference[name], atol=1e-3)
    assert design(asked).designs == ()


def content(folder):
    """Everything a run folder says, but how long it took."""
    files = {p.name: p.read_text() for p in (folder / "designs").glob("*.pdb")}
    for side in (folder / "designs").glob("*.json"):
        files[side.name] = {k: v for k, v in json.loads(side.read_text()).items() if k != "timing"}
    with (folder / "metrics.csv").open() as table:
        rows = [{k: v for k, v in row.items() if k != "total_s"} for row in csv.DictReader(table)]
    return files, rows


def test_shards_killed_and_resumed_are_one_run(config, tmp_path, monkeypatch):
    """The first of two shards dies, the second ends, the first goes on: files and table of one."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    design(replace(config, out=str(whole)))
    first, second = (replace(config, out=str(parts), shard=f"{i}/2") for i in (1, 2))
    assert kill_after_one_design(monkeypatch, first) == ["x_s0_0000"]
    assert design(second).woven == 1
    assert len(content(parts)[1]) == 2, "a table of what there is"
    again = run_designs(first, keep=False)
    assert (again.finished, again.woven, again.designs) == (1, 1, ())
    assert content(parts) == content(whole)
    assert design(replace(config, out=str(parts))).finished == 3, "unsharded, nothing is left"
    assert design(replace(config, out=str(parts), shard="3/3")).finished == 1


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
