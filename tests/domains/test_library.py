"""A folder as a domain source, with files that serve and files that do not."""

import gzip

import numpy as np
import pytest

from proteinweaver.domains.library import DomainLibrary
from proteinweaver.errors import UserError
from proteinweaver.structure.ideal import ideal_element


def pdb_text(length: int, chains: str = "A") -> str:
    """PDB lines of ideal helices, written by hand so that only the reader is ours."""
    lines, serial = [], 1
    for k, chain in enumerate(chains):
        coord = ideal_element("H", length).numpy() + 40.0 * k
        for residue in range(length):
            for name, xyz in zip(("N", "CA", "C", "O"), coord[residue], strict=True):
                lines.append(
                    f"ATOM  {serial:5d}  {name:<3s} ALA {chain}{residue + 1:4d}    "
                    f"{xyz[0]:8.3f}{xyz[1]:8.3f}{xyz[2]:8.3f}  1.00  0.00           {name[0]}"
                )
                serial += 1
    return "\n".join([*lines, "END", ""])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.pdb").write_text(pdb_text(30))
    (tmp_path / "b.PDB").write_text(pdb_text(50))
    (tmp_path / "inner" / "c.pdb.gz").write_bytes(gzip.compress(pdb_text(40).encode()))
    (tmp_path / "two.pdb").write_text(pdb_text(30, "AB"))
    (tmp_path / "broken.pdb").write_text("nothing of the kind\n")
    (tmp_path / "notes.txt").write_text("not a structure\n")
    (tmp_path / ".hidden.pdb").write_text(pdb_text(9))
    return tmp_path


def test_finds_structure_files_and_reads_none_of_them(folder, monkeypatch) -> None:
    def forbidden(*args, **kwargs):
        raise AssertionError("read before it was asked for")

    monkeypatch.setattr("proteinweaver.domains.library.read_backbone", forbidden)
    library = DomainLibrary(folder)
    assert [path.name for path in library.files] == [
        "a.pdb",
        "b.PDB",
        "broken.pdb",
        "c.pdb.gz",
        "two.pdb",
    ]
    assert len(library) == 5


def test_draws_only_what_can_serve(folder) -> None:
    library = DomainLibrary(folder, shortest=35)
    lengths = {len(library.draw(seed)) for seed in range(40)}
    assert lengths == {40, 50}
    assert {path.name for path in library.refused} == {"a.pdb", "two.pdb", "broken.pdb"}
    assert len(library.draw(7)) == len(DomainLibrary(folder, shortest=35).draw(7))


def test_every_usable_file_is_drawn_alike(folder) -> None:
    rng = np.random.default_rng(0)
    library = DomainLibrary(folder)
    lengths = [len(library.draw(rng)) for _ in range(300)]
    for length in (30, 40, 50):
        assert 70 < lengths.count(length) < 130


def test_reads_one_file(folder) -> None:
    library = DomainLibrary(folder, longest=45)
    assert len(library.read(0)) == 30
    with pytest.raises(UserError, match="50 residues, outside 1-45"):
        library.read(1)
    with pytest.raises(UserError, match="2 chains"):
        library.read(4)


def test_one_line_for_useless_folders(tmp_path, folder) -> None:
    with pytest.raises(UserError, match="no such folder"):
        DomainLibrary(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no structure file in it"):
        DomainLibrary(tmp_path / "empty")
    with pytest.raises(UserError, match="none of 5 files can serve"):
        DomainLibrary(folder, shortest=99).draw(0)
