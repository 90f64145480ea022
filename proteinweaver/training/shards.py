"""Checkpoints that travel: a training state as a few small safetensors files.

::

    OUT/shards/00001234.1-of-2.safetensors
    OUT/shards/00001234.2-of-2.safetensors

Each file is at most 16 MiB and there are at most three, so that they pass through mail, issue
trackers and file limits. Nothing is pickled: tensors are raw numbers, everything else (counters,
settings, names) is JSON in the header of the first file, and any torch reads them.

Where the whole state fits, it is stored to the last bit, and a run that is resumed continues
exactly. Where it does not, the moments of the optimizer are rounded to bfloat16 (8 significant
bits, the range of float32); weights, their average and counters stay exact. The header says which.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from proteinweaver.errors import UserError

__all__ = ["MOST_SHARDS", "SHARD_BYTES", "are_shards", "read_shards", "write_shards"]

SHARD_BYTES = 16 * 2**20
MOST_SHARDS = 3
_NAME = re.compile(r"(\d{8})\.(\d)-of-(\d)\.safetensors")
#: Entries of an optimizer's state that may be rounded. First parameters (x_0) may not.
_MOMENTS = {"exp_avg", "exp_avg_sq", "moment", "second", "largest", "squares", "previous"}


def are_shards(path: str | Path) -> bool:
    """Tell whether a path is meant as shards: a folder, or a file named like one."""
    place = Path(path)
    return place.is_dir() or _NAME.fullmatch(place.name) is not None


def write_shards(folder: Path, state: Mapping[str, Any], step: int) -> list[Path]:
    """Write a training state; earlier ones in the folder go when it is complete.

    Parameters
    ----------
    folder : Path
        Created if absent.
    state : mapping
        Nested dicts, lists and tuples of tensors, numbers, strings, None.
    step : int
        Names the files.

    Returns
    -------
    list of Path

    Raises
    ------
    UserError
        If the state is too large even with rounded moments, or the disk refuses.
    """
    tensors: dict[str, Tensor] = {}
    structure = json.dumps(_taken_apart(state, "", tensors))
    names = _divided(tensors, len(structure))
    rounded = names is None
    if rounded:
        tensors = {name: _rounded(name, value) for name, value in tensors.items()}
        names = _divided(tensors, len(structure))
    if names is None:
        size = sum(value.nbytes for value in tensors.values()) / 2**20
        raise UserError(
            f"the training state is {size:.0f} MiB, more than {MOST_SHARDS} shards of"
            f" {SHARD_BYTES >> 20} MiB hold; set trainer.shards=false"
        )
    digest = hashlib.sha256(f"{step} {structure}".encode()).hexdigest()
    about = {"set": digest, "moments": "bfloat16" if rounded else "exact"}
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, own in enumerate(names, 1):
            path = folder / f"{step:08d}.{number}-of-{len(names)}.safetensors"
            partial = folder / f".{path.name}.partial"
            extra = {"structure": structure} if number == 1 else {}
            save_file({name: tensors[name] for name in own}, partial, {**about, **extra})
            os.replace(partial, path)
            paths.append(path)
        for old in folder.iterdir():
            if _NAME.fullmatch(old.name) and old not in paths:
                old.unlink()
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}") from None
    return paths


def read_shards(path: str | Path) -> dict[str, Any]:
    """Read a training state.

    Parameters
    ----------
    path : path-like
        One of the files, their folder, or the folder of the run.

    Returns
    -------
    dict
        As given to `write_shards`; rounded moments have their first dtype again.

    Raises
    ------
    UserError
        If files are missing, damaged, or of different states.
    """
    files = _whole_set(Path(path))
    tensors: dict[str, Tensor] = {}
    structure, sets = "", set()
    for file in files:
        try:
            with safe_open(file, framework="pt") as stream:
                about = stream.metadata() or {}
                sets.add(about.get("set"))
                structure = structure or about.get("structure", "")
                tensors |= {name: stream.get_tensor(name) for name in stream.keys()}
        except (OSError, SafetensorError) as error:
            raise UserError(f"{file}: not a readable shard ({error}); copy it again") from None
    if len(sets) != 1 or None in sets or not structure:
        raise UserError(f"{files[0].parent}: shards of different checkpoints; copy them again")
    state = _put_together(json.loads(structure), tensors)
    assert isinstance(state, dict)
    return state


def _whole_set(path: Path) -> list[Path]:
    """All files of the newest checkpoint at a path."""
    folder = path if path.is_dir() else path.parent
    if path.is_dir() and (path / "shards").is_dir():
        folder = path / "shards"
    wanted = _NAME.fullmatch(path.name)
    found: dict[tuple[str, int], list[Path]] = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = _NAME.fullmatch(file.name)
        if match and (wanted is None or match[1] == wanted[1]):
            found.setdefault((match[1], int(match[3])), []).append(file)
    whole = [key for key, files in found.items() if len(files) == key[1]]
    if not whole:
        there = ", ".join(file.name for files in found.values() for file in files) or "none"
        raise UserError(f"{path}: not all shards of a checkpoint are there ({there}); copy all")
    return found[max(whole)]


def _divided(tensors: Mapping[str, Tensor], header: int) -> list[list[str]] | None:
    """Names by shard, largest tensors first; None if they do not fit."""
    room = SHARD_BYTES - 2 * header - 300 * len(tensors) - 4096  # quotes are escaped there
    left: list[int] = []
    names: list[list[str]] = []
    for name in sorted(tensors, key=lambda name: -tensors[name].nbytes):
        size = tensors[name].nbytes
        place = next((k for k, free in enumerate(left) if free >= size), len(left))
        if place == len(left):
            left.append(room)
            names.append([])
        left[place] -= size
        names[place].append(name)
        if left[place] < 0 or len(left) > MOST_SHARDS:
            return None
    return names


def _rounded(name: str, value: Tensor) -> Tensor:
    path = name.split("/")
    is_moment = path[0] == "optimizer_states" and path[-1] in _MOMENTS
    return value.bfloat16() if is_moment and value.is_floating_point() else value


def _taken_apart(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """JSON of a nested value; its tensors go to ``tensors`` under their path."""
    if isinstance(value, Tensor):
        tensors[path] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": path, "dtype": str(value.dtype).removeprefix("torch.")}
    if isinstance(value, Mapping):
        rows = [[k, _taken_apart(v, f"{path}/{k}".lstrip("/"), tensors)] for k, v in value.items()]
        return {"dict": rows}
    if isinstance(value, list | tuple):
        parts = [_taken_apart(v, f"{path}/{k}", tensors) for k, v in enumerate(value)]
        return parts if isinstance(value, list) else {"tuple": parts}
    return value


def _put_together(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Undo `_taken_apart`."""
    if isinstance(value, list):
        return [_put_together(part, tensors) for part in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]].to(getattr(torch, value["dtype"]))
    if "tuple" in value:
        return tuple(_put_together(part, tensors) for part in value["tuple"])
    return {key: _put_together(part, tensors) for key, part in value["dict"]}
