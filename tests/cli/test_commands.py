"""The program as a user runs it: what is printed, the exit code, and what is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import proteinweaver
from proteinweaver.cli.main import run
from proteinweaver.io.pdb import write_pdb
from proteinweaver.io.read import read_backbone
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.ideal import ideal_element

PROGRAM = [sys.executable, "-m", "proteinweaver"]


@pytest.fixture
def quick(tiny_weights: Path) -> list[str]:
    """Words that make any generating command take a moment only."""
    return ["--weights", str(tiny_weights), "--num-steps", "2", "--device", "cpu", "close=false"]


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Structure files, good and bad."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    coord = ideal_element("H", 30).numpy()
    write_pdb(folder / "good.pdb", Backbone.from_coord(coord, sequence="A" * 30, chain="B"))
    text = (folder / "good.pdb").read_text()
    (folder / "truncated.pdb").write_text(text[: len(text) // 2 + 37])
    (folder / "truncated.cif").write_text(
        "data_x\nloop_\n_atom_site.group_PDB\n_atom_site.id\nATOM"
    )
    (folder / "empty.pdb").write_text("")
    water = (
        "HETATM    1  O   HOH A   1       0.000   0.000   0.000  1.00  0.00           O  \nEND\n"
    )
    (folder / "water.pdb").write_text(water)
    (folder / "binary.pdb").write_bytes(bytes(range(256)) * 10)
    write_pdb(folder / "two.pdb", Backbone.from_coord(coord[:2]))
    return folder


def expect_refusal(words: list[str], capsys, tmp_path: Path, says: str = "") -> None:
    """Run a command that must cost one line, exit code 2 and leave nothing."""
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    code = run(words)
    shown = capsys.readouterr()
    assert code == 2, shown
    assert shown.out == ""
    lines = shown.err.strip().splitlines()
    assert len(lines) == 1, shown.err
    assert says in lines[0]
    assert "Traceback" not in lines[0]
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before


def test_generate_from_a_secondary_structure(quick, tmp_path, capsys):
    out = tmp_path / "run"
    words = ["generate", "--ss", "L2 H12 LL EEEEE", "-o", str(out), "--candidates", "2", *quick]
    assert run(words) == 0
    (side,) = (out / "designs").glob("*.json")
    told = json.loads(side.read_text())
    assert told["length"] == 21 and "LLHHHHHHHHHHHHLLEEEEE" in side.read_text()
    assert len(read_backbone(side.with_suffix(".pdb"))) == 21
    capsys.readouterr()
    for extra, says in (
        (["--length", "30"], "--ss tells length already; drop --length"),
        (["--fold", "alpha"], "--ss tells fold already; drop --fold"),
        (["--candidates", "0"], "domain_candidates is 0; draw at least 1"),
    ):
        bad = ["generate", "--ss", "HHHHHHHHLL", *extra, "-o", str(tmp_path / "no"), *quick]
        expect_refusal(bad, capsys, tmp_path, says)
    bad = ["generate", "--ss", "HHXHHHHHLL", "-o", str(tmp_path / "no"), *quick]
    expect_refusal(bad, capsys, tmp_path, "is no blueprint")


def test_generate_writes_a_run(quick, tmp_path, capsys):
    out = tmp_path / "run"
    assert run(["generate", "--length", "30", "-n", "2", "-o", str(out), *quick]) == 0
    shown = capsys.readouterr()
    assert "2 designs woven" in shown.out
    assert "GLY" in shown.out
    assert len(shown.err.strip().splitlines()) == 2  # one log line a design, no terminal here
    assert sorted(file.name for file in (out / "designs").iterdir()) == [
        f"domain30_s0_000{i}.{end}" for i in (0, 1) for end in ("json", "pdb")
    ]
    assert run(["generate", "--length", "30", "-n", "2", "-o", str(out), *quick]) == 0
    assert "0 designs woven, 2 finished before" in capsys.readouterr().out


def test_design_from_a_spec(quick, inputs, tmp_path):
    spec = inputs / "jobs.yaml"
    spec.write_text(
        "mixed:\n"
        "  domains: [{file: good.pdb, select: B5-24}, {length: 25}]\n"
        "  linkers: [{length: 4}]\n"
        "plain: {length: 60, domains: 2, n: 2, linkers: [5]}\n"
    )
    out = tmp_path / "run"
    assert run(["design", str(spec), "-o", str(out), "--quiet", *quick]) == 0
    sides = {file.stem: json.loads(file.read_text()) for file in out.glob("designs/*.json")}
    assert sides.keys() == {"mixed_s0_0000", "plain_s0_0000", "plain_s0_0001"}
    mixed = sides["mixed_s0_0000"]
    assert mixed["length"] == 49
    assert mixed["sequence"] == "A" * 20 + "G" * 29
    assert [entry["number"] for entry in mixed["residue_map"]] == list(range(5, 25))


def test_a_job_alone_and_in_a_spec_is_the_same(quick, inputs, tmp_path):
    """The name decides the noise: flags and spec meet, and other jobs shift nothing."""
    (inputs / "jobs.yaml").write_text(
        "other: {length: 50, domains: 2, linkers: [3]}\n"
        "x: {length: 60, domains: 2, linkers: [5]}\n"
    )
    assert run(["design", str(inputs / "jobs.yaml"), "-o", str(tmp_path / "a"), *quick]) == 0
    flags = ["--length", "60", "--domains", "2", "--linker", "5", "--name", "x"]
    assert run(["design", *flags, "-o", str(tmp_path / "b"), *quick]) == 0
    name = "designs/x_s0_0000.pdb"
    assert (tmp_path / "a" / name).read_text() == (tmp_path / "b" / name).read_text()


def test_assemble_with_selection_and_overwrite(quick, inputs, tmp_path, capsys):
    good = str(inputs / "good.pdb")
    words = ["assemble", "--domain", f"{good}:B1-20", "--domain", f"{good}:B11-30"]
    words += ["-o", str(tmp_path / "run"), *quick]
    assert run([*words, "--linker", "5"]) == 0
    capsys.readouterr()
    assert run([*words, "--linker", "6"]) == 2
    assert "another configuration" in capsys.readouterr().err
    assert run([*words, "--linker", "6", "--overwrite"]) == 0
    (side,) = (tmp_path / "run/designs").glob("*.json")
    assert json.loads(side.read_text())["length"] == 46


def test_dry_run_prints_plans_and_writes_nothing(inputs, tmp_path, capsys):
    before = set(tmp_path.rglob("*"))
    words = ["design", "--length", "200", "--domains", "2", "-n", "3", "--linker", "10"]
    assert run([*words, "--dry-run", "-o", str(tmp_path / "run")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all("200 residues = domain1" in line and "linker 10" in line for line in lines)
    assert set(tmp_path.rglob("*")) == before


BAD_FILES = [
    ("truncated.pdb", ""),
    ("truncated.cif", ""),
    ("empty.pdb", "empty"),
    ("water.pdb", "water.pdb"),
    ("binary.pdb", "binary"),
    ("two.pdb", "2 residues are no domain"),
    ("absent.pdb", "no such file"),
    ("good.pdb:Z", "no chain 'Z'"),
    ("good.pdb:B10-99", "outside the file"),
    ("good.pdb:B20-10", "backwards"),
    ("good.pdb:B1-2", "2 residues are no domain"),
    ("good.pdb:", "nothing after the colon"),
]


@pytest.mark.parametrize(("file", "says"), BAD_FILES)
def test_bad_structure_files(file, says, quick, inputs, tmp_path, capsys):
    words = ["assemble", "--domain", str(inputs / "good.pdb"), "--domain", str(inputs / file)]
    if file == "truncated.pdb":  # cut within a line: what is complete is read, the rest is told
        words[-1] += ":B25-30"
    expect_refusal([*words, "-o", str(tmp_path / "run"), *quick], capsys, tmp_path, says)


BAD_WORDS = [
    ("generate --length 0", "length is 0"),
    ("generate --length -5", "length is -5"),
    ("generate --length abc", "--length"),
    ("generate -n 0", "n is 0"),
    ("generate --sampler foo", "unknown sampler 'foo'"),
    ("generate --grid foo", "unknown grid 'foo'"),
    ("generate --sampler ddim --churn 0.5", "deterministic"),
    ("generate --seed -1", "seed is -1"),
    ("generate --device tpu", "device 'tpu'"),
    ("generate --batch-size 0", "--batch-size"),
    ("generate --shard 3/2", "shard 3/2"),
    ("generate --format xyz", "format is 'xyz'"),
    ("generate --name a/b", "job name 'a/b'"),
    ("generate lenght=30", "did you mean 'length'?"),
    ("generate 30", "'30' is neither a flag nor key=value"),
    ("generate --lenght 30", "--lenght"),
    ("design", "nothing to design"),
    ("design --length 30 --domains 3", "too short"),
    ("design --length 100 --domains 0", "domains is 0"),
    ("design --length 12000 --domains 40", "use --format cif"),
    ("design a.yaml b.yaml", "one word too many"),
    ("design nothing.yaml", "cannot read spec"),
    ("design nothing.yaml --length 100", "does not go with a spec"),
    ("assemble", "at least two domains"),
    ("assemble nothing.yaml", "cannot read spec"),
    ("assemble nothing.yaml --linker 5", "--linker does not go with a spec"),
    ("assemble --contig A1-20/5/A30-50", "name it with 'file'"),
    ("diversify", "nothing to vary"),
    ("diversify nothing.pdb --partial-t 1", "partial_t is 1"),
    ("diversify nothing.pdb", "no such file"),
    ("split nothing.pdb", "no such file"),
    ("check nothing.yaml", "cannot read spec"),
    ("check nothing.pdb", "no such file"),
    ("nonsense", "nonsense"),
    ("data info nothing.npz", "no such structure set"),
    ("train experiment=nothing", "nothing"),
    ("train trainer.max_minute=3", "did you mean 'trainer.max_minutes'?"),
]


@pytest.mark.parametrize(("line", "says"), BAD_WORDS)
def test_bad_words(line, says, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = line.split()
    if words[0] in {"generate", "design", "assemble", "diversify", "train"}:
        words += ["-o", str(tmp_path / "run")]
    expect_refusal(words, capsys, tmp_path, says)


def test_no_folder_to_write_into(quick, tmp_path, capsys):
    expect_refusal(["generate", *quick], capsys, tmp_path, "give -o DIR")
    (tmp_path / "file").write_text("")
    words = ["generate", "--length", "30", "-o", str(tmp_path / "file" / "run"), *quick]
    expect_refusal(words, capsys, tmp_path, "cannot write into")


@pytest.mark.parametrize("damage", ["cut", "flipped", "no card", "other card", "no weights"])
def test_corrupt_weights(damage, tiny_weights, tmp_path, capsys):
    folder = tmp_path / "weights"
    folder.mkdir()
    data = bytearray((tiny_weights / "domain.safetensors").read_bytes())
    card = (tiny_weights / "domain.json").read_text()
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "flipped":
        data[-5] ^= 255
    elif damage == "other card":
        card = card.replace('"width": 16', '"width": 24')
    if damage != "no weights":
        (folder / "domain.safetensors").write_bytes(bytes(data))
    if damage != "no card":
        (folder / "domain.json").write_text(card)
    words = ["generate", "--length", "30", "-o", str(tmp_path / "run"), "--weights", str(folder)]
    expect_refusal(words, capsys, tmp_path, "domain")


def test_a_fault_of_ours_is_exit_code_1(quick, tmp_path, capsys, monkeypatch):
    from proteinweaver.generation import weave

    def broken(*args, **kwargs):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(weave, "sample_domains", broken)
    assert run(["generate", "--length", "30", "-o", str(tmp_path / "run"), *quick]) == 1
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "a fault of proteinweaver" in shown


def test_interrupted_is_exit_code_130(quick, tmp_path, capsys, monkeypatch):
    from proteinweaver.generation import weave

    def stopped(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(weave, "sample_domains", stopped)
    assert run(["generate", "--length", "30", "-o", str(tmp_path / "run"), *quick]) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_program_leaves_whole_files_and_goes_on(quick, tmp_path):
    """SIGKILL after the first design: no half-written file; the same command ends the run."""
    out = tmp_path / "run"
    words = [*PROGRAM, "generate", "--length", "40", "-n", "6", "-o", str(out), *quick]
    first = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    limit = time.monotonic() + 120
    while not (out / "manifest.jsonl").is_file() and time.monotonic() < limit:
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait()
    for line in (out / "manifest.jsonl").read_text().splitlines():
        for file in json.loads(line)["files"]:
            assert (out / file).read_text().endswith(("END" + " " * 77 + "\n", "}\n"))
    subprocess.run(words, check=True, capture_output=True)
    assert len((out / "manifest.jsonl").read_text().splitlines()) == 6
    assert len(list((out / "designs").glob("*.pdb"))) == 6
    leftovers = [file.name for file in out.rglob(".*")]
    assert len(leftovers) <= 1  # the file that was being written when the program died


def test_help_imports_nothing_heavy():
    """`--help` stays quick because torch, Hydra and Lightning are not loaded for it."""
    code = (
        "import sys\n"
        "from proteinweaver.cli.main import run\n"
        "assert run(['--help']) == 0\n"
        "assert run(['design', '--help']) == 0\n"
        "heavy = {'torch', 'scipy', 'hydra', 'biotite', 'e3nn', 'pytorch_lightning'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert shown.stderr.strip() == "[]"
    named = (
        "design",
        "generate",
        "assemble",
        "diversify",
        "split",
        "check",
        "train",
        "data",
        "info",
    )
    for name in named:
        assert name in shown.stdout


def test_importing_the_package_is_light():
    code = "import sys, proteinweaver; print({'torch', 'numpy'} & set(sys.modules))"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "set()"


def test_names_of_the_package_are_there():
    assert set(proteinweaver.__all__) <= set(dir(proteinweaver))
    for name in proteinweaver.__all__:
        assert getattr(proteinweaver, name) is not None, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        proteinweaver.nothing  # noqa: B018


def test_info_names_versions_and_weights(tiny_weights, capsys):
    assert run(["info", "--weights", str(tiny_weights), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["versions"].keys() >= {"proteinweaver", "torch"}
    assert {entry["status"] for entry in found["weights"].values()} == {"ok"}
    assert run(["info"]) == 0
    assert "device cpu" in capsys.readouterr().out


def test_process_settings_leave_the_users_alone():
    """What the environment says about threads and memory stays; otherwise both are set."""
    code = (
        "import os, sys\n"
        "from proteinweaver.cli.process import keep_freed_memory, prepare_process\n"
        "os.getloadavg = lambda: (float(sys.argv[1]), 0.0, 0.0)\n"
        "prepare_process()\n"
        "print(os.environ.get('OMP_WAIT_POLICY'), keep_freed_memory())\n"
    )
    env = {k: v for k, v in os.environ.items() if k not in {"OMP_WAIT_POLICY", "GLIBC_TUNABLES"}}

    def shown(load: str, **extra: str) -> list[str]:
        words = [sys.executable, "-c", code, load]
        done = subprocess.run(words, capture_output=True, text=True, check=True, env=env | extra)
        return done.stdout.split()

    if sys.platform.startswith("linux"):
        assert shown("999") == ["PASSIVE", "True"]
        assert shown("0") == ["None", "True"]
    assert shown("999", OMP_WAIT_POLICY="ACTIVE", PROTEINWEAVER_MALLOC="system") == [
        "ACTIVE",
        "False",
    ]
