"""Intervals against known values and coverage; tables and sets end to end."""

import json
from dataclasses import replace

import numpy as np
import pytest

from proteinweaver.data.store import StructureItem, StructureStore
from proteinweaver.errors import UserError
from proteinweaver.evaluation.columns import (
    ASSEMBLY_COLUMNS,
    DOMAIN_COLUMNS,
    SET_COLUMNS,
    DomainRow,
    assembly_row,
    domain_summary,
)
from proteinweaver.evaluation.geometry import chain_metrics
from proteinweaver.evaluation.intervals import (
    mean_interval,
    median_interval,
    pair_mean_interval,
    share_interval,
)
from proteinweaver.evaluation.sets import load_set, natives_of_length
from proteinweaver.evaluation.table import render, summarise, to_json
from proteinweaver.evaluation.tasks import native_tasks, task_of
from proteinweaver.io.pdb import pdb_text
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.ideal import ideal_element


def test_wilson_interval_of_textbook_cases():
    found = share_interval([1] * 8 + [0] * 2)
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-4)
    assert share_interval([1] * 64).low == pytest.approx(0.9434, abs=1e-4)
    assert share_interval([]).n == 0


def test_mean_interval_covers_as_it_says():
    """Normal samples of 40: near 95% of the intervals hold the true mean."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        found = mean_interval(rng.standard_normal(40))
        hits += found.low < 0 < found.high
    assert 0.90 <= hits / 200 <= 0.985


def test_median_and_missing_values():
    found = median_interval([1.0, 2.0, np.nan, 9.0])
    assert (found.value, found.n) == (2.0, 3)
    assert found.low <= 2.0 <= found.high
    assert np.isnan(mean_interval([np.nan]).value)
    assert np.isnan(mean_interval([3.0]).low)


def test_pairs_are_as_uncertain_as_their_designs():
    """The mean of u_i + u_j over pairs spreads as twice the mean of u does."""
    rng = np.random.default_rng(1)
    u = rng.standard_normal(60)
    i, j = np.triu_indices(60, 1)
    found = pair_mean_interval(i, j, u[i] + u[j], 60)
    half = 2 * 1.96 * u.std() / np.sqrt(60)
    assert found.value == pytest.approx(2 * u.mean(), abs=1e-12)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.15)


def test_domain_table(coil, helix):
    chains = [Backbone.from_coord(coil), Backbone.from_coord(helix)]
    summary = domain_summary("two", chains, note="by hand")
    text = render([summary], SET_COLUMNS)
    assert text.splitlines()[0].split("|")[2].strip() == "two"
    assert len({len(line) for line in text.splitlines()}) == 1
    helix_share = summary.cells["helix"]
    assert helix_share.n == 2
    assert 0 < summary.cells["tm"].value < 1
    content = json.loads(json.dumps(to_json([summary], SET_COLUMNS, seed=1), allow_nan=False))
    assert content["seed"] == 1
    assert content["sets"][0]["cells"]["ca_ok"]["value"] == 1.0
    assert {column.key for column in DOMAIN_COLUMNS} < set(content["sets"][0]["cells"])


def item(coil: np.ndarray, labels: np.ndarray, breaks: tuple[int, ...] = ()) -> StructureItem:
    length = len(labels)
    copies = -(-length // len(coil))
    coord = np.concatenate([coil + 40.0 * k for k in range(copies)])[:length]
    broken = np.zeros(length, dtype=bool)
    broken[list(breaks)] = True
    return StructureItem("1abc_A'", coord, np.zeros(length, np.uint8), broken, labels, True)


def test_task_widens_the_linker_and_crops_the_tails(coil):
    labels = np.r_[np.zeros(5), np.full(50, 1), np.full(40, 2), np.zeros(7)].astype(np.uint8)
    task = task_of(item(coil, labels))
    assert task.name == "1abc_A-"
    assert len(task) == 90
    assert task.domains == [(0, 47), (53, 90)]
    assert task.linkers == [(47, 53)]
    assert task.first == 5
    np.testing.assert_array_equal(task.coord, item(coil, labels).coord[5:95])


def test_tasks_skip_split_short_and_broken_domains(coil):
    def labels(*runs: tuple[int, int]) -> np.ndarray:
        return np.concatenate([np.full(n, k) for n, k in runs]).astype(np.uint8)

    assert task_of(item(coil, labels((40, 1), (40, 2), (40, 1)))) is None  # discontinuous
    assert task_of(item(coil, labels((40, 1), (25, 2)))) is None  # short
    assert task_of(item(coil, labels((40, 1), (60, 0), (40, 2)))) is None  # far apart
    assert task_of(item(coil, labels((40, 1), (40, 2)), breaks=(20,))) is None
    assert task_of(item(coil, labels((40, 1), (40, 2)), breaks=(39,))) is None
    three = item(coil, labels((40, 1), (40, 2), (40, 3)), breaks=(39,))
    assert task_of(three).first == 40
    assert len(task_of(item(coil, labels((40, 1), (40, 2), (40, 3)))).domains) == 3
    assert len(task_of(item(coil, labels((40, 1), (40, 2), (40, 3))), max_length=90).domains) == 2


def test_assembly_table_shows_what_a_rigid_baseline_lacks(coil):
    labels = np.r_[np.full(50, 1), np.full(40, 2)].astype(np.uint8)
    task = task_of(item(coil, labels))
    hollow = task.coord.copy()
    hollow[47:53] = np.nan
    rows = [assembly_row(task, hollow), assembly_row(task, hollow)]
    summary = summarise("rigid", rows, ASSEMBLY_COLUMNS)
    assert summary.cells["drift"].n == 4  # two domains each
    assert summary.cells["drift"].value == pytest.approx(0, abs=1e-5)
    assert summary.cells["linkers_closed"].n == 0
    assert summary.cells["ca_ok"].n == 0
    lines = {
        line.split("|")[1].strip(): line.split("|")[2].strip()
        for line in render([summary], ASSEMBLY_COLUMNS).splitlines()
    }
    assert lines["linkers closed"] == "-"


def test_sets_are_read_from_folders_runs_and_npz(coil, helix, tmp_path):
    (tmp_path / "run" / "designs").mkdir(parents=True)
    for name, coord in (("b", helix), ("a", coil)):
        text = pdb_text(Backbone.from_coord(coord, name=name))
        (tmp_path / "run" / "designs" / f"{name}.pdb").write_text(text)
        (tmp_path / "run" / "designs" / f"{name}.json").write_text("{}")
    found = load_set(tmp_path / "run")
    assert [(chain.name, len(chain)) for chain in found] == [("a", 60), ("b", 40)]
    np.testing.assert_allclose(found[0].coord, coil, atol=1e-3)
    padded = np.zeros((2, 60, 4, 3))
    padded[0], padded[1, :40] = coil, helix
    np.savez(tmp_path / "set.npz", coord=padded, length=[60, 40])
    assert [len(chain) for chain in load_set(tmp_path / "set.npz")] == [60, 40]


def test_nothing_to_read_is_a_clear_error(tmp_path):
    with pytest.raises(UserError, match="no PDB or mmCIF"):
        load_set(tmp_path)
    np.savez(tmp_path / "x.npz", other=[1])
    with pytest.raises(UserError, match="not an npz with coord"):
        load_set(tmp_path / "x.npz")


@pytest.mark.realdata
def test_native_tasks_of_the_held_out_chains(data_dir):
    tasks = native_tasks(data_dir / "chains.npz", "valid")
    assert len(tasks) >= 25
    assert len({task.name for task in tasks}) == len(tasks)
    flags = [task.annotated for task in tasks]
    assert flags == sorted(flags, reverse=True)
    for task in tasks:
        assert len(task) <= 400
        assert len(task.domains) >= 2
        assert all(stop - start >= 30 for start, stop in task.domains)
        assert all(stop - start >= 6 for start, stop in task.linkers)
        row = assembly_row(task, task.coord)
        assert row.parts.linker_ok, task.name  # natives meet the bars
        assert row.parts.clashes == 0
        assert row.parts.linkers_feasible == row.parts.linkers
    assert len(native_tasks(data_dir / "chains.npz", "valid", n=3)) == 3


@pytest.mark.realdata
def test_natives_are_matched_in_length(data_dir):
    store = StructureStore(data_dir / "domains.npz")
    chosen = natives_of_length(store, ("valid",), 100, n=20)
    assert len(chosen) == 20
    assert all(90 <= len(chain) <= 110 for chain in chosen)
    away = [abs(len(chain) - 100) for chain in chosen]
    assert away == sorted(away)
    more = natives_of_length(store, ("valid", "train"), 100, n=200)
    clusters = dict(zip(store.arrays["ids"].tolist(), store.arrays["cluster40"], strict=True))
    assert len({int(clusters[chain.name]) for chain in more}) == len(more) == 200
    away = [abs(len(chain) - 100) for chain in more]
    assert away == sorted(away)


@pytest.mark.parametrize(
    ("helix", "strand", "fold"),
    [
        (0.6, 0.0, "alpha"),
        (0.0, 0.4, "beta"),
        (0.3, 0.2, "mixed"),
        (0.05, 0.05, "mixed"),
        (0.30, 0.0, None),
        (0.0, 0.15, None),
    ],
)
def test_every_chain_is_of_one_class_of_folds_or_of_none(helix, strand, fold):
    """Thresholds as documented: 5% absent, 30% helix or 15% strand present."""
    coord = ideal_element("H", 12).numpy()
    chain = replace(chain_metrics(coord), helix=helix, strand=strand)
    row = DomainRow("x", chain)
    told = {c.key: c.value(row) for c in DOMAIN_COLUMNS if c.key in ("alpha", "beta", "mixed")}
    assert told == {name: float(name == fold) for name in ("alpha", "beta", "mixed")}
