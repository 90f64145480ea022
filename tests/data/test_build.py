"""From a folder of structure files to a set: what gets in, what is told, and who is kept apart."""

import gzip
import json

import numpy as np
import pytest

from proteinweaver.data.archive import FORMAT, dataset_info
from proteinweaver.data.build import build_dataset, find_structures
from proteinweaver.data.quality import QualityLimits, fault_of
from proteinweaver.data.store import StructureStore
from proteinweaver.errors import UserError
from proteinweaver.io.mmcif import write_cif
from proteinweaver.io.pdb import write_pdb
from proteinweaver.structure.backbone import Backbone

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def helix(n: int) -> np.ndarray:
    """Alpha helix from the cylinder coordinates of N, CA, C, O."""
    cylinder = np.array([[1.55, -28.3, -0.87], [2.28, 0, 0], [1.68, 27.9, 1.03], [2.03, 26, 2.22]])
    angle = np.deg2rad(cylinder[:, 1] + 100.0 * np.arange(n)[:, None])
    height = cylinder[:, 2] + 1.5 * np.arange(n)[:, None]
    return np.stack(
        [cylinder[:, 0] * np.cos(angle), cylinder[:, 0] * np.sin(angle), height], axis=-1
    )


def chain(n: int, seed: int, **fields) -> Backbone:
    """A helix with a random sequence."""
    sequence = "".join(np.random.default_rng(seed).choice(list(LETTERS), n))
    return Backbone.from_coord(helix(n), sequence=sequence, **fields)


@pytest.fixture
def folder(tmp_path):
    """Thirty chains in two folders and several formats, and files that are none."""
    root = tmp_path / "files"
    (root / "deep").mkdir(parents=True)
    for number in range(30):
        name = root / ("deep" if number % 3 else "") / f"p{number:02d}"
        write = write_cif if number % 2 else write_pdb
        path = name.with_suffix(".cif" if number % 2 else ".pdb")
        write(path, chain(50 + number, number))
        if number % 5 == 0:
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    (root / "junk.pdb").write_bytes(b"\x00\x01")
    (root / "empty.cif").touch()
    (root / "notes.txt").write_text("not looked at")
    write_pdb(root / "short.pdb", chain(20, 99))
    return root


def test_a_folder_becomes_a_set(folder, tmp_path):
    seen: list[tuple[int, int, int]] = []
    out = tmp_path / "sets" / "set.npz"
    report = build_dataset(folder, out, progress=lambda *step: seen.append(step))
    assert (report.files, report.items) == (33, 30)
    assert report.refused == {"too short": 1}
    assert {file.rsplit("/", 1)[1]: text for file, text in report.errors} == {
        "junk.pdb": "it is a binary file, not PDB, mmCIF or BinaryCIF",
        "empty.cif": "the file is empty",
    }
    assert seen[-1] == (33, 33, 2)
    assert [done for done, _, _ in seen] == list(range(1, 34))
    assert [path.name for path in out.parent.iterdir()] == ["set.npz"]
    assert report.splits == {"train": 26, "valid": 2, "test": 2}

    arrays = np.load(out, allow_pickle=False)
    assert str(arrays["format"]) == FORMAT
    ids = arrays["ids"].tolist()
    assert len(set(ids)) == 30
    item = ids.index("p07_A")
    rows = slice(arrays["offsets"][item], arrays["offsets"][item + 1])
    original = chain(57, 7)
    xyz = original.coord - original.ca.mean(axis=0)
    assert np.abs(arrays["coords"][rows] * arrays["coord_scale"] - xyz).max() < 0.0061
    assert (arrays["aatype"][rows] == original.aatype).all()
    assert (np.array(list("abc"))[arrays["sse"][rows]] == "a").mean() > 0.9
    assert arrays["resnum"][rows].tolist() == list(range(1, 58))
    assert arrays["source_names"].tolist() == ["files"]


@pytest.mark.realdata
def test_the_arrays_are_those_of_the_release(folder, tmp_path, data_dir):
    build_dataset(folder, tmp_path / "set.npz")
    ours, theirs = np.load(tmp_path / "set.npz"), np.load(data_dir / "domains.npz")
    optional = {"method", "method_names"}
    assert set(ours.files) - {"provenance"} == set(theirs.files) - optional
    for name in set(ours.files) - {"provenance", "source"}:
        assert ours[name].dtype.kind == theirs[name].dtype.kind, name
        assert ours[name].shape[1:] == theirs[name].shape[1:] or "names" in name, name
        if ours[name].dtype.kind != "U":
            assert ours[name].dtype == theirs[name].dtype, name


def test_the_store_reads_it(folder, tmp_path):
    build_dataset(folder, tmp_path / "set.npz")
    store = StructureStore(tmp_path / "set.npz")
    assert len(store) == 30
    item = store.item(0)
    assert item.coord.shape == (len(item), 4, 3)
    weights = store.weights(store.members("train"))
    assert weights.sum() == pytest.approx(1.0)


