"""Every wrong assembly spec costs its own sentence, from `check` and `assemble` alike.

The files are those of the data release; nothing is loaded but structures.
"""

from pathlib import Path

import pytest
import yaml

from proteinweaver.cli.main import run

pytestmark = pytest.mark.realdata

L9 = "1div.pdb"


def two(**fields) -> dict:
    """Two halves of L9, rigid, with other fields."""
    domains = [
        {"name": "n", "file": L9, "select": "A1-52", "mode": "rigid"},
        {"name": "c", "file": L9, "select": "A56-149", "mode": "rigid"},
    ]
    return {"domains": domains, "linkers": [{"length": 8}], **fields}


def with_third(**fields) -> dict:
    spec = two(**fields)
    spec["domains"].append({"name": "sh3", "file": "1shg.pdb"})
    return spec


CASES = {
    "overlapping ranges": (
        {
            "domains": [
                {"name": "n", "file": L9, "select": "A1-60"},
                {"name": "c", "file": L9, "select": "A50-149"},
            ],
            "keep_pose": ["n", "c"],
        },
        "ranges overlap in 11 residues, A50 first",
    ),
    "overlap in a selection": (
        {"domains": [{"file": L9, "select": "A1-60,A50-149"}, {"length": 50}]},
        "overlaps an earlier range",
    ),
    "unknown chain": (
        {"domains": [{"file": L9, "select": "Z"}, {"length": 50}]},
        "no chain 'Z'",
    ),
    "range outside": (
        {"domains": [{"file": L9, "select": "A100-300"}, {"length": 50}]},
        "outside the file",
    ),
    "linker too short for a kept pose": (
        with_third(keep_pose=["n", "sh3"], linkers=[2], order=["n", "sh3", "c"]),
        ("reach", "come within"),
    ),
    "linker too short to stay apart": (
        two(apart=[{"a": "n", "b": "c", "min": 40}]),
        "lets the closest of them be at most",
    ),
    "contact out of reach": (
        two(linkers=[0], contacts=[{"a": "n:1", "b": "c:149", "max": 5}]),
        "keeps them at least",
    ),
    "order with an unknown name": (two(order=["n", "d"]), "no domain 'd'"),
    "order without one": (with_third(order=["n", "c"], linkers=[8]), "does not name each"),
    "order of too many": (
        {"length": 700, "domains": 6, "order": "all"},
        "720 orders",
    ),
    "contradicting wishes": (
        two(
            linkers=[30],
            contacts=[{"a": "n:10-20", "b": "c:80-90", "max": 8}],
            apart=[{"a": "n:5-30", "b": "c:70-100", "min": 12}],
        ),
        "contradicts",
    ),
    "contradicting wishes by way of a third domain": (
        with_third(
            linkers=[30],
            contacts=["n:10-20 sh3:30-32 8", "sh3:40-42 c:80-90 8"],
            apart=["n c 70"],
        ),
        "both touch domain 'sh3'",
    ),
    "a chain too short to stay apart": (
        with_third(linkers=[4], apart=["n sh3 300"], order=["n", "c", "sh3"]),
        "residues between two domains lets",
    ),
    "contact inside a domain": (
        two(contacts=[{"a": "n:1", "b": "n:40", "max": 4}]),
        "both ends lie in domain 'n'",
    ),
    "apart inside a kept pose": (
        two(keep_pose=["n", "c"], apart=[{"a": "n", "b": "c", "min": 30}]),
        "both ends lie in the kept pose",
    ),
    "unknown name in a wish": (
        two(contacts=[{"a": "n:1", "b": "x", "max": 8}]),
        "no domain 'x'",
    ),
    "residues a domain has not": (
        two(contacts=[{"a": "n:1", "b": "c:10-20", "max": 8}]),
        "outside the file",
    ),
    "range of a new domain": (
        {
            "domains": [{"name": "n", "file": L9, "select": "A1-52"}, {"name": "m", "length": 50}],
            "contacts": ["n m:60-70 8"],
        },
        "no range of domain 'm'",
    ),
    "contact too close": (two(contacts=["n c 2"]), "come no closer than 4"),
    "half a wish": (two(contacts=["n c"]), "has 2 parts, not 3"),
    "wish without a distance": (two(apart=["n c far"]), "'far' is not a distance"),
    "wish of one end": (two(apart=["n n 5"]), "both ends are the same"),
    "kept pose of one": (two(keep_pose=["n"]), "one domain only"),
    "kept pose of a new domain": (
        {"domains": [{"name": "n", "length": 50}, {"name": "c", "file": L9}],
         "keep_pose": ["n", "c"]},
        "comes from no file",
    ),
    "linker shape without residues": (two(linkers=[{"length": 0, "ss": "H"}]), "0 residues"),
    "linker shape of another length": (
        two(linkers=[{"length": 10, "ss": "L2 H12"}]),
        "has 14 residues",
    ),
    "linker shape unknown": (two(linkers=[{"length": 10, "ss": "X"}]), "is not H, E or L"),
    "names twice": (
        {"domains": [{"name": "n", "length": 50}, {"name": "n", "length": 60}]},
        "two domains are named 'n'",
    ),
    "budget": (two(pass_budget="200/10"), "want 1 design or more"),
    "budget text": (two(pass_budget="some"), "passed/tried"),
    "length twice": (two(length=150, total_length=160), "one field"),
    "length too long": (two(total_length=500), "too long"),
    "length too short": (two(total_length=100), "too short"),
    "missing library": (
        {"domains": [{"library": "nowhere"}, {"length": 50}]},
        "no such folder",
    ),
    "contig without a file": ({"contig": "A10-50/10/A60-100"}, "name it with 'file'"),
    "contig and domains": (
        {"contig": "A10-50/10/A60-100", "file": L9, "domains": [{"length": 50}]},
        "drop 'domains'",
    ),
    "context without a frame": (
        {"length": 200, "domains": 2, "context": L9},
        "give one with 'file'",
    ),
    "context of water": (two(context="water.pdb"), "no atom besides water"),
}  # fmt: skip


