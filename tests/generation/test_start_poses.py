"""Where assemblies begin: rigid domains, other poses for every design, nothing against a wish."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from proteinweaver import assemble, design
from proteinweaver.data.store import SPLITS, StructureStore
from proteinweaver.errors import UserError
from proteinweaver.evaluation.stretches import Stretches
from proteinweaver.evaluation.superposition import rmsd
from proteinweaver.generation import start_poses
from proteinweaver.generation.config import AssembleConfig, DesignConfig
from proteinweaver.generation.plans import plan_run
from proteinweaver.generation.start_poses import StartPoses, can_be_found
from proteinweaver.io.pdb import pdb_text
from proteinweaver.structure.backbone import Backbone


@pytest.fixture(scope="module")
def stretches() -> Stretches:
    return Stretches.shipped()


@pytest.fixture(scope="module")
def domain(stretches, tmp_path_factory) -> str:
    """A native stretch of fifty residues with its types, as a file."""
    start = int(stretches.starts(50)[1000])
    coord = np.zeros((50, 4, 3), dtype=np.float32)
    coord[:, :3] = stretches.coord[start : start + 50]
    coord[:, 3] = coord[:, 2] + np.float32(0.7)
    given = Backbone.from_coord(coord, aatype=stretches.kind[start : start + 50].astype(np.uint8))
    path = tmp_path_factory.mktemp("domains") / "native.pdb"
    path.write_text(pdb_text(given))
    return str(path)


def plans(domain, number=2, **fields):
    return plan_run(AssembleConfig(domain=(domain,) * number, **fields))


def insides(plan):
    return [plan.sources[segment.source].backbone.coord for segment in plan.domains]


def test_shipped_stretches_are_native_chains(stretches):
    """Bonded residues are 1.33 A apart (C to N), and long stretches abound."""
    bonded = stretches.run[1:] == stretches.run[:-1]
    bond = np.linalg.norm(stretches.coord[1:, 0] - stretches.coord[:-1, 2], axis=-1)[bonded]
    assert np.median(bond) == pytest.approx(1.33, abs=0.02)
    assert bond.max() < 2.5
    assert len(np.unique(stretches.cluster)) > 100
    assert len(stretches.starts(50)) > 40000


@pytest.mark.realdata
def test_shipped_stretches_are_of_the_train_split(stretches, data_dir):
    arrays = StructureStore(data_dir / "chains.npz").arrays
    held_out = arrays["cluster40"][arrays["split"] != SPLITS["train"]]
    assert not set(stretches.cluster.tolist()) & set(held_out.tolist())


@pytest.mark.parametrize(
    "wish",
    [
        {"contacts": ("1:1-9 2:5-8 8",)},
        {"apart": ("1 2 15",)},
        {"mode": "free"},
        {"linker": ("12:H",)},
        {"gly": True},
    ],
)
def test_what_is_asked_of_poses_is_not_preempted(domain, tmp_path, wish):
    assert can_be_found(plans(domain)[0])
    if wish.pop("gly", False):
        given = plans(domain)[0].sources[0].backbone
        without = given.replace(aatype=np.full(50, 5, dtype=np.uint8))
        path = tmp_path / "glycine.pdb"
        path.write_text(pdb_text(without))
        domain = str(path)
    assert not can_be_found(plans(domain, **wish)[0])


def test_long_rows_of_domains_are_left_to_the_network(domain):
    assert can_be_found(plans(domain, 4)[0])
    assert not can_be_found(plans(domain, 5)[0])


def test_generated_domains_have_no_residues_to_go_by(domain):
    assert not can_be_found(plan_run(DesignConfig(length=120))[0])
    assert not can_be_found(plan_run(AssembleConfig(domain=(domain, "50")))[0])


def test_designs_of_one_plan_begin_at_different_poses(domain, stretches):
    """Domains are as given, ends within reach, bodies apart; the order of asking is no matter."""
    asked = plans(domain, linker=("8",), n=3)
    poses = StartPoses(stretches)
    found = {k: poses.chain(asked[k], insides(asked[k])) for k in (2, 0, 1)}
    assert [found[k].tries for k in range(3)] == [(0,), (1,), (2,)]
    shares = [found[k].share for k in range(3)]
    assert 1 > shares[0] >= shares[1] >= shares[2] > 0
    (given, _) = insides(asked[0])
    for start in found.values():
        assert start.coord.shape == (108, 4, 3)
        assert np.isfinite(start.coord).all()
        ca = start.coord[:, 1]
        for rows in (slice(0, 50), slice(58, 108)):
            assert rmsd(given[:, 1], ca[rows]) < 0.01
        assert np.linalg.norm(ca[58] - ca[49]) < 9 * 3.9
        assert (cdist(ca[:50], ca[58:]) < 3.0).sum() <= 3
        steps = np.diff(ca[49:59], axis=0)
        np.testing.assert_allclose(steps, np.broadcast_to(steps.mean(0), steps.shape), atol=1e-3)
    assert rmsd(found[0].coord[:, 1], found[1].coord[:, 1]) > 1.0
    alone = StartPoses(stretches).chain(asked[1], insides(asked[1]))
    np.testing.assert_array_equal(alone.coord, found[1].coord)


def test_designs_share_as_many_poses_as_asked(domain, stretches):
    asked = plans(domain, linker=("8",), n=4)
    for tries, expected in ((1, [0, 0, 0, 0]), (3, [0, 1, 2, 0])):
        poses = StartPoses(stretches, tries)
        found = [poses.chain(plan, insides(plan)) for plan in asked]
        assert [start.tries for start in found] == [(k,) for k in expected]
    np.testing.assert_array_equal(found[0].coord, found[3].coord)


def test_where_a_file_lies_is_no_matter(domain, stretches, tmp_path):
    """The same domain from another folder begins at the same poses."""
    copied = tmp_path / Path(domain).name
    copied.write_bytes(Path(domain).read_bytes())
    starts = [
        StartPoses(stretches).chain(plan, insides(plan))
        for file in (domain, str(copied))
        for plan in plans(file, linker=("8",), n=1)
    ]
    np.testing.assert_array_equal(starts[0].coord, starts[1].coord)


def test_the_third_domain_keeps_clear_of_both_others(domain, stretches):
    asked = plans(domain, 3, linker=("6-7", "5"), n=1)
    start = StartPoses(stretches).chain(asked[0], insides(asked[0]))
    assert len(start.tries) == 2
    parts = [start.coord[segment.start : segment.stop, 1] for segment in asked[0].domains]
    for one, two in ((0, 1), (0, 2), (1, 2)):
        assert (cdist(parts[one], parts[two]) < 3.0).sum() <= 3


def test_of_long_chains_the_search_sees_the_neighbourhood_alone(domain, stretches, monkeypatch):
    """Residues far from a joint are kept clear of all the same."""
    asked = plans(domain, 4, linker=("5",), n=1)
    monkeypatch.setattr(start_poses, "_NEAREST", 40)
    seen = []
    real = start_poses.found_joint

    def noted(chain, *others):
        seen.append(int(np.isfinite(chain[:, 1, 0]).sum()))
        return real(chain, *others)

    monkeypatch.setattr(start_poses, "found_joint", noted)
    start = StartPoses(stretches).chain(asked[0], insides(asked[0]))
    assert seen == [90, 90, 90]  # forty of what is placed and the next domain
    parts = [start.coord[segment.start : segment.stop, 1] for segment in asked[0].domains]
    assert (cdist(parts[3], np.concatenate(parts[:3])) < 3.0).sum() <= 3


def test_a_domain_with_a_broken_end_is_left_to_the_network(domain, tmp_path):
    """Torsions across a missing residue say nothing about how the chain goes on."""
    lines = Path(domain).read_text().splitlines(keepends=True)
    for missing, found in ((48, False), (25, True)):
        cut = tmp_path / f"without{missing}.pdb"
        cut.write_text("".join(x for x in lines if x[:4] != "ATOM" or int(x[22:26]) != missing))
        assert can_be_found(plans(str(cut))[0]) is found


def test_linkers_longer_than_any_native_stretch_are_left_to_the_network(domain, stretches):
    asked = plans(domain, linker=("900",))
    assert StartPoses(stretches).chain(asked[0], insides(asked[0])) is None


def test_residues_of_a_linker_change_what_is_found_and_are_written(
    domain, stretches, tiny_weights, tmp_path
):
    """Known residues weigh the stretches; they stand in the design and are fixed for sequences."""
    open_, told = (plans(domain, linker=(text,), n=1)[0] for text in ("8", "PEPXPEPA"))
    assert open_.length == told.length == 108
    starts = [StartPoses(stretches).chain(plan, insides(plan)) for plan in (open_, told)]
    assert rmsd(starts[0].coord[:, 1], starts[1].coord[:, 1]) > 0.5
    fields = {"domain": (domain, domain), "linker": ("PEPXPEPA",), "weights": str(tiny_weights)}
    (made,) = assemble(**fields, out=str(tmp_path / "run")).designs
    assert made.backbone.sequence[50:58] == "PEPGPEPA"
    (fixed,) = json.loads((tmp_path / "run" / "fixed_positions.jsonl").read_text()).values()
    assert fixed["A"] == [k for k in range(1, 109) if k != 54]
    (plain,) = assemble(**fields, gly=True).designs
    assert set(plain.backbone.sequence) == {"G"}


def test_designs_say_where_they_began(domain, tiny_weights, tmp_path):
    """Fewer calls than from noise; the side file names the try; another start is another run."""
    fields = {"domain": (domain, domain), "linker": ("8",), "n": 2, "weights": str(tiny_weights)}
    run = assemble(**fields, out=str(tmp_path / "run"))
    sides = [json.loads(p.read_text()) for p in sorted(tmp_path.glob("run/designs/*.json"))]
    assert [side["plan"]["found_poses"]["tries"] for side in sides] == [[1], [2]]
    assert all(side["timing"]["poses_s"] > 0 for side in sides)
    noise = assemble(**fields, poses="noise")
    assert all(one.found is None for one in noise.designs)
    spec = tmp_path / "jobs.yaml"
    spec.write_text(
        f"pair: {{domains: [{{file: {domain}}}, {{file: {domain}}}], linkers: [{{length: 8}}]}}\n"
    )
    begun = {}
    for poses in ("found", "noise"):  # `design` of a spec is no different
        (made,) = design(spec=str(spec), weights=str(tiny_weights), poses=poses).designs
        begun[poses] = made.found is not None
    assert begun == {"found": True, "noise": False}
    assert run.designs[0].calls < noise.designs[0].calls
    with pytest.raises(UserError):
        assemble(**fields, poses="noise", out=str(tmp_path / "run"))
    with pytest.raises(UserError, match="poses"):
        assemble(**fields, poses="elsewhere")
