"""The run folder: resume, shards, atomic writes, and refusal of foreign configurations."""

import json
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from proteinweaver.errors import UserError
from proteinweaver.io.manifest import Manifest, read_manifest
from proteinweaver.io.run_folder import RunFolder, Shard, write_atomic

IDENTITY = {"seed": 0, "sampler": {"num_steps": 50}}
JOBS = {"a": {"length": 100}}


def open_folder(path: Path, identity=IDENTITY, jobs=JOBS, **kwargs) -> RunFolder:
    return RunFolder.open(path, identity=identity, jobs=jobs, record={"version": "x"}, **kwargs)


def write_design(folder: RunFolder, name: str) -> None:
    files = {f"designs/{name}.pdb": "END\n", f"designs/{name}.json": "{}\n"}
    folder.write({"name": name, "score": 1.0}, files)


def test_finished_designs_are_those_whose_files_are_there(tmp_path):
    folder = open_folder(tmp_path / "run")
    write_design(folder, "a_0")
    write_design(folder, "a_1")
    (folder.path / "designs/a_1.pdb").unlink()
    assert list(open_folder(tmp_path / "run").finished()) == ["a_0"]


def test_a_torn_line_costs_one_design_and_not_the_next(tmp_path):
    """A crash in the middle of a line: the next append starts on a line of its own."""
    folder = open_folder(tmp_path / "run")
    write_design(folder, "a_0")
    with (folder.path / "manifest.jsonl").open("a") as file:
        file.write('{"name": "a_1", "fil')
    write_design(folder, "a_2")
    assert set(read_manifest(folder.path)) == {"a_0", "a_2"}


def test_another_configuration_is_refused_by_the_key_that_differs(tmp_path):
    open_folder(tmp_path / "run")
    other = {"seed": 0, "sampler": {"num_steps": 20}}
    with pytest.raises(UserError, match=r"sampler\.num_steps is 50 there and 20 here"):
        open_folder(tmp_path / "run", other)
    with pytest.raises(UserError, match=r"jobs\.a\.length is 100 there and 90 here"):
        open_folder(tmp_path / "run", jobs={"a": {"length": 90}})


def test_jobs_may_be_added_and_are_remembered(tmp_path):
    open_folder(tmp_path / "run")
    open_folder(tmp_path / "run", jobs={"b": {"length": 50}})
    with pytest.raises(UserError, match=r"jobs\.a\.length"):
        open_folder(tmp_path / "run", jobs={"a": {"length": 90}})


def test_overwrite_forgets_what_was_there_and_nothing_else(tmp_path):
    folder = open_folder(tmp_path / "run")
    write_design(folder, "a_0")
    foreign = folder.path / "designs/mine.txt"
    foreign.write_text("kept")
    again = open_folder(tmp_path / "run", {"seed": 1}, overwrite=True)
    assert again.finished() == {}
    assert not (folder.path / "designs/a_0.pdb").exists()
    assert foreign.read_text() == "kept"


def test_overwrite_never_follows_a_manifest_out_of_the_folder(tmp_path):
    folder = open_folder(tmp_path / "run")
    outside = tmp_path / "precious.txt"
    outside.write_text("kept")
    line = {"name": "x", "files": ["../precious.txt", str(outside)]}
    (folder.path / "manifest.jsonl").write_text(json.dumps(line) + "\n")
    open_folder(tmp_path / "run", overwrite=True)
    assert outside.read_text() == "kept"


def test_shards_write_side_by_side(tmp_path):
    for part in (1, 2):
        folder = open_folder(tmp_path / "run", shard=Shard(part, 2))
        write_design(folder, f"a_{part}")
    names = {file.name for file in (tmp_path / "run").iterdir()}
    expected = {"run.1-of-2.json", "run.2-of-2.json"}
    assert names >= expected | {"manifest.1-of-2.jsonl", "manifest.2-of-2.jsonl"}
    assert set(read_manifest(tmp_path / "run")) == {"a_1", "a_2"}
    assert set(open_folder(tmp_path / "run").finished()) == {"a_1", "a_2"}


def test_overwriting_one_shard_leaves_the_others(tmp_path):
    for part in (1, 2):
        write_design(open_folder(tmp_path / "run", shard=Shard(part, 2)), f"a_{part}")
    open_folder(tmp_path / "run", shard=Shard(1, 2), overwrite=True)
    assert set(read_manifest(tmp_path / "run")) == {"a_2"}


