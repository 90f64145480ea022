"""Running a study: resume, refusals, files that stand alone; the study of the shipped model."""

import json
import math
import re
import shutil
from dataclasses import dataclass
from typing import ClassVar
from xml.etree import ElementTree

import numpy as np
import pytest

from proteinweaver.cli.main import run
from proteinweaver.errors import UserError
from proteinweaver.io.pdb import write_pdb
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.ideal import ideal_element
from proteinweaver.study.figure import svg
from proteinweaver.study.model import ModelStudy
from proteinweaver.study.run import run_study
from samplers.studies.base import Case, Figure, Report, Series, Study, Table

SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Squares(Study):
    """Three cases; one may fail."""

    name: ClassVar[str] = "squares"
    title: ClassVar[str] = "Squares <&>"
    device: str = "cpu"
    broken: ClassVar[bool] = False
    ran: ClassVar[list[str]] = []

    def cases(self, scratch=None):
        return tuple(Case(f"case {k}", lambda k=k: self.work(k)) for k in (1, 2, 3))

    def work(self, k):
        if self.broken and k == 2:
            raise KeyboardInterrupt
        self.ran.append(f"case {k}")
        return [{"k": k, "square": k * k + self.seed, "none": math.nan}]

    def report(self, rows):
        values = tuple(float(r["k"]) for r in rows), tuple(float(r["square"]) for r in rows)
        table = Table("squares", "Squares", ("k",), tuple((str(r["k"]),) for r in rows))
        figure = Figure("squares", "a < b & c", "k", "square", (Series("s", *values),))
        return Report(("Text & more.",), (table,), (figure,))


@pytest.fixture
def squares(monkeypatch):
    monkeypatch.setattr(Squares, "ran", [])
    return Squares


def test_a_killed_study_goes_on(tmp_path, squares, monkeypatch):
    monkeypatch.setattr(squares, "broken", True)
    with pytest.raises(KeyboardInterrupt):
        run_study(squares(), tmp_path / "a")
    monkeypatch.setattr(squares, "broken", False)
    with (tmp_path / "a" / "rows.jsonl").open("a") as file:
        file.write('{"case": "case 2", "ro')  # the line that was being written
    lines = []
    result = run_study(squares(), tmp_path / "a", on_case=lambda *event: lines.append(event))
    assert squares.ran == ["case 1", "case 2", "case 3"]
    assert (result.done, result.earlier) == (2, 1)
    assert [line[:2] for line in lines] == [(1, 3), (2, 3), (3, 3)]
    whole = run_study(squares(), tmp_path / "b")
    assert str(result.rows) == str(whole.rows)  # nan among them
    for name in ("rows.csv", "squares.csv", "squares.svg", "study.html"):
        assert (tmp_path / "a" / name).read_text() == (tmp_path / "b" / name).read_text()
    again = run_study(squares(), tmp_path / "a")
    assert (again.done, again.earlier) == (0, 3)


def test_folders_do_not_mix(tmp_path, squares):
    run_study(squares(), tmp_path)
    with pytest.raises(UserError, match="another seed"):
        run_study(squares(seed=1), tmp_path)
    run_study(squares(device="other"), tmp_path)
    squares.ran.clear()
    assert run_study(squares(seed=1), tmp_path, overwrite=True).rows[0]["square"] == 2
    assert len(squares.ran) == 3
    record = json.loads((tmp_path / "study.json").read_text()) | {"study": "circles"}
    (tmp_path / "study.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="'circles'"):
        run_study(squares(seed=1), tmp_path)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "run.json").write_text("{}")
    with pytest.raises(UserError, match="something else"):
        run_study(squares(), tmp_path / "b")


def test_the_page_stands_alone(tmp_path, squares):
    run_study(squares(), tmp_path)
    page = (tmp_path / "study.html").read_text()
    assert not re.search(r"(src|href)=|@import|url\(", page)
    assert page.count("http") == page.count('xmlns="http://www.w3.org/2000/svg"')
    assert "Squares &lt;&amp;&gt;" in page
    assert "prefers-color-scheme: dark" in page
    ElementTree.fromstring((tmp_path / "squares.svg").read_text())


@pytest.mark.parametrize("log", [False, True])
def test_points_lie_where_their_numbers_say(log):
    x, y = (1.0, 3.0, 20.0, 400.0), (0.5, math.nan, 2e-3, 1e-7)
    figure = Figure("f", "t", "x", "y", (Series("s", x, y),), log_x=log, log_y=log)
    tree = ElementTree.fromstring(svg(figure))
    circles = tree.findall(f"{SVG}circle")
    assert len(circles) == 3
    clock = np.log if log else np.asarray
    for axis, values in (("cx", [1.0, 20.0, 400.0]), ("cy", [0.5, 2e-3, 1e-7])):
        places = np.array([float(c.get(axis)) for c in circles])
        u = clock(np.array(values))
        expected = places[0] + (u - u[0]) / (u[-1] - u[0]) * (places[-1] - places[0])
        np.testing.assert_allclose(places, expected, atol=0.11)
    labels = [t.text for t in tree.findall(f"{SVG}text")]
    assert {"t", "s"} <= set(labels)