def test_same_bytes_again_and_in_parallel(folder, tmp_path):
    first = build_dataset([folder], tmp_path / "a.npz", seed=3)
    again = build_dataset([folder], tmp_path / "b.npz", seed=3, workers=2)
    assert first.sha256 == again.sha256
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    other = build_dataset([folder], tmp_path / "c.npz", seed=4)
    assert other.sha256 != first.sha256


def test_relatives_share_a_split(tmp_path):
    """Twenty families of three mutants: whatever the seed, a family is on one side."""
    root = tmp_path / "files"
    root.mkdir()
    rng = np.random.default_rng(0)
    family = {}
    for number in range(20):
        parent = chain(80, 1000 + number)
        for mutant in range(3):
            aatype = parent.aatype.copy()
            where = rng.choice(80, size=16, replace=False)  # 80 % identity
            aatype[where] = rng.integers(0, 20, 16)
            name = f"f{number}m{mutant}"
            write_pdb(root / f"{name}.pdb", parent.replace(aatype=aatype))
            family[f"{name}_A"] = number
    sides = set()
    for seed in range(3):
        out = tmp_path / f"{seed}.npz"
        build_dataset(root, out, seed=seed, cluster="kmer", valid=0.1, test=0.1)
        arrays = np.load(out)
        of_family: dict[int, set[int]] = {}
        for name, side, component in zip(
            arrays["ids"].tolist(), arrays["split"], arrays["component"], strict=True
        ):
            of_family.setdefault(family[name], set()).add((int(side), int(component)))
        assert all(len(seen) == 1 for seen in of_family.values())
        assert len({component for seen in of_family.values() for _, component in seen}) == 20
        assert np.bincount(arrays["split"]).tolist() == [48, 6, 6]
        sides.add(tuple(arrays["split"].tolist()))
    assert len(sides) == 3


def test_duplicates_keep_the_best(tmp_path):
    root = tmp_path / "files"
    root.mkdir()
    whole = chain(60, 5)
    broken = whole.coord.copy()
    broken[30:] += 25.0
    write_pdb(root / "a.pdb", whole.replace(coord=broken))
    write_pdb(root / "b.pdb", whole)
    write_pdb(root / "c.pdb", chain(60, 6))
    report = build_dataset(root, tmp_path / "set.npz")
    assert (report.items, report.duplicates) == (2, 1)
    assert np.load(tmp_path / "set.npz")["ids"].tolist() == ["b_A", "c_A"]
    kept = build_dataset(root, tmp_path / "all.npz", keep_duplicates=True)
    assert kept.items == 3
    component = np.load(tmp_path / "all.npz")["component"].tolist()
    assert component[0] == component[1] != component[2]


def test_poly_glycine_designs_are_not_duplicates(tmp_path):
    root = tmp_path / "files"
    root.mkdir()
    rng = np.random.default_rng(1)
    for number in range(4):
        coord = helix(60) + rng.normal(scale=0.01, size=(60, 4, 3))
        write_pdb(root / f"d{number}.pdb", Backbone.from_coord(coord))
    write_pdb(root / "same.pdb", Backbone.from_coord(coord))
    report = build_dataset(root, tmp_path / "set.npz")
    assert (report.items, report.duplicates) == (4, 1)
    assert len(set(np.load(tmp_path / "set.npz")["component"].tolist())) == 4


def test_faults():
    limits = QualityLimits()
    good = chain(60, 1)
    nan = float("nan")
    assert fault_of(good, nan, limits) is None
    assert fault_of(good, 3.6, limits) == "poor resolution"
    assert fault_of(chain(39, 1), nan, limits) == "too short"
    assert fault_of(chain(801, 1), nan, limits) == "too long"
    mirrored = good.replace(coord=good.coord * np.array([1, 1, -1], np.float32))
    assert fault_of(mirrored, nan, limits) == "mirror image"
    noisy = np.random.default_rng(0).normal(scale=0.3, size=good.coord.shape)
    assert fault_of(good.replace(coord=good.coord + noisy), nan, limits) == "bad bond geometry"
    stretched = good.coord + np.arange(60)[:, None, None] * np.array([0, 0, 1.0])
    assert fault_of(good.replace(coord=stretched), nan, limits) == "bad CA-CA distances"
    breaks = np.zeros(60, dtype=bool)
    breaks[10:17] = True
    assert fault_of(good.replace(break_after=breaks), nan, limits) == "too many breaks"
    one = np.zeros(60, dtype=bool)
    one[29] = True
    jump = np.where(np.arange(60) > 29, 20, 0) + np.arange(60)
    gap = good.replace(break_after=one, resnum=jump)
    assert fault_of(gap, nan, limits) == "too many missing residues"
    assert fault_of(good.replace(resnum=good.resnum + 40_000), nan, limits) is not None
    far = good.coord.copy()
    far[30:] += 700.0
    split = good.replace(coord=far, break_after=one)
    assert fault_of(split, nan, limits) == "does not fit the format"
    with pytest.raises(UserError, match="lengths"):
        QualityLimits(min_length=9, max_length=8)
    with pytest.raises(UserError, match="max_breaks"):
        QualityLimits(max_breaks=-1)