def test_shards_divide_the_designs():
    parts = [Shard.parse(f"{i}/3") for i in (1, 2, 3)]
    owned = [[index for index in range(7) if shard.owns(index)] for shard in parts]
    assert owned == [[0, 3, 6], [1, 4], [2, 5]]


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/0", "a/b", "-1/2", "1/2/3"])
def test_bad_shards(text):
    with pytest.raises(UserError):
        Shard.parse(text)


def test_a_folder_under_a_file_is_refused_and_nothing_is_left(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write into"):
        open_folder(tmp_path / "file" / "run")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot write into"):
        open_folder(tmp_path / "new" / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_run_record_is_refused(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UserError, match="not a readable run record"):
        open_folder(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "a.json"
    write_atomic(file, "old")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="No space left"):
        write_atomic(file, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert file.read_text() == "old"


def _append_many(path: Path, who: int) -> None:
    folder = RunFolder(path, Shard())
    for number in range(30):
        folder.write({"name": f"{who}_{number}", "filler": "x" * 3000}, {})


def test_lines_of_processes_do_not_mix(tmp_path):
    """Two processes on one manifest: 60 whole lines."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append_many, args=(tmp_path, who)) for who in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(read_manifest(tmp_path)) == 60
    assert len((tmp_path / "manifest.jsonl").read_text().splitlines()) == 60


def test_table_has_the_columns_of_all_rows(tmp_path):
    folder = open_folder(tmp_path)
    folder.write_table([{"name": "a", "x": 1.5}, {"name": "b", "y": "p,q"}])
    assert (tmp_path / "metrics.csv").read_text() == 'name,x,y\na,1.5,\nb,,"p,q"\n'


def test_a_manifest_reads_the_last_line_of_a_design_in_any_order(tmp_path):
    for part, score in ((1, 0.1), (2, 0.2), (1, 0.3)):
        folder = open_folder(tmp_path, shard=Shard(part, 2))
        folder.write({"name": "a", "score": score}, {})
        folder.write({"name": f"b_{part}", "score": score}, {})
    manifest = Manifest(tmp_path)
    assert list(manifest.names()) == ["a", "b_1", "b_2"]
    asked = ["b_2", "a", "b_1"]
    assert [line["name"] for line in manifest.lines(asked)] == asked
    assert [line["score"] for line in manifest.lines(["b_1", "a"])] == [0.3, 0.2]


def test_tables_are_made_again_only_after_new_designs(tmp_path):
    folder = open_folder(tmp_path)
    made = []
    for name in ("a_1", "", "a_2", ""):
        if name:
            write_design(folder, name)
        with folder.tables() as stale:
            made.append(stale)
            if stale:
                folder.write_table([{"name": name}])
    assert made == [True, False, True, False]
    (tmp_path / "metrics.csv").unlink()
    with folder.tables() as stale:
        assert stale


def test_tables_that_fail_are_made_again(tmp_path):
    folder = open_folder(tmp_path)
    write_design(folder, "a_1")
    with pytest.raises(ZeroDivisionError), folder.tables():
        folder.write_table([{"name": "half"}])
        raise ZeroDivisionError
    with folder.tables() as stale:
        assert stale


def _make_tables(path: Path, part: int) -> None:
    folder = RunFolder(path, Shard(part, 4))
    write_design(folder, f"a_{part}")
    with folder.tables() as stale:
        if stale:
            names = list(Manifest(path).names())
            time.sleep(0.02 * (5 - part))
            folder.write_table([{"name": name} for name in names])


def test_the_last_shard_leaves_a_whole_table(tmp_path):
    """Four shards end together, the first is the slowest to write: nobody's rows are lost."""
    context = multiprocessing.get_context("fork")
    for turn in range(3):
        path = tmp_path / str(turn)
        open_folder(path)
        shards = [context.Process(target=_make_tables, args=(path, part)) for part in (1, 2, 3, 4)]
        for process in shards:
            process.start()
        for process in shards:
            process.join()
        rows = (path / "metrics.csv").read_text().split()
        assert sorted(rows) == ["a_1", "a_2", "a_3", "a_4", "name"]
