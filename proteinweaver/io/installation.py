"""What is installed here: versions, devices, shipped weights and their hashes."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import proteinweaver
from proteinweaver.errors import UserError
from proteinweaver.io.weights import read_weights, read_weights_card

__all__ = ["PACKAGES", "devices", "installation", "versions", "weights_folder"]

#: Packages that decide what a run computes.
PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "e3nn",
    "biotite",
    "pytorch-lightning",
    "hydra-core",
    "safetensors",
)


def weights_folder() -> Path:
    """Folder of the weights inside the package."""
    return Path(proteinweaver.__file__).resolve().parent / "weights"


def versions() -> dict[str, str]:
    """Versions of this program, of Python and of `PACKAGES` (``"absent"`` where not installed)."""
    found = {"proteinweaver": proteinweaver.__version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def devices() -> list[dict[str, Any]]:
    """Devices that torch can compute on here.

    Returns
    -------
    list of dict
        ``name`` as ``--device`` takes it, ``kind``, and ``memory_gib`` of accelerators or
        ``threads`` of the CPU.
    """
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found: list[dict[str, Any]] = [
        {
            "name": "cpu",
            "kind": platform.processor() or platform.machine(),
            "cores": cores,
            "threads": torch.get_num_threads(),
        }
    ]
    for number in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(number)
        memory = round(card.total_memory / 2**30, 1)
        found.append({"name": f"cuda:{number}", "kind": card.name, "memory_gib": memory})
    return found


def installation(folder: str | Path | None = None) -> dict[str, Any]:
    """Describe this installation.

    Parameters
    ----------
    folder : path-like, optional
        Weights to list; default the shipped ones.

    Returns
    -------
    dict
        ``versions``, ``devices`` and ``weights``: by name, ``sha256``, ``size_mib``, ``status``
        (``"ok"`` or what is wrong) and the recipe's ``meta``.
    """
    place = Path(folder) if folder else weights_folder()
    weights: dict[str, Any] = {}
    for file in sorted(place.glob("*.safetensors")):
        entry: dict[str, Any] = {"size_mib": round(file.stat().st_size / 2**20, 2)}
        try:
            card = read_weights_card(file)
            entry |= {"sha256": card["sha256"], "meta": card["meta"], "status": "ok"}
            read_weights(file)
        except UserError as error:
            entry["status"] = str(error)
        weights[file.stem] = entry
    return {"versions": versions(), "devices": devices(), "weights": weights}
