"""Design specs: what is read, what is refused, and how the refusal reads."""

import dataclasses
import json
from typing import Literal

import pytest
import yaml

from proteinweaver.errors import UserError, nearest
from proteinweaver.io.spec import (
    DomainSpec,
    JobSpec,
    LinkerSpec,
    linker_of,
    parse_range,
    read_spec,
)
from proteinweaver.io.typed import build, plain


def write(folder, content, name="spec.yaml"):
    file = folder / name
    file.write_text(
        content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
    )
    return file


def test_fields_of_a_spec(tmp_path):
    spec = {
        "three": {"length": 300, "domains": 3, "n": 8, "seed": 5},
        "pair": {
            "domains": [
                {"file": "a.pdb", "select": "A10-120"},
                {"file": "/abs/b.cif:B", "mode": "adapt"},
                {"length": 80, "name": "new"},
            ],
            "linkers": [{"length": "10-20"}, 12],
            "order": "2,1,3",
        },
    }
    three, pair = read_spec(write(tmp_path, spec))
    assert three == JobSpec(name="three", length=300, domains=3, n=8, seed=5)
    assert pair.domains == (
        DomainSpec(file=str(tmp_path / "a.pdb"), select="A10-120"),
        DomainSpec(file="/abs/b.cif:B", mode="adapt"),
        DomainSpec(length=80, name="new"),
    )
    assert pair.domains[0].source == f"{tmp_path}/a.pdb:A10-120"
    assert pair.linkers == (LinkerSpec("10-20"), LinkerSpec(12))
    assert pair.linker_bounds((1, 2)) == ((10, 20), (12, 12))
    assert pair.order_positions() == (1, 0, 2)


def test_fields_of_an_assembly(tmp_path):
    spec = {
        "x": {
            "domains": [
                {"name": "a", "file": "a.pdb", "repeat": 2, "mode": "rigid"},
                {"name": "b", "library": "lib"},
                {"length": 40},
            ],
            "linkers": [0, "12:H", {"length": "5-9", "ss": "E"}],
            "order": ["b", 4, "a.2", "a.1"],
            "contacts": ["a.1:3-9 b 7.5"],
            "apart": [{"a": "a.2", "b": "4", "min": 20}],
            "keep_pose": ["a.1", "a.2"],
            "context": "lig.pdb",
            "pass_budget": "2/9",
            "total_length": 300,
        }
    }
    (job,) = read_spec(write(tmp_path, spec))
    assert [d.name for d in job.domains] == ["a.1", "a.2", "b", ""]
    assert job.domains[2].library == str(tmp_path / "lib")
    assert job.context == str(tmp_path / "lig.pdb")
    assert job.order_positions() == (2, 3, 1, 0)
    assert job.linker_bounds((9, 9)) == ((0, 0), (12, 12), (5, 9))
    assert [one.ss_string(6) for one in job.linkers] == ["??????", "HHHHHH", "EEEEEE"]
    assert (job.length, job.total_length, job.tries) == (300, 300, 9)
    assert job.contacts[0].max == 7.5
    assert dataclasses.replace(job, n=3) == dataclasses.replace(job, n=3)


def test_linkers_of_known_sequence():
    """The sequence fixes the length; letters that are no residues, other lengths are refused."""
    assert linker_of("GGSGGS") == LinkerSpec(sequence="GGSGGS")
    told = LinkerSpec(sequence="GGSggs")
    assert told.bounds == (6, 6)
    assert told.residues(6) == "GGSGGS"
    assert told.ss_string(6) == "??????"
    assert LinkerSpec("5-9", "H", "GGXGGS").ss_string(6) == "HHHHHH"
    assert LinkerSpec(4).residues(4) == "XXXX"
    for wrong, message in (
        ({"sequence": "GGB"}, "one-letter codes"),
        ({"sequence": "GGS", "length": "5-9"}, "has 3 residues, its length says 5-9"),
        ({"sequence": "GGS", "ss": "H4"}, "has 4 residues, its sequence says GGS"),
    ):
        with pytest.raises(UserError, match=message):
            LinkerSpec(**wrong)


def test_all_orders_take_turns():
    job = JobSpec(domains=3, order="all", n=2)
    assert job.tries == 12
    assert len({job.order_positions(k) for k in range(6)}) == 6
    assert job.order_positions(7) == job.order_positions(1)


def test_a_contig_is_domains_and_linkers(tmp_path):
    spec = {"x": {"contig": "A10-50/15/40/5-9/B1-30", "file": "a.pdb", "mode": "rigid"}}
    (job,) = read_spec(write(tmp_path, spec))
    assert [d.select for d in job.domains] == ["A10-50", "", "B1-30"]
    assert [d.length for d in job.domains] == [None, 40, None]
    assert job.domains[0].file == str(tmp_path / "a.pdb")
    assert job.domains[0].mode == "rigid"
    assert job.linker_bounds((0, 0)) == ((15, 15), (5, 9))


def test_json_and_yaml_agree(tmp_path):
    spec = {"a": {"length": 200, "domains": 2, "linkers": ["5-9"]}}
    yaml_jobs = read_spec(write(tmp_path, spec))
    assert read_spec(write(tmp_path, json.dumps(spec), "spec.json")) == yaml_jobs


