"""The real classes of transformers on tiny random networks: design -> FASTA -> fold -> scTM."""

import csv
import json
import socket

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from proteinweaver.cli.main import run
from proteinweaver.errors import UserError
from proteinweaver.evaluation.folding_models import find_folding_model
from proteinweaver.io.pdb import write_pdb
from proteinweaver.io.read import read_structure
from proteinweaver.nets.protein_mpnn import ProteinMPNN
from proteinweaver.structure.backbone import Backbone

transformers = pytest.importorskip(
    "transformers", reason="folding needs transformers (pip install 'proteinweaver[fold]')"
)


@pytest.fixture(scope="module")
def esmfold(tmp_path_factory):
    """A folder of weights of ESMFold's real class, 30 thousand random numbers."""
    structure = {
        "sequence_dim": 16, "pairwise_dim": 8, "ipa_dim": 4, "resnet_dim": 8, "num_heads_ipa": 2,
        "num_qk_points": 2, "num_v_points": 2, "num_blocks": 1, "num_resnet_blocks": 1,
    }  # fmt: skip
    trunk = {
        "num_blocks": 1, "sequence_state_dim": 16, "pairwise_state_dim": 8,
        "sequence_head_width": 8, "pairwise_head_width": 4, "position_bins": 4, "max_recycles": 1,
        "structure_module": structure,
    }  # fmt: skip
    config = transformers.EsmConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        vocab_size=33, pad_token_id=1, mask_token_id=32, position_embedding_type="rotary",
        token_dropout=True, is_folding_model=True,
        esmfold_config={"trunk": trunk, "lddt_head_hid_dim": 8},
    )  # fmt: skip
    return saved(transformers.EsmForProteinFolding, config, tmp_path_factory.mktemp("esmfold"))


def saved(cls, config, folder):
    torch.manual_seed(0)
    model = cls(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += (0.3 * torch.randn(parameter.shape)).to(parameter.dtype)
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*words):
        raise OSError("no network in tests")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the hub waits before it tries again


def residues(text: str, chain: str) -> tuple[str, np.ndarray]:
    """Read one chain by the rules of ProteinMPNN's reader of PDB files.

    Columns are fixed; atoms are told by the four letters of their name; the first of equal atoms
    counts; a number may end in an insertion code; numbers that are skipped become rows of '-'
    without coordinates; a residue whose name is none of the twenty is '-'.
    """
    threes = "ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL"
    ones = dict(zip(threes.split(), "ARNDCQEGHILKMFPSTWYV", strict=True))
    rows: dict[int, dict[str, tuple[str, dict]]] = {}
    for line in text.splitlines():
        if line[:4] == "ATOM" and line[21] == chain:
            number, code = line[22:27].strip(), ""
            if number[-1].isalpha():
                number, code = number[:-1], number[-1]
            _, atoms = rows.setdefault(int(number), {}).setdefault(code, (line[17:20], {}))
            place = [float(line[k : k + 8]) for k in (30, 38, 46)]
            atoms.setdefault(line[12:16].strip(), place)
    names, places = "", []
    for number in range(min(rows), max(rows) + 1):
        for _, (three, atoms) in sorted(rows.get(number, {"": ("GAP", {})}).items()):
            names += ones.get(three, "-")
            places.append([atoms.get(atom, [np.nan] * 3) for atom in ("N", "CA", "C", "O")])
    return names, np.array(places)


def has_plain_columns(text: str) -> bool:
    """No alternate location, no insertion code, occupied, whole lines, N CA C O in front."""
    lines = [line for line in text.splitlines() if line.startswith("ATOM")]
    starts = [k for k, line in enumerate(lines) if line[12:16] == " N  "]
    return (
        all(len(line) == 80 and line[16] == " " and line[26] == " " for line in lines)
        and all(float(line[54:60]) == 1 for line in lines)
        and all(
            [line[12:16].strip() for line in lines[k : k + 4]] == ["N", "CA", "C", "O"]
            for k in starts
        )
        and len(starts) == len({(line[21], line[22:26]) for line in lines})
    )


