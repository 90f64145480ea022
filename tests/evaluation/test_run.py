"""Whole evaluations: folders with junk, what is measured again, run folders, exit codes."""

import csv
import gzip
import json
import math
import shutil

import numpy as np
import pytest

from proteinweaver.cli.main import run as command
from proteinweaver.errors import UserError
from proteinweaver.evaluation import refresh, samples
from proteinweaver.evaluation.compare import CompareConfig
from proteinweaver.evaluation.critic import critic_columns, load_critic
from proteinweaver.evaluation.measure import GEOMETRY, ColumnSource, Layer, Measured
from proteinweaver.evaluation.run import EvaluateConfig, evaluate
from proteinweaver.evaluation.schema import (
    COMPARISON_COLUMNS,
    FILE_COLUMNS,
    FOLDED_COLUMNS,
    GEOMETRY_COLUMNS,
    ColumnInfo,
    as_markdown,
)
from proteinweaver.io.pdb import pdb_text
from proteinweaver.structure.backbone import Backbone


@pytest.fixture
def folder(tmp_path, helix, coil):
    """Two good files, one gzipped, and all kinds of junk."""
    place = tmp_path / "mixed"
    place.mkdir()
    (place / "helix.pdb").write_text(pdb_text(Backbone.from_coord(helix)))
    (place / "coil.pdb.gz").write_bytes(
        gzip.compress(pdb_text(Backbone.from_coord(coil)).encode())
    )
    (place / "empty.pdb").write_text("")
    (place / "page.cif").write_text("<html></html>")
    (place / "noise.pdb").write_bytes(np.random.default_rng(0).bytes(5000))
    (place / "cut.pdb.gz").write_bytes((place / "coil.pdb.gz").read_bytes()[:800])
    (place / "ligand.pdb").write_text(
        "HETATM    1  C1  LIG A   1       0.000   0.000   0.000  1.00  0.00           C\n"
    )
    (place / "notes.txt").write_text("nothing")
    (place / ".hidden.pdb").write_text("nothing")
    (place / "folder.pdb").mkdir()
    return place


def table(out) -> dict[str, dict[str, str]]:
    with (out / "metrics.csv").open(newline="") as handle:
        return {row["name"]: row for row in csv.DictReader(handle)}


def config(folder, out, **changes) -> EvaluateConfig:
    changes = {"compare": CompareConfig(reference="none"), **changes}
    return EvaluateConfig(paths=(str(folder),), out=str(out), workers=1, **changes)


def test_junk_is_rows_not_an_end(folder, tmp_path):
    result = evaluate(config(folder, tmp_path / "out"), [GEOMETRY])
    rows = table(tmp_path / "out")
    assert {name for name, row in rows.items() if row["status"] == "ok"} == {"helix", "coil"}
    assert {name for name, row in rows.items() if row["status"] == "error"} == {
        "empty", "page", "noise", "cut", "ligand",
    }  # fmt: skip
    assert all(row["error"] for row in rows.values() if row["status"] == "error")
    assert rows["helix"]["length"] == "40" and float(rows["helix"]["hb"]) == pytest.approx(0.9)
    assert rows["cut"]["length"] == ""
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["files"], summary["failed"], summary["ignored"]) == (7, 5, 1)
    assert summary["sets"]["mixed"]["columns"]["length"]["value"] == 50
    assert result.measured == 7
    assert set(rows["helix"]) == {column["key"] for column in summary["columns"]}


def test_only_changes_are_measured_again(folder, tmp_path, coil):
    out = tmp_path / "out"
    assert evaluate(config(folder, out), [GEOMETRY]).measured == 7
    first = (out / "metrics.csv").read_text()
    assert evaluate(config(folder, out), [GEOMETRY]).measured == 0
    assert (out / "metrics.csv").read_text() == first
    elsewhere = shutil.move(folder, tmp_path / "elsewhere")
    assert evaluate(config(elsewhere, out), [GEOMETRY]).measured == 0
    folder = shutil.move(elsewhere, folder)
    (folder / "helix.pdb").write_text(pdb_text(Backbone.from_coord(coil[:30])))
    assert evaluate(config(folder, out), [GEOMETRY]).measured == 1
    assert table(out)["helix"]["length"] == "30"
    (out / "measured.npz").write_bytes(b"damaged")
    assert evaluate(config(folder, out), [GEOMETRY]).measured == 7
    assert evaluate(config(folder, out, overwrite=True), [GEOMETRY]).measured == 7


