"""Sets of backbones to evaluate: a folder of files, a run folder, or an npz of coordinates."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from proteinweaver.data.store import StructureStore
from proteinweaver.errors import UserError
from proteinweaver.io.read import read_structure
from proteinweaver.structure.backbone import Backbone

__all__ = ["load_set", "natives_of_length"]

_ENDINGS = (".pdb", ".cif", ".ent", ".bcif", ".mmcif", ".pdb.gz", ".cif.gz", ".bcif.gz")


def load_set(path: str | Path) -> list[Backbone]:
    """Read all backbones of a set.

    Parameters
    ----------
    path : path-like
        A run folder (its ``designs`` are read), a folder of PDB, mmCIF or BinaryCIF files, one
        such file, or an npz that holds ``coord`` (float, shape (n, L, 4, 3), angstrom) and, for
        items of different length, ``length`` (int, shape (n,)).

    Returns
    -------
    list of Backbone
        In the order of the file names. All chains of a file are one backbone.

    Raises
    ------
    UserError
        If there is nothing to read, or a file cannot be read.
    """
    place = Path(path)
    if place.suffix == ".npz":
        return _from_npz(place)
    if place.is_dir():
        place = place / "designs" if (place / "designs").is_dir() else place
        paths = sorted(entry for entry in place.iterdir() if entry.name.endswith(_ENDINGS))
        if not paths:
            raise UserError(f"{place}: no PDB or mmCIF file here; give a folder of designs")
    else:
        paths = [place]
    return [read_structure(file).backbone for file in paths]


def _from_npz(path: Path) -> list[Backbone]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            coord = archive["coord"]
            length = archive["length"] if "length" in archive.files else None
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: not an npz with coord [n, L, 4, 3] ({error})") from error
    if coord.ndim != 4 or coord.shape[2:] != (4, 3):
        raise UserError(f"{path}: coord has shape {coord.shape}, not (n, L, 4, 3)")
    sizes = np.full(len(coord), coord.shape[1]) if length is None else length
    return [
        Backbone.from_coord(xyz[: int(size)], name=f"{path.stem}_{k}")
        for k, (xyz, size) in enumerate(zip(coord, sizes, strict=True))
    ]


def natives_of_length(
    store: StructureStore,
    splits: Sequence[str],
    length: int,
    tolerance: float = 0.1,
    n: int | None = None,
) -> list[Backbone]:
    """Choose native domains of about one length, at most one per cluster, nearest first.

    Parameters
    ----------
    store : StructureStore
        Single domains.
    splits : sequence of {"valid", "test", "train"}
        Which parts.
    length : int
        Residues wanted.
    tolerance : float, optional
        Largest relative difference in length.
    n : int, optional
        Most domains. Default: all that fit.

    Returns
    -------
    list of Backbone
    """
    members = np.concatenate([store.members(split) for split in splits])
    away = np.abs(store.lengths[members] - length)
    order = members[np.argsort(away, kind="stable")]
    chosen: list[Backbone] = []
    clusters: set[int] = set()
    for number in order.tolist():
        cluster = int(store.arrays["cluster40"][number])
        far = abs(int(store.lengths[number]) - length) > tolerance * length
        if far or cluster in clusters:
            continue
        clusters.add(cluster)
        item = store.item(number)
        chosen.append(Backbone.from_coord(item.coord, name=item.name))
        if n is not None and len(chosen) == n:
            break
    return chosen
