"""Comparisons: which become pairs, and that nothing bad is ever read as one."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from proteinweaver.cli.main import run as command
from proteinweaver.errors import UserError
from proteinweaver.evaluation.tm import tm_score
from proteinweaver.io.read import read_backbone
from proteinweaver.preference.candidates import draws_of_a_chain, find_candidates
from proteinweaver.preference.comparisons import PairSettings, agreement, compare, summary
from proteinweaver.preference.pair_file import load_members, read_pairs, write_pairs
from proteinweaver.preference.prefs import PrefsRequest, make_pairs
from proteinweaver.preference.rewards import reward_of
from proteinweaver.structure.ideal import ideal_element

REPO = Path(__file__).resolve().parents[2]
RNG = np.random.default_rng(0)


def verdicts(comparisons) -> dict[str, str]:
    return {f"{c.win.name}>{c.lose.name}": c.verdict for c in comparisons}


def test_margins_ties_and_limits(candidate):
    four = [candidate(n, s) for n, s in zip("abcd", (0.9, 0.5, 0.48, 0.1), strict=True)]
    every = compare(four, PairSettings(per_set=0, uses=0))
    found = verdicts(every)
    assert found.pop("b>c") == "tie"
    assert set(found.values()) == {"pair"} and len(found) == 5
    assert [c.margin for c in every] == sorted((c.margin for c in every), reverse=True)
    rates = {c.win.name: c.rates[0] for c in every} | {c.lose.name: c.rates[1] for c in every}
    assert rates == pytest.approx({"a": 1.0, "b": 0.5, "c": 0.5, "d": 0.0})  # b and c tie
    few = verdicts(compare(four, PairSettings(per_set=2, uses=0)))
    assert [k for k, v in few.items() if v == "pair"] == ["a>d", "a>c"]
    once = verdicts(compare(four, PairSettings(per_set=0, uses=1)))
    assert [k for k, v in once.items() if v == "pair"] == ["a>d"]
    assert compare([four[0], replace(four[1], plan="q")], PairSettings()) == []


def test_nearly_the_same_structures(candidate):
    ca = ideal_element("H", 40).numpy()[:, 1].astype(float)
    turned = Rotation.from_rotvec([0.4, 1, 0]).apply(ca) + 0.3 * RNG.standard_normal(ca.shape)
    tm = tm_score(ca, turned)
    assert tm > 0.92
    two = [candidate("a", 0.9, ca=ca), candidate("b", 0.2, ca=turned)]
    assert [c.verdict for c in compare(two, PairSettings())] == ["near-identical"]
    mixed = [*two, candidate("c", 0.1, passed=False)]
    weighed = {
        c.lose.name: c for c in compare(mixed, PairSettings(near="weigh")) if c.win.name == "a"
    }
    share = 4 * (2 / 3) * (1 / 3)
    assert weighed["c"].weight == pytest.approx(share)
    assert weighed["b"].verdict == "pair"
    assert weighed["b"].weight == pytest.approx(share * (1 - tm) / 0.1)


def test_an_ensemble_decides_and_weighs(candidate):
    a = candidate("a", 0.8, (0.9, 0.8, 0.7, 0.8), passed=False)
    b = candidate("b", 0.6, (0.5, 0.9, 0.6, 0.4))
    c = candidate("c", 0.4, (0.1, 0.95, 0.8, 0.9))
    assert agreement(a, b) == 0.75
    found = {f"{x.win.name}{x.lose.name}": x for x in compare([a, b, c], PairSettings(uses=0))}
    assert found["ab"].weight == pytest.approx(0.5 * 4 * 2 / 9)
    assert found["ac"].verdict == "disagreement"  # 1 of 4
    assert found["ab"].rates == pytest.approx(((0.75 + 0.25) / 2, (0.25 + 0.25) / 2))
    told = summary(list(found.values()))
    spread = np.median([np.std(x.score.votes) for x in (a, b, c)])
    assert told["noise"] == pytest.approx(spread, abs=1e-6)
    assert told["disagreement"] == 2
    assert (told["triples"], told["cyclic"]) == (1, 0.0)  # c > a > b, c > b
    # a majority that runs in a circle: a > b > c > a
    circle = [
        candidate("a", 0.9, (0.9, 0.5, 0.1)),
        candidate("b", 0.5, (0.5, 0.1, 0.9)),
        candidate("c", 0.1, (0.1, 0.9, 0.5)),
    ]
    told = summary(compare(circle, PairSettings(per_set=0, uses=0)))
    assert told["cyclic"] == 1.0


def test_sets_of_intermediate_pass_rate_come_first(candidate):
    sets = [
        candidate(f"{plan}{k}", 0.1 + 0.2 * k, plan=plan, passed=k < number)
        for plan, number in (("all", 4), ("half", 2), ("none", 0), ("one", 1))
        for k in range(4)
    ]
    found = compare(sets, PairSettings(per_set=1))
    order = list(dict.fromkeys(c.win.plan for c in found))
    assert order[:2] == ["half", "one"]
    weight = {c.win.plan: c.weight for c in found if c.verdict == "pair"}
    assert weight["half"] == 1.0 and weight["one"] == pytest.approx(0.75)
    assert weight["all"] == weight["none"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [({"margin": -1}, "margin"), ({"same": 0}, "TM-score"), ({"uses": -1}, "counts")],
)
def test_settings_that_mean_nothing(wrong, text):
    with pytest.raises(UserError, match=text):
        PairSettings(**wrong)


def test_from_run_folders_to_pairs_and_back(runs, tmp_path, reward):
    """All six designs share domains and plan; what is written is what is read, file by file."""
    out = tmp_path / "pairs.jsonl"
    request = PrefsRequest(
        (str(runs / "run0"), str(runs / "run1")), str(out), (reward,),
        settings=PairSettings(margin=0.0, per_set=0, uses=0),
    )  # fmt: skip
    result = make_pairs(request)
    assert (result.designs, result.summary["sets"], result.summary["comparisons"]) == (6, 1, 15)
    assert result.pairs == result.summary["pair"] > 5
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines) == 16
    assert lines[0]["rewards"] == [reward]
    read = read_pairs(out, strict=True)
    assert len(read.pairs) == result.pairs
    assert not read.refused
    for pair in read.pairs:
        assert pair.win["score"] > pair.lose["score"]
        side = json.loads(
            (Path(pair.win["run"]) / "designs" / f"{pair.win['name']}.json").read_text()
        )
        assert (side["seed"], side["index"]) == (pair.win["seed"], pair.win["index"])
    both = load_members(out, (read.pairs[0].win, read.pairs[0].lose))
    here = Path(read.pairs[0].lose["run"]) / read.pairs[0].lose["file"]
    truth, _ = Rotation.align_vectors(
        both.ranked[0][:, 1], (c := read_backbone(here).ca) - c.mean(0)
    )
    np.testing.assert_allclose(both.ranked[1][:, 1], truth.apply(c - c.mean(0)), atol=1e-3)
    assert both.domain.tolist() == [1] * 14 + [0] * 5 + [2] * 12
    assert np.isfinite(both.inputs[both.domain > 0]).all()
    with pytest.raises(UserError, match="exists"):
        make_pairs(request)


def test_designs_that_cannot_be_used_are_named(runs, tmp_path, reward):
    place = tmp_path / "run"
    shutil.copytree(runs / "run0", place)
    names = sorted(p.stem for p in (place / "designs").glob("*.json"))
    shutil.copy(place / f"designs/{names[0]}.pdb", place / "designs/stray.pdb")
    (place / f"designs/{names[1]}.pdb").write_text("not a structure\n")
    for part in (place / "domains").glob(f"{names[2]}_d2*"):
        part.unlink()
    found = find_candidates([place, place], reward_of([reward]))
    assert [c.name for c in found.candidates] == [names[0]]
    kinds = {line.split(":")[0]: kind for kind, line in found.problems}
    assert kinds["stray"] == "no side file"
    assert kinds[names[1]] == "unreadable"
    assert kinds[names[2]] == "no inputs"
    assert kinds[names[0]] == "duplicate"
    # another model
    side = place / f"designs/{names[0]}.json"
    told = json.loads(side.read_text())
    told["weights"]["assembler"] = "f" * 64
    side.write_text(json.dumps(told))
    with pytest.raises(UserError, match="designs of 2 models"):
        find_candidates([place, runs / "run1"], reward_of([reward]))
    found = find_candidates([place, runs / "run1"], reward_of([reward]), ["ffff"])
    assert [c.model[:4] for c in found.candidates] == ["ffff"]
    assert [k for k, _ in found.problems].count("wrong model") == 4
    mixed = find_candidates([place, runs / "run1"], reward_of([reward]), [""])
    assert len(mixed.candidates) == 4
    # a score that is not a number, by a table without this design
    (tmp_path / "s.csv").write_text("name,x\nother,0.5\n")
    found = find_candidates(
        [runs / "run1"], reward_of([f"csv:file={tmp_path / 's.csv'},column=x"])
    )
    assert not found.candidates
    assert {kind for kind, _ in found.problems} == {"no score"}
    with pytest.raises(UserError, match="no design could be scored"):
        make_pairs(PrefsRequest((str(runs / "run1"),), str(tmp_path / "o"),
                                (f"csv:file={tmp_path / 's.csv'},column=x",)))  # fmt: skip
    assert not (tmp_path / "o").exists()


def test_a_plan_is_order_lengths_mode_and_insides(runs, tmp_path, reward):
    """Another linker, or a domain moved by 0.01 A inside: no longer the same question."""
    base = find_candidates([runs / "run0"], reward_of([reward])).candidates
    assert len({c.plan for c in base}) == 1
    place = tmp_path / "run"
    shutil.copytree(runs / "run0", place)
    names = sorted(p.stem for p in (place / "designs").glob("*.json"))
    part = next((place / "domains").glob(f"{names[0]}_d1*"))
    text = part.read_text().splitlines()
    row = next(i for i, line in enumerate(text) if line.startswith("ATOM"))
    moved = float(text[row][30:38]) + 0.01
    text[row] = f"{text[row][:30]}{moved:8.3f}{text[row][38:]}"
    part.write_text("\n".join(text) + "\n")
    side = place / f"designs/{names[1]}.json"
    told = json.loads(side.read_text())
    told["plan"]["segments"][0]["mode"] = "rigid"
    side.write_text(json.dumps(told))
    found = find_candidates([place], reward_of([reward])).candidates
    plans = [c.plan for c in found]
    assert len(set(plans)) == 3
    assert plans[2] == base[0].plan
    with pytest.raises(UserError, match="no two of one plan"):
        make_pairs(PrefsRequest((str(place),), str(tmp_path / "o"), (reward,)))


@pytest.fixture(scope="module")
def written(runs, reward) -> str:
    """Text of a pair file of three pairs."""
    found = find_candidates([runs / "run0", runs / "run1"], reward_of([reward]))
    settings = PairSettings(margin=0.0, per_set=0, uses=0, same=0.999)
    chosen = [c for c in compare(found.candidates, settings) if c.verdict == "pair"][:3]
    write_pairs(runs / "three.jsonl", {"models": [found.candidates[0].model]}, chosen)
    return (runs / "three.jsonl").read_text()


@pytest.fixture
def good(written, tmp_path) -> tuple[Path, list[dict]]:
    """The file, and its lines."""
    path = tmp_path / "pairs.jsonl"
    path.write_text(written)
    return path, [json.loads(line) for line in written.splitlines()]


def spoil(kind: str, lines: list[dict]) -> None:
    one = lines[1]
    if kind == "missing file":
        one["win"]["file"] = "designs/gone.pdb"
    elif kind == "other content":
        one["lose"]["sha256"] = "0" * 64
    elif kind == "one-sided":
        del one["lose"]
    elif kind == "NaN":
        one["win"]["score"] = float("nan")
    elif kind == "no score":
        one["lose"]["score"] = None
    elif kind == "duplicated":
        lines.append(dict(one))
    elif kind == "contradiction":
        higher = {**one["lose"], "score": one["win"]["score"] + 0.1}
        lines.append({**one, "win": higher, "lose": one["win"]})
    elif kind == "wrong model":
        one["win"]["model"] = "e" * 64
    elif kind == "different plans":
        one["lose"]["plan"] = "0" * 16
    elif kind == "itself":
        one["lose"] = {**one["win"], "score": one["win"]["score"] - 0.1}
    elif kind == "upside down":
        one["win"], one["lose"] = one["lose"], one["win"]
    elif kind == "no weight":
        one["weight"] = 0.0
    elif kind == "no rate":
        one["win"]["win_rate"] = 1.5
    elif kind == "no hash":
        del one["win"]["sha256"]


@pytest.mark.parametrize(
    ("kind", "text", "left"),
    [
        ("missing file", "no file", 2),
        ("other content", "not the file that was compared", 2),
        ("one-sided", "one-sided: no lose", 2),
        ("NaN", "score is nan", 2),
        ("no score", "score is None", 2),
        ("duplicated", "line 5: repeats line 2", 3),
        ("contradiction", "contradict", 2),
        ("wrong model", "made by model eeee", 2),
        ("different plans", "different plans", 2),
        ("itself", "compared with itself", 2),
        ("upside down", "not the higher one", 2),
        ("no weight", "weight is 0.0", 2),
        ("no hash", "no sha256", 2),
        ("no rate", "win rate is 1.5", 2),
    ],
)
def test_bad_pairs_are_refused_by_name(good, kind, text, left):
    path, lines = good
    spoil(kind, lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    read = read_pairs(path)
    assert len(read.pairs) == left
    assert any(text in line for line in read.refused), read.refused
    with pytest.raises(UserError, match="bad pairs"):
        read_pairs(path, strict=True)


def test_files_that_are_none(good):
    path, lines = good
    whole = path.read_text()
    path.write_text(whole[: len(whole) - 40])  # torn
    assert "line 4: not JSON" in read_pairs(path).refused
    path.write_text(json.dumps(lines[0]) + "\n")
    with pytest.raises(UserError, match="no pair can be used"):
        read_pairs(path)
    with pytest.raises(
        UserError, match=r"no pair can be used of 3 comparisons; line 2: .* not dddd"
    ):
        path.write_text(whole)
        read_pairs(path, ["dddd"])
    path.write_text(whole.replace("proteinweaver-pairs-1", "other-1"))
    with pytest.raises(UserError, match="format other-1"):
        read_pairs(path)
    path.write_text("")
    with pytest.raises(UserError, match="not a readable pair file"):
        read_pairs(path)


def test_the_command(runs, tmp_path, capsys, reward):
    out = tmp_path / "p.jsonl"
    words = ["prefs", str(runs / "run0"), str(runs / "run1"), "-o", str(out), "--margin", "0.001"]
    held = ["--held-out", reward]
    assert command([*words, "--reward", reward, "--uses", "0", *held]) == 0
    said = capsys.readouterr()
    assert "agrees with 1.0 of" in said.err and "rank correlation 1.0 over 6" in said.err
    assert "pairs of 6 designs in 1 sets" in said.out
    assert "prefers what your function says" in said.err
    assert read_pairs(out).pairs
    assert command([*words, "--reward", reward]) == 2
    assert "exists" in capsys.readouterr().err
    assert command(["prefs", "-o", "x"]) == 2
    assert (
        command(["prefs", str(runs / "run0"), "-o", str(tmp_path / "q"), "--reward", "nice"]) == 2
    )
    assert "no reward 'nice'" in capsys.readouterr().err


def test_runs_that_keep_the_best_of_several_draws_are_known(tmp_path):
    assert draws_of_a_chain(tmp_path) == 1
    for text, draws in (
        ('{"identity": {"chain_candidates": 2}}', 2),
        ('{"identity": {}}', 1),
        ("[1]", 1),
        ("{torn", 1),
    ):
        (tmp_path / "run.json").write_text(text)
        assert draws_of_a_chain(tmp_path) == draws
