"""The packed training set, the search in it, and what is said of a set."""

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import mannwhitneyu

from proteinweaver.data.store import StructureStore
from proteinweaver.evaluation import compare
from proteinweaver.evaluation.baselines import add_smooth_noise
from proteinweaver.evaluation.compare import CompareConfig
from proteinweaver.evaluation.fingerprints import fingerprints
from proteinweaver.evaluation.measure import GEOMETRY
from proteinweaver.evaluation.novelty import (
    TRAIN,
    Reference,
    nearest_references,
    novelty_of,
    read_reference,
)
from proteinweaver.evaluation.run import EvaluateConfig, evaluate
from proteinweaver.evaluation.training_set import SEARCHED, UNIT, pack_training_set, training_set
from proteinweaver.io.pdb import pdb_text
from proteinweaver.structure.backbone import Backbone


def test_the_rounding_does_not_grow_along_the_chain(coil, helix, tmp_path):
    chains = [np.asarray(x[:, 1], np.float32) for x in (coil, helix * 1.1 + 500, coil[:7])]
    chains[0][30:] += 50  # a chain break
    prints = fingerprints(chains)
    held_out = np.array([[100, 0.5, 0.5, 0.6], [60, 0.7, 0.75, 0.8]])
    pack_training_set(["a", "b", "c"], chains, prints, held_out, tmp_path / "t.npz")
    found = training_set(tmp_path / "t.npz")
    assert found.names == ("a", "b", "c")
    for packed, chain in zip(found.chains, chains, strict=True):
        assert np.abs(packed - (chain - chain[0])).max() <= UNIT / 2 + 1e-4
    assert np.abs(found.prints - prints).max() < np.abs(prints).max() / 60
    np.testing.assert_allclose(found.held_out, held_out, rtol=1e-6)
    with pytest.raises(ValueError, match=r"63\.5 A apart"):
        far = chains[0] + np.float32(70) * (np.arange(60) > 40)[:, None]
        pack_training_set(["a"], [far], prints[:1], held_out, tmp_path / "t.npz")


@pytest.mark.realdata
def test_the_shipped_set_is_the_train_split(data_dir):
    known = training_set()
    place = {name: k for k, name in enumerate(known.names)}
    count = 0
    for file in ("domains", "chains"):
        store = StructureStore(data_dir / f"{file}.npz")
        count += len(store.members("train"))
        for split in ("valid", "test"):
            assert not {store.item(int(k)).name for k in store.members(split)[:40]} & set(place)
        for number in store.members("train")[::400].tolist():
            item = store.item(number)
            packed = known.chains[place[item.name]]
            want = np.asarray(item.coord[:, 1]) - item.coord[0, 1]
            assert np.abs(packed - want).max() <= UNIT / 2 + 0.01
            away = np.linalg.norm(fingerprints([want])[0] - known.prints[place[item.name]])
            assert away < 0.15 * np.linalg.norm(known.prints[0] - known.prints[-1])
    assert count == len(known.names) == len(known.chains) == len(known.prints)
    assert len(known.held_out) >= 40 and (known.held_out[:, 0] >= 40).all()
    assert known.held_out.shape[1] == 1 + len(SEARCHED)
    assert 0.4 < np.median(known.held_out[:, 1]) < 0.75
    assert (
        np.diff(known.held_out[:, 1:], axis=1) >= -0.03
    ).all()  # who searches longer finds more


def test_natives_are_held_against_designs_that_were_searched_as_far():
    held_out = np.array([[100, 0.1, 0.2, 0.3]], np.float32)
    reference = Reference(held_out=held_out)
    for candidates, column in ((1, 1), (10, 1), (20, 2), (21, 3), (40, 3), (80, 3)):
        found = reference.natives_searched(candidates)
        np.testing.assert_array_equal(found, held_out[:, [0, column]])
    config = CompareConfig()
    assert [config.references(n) for n in (1, 1000, 1001, 2000, 5000)] == [40, 40, 20, 20, 10]
    assert CompareConfig(novelty_candidates=7).references(5000) == 7


