"""What a task tells of a structure, and what a batch keeps of it."""

import copy

import numpy as np
import pytest
import torch

from proteinweaver.data.batches import BatchSource, Mixture
from proteinweaver.data.pieces import (
    MIN_ELEMENT,
    Insides,
    domains_task,
    element_runs,
    elements_task,
    frayed_task,
    gaps_task,
    segments_task,
)
from proteinweaver.data.store import StructureStore
from proteinweaver.data.synthetic import write_synthetic_sets
from proteinweaver.nets.coarse import marks
from proteinweaver.training.recipes import held_out, mixtures

TELL = "?HEL"


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    write_synthetic_sets(folder)
    return {name: StructureStore(folder / f"{name}.npz") for name in ("domains", "chains")}


def words(task):
    return "".join(TELL[k] for k in task.ss.tolist())


def test_frayed_elements_tell_less_and_nothing_wrong(stores):
    # a chain of many elements has many ways to fray
    items = [stores["domains"].item(k) for k in range(len(stores["domains"].lengths))][:50]
    item = max(items, key=lambda one: len(element_runs(one)))
    whole = words(elements_task(item, np.random.default_rng(0)))
    seen = set()
    for seed in range(40):
        task = frayed_task(item, np.random.default_rng(seed))
        told = words(task)
        seen.add(told)
        assert all(a in (b, "?") for a, b in zip(told, whole, strict=True))
        # loops of natives stay loops; an element loses at most two residues at an end, or all
        assert all((a == "L") == (b == "L") for a, b in zip(told, whole, strict=True))
        for kind in "HE":
            for run in told.replace("?", " ").replace("L", " ").split():
                if run[0] == kind:
                    assert len(run) >= MIN_ELEMENT[kind]
        # what is told has a piece; the rest at most as the turn of a hairpin
        inside = task.piece >= 0
        assert inside[np.isin(list(told), ["H", "E"])].all()
        assert inside.sum() <= sum(k in "HE" for k in whole) + whole.count("L") // 2
    assert len(seen) > 30 and all("?" in told for told in seen if told != whole)


def test_trimmed_items_are_stretches_of_the_natives(stores):
    mixture = Mixture("domains", {"none": 1.0}, trim=0.3)
    source = BatchSource(stores, (mixture,), "train", 200, 0)
    natives = [stores["domains"].item(int(k)) for k in stores["domains"].members("train")]
    lengths = {len(item) for item in natives}
    whole = shorter = 0
    for step in range(12):
        batch = source.batch(step)
        for row, length in enumerate(batch.condition.lengths):
            own = batch.coord[row, :length, 1]
            steps = torch.linalg.norm(own.diff(dim=0), dim=-1).numpy()
            assert any(
                np.allclose(steps, there[k : k + length - 1], atol=2e-3)
                for item in natives
                for there in [np.linalg.norm(np.diff(item.coord[:, 1], axis=0), axis=-1)]
                for k in range(len(there) - length + 2)
            )
            whole, shorter = whole + (length in lengths), shorter + (length not in lengths)
            assert length >= 0.7 * min(lengths) - 1
    assert whole and shorter


def test_a_coarse_batch_holds_the_marks(stores):
    tasks = {"elements": 1.0}
    fine = BatchSource(stores, (Mixture("domains", tasks),), "train", 150, 0).batch(3)
    mixture = Mixture("domains", tasks, coarse=True)
    coarse = BatchSource(stores, (mixture,), "train", 150, 0).batch(3)
    for row, length in enumerate(fine.condition.lengths):
        one = type(fine.condition)(
            **{name: value[row : row + 1, :length] for name, value in vars(fine.condition).items()}
        )
        rows = marks(one)
        kept = coarse.condition.lengths[row]
        assert kept == len(rows) < length / 2
        assert coarse.condition.index[row, :kept].tolist() == rows.tolist()
        wanted = fine.coord[row, rows]
        torch.testing.assert_close(
            coarse.coord[row, :kept], wanted - wanted[:, 1].mean(0), atol=1e-4, rtol=0
        )


def test_held_out_losses_are_of_whole_natives_told_in_full():
    for name in ("domain", "layout"):
        for mixture, plain in zip(mixtures(name), held_out(mixtures(name)), strict=True):
            assert mixture.trim > 0 and plain.trim == 0 and plain.coarse == mixture.coarse
            assert "frayed" in mixture.tasks and "frayed" not in plain.tasks
            assert sum(plain.tasks.values()) == pytest.approx(sum(mixture.tasks.values()))
    whole = held_out(mixtures("assembler"))
    assert [m.interface for m in mixtures("assembler")] == [200, 0]
    assert [m.interface for m in whole] == [0, 0]
    for name in ("annotated alone", "exact insides", "even linkers", "whole chains"):
        changed = mixtures(f"assembler, {name}")
        assert changed != mixtures("assembler") and held_out(changed) == whole
    assert not any("gaps" in m.tasks for m in mixtures("assembler"))
    assert all("gaps" in m.tasks for m in mixtures("assembler, long linkers"))