def test_further_sources_add_columns_and_may_fail(folder, tmp_path):
    calls = []

    def source(version: str) -> ColumnSource:
        def measure(samples):
            calls.append([s.entry.name for s in samples])
            if any(s.entry.name == "coil" for s in samples):
                raise ValueError("no coils")
            return [
                Measured({"ends": 2}, {"light": Layer(np.linspace(0, 1, len(s.backbone)))})
                for s in samples
            ]

        return ColumnSource("ends", version, (ColumnInfo("ends", "count", "Ends."),), measure)

    out = tmp_path / "out"
    result = evaluate(config(folder, out), [GEOMETRY, source("1")])
    rows = table(out)
    assert rows["helix"]["ends"] == "2" and rows["coil"]["ends"] == ""
    assert "no coils" in rows["coil"]["notes"] and rows["coil"]["status"] == "ok"
    record = next(r.record for r in result.rows if r.entry.name == "helix")
    assert record.layers["light"][0] == 0 and record.layers["light"][-1] == 254
    calls.clear()
    assert evaluate(config(folder, out), [GEOMETRY, source("1")]).measured == 0
    assert not calls
    assert evaluate(config(folder, out), [GEOMETRY, source("2")]).measured == 2
    assert table(out)["helix"]["ends"] == "2"


