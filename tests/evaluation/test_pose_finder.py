"""Stretches lay domains where their own chain has them; terms, balls and picks are as by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from proteinweaver.domains.trends import native_gyration
from proteinweaver.errors import UserError
from proteinweaver.evaluation import linker_law
from proteinweaver.evaluation.assembly import assembly_metrics, domain_labels
from proteinweaver.evaluation.contenders import scattered
from proteinweaver.evaluation.docking import SideChains, contact_odds
from proteinweaver.evaluation.linker_law import linker_motions, pose_constants
from proteinweaver.evaluation.pose_finder import (
    FinderSettings,
    cover,
    found_pair,
    rigid_points,
)
from proteinweaver.evaluation.pose_score import TERMS, Fields, pose_terms
from proteinweaver.evaluation.reassembly import reassembly_metrics
from proteinweaver.evaluation.stretches import Stretches, packed, unpacked
from proteinweaver.evaluation.superposition import move, rmsd
from proteinweaver.evaluation.tasks import NativeTask

LABEL = domain_labels(60, [(0, 26), (32, 60)])
#: Little blur, since a domain of 26 residues has a d0 of 1 A; a random chain clashes with itself.
QUICK = FinderSettings(
    stretches=200, draws=3000, blur_degrees=1.0, blur=0.2, overlap=1e6, hits=1000, sample=400
)


@pytest.fixture(scope="module")
def task(coil: np.ndarray) -> NativeTask:
    kinds = np.random.default_rng(0).integers(0, 20, 60).astype(np.uint8)
    return NativeTask("x", coil.astype(np.float32), LABEL, True, cluster=5, aatype=kinds)


@pytest.fixture(scope="module")
def stretches(task, helix, tmp_path_factory) -> Stretches:
    """Train chains, a helix with a break and the task; a helix of the valid split."""
    chains = [helix, task.coord, helix]
    kinds = [np.zeros(40, np.uint8), task.aatype, np.ones(40, np.uint8)]
    broken = np.zeros(140, np.uint8)
    broken[9] = 1
    path = tmp_path_factory.mktemp("set") / "chains.npz"
    np.savez(
        path,
        format="proteinweaver-structures-1",
        coords=np.round(np.concatenate(chains) * 100).astype(np.int16),
        coord_scale=np.float32(0.01),
        aatype=np.concatenate(kinds),
        break_after=broken,
        offsets=np.array([0, 40, 100, 140]),
        split=np.array([0, 0, 1], np.uint8),
        cluster40=np.array([3, 7, 9], np.int32),
    )
    return Stretches.of_chains(path)


def test_stretches_are_unbroken_and_of_the_split(stretches):
    assert len(stretches.kind) == 100
    starts = stretches.starts(18)
    # 10 + 30 + 60 residues in unbroken runs
    assert sorted(starts) == [*range(10, 23), *range(40, 83)]
    assert sorted(stretches.starts(18, without=7)) == list(range(10, 23))
    assert np.isnan(stretches.phi[[0, 10, 40]]).all()
    assert np.isnan(stretches.psi[[9, 39, 99]]).all()
    with pytest.raises(UserError):
        Stretches.of_chains(Path("nothing.npz"))


def test_the_own_stretch_gives_the_native_motion_and_most_weight(task, stretches):
    """Domains lie anywhere; the chain's own linker brings them together as they were."""
    given = scattered(task, np.random.default_rng(1))
    motions = linker_motions(stretches, given, (26, 32), task.aatype)
    assert (np.diff(motions.log_weight) <= 0).all()
    chain = given.copy()
    chain[32:] = move(given[32:].reshape(-1, 3), motions.rot[0], motions.trans[0]).reshape(
        -1, 4, 3
    )
    assert rmsd(chain[LABEL > 0, 1], task.coord[LABEL > 0, 1]) < 0.2
    blosum = pose_constants()["blosum"]
    assert motions.terms[0, 0] == pytest.approx(
        sum(blosum[kind, kind] for kind in task.aatype[26:32])
    )
    np.testing.assert_allclose(motions.terms[0, 3:], 0.0, atol=0.02)
    left = linker_motions(stretches, given, (26, 32), task.aatype, without=7)
    assert len(left.rot) == 13
    assert left.log_weight.max() < motions.log_weight[0]


