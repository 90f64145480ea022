"""Numbered batches: no memory, in order with workers, disjoint over processes."""

from dataclasses import fields
from types import SimpleNamespace

import pytest
import torch

from proteinweaver.data.batches import BatchSource, Mixture
from proteinweaver.data.datamodule import BatchDataModule
from proteinweaver.data.store import StructureStore
from proteinweaver.data.synthetic import write_synthetic_sets


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    write_synthetic_sets(folder)
    stores = {name: StructureStore(folder / f"{name}.npz") for name in ("domains", "chains")}
    mixtures = (
        Mixture("domains", {"none": 0.3, "elements": 0.4, "segments": 0.3}),
        Mixture("chains", {"domains": 1.0}, share=0.5, max_length=110),
    )
    return BatchSource(stores, mixtures, "train", 150, seed=3)


def attached(source, step=0, rank=0, world=1, workers=0, **kwargs):
    module = BatchDataModule(source, workers=workers, **kwargs)
    module.trainer = SimpleNamespace(
        global_rank=rank,
        world_size=world,
        lightning_module=SimpleNamespace(step=step),
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
    )
    return module


def take(loader, count):
    iterator = iter(loader)
    return [next(iterator) for _ in range(count)]


def assert_same(first, second):
    assert first.number == second.number
    assert torch.equal(first.batch.coord, second.batch.coord)
    for f in fields(first.batch.condition):
        assert torch.equal(
            getattr(first.batch.condition, f.name), getattr(second.batch.condition, f.name)
        )


def test_a_resumed_loader_continues(source):
    whole = take(attached(source).train_dataloader(), 7)
    rest = take(attached(source, step=4).train_dataloader(), 3)
    for a, b in zip(whole[4:], rest, strict=True):
        assert_same(a, b)
    assert not torch.equal(whole[0].batch.coord[0, 0], whole[1].batch.coord[0, 0])


def test_workers_change_nothing(source):
    alone = take(attached(source, step=2).train_dataloader(), 6)
    helped = take(attached(source, step=2, workers=2).train_dataloader(), 6)
    for a, b in zip(alone, helped, strict=True):
        assert_same(a, b)


def test_processes_share_the_numbers(source):
    numbers = [
        [
            b.number
            for b in take(attached(source, step=5, rank=rank, world=3).train_dataloader(), 2)
        ]
        for rank in range(3)
    ]
    assert numbers == [[15, 18], [16, 19], [17, 20]]


def test_held_out_batches_are_always_the_same_few(source):
    for _ in range(2):
        loader = attached(source, step=9, valid=source, valid_batches=3).val_dataloader()
        assert [b.number for b in loader] == [0, 1, 2]
    assert attached(source).val_dataloader() == []


def test_structures_keep_their_shape_in_the_synthetic_set(source):
    """Ideal bonds survive the 0.01 A grid of the format."""
    item = source.stores["domains"].item(0)
    bond = torch.from_numpy(item.coord[1:, 0] - item.coord[:-1, 2]).norm(dim=-1)
    assert (bond - 1.329).abs().max() < 0.03
    assert {0, 1, 2} >= set(item.sse.tolist())
