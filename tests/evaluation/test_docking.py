"""Docked poses are rigid, linked, apart and scored as said; benchmark rows sum up as by hand."""

import json

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from proteinweaver.evaluation import docking
from proteinweaver.evaluation.assembly import assembly_metrics, domain_labels, linker_span
from proteinweaver.evaluation.contenders import CONTENDERS, bridged, docked_pair, scattered
from proteinweaver.evaluation.docking import DockingSettings, SideChains, dock, turned
from proteinweaver.evaluation.intervals import difference_interval
from proteinweaver.evaluation.reassembly_table import Attempts, difference, measure, summaries
from proteinweaver.evaluation.tasks import NativeTask

QUICK = DockingSettings(rotations=40, refined=24, steps=8)
LABEL = domain_labels(60, [(0, 26), (32, 60)])


@pytest.fixture(scope="module")
def task(coil: np.ndarray) -> NativeTask:
    kinds = np.random.default_rng(0).integers(0, 20, 60).astype(np.uint8)
    return NativeTask("x", coil.astype(np.float32), LABEL, True, aatype=kinds)


def test_rotation_vectors_turn_as_scipy_says():
    """Rotations, and their slopes where nothing is turned yet."""
    spin = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spin[0], spin[1] = 0.0, 1e-9
    np.testing.assert_allclose(turned(spin), Rotation.from_rotvec(spin).as_matrix(), atol=1e-12)
    still = torch.zeros(1, 3, requires_grad=True)
    turned(still)[0, 1, 0].backward()
    np.testing.assert_allclose(still.grad, [[0.0, 0.0, 1.0]])


def test_docked_poses_are_rigid_linked_and_different(task):
    chains = docked_pair(task, 6, np.random.default_rng(1), settings=QUICK)
    assert len(chains) >= 3
    for chain in chains:
        found = assembly_metrics(chain, LABEL, task.coord)
        assert found.drift_max < 1e-3
        assert found.mirrored == 0
        assert found.linkers_feasible == 1
        assert found.clashes == 0
    for k, one in enumerate(chains):
        for two in chains[:k]:
            # the larger domain is never moved, so the smaller one differs where it lies
            np.testing.assert_allclose(one[32:], two[32:])
            off = np.sqrt(((one[:26, 1] - two[:26, 1]) ** 2).sum(-1).mean())
            assert off > docking.SAME - 1e-3
    again = docked_pair(task, 6, np.random.default_rng(1), settings=QUICK)
    np.testing.assert_allclose(chains, again, equal_nan=True)


def test_poses_have_the_score_that_is_written_down(task):
    """The score by scipy, from the formula and the shipped table."""
    one, two = (SideChains.of(task.coord[a:b], task.aatype[a:b]) for a, b in task.domains)
    two = SideChains(two.ca + 40.0, two.side + 40.0, two.kind)
    table = json.loads(docking.CONTACT_TABLE.read_text())
    energy = np.array(table["log_odds"])[np.ix_(one.kind, two.kind)] + QUICK.contact
    low, high = linker_span(6)
    scores = []
    for pose in dock(one, two, (25, 0), 6, 4, np.random.default_rng(2), QUICK):
        ca, side = (x.double().numpy() @ pose.rot.T + pose.trans for x in (two.ca, two.side))
        np.testing.assert_allclose(pose.rot @ pose.rot.T, np.eye(3), atol=1e-4)
        touch = 1 / (1 + np.exp((cdist(one.side, side) - 8.0) / 0.7))
        deep = np.maximum(4.8 - cdist(one.ca, ca), 0)
        end = np.linalg.norm(ca[0] - one.ca[25].numpy())
        link = table["linker"]
        middle = np.log(link["factor"] * 7 ** link["exponent"])
        law = -0.5 * ((np.log(end) - middle) / link["spread"]) ** 2
        out = max(end - high, 0) + max(low - end, 0)
        expected = (touch * energy).sum() - QUICK.core * (deep**2).sum() + QUICK.link * law
        assert pose.score == pytest.approx(expected - 10 * out**2, abs=0.05)
        scores.append(pose.score)
    assert scores == sorted(scores, reverse=True)


