"""Every file of the structure release, read, written, and compared with gemmi and with the npz."""

import gemmi
import numpy as np
import pytest

from proteinweaver.io.layout import residue_map, restore_residues
from proteinweaver.io.mmcif import write_cif
from proteinweaver.io.pdb import write_pdb
from proteinweaver.io.read import read_backbone, read_structure

pytestmark = pytest.mark.realdata

#: Residues with a complete backbone, from the data card.
LENGTHS = {
    "1ubq.pdb": {"A": 76}, "1hrc.pdb": {"A": 104}, "1ten.pdb": {"A": 89}, "1shg.pdb": {"A": 57},
    "3chy.pdb": {"A": 128}, "1div.pdb": {"A": 149}, "1pin.pdb": {"A": 153}, "1vjs.pdb": {"A": 469},
    "1fnf.pdb": {"A": 368}, "1bty.pdb": {"A": 223}, "1a62.pdb": {"A": 125}, "1bus.pdb": {"A": 57},
    "3cdl.pdb": {"A": 187, "B": 188}, "1aki.cif": {"A": 129}, "1dix.cif": {"A": 208},
    "3o5r.cif": {"A": 128},
}  # fmt: skip


def expected_by_gemmi(path):
    """(chain, number, icode) and N, CA, C, O of complete residues, altlocs by occupancy."""
    structure = gemmi.read_structure(str(path))
    structure.setup_entities()
    labels, coords = [], []
    for chain in structure[0]:
        for residue in chain.get_polymer():
            groups = {}
            for atom in residue:
                groups.setdefault(atom.altloc, []).append(atom)
            alternates = {
                key: np.mean([a.occ for a in atoms if a.name in ("N", "CA", "C", "O")] or [0])
                for key, atoms in groups.items()
                if key != "\0"
            }
            best = max(alternates, key=alternates.get) if alternates else "\0"
            found = {}
            for atom in [*groups.get("\0", []), *groups.get(best, [])]:
                found[atom.name] = atom.pos.tolist()
            if {"N", "CA", "C", "O"} <= set(found):
                icode = residue.seqid.icode.strip()
                labels.append((chain.name, residue.seqid.num, icode))
                coords.append([found[name] for name in ("N", "CA", "C", "O")])
    return labels, np.array(coords)


def test_every_file_comes_back(data_dir, tmp_path):
    """All of raw and published: 1e-3 A, and the map restores numbers, names and breaks."""
    files = sorted([*(data_dir / "raw").iterdir(), *(data_dir / "published").glob("*/*.pdb")])
    assert len(files) >= 80
    for file in files:
        backbone = read_structure(file, allow_ca_only=True).backbone
        for write, end in ((write_pdb, "pdb"), (write_cif, "cif")):
            path = tmp_path / f"x.{end}"
            write(path, backbone)
            again = read_structure(path, allow_ca_only=True).backbone
            assert again.is_ca_only == backbone.is_ca_only
            assert np.nanmax(np.abs(again.coord - backbone.coord)) <= 1.01e-3, file
            restored = restore_residues(again, residue_map(backbone))
            for field in ("aatype", "resnum", "icode", "chain", "break_after"):
                assert (getattr(restored, field) == getattr(backbone, field)).all(), (file, field)
            there = gemmi.read_structure(str(path))
            flat = np.array([a.pos.tolist() for c in there[0] for r in c for a in r])
            ours = backbone.ca if backbone.is_ca_only else backbone.coord.reshape(-1, 3)
            assert np.abs(flat - ours).max() <= 1.01e-3, file
            numbers = [residue.seqid.num for chain in there[0] for residue in chain]
            assert numbers == again.resnum.tolist()


@pytest.mark.parametrize("name", LENGTHS)
def test_residues_and_coordinates_agree_with_gemmi(data_dir, name):
    path = data_dir / "raw" / name
    backbone = read_structure(path).backbone
    chains = {chain: int((backbone.chain == chain).sum()) for chain in backbone.chain_names}
    assert chains == LENGTHS[name]
    labels, coord = expected_by_gemmi(path)
    ours = list(
        zip(
            backbone.chain.tolist(), backbone.resnum.tolist(), backbone.icode.tolist(), strict=True
        )
    )
    assert ours == labels
    assert np.abs(backbone.coord - coord).max() < 1e-3


def test_breaks_modified_residues_and_insertions(data_dir):
    raw = data_dir / "raw"
    pin = read_backbone(raw / "1pin.pdb", notes=[])
    where = int(np.flatnonzero(pin.break_after)[0])
    assert (pin.break_after.sum(), pin.resnum[where], pin.resnum[where + 1]) == (1, 39, 45)
    trypsin = read_backbone(raw / "1bty.pdb", notes=[])
    assert not trypsin.break_after.any()  # chymotrypsin numbers jump, the chain does not break
    assert (trypsin.icode != "").sum() > 0
    selenium = read_backbone(raw / "1a62.pdb", notes=[])
    assert selenium.sequence[0] == "M"  # MSE as HETATM
    notes: list[str] = []
    read_backbone(raw / "1bus.pdb", notes=notes)
    assert "5 models" in notes[0]


@pytest.mark.parametrize("store", ["domains", "chains"])
def test_same_chains_as_the_release(data_dir, store):
    """An independent pipeline made the npz: residues, coordinates, breaks and helices agree."""
    arrays = np.load(data_dir / f"{store}.npz")
    ids, offsets = arrays["ids"].tolist(), arrays["offsets"]
    coords, aatype, resnum = arrays["coords"], arrays["aatype"], arrays["resnum"]
    breaks, sse = arrays["break_after"], arrays["sse"]
    from proteinweaver.structure.biotite_adapter import annotate_sse

    compared = 0
    for name in LENGTHS:
        backbone = read_structure(data_dir / "raw" / name).backbone
        for chain in backbone.split_chains():
            stem = f"{name[:4]}_{chain.chain[0]}"
            for item in (
                i for i, label in enumerate(ids) if label.split("_")[:2] == stem.split("_")
            ):
                rows = slice(offsets[item], offsets[item + 1])
                numbers = resnum[rows]
                low, high = numbers[0], numbers[-1]
                part = chain.subset((chain.resnum >= low) & (chain.resnum <= high))
                if len(part) != len(numbers):
                    continue  # another deposition of the same code
                xyz = part.coord - part.ca.mean(axis=0)
                if np.abs(coords[rows] * 0.01 - xyz).max() > 0.02:
                    continue  # another copy, in another frame
                compared += 1
                assert (aatype[rows] == part.aatype).all(), stem
                assert (breaks[rows] == part.break_after).all(), stem
                letters = annotate_sse(part.ca, part.break_after)
                same = np.array(list("abc"))[sse[rows]] == letters
                assert same.mean() > 0.97, stem
    assert compared >= 3
