"""Damaged files give a `UserError` of one line or a backbone, never anything else."""

import random

import numpy as np
import pytest

from proteinweaver.errors import UserError
from proteinweaver.io.mmcif import cif_text
from proteinweaver.io.pdb import pdb_text
from proteinweaver.io.read import read_structure
from proteinweaver.structure.backbone import Backbone


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Cut, flip, delete or repeat."""
    content = bytearray(data)
    kind = rng.random()
    start = rng.randrange(len(content))
    if kind < 0.35:
        return bytes(content[:start])
    if kind < 0.75:
        for _ in range(rng.choice([1, 1, 3, 10, 100])):
            content[rng.randrange(len(content))] = rng.randrange(256)
        return bytes(content)
    stop = min(len(content), start + rng.randrange(1, 2000))
    if kind < 0.9:
        del content[start:stop]
    else:
        content[start:start] = content[start:stop]
    return bytes(content)


def survive(data: bytes, path, count: int, seed: int) -> int:
    """Return how many of the damaged copies could still be read."""
    rng = random.Random(seed)
    read = 0
    for _ in range(count):
        path.write_bytes(damaged(data, rng))
        try:
            backbone = read_structure(path).backbone
        except UserError as error:
            assert "\n" not in str(error)
            assert str(path) in str(error)
        else:
            read += 1
            assert np.isfinite(backbone.coord).all()
    return read


@pytest.mark.parametrize("text_of", [pdb_text, cif_text])
def test_our_own_files(helix, tmp_path, text_of):
    text = text_of(Backbone.from_coord(helix(20), sequence="MKTAYIAKQRMKTAYIAKQR"))
    read = survive(text.encode(), tmp_path / "x", 60, seed=1)
    assert 0 < read < 60


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["1ubq.pdb", "1bty.pdb", "1bus.pdb", "1dix.cif", "3o5r.cif"])
def test_deposited_files(data_dir, tmp_path, name):
    survive((data_dir / "raw" / name).read_bytes(), tmp_path / "x", 25, seed=2)


@pytest.mark.realdata
def test_binary_cif(data_dir, tmp_path):
    import io

    from biotite.structure.io import pdb, pdbx

    file = pdbx.BinaryCIFFile()
    atoms = pdb.PDBFile.read(str(data_dir / "raw" / "1ubq.pdb")).get_structure(model=1)
    pdbx.set_structure(file, atoms)
    for written in (file, pdbx.compress(file)):
        stream = io.BytesIO()
        written.write(stream)
        path = tmp_path / "x.bcif"
        path.write_bytes(stream.getvalue())
        assert len(read_structure(path).backbone) == 76
        survive(stream.getvalue(), path, 40, seed=3)
