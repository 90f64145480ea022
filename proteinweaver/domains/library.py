"""A folder of structure files as a source of domains.

Files are found once and read when asked for, so that a library of thousands costs nothing until it
is used. A file that cannot serve (damaged, several chains, of another length) is passed over with
its reason kept.
"""

from pathlib import Path

import numpy as np

from proteinweaver.errors import UserError
from proteinweaver.io.read import STRUCTURE_SUFFIXES, read_backbone
from proteinweaver.structure.backbone import Backbone

__all__ = ["DomainLibrary"]

#: Domains held in memory; the one read first goes first.
_KEPT = 256


class DomainLibrary:
    """The structure files of one folder and its subfolders, one domain each.

    Parameters
    ----------
    folder : path-like
        Where to look.
    shortest, longest : int, optional
        Residues a domain may have.

    Attributes
    ----------
    files : tuple of Path
        Sorted by path.
    refused : dict of Path to str
        Why a file that was tried cannot serve.

    Raises
    ------
    UserError
        If the folder does not exist or holds no structure file.
    """

    def __init__(self, folder: str | Path, shortest: int = 1, longest: int | None = None) -> None:
        self.folder = Path(folder).expanduser()
        if not self.folder.is_dir():
            raise UserError(f"{self.folder}: no such folder; give a folder of structure files")
        self.shortest, self.longest = shortest, longest
        self.files = tuple(sorted(path for path in self.folder.rglob("*") if _is_structure(path)))
        if not self.files:
            raise UserError(
                f"{self.folder}: no structure file in it; domains are files ending in"
                f" {', '.join(STRUCTURE_SUFFIXES)}, also with .gz"
            )
        self.refused: dict[Path, str] = {}
        self._read: dict[Path, Backbone] = {}

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> Backbone:
        """Read one file as a domain.

        Parameters
        ----------
        index : int
            Position in `files`.

        Returns
        -------
        Backbone

        Raises
        ------
        UserError
            If the file cannot be read, has several chains or a length out of bounds.
        """
        path = self.files[index]
        if path not in self._read:
            backbone = read_backbone(path, single_chain=True, notes=[])
            length = len(backbone)
            if length < self.shortest or (self.longest is not None and length > self.longest):
                bound = f"{self.shortest}-{'' if self.longest is None else self.longest}"
                raise UserError(f"{path}: {length} residues, outside {bound}; widen the range")
            if len(self._read) == _KEPT:
                del self._read[next(iter(self._read))]
            self._read[path] = backbone
        return self._read[path]

    def draw(self, generator: np.random.Generator | int) -> Backbone:
        """Draw a domain, every usable file alike; see `draw_file`."""
        return self.draw_file(generator)[1]

    def draw_file(self, generator: np.random.Generator | int) -> tuple[Path, Backbone]:
        """Draw a file, every usable one alike, and read it.

        Parameters
        ----------
        generator : numpy.random.Generator or int
            Source of randomness, or a seed.

        Returns
        -------
        path : Path
        domain : Backbone

        Raises
        ------
        UserError
            If no file of the folder can serve; the message gives the first reason.
        """
        rng = (
            generator
            if isinstance(generator, np.random.Generator)
            else np.random.default_rng(generator)
        )
        for index in rng.permutation(len(self.files)):
            path = self.files[int(index)]
            if path in self.refused:
                continue
            try:
                return path, self.read(int(index))
            except UserError as error:
                self.refused[path] = str(error)
        raise UserError(
            f"{self.folder}: none of {len(self.files)} files can serve as a domain;"
            f" the first: {self.refused[self.files[0]]}"
        )


def _is_structure(path: Path) -> bool:
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(STRUCTURE_SUFFIXES) and not name.startswith(".") and path.is_file()
