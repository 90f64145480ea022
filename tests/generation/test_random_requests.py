"""Over 500 random requests every length, order and range is as asked."""

from functools import cache
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from proteinweaver.errors import UserError
from proteinweaver.generation.config import AssembleConfig
from proteinweaver.generation.feasibility import check_plan
from proteinweaver.generation.jobs import Job, plan_design, resolve_jobs
from proteinweaver.io.parts import DomainSpec, LinkerSpec
from proteinweaver.io.pdb import write_pdb
from proteinweaver.io.spec import JobSpec
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.ideal import ideal_element

LENGTH = 60
REQUESTS = 500


class Request(AssembleConfig):
    """A request that holds its job as it is."""

    def __init__(self, spec: JobSpec) -> None:
        object.__setattr__(self, "seed", spec.seed or 0)
        object.__setattr__(self, "asked", spec)

    def jobs(self) -> tuple[JobSpec, ...]:
        return (self.asked,)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A helix numbered from 101 in chain B, and a library of three lengths."""
    folder = tmp_path_factory.mktemp("inputs")
    coord = ideal_element("H", LENGTH).numpy()
    (folder / "library").mkdir()
    for number in (20, 30, 40):
        write_pdb(folder / "library" / f"{number}.pdb", Backbone.from_coord(coord[:number]))
    lines = []
    write_pdb(folder / "plain.pdb", Backbone.from_coord(coord, sequence="A" * LENGTH, chain="B"))
    for line in (folder / "plain.pdb").read_text().splitlines():
        if line.startswith("ATOM"):
            line = f"{line[:22]}{int(line[22:26]) + 100:4d}{line[26:]}"
        lines.append(line)
    (folder / "given.pdb").write_text("\n".join(lines) + "\n")
    return folder


def drawn(rng: np.random.Generator, folder: Path) -> tuple[JobSpec, list[tuple[int, int] | None]]:
    """Draw a request, and the author numbers of every given domain in it."""
    count = int(rng.integers(2, 11))
    domains: list[DomainSpec] = []
    numbers: list[tuple[int, int] | None] = []
    for k in range(count):
        kind = rng.choice(["given", "given", "new", "library"])
        name = f"d{k}"
        if kind == "given":
            first = int(rng.integers(101, 140))
            last = int(rng.integers(first + 9, 161))
            select = f"B{first}-{last}"
            domains.append(DomainSpec(file=str(folder / "given.pdb"), select=select, name=name))
            numbers.append((first, last))
        elif kind == "new":
            domains.append(DomainSpec(length=int(rng.integers(20, 120)), name=name))
            numbers.append(None)
        else:
            domains.append(DomainSpec(library=str(folder / "library"), name=name))
            numbers.append(None)
    linkers = []
    for _ in range(count - 1):
        low = int(rng.integers(0, 20))
        high = low + int(rng.integers(0, 15))
        ss = str(rng.choice(["", "", "H"])) if high else ""
        linkers.append(LinkerSpec(f"{low}-{high}", ss))
    words = ["fixed", "free", tuple(f"d{k}" for k in rng.permutation(count))]
    words += ["all"] if count <= 5 else []
    order = words[int(rng.integers(len(words)))]
    fixed = [
        d.length or (n[1] - n[0] + 1 if n else None) for d, n in zip(domains, numbers, strict=True)
    ]
    total = None
    if None not in fixed and rng.random() < 0.5:
        low = sum(length or 0 for length in fixed) + sum(one.bounds[0] for one in linkers)
        high = sum(length or 0 for length in fixed) + sum(one.bounds[1] for one in linkers)
        total = int(rng.integers(low, high + 1))
    spec = JobSpec(
        name="x",
        domains=tuple(domains),
        linkers=tuple(linkers),
        order=order,
        total_length=total,
        n=int(rng.integers(1, 4)),
        seed=int(rng.integers(1000)),
    )
    return spec, numbers


def check(job: Job, spec: JobSpec, numbers: list[tuple[int, int] | None], index: int) -> None:
    plan = plan_design(job, index)
    check_plan(plan)
    order = [segment.source for segment in plan.domains]
    names = [domain.name for domain in spec.domain_specs]
    if spec.order == "fixed":
        assert order == list(range(len(names)))
    elif spec.order == "all":
        assert (
            tuple(order) == list(permutations(range(len(names))))[index % len(job_orders(names))]
        )
    elif spec.order != "free":
        assert [names[k] for k in order] == list(spec.order)
    assert sorted(order) == list(range(len(names)))
    assert plan.segments[0].start == 0
    assert all(a.stop == b.start for a, b in zip(plan.segments, plan.segments[1:], strict=False))
    assert len(plan.ss) == plan.length
    if spec.total_length is not None:
        assert plan.length == spec.total_length
    for place, (one, two) in enumerate(zip(plan.domains, plan.domains[1:], strict=False)):
        linker = spec.linkers[place]
        assert linker.bounds[0] <= two.start - one.stop <= linker.bounds[1]
        expected = linker.ss or "?"
        assert set(plan.ss[one.stop : two.start]) <= {expected}
    for segment in plan.domains:
        source, wanted = plan.sources[segment.source], numbers[segment.source]
        domain = spec.domain_specs[segment.source]
        assert set(plan.ss[segment.start : segment.stop]) == {"?"}
        if wanted is not None:
            assert source.backbone.resnum.tolist() == list(range(wanted[0], wanted[1] + 1))
            assert len(segment) == wanted[1] - wanted[0] + 1
        elif domain.library:
            assert len(segment) in (20, 30, 40)
            assert len(source.backbone) == len(segment)
        else:
            assert len(segment) == domain.length


def job_orders(names: list[str]) -> list[tuple[int, ...]]:
    return list(permutations(range(len(names))))


def test_every_request_is_planned_as_asked(folder, monkeypatch):
    """Files are read once: five hundred readings of one file prove nothing more."""
    from proteinweaver.domains import library
    from proteinweaver.generation import jobs

    original = jobs.read_backbone

    @cache
    def read(spec: object) -> Backbone:
        return original(spec, single_chain=True, notes=[])

    for module in (jobs, library):
        monkeypatch.setattr(module, "read_backbone", lambda spec, **_: read(spec))
    rng = np.random.default_rng(0)
    kinds = set()
    for _ in range(REQUESTS):
        spec, numbers = drawn(rng, folder)
        (job,) = resolve_jobs(Request(spec))
        kinds.add(spec.order if isinstance(spec.order, str) else "named")
        for index in range(min(spec.tries, 2)):
            check(job, spec, numbers, index)
    assert kinds == {"fixed", "free", "named", "all"}


def test_a_total_out_of_reach_is_refused(folder):
    domains = (DomainSpec(length=40), DomainSpec(length=50))
    spec = JobSpec(name="x", domains=domains, linkers=(5,), total_length=96)
    with pytest.raises(UserError, match="too long"):
        resolve_jobs(Request(spec))
