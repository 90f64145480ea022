"""The page of an alignment, read back from its own SVG."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from proteinweaver.errors import UserError
from proteinweaver.study.tradeoff import read_rounds, tradeoff_page

ROWS = [
    {"round": 1, "weights": "ab", "training": 0.4, "held_out": 0.30, "diversity": 0.5,
     "failed": 0.2, "drift": 0.3, "sets": 5},
    {"round": 2, "weights": "cd", "training": 0.5, "held_out": 0.32, "diversity": 0.45,
     "failed": 0.1, "drift": 0.3, "sets": 5},
    {"round": 3, "weights": "ef", "training": 0.7, "held_out": 0.31, "diversity": 0.2,
     "failed": float("nan"), "drift": 0.4, "sets": 5},
]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "rounds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    for leg, divergences in ((1, (0.5, 2.0)), (2, (1.0, 4.0))):
        (tmp_path / str(leg)).mkdir()
        lines = [json.dumps({"step": k, "valid/kl": v}) for k, v in enumerate(divergences)]
        (tmp_path / str(leg) / "metrics.jsonl").write_text("\n".join([*lines, '{"kl": 99.0}']))
    return tmp_path


def test_rounds_are_read_with_what_their_legs_tell(folder):
    rows = read_rounds(folder)
    assert [row["round"] for row in rows] == [1, 2, 3]
    assert [row["kl"] for row in rows] == [0.0, 2.0, 6.0]
    assert "failed" not in rows[2] and "weights" not in rows[0]
    (folder / "1" / "metrics.jsonl").unlink()
    assert ["kl" in row for row in read_rounds(folder)] == [True, False, False]


def test_the_curves_show_the_rounds(folder):
    page = tradeoff_page(read_rounds(folder), {"seed": 1}, "here")
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")  # nothing is loaded
    figures = [ElementTree.fromstring(text) for text in re.findall(r"<svg.*?</svg>", page)]
    assert len(figures) == 3
    name = "{http://www.w3.org/2000/svg}"
    told = [
        [circle.find(f"{name}title").text for circle in figure.iter(f"{name}circle")]
        for figure in figures
    ]
    assert told[0][:3] == [f"training reward: {x}" for x in ("0, 0.4", "2, 0.5", "6, 0.7")]
    assert told[1][3:] == [
        f"held-out reward: {x}" for x in ("0.5, 0.3", "0.45, 0.32", "0.2, 0.31")
    ]
    assert len(told[2]) == 4 * 3 - 1  # one round does not tell its failures
    # places on the screen are linear in the figures
    across = [float(c.get("cx")) for c in figures[0].iter(f"{name}circle")][:3]
    np.testing.assert_allclose(np.diff(across)[1] / np.diff(across)[0], 2.0, atol=0.02)
    assert "training reward 0.400 to 0.700" in page and "–" in page


def test_what_is_no_alignment_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_rounds(tmp_path)
    (tmp_path / "rounds.jsonl").write_text("")
    with pytest.raises(UserError, match="holds no round"):
        read_rounds(tmp_path)
    (tmp_path / "rounds.jsonl").write_text('{"round": 1}\n{"rou')
    with pytest.raises(UserError, match="line 2"):
        read_rounds(tmp_path)
