"""Structure sets in the ``proteinweaver-structures-1`` npz format, held in memory.

One file holds many backbones behind each other (``offsets`` marks the items); the schema is the
one that `proteinweaver.data.build` writes. Nothing is pickled.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proteinweaver.errors import UserError

__all__ = ["SPLITS", "StructureItem", "StructureStore"]

FORMAT = "proteinweaver-structures-1"
SPLITS = {"train": 0, "valid": 1, "test": 2}


@dataclass(frozen=True)
class StructureItem:
    """One chain or domain.

    Parameters
    ----------
    name : str
    coord : ndarray, dtype=float32, shape=(L, 4, 3)
        N, CA, C, O in angstrom.
    sse : ndarray, dtype=uint8, shape=(L,)
        0 helix, 1 strand, 2 other (P-SEA).
    break_after : ndarray, dtype=bool, shape=(L,)
    domain : ndarray, dtype=uint8, shape=(L,)
        Annotated domain numbers where known, else automatic ones; 0 is linker. All 1 in a set of
        domains.
    annotated : bool
        True if ``domain`` is annotated.
    """

    name: str
    coord: NDArray[np.float32]
    sse: NDArray[np.uint8]
    break_after: NDArray[np.bool_]
    domain: NDArray[np.uint8]
    annotated: bool

    def __len__(self) -> int:
        return len(self.coord)

    def crop(self, start: int, stop: int) -> "StructureItem":
        """Residues ``start`` to ``stop - 1``."""
        rows = slice(start, stop)
        return StructureItem(
            self.name,
            self.coord[rows],
            self.sse[rows],
            self.break_after[rows],
            self.domain[rows],
            self.annotated,
        )


@dataclass
class StructureStore:
    """All items of one npz file.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    UserError
        If the file is missing or not of this format.
    """

    path: Path
    arrays: dict[str, np.ndarray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.path = Path(self.path)
        if not self.path.is_file():
            raise UserError(
                f"{self.path}: no such structure set; build one with `proteinweaver data build`"
            )
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                self.arrays = {key: archive[key] for key in archive.files}
        except (OSError, ValueError, KeyError) as error:
            raise UserError(
                f"{self.path}: not a readable npz file ({error}); build it again"
            ) from error
        if str(self.arrays.get("format")) != FORMAT:
            raise UserError(
                f"{self.path}: format is {self.arrays.get('format')}, not {FORMAT}; build it again"
            )

    def __len__(self) -> int:
        return len(self.arrays["ids"])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Residues of every item, shape (n,)."""
        return np.diff(self.arrays["offsets"])

    @property
    def annotated(self) -> NDArray[np.bool_]:
        """Whether the domains of an item are annotated, shape (n,)."""
        if "domain_auto" not in self.arrays:
            return np.zeros(len(self), dtype=np.bool_)
        return np.asarray(self.arrays["boundaries"] == 1)

    @property
    def sha256(self) -> str:
        """Hash of the file, as recorded with weights trained on it."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def members(self, split: str) -> NDArray[np.int64]:
        """Items of a split ("train", "valid", "test")."""
        return np.flatnonzero(self.arrays["split"] == SPLITS[split])

    def weights(self, members: NDArray[np.int64]) -> NDArray[np.float64]:
        """Give sampling weights 1 / (size of the item's cluster among ``members``), normalised."""
        clusters = self.arrays["cluster40"][members]
        _, inverse, counts = np.unique(clusters, return_inverse=True, return_counts=True)
        weights = 1.0 / counts[inverse]
        return weights / weights.sum()

    def item(self, number: int) -> StructureItem:
        """Item ``number`` of the file."""
        a = self.arrays
        rows = slice(int(a["offsets"][number]), int(a["offsets"][number + 1]))
        coord = a["coords"][rows].astype(np.float32) * np.float32(a["coord_scale"])
        annotated = bool(self.annotated[number])
        if "domain_auto" in a:
            domain = a["domain" if annotated else "domain_auto"][rows]
        else:
            domain = np.ones(len(coord), dtype=np.uint8)
        return StructureItem(
            name=str(a["ids"][number]),
            coord=coord,
            sse=a["sse"][rows],
            break_after=a["break_after"][rows].astype(bool),
            domain=domain,
            annotated=annotated,
        )