def test_one_linker_serves_all_junctions():
    job = JobSpec(domains=4, linkers=("3-5",))
    assert job.linker_bounds((9, 9)) == ((3, 5),) * 3
    assert JobSpec(domains=3).linker_bounds((6, 20)) == ((6, 20),) * 2
    assert JobSpec(domains=1).linker_bounds((6, 20)) == ()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "expected job names"),
        ("[1, 2]", "expected job names"),
        ("a: 5", "not a group of fields"),
        ("a: {lenght: 300}", "unknown key 'lenght'; did you mean 'length'?"),
        ("a: {domains: [{fiel: x.pdb}]}", "unknown key 'fiel'; did you mean 'file'?"),
        ("a: {length: x}", "length is 'x', not a whole number"),
        ("a: {length: 100.5}", "length is 100.5, not a whole number"),
        ("a: {length: true}", "length is True"),
        ("a: {length: 0}", "length is 0"),
        ("a: {n: 0}", "n is 0"),
        ("a: {domains: 0}", "domains is 0"),
        ("a: {domains: []}", "list of domains is empty"),
        ("a: {seed: -1}", "seed is -1"),
        ("a: {order: '1,1'}", "order '1,1'"),
        ("a: {order: backwards}", "order 'backwards'"),
        ("a: {linkers: [20-10]}", "runs backwards; write 10-20"),
        ("a: {linkers: [long]}", "not a number or a range"),
        ("a: {domains: 3, linkers: [1, 2, 3]}", "3 linkers for 3 domains"),
        ("a: {domains: [{file: x, length: 5}]}", "'length' is for generated domains"),
        ("a: {domains: [{select: A}]}", "names no file"),
        ("a: {domains: [{file: x, mode: stiff}]}", "mode is 'stiff'"),
        ("../a: {length: 100}", "part of file names"),
        ("a: {length: 1}\na: {length: 2}", "'a' stands twice"),
        ("a: {length: 1, length: 2}", "'length' stands twice"),
        ("a: {length: [}", "does not parse"),
        ("!!python/object/apply:os.system ['true']", "does not parse"),
    ],
)
def test_refusals_are_one_line_and_name_the_file(tmp_path, content, says):
    file = write(tmp_path, content)
    with pytest.raises(UserError) as caught:
        read_spec(file)
    text = str(caught.value)
    assert says in text
    assert "\n" not in text
    assert "spec" in text


def test_spec_files_that_are_none(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        read_spec(tmp_path / "absent.yaml")
    with pytest.raises(UserError, match=r"ends in \.yaml"):
        read_spec(write(tmp_path, "a: {}", "spec.txt"))
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(UserError, match="not a text file"):
        read_spec(tmp_path / "b.yaml")


@pytest.mark.parametrize(
    ("text", "bounds"), [(7, (7, 7)), ("7", (7, 7)), ("3-9", (3, 9)), (" 3 - 9 ", (3, 9))]
)
def test_ranges(text, bounds):
    assert parse_range(text, "linker") == bounds


@pytest.mark.parametrize("text", ["", "-3", "3-", "3-2", "a", "1.5", "3-4-5"])
def test_bad_ranges(text):
    with pytest.raises(UserError):
        parse_range(text, "linker")


@dataclasses.dataclass(frozen=True)
class Inner:
    x: float = 1.0
    kind: Literal["a", "b"] = "a"


@dataclasses.dataclass(frozen=True)
class Outer:
    count: int
    inner: Inner = dataclasses.field(default_factory=Inner)
    names: tuple[str, ...] = ()
    flag: bool = False
    maybe: int | None = None


def test_build_and_plain_are_inverse():
    value = Outer(3, Inner(2.0, "b"), ("p", "q"), True, 4)
    assert build(Outer, plain(value)) == value
    assert json.loads(json.dumps(plain(value))) == plain(value)


def test_build_widens_whole_numbers_only():
    assert build(Outer, {"count": 1, "inner": {"x": 3}}).inner.x == 3.0
    with pytest.raises(UserError, match=r"count is 1\.0, not a whole number"):
        build(Outer, {"count": 1.0})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "'count' is missing"),
        ({"count": True}, "count is True"),
        ({"count": 1, "flag": 1}, "flag is 1, not true or false"),
        ({"count": 1, "names": "p"}, "names is 'p', not a list"),
        ({"count": 1, "names": [1]}, r"names\[0\] is 1, not text"),
        ({"count": 1, "inner": 3}, "not a group of keys"),
        ({"count": 1, "inner": {"y": 3}}, "inner: unknown key 'y'"),
        ({"count": 1, "inner": {"kind": "c"}}, "inner: kind is 'c'"),
        ({"count": 1, "maybe": "x"}, "maybe is 'x', not a whole number"),
    ],
)
def test_build_refuses(data, says):
    with pytest.raises(UserError, match=says):
        build(Outer, data)


def test_nearest():
    assert nearest("samplr", ["sampler", "seed"]) == "did you mean 'sampler'?"
    assert nearest("zzz", ["b", "a"]) == "known: a, b"