def runs_of(mask):
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(int), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def test_gaps_are_as_long_as_linkers_and_lie_inside(stores):
    items = [stores["chains"].item(k) for k in range(8)]
    seen, bodies = set(), set()
    for number, item in enumerate(items):
        for seed in range(12):
            task = gaps_task(item, np.random.default_rng([number, seed]))
            gaps = runs_of(task.piece < 0)
            seen.add(len(gaps))
            assert not task.known[task.piece < 0].any()
            for start, stop in gaps:
                assert 6 <= stop - start <= 24 and start >= 10 and stop <= len(item) - 10
                assert not item.break_after[start - 1 : stop].any()
                assert (item.sse[start:stop] == 2).any()
            numbers = np.unique(task.piece[task.piece >= 0])
            assert numbers.tolist() == list(range(len(numbers)))
            bodies.add(len(numbers) == 1)
            if len(numbers) > 1:  # one more after every gap and every break
                assert len(numbers) == 1 + len(gaps) + item.break_after[:-1].sum()
    assert seen <= {0, 1, 2} and {1, 2} <= seen
    assert bodies == {True, False}


def test_gaps_of_a_broken_or_short_chain(stores):
    item = stores["chains"].item(0)
    broken = copy.deepcopy(item)
    broken.break_after[::30] = True
    long = 0
    for seed in range(20):
        task = gaps_task(broken, np.random.default_rng(seed))
        for start, stop in runs_of(task.piece < 0):
            if stop - start > 8:  # shorter ones may be those of segments, where no gap fits
                long += 1
                assert not broken.break_after[start - 1 : stop].any()
    assert long
    for length in (1, 12, 24):
        assert len(gaps_task(item.crop(0, length), np.random.default_rng(0)).piece) == length


@pytest.mark.parametrize("make", [domains_task, segments_task, gaps_task])
def test_insides_are_native_or_deformed_as_asked(stores, make):
    item = stores["chains"].item(0)
    for seed in range(5):
        exact = make(item, np.random.default_rng(seed), Insides(deformed=0.0))
        inside = exact.piece >= 0
        assert inside.any()
        assert np.array_equal(exact.known[inside], item.coord[inside])
        bent = make(item, np.random.default_rng(seed), Insides(deformed=1.0))
        rows = bent.piece >= 0
        off = np.sqrt(((bent.known - item.coord)[rows] ** 2).sum(-1).mean())
        assert 0.0 < off < 1.5 and not bent.known[~rows].any()


def test_linkers_are_ragged_or_even(stores):
    item = stores["chains"].item(0)
    even = [
        domains_task(item, np.random.default_rng(k), Insides(ragged=False)).piece for k in range(6)
    ]
    ragged = [domains_task(item, np.random.default_rng(k)).piece for k in range(6)]
    assert all(np.array_equal(piece, even[0]) for piece in even)
    assert len({piece.tobytes() for piece in ragged}) > 1


def test_crops_about_interfaces_hold_two_domains(stores):
    chains = stores["chains"]
    longest = int(chains.lengths.max())
    window = 3 * longest // 4
    plain = Mixture("chains", {"domains": 1.0}, max_length=longest, min_length=window + 1)
    about = Mixture(
        "chains", {"domains": 1.0}, max_length=longest, min_length=window + 1, interface=window
    )
    lengths = []
    for mixture in (plain, about):
        source = BatchSource(stores, (mixture,), "train", 2 * longest, 0)
        lengths.append([n for step in range(8) for n in source.batch(step).condition.lengths])
    assert window not in lengths[0]
    assert 0 < lengths[1].count(window) < len(lengths[1])
    source = BatchSource(stores, (about,), "train", 2 * longest, 0)
    for step in range(8):
        condition = source.batch(step).condition
        for row, length in enumerate(condition.lengths):
            pieces = condition.piece[row, :length]
            assert len(pieces[pieces >= 0].unique()) >= 2


def test_only_annotated_chains_where_asked(stores):
    chains = copy.copy(stores["chains"])
    mixture = Mixture("chains", {"domains": 1.0}, annotated=True)
    every = chains.members("train")
    some = np.zeros(len(chains), dtype=np.uint8)
    some[every[::2]] = 1
    chains.arrays = {**chains.arrays, "boundaries": some}
    np.testing.assert_array_equal(mixture.members(chains, "train"), every[::2])
    assert [chains.item(int(k)).annotated for k in every[:2]] == [True, False]
    chains.arrays = {**chains.arrays, "boundaries": 0 * some}
    with pytest.raises(ValueError, match="no train item of chains"):
        BatchSource({"chains": chains}, (mixture,), "train", 200, 0)