def test_the_grid_finds_a_pocket():
    """A ball that fits a hole in a shell, both of one strongly attracting type, goes in."""
    directions = torch.nn.functional.normalize(
        torch.randn(220, 3, generator=torch.Generator().manual_seed(3)), dim=-1
    )
    shell = directions[(directions[:, 0] < 0.2)] * 11.0
    ball = directions[::6] * 3.0
    leucine = 9
    fixed = SideChains(shell, shell, torch.full((len(shell),), leucine))
    moving = SideChains(ball + 50, ball + 50, torch.full((len(ball),), leucine))
    edge = int(shell[:, 0].argmax())
    poses = dock(fixed, moving, (edge, 0), 8, 1, np.random.default_rng(0), QUICK)
    centre = (moving.ca.double().numpy() @ poses[0].rot.T + poses[0].trans).mean(0)
    assert np.linalg.norm(centre) < 6.0


def test_contenders_give_what_they_say(task):
    rng = np.random.default_rng(5)
    given = scattered(task, rng)
    assert np.isnan(given[26:32]).all()
    assert assembly_metrics(given, LABEL, task.coord).drift_max < 1e-4
    assert measure(task, CONTENDERS["native"](task, 3, rng)[0])["pose"] == pytest.approx(1.0)
    picked = CONTENDERS["best of 400"](task, 3, np.random.default_rng(6))
    random = CONTENDERS["random poses"](task, 30, np.random.default_rng(6))
    counts = [assembly_metrics(chain, LABEL).contacts for chain in (*picked, *random)]
    assert counts[0] == max(counts)
    full = bridged(picked[0], LABEL)
    assert np.isfinite(full).all()
    np.testing.assert_array_equal(full[LABEL > 0], picked[0][LABEL > 0])
    steps = np.linalg.norm(np.diff(full[25:33, 1], axis=0), axis=1)
    np.testing.assert_allclose(steps, steps[0])


def row(contender: str, task: str, cluster: int, poses: list[float]) -> Attempts:
    keys = (
        "f1", "irmsd", "contact_ratio", "drift", "clashes", "linker_clashes", "bond_off", "rama",
    )  # fmt: skip
    designs = [{"pose": pose, **dict.fromkeys(keys, 0.0)} for pose in poses]
    return Attempts(contender, task, "test", True, cluster, 2, 150, designs, 1.0)


def test_rows_sum_up_by_task():
    rows = [
        row("a", "1", 1, [0.1, 0.7]), row("a", "2", 1, [0.3, 0.2]), row("a", "3", 2, [0.2]),
        row("b", "1", 1, [0.2]), row("b", "2", 1, [0.1]), row("b", "3", 2, []),
    ]  # fmt: skip
    one, two = summaries(rows)
    assert (one.name, one.n, two.n) == ("a", 3, 3)
    assert one.cells["best_pose"].value == pytest.approx(0.3)
    assert one.cells["reached"].value == pytest.approx(1 / 3)
    assert one.cells["first_pose"].value == pytest.approx(0.2)
    found = difference(rows, "a", "b", "best_pose")
    assert found.value == pytest.approx(0.5 - 0.15)  # medians over tasks that both tried
    assert not summaries(rows, "valid")


def test_differences_draw_groups():
    """Ten copies of every item are no new evidence; the interval is that of the groups."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.3, 1.0, 40), rng.normal(0.0, 1.0, 40)
    single = difference_interval(a, b, np.arange(40))
    copies = difference_interval(np.repeat(a, 10), np.repeat(b, 10), np.repeat(np.arange(40), 10))
    assert single.value == pytest.approx((a - b).mean())
    assert copies.value == pytest.approx(single.value)
    assert copies.high - copies.low == pytest.approx(single.high - single.low, rel=0.1)
    half = 1.96 * (a - b).std() / np.sqrt(40)
    assert (single.high - single.low) / 2 == pytest.approx(half, rel=0.1)
    assert np.isnan(difference_interval([1.0], [np.nan], [0]).value)