def test_what_was_found_is_not_looked_for_again(coil, tmp_path, monkeypatch):
    """Neither unchanged designs nor, for novelty, those beside a new one are aligned again."""
    rng = np.random.default_rng(0)
    place, known = tmp_path / "designs", tmp_path / "known"
    for folder, number in ((place, 4), (known, 3)):
        folder.mkdir()
        for k in range(number):
            chain = Backbone.from_coord(add_smooth_noise(coil[: 40 + 4 * k], 0.5 * k, rng))
            (folder / f"x{k}.pdb").write_text(pdb_text(chain))
    asked = []

    def watched(rows, *rest):
        asked.append(list(rows))
        return nearest_references(rows, *rest)

    monkeypatch.setattr(compare, "nearest_references", watched)

    def look(overwrite=False, **settings):
        chosen = CompareConfig(reference=str(known), **settings)
        out = str(tmp_path / "out")
        evaluate(EvaluateConfig((str(place),), out, 1, chosen, overwrite=overwrite), [GEOMETRY])
        return (tmp_path / "out" / "metrics.csv").read_text(), json.loads(
            (tmp_path / "out" / "summary.json").read_text()
        )

    first = look()
    assert asked == [[0, 1, 2, 3]] and first[1]["searched"] == 40
    with monkeypatch.context() as patched:
        for name in ("_leaders", "_pairwise"):
            patched.setattr(compare, name, lambda *_: pytest.fail("asked again"))
        assert look() == first
    assert len(asked) == 1
    (tmp_path / "out" / "compared.json").write_text("{")  # damaged: asked again
    assert look() == first and len(asked) == 2
    assert look(overwrite=True) == first and len(asked) == 3
    assert look(novelty_candidates=2)[1]["searched"] == 2 and asked[-1] == [0, 1, 2, 3]
    extra = Backbone.from_coord(add_smooth_noise(coil, 2.0, rng))
    (place / "x1b.pdb").write_text(pdb_text(extra))
    rows = look(novelty_candidates=2)[0].splitlines()
    assert asked[-1] == [2] and len(rows) == 6


def test_what_is_said_of_a_set():
    rng = np.random.default_rng(0)
    natives = np.column_stack((np.full(300, 100), rng.normal(0.6, 0.05, 300)))
    alike = novelty_of(rng.normal(0.6, 0.05, 200), np.full(200, 100), natives)
    assert alike.nearer.low < 0.5 < alike.nearer.high and alike.held_out_n == 300
    tm = rng.normal(0.63, 0.1, 150)
    found = novelty_of(tm, np.full(150, 104), natives)
    statistic = mannwhitneyu(tm, natives[:, 1]).statistic
    assert found.nearer.value == pytest.approx(statistic / 150 / 300)
    assert found.nearer.low > 0.5  # they come nearer than natives do
    assert found.median.value == pytest.approx(np.median(tm))
    assert found.close.value == pytest.approx(np.mean(tm >= 0.75))
    assert found.held_out_median == pytest.approx(np.median(natives[:, 1]))
    long = np.column_stack((np.full(50, 400), np.full(50, 0.9)))
    both = novelty_of([0.7], [390], np.concatenate((natives, long)))
    assert both.nearer.value == 0 and both.held_out_median == pytest.approx(0.9)
    alone = novelty_of([0.5, 0.9], [100, 100], np.zeros((0, 2)))
    assert alone.held_out_n == 0 and np.isnan(alone.nearer.value) and alone.close.value == 0.5


def test_no_reference():
    assert read_reference("none") is not None and not read_reference("").chains


@pytest.mark.realdata
def test_a_copied_training_domain_is_told(data_dir, tmp_path):
    """A training domain bent by 1 A, under another pose, beside a helix nobody learned."""
    store = StructureStore(data_dir / "domains.npz")
    number = next(k for k in store.members("train").tolist() if 80 <= store.lengths[k] <= 90)
    item = store.item(number)
    bent = add_smooth_noise(item.coord, 1.0, np.random.default_rng(0))
    moved = bent @ Rotation.random(random_state=1).as_matrix().T + 30
    place = tmp_path / "designs"
    place.mkdir()
    (place / "copy.pdb").write_text(pdb_text(Backbone.from_coord(moved.astype(np.float32))))
    config = EvaluateConfig(
        (str(place),), str(tmp_path / "out"), 1, CompareConfig(reference=TRAIN)
    )
    row = evaluate(config, [GEOMETRY]).rows[0].values
    assert row["novelty_tm"] > 0.85 and row["novelty_name"] == item.name
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    said = summary["sets"]["designs"]["novelty"]["all"]
    assert summary["references"] == 6265 and said["close"]["value"] == 1
    assert said["nearer"]["value"] > 0.9 and said["held_out_n"] >= 40
    assert said["held_out_median"] < 0.75