def test_designs_are_read_by_the_rules_of_protein_mpnn(coil, helix, tmp_path):
    sequence = "ACDEFGHIKLMNPQRSTVWY" * 5
    two = Backbone.from_coord(
        np.concatenate((coil, helix + 30.0)),
        sequence=sequence,
        chain=["A"] * 60 + ["b"] * 40,
        resnum=[*range(-5, 55), *range(900, 940)],
    )
    write_pdb(tmp_path / "two.pdb", two)
    text = (tmp_path / "two.pdb").read_text()
    assert has_plain_columns(text)
    for chain, rows in (("A", slice(0, 60)), ("b", slice(60, 100))):
        names, places = residues(text, chain)
        assert names == sequence[rows]
        np.testing.assert_allclose(places, two.coord[rows], atol=6e-4)


def test_from_designs_to_the_row_of_the_table(esmfold, coil, helix, tmp_path, no_network, capsys):
    designs, out = tmp_path / "designs", tmp_path / "out"
    designs.mkdir()
    write_pdb(designs / "a-1.pdb", Backbone.from_coord(coil))
    write_pdb(designs / "b.pdb", Backbone.from_coord(helix[:20]))
    torch.manual_seed(1)
    state = {"num_edges": 8, "noise_level": 0.2}
    net = ProteinMPNN(8, width=16, layers=1)
    torch.save(state | {"model_state_dict": net.state_dict()}, tmp_path / "mpnn.pt")
    words = [
        "evaluate", str(designs), "-o", str(out), "--fold", "esmfold", "--fold-weights",
        str(esmfold), "--sequences", "2", "--protein-mpnn", str(tmp_path / "mpnn.pt"),
        "--device", "cpu", "--chunk", "16", "--critic", "none", "--no-report", "--workers", "1",
    ]  # fmt: skip
    assert run(words) == 0
    assert "4 sequences folded, 0 kept" in capsys.readouterr().err
    with (out / "metrics.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert {row["sc_count"] for row in rows.values()} == {"2"}
    best = rows["a-1"]["sc_best"]
    assert best in {"a_1_1", "a_1_2"} and rows["a-1"]["sc_designable"] == "0"
    predicted = read_structure(out / "predictions" / f"{best}.pdb").backbone
    a, b = coil[:, 1] - coil[:, 1].mean(0), predicted.ca - predicted.ca.mean(0)
    _, distance = Rotation.align_vectors(a, b)
    rmsd = distance / np.sqrt(len(a))
    assert float(rows["a-1"]["sc_rmsd"]) == pytest.approx(rmsd, abs=2e-3)
    assert 0 < float(rows["a-1"]["sc_tm"]) < 0.5
    assert 1 < float(rows["a-1"]["sc_plddt"]) < 100
    told = json.loads((out / "summary.json").read_text())["predictions"]
    assert told == {"designs_without": [], "of_no_design": []}
    # predictions carry the designed sequences, by the rules of the strictest reader
    with (out / "sequences" / "sequences.csv").open() as file:
        designed = {row["name"]: row["sequence"] for row in csv.DictReader(file)}
    for name, sequence in designed.items():
        text = (out / "predictions" / f"{name}.pdb").read_text()
        names, places = residues(text, "A")
        assert names == sequence and np.isfinite(places).all() and has_plain_columns(text)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.pdb")}
    assert run(words) == 0
    assert "0 sequences folded, 4 kept" in capsys.readouterr().err
    (out / "predictions" / "b_2.pdb").unlink()
    assert run([*words, "-q"]) == 0
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.pdb")}
    assert [path.stem for path in after if after[path] != before[path]] == ["b_2"]


def test_chunks_change_memory_not_the_fold(esmfold):
    folds = [find_folding_model("esmfold", str(esmfold), chunk=c).load() for c in (None, 3, 0)]
    texts = [fold("MKVLAAGWYFDERST") for fold in folds]
    places = [residues(text, "A")[1] for text in texts]
    for other in places[1:]:
        np.testing.assert_allclose(other, places[0], atol=2e-3)
    assert texts[0] == folds[0]("MKVLAAGWYFDERST")
    assert "REMARK   6 Predicted by esmfold" in texts[0] and texts[0].rstrip().endswith("END")


def test_esmfold2_folds_where_transformers_have_it(tmp_path):
    if not hasattr(transformers, "EsmFold2Model"):
        pytest.skip(f"transformers {transformers.__version__} has no ESMFold2")
    atom = {
        "hidden_size": 32, "output_dim": 16, "num_hidden_layers": 1, "num_attention_heads": 1,
        "intermediate_size": 16,
    }  # fmt: skip
    diffusion = {
        "hidden_size": 16, "fourier_dim": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 16, "pair_intermediate_size": 16, "atom_encoder": dict(atom),
    }  # fmt: skip
    config = transformers.EsmFold2Config(
        hidden_size=16, pairwise_hidden_size=16, single_inputs_size=83,
        pair_transition_intermediate_size=16, num_loops=1, folding_trunk_num_hidden_layers=1,
        parcae_num_coda_layers=1, atom_encoder=atom,
        structure_head={
            "num_diffusion_samples": 2, "inference_num_steps": 3, "num_distogram_bins": 8,
            "diffusion_module": diffusion,
        },
        confidence_head={"num_hidden_layers": 1, "distogram_bins": 8},
        msa_encoder={"enabled": False}, lm_encoder={"num_hidden_layers": 1},
        esmc_config={
            "model_type": "esmc", "hidden_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": 16,
        },
    )  # fmt: skip
    folder = saved(transformers.EsmFold2Model, config, tmp_path / "weights")
    fold = find_folding_model("esmfold2", str(folder), chunk=4).load()
    state = torch.random.get_rng_state()
    text = fold("MKVLAAGW")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert residues(text, "A")[0] == "MKVLAAGW" and has_plain_columns(text)
    assert fold("MKVLAAGW") == text
    with pytest.raises(UserError, match="which is not esmfold"):
        find_folding_model("esmfold", str(folder))


def test_weights_that_are_not_there(esmfold, tmp_path, no_network, capsys):
    """Nothing is fetched unasked; every mistake is told with its mend."""
    (tmp_path / "a.fasta").write_text(">a_1\nMKV\n")
    words = ["fold", str(tmp_path / "a.fasta"), "-o", str(tmp_path / "out"), "--device", "cpu"]
    assert run([*words, "--weights", "nobody/no-such-weights"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match=r"nor in the hub's cache.*--allow-download"):
        find_folding_model("esmfold", "nobody/no-such-weights")
    with pytest.raises(UserError, match="cannot be downloaded"):
        find_folding_model("esmfold", "nobody/no-such-weights", allow_download=True)
    with pytest.raises(UserError, match="no such folder"):
        find_folding_model("esmfold", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"no config\.json"):
        find_folding_model("esmfold", str(tmp_path))
    with pytest.raises(UserError, match="a file; give the folder"):
        find_folding_model("esmfold", str(esmfold / "config.json"))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="not weights of esmfold"):
        find_folding_model("esmfold", str(tmp_path))
    (tmp_path / "config.json").write_text((esmfold / "config.json").read_text())
    found = find_folding_model("esmfold", str(tmp_path))
    with pytest.raises(UserError, match="not weights of esmfold"):
        found.load()
    whole = (esmfold / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="broken file of weights"):
        found.load()


def test_weights_with_holes_are_refused(esmfold, tmp_path):
    """The library would fill them with random numbers."""
    from safetensors.torch import load_file, save_file

    state = load_file(esmfold / "model.safetensors")
    (tmp_path / "config.json").write_text((esmfold / "config.json").read_text())
    state.pop(next(name for name in state if name.startswith("trunk.")))
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="1 parameters are missing"):
        find_folding_model("esmfold", str(tmp_path)).load()