def test_the_best_of_all_stretches_are_kept(task, stretches):
    """Those that a rough log-weight lets through are the first of all, in their order."""
    given = scattered(task, np.random.default_rng(1))
    whole = linker_motions(stretches, given, (26, 32), task.aatype)
    few = linker_motions(stretches, given, (26, 32), task.aatype, most=20)
    assert len(whole.rot) > 20 == len(few.rot)
    np.testing.assert_array_equal(few.terms, whole.terms[:20])
    np.testing.assert_array_equal(few.hits, whole.hits[:20])
    np.testing.assert_allclose(few.rot, whole.rot[:20], atol=1e-9)


@pytest.mark.parametrize("linker", [(26, 26), (26, 27)])
def test_how_domains_lie_is_no_matter(task, stretches, linker):
    """No torsion is known across a linker, even one of no residues."""
    start, stop = linker
    chain = task.coord.astype(np.float64)
    chain[start:stop] = np.nan
    moved = chain.copy()
    moved[stop:] = chain[stop:] @ Rotation.random(random_state=1).as_matrix().T + 30.0
    found = [linker_motions(stretches, x, linker, task.aatype) for x in (chain, moved)]
    np.testing.assert_allclose(found[0].log_weight, found[1].log_weight, atol=1e-4)


def test_too_little_to_go_by_is_told(task, stretches):
    with pytest.raises(ValueError, match="fewer than 6 residues"):
        linker_motions(stretches, task.coord, (5, 9), task.aatype)
    with pytest.raises(ValueError, match="no native stretch of 70"):
        linker_motions(
            stretches,
            np.concatenate([task.coord] * 2),
            (20, 78),
            np.concatenate([task.aatype] * 2),
        )


def test_hits_are_counted(task, stretches):
    """CA of the linker under 4 A of a CA of either domain, but for two residues beside it."""
    motions = linker_motions(stretches, task.coord, (26, 32), task.aatype, most=1)
    ca = task.coord[:, 1]
    expected = (cdist(ca[26:32], np.concatenate((ca[:24], ca[34:]))) < 4.0).sum()
    assert motions.hits[0] == expected
    squeezed = task.coord.copy()
    squeezed[0] = squeezed[29]
    assert linker_motions(stretches, squeezed, (26, 32), task.aatype, most=1).hits[0] > expected


def test_hits_of_many_are_those_of_each():
    rng = np.random.default_rng(4)
    points = rng.standard_normal((3000, 4, 3)) * [[3.0], [5.0], [8.0], [12.0]] + 100
    ca = rng.standard_normal((90, 3)) * 15 + 100
    ca[::9] = np.nan
    expected = (cdist(points.reshape(-1, 3), ca[np.isfinite(ca[:, 0])]) < 4.0).sum(1)
    np.testing.assert_array_equal(linker_law._hits(points, ca), expected.reshape(3000, 4).sum(1))
    assert (linker_law._hits(points, ca + 500.0) == 0).all()


def test_blosum62_is_the_published_matrix():
    blosum = pose_constants()["blosum"]
    letters = "ACDEFGHIKLMNPQRSTVWYX"
    for pair, value in {"WW": 11, "CC": 9, "IV": 3, "DE": 2, "WC": -2, "GL": -4}.items():
        assert blosum[letters.index(pair[0]), letters.index(pair[1])] == value
    np.testing.assert_array_equal(blosum, blosum.T)