def test_sources(folder, tmp_path):
    files = find_structures([folder / "p00.pdb.gz", folder])
    assert len(files) == len({path for path, _ in files}) == 33
    with pytest.raises(UserError, match="no such file or folder"):
        find_structures([tmp_path / "none"])
    (tmp_path / "bare").mkdir()
    with pytest.raises(UserError, match="no structure files found"):
        find_structures([tmp_path / "bare"])


def test_refusals_leave_nothing_behind(folder, tmp_path):
    out = tmp_path / "out"
    cases = [
        (folder, out / "set.txt", {}, "ends in .npz"),
        (folder, out / "set.npz", {"valid": 0.6, "test": 0.5}, "fractions"),
        (folder, out / "set.npz", {"workers": 0}, "workers"),
        (folder, out / "set.npz", {"cluster": "blast"}, "unknown"),
        (folder / "junk.pdb", out / "set.npz", {}, "none of 1 files.*binary file"),
        (folder / "short.pdb", out / "set.npz", {}, "1 chains too short"),
        (folder, folder / "notes.txt" / "set.npz", {}, "cannot write"),
    ]
    for source, target, options, message in cases:
        with pytest.raises(UserError, match=message):
            build_dataset(source, target, **options)
    assert not out.exists()


def test_an_unwritable_target_is_told_before_files_are_read(folder, tmp_path):
    seen = []
    (tmp_path / "taken.npz").mkdir()
    for target in (folder / "notes.txt" / "set.npz", tmp_path / "taken.npz"):
        with pytest.raises(UserError, match="cannot write"):
            build_dataset(folder, target, progress=lambda *counts: seen.append(counts))
    assert not seen


def test_info(folder, tmp_path):
    report = build_dataset(folder, tmp_path / "set.npz")
    info = dataset_info(tmp_path / "set.npz")
    assert info["sha256"] == report.sha256
    assert info["items"] == report.items == sum(info["lengths"].values())
    assert info["length"] == {"min": 50, "median": 64.5, "max": 79}
    assert {name: part["items"] for name, part in info["splits"].items()} == report.splits
    assert info["kinds"] == {"unknown": 30}
    assert sum(info["sse"].values()) == pytest.approx(1.0, abs=1e-3)
    assert info["provenance"]["unreadable"] == 2
    json.dumps(info)


def test_info_of_what_is_no_set(folder, tmp_path):
    build_dataset(folder, tmp_path / "set.npz")
    data = (tmp_path / "set.npz").read_bytes()
    with pytest.raises(UserError, match="no such structure set"):
        dataset_info(tmp_path / "none.npz")
    bad = tmp_path / "bad.npz"
    for content in (
        b"",
        b"junk",
        data[: len(data) // 2],
        data[:3000] + b"\xff" * 50 + data[3050:],
    ):
        bad.write_bytes(content)
        with pytest.raises(UserError, match=r"not a readable npz|damaged"):
            dataset_info(bad)
    np.savez(bad, x=np.zeros(3))
    with pytest.raises(UserError, match="its format is None"):
        dataset_info(bad)
    np.savez(bad, format=np.array(FORMAT))
    with pytest.raises(UserError, match="'coords' is missing"):
        dataset_info(bad)
    np.savez(bad, x=np.array([{}], dtype=object))
    with pytest.raises(UserError, match=r"not a readable npz|damaged"):
        dataset_info(bad)


@pytest.mark.realdata
def test_info_of_the_release(data_dir):
    info = dataset_info(data_dir / "domains.npz")
    assert (info["items"], info["residues"], info["clusters"]) == (4953, 596854, 3858)
    assert {k: v["items"] for k, v in info["splits"].items()} == {
        "train": 4441, "valid": 261, "test": 251,
    }  # fmt: skip
    assert info["sse"] == pytest.approx({"a": 0.295, "b": 0.183, "c": 0.522}, abs=6e-4)
    assert info["provenance"] is None


@pytest.mark.realdata
def test_the_release_fixtures(data_dir, tmp_path):
    report = build_dataset(data_dir / "raw", tmp_path / "set.npz")
    assert report.errors == ()
    assert report.items + report.duplicates + sum(report.refused.values()) == 17
    assert report.refused == {}
    arrays = np.load(tmp_path / "set.npz")
    assert "1ubq_A" in arrays["ids"].tolist()
    assert np.isfinite(arrays["resolution"]).sum() >= 14
