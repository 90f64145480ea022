"""The ranked list: distinct poses first, by a measure that knows nothing of frames."""

import json
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from proteinweaver.generation import poses as poses_module
from proteinweaver.generation.fixed_positions import fixed_positions, write_fixed_positions
from proteinweaver.generation.poses import SAME_POSE, Clusters, Pose, pose_similarity
from proteinweaver.generation.ranking import Ranking, place_of
from proteinweaver.io.pdb import pdb_text
from proteinweaver.structure.backbone import Backbone

RNG = np.random.default_rng(0)
LARGE, SMALL = 12.0 * RNG.standard_normal((80, 3)), 8.0 * RNG.standard_normal((40, 3))


def pose(angle: float, seed: int = 0) -> Pose:
    """The small domain 40 A away, turned by an angle; everything in a random frame."""
    turn = Rotation.from_rotvec([0, 0, angle]).as_matrix()
    small = (SMALL + np.array([40.0, 0.0, 0.0])) @ turn.T
    frame = Rotation.random(random_state=seed).as_matrix()
    return Pose("job", (LARGE @ frame.T + 5.0 * seed, small @ frame.T + 5.0 * seed))


def test_frames_do_not_matter_and_poses_do():
    assert pose_similarity(pose(0.3, 1), pose(0.3, 2)) > 0.999
    assert pose_similarity(pose(0.0), pose(0.02)) > 0.8
    assert pose_similarity(pose(0.0), pose(2.0)) < 0.3


def test_order_in_the_chain_does_not_matter_but_jobs_and_lengths_do():
    one = pose(0.0)
    assert pose_similarity(one, Pose("other", one.domains)) == 0.0
    assert pose_similarity(one, Pose("job", (LARGE, SMALL[:-1]))) == 0.0


def test_clusters_are_led_by_the_first():
    poses = [pose(0.0), pose(2.0), pose(0.01, 3), pose(2.01, 4), pose(-2.0)]
    found = Clusters()
    assert [found.add(one) for one in poses] == [0, 1, 0, 1, 4]


def test_no_pose_is_missed_without_superposing(monkeypatch):
    """Against comparing every design with every leader; many kinds, jobs, repeats."""
    monkeypatch.setattr(poses_module, "_BLOCK", 8)
    rng = np.random.default_rng(5)
    poses = []
    for k in range(120):
        angle = rng.normal(scale=0.05) + rng.integers(5)
        one = pose(float(angle), k)
        noise = tuple(part + 0.3 * rng.standard_normal(part.shape) for part in one.domains)
        poses.append(Pose("job" if k % 5 else "other", noise[: 1 if k % 11 == 0 else 2]))
    poses += [Pose("job", (p.domains[0], p.domains[1], p.domains[0] + 30)) for p in poses[1:5]]
    found = Clusters()
    leaders: list[int] = []
    for k, one in enumerate(poses):
        same = [lead for lead in leaders if pose_similarity(poses[lead], one) >= SAME_POSE]
        truth = same[0] if same else k
        leaders += [k] if truth == k else []
        assert found.add(one) == truth
    assert 10 < len(leaders) < 80


def write(folder: Path, name: str, place: Pose, score: float, passed: bool) -> None:
    coord = np.concatenate(place.domains)[:, None] + np.zeros((1, 4, 1))
    files = [f"designs/{name}.pdb", f"designs/{name}.json"]
    (folder / "designs").mkdir(exist_ok=True)
    text = pdb_text(Backbone.from_coord(coord + np.arange(4)[None, :, None] * 0.8))
    (folder / files[0]).write_text(text)
    rows = [
        {"kind": "domain", "request": 1, "first": 1, "last": 80},
        {"kind": "domain", "request": 2, "first": 81, "last": 120},
    ]
    entry = {"output_chain": "A", "written_as_gly": False}
    side = {
        "plan": {"segments": rows},
        "residue_map": [{**entry, "output_number": n} for n in (1, 2, 120)],
    }
    (folder / files[1]).write_text(json.dumps(side))
    line = {
        "name": name, "job": "job", "index": 0, "seed": 0, "length": 120, "passed": passed,
        "score": score, "total_s": 1.0, "status": "ok", "metrics": {}, "files": files,
        "reasons": {} if passed else {"compact": "too large"},
    }  # fmt: skip
    with (folder / "manifest.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def test_the_top_of_the_list_is_distinct(tmp_path, monkeypatch):
    from proteinweaver.generation import ranking

    coords = {"a": pose(0.0), "b": pose(0.01, 3), "c": pose(2.0), "d": pose(-2.0)}
    for (name, place), score, passed in zip(
        coords.items(), (0.9, 0.8, 0.7, 0.95), (True, True, True, False), strict=True
    ):
        write(tmp_path, name, place, score, passed)
    monkeypatch.setattr(ranking, "_pose", lambda path, line: coords[line["name"]])
    rows = list(Ranking(tmp_path))
    assert [row["name"] for row in rows] == ["a", "c", "b", "d"]
    assert [row["cluster"] for row in rows] == [1, 2, 1, 4]
    assert rows[-1]["reasons"] == "too large"


def test_likelier_poses_come_first_and_failures_last():
    keys = [
        place_of(True, {"pose_rank": 1.0}, 0.5),
        place_of(True, {"pose_rank": 2.0}, 0.9),
        place_of(True, {"pose_rank": 2.0}, 0.8),
        place_of(False, {"pose_rank": 1.0}, 0.9),
    ]
    assert sorted(keys) == keys
    assert place_of(True, {}, 0.9) < place_of(True, {}, 0.8)


def test_fixed_positions_are_one_line_for_proteinmpnn(tmp_path):
    write(tmp_path, "a", pose(0.0), 0.9, True)
    write(tmp_path, "b", pose(1.0), 0.8, True)
    assert dict(fixed_positions(tmp_path))["a"] == {"A": [1, 2, 120]}
    write_fixed_positions(tmp_path)
    (line,) = (tmp_path / "fixed_positions.jsonl").read_text().splitlines()
    assert set(json.loads(line)) == {"a", "b"}
