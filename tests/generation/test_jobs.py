"""Plans: exact lengths, orders, what belongs to the identity of a job."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from proteinweaver.errors import UserError
from proteinweaver.generation.config import AssembleConfig, DesignConfig, GenerateConfig
from proteinweaver.generation.jobs import plan_design, resolve_jobs
from proteinweaver.generation.plans import plan_run
from proteinweaver.io.pdb import write_pdb
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.ideal import ideal_element


def helix_file(folder: Path, name: str, length: int) -> Path:
    coord = ideal_element("H", length).numpy()
    write_pdb(folder / name, Backbone.from_coord(coord, sequence="A" * length))
    return folder / name


@pytest.mark.parametrize(("length", "domains"), [(200, 2), (300, 3), (45, 2), (777, 5)])
def test_every_plan_has_the_length_asked_for(length, domains):
    (job,) = resolve_jobs(DesignConfig(length=length, domains=domains, linker=("0-12",)))
    seen = set()
    for index in range(20):
        plan = plan_design(job, index)
        assert plan.length == length
        assert len(plan.domains) == domains
        assert plan.segments[0].start == 0
        for one, two in zip(plan.segments, plan.segments[1:], strict=False):
            assert one.stop == two.start
        seen.add(tuple(len(segment) for segment in plan.segments))
    assert len(seen) > 1


def test_a_plan_depends_on_seed_name_and_index_alone():
    config = DesignConfig(length=240, domains=3, n=5)
    (job,) = resolve_jobs(config)
    (again,) = resolve_jobs(replace(config, n=50, device="cpu", batch_size=7))
    assert [plan_design(job, i).segments for i in range(5)] == [
        plan_design(again, i).segments for i in range(5)
    ]
    (other,) = resolve_jobs(replace(config, seed=1))
    assert plan_design(job, 0).segments != plan_design(other, 0).segments
    assert plan_design(job, 3).name == "d3x240_s0_0003"


def test_given_domains_keep_their_lengths_and_take_the_order_asked_for(tmp_path):
    files = [str(helix_file(tmp_path, f"{n}.pdb", n)) for n in (20, 30, 40)]
    config = AssembleConfig(domain=tuple(files), linker=("5", "7-9"), order="3,1,2")
    (job,) = resolve_jobs(config)
    plan = plan_design(job, 0)
    lengths = [len(segment) for segment in plan.segments]
    assert lengths[0::2] == [40, 20, 30]
    assert lengths[1] == 5
    assert 7 <= lengths[3] <= 9
    (job,) = resolve_jobs(replace(config, order="any"))
    orders = {tuple(s.source for s in plan_design(job, i).domains) for i in range(40)}
    assert len(orders) == 6


def test_identity_follows_the_content_of_files_not_their_place(tmp_path):
    one, two = helix_file(tmp_path, "a.pdb", 20), helix_file(tmp_path, "b.pdb", 25)
    (tmp_path / "copy").mkdir()
    copies = [
        helix_file(tmp_path / "copy", "a.pdb", 20),
        helix_file(tmp_path / "copy", "b.pdb", 25),
    ]
    config = AssembleConfig(domain=(str(one), str(two)), name="x")
    moved = replace(config, domain=tuple(str(file) for file in copies), n=9)
    identity = resolve_jobs(config)[0].identity
    assert resolve_jobs(moved)[0].identity == identity
    helix_file(tmp_path, "a.pdb", 21)
    assert resolve_jobs(config)[0].identity != identity


def test_a_blueprint_fixes_the_length():
    (job,) = resolve_jobs(GenerateConfig(blueprint="L3 H14 L3 H14 L3"))
    assert plan_design(job, 0).length == 37
    assert job.sources[0].blueprint == "LLL" + "H" * 14 + "LLL" + "H" * 14 + "LLL"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: DesignConfig(length=30, domains=3), "too short"),
        (lambda: DesignConfig(length=0), "length is 0"),
        (lambda: DesignConfig(length=200, n=0), "n is 0"),
        (lambda: DesignConfig(), "nothing to design"),
        (lambda: DesignConfig(length=200, seed=-1), "seed is -1"),
        (lambda: DesignConfig(length=200, order="2,2"), "order '2,2'"),
        (lambda: DesignConfig(length=200, linker=("20-10",)), "runs backwards"),
        (lambda: GenerateConfig(length=5), "5"),
        (lambda: GenerateConfig(blueprint="HHXX"), "no blueprint"),
        (lambda: AssembleConfig(domain=("a.pdb",)), "at least two domains"),
        (lambda: AssembleConfig(domain=("/none/a.pdb", "/none/b.pdb")), "no such file"),
    ],
)
def test_what_cannot_be_planned_is_refused(make, says):
    with pytest.raises(UserError, match=says):
        resolve_jobs(make())


def test_a_domain_of_two_residues_is_refused(tmp_path):
    good, tiny = helix_file(tmp_path, "a.pdb", 20), helix_file(tmp_path, "b.pdb", 2)
    with pytest.raises(UserError, match="2 residues are no domain"):
        resolve_jobs(AssembleConfig(domain=(str(good), str(tiny))))


def test_a_total_that_linkers_cannot_reach_is_refused(tmp_path):
    files = tuple(str(helix_file(tmp_path, f"{n}.pdb", n)) for n in (20, 30))
    with pytest.raises(UserError, match="too long"):
        resolve_jobs(AssembleConfig(domain=files, linker=("5-10",), length=100))
    (job,) = resolve_jobs(AssembleConfig(domain=files, linker=("5-10",), length=58))
    assert {len(plan_design(job, i).segments[1]) for i in range(5)} == {8}
    assert np.all([plan_design(job, i).length == 58 for i in range(5)])


@pytest.mark.parametrize("shard", ["1/1", "1/3", "2/3", "3/3", "9/9"])
def test_plans_are_those_of_their_names_drawn_when_asked(shard, tmp_path):
    """Jobs of 4 and 2 designs, by shard: against planning each by itself."""
    spec = tmp_path / "jobs.yaml"
    spec.write_text("a: {length: 90, domains: 2, n: 4}\nb: {length: 120, domains: 3, n: 2}\n")
    config = DesignConfig(spec=str(spec), shard=shard)
    part, parts = map(int, shard.split("/"))
    expected = [
        plan_design(job, index)
        for job in resolve_jobs(config)
        for index in range(job.spec.tries)
        if index % parts == part - 1
    ]
    plans = plan_run(config)
    assert [plan.name for plan in plans] == [plan.name for plan in expected]
    assert [plans.name(k) for k in range(len(plans))] == [plan.name for plan in expected]
    assert [plan.segments for plan in plans] == [plan.segments for plan in expected]
    rest = plans.without([plan.name for plan in expected[1:2]])
    assert [plan.name for plan in rest] == [p.name for k, p in enumerate(expected) if k != 1]
    assert [plan.name for plan in rest[1:]] == [plan.name for plan in list(rest)[1:]]
