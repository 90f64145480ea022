"""Folding models of the ``transformers`` library: ESMFold and ESMFold2.

Both fold one chain from its sequence alone. Weights come from a folder of the user, or from the
cache of the Hugging Face hub; nothing is downloaded unless that is asked for. ``transformers`` is
imported here alone, and only when a model is wanted.

What a model returns is put into the form of the format: TER and END, four backbone atoms first,
pLDDT from 0 to 100 in the B-factor column (the library writes 0 to 1).

References
----------
Lin et al. 2023, Science 379, 1123 (ESMFold).
"""

import textwrap
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from proteinweaver.errors import UserError, nearest

__all__ = ["FOLDING_MODELS", "FoldingModel", "find_folding_model"]

_INSTALL = "pip install 'proteinweaver[fold]'"
_BACKBONE = {"N": 0, "CA": 1, "C": 2, "O": 3}


@dataclass(frozen=True)
class _Kind:
    """A class of the library, its public weights, and how its configuration is called."""

    cls: str
    hub: str
    config: str
    size: str


_KINDS = {
    "esmfold": _Kind("EsmForProteinFolding", "facebook/esmfold_v1", "esm", "8 GB"),
    "esmfold2": _Kind("EsmFold2Model", "biohub/ESMFold2", "esmfold2", "several GB"),
}
FOLDING_MODELS = tuple(_KINDS)
"""Names of the models."""


@dataclass(frozen=True)
class FoldingModel:
    """A model that was found and is loaded when it is needed.

    Parameters
    ----------
    name : str
        One of `FOLDING_MODELS`.
    weights : str
        Folder, or name on the hub.
    version : str
        Of the library.
    load : callable
        Returns the function that turns a sequence into the text of a PDB file. Raises `UserError`
        if the weights are not those of the model.
    """

    name: str
    weights: str
    version: str
    load: Callable[[], Callable[[str], str]]