@pytest.mark.parametrize("values", [(), (math.nan,), (2.0,), (2.0, 2.0), (0.0, -1.0)])
def test_figures_without_a_range_are_drawn(values):
    series = Series("s", tuple(range(1, len(values) + 1)), values)
    ElementTree.fromstring(svg(Figure("f", "t", "x", "y", (series,))))


def test_long_legends_stay_inside():
    series = tuple(Series(f"s{k}", (1.0, 2.0), (1.0, 2.0)) for k in range(45))
    tree = ElementTree.fromstring(svg(Figure("f", "t", "x", "y", series)))
    bottom = float(tree.get("viewBox").split()[3])
    heights = [float(t.get("y")) for t in tree.findall(f"{SVG}text") if t.get("y")]
    assert max(heights) < bottom


MODEL = {
    "length": 24,
    "n": 2,
    "samplers": ("expab2_x0",),
    "grids": ("uniform", "fitted"),
    "steps": (2, 4),
    "reference": 4,
    "pilot": 1,
    "knots": 2,
    "iterations": 0,
}


def test_model_study(tmp_path, tiny_weights):
    """The reference's own sampler, grid and steps give the reference; fewer steps do not."""
    study = ModelStudy(**MODEL, weights=str(tiny_weights), device="cpu")
    result = run_study(study, tmp_path)
    by = {(r["sampler"], r["grid"], r["budget"]): r for r in result.rows}
    same, fewer = by["expab2_x0", "uniform", 4], by["expab2_x0", "uniform", 2]
    assert same["ca_rmsd"] == pytest.approx(0, abs=1e-4)
    assert same["angle"] == pytest.approx(0, abs=0.05)
    assert same["unchanged"] == 1
    assert fewer["ca_rmsd"] > 0.01
    half = by["reference", "reference", 4]
    assert half["ca_rmsd"] == pytest.approx(fewer["ca_rmsd"], rel=1e-3)  # both are two steps
    assert math.isfinite(by["expab2_x0", "fitted", 4]["ca_rmsd"])
    assert len(list((tmp_path / "scratch").iterdir())) == 2
    assert "uniform" in {row[1] for row in result.report.tables[0].rows}


def test_other_weights_are_another_study(tmp_path, tiny_weights):
    shutil.copytree(tiny_weights, tmp_path / "weights")
    options = {**MODEL, "samplers": ("ddim",), "grids": ("uniform",), "steps": (2,)}
    study = ModelStudy(**options, weights=str(tmp_path / "weights"), device="cpu")
    run_study(study, tmp_path / "out")
    for kind in (".safetensors", ".json"):
        shutil.copy(tiny_weights / f"assembler{kind}", tmp_path / "weights" / f"domain{kind}")
    with pytest.raises(UserError, match="another weights_sha256"):
        run_study(study, tmp_path / "out")


def test_model_study_of_the_assembler(tmp_path, tiny_weights):
    """Chains of unequal length; padding counts for nothing."""
    helix = Backbone.from_coord(ideal_element("H", 12).numpy(), sequence="A" * 12, chain="A")
    write_pdb(tmp_path / "a.pdb", helix)
    options = {**MODEL, "grids": ("uniform",), "domain": (str(tmp_path / "a.pdb"),) * 2}
    study = ModelStudy(**options, weights=str(tiny_weights), device="cpu")
    rows = run_study(study, tmp_path / "out").rows
    assert rows[-1]["ca_rmsd"] == pytest.approx(0, abs=1e-4)
    assert rows[-2]["ca_rmsd"] > 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"domain": ("a.pdb",)}, "two domains"),
        ({"samplers": ("sde",)}, "stochastic"),
        ({"grids": ("nope",)}, "unknown grid 'nope'"),
        ({"reference": 1}, "reference at least 2"),
        ({"threshold": 0.0}, "threshold is 0"),
    ],
)
def test_model_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        ModelStudy(**options)


BUDGET = ("study", "budget", "samplers=[ddim]", "dim=2")


def test_command(tmp_path, capsys):
    out = tmp_path / "a"
    assert run([*BUDGET, "steps=[4,8]", "-q", "-o", str(out)]) == 0
    assert "1 cases run" in capsys.readouterr().out
    assert (out / "study.html").is_file()
    assert run([*BUDGET, "steps=[4,8]", "-q", "-o", str(out)]) == 0
    assert "1 finished before" in capsys.readouterr().out


def test_multirun(tmp_path, capsys):
    assert run([*BUDGET, "steps=[4]", "seed=0,3", "-m", "-q", "-o", str(tmp_path)]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["seed=0", "seed=3"]
    saved = json.loads((tmp_path / "seed=3" / "study.json").read_text())
    assert saved["config"]["seed"] == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["study", "nope"], "unknown study 'nope'"),
        (["study", "budget", "step=[3]"], "did you mean 'steps'"),
        (["study", "budget", "samplers=[sde]"], "study budget: sampler 'sde'"),
        (["study", "budget"], "give -o DIR"),
        (["study", "budget", "seed=0,1"], "multirun"),
    ],
)
def test_mistakes_cost_one_line(words, message, capsys):
    assert run(words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_dry_run_lists_the_cases(capsys):
    assert run(["study", "model", "--dry-run", "samplers=[ddim]", "grids=[uniform]"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-2:] == ["reference", "ddim uniform"]
