"""Names and ranges of wishes find their residues in every order; measures against brute force."""

from pathlib import Path

import gemmi
import numpy as np
import pytest

from proteinweaver.generation.config import AssembleConfig
from proteinweaver.generation.jobs import DesignPlan, plan_design, resolve_jobs
from proteinweaver.generation.wishes import measure_wishes, resolve_wishes
from proteinweaver.structure.ideal import build_backbone

pytestmark = pytest.mark.realdata


def plan(data_dir: Path, **fields) -> DesignPlan:
    raw = data_dir / "raw"
    domains = (f"n={raw / '1div.pdb'}:A1-52", f"c={raw / '1div.pdb'}:A58-149", "new=30")
    config = AssembleConfig(domain=domains, linker=("6", "9:H"), mode="rigid", **fields)
    (job,) = resolve_jobs(config)
    return plan_design(job, 0)


@pytest.mark.parametrize(
    ("order", "offset"), [("1,2,3", (0, 52 + 6, 52 + 6 + 92 + 9)), ("c,n,new", (92 + 6, 0, 159))]
)
def test_ranges_are_the_files_numbers(order, offset, data_dir):
    """Author number a of a domain that begins at f stands at its place plus a - f."""
    found = resolve_wishes(
        plan(data_dir, order=order, contacts=("n:27-35 c:100 9",), apart=("new:3-5 1 12",))
    )
    contact, apart = found.pairs
    assert contact.a.tolist() == [offset[0] + k for k in range(26, 35)]
    assert contact.b.tolist() == [offset[1] + 100 - 58]
    assert apart.a.tolist() == [offset[2] + k for k in (2, 3, 4)]
    assert apart.b.tolist() == [offset[0] + k for k in range(52)]
    assert found.apart


def test_measures_are_those_of_brute_force(data_dir):
    one = plan(
        data_dir,
        contacts=("n:27-35 c:100-112 9",),
        apart=("n new 12",),
        context=str(data_dir / "raw" / "3o5r.cif"),
    )
    wishes = resolve_wishes(one)
    rng = np.random.default_rng(0)
    coord = rng.uniform(-25, 25, size=(one.length, 4, 3)).astype(np.float32)
    # the first domain lies as in its file, so context atoms need no motion
    coord[:52] = one.sources[0].backbone.coord
    helix = build_backbone(*(np.radians(a) + 0 * _torch(9) for a in (-63.0, -42.0))).numpy()
    coord[150:159] = helix
    found = measure_wishes(one, wishes, coord)
    ca = coord[:, 1].astype(float)

    def closest(a: range, b: range) -> float:
        return min(float(np.linalg.norm(ca[i] - ca[j])) for i in a for j in b)

    expected = closest(range(26, 35), range(58 + 42, 58 + 55))
    assert found.metrics["contact_1"] == pytest.approx(expected, abs=1e-4)
    apart = closest(range(52), range(159, 189))
    assert found.metrics["apart_1"] == pytest.approx(apart, abs=1e-4)
    structure = gemmi.read_structure(str(data_dir / "raw" / "3o5r.cif"))
    structure.remove_alternative_conformations()
    structure.remove_hydrogens()
    structure.remove_waters()
    atoms = np.array([a.pos.tolist() for chain in structure[0] for r in chain for a in r])
    rest = coord[52:].reshape(-1, 3).astype(float)
    gap = np.linalg.norm(rest[:, None] - atoms[None], axis=-1).min()
    assert found.metrics["context_clear"] == pytest.approx(gap, abs=1e-3)
    assert found.checks["context_clear"] == (gap >= 3.0)
    for name, met in found.checks.items():
        assert (name in found.reasons) == (not met)


def _torch(number: int):
    import torch

    return torch.zeros(number)
