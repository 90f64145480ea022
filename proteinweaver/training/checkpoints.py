"""Reading training checkpoints: ``last.ckpt``, or the shards of one that travelled.

Nothing is unpickled (``torch.load(weights_only=True)``).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from proteinweaver.diffusion.process import ProcessConfig
from proteinweaver.errors import UserError
from proteinweaver.io.typed import build
from proteinweaver.io.weights import read_weights
from proteinweaver.nets.adapters import merged_state
from proteinweaver.nets.denoiser import DenoiserConfig
from proteinweaver.training.shards import are_shards, read_shards

__all__ = ["CARD", "Checkpoint", "initial_state", "read_checkpoint"]

#: Key of our entry in a Lightning checkpoint.
CARD = "proteinweaver"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint says of the network.

    Parameters
    ----------
    path : Path
    state : dict of str to Tensor
        Averaged parameters, low-rank adapters merged into them.
    model : DenoiserConfig
    process : ProcessConfig
    step, residues : int
        Steps done, residues seen.
    minutes : float
        Training time.
    card : dict
        The rest: ``stage``, ``recipe``, ``seed``, ``command``, ``data`` (hashes), where known.
    raw : dict
        As Lightning takes it.
    """

    path: Path
    state: dict[str, Tensor]
    model: DenoiserConfig
    process: ProcessConfig
    step: int
    residues: int
    minutes: float
    card: dict[str, Any]
    raw: dict[str, Any]


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a training checkpoint onto the CPU.

    Parameters
    ----------
    path : path-like
        ``last.ckpt``; a shard, their folder, or the folder of a run that has some.

    Returns
    -------
    Checkpoint

    Raises
    ------
    UserError
        If it is missing, damaged, or not a checkpoint of this program.
    """
    file = Path(path)
    raw = read_shards(file) if are_shards(file) else _loaded(file)
    if not isinstance(raw, dict) or CARD not in raw:
        raise UserError(f"{file}: not a checkpoint of `proteinweaver train`; mend the path")
    card = raw[CARD]
    state = merged_state({k.removeprefix("net."): v for k, v in raw["state_dict"].items()})
    return Checkpoint(
        path=file,
        state=state,
        model=build(DenoiserConfig, card["model"], f"{file}: model"),
        process=build(ProcessConfig, card["process"], f"{file}: process"),
        step=int(card["step"]),
        residues=int(card["residues"]),
        minutes=float(card["minutes"]),
        card=card,
        raw=raw,
    )


def _loaded(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{file}: no such checkpoint; mend the path") from None
    except Exception as error:  # a damaged archive raises almost anything
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{file}: not a readable checkpoint ({why}); take an earlier one"
        ) from None


def initial_state(path: str | Path) -> tuple[dict[str, Tensor], DenoiserConfig]:
    """Weights to start from, out of a checkpoint (its average) or exported weights.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    state : dict of str to Tensor
    model : DenoiserConfig

    Raises
    ------
    UserError
        If there are none.
    """
    file = Path(path)
    if file.suffix != ".safetensors" or are_shards(file):
        found = read_checkpoint(file)
        return found.state, found.model
    weights = read_weights(file)
    where = f"{file.with_suffix('.json')}: denoiser"
    return weights.state, build(DenoiserConfig, weights.config.get("denoiser", {}), where)