def find_folding_model(
    name: str,
    weights: str = "",
    *,
    device: str = "cpu",
    chunk: int | None = None,
    allow_download: bool = False,
) -> FoldingModel:
    """Find a model and its configuration, without its weights.

    Parameters
    ----------
    name : str
        One of `FOLDING_MODELS`.
    weights : str, optional
        Folder, or name on the hub; default: the public weights.
    device : str, optional
        Where torch computes.
    chunk : int, optional
        Rows of the pair representation that are worked on at once: fewer need less memory and
        more time. 0: all. Default: what the weights say.
    allow_download : bool, optional
        Whether the hub may be asked for what is not in the cache.

    Returns
    -------
    FoldingModel

    Raises
    ------
    UserError
        If the library, the model or its configuration is not there.
    """
    if name not in _KINDS:
        raise UserError(f"no folding model '{name}'; {nearest(name, _KINDS)}")
    kind = _KINDS[name]
    try:
        import transformers
    except ImportError as error:
        raise UserError(
            f"folding by {name} needs the package transformers ({error}); {_INSTALL}"
        ) from None
    cls = getattr(transformers, kind.cls, None)
    if cls is None:
        raise UserError(
            f"transformers {transformers.__version__} has no {kind.cls}; pip install -U"
            " transformers, or choose another model"
        )
    source = _source(weights, kind)
    where = {"local_files_only": not allow_download}
    transformers.utils.logging.set_verbosity_error()
    if not allow_download:
        transformers.utils.logging.disable_progress_bar()
    try:
        config = transformers.AutoConfig.from_pretrained(source, **where)
    except (OSError, ValueError, KeyError) as error:
        raise _absent(source, kind, name, allow_download, error) from None
    if config.model_type != kind.config or not getattr(config, "is_folding_model", True):
        raise UserError(
            f"{source}: weights of '{config.model_type}', which is not {name};"
            f" give those of {kind.hub}"
        )
    if chunk is not None:
        trunk = config.esmfold_config.trunk if name == "esmfold" else config
        trunk.chunk_size = chunk or None

    def load() -> Callable[[str], str]:
        try:
            model, told = cls.from_pretrained(
                source, config=config, output_loading_info=True, **where
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise _absent(source, kind, name, allow_download, error) from None
        except Exception as error:  # a broken file: safetensors has an error of its own
            if type(error).__module__.split(".")[0] not in {"safetensors", "safetensors_rust"}:
                raise
            raise UserError(f"{source}: a broken file of weights ({error}); get it anew") from None
        given = {key for key, _ in model.named_parameters()} & set(told["missing_keys"])
        # the head for contacts of the language model has no part in folding
        missing = sorted(key for key in given if ".contact_head." not in key)
        if missing:
            raise UserError(
                f"{source}: {len(missing)} parameters are missing ({missing[0]}, ...);"
                f" give the whole weights of {kind.hub}"
            )
        model = model.eval().requires_grad_(False)
        if name == "esmfold" or torch.device(device).type == "cpu":
            model = model.float()
        if name == "esmfold" and torch.device(device).type == "cuda":
            model.esm = model.esm.half()  # as its authors run it: half of the memory
        model = model.to(device)
        fold = _esmfold if name == "esmfold" else _esmfold2
        title = f"Predicted by {name}, weights {source}, transformers {transformers.__version__}."
        return lambda sequence: _as_pdb(fold(model, sequence), title)

    return FoldingModel(name, source, transformers.__version__, load)


def _source(weights: str, kind: _Kind) -> str:
    """Folder or hub name of the weights."""
    if not weights:
        return kind.hub
    place = Path(weights).expanduser()
    if place.is_dir():
        if not (place / "config.json").is_file():
            raise UserError(f"{weights}: no config.json in it; give the folder of {kind.hub}")
        return str(place.resolve())
    if place.exists():
        raise UserError(f"{weights}: a file; give the folder with config.json and the weights")
    if weights.count("/") != 1 or weights.startswith((".", "/", "~")):
        raise UserError(f"{weights}: no such folder of weights; give that of {kind.hub}")
    return weights


def _absent(
    source: str, kind: _Kind, name: str, allow_download: bool, error: Exception
) -> UserError:
    """Tell why weights cannot be read."""
    why = (str(error).splitlines() or [type(error).__name__])[0][:200]
    if Path(source).is_dir():
        return UserError(f"{source}: not weights of {name} ({why}); give those of {kind.hub}")
    if allow_download:
        return UserError(
            f"{source}: cannot be downloaded ({why}); check the network and the name, or give a"
            " folder by --fold-weights"
        )
    return UserError(
        f"weights {source} are neither a folder nor in the hub's cache (HF_HOME); give their"
        f" folder by --fold-weights, or --allow-download ({kind.size})"
    )


def _esmfold(model: Any, sequence: str) -> str:
    output = model.infer(sequence)
    output["plddt"] = output["plddt"] * 100
    text: str = model.output_to_pdb(output)[0]
    return text


def _esmfold2(model: Any, sequence: str) -> str:
    """Fold by diffusion; its luck depends on the sequence alone."""
    cuda = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(zlib.crc32(sequence.encode()))
        text: str = model.infer_protein_as_pdb(sequence)
    return text


def _as_pdb(text: str, title: str) -> str:
    """Order the atoms of every residue, bring pLDDT to 0..100, say what the file is."""
    atoms = [line.rstrip() for line in text.splitlines() if line.startswith("ATOM")]
    top = max(float(line[60:66]) for line in atoms)
    scale = 100.0 if top <= 1.0 else 1.0
    atoms.sort(key=lambda line: (int(line[22:26]), _BACKBONE.get(line[12:16].strip(), 4)))
    lines = [
        f"REMARK   {number} {piece}"
        for number, remark in (
            (3, "The B-factor column holds pLDDT, from 0 to 100."),
            (6, title),
        )
        for piece in textwrap.wrap(remark, 69)
    ]
    for serial, line in enumerate(atoms, 1):
        value = float(line[60:66]) * scale
        lines.append(f"ATOM  {serial % 100_000:5d}{line[11:60]}{value:6.2f}{line[66:]}")
    lines += [f"TER   {(len(atoms) + 1) % 100_000:5d}      {atoms[-1][17:26]}", "END"]
    return "".join(f"{line:<80}\n" for line in lines)
