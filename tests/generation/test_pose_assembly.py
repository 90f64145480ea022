"""From poses: linkers are built, and domains stay near where they were placed."""

import numpy as np
import pytest

from proteinweaver.evaluation.assembly import assembly_metrics
from proteinweaver.evaluation.contenders import bridged
from proteinweaver.evaluation.stretches import Stretches
from proteinweaver.evaluation.superposition import move, rmsd, superpose
from proteinweaver.generation.assembly_stage import AssemblyRequest, Inside, assemble_domains
from proteinweaver.generation.model import load_model
from proteinweaver.generation.pose_assembly import SETTLING_T, assemble_poses
from proteinweaver.generation.sampling import Sampling
from proteinweaver.generation.settings import assembler_sampler
from proteinweaver.generation.weave import check_sampler
from samplers.noise import NoiseKey

DOMAINS = ((0, 60), (70, 130))


@pytest.fixture(scope="module")
def native() -> np.ndarray:
    """A native stretch of 130 residues of two parts that touch, shape (130, 4, 3)."""
    stretches = Stretches.shipped()
    for start in stretches.starts(130)[::500]:
        found = np.zeros((130, 4, 3), dtype=np.float32)
        found[:, :3] = stretches.coord[start : start + 130]
        found[:, 3] = found[:, 2] + np.float32(0.7)
        one, two = (found[a:b, 1] for a, b in DOMAINS)
        if 20 < (np.linalg.norm(one[:, None] - two, axis=-1) < 8).sum() < 40:
            return found
    raise AssertionError("no such stretch")


def request_from(native: np.ndarray, mode: str) -> AssemblyRequest:
    label = np.zeros(len(native), dtype=np.int64)
    for number, (a, b) in enumerate(DOMAINS, 1):
        label[a:b] = number
    start = bridged(np.where(label[:, None, None] > 0, native, np.nan), label)
    insides = tuple(Inside(a, native[a:b], mode) for a, b in DOMAINS)
    key = NoiseKey(0, "native", 0, "assembly")
    return AssemblyRequest(len(native), insides, key, start=start.astype(np.float32))


@pytest.mark.parametrize("mode", ["adapt", "rigid"])
def test_linkers_close_and_poses_stay(native, mode):
    sampling = check_sampler(assembler_sampler())
    request = request_from(native, mode)
    model = load_model("assembler", device="cpu")
    (found,) = assemble_poses(model, [request], sampling)
    parts = assembly_metrics(found.coord, request.domain, native)
    assert parts.linker_bond_off < 0.1
    assert parts.clashes == 0
    rows = [slice(*one) for one in DOMAINS]
    laid = superpose(found.coord[rows[0], 1], native[rows[0], 1])
    moved = move(found.coord[rows[1], 1], *laid)
    assert np.sqrt(((moved - native[rows[1], 1]) ** 2).sum(-1).mean()) < 4.0
    assert max(found.drift) < (1.0 if mode == "adapt" else 0.5)


def test_insides_are_those_given_not_those_of_the_start(native, tiny_weights):
    """The start says where domains lie; what they are is asked of the request."""
    model = load_model("assembler", weights=tiny_weights, device="cpu")
    request = request_from(native, "rigid")
    (found,) = assemble_poses(model, [request], Sampling(num_steps=20), close=False)
    for inside in request.insides:
        rows = slice(inside.start, inside.stop)
        assert rmsd(found.coord[rows, 1], inside.coord[:, 1]) < 1e-3


def test_both_ways_are_counted_and_shown(native, tiny_weights):
    model = load_model("assembler", weights=tiny_weights, device="cpu")
    request = request_from(native, "adapt")
    sampling = Sampling(num_steps=40)
    (found,) = assemble_poses(model, [request], sampling, trajectory=True)
    (alone,) = assemble_domains(model, [request], sampling.part(SETTLING_T), trajectory=True)
    assert found.trajectory is not None and alone.trajectory is not None
    linkers = sampling.part(0.15).num_steps + 1
    assert len(found.trajectory.clean) == linkers + len(alone.trajectory.clean)
    assert len(found.trajectory.noisy) == linkers + len(alone.trajectory.noisy)
    assert found.calls > alone.calls + linkers - 1
