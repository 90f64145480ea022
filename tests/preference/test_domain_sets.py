"""Sets of domains: of different clusters, the same for a seed, exact, and back from a list."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from proteinweaver.data.store import FORMAT, StructureStore
from proteinweaver.errors import UserError
from proteinweaver.io.read import read_backbone
from proteinweaver.io.spec import read_spec
from proteinweaver.io.typed import plain
from proteinweaver.preference.domain_sets import (
    DomainSet,
    Draw,
    draw_sets,
    most_used,
    read_list,
    read_sets,
    spec_of,
    write_list,
    write_sets,
)
from proteinweaver.structure.ideal import ideal_element

LENGTHS = [12, 14, 30, 16, 18, 13, 15, 17, 19, 20]
CLUSTERS = [0, 0, 1, 2, 3, 4, 5, 6, 7, 8]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> StructureStore:
    """Ten helices of nine clusters: nine of train, of which one is long and one broken."""
    coords = [100 * ideal_element("H", length).numpy() for length in LENGTHS]
    breaks = [np.zeros(length, dtype=np.uint8) for length in LENGTHS]
    breaks[3][7] = 1
    path = tmp_path_factory.mktemp("store") / "domains.npz"
    np.savez(
        path, format=FORMAT, coords=np.concatenate(coords).round().astype(np.int16),
        coord_scale=np.float32(0.01), aatype=np.arange(sum(LENGTHS), dtype=np.uint8) % 20,
        sse=np.zeros(sum(LENGTHS), np.uint8), break_after=np.concatenate(breaks),
        offsets=np.cumsum([0, *LENGTHS]), ids=np.array([f"x{k}_A'" for k in range(10)]),
        cluster40=np.array(CLUSTERS), split=np.array([0] * 9 + [2]),
    )  # fmt: skip
    return StructureStore(path)


def draw(pairs: int, triples: int, **options) -> Draw:
    return Draw("train", pairs, triples, lengths=(10, 20), linkers=(4, 6), **options)


def test_no_cluster_twice(store):
    sets = draw_sets(store, draw(1, 1))
    names = [name for one in sets for name in one.domains]
    cluster = dict(zip(map(str, store.arrays["ids"]), CLUSTERS, strict=True))
    assert [one.name for one in sets] == ["train-p001", "train-t001"]
    assert len({cluster[name] for name in names}) == len(names) == 5
    assert not {"x2_A'", "x3_A'", "x9_A'"} & set(names)  # long, broken, of test
    assert [len(one.linkers) for one in sets] == [1, 2]
    assert all(4 <= length <= 6 for one in sets for length in one.linkers)
    assert sets == draw_sets(store, draw(1, 1))
    assert sets != draw_sets(store, draw(1, 1, seed=1))
    with pytest.raises(UserError, match="7 domains wanted, and train has 6 clusters"):
        draw_sets(store, draw(2, 1))


def test_clusters_used_again_are_used_evenly(store):
    sets = draw_sets(store, draw(8, 2, reuse=True))  # 22 domains of 6 clusters
    cluster = dict(zip(map(str, store.arrays["ids"]), CLUSTERS, strict=True))
    used = Counter(cluster[name] for one in sets for name in one.domains)
    assert sum(used.values()) == 22 and set(used.values()) <= {3, 4, 5}
    for one in sets:
        assert len({cluster[name] for name in one.domains}) == len(one.domains)
    assert len({frozenset(one.domains) for one in sets}) == 10
    both = {name for one in sets for name in one.domains if cluster[name] == 0}
    assert both == {"x0_A'", "x1_A'"}  # members of a cluster take turns
    assert most_used(sets) == (7, 4)
    with pytest.raises(UserError, match="different set"):
        draw_sets(store, draw(60, 0, reuse=True))


def test_from_a_list_to_files_and_jobs(store, tmp_path):
    sets = draw_sets(store, draw(1, 1))
    write_list(tmp_path / "list.jsonl", sets)
    assert read_list(tmp_path / "list.jsonl") == sets
    path = write_sets(tmp_path / "out", store, sets)
    found = read_sets(path)
    assert [one.name for one in found] == [one.name for one in sets]
    for one, given in zip(sets, found, strict=True):
        for name, file in zip(one.domains, given.domain, strict=True):
            assert Path(file).is_file()
            item = store.item(int(name[1:-3]))
            backbone = read_backbone(file, notes=[])
            np.testing.assert_allclose(backbone.coord, item.coord, atol=2e-3)
            first = sum(LENGTHS[: int(name[1:-3])])
            assert backbone.aatype.tolist() == [k % 20 for k in range(first, first + len(item))]
    other = DomainSet("part", (f"{found[0].domain[0]}:A2-9", found[0].domain[1]), ("7",))
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(spec_of([*found, other], 3)))
    jobs = read_spec(spec)
    assert [job.name for job in jobs] == ["train-p001", "train-t001", "part"]
    assert all(job.n == 3 and job.order == "fixed" for job in jobs)
    assert [linker["length"] for linker in plain(jobs[1])["linkers"]] == list(found[1].linker)
    assert jobs[2].domain_specs[0].file.endswith(".pdb:A2-9")


def test_bad_files_are_refused(store, tmp_path):
    file = tmp_path / "sets.jsonl"
    for text, why in (
        ("", "different names"),
        ('{"name": "a"}\n', "not a list of sets"),
        ('{"name": "a", "domain": ["x", "y"], "linker": ["5-9"]}\n', "must be exact"),
        (2 * '{"name": "a", "domain": ["x", "y"], "linker": ["5"]}\n', "different names"),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=why):
            read_sets(file)
    file.write_text('{"name": "a", "domains": ["x0_A\'", "none"], "linkers": [5]}\n')
    with pytest.raises(UserError, match="no domain 'none'"):
        write_sets(tmp_path / "out", store, read_list(file))
    file.write_text('{"name": "a", "domains": ["x", "y"], "linkers": []}\n')
    with pytest.raises(UserError, match="one linker a junction"):
        read_list(file)


def test_the_committed_list_is_sound():
    """200 sets whose domains are named once in a set; files come from the release."""
    sets = read_list(Path(__file__).parents[2] / "benchmarks" / "alignment-test-sets.jsonl")
    assert len(sets) == 200
    assert sum(len(one.domains) == 2 for one in sets) == 120
    assert len({frozenset(one.domains) for one in sets}) == 200
    assert most_used(sets) == (169, 4)
