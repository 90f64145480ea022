"""Weights of a network: numbers in a safetensors file, everything else in a JSON beside it.

::

    NAME.safetensors     tensors by name; nothing to unpickle
    NAME.json            format, config (architecture, noise laws), meta (recipe), sha256 of the
    above

The JSON is written last and names the hash of the tensors, so a pair that was copied by halves,
mixed up or damaged is refused. Both files appear completely or not at all.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proteinweaver.errors import UserError
from proteinweaver.io.run_folder import write_atomic

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "FORMAT",
    "WeightsFile",
    "assembler_file",
    "read_weights",
    "read_weights_card",
    "save_weights",
]

FORMAT = "proteinweaver-weights-1"


@dataclass(frozen=True)
class WeightsFile:
    """Contents of a pair of weight files.

    Parameters
    ----------
    state : dict of str to Tensor
        Parameters by name, on the CPU, in the dtype they are stored in.
    config : dict
        What rebuilds the network and its noise process.
    meta : dict
        How the weights were made.
    sha256 : str
        Hash of the safetensors file.
    """

    state: dict[str, "Tensor"]
    config: dict[str, Any]
    meta: dict[str, Any]
    sha256: str


def assembler_file(folder: str | Path) -> Path:
    """Name the weights in a folder that assemble by default.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    Path
        ``assembler-aligned.safetensors`` where it is there, else ``assembler.safetensors``.
    """
    aligned = Path(folder) / "assembler-aligned.safetensors"
    return aligned if aligned.is_file() else aligned.with_name("assembler.safetensors")


def save_weights(
    folder: str | Path,
    name: str,
    state: Mapping[str, "Tensor"],
    config: Mapping[str, Any],
    meta: Mapping[str, Any],
) -> str:
    """Write ``NAME.safetensors`` and ``NAME.json``.

    Parameters
    ----------
    folder : path-like
        Where; created if need be.
    name : str
        File name without its ending.
    state : mapping of str to Tensor
        Parameters by name.
    config, meta : mapping
        JSON values; see `WeightsFile`.

    Returns
    -------
    str
        sha256 of the safetensors file.

    Raises
    ------
    UserError
        If the name is not a plain file name, a value is not finite, or the disk refuses.
    """
    import torch
    from safetensors.torch import save

    if not re.fullmatch(r"[\w.-]+", name):
        raise UserError(f"'{name}' is not a name for weights; use letters, digits, '-' and '_'")
    for key, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise UserError(
                f"{key} holds values that are not finite; export an earlier checkpoint"
            )
    data: bytes = save({key: tensor.detach().cpu().contiguous() for key, tensor in state.items()})
    sha256 = hashlib.sha256(data).hexdigest()
    card = {"format": FORMAT, "sha256": sha256, "config": dict(config), "meta": dict(meta)}
    text = json.dumps(card, indent=2, sort_keys=True) + "\n"
    file = Path(folder) / f"{name}.safetensors"
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        os.replace(partial, file)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise UserError(f"cannot write {file}: {error.strerror}") from None
    write_atomic(file.with_suffix(".json"), text)
    return sha256


def read_weights_card(path: str | Path) -> dict[str, Any]:
    """Read the JSON of a pair of weight files; imports nothing heavy.

    Parameters
    ----------
    path : path-like
        Either file of the pair.

    Returns
    -------
    dict
        ``format``, ``sha256``, ``config`` and ``meta``.

    Raises
    ------
    UserError
        If it is missing, not JSON or not of this format.
    """
    card_file = Path(path).with_suffix(".json")
    try:
        card = json.loads(card_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{card_file}: missing; weights are a .safetensors with a .json beside it"
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{card_file}: not readable ({error}); copy both files again") from None
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        found = card.get("format") if isinstance(card, dict) else type(card).__name__
        raise UserError(
            f"{card_file}: format is {found}, not {FORMAT}; make it with scripts/export_weights.py"
        )
    for key, kind in (("sha256", str), ("config", dict), ("meta", dict)):
        if not isinstance(card.get(key), kind):
            raise UserError(f"{card_file}: '{key}' is missing; copy both files again")
    return card


def read_weights(path: str | Path) -> WeightsFile:
    """Read and verify a pair of weight files.

    Parameters
    ----------
    path : path-like
        Either file of the pair.

    Returns
    -------
    WeightsFile

    Raises
    ------
    UserError
        If a file is missing or damaged, or the two do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    file = Path(path).with_suffix(".safetensors")
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{file}: no such weights; give the path of a .safetensors file") from None
    except OSError as error:
        raise UserError(f"{file}: not readable ({error.strerror}); mend the path") from None
    card = read_weights_card(file)
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != card["sha256"]:
        raise UserError(
            f"{file}: damaged or not the partner of its .json (sha256 {sha256[:12]}, not "
            f"{card['sha256'][:12]}); copy both files again"
        )
    try:
        state = load(data)
    except SafetensorError as error:
        raise UserError(f"{file}: not a safetensors file ({error}); export it again") from None
    return WeightsFile(state, card["config"], card["meta"], sha256)
