"""Loading a stage's trained model: weights, network, noise process, device.

Weights are a safetensors file with a JSON beside it (architecture, noise laws, hash); nothing is
unpickled. Without a folder of the user's the shipped weights are taken.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from proteinweaver.diffusion.process import FrameProcess, ProcessConfig
from proteinweaver.errors import UserError
from proteinweaver.generation.sampling import Model
from proteinweaver.generation.settings import AssemblerName
from proteinweaver.io.installation import weights_folder
from proteinweaver.io.typed import build
from proteinweaver.io.weights import assembler_file, read_weights
from proteinweaver.nets.denoiser import Denoiser, DenoiserConfig

__all__ = ["LoadedModel", "Stage", "has_model", "load_model", "pick_device"]

Stage = Literal["layout", "domain", "assembler"]


@dataclass(frozen=True)
class LoadedModel(Model):
    """A model with its origin.

    Parameters
    ----------
    stage : {"layout", "domain", "assembler"}
        What it was trained for.
    sha256 : str
        Hash of the weights file.
    device : str
        Where the network is.
    """

    stage: Stage = "domain"
    sha256: str = ""
    device: str = "cpu"


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
        kind = torch.device(device).type
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        kind = ""
    if kind not in ("cpu", "cuda"):  # others lack the double precision of IGSO(3)
        here = [f"cuda:{k}" for k in range(torch.cuda.device_count())]
        raise UserError(
            f"device '{device}' is not usable here; use one of {', '.join(['auto', 'cpu', *here])}"
        )
    return "cpu" if kind == "cpu" else device


def has_model(stage: Stage, weights: str | Path | None = None) -> bool:
    """Whether a folder of weights (default: the shipped ones) has those of a stage."""
    folder = Path(weights) if weights else weights_folder()
    return (folder / f"{stage}.safetensors").is_file()


def load_model(
    stage: Stage | AssemblerName | str | Path,
    weights: str | Path | None = None,
    device: str = "auto",
) -> LoadedModel:
    """Load the model of a stage, or of a weights file.

    Parameters
    ----------
    stage : {"layout", "domain", "assembler", "assembler-aligned", "auto"} or path-like
        Which of them ("auto": the aligned assembler where there is one, else the assembler); or
        the path of a ``.safetensors`` file with its ``.json`` beside it.
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
    names = tuple(dict.fromkeys((*get_args(Stage), *get_args(AssemblerName))))
    folder = Path(weights) if weights else weights_folder()
    if stage == "auto":
        stage = assembler_file(folder).stem
    named = stage in names
    file = folder / f"{stage}.safetensors" if named else Path(stage)
    if not named and not file.suffix and not file.exists():
        known = " or ".join(repr(name) for name in names)
        raise UserError(f"no model '{stage}'; give {known}, or the path of a .safetensors file")
    if named and stage not in get_args(Stage) and not file.is_file():
        raise UserError(f"{folder} has no {file.name}; take --model assembler, or other --weights")
    found = read_weights(file)
    where = file.with_suffix(".json")
    net = Denoiser(build(DenoiserConfig, found.config.get("denoiser", {}), f"{where}: denoiser"))
    laws = build(ProcessConfig, found.config.get("process", {}), f"{where}: process")
    try:
        net.load_state_dict(found.state)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise UserError(f"{file}: does not fit the network of its .json: {first}") from None
    purpose: Any = str(stage).partition("-")[0] if named else found.meta.get("stage", "domain")
    return LoadedModel(net.eval().to(place), FrameProcess(laws), purpose, found.sha256, place)
