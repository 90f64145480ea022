"""Files of negatives: the arrays of many `Negative` one behind the other, without pickles."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proteinweaver.data.negatives import Negative
from proteinweaver.errors import UserError

__all__ = ["NegativeSet", "write_negatives"]

_FORMAT = "proteinweaver-negatives-1"
_SCALE = 0.01  # angstrom


def write_negatives(path: Path, negatives: Sequence[Negative]) -> None:
    """Write a set.

    Parameters
    ----------
    path : Path
        The npz file; folders above it are created.
    negatives : sequence of Negative
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    centred = [item.coord - item.coord[:, 1].mean(0) for item in negatives]
    with path.open("wb") as stream:
        np.savez_compressed(
            stream,
            format=np.array(_FORMAT),
            coords=np.round(np.concatenate(centred) / _SCALE).astype(np.int16),
            break_after=np.concatenate([item.break_after for item in negatives]),
            target=np.concatenate([item.target for item in negatives]).astype(np.float16),
            offsets=np.cumsum([0, *(len(item.coord) for item in negatives)]),
            kind=np.array([item.kind for item in negatives]),
            size=np.array([item.size for item in negatives], dtype=np.float32),
            source=np.array([item.source for item in negatives]),
        )


@dataclass(frozen=True)
class NegativeSet:
    """A set in memory.

    Parameters
    ----------
    arrays : dict of str to ndarray
    """

    arrays: dict[str, NDArray[np.generic]]

    @classmethod
    def read(cls, path: str | Path) -> "NegativeSet":
        """Read a set.

        Raises
        ------
        UserError
            If it is missing, damaged or not of this format.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except (OSError, ValueError, KeyError) as error:
            raise UserError(
                f"{path}: not a readable set of negatives ({error}); make one with"
                " scripts/build_negatives.py"
            ) from None
        if str(arrays.get("format")) != _FORMAT:
            raise UserError(f"{path}: format is {arrays.get('format')}, not {_FORMAT}")
        return cls(arrays)

    def __len__(self) -> int:
        return len(self.arrays["kind"])

    def item(self, number: int) -> Negative:
        """Negative ``number`` of the set."""
        a = self.arrays
        rows = slice(int(a["offsets"][number]), int(a["offsets"][number + 1]))
        return Negative(
            str(a["kind"][number]),
            float(a["size"][number]),
            str(a["source"][number]),
            a["coords"][rows].astype(np.float32) * np.float32(_SCALE),
            a["break_after"][rows].astype(bool),
            a["target"][rows].astype(np.float32),
        )
