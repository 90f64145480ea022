"""Reading training checkpoints: ours by Lightning, and the plain ones of an early loop without it.

A plain checkpoint holds ``net, ema, optimizer, step, residues, minutes, config, process``.
Nothing is unpickled
(``torch.load(weights_only=True)``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning
import torch
from torch import Tensor

from proteinweaver.diffusion.process import ProcessConfig
from proteinweaver.errors import UserError
from proteinweaver.io.typed import build, plain
from proteinweaver.io.weights import read_weights
from proteinweaver.nets.denoiser import DenoiserConfig

__all__ = ["CARD", "Checkpoint", "initial_state", "lightning_checkpoint", "read_checkpoint"]

#: Key of our entry in a Lightning checkpoint.
CARD = "proteinweaver"
_PLAIN = {"net", "ema", "optimizer", "step", "config", "process"}


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint says of the network.

    Parameters
    ----------
    path : Path
    state : dict of str to Tensor
        Averaged parameters.
    model : DenoiserConfig
    process : ProcessConfig
    step, residues : int
        Steps done, residues seen.
    minutes : float
        Training time.
    card : dict
        The rest: ``stage``, ``recipe``, ``seed``, ``command``, ``data`` (hashes), where known.
    raw : dict
        The file as loaded.
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

    @property
    def is_plain(self) -> bool:
        """Whether Lightning did not write it."""
        return CARD not in self.raw


def _listed(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in config.items()
    }


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a training checkpoint onto the CPU.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Checkpoint

    Raises
    ------
    UserError
        If it is missing, damaged, or not a checkpoint of this program.
    """
    file = Path(path)
    try:
        raw = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{file}: no such checkpoint; mend the path") from None
    except Exception as error:  # a damaged archive raises almost anything
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{file}: not a readable checkpoint ({why}); take an earlier one"
        ) from None
    if isinstance(raw, dict) and CARD in raw:
        card = raw[CARD]
        state = {k.removeprefix("net."): v for k, v in raw["state_dict"].items()}
    elif isinstance(raw, dict) and raw.keys() >= _PLAIN:
        card = {key: raw.get(key, 0) for key in ("step", "residues", "minutes")}
        card |= {"model": raw["config"], "process": raw["process"]}
        state = dict(raw["ema"])
    else:
        raise UserError(f"{file}: not a checkpoint of `proteinweaver train`; mend the path")
    return Checkpoint(
        path=file,
        state=state,
        model=build(DenoiserConfig, _listed(card["model"]), f"{file}: model"),
        process=build(ProcessConfig, card["process"], f"{file}: process"),
        step=int(card["step"]),
        residues=int(card["residues"]),
        minutes=float(card["minutes"]),
        card=card,
        raw=raw,
    )


def initial_state(path: str | Path) -> tuple[dict[str, Tensor], DenoiserConfig]:
    """Weights to start from, out of a checkpoint (its average) or a .safetensors file.

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
    if file.suffix != ".safetensors":
        found = read_checkpoint(file)
        return found.state, found.model
    weights = read_weights(file)
    where = f"{file.with_suffix('.json')}: denoiser"
    return weights.state, build(DenoiserConfig, weights.config.get("denoiser", {}), where)


def lightning_checkpoint(found: Checkpoint) -> dict[str, Any]:
    """Bring a plain checkpoint into Lightning's form, so that one way of resuming serves both.

    Parameters
    ----------
    found : Checkpoint
        A plain one.

    Returns
    -------
    dict
        To be saved and given to ``Trainer.fit(ckpt_path=...)``. Lightning counts its steps from
        0; ours go on.
    """

    def prefixed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {f"net.{name}": value for name, value in state.items()}

    return {
        "pytorch-lightning_version": pytorch_lightning.__version__,
        "epoch": 0,
        "global_step": 0,
        "state_dict": prefixed(found.raw["ema"]),
        "current_model_state": prefixed(found.raw["net"]),
        "averaging_state": {"n_averaged": torch.tensor(found.step)},
        "optimizer_states": [found.raw["optimizer"]],
        "lr_schedulers": [],
        "callbacks": {},
        CARD: {
            "first_step": found.step,
            "step": found.step,
            "residues": found.residues,
            "minutes": found.minutes,
            "model": plain(found.model),
            "process": plain(found.process),
        },
    }