@pytest.fixture
def run_folder(tmp_path, helix):
    """A run folder of ours: two helices, a linker, and the helices as they went in."""
    from proteinweaver.evaluation.assembly import domain_labels

    place = tmp_path / "run"
    coord = np.concatenate((helix, helix + np.float32([0, 9, 0]), helix[:5] + np.float32(30)))
    label = domain_labels(85, [(0, 35), (40, 85)])
    (place / "designs").mkdir(parents=True)
    (place / "domains").mkdir()
    (place / "designs" / "a.pdb").write_text(pdb_text(Backbone.from_coord(coord, domain=label)))
    segments = [
        {"kind": "domain", "first": 1, "last": 35, "domain": 1, "source": "generated"},
        {"kind": "linker", "first": 36, "last": 40},
        {"kind": "domain", "first": 41, "last": 85, "domain": 2, "source": "/x/y.pdb"},
    ]
    side = {"name": "a", "length": 85, "plan": {"segments": segments}, "breaks_after": [80]}
    (place / "designs" / "a.json").write_text(json.dumps(side))
    moved = coord[:35] @ np.float32([[0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    (place / "domains" / "a_d1.pdb").write_text(pdb_text(Backbone.from_coord(moved)))
    mirrored = coord[40:] * np.float32([1, 1, -1])
    (place / "domains" / "a_d2.pdb").write_text(pdb_text(Backbone.from_coord(mirrored)))
    return place


def test_a_run_folder_tells_domains_and_drift(run_folder, tmp_path):
    evaluate(config(run_folder, tmp_path / "out"), [GEOMETRY])
    row = table(tmp_path / "out")["a"]
    assert (row["domains"], row["linkers"], row["gaps"]) == ("2", "1", "1")
    assert (row["domain_lengths"], row["linker_lengths"]) == ("35;45", "5")
    assert row["domain_sources"] == "generated;y.pdb"
    first, second = (float(word) for word in row["domain_rmsd"].split(";"))
    assert first == pytest.approx(0, abs=2e-3) and second > 1
    assert row["domains_mirrored"] == "1"
    assert float(row["interface_contacts"]) > 0 and float(row["interface_area"]) > 0
    assert row["set"] == "run" and row["file"].endswith("designs/a.pdb")
    (run_folder / "domains" / "a_d1.pdb").write_text(
        (run_folder / "domains" / "a_d2.pdb").read_text()
    )
    assert evaluate(config(run_folder, tmp_path / "out"), [GEOMETRY]).measured == 1
    row = table(tmp_path / "out")["a"]
    assert row["domain_rmsd"] == "" and "another length" in row["notes"]


def test_gaps_are_excused_breaks_are_not(helix, tmp_path):
    """Eight residues missing: with a jump in numbering a gap, without one a break."""
    broken = np.concatenate((helix[:16], helix[24:]))
    number = np.concatenate((np.arange(1, 17), np.arange(25, 41))).astype(np.int32)
    missing = Backbone.from_coord(broken).replace(resnum=number)
    for name, backbone in (("gap", missing), ("broken", Backbone.from_coord(broken))):
        lines = pdb_text(backbone).splitlines()
        if name == "gap":  # the writer renumbers; put the author's numbers back
            lines = [
                f"{line[:22]}{int(line[22:26]) + 8 * (int(line[22:26]) > 16):4d}{line[26:]}"
                if line.startswith("ATOM")
                else line
                for line in lines
            ]
        (tmp_path / f"{name}.pdb").write_text("\n".join(lines) + "\n")
    found = {}
    for entry in samples.find_entries([tmp_path])[0]:
        found[entry.name] = GEOMETRY.measure([samples.read_sample(entry)])[0].values
    assert (found["gap"]["gaps"], found["gap"]["chain_breaks"]) == (1, 0)
    assert (found["broken"]["gaps"], found["broken"]["chain_breaks"]) == (0, 1)
    assert found["gap"]["ca_ok"] == 1 and found["broken"]["ca_ok"] == pytest.approx(30 / 31)


@pytest.mark.realdata
def test_novelty_and_diversity(data_dir, tmp_path):
    raw, published = data_dir / "raw", data_dir / "published" / "rfdiffusion_L150"
    place = tmp_path / "few"
    place.mkdir()
    for k in range(4):
        shutil.copy(published / f"unconditional_{k}.pdb", place)
    shutil.copy(raw / "1ubq.pdb", place / "stolen.pdb")
    shutil.copy(raw / "1ubq.pdb", place / "twin.pdb")
    text = (published / "unconditional_0.pdb").read_text()  # residues 50 to 59 torn away
    torn = [x[:30] + f"{float(x[30:38]) + 90 * ('50' <= x[22:26].strip() < '60'):8.3f}" + x[38:]
            for x in text.splitlines() if x.startswith("ATOM")]  # fmt: skip
    (place / "unconditional_0.pdb").write_text("\n".join([*torn, "END\n"]))
    reference = tmp_path / "reference"
    reference.mkdir()
    for name in ("1ubq", "1shg", "1ten"):
        shutil.copy(raw / f"{name}.pdb", reference)
    compare = CompareConfig(reference=str(reference))
    evaluate(config(place, tmp_path / "out", compare=compare), [GEOMETRY])
    rows = table(tmp_path / "out")
    assert rows["stolen"]["novelty_name"] == "1ubq"
    assert float(rows["stolen"]["novelty_tm"]) == pytest.approx(1, abs=1e-3)
    assert all(float(r["novelty_tm"]) < 0.6 for n, r in rows.items() if n[:2] == "un")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    found = summary["sets"]["few"]["diversity"]["all"]
    assert found["clusters"] == {"0.5": 5, "0.6": 5}
    passing = summary["sets"]["few"]["diversity"]["passing"]
    passed = {n for n, r in rows.items() if r["gate"] == "1"}
    assert {"stolen", "twin"} < passed < set(rows)
    assert passing["n"] == len(passed)
    assert passing["clusters"] == {t: len(passed) - 1 for t in ("0.5", "0.6")}
    assert 0.2 < found["pairwise_tm"]["value"] < 0.4 and summary["references"] == 3


def test_command_line(folder, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["evaluate", str(folder), "-o", str(out), "--no-report", "--workers", "1", "-q"]
    assert command([*words, "--critic", "none"]) == 0
    assert "7 files, 7 measured now, 5 unreadable" in capsys.readouterr().out
    assert command([*words, "--critic", "none", "compare.max_pairs=10"]) == 0
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.jsonl").write_text("")
    for bad, says in (
        (["evaluate", str(folder)], "give -o DIR"),
        (["evaluate", str(tmp_path / "nowhere"), "-o", str(out)], "no such file or folder"),
        (["evaluate", str(folder / "folder.pdb"), "-o", str(out)], "no PDB or mmCIF file"),
        (["evaluate", str(folder), "-o", str(folder / "notes.txt")], "cannot write into"),
        (["evaluate", str(folder), "-o", str(tmp_path / "run")], "is a run folder"),
        (["evaluate", str(folder), "-o", str(out), "compare.max_pair=3"], "compare.max_pairs"),
        (["evaluate", str(folder), "-o", str(out), "--reference", "no.npz"], "no.npz"),
        (["evaluate", str(folder), "-o", str(out), "--workers", "-1"], "workers is -1"),
        (
            ["evaluate", str(folder), "-o", str(out), "--critic", "no.safetensors"],
            "no.safetensors",
        ),
    ):
        assert command([*bad, "-q"]) == 2, bad
        complaint = capsys.readouterr().err
        assert says in complaint and complaint.count("\n") == 1


def test_nothing_readable_is_a_user_error_with_a_table(folder, tmp_path):
    (folder / "helix.pdb").unlink()
    (folder / "coil.pdb.gz").unlink()
    with pytest.raises(UserError, match=r"none of 5 files could be measured.*metrics\.csv"):
        evaluate(config(folder, tmp_path / "out"), [GEOMETRY])
    assert len(table(tmp_path / "out")) == 5


def test_numbers_are_finite_json(folder, tmp_path):
    evaluate(config(folder, tmp_path / "out"), [GEOMETRY])
    text = (tmp_path / "out" / "summary.json").read_text()
    json.loads(text, parse_constant=lambda word: pytest.fail(word))
    assert math.isfinite(json.loads(text)["sets"]["mixed"]["columns"]["hb"]["value"])


@pytest.mark.slow
def test_two_processes_give_the_same_table(folder, tmp_path):
    evaluate(config(folder, tmp_path / "one"), [GEOMETRY])
    two = EvaluateConfig(paths=(str(folder),), out=str(tmp_path / "two"), workers=2)
    evaluate(two, [GEOMETRY])
    one = (tmp_path / "one" / "metrics.csv").read_text()
    assert one == (tmp_path / "two" / "metrics.csv").read_text()


def test_documentation_lists_every_column(repo):
    text = (repo / "docs" / "evaluation.md").read_text()
    for columns in (FILE_COLUMNS, GEOMETRY_COLUMNS, COMPARISON_COLUMNS, FOLDED_COLUMNS):
        assert as_markdown(columns) in text


def test_the_critic_joins_in(folder, tiny_critic, tmp_path, helix):
    bare = np.full_like(helix, np.nan)
    bare[:, 1] = helix[:, 1]
    (folder / "bare.pdb").write_text(pdb_text(Backbone.from_coord(bare)))
    result = evaluate(config(folder, tmp_path / "out", critic=str(tiny_critic)))
    rows = table(tmp_path / "out")
    backbones = [Backbone.from_coord(helix)]
    want = critic_columns(backbones, load_critic(tiny_critic), [rows["helix"]["gate"] == "1"])[0]
    assert float(rows["helix"]["soundness"]) == pytest.approx(want["soundness"], abs=2e-3)
    assert rows["helix"]["pass"] == "0"  # the gate is not met
    assert rows["bare"]["soundness"] == "" and rows["bare"]["status"] == "ok"
    record = next(r.record for r in result.rows if r.entry.name == "helix")
    assert record.layers["soundness"].shape == (40,)
    without = evaluate(config(folder, tmp_path / "out", critic="none"))
    assert "soundness" not in {column.key for column in without.columns}


def test_a_structure_too_large_is_a_row(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "MOST_RESIDUES", 50)
    evaluate(config(folder, tmp_path / "out"), [GEOMETRY])
    row = table(tmp_path / "out")["coil"]
    assert row["status"] == "error" and "60 residues; at most 50" in row["error"]


def test_a_killed_run_keeps_what_it_measured(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(refresh, "_KEEP_S", 0.0)
    monkeypatch.setattr(refresh, "_CHUNK", 1)

    def killed(done: int, total: int, failed: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(config(folder, tmp_path / "out"), [GEOMETRY], killed)
    assert evaluate(config(folder, tmp_path / "out"), [GEOMETRY]).measured == 7 - 3


#: Known figures (an independent measurement of the same files).
PUBLISHED = {
    "rfdiffusion_L150": {
        "ca_ok": 1.0, "cn_ok": 0.925, "clash_30": 0, "clash_36": 0, "rama_ok": 0.97,
        "helix": 0.51, "strand": 0.26, "coil": 0.23, "rg_ratio": 1.00, "hb": 0.72,
        "hb_long": 0.21, "contacts_long": 1.28,
    },
    "scafflab_demo_L200": {
        "ca_ok": 1.0, "cn_ok": 0.64, "clash_30": 1.0, "clash_36": 3.3, "rama_ok": 0.92,
        "helix": 0.47, "strand": 0.23, "coil": 0.30, "rg_ratio": 0.93, "hb": 0.62,
        "hb_long": 0.15, "contacts_long": 1.88,
    },
}  # fmt: skip


@pytest.mark.realdata
def test_published_rows_are_reproduced(data_dir, tmp_path):
    paths = tuple(str(data_dir / "published" / name) for name in PUBLISHED)
    compare = CompareConfig(enabled=False)
    evaluate(EvaluateConfig(paths, str(tmp_path), compare=compare, critic="none"), [GEOMETRY])
    sets = json.loads((tmp_path / "summary.json").read_text())["sets"]
    for name, known in PUBLISHED.items():
        for key, figure in known.items():
            found = sets[name]["columns"][key]["value"]
            assert found == pytest.approx(figure, rel=0.02, abs=0.006), (name, key)
