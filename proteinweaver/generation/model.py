"""Loading a stage's trained model: weights, network, noise process, device.

Weights are a safetensors file with a JSON beside it (architecture, noise laws, hash); nothing is
unpickled. Without a folder of the user's the shipped weights are taken.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

import proteinweaver
from proteinweaver.diffusion.process import FrameProcess, ProcessConfig
from proteinweaver.errors import UserError
from proteinweaver.generation.sampling import Model
from proteinweaver.io.typed import build
from proteinweaver.io.weights import load_weights
from proteinweaver.nets.denoiser import Denoiser, DenoiserConfig

__all__ = ["LoadedModel", "Stage", "load_model", "pick_device", "shipped_weights"]

Stage = Literal["domain", "assembler"]


@dataclass(frozen=True)
class LoadedModel(Model):
    """A model with its origin.

    Parameters
    ----------
    stage : {"domain", "assembler"}
        What it was trained for.
    sha256 : str
        Hash of the weights file.
    device : str
        Where the network is.
    """

    stage: Stage = "domain"
    sha256: str = ""
    device: str = "cpu"


def shipped_weights() -> Path:
    """Folder of the weights inside the package."""
    return Path(proteinweaver.__file__).resolve().parent / "weights"


def pick_device(device: str) -> str:
    """Resolve ``"auto"`` and refuse a device that is not there.

    Parameters
    ----------
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ...

    Returns
    -------
    str
        A device torch can use now.

    Raises
    ------
    UserError
        If it cannot.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        here = [f"cuda:{k}" for k in range(torch.cuda.device_count())]
        raise UserError(
            f"device '{device}' is not usable here; use one of {', '.join(['auto', 'cpu', *here])}"
        ) from None
    return device


def load_model(
    stage: Stage, weights: str | Path | None = None, device: str = "auto"
) -> LoadedModel:
    """Load the model of a stage.

    Parameters
    ----------
    stage : {"domain", "assembler"}
        Which of the two.
    weights : path-like, optional
        Folder that holds ``<stage>.safetensors`` and ``<stage>.json``; default the shipped ones.
    device : str, optional
        See :func:`pick_device`.

    Returns
    -------
    LoadedModel
        In evaluation mode.

    Raises
    ------
    UserError
        If the files are missing, damaged, or not of this program.

    Examples
    --------
    >>> load_model("domain").stage  # doctest: +SKIP
    'domain'
    """
    place = pick_device(device)
    path = Path(weights) if weights else shipped_weights()
    state, config, sha256 = load_weights(path / f"{stage}.safetensors")
    where = str(path / f"{stage}.json")
    net = Denoiser(build(DenoiserConfig, config.get("denoiser", {}), f"{where}: denoiser"))
    process = FrameProcess(build(ProcessConfig, config.get("process", {}), f"{where}: process"))
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[-1]
        raise UserError(f"{path}: the weights do not fit the network of {where}: {first}") from None
    return LoadedModel(net.eval().to(place), process, stage, sha256, place)
