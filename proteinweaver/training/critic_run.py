"""From the config of the critic to a checkpoint; the same call with the same folder goes on."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from proteinweaver.data.critic_batches import SequenceSource
from proteinweaver.data.datamodule import BatchDataModule, Source
from proteinweaver.data.negative_sets import NegativeSet
from proteinweaver.data.soundness_batches import SoundnessSource
from proteinweaver.data.store import StructureStore
from proteinweaver.errors import UserError
from proteinweaver.nets import critic as critic_module
from proteinweaver.nets.critic import Critic
from proteinweaver.training.checkpoints import CARD
from proteinweaver.training.compiled import compiled
from proteinweaver.training.critic_config import CriticTrainConfig
from proteinweaver.training.critic_task import CriticTask, SequenceTask, SoundnessTask
from proteinweaver.training.fit import command_line, fit, folder_of, prepare_folder
from proteinweaver.training.run import TrainResult
from proteinweaver.training.schedule import used_budget

__all__ = ["critic_state", "train_critic"]

_VALID_SEED = 1


def train_critic(
    config: CriticTrainConfig, on_row: Callable[[dict[str, float]], None] | None = None
) -> TrainResult:
    """Train a head of the critic, or go on training.

    Parameters
    ----------
    config : CriticTrainConfig
    on_row : callable, optional
        Called with every row of the log.

    Returns
    -------
    TrainResult

    Raises
    ------
    UserError
        If the folder, the data or a checkpoint cannot be used.
    """
    out, setup = folder_of(config), config.trainer
    prepare_folder(config, out)
    if setup.threads:
        torch.set_num_threads(setup.threads)
    train, valid, hashes = _sources(config)
    torch.manual_seed(config.seed)
    task = _TASKS[config.head](config, {"data": hashes, "command": command_line()})
    checkpoint = out / "last.ckpt"
    start = checkpoint if checkpoint.is_file() else None
    if config.init and start is None:
        _start_from(task, config.init)
    elif config.head == "soundness" and start is None:
        raise UserError("head=soundness needs a trained trunk; set init=SEQ/last.ckpt")
    held_out = valid if setup.valid_every else None
    data = BatchDataModule(train, held_out, setup.valid_batches, config.data.workers)
    outcome = fit(config, task, data, start, _compiled(task.net, setup.compile), on_row)
    finished = used_budget(task.step, task.minutes, setup) >= 1
    return TrainResult(checkpoint, outcome.last, task.step, finished)


def critic_state(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Averaged weights and card of a checkpoint of the critic.

    Parameters
    ----------
    path : path-like
        ``last.ckpt``.

    Returns
    -------
    state : dict of str to Tensor
    card : dict

    Raises
    ------
    UserError
        If it is missing or none of the critic's.
    """
    try:
        raw = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint; mend the path") from None
    except Exception as error:  # a damaged archive raises almost anything
        raise UserError(f"{path}: not a readable checkpoint ({type(error).__name__})") from None
    if not isinstance(raw, dict) or "critic" not in raw.get(CARD, {}):
        raise UserError(f"{path}: not a checkpoint of the critic; mend the path")
    return {k.removeprefix("net."): v for k, v in raw["state_dict"].items()}, raw[CARD]


def _start_from(task: CriticTask, path: str) -> None:
    """Load what the head trains; a soundness head starts on a copy of a sequence head's trunk."""
    state, card = critic_state(path)
    judging = task.head == "soundness"
    if judging and card["head"] != "soundness":
        trunk = tuple(f"{name}." for name, _ in task.net.judging.named_children())
        copied = {f"judging.{k}": v for k, v in state.items() if k.startswith(trunk)}
        state = {k: v for k, v in state.items() if not _of_soundness(k)} | copied
        needed = {k for k in task.net.state_dict() if not k.startswith("branches.")}
    else:
        state = {k: v for k, v in state.items() if judging or not _of_soundness(k)}
        needed = {k for k in task.net.state_dict() if judging or not _of_soundness(k)}
    try:
        fits = needed <= set(state)
        unknown = task.net.load_state_dict(state, strict=False).unexpected_keys
    except RuntimeError:
        fits, unknown = False, []
    if unknown or not fits:
        raise UserError(f"{path}: not the network of the config; set model.* to match")


def _of_soundness(key: str) -> bool:
    return key.startswith(("judging.", "branches."))


def _sources(config: CriticTrainConfig) -> tuple[Source, Source, dict[str, str]]:
    data = config.data
    named = data.folder or os.environ.get("PROTEINWEAVER_DATA", "")
    if not named:
        raise UserError(
            "no structures to train on; set data.folder=DIR (with domains.npz and chains.npz)"
        )
    folder = Path(named)
    stores = {name: StructureStore(folder / f"{name}.npz") for name in ("domains", "chains")}
    hashes = {store.path.name: store.sha256 for store in stores.values()}

    def source(split: str, seed: int) -> SequenceSource | SoundnessSource:
        size = data.residues
        if config.head == "sequence":
            near = config.model.neighbours
            return SequenceSource(stores, split, size, near, data.max_noise, data.max_length, seed)
        file = Path(data.negatives) / f"negatives-{split}.npz"
        without = tuple(name for name in data.without.split(",") if name)
        return SoundnessSource(
            stores,
            NegativeSet.read(file),
            split,
            size,
            config.model.judge_neighbours,
            config.model.branches,
            data.max_noise,
            seed,
            without,
        )

    train, valid = source("train", config.seed), source("valid", _VALID_SEED)
    return train, valid, hashes


_TASKS: dict[str, type[CriticTask]] = {task.head: task for task in (SequenceTask, SoundnessTask)}


def _compiled(net: Critic, on: bool) -> AbstractContextManager[None]:
    """Compile the layers and the edge features; shapes are the same in every batch."""
    branches: list[Any] = list(net.branches)
    inner = [layer for branch in branches for layer in branch.layers]
    layers = [*net.layers, *net.sequence_layers, *net.judging.layers, *inner]
    return compiled(layers, ((critic_module, "edge_features"),), dynamic=False, on=on)
