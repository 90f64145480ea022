"""The page: what it carries, odd names, and (slow) what a browser makes of it."""

import base64
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from proteinweaver.evaluation.measure import GEOMETRY
from proteinweaver.evaluation.run import EvaluateConfig, evaluate
from proteinweaver.io.pdb import pdb_text
from proteinweaver.report.page import page_html, write_page
from proteinweaver.report.trajectories import read_states, trajectory_file
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.ideal import ideal_element

ODD = "a<b>\"c' & </script><script>alert(1)</script>@@PAGE@@".replace("/", "|")
ASSETS = Path(__file__).resolve().parents[2] / "proteinweaver" / "report"


def states(coord: np.ndarray) -> np.ndarray:
    """From a cloud a hundred times as wide to the structure, each state turned at random."""
    rng = np.random.default_rng(0)
    out = []
    for level in (200.0, 40.0, 4.0, 0.4, 0.0):
        noisy = coord + level * rng.standard_normal(coord.shape)
        out.append(noisy @ Rotation.random(random_state=int(level)).as_matrix().T)
    return np.array(out)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A run folder of two designs with one trajectory, and a folder with an odd name and junk."""
    root = tmp_path_factory.mktemp("page")
    helix = ideal_element("H", 40).numpy()
    strand = ideal_element("E", 30).numpy()
    for folder in ("run/designs", "run/traj", "others"):
        (root / folder).mkdir(parents=True)
    backbone = Backbone.from_coord(helix)
    (root / "run/designs/one.pdb").write_text(pdb_text(backbone))
    (root / "run/designs/two.pdb").write_text(pdb_text(Backbone.from_coord(strand)))
    (root / "run/traj/one_xt.pdb").write_text(pdb_text(backbone, models=states(helix)))
    (root / f"others/{ODD}.pdb").write_text(pdb_text(Backbone.from_coord(helix[:25])))
    (root / "others/broken.pdb").write_text("nothing")
    config = EvaluateConfig(
        (str(root / "run"), str(root / "others")), str(root / "out"), workers=1
    )
    return write_page(evaluate(config, [GEOMETRY])), helix


def content(path: Path) -> tuple[dict, bytes]:
    text = path.read_text()
    data = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1]
    packed = re.search(r'id="bytes">(.*?)</script>', text, re.DOTALL)[1]
    return json.loads(data), base64.b64decode(packed)


def test_the_page_is_one_file_that_loads_nothing(page):
    text = page[0].read_text()
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", text)
    assert "@import" not in text and "fetch(" not in text and "XMLHttpRequest" not in text
    assert text.count("<script") == text.count("</script>") == 4
    assert "</script><script>alert" not in text


def test_rows_hold_the_table_and_the_odd_name(page):
    data, _ = content(page[0])
    keys = [column["key"] for column in data["columns"]]
    names = [row[keys.index("name")] for row in data["rows"]]
    assert sorted(names) == sorted(["one", "two", ODD, "broken"])
    trouble = dict(zip(names, data["trouble"], strict=True))
    assert trouble["broken"] == max(trouble.values())  # unreadable files come first
    assert data["links"]["0"][0][0] == "trajectory"
    assert {"length", "hb", "rg_ratio"} <= set(data["natives"])


def test_coordinates_and_colours_come_back(page):
    path, helix = page
    data, packed = content(path)
    item = data["structures"][0]
    size = item["length"]
    raw = np.frombuffer(packed, "<i2", 3 * size, item["offset"]).reshape(-1, 3) * item["step"]
    middle = (helix[:, 1].min(axis=0) + helix[:, 1].max(axis=0)) / 2
    np.testing.assert_allclose(raw, helix[:, 1] - middle, atol=0.012)
    side = np.frombuffer(packed, np.int8, 3 * size, item["offset"] + 6 * size).reshape(-1, 3)
    want = helix[:, 3] - helix[:, 2]
    want = want / np.linalg.norm(want, axis=1, keepdims=True)
    assert ((side / 127 * want).sum(axis=1) > 0.99).all()
    start = item["offset"] + 9 * size + size * item["layers"].index("ss")
    level = np.frombuffer(packed, np.uint8, size, start) / 254 * data["scales"]["ss"][1]
    assert (np.round(level[1:-1]) == 1).all()
    assert [s for s in data["structures"] if s is None] == [None]  # the unreadable file


def test_trajectories_lie_over_the_design_and_early_states_are_shrunk(page, tmp_path):
    path, helix = page
    data, packed = content(path)
    frames = data["trajectories"]["0"]["frames"]
    assert len(frames) == 5 and "shown at 1/" in frames[0]["text"] and not frames[-1]["text"]
    last = np.frombuffer(packed, "<i2", 120, frames[-1]["offset"]).reshape(-1, 3)
    middle = (helix[:, 1].min(axis=0) + helix[:, 1].max(axis=0)) / 2
    np.testing.assert_allclose(last * frames[-1]["step"], helix[:, 1] - middle, atol=0.03)
    design = path.parents[1] / "run" / "designs" / "one.pdb"
    found = read_states(trajectory_file(design), helix[:, 1])
    widths = np.sqrt(((found.ca - found.ca.mean(axis=1, keepdims=True)) ** 2).sum(-1).mean(-1))
    assert widths.max() < 1.7 * widths[-1] and found.shrunk[0] > 10
    assert read_states(trajectory_file(design), helix[:10, 1]) is None  # another design's
    assert trajectory_file(design.with_name("two.pdb")) is None


def test_small_budget_leaves_trajectories_out_and_says_so(page, tmp_path):
    path, _ = page
    root = path.parents[1]
    config = EvaluateConfig((str(root / "run"),), str(tmp_path), workers=1)
    text = write_page(evaluate(config, [GEOMETRY]), trajectory_mb=-1).read_text()
    assert content(tmp_path / "report.html")[0]["trajectories"] == {}
    assert "Trajectories of 1 designs were left out" in text


def test_two_hundred_designs_stay_small(tmp_path):
    """A page of 200 designs of 300 residues is far below 10 MB."""
    chain = Backbone.from_coord(ideal_element("E", 300).numpy())
    (tmp_path / "long.pdb").write_text(pdb_text(chain))
    config = EvaluateConfig((str(tmp_path / "long.pdb"),), str(tmp_path / "out"), workers=1)
    one = evaluate(config, [GEOMETRY])
    assert len(page_html(replace(one, rows=one.rows * 200))) < 3 * 2**20


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_viewer_without_a_browser():
    words = ["node", str(Path(__file__).with_name("viewer_check.js")), str(ASSETS / "viewer.js")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["whole"] == 29 * 5 and found["cut"] == 27 * 5  # both links of residue 20 are gone
    assert found["residues"] == 30 and found["finite"]
    assert found["flat"] == 25 * 5  # from the link into the helix on
    np.testing.assert_allclose(found["orthonormal"], [1, 1, 1, 0, 0, 0], atol=1e-9)
    assert found["zoom"] == 12 and found["drawn"] == 42 and found["calls"]["fill"] > 1000


CHROMIUM = next(
    (p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None
)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_in_a_browser(page):
    """It renders, sorts, filters, turns, plays and says nothing on the console, from a file."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    said: list[str] = []
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1400, "height": 900})
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("dialog", lambda dialog: said.append("dialog"))
        tab.on("request", lambda r: said.append(r.url) if not r.url.startswith("file:") else None)
        tab.goto(page[0].as_uri())
        tab.wait_for_function("window.ready")
        cells = "document.querySelectorAll('#table tbody tr td:first-child')"
        names = f"Array.from({cells}, td => td.textContent)"
        assert tab.evaluate(names)[0] == "broken" and ODD in tab.evaluate(names)
        tab.click("#table th[data-key=length]")
        first = tab.evaluate(names)
        tab.click("#table th[data-key=length]")
        second = tab.evaluate(names)
        assert first[-1] == second[-1] == "broken" and first[:3] == second[2::-1]
        tab.fill("#filter", "length>28 length<35")
        tab.wait_for_function("document.getElementById('count').textContent === '1 of 4'")
        assert tab.evaluate(names) == ["two"]
        tab.fill("#filter", "nonsense<3")
        tab.wait_for_function("document.getElementById('filter').classList.contains('wrong')")
        tab.fill("#filter", "")
        tab.wait_for_function("document.getElementById('count').textContent === '4 of 4'")
        pixels = "document.getElementById('canvas').toDataURL()"
        pictures = set()
        tab.click("#table tbody tr:has-text('one') td >> nth=0")
        pictures.add(tab.evaluate(pixels))
        box = tab.locator("#canvas").bounding_box()
        tab.mouse.move(box["x"] + 200, box["y"] + 200)
        tab.mouse.down()
        tab.mouse.move(box["x"] + 280, box["y"] + 230)
        tab.mouse.up()
        pictures.add(tab.evaluate(pixels))
        tab.mouse.wheel(0, -400)
        tab.wait_for_function("viewer.zoom > 1.2")
        pictures.add(tab.evaluate(pixels))
        for colour in ("ss", "index", "burial", "faults"):
            tab.select_option("#colour", colour)
            pictures.add(tab.evaluate(pixels))
        tab.evaluate("showFrame(1)")
        pictures.add(tab.evaluate(pixels))
        assert len(pictures) >= 7  # the helix has no faults: that picture may repeat another
        tab.click("#play")
        tab.wait_for_function("document.getElementById('when').textContent.startsWith('5 of 5')")
        tab.click("#table tbody tr:has-text('broken') td >> nth=0")
        assert tab.locator("#plots figure").count() > 5
        browser.close()
    assert said == []
