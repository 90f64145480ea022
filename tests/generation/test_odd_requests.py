"""Requests that look alike and are not, and folders that hold other people's files."""

import json

import numpy as np
import pytest

from proteinweaver import assemble, design
from proteinweaver.errors import UserError
from proteinweaver.generation.batching import groups
from proteinweaver.generation.config import AssembleConfig, DesignConfig
from proteinweaver.generation.jobs import resolve_jobs
from proteinweaver.generation.model import pick_device
from proteinweaver.generation.plans import plan_run
from proteinweaver.generation.sequences import SequenceRequest, write_sequences
from proteinweaver.generation.settings import SamplerConfig
from proteinweaver.generation.split import FoundDomain, write_domains
from proteinweaver.generation.wishes import resolve_wishes
from proteinweaver.io.mmcif import write_cif
from proteinweaver.io.pdb import write_pdb
from proteinweaver.io.read import read_backbone
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.ideal import ideal_element

FEW = SamplerConfig(num_steps=2)


def helix_of(chain: str) -> Backbone:
    return Backbone.from_coord(ideal_element("H", 40).numpy(), sequence="A" * 40, chain=chain)


@pytest.fixture
def pdb(tmp_path):
    write_pdb(tmp_path / "a.pdb", helix_of("A"))
    return str(tmp_path / "a.pdb")


@pytest.fixture
def fields(tiny_weights):
    return {
        "weights": str(tiny_weights),
        "device": "cpu",
        "close": False,
        "assembler_sampler": FEW,
        "poses": "noise",
    }


def test_another_selection_is_another_job(pdb, fields, tmp_path):
    """Also behind the file's name, and of the context: no design of another request is kept."""
    told = {"name": "x", "linker": ("6",), "out": str(tmp_path / "run"), **fields}
    assemble(domain=(f"{pdb}:A1-30", pdb), **told)
    with pytest.raises(UserError, match="another configuration"):
        assemble(domain=(f"{pdb}:A1-25", pdb), **told)
    helix = ideal_element("H", 40).numpy()
    both = Backbone.from_coord(
        np.concatenate((helix, helix + np.float32(30.0))),
        sequence="A" * 80,
        chain=np.repeat(["A", "B"], 40),
        resnum=np.tile(np.arange(1, 41), 2),
    )
    write_pdb(tmp_path / "two.pdb", both)
    jobs = [
        resolve_jobs(AssembleConfig(domain=(pdb, pdb), context=f"{tmp_path}/two.pdb:{chain}"))[0]
        for chain in "AB"
    ]
    assert jobs[0].identity != jobs[1].identity


def test_chains_with_long_names_are_written(fields, tmp_path):
    write_cif(tmp_path / "big.cif", helix_of("AA"))
    text = f"{tmp_path}/big.cif:AA"
    assemble(domain=(text, text), linker=("6",), name="x", out=str(tmp_path / "run"), **fields)
    parts = sorted((tmp_path / "run" / "domains").iterdir())
    assert [set(read_backbone(part).chain.tolist()) for part in parts] == [{"A"}, {"A"}]
    side = json.loads((tmp_path / "run/designs/x_s0_0000.json").read_text())
    assert {row["chain"] for row in side["residue_map"]} == {"AA"}


def test_overwriting_leaves_files_that_are_not_of_a_run(pdb, fields, tmp_path):
    run = tmp_path / "run"
    told = {"domain": (pdb, pdb), "linker": ("6",), "out": str(run), **fields}
    assemble(**told)
    notes = [run / name for name in ("run_notes.json", "running.json", "manifest_old.jsonl")]
    for file in notes:
        file.write_text("mine\n")
    assemble(**told)  # not in the way
    assemble(**told, overwrite=True)
    assert [file.read_text() for file in notes] == ["mine\n"] * 3
    assert (run / "fixed_positions.jsonl").is_file()
    gly = {**told, "gly": True, "overwrite": True}
    assemble(**gly)
    assert not (run / "fixed_positions.jsonl").exists()  # nothing is fixed any more


def test_a_linker_with_a_sequence_keeps_it_when_sequences_are_designed(pdb, fields, tmp_path):
    run = tmp_path / "run"
    assemble(domain=(pdb, pdb), linker=("GPXSGW",), out=str(run), **fields)
    write_sequences(SequenceRequest((str(run),), out=str(tmp_path / "seqs"), n=3))
    lines = (tmp_path / "seqs" / "sequences.fasta").read_text().splitlines()
    linkers = [line[40:46] for line in lines if not line.startswith(">")]
    assert len(linkers) == 3
    assert all(one[:2] == "GP" and one[3:] == "SGW" for one in linkers)


def test_one_given_domain_is_nothing_to_assemble(pdb, tmp_path):
    for config in (
        AssembleConfig(contig="A5-30", file=pdb),
        AssembleConfig(spec=_spec(tmp_path, f"a: {{domains: [{{file: {pdb}}}]}}")),
    ):
        with pytest.raises(UserError, match="one given domain and nothing to assemble it with"):
            plan_run(config)