@pytest.fixture(scope="module")
def raw(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    for name in (L9, "1shg.pdb"):
        (folder / name).write_bytes((data_dir / "raw" / name).read_bytes())
    water = (
        "HETATM    1  O   HOH A   1       0.000   0.000   0.000  1.00  0.00           O  \nEND\n"
    )
    (folder / "water.pdb").write_text(water)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_spec_costs_one_sentence(name, raw, capsys, monkeypatch):
    fields, says = CASES[name]
    spec = raw / "spec.yaml"
    spec.write_text(yaml.safe_dump({"job": fields}, sort_keys=False))
    from proteinweaver.generation import run as runs

    def loaded(*_: object) -> None:
        raise AssertionError("a model was asked for")

    monkeypatch.setattr(runs, "make_kit", loaded)
    told = []
    for words in (["check", str(spec)], ["assemble", str(spec), "-o", str(raw / "out")]):
        assert run(words) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        (line,) = shown.err.strip().splitlines()
        told.append(line)
        assert any(text in line for text in ((says,) if isinstance(says, str) else says)), line
    assert told[0] == told[1]
    assert not (raw / "out").exists()


def test_sentences_differ(raw, capsys):
    """No two mistakes share a sentence."""
    said = [says if isinstance(says, str) else says[0] for _, says in CASES.values()]
    repeated = {text for text in said if said.count(text) > 1}
    assert repeated <= {"outside the file", "drop 'domains'"}


def test_a_right_spec_is_told(raw, capsys):
    spec = raw / "right.yaml"
    fields = with_third(
        linkers=[{"length": 3}, {"length": "10-14", "ss": "H"}],
        keep_pose=["n", "c"],
        contacts=["c:100-110 sh3 9"],
        order="fixed",
        n=3,
    )
    spec.write_text(yaml.safe_dump({"job": fields}, sort_keys=False))
    assert run(["check", str(spec)]) == 0, capsys.readouterr().err
    shown = capsys.readouterr().out
    assert "3 designs" in shown
    assert "3 wishes" in shown
    assert run(["check", str(raw / L9)]) == 0
    assert "149 residues, 1 to 149" in capsys.readouterr().out


def test_contigs_and_flags_meet(raw, capsys):
    words = ["assemble", "--file", str(raw / L9), "--contig", "A1-52/10/40/5-8/A56-149", "-n", "2"]
    assert run([*words, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all("52 + linker 10 +" in line and line.endswith(" 94") for line in lines)