def test_terms_are_counts_of_pairs(task):
    """The fields against pairwise distances; a grid step blurs soft edges a little."""
    one, two = (SideChains.of(task.coord[a:b], task.aatype[a:b]) for a, b in task.domains)
    fields = Fields.of(one)
    turns = torch.as_tensor(Rotation.random(40, random_state=0).as_matrix()).float()
    centre = one.ca.mean(0) - torch.einsum("pij,j->pi", turns, two.ca.mean(0))
    trans = centre + 12.0 * torch.nn.functional.normalize(
        torch.randn(40, 3, generator=torch.Generator().manual_seed(0)), dim=1
    )
    found = pose_terms(fields, two, turns, trans).numpy()
    odds = contact_odds()[one.kind][:, two.kind].numpy()
    exact = []
    for rot, shift in zip(turns.numpy(), trans.numpy(), strict=True):
        side, ca = two.side.numpy() @ rot.T + shift, two.ca.numpy() @ rot.T + shift

        def soft(a: np.ndarray, b: np.ndarray, edge: float, width: float) -> np.ndarray:
            return 1 / (1 + np.exp((cdist(a, b) - edge) / width))

        within = [soft(one.side, side, edge, 0.5) for edge in (5.5, 8.0, 11.0)]
        mixed = soft(one.ca, side, 5.0, 0.35).sum() + soft(one.side, ca, 5.0, 0.35).sum()
        exact.append(
            (
                np.log1p(within[1].sum()),
                soft(one.ca, ca, 5.0, 0.35).sum(),
                mixed,
                (within[2] - within[1]).sum(),
                ((within[1] - within[0]) * odds).sum(),
            )
        )
    names = (
        "log contacts", "CA under 5", "CA to side under 5", "side 8 to 11", "odds 5.5 to 8",
    )  # fmt: skip
    for name, truth in zip(names, np.array(exact).T, strict=True):
        assert np.corrcoef(found[:, TERMS.index(name)], truth)[0, 1] > 0.97, name
        assert found[:, TERMS.index(name)].mean() == pytest.approx(truth.mean(), abs=0.6), name
    mix = torch.tensor([[0.5, -1.0, 2.0]])
    mixed = pose_terms(Fields.of(one, mix), two, turns, trans).numpy()
    np.testing.assert_allclose(mixed[:, :16], found[:, :16], atol=1e-4)
    np.testing.assert_allclose(mixed[:, 16:], found[:, 16:] @ mix.numpy().T, atol=1e-3)
    touching = fields.contacts(two, turns, trans).numpy()
    pairs = [
        (cdist(one.ca, two.ca.numpy() @ rot.T + shift) < 8.0).sum()
        for rot, shift in zip(turns.numpy(), trans.numpy(), strict=True)
    ]
    assert np.corrcoef(touching, pairs)[0, 1] > 0.97
    assert touching.mean() == pytest.approx(np.mean(pairs), abs=1.5)
    far = pose_terms(fields, two, turns[:1], trans[:1] + 500.0)[0]
    assert float(far[TERMS.index("no contact")]) == 1.0
    assert float(far.abs().sum()) == 1.0


def test_points_of_poses_are_as_far_apart_as_their_atoms(task):
    ca = torch.as_tensor(task.coord[:26, 1])
    rot = torch.as_tensor(Rotation.random(6, random_state=1).as_matrix()).float()
    trans = torch.randn(6, 3, generator=torch.Generator().manual_seed(1)) * 8
    placed = torch.einsum("pij,nj->pni", rot, ca) + trans[:, None]
    exact = (placed[:, None] - placed[None]).square().sum(-1).mean(-1).sqrt()
    found = torch.cdist(rigid_points(ca, rot, trans), rigid_points(ca, rot, trans))
    torch.testing.assert_close(found, exact, atol=2e-2, rtol=1e-3)


def test_cover_takes_the_fullest_balls_and_counts_points_once():
    points = torch.cat((torch.zeros(5, 1), torch.full((4, 1), 1.5), torch.full((3, 1), 9.0)))
    chosen, share = cover(points, 2.0, 3)
    assert chosen[0] < 9  # both of the near clumps at once
    assert chosen[1] >= 9
    assert len(chosen) == 2  # nothing is left for a third
    torch.testing.assert_close(share, torch.tensor([9 / 12, 3 / 12]))


