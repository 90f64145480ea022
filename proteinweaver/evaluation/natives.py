"""Natives to compare with: their columns, matched to designs by length.

``natives.npz`` holds the columns of about 1500 crystal structures of the train and valid splits
(domains and whole chains), built by ``scripts/build_natives_table.py``. Statistics depend on
length (contact order falls, burial rises), so a set of designs is compared with natives drawn to
the same lengths, each at most once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["NATIVE_COLUMNS", "NativeTable", "native_table", "outside_natives", "pack_table"]

FloatArray = NDArray[np.float64]

NATIVE_COLUMNS = (
    "length", "ca_ok", "cn_ok", "bond_dev", "angle_dev", "clash_36", "min_ca", "rama_ok",
    "phi_negative", "helix_right", "helix", "strand", "coil", "dssp_helix", "dssp_strand",
    "rg_ratio", "hb", "hb_long", "contacts_long", "contact_order", "neighbours", "buried",
)  # fmt: skip
"""The length, then what is compared."""

_NEAR = 0.12  # of the logarithm of the length
_CENTRAL = (1.0, 99.0)
_LEAST = 60  # natives that a length is judged by
_LEVELS = 4000
#: Columns in which a share or count below natives' median is as good as it gets.
_JUDGED_ONE_WAY = {
    "ca_ok": "high", "cn_ok": "high", "rama_ok": "high", "helix_right": "high",
    "bond_dev": "low", "angle_dev": "low", "clash_36": "low",
}  # fmt: skip


@dataclass(frozen=True)
class NativeTable:
    """Columns of natives.

    Parameters
    ----------
    values : ndarray, dtype=float64, shape=(n, len(NATIVE_COLUMNS))
        NaN where a column is not defined.
    """

    values: FloatArray

    def column(self, key: str) -> FloatArray:
        """Values of one column, shape (n,)."""
        return self.values[:, NATIVE_COLUMNS.index(key)]

    def near(self, length: float) -> NDArray[np.int64]:
        """Natives within 12% of a length, or the 60 nearest where there are fewer."""
        away = np.abs(np.log(self.column("length") / max(length, 1.0)))
        close = np.flatnonzero(away <= _NEAR)
        return close if len(close) >= _LEAST else np.argsort(away, kind="stable")[:_LEAST]

    def matched(self, lengths: ArrayLike, most: int = 500) -> NDArray[np.int64]:
        """Draw natives of the same lengths as a set of designs.

        Parameters
        ----------
        lengths : array_like, shape=(n,)
            Lengths of the designs.
        most : int, optional
            Natives wanted at most.

        Returns
        -------
        ndarray, dtype=int64, shape=(m,)
            Rows, each at most once. Designs take turns in picking a native near their length that
            nobody has taken, so lengths keep their shares as far as natives last.
        """
        rng = np.random.default_rng(0)
        sizes = np.asarray(lengths, dtype=np.float64)
        free = {length: rng.permutation(self.near(length)).tolist() for length in np.unique(sizes)}
        taken: dict[int, None] = {}
        active = rng.permutation(sizes).tolist()
        while active and len(taken) < most:
            still = []
            for length in active:
                while free[length] and free[length][-1] in taken:
                    free[length].pop()
                if free[length] and len(taken) < most:
                    taken[free[length].pop()] = None
                    still.append(length)
            active = still
        return np.array(sorted(taken), dtype=np.int64)


def pack_table(values: ArrayLike, path: Path) -> None:
    """Write a table, every column in 4000 levels.

    Parameters
    ----------
    values : array_like, shape=(n, len(NATIVE_COLUMNS))
        NaN where not defined.
    path : Path
        An npz file.
    """
    x = np.asarray(values, dtype=np.float64)
    low, high = np.nanmin(x, axis=0), np.nanmax(x, axis=0)
    step = np.where(high > low, (high - low) / _LEVELS, 1.0)
    step[0] = 1.0  # lengths stay whole numbers
    level = np.where(np.isfinite(x), np.round((x - low) / step), 65535)
    order = np.argsort(x[:, 0], kind="stable")
    np.savez_compressed(
        path,
        columns=np.array(NATIVE_COLUMNS),
        low=low,
        step=step,
        level=level[order].T.astype(np.uint16),
    )


@cache
def native_table() -> NativeTable:
    """Load the natives that ship with the package.

    Returns
    -------
    NativeTable

    Raises
    ------
    RuntimeError
        If the file holds other columns than this version compares.
    """
    path = files("proteinweaver.evaluation").joinpath("natives.npz")
    with path.open("rb") as handle, np.load(handle, allow_pickle=False) as archive:
        if tuple(archive["columns"].tolist()) != NATIVE_COLUMNS:
            raise RuntimeError("natives.npz is stale; run scripts/build_natives_table.py")
        level = archive["level"].T.astype(np.float64)
        values = np.where(level == 65535, np.nan, archive["low"] + level * archive["step"])
    values.setflags(write=False)
    return NativeTable(values)


def outside_natives(values: Mapping[str, Any]) -> list[str]:
    """Name the columns of a design that lie outside the central 98% of natives of its length.

    Parameters
    ----------
    values : mapping
        Numbers by column, ``length`` among them.

    Returns
    -------
    list of str
        The farthest outside first. Columns with a better side (`ca_ok`, `clash_36`) are judged on
        the other side only.
    """
    table = native_table()
    rows = table.values[table.near(float(values["length"]))]
    low, middle, high = np.nanpercentile(rows, [_CENTRAL[0], 50.0, _CENTRAL[1]], axis=0)
    found = []
    for k, key in enumerate(NATIVE_COLUMNS):
        value = float(values.get(key, np.nan))
        if k == 0 or not np.isfinite(value):
            continue
        side = _JUDGED_ONE_WAY.get(key)
        below = value < low[k] and side != "low"
        above = value > high[k] and side != "high"
        if below or above:
            width = max(float(high[k] - low[k]), 1e-3)
            found.append((abs(value - float(middle[k])) / width, key))
    return [key for _, key in sorted(found, reverse=True)]
