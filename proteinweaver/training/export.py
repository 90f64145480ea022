"""From a training checkpoint to weights that can be shipped: the average and its origin."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from proteinweaver.data.store import StructureStore
from proteinweaver.errors import UserError
from proteinweaver.io.installation import versions
from proteinweaver.io.typed import plain
from proteinweaver.io.weights import save_weights
from proteinweaver.training.checkpoints import Checkpoint, read_checkpoint

__all__ = ["export_weights"]

_LOGS = ("metrics.jsonl", "log.jsonl")
_NOT_LOSSES = {"step", "minutes", "residues", "seconds_per_step", "s_step", "lr", "norm", "valid"}


def export_weights(
    checkpoint: str | Path | Checkpoint,
    name: str,
    folder: str | Path,
    *,
    half: bool = False,
    stage: str = "",
    command: str = "",
    data: str | Path = "",
    sampling: Callable[[str], Mapping[str, Any]] | None = None,
) -> str:
    """Write the averaged weights of a checkpoint as ``NAME.safetensors`` and ``NAME.json``.

    Parameters
    ----------
    checkpoint : path-like or Checkpoint
        Of `proteinweaver.training.run.train`, or a plain one.
    name : str
        ``"domain"`` or ``"assembler"`` to be found by name.
    folder : path-like
        Where.
    half : bool
        Store float16 (half the size; values are rounded to three digits).
    stage, command, data : str
        What the weights are for, how they were made, folder of the structure sets: needed where
        the checkpoint does not tell.
    sampling : callable, optional
        From the stage to the settings its weights are sampled with, as JSON values: a record.

    Returns
    -------
    str
        sha256 of the safetensors file.

    Raises
    ------
    UserError
        If the checkpoint cannot be read or the folder not written.
    """
    found = checkpoint if isinstance(checkpoint, Checkpoint) else read_checkpoint(checkpoint)
    state = {key: value.half() if half else value.float() for key, value in found.state.items()}
    config = {"denoiser": plain(found.model), "process": plain(found.process)}
    card = found.card
    stage = stage or card.get("stage") or name
    meta = {
        "stage": stage,
        "recipe": card.get("recipe", ""),
        "seed": card.get("seed"),
        "command": command or card.get("command", ""),
        "data": _hashes(Path(data)) if data else card.get("data", {}),
        "steps": found.step,
        "residues": found.residues,
        "minutes": round(found.minutes, 1),
        "parameters": sum(value.numel() for value in state.values()),
        "dtype": str(torch.float16 if half else torch.float32).removeprefix("torch."),
        "losses": _last_losses(found),
        "versions": versions(),
        **({"sampling": dict(sampling(stage))} if sampling else {}),
    }
    return save_weights(folder, name, state, config, meta)


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise UserError(f"{folder}: no structure sets (*.npz) to take the hash of; mend --data")
    return {file.name: StructureStore(file).sha256 for file in files}


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {k: round(float(v), 5) for k, v in row.items() if isinstance(v, int | float)}


def _last_losses(found: Checkpoint) -> dict[str, dict[str, float]]:
    """Last training and held-out losses up to the checkpoint's step, from the log beside it."""
    train: dict[str, float] = {}
    valid: dict[str, float] = {}
    for log in (found.path.with_name(name) for name in _LOGS):
        for line in log.read_text(encoding="utf-8").splitlines() if log.is_file() else []:
            row = json.loads(line)
            if row["step"] > found.step:
                break
            held_out = {
                k.removeprefix("valid/"): v for k, v in row.items() if k.startswith("valid/")
            }
            held_out |= row.get("valid", {})
            trained = {k: v for k, v in row.items() if k not in _NOT_LOSSES and "/" not in k}
            valid = _numbers(held_out) or valid
            train = _numbers(trained) or train
    return {"train": train, "valid": valid}
