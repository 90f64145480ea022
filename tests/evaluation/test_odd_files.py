"""Odd files as users have them: each is a row, with numbers that hold or a reason that helps."""

import csv
import json

import numpy as np
import pytest

from proteinweaver.evaluation.compare import CompareConfig
from proteinweaver.evaluation.measure import GEOMETRY, measure_backbone
from proteinweaver.evaluation.run import EvaluateConfig, evaluate
from proteinweaver.io.mmcif import cif_text
from proteinweaver.io.pdb import pdb_text
from proteinweaver.structure.backbone import Backbone

#: What a file is refused with.
REFUSED = {
    "empty": "empty",
    "header": "no protein",
    "stars": "line 3",
    "nan": "not a number",
    "cut": "truncated",
    "wide": "wider than 20000 A",
    "infinite": "wider than 20000 A",
    "twice": "is there twice",
}


def atoms(coord: np.ndarray) -> list[str]:
    text = pdb_text(Backbone.from_coord(coord.astype(np.float32)))
    return [line for line in text.splitlines(True) if line.startswith("ATOM")]


def placed(line: str, *xyz: str) -> str:
    return line[:30] + "".join(f"{word:>8}" for word in xyz) + line[54:]


@pytest.fixture(scope="module")
def rows(helix, tmp_path_factory):
    """The whole folder, evaluated once."""
    place = tmp_path_factory.mktemp("odd")
    lines = atoms(helix)
    residue = [int(line[22:26]) for line in lines]
    name = [line[12:16].strip() for line in lines]
    keep = {
        "whole": [True] * len(lines),
        "one": [r == 5 for r in residue],
        "two": [r in (5, 6) for r in residue],
        "bare": [n == "CA" for n in name],
        "no_o": [n != "O" for n in name],
        "no_n_20": [not (n == "N" and r == 20) for n, r in zip(name, residue, strict=True)],
        "gap": [not 15 <= r <= 20 for r in residue],
        "empty": [False] * len(lines),
    }
    files = {
        key: "".join(line for line, k in zip(lines, kept, strict=True) if k)
        for key, kept in keep.items()
    }
    files["header"] = "HEADER    NOTHING\nEND\n"
    files["stars"] = "".join([*lines[:2], placed(lines[2], "********", "1.0", "1.0"), *lines[3:]])
    files["nan"] = "".join([*lines[:9], placed(lines[9], "nan", "nan", "nan"), *lines[10:]])
    files["cut"] = "".join(lines[:100]) + lines[100][:40]
    files["twice"] = "".join(lines + lines)
    files["break"] = "".join(
        f"{line[:22]}{r - 6 * (r > 20):4d}{line[26:]}"
        for line, r, k in zip(lines, residue, keep["gap"], strict=True)
        if k
    )
    files["origin"] = "".join(placed(line, "0.000", "0.000", "0.000") for line in lines)
    files["far"] = "".join(atoms(helix + 5000))
    for key, text in files.items():
        (place / f"{key}.pdb").write_text(text)
    for key, value in (("wide", helix * 1e6), ("infinite", helix)):
        text = cif_text(Backbone.from_coord(value.astype(np.float32)))
        if key == "infinite":
            first = f"{helix[0, 0, 0]:.3f}"
            text = text.replace(f" {first} ", " 1e39 ", 1)
        (place / f"{key}.cif").write_text(text)
    out = tmp_path_factory.mktemp("out")
    compare = CompareConfig(reference="none")
    evaluate(EvaluateConfig((str(place),), str(out), 1, compare), [GEOMETRY])
    json.loads((out / "summary.json").read_text(), parse_constant=lambda word: 1 / 0)
    with (out / "metrics.csv").open(newline="") as handle:
        return {row["name"]: row for row in csv.DictReader(handle)}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused_with_a_reason(rows, name):
    assert rows[name]["status"] == "error" and REFUSED[name] in rows[name]["error"]
    assert rows[name]["length"] == "" and "\n" not in rows[name]["error"]


def test_the_others_are_measured(rows):
    assert {name for name, row in rows.items() if row["status"] == "ok"} == {
        "whole", "one", "two", "bare", "no_o", "no_n_20", "gap", "break", "origin", "far",
    }  # fmt: skip


def test_missing_atoms(rows):
    assert rows["no_n_20"]["length"] == "39" and "A20" in rows["no_n_20"]["notes"]
    assert (rows["no_n_20"]["gaps"], rows["no_n_20"]["chain_breaks"]) == ("1", "0")
    for key in ("ca_ok", "rg_ratio", "rama_ok", "cn_ok"):
        assert rows["no_o"][key] == rows["whole"][key]
    assert "O rebuilt" in rows["no_o"]["notes"]
    assert float(rows["no_o"]["hb"]) == pytest.approx(float(rows["whole"]["hb"]), abs=0.05)
    assert rows["bare"]["cn_ok"] == rows["bare"]["hb"] == "" and rows["bare"]["ca_ok"] == "1"


def test_missing_residues(rows):
    assert (rows["gap"]["gaps"], rows["gap"]["chain_breaks"], rows["gap"]["length"]) == (
        "1", "0", "34",
    )  # fmt: skip
    assert (rows["break"]["gaps"], rows["break"]["chain_breaks"]) == ("0", "1")
    assert (
        "chain_breaks" in rows["break"]["faults"] and "chain_breaks" not in rows["gap"]["faults"]
    )


def test_one_and_two_residues(rows):
    one, two = rows["one"], rows["two"]
    assert (one["length"], two["length"]) == ("1", "2")
    assert one["ca_ok"] == one["omega_trans"] == one["min_ca"] == one["contact_order"] == ""
    assert float(two["ca_ok"]) == float(two["cn_ok"]) == float(two["omega_trans"]) == 1
    assert float(one["bond_dev"]) < 0.01 and one["rama_ok"] == two["rama_ok"] == ""
    assert one["gate"] == two["gate"] == "0"  # no fold has one residue


def test_all_atoms_in_one_place_never_pass(rows):
    assert rows["origin"]["gate"] == "0"
    assert {"ca_ok", "min_ca", "rg_ratio"} <= set(rows["origin"]["faults"].split(";"))


def test_far_from_the_origin_nothing_changes(rows):
    """At 5000 A a PDB file still has its three digits; single precision loses a little."""
    for key, value in rows["whole"].items():
        if key in ("name", "file") or value == "":
            continue
        try:
            assert float(rows["far"][key]) == pytest.approx(float(value), abs=2e-2), key
        except ValueError:
            assert rows["far"][key] == value


def test_nonsense_handed_over_in_python(helix):
    for coord in (np.zeros((0, 4, 3)), np.full((4, 4, 3), np.nan)):
        with pytest.raises(ValueError, match=r"residue|finite|coord"):
            measure_backbone(Backbone.from_coord(coord.astype(np.float32)))