def test_two_jobs_of_one_name_are_refused(tmp_path):
    text = "a: {name: p, length: 100, domains: 1}\nb: {name: p, length: 120, domains: 1}"
    with pytest.raises(UserError, match="two jobs are named 'p'"):
        design(spec=_spec(tmp_path, text))


def test_a_range_for_a_generated_domain_is_refused(pdb):
    with pytest.raises(UserError, match="generated domain of 80-100 residues; give one number"):
        plan_run(AssembleConfig(contig="A5-30/10-20/80-100", file=pdb, total_length=140))


def test_a_chain_named_by_a_digit(tmp_path):
    """``10-30`` may be residues 10-30 or chain 1's 0-30: it asks, and the long form is taken."""
    write_pdb(tmp_path / "one.pdb", helix_of("1"))
    with pytest.raises(UserError, match="several ways"):
        read_backbone(f"{tmp_path}/one.pdb:10-30")
    assert read_backbone(f"{tmp_path}/one.pdb:1:10-30").resnum.tolist() == list(range(10, 31))


def test_a_context_stays_with_a_given_domain_not_a_drawn_one(pdb, tmp_path):
    (tmp_path / "lib").mkdir()
    write_pdb(tmp_path / "lib" / "x.pdb", helix_of("A"))
    far = ideal_element("H", 20).numpy() + np.float32(40.0)
    write_pdb(tmp_path / "partner.pdb", Backbone.from_coord(far, chain="P"))
    domains = f"[{{library: {tmp_path}/lib}}, {{file: {pdb}}}]"
    text = f"a: {{domains: {domains}, context: {tmp_path}/partner.pdb}}"
    (plan,) = plan_run(DesignConfig(spec=_spec(tmp_path, text)))
    anchor = resolve_wishes(plan).anchor
    assert plan.sources[plan.domains[anchor].source].file == pdb


def test_devices_that_cannot_sample_are_refused():
    assert pick_device("cpu:0") == "cpu"  # one by one, as on "cpu"
    for device in ("meta", "mps"):
        with pytest.raises(UserError, match="not usable here"):
            pick_device(device)


def test_candidates_count_in_a_batch():
    assert [len(one) for one in groups([100] * 6, 8, "cuda", 4)] == [2, 2, 2]
    assert [len(one) for one in groups([100] * 3, 2, "cuda", 4)] == [1, 1, 1]
    automatic = list(groups([100] * 80, 0, "cuda", 4))
    assert max(len(one) for one in automatic) == 40


def test_long_chains_are_refused_where_a_pdb_file_is_written_besides(pdb):
    told = {"domain": (pdb, pdb), "linker": ("9990",), "format": "cif"}
    assert len(plan_run(AssembleConfig(**told))) == 1
    with pytest.raises(UserError, match="--traj writes them; drop --traj"):
        plan_run(AssembleConfig(**told, traj=True))


def test_names_made_from_domains_are_file_names(tmp_path):
    given = []
    for k in range(9):
        given.append(str(tmp_path / f"_\u00e9-{'long' * 10}{k}.pdb"))
        write_pdb(given[-1], helix_of("A"))
    short, long = (AssembleConfig(domain=tuple(given[:k])).jobs()[0].name for k in (2, 9))
    assert short.isascii() and short[0].isalnum()
    assert (
        len(long) < 140
        and long[:100] == AssembleConfig(domain=tuple(given[:5])).jobs()[0].name[:100]
    )
    assert long != AssembleConfig(domain=(*given[:8], given[0])).jobs()[0].name


def test_parts_of_a_split_replace_their_own_kind_only(tmp_path):
    x, y = (str(tmp_path / name) for name in ("x.cif", "y.cif"))
    for file in (x, y):
        write_cif(file, helix_of("AA"))
    found = [FoundDomain(helix_of("AA").replace(name=f"x_AA-{k}"), "AA1-40") for k in (1, 2)]
    out = tmp_path / "parts"
    write_domains(found, x, out)
    assert set(read_backbone(out / "x_AA-1.pdb").chain.tolist()) == {"A"}
    write_domains(found[:1], x, out)
    assert sorted(f.name for f in out.iterdir()) == ["split.json", "x_AA-1.pdb"]
    (out / "x_AA-2.pdb").write_text("mine\n")
    with pytest.raises(UserError, match=r"x_AA-2.pdb is not of this split; give another folder"):
        write_domains(found, x, out)
    with pytest.raises(UserError, match=r"split.json is not of this split"):
        write_domains(found[:1], y, out)
    assert (out / "x_AA-2.pdb").read_text() == "mine\n"
    write_domains(found, y, out, overwrite=True)
    assert len(read_backbone(out / "x_AA-2.pdb")) == 40


def _spec(folder, text: str) -> str:
    (folder / "jobs.yaml").write_text(text + "\n")
    return str(folder / "jobs.yaml")