def test_cover_is_greedy():
    points = torch.rand(400, 2, generator=torch.Generator().manual_seed(2)) * 10
    chosen, share = cover(points, 1.5, 6)
    near = cdist(points, points) < 1.5
    left = np.ones(400, dtype=bool)
    for centre, part in zip(chosen.tolist(), share.tolist(), strict=True):
        gain = (near & left).sum(1)
        assert gain[centre] == gain.max()
        assert part == pytest.approx(gain.max() / 400)
        left &= ~near[centre]


def contacts_of(chain: np.ndarray) -> int:
    return int((cdist(chain[:26, 1], chain[32:, 1]) < 8.0).sum())


def gyration_of(chain: np.ndarray) -> float:
    """Radius of gyration over that of natives of as many residues."""
    ca = np.concatenate((chain[:26, 1], chain[32:, 1]))
    return float(ca.var(0).sum() ** 0.5 / native_gyration(len(ca)))


def test_poses_that_are_too_wide_are_left_out(task, stretches):
    def sizes(bound: float) -> list[float]:
        settings = replace(QUICK, gyration=bound, blur=6.0, blur_degrees=60.0)
        chains = found_pair(task, 16, np.random.default_rng(3), stretches, settings)
        return [gyration_of(chain) for chain in chains]

    free = sizes(0.0)
    bound = float(np.median(free))
    assert max(free) > bound + 0.01
    assert max(sizes(bound)) <= bound + 1e-4
    assert max(sizes(0.01)) <= bound  # none is so small: the most compact are left


def test_found_poses_are_rigid_different_and_near_the_native(task, stretches):
    chains = found_pair(task, 8, np.random.default_rng(3), stretches, QUICK)
    assert 2 <= len(chains) <= 8
    poses = []
    for chain in chains:
        found = assembly_metrics(chain, LABEL, task.coord)
        assert found.drift_max < 1e-3
        assert found.mirrored == 0
        poses.append(reassembly_metrics(chain, task.coord, LABEL).pose)
    # the chain's own stretch is one of 56, and it is not there where its cluster is left out
    assert max(poses) > 0.5
    strange = replace(task, cluster=7)
    others = found_pair(strange, 8, np.random.default_rng(3), stretches, QUICK)
    assert max(reassembly_metrics(x, task.coord, LABEL).pose for x in others) < 0.5
    again = found_pair(task, 8, np.random.default_rng(3), stretches, QUICK)
    np.testing.assert_array_equal(chains, again)
    # asked for more contacts than any pose has, those that touch most are left
    touching = found_pair(
        task, 8, np.random.default_rng(3), stretches, replace(QUICK, contacts=5.0)
    )
    assert min(contacts_of(chain) for chain in touching) >= max(1, contacts_of(chains[-1]))
    without = NativeTask("x", task.coord, LABEL, True)
    with pytest.raises(ValueError, match="residue types"):
        found_pair(without, 2, np.random.default_rng(3), stretches, QUICK)


def test_packed_chains_keep_their_shape():
    """Every coordinate within half a unit, run by run, however long a run is."""
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.uniform(-3.0, 3.0, (3000, 3)), axis=0).reshape(1000, 3, 3)
    broken = np.zeros(1000, dtype=bool)
    broken[[0, 399, 999]] = True
    walk[1:400] += 500.0  # runs lie anywhere
    walk[400:] -= 900.0
    found = unpacked(packed(walk, broken))
    for run in (slice(0, 1), slice(1, 400), slice(400, 1000)):
        off = found[run] - walk[run]
        assert np.abs(off - (off.max((0, 1)) + off.min((0, 1))) / 2).max() < 0.0501
    with pytest.raises(ValueError, match="12 A"):
        packed(walk, np.zeros(1000, dtype=bool))
