"""From the data config to batches: which files, which items."""

import copy
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from proteinweaver.data.batches import BatchSource, Mixture
from proteinweaver.data.store import SPLITS, StructureStore
from proteinweaver.data.synthetic import write_synthetic_sets
from proteinweaver.errors import UserError
from proteinweaver.training.config import DataConfig, TrainConfig
from proteinweaver.training.recipes import held_out, mixtures

__all__ = ["Sources", "open_sources", "single_item"]

_NO_SPLIT = 255
_VALID_SEED = 1


@dataclass(frozen=True)
class Sources:
    """Batches of a run.

    Parameters
    ----------
    train : BatchSource
    valid : BatchSource or None
        None where nothing is held out.
    hashes : dict of str to str
        sha256 of every file, by file name.
    """

    train: BatchSource
    valid: BatchSource | None
    hashes: dict[str, str]


def _folder(config: DataConfig, out: Path) -> Path:
    if config.source == "synthetic":
        folder = out / "synthetic"
        if not (folder / "chains.npz").is_file():
            write_synthetic_sets(folder)
        return folder
    named = config.folder or os.environ.get("PROTEINWEAVER_DATA", "")
    if not named:
        raise UserError(
            "no structures to train on; set data.folder=DIR (with domains.npz and chains.npz), "
            "or try experiment=debug, which needs none"
        )
    return Path(named)


def single_item(store: StructureStore, wanted: str) -> StructureStore:
    """Reduce a set to one training item.

    Parameters
    ----------
    store : StructureStore
    wanted : str
        Its name, or ``"#n"`` for the first training item of n residues.

    Returns
    -------
    StructureStore

    Raises
    ------
    UserError
        If there is no such item.
    """
    if wanted.startswith("#") and wanted[1:].isdecimal():
        members = store.members("train")
        found = members[store.lengths[members] == int(wanted[1:])]
    else:
        found = np.flatnonzero(store.arrays["ids"] == wanted)
    if not len(found):
        raise UserError(
            f"{store.path}: no item '{wanted}'; give an id of the set, or '#100' for a length"
        )
    alone = copy.copy(store)
    split = np.full(len(store), _NO_SPLIT, np.uint8)
    split[found[0]] = SPLITS["train"]
    alone.arrays = {**store.arrays, "split": split}
    return alone


def _source(
    stores: dict[str, StructureStore],
    chosen: tuple[Mixture, ...],
    split: str,
    residues: int,
    seed: int,
) -> BatchSource | None:
    """Batches of a split from the mixtures that have items in it."""
    usable = tuple(m for m in chosen if len(m.members(stores[m.file], split)))
    return BatchSource(stores, usable, split, residues, seed) if usable else None


def open_sources(config: TrainConfig, out: Path) -> Sources:
    """Open the structure sets that the recipe needs.

    Parameters
    ----------
    config : TrainConfig
    out : Path
        Folder of the run; synthetic sets are written there.

    Returns
    -------
    Sources

    Raises
    ------
    UserError
        If a set is missing, or has nothing to train on.
    """
    data = config.data
    chosen = mixtures(config.recipe)
    folder = _folder(data, out)
    stores = {name: StructureStore(folder / f"{name}.npz") for name in {m.file for m in chosen}}
    hashes = {store.path.name: store.sha256 for store in stores.values()}
    if data.item:
        if "domains" not in stores:
            raise UserError(
                f"data.item is of domains.npz, which recipe '{config.recipe}' does not use"
            )
        stores = {"domains": single_item(stores["domains"], data.item)}
        chosen = tuple(mixture for mixture in chosen if mixture.file == "domains")
    train = _source(stores, chosen, "train", data.residues, config.seed)
    if train is None:
        raise UserError(
            f"{folder}: no training items for recipe '{config.recipe}'; use another set or recipe"
        )
    valid = _source(stores, held_out(chosen), "valid", data.residues, _VALID_SEED)
    return Sources(train, valid, hashes)
