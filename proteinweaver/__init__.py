"""Divide-and-assemble design of large multi-domain protein backbones.

The commands of the program are functions of typed configs, importable from here:

>>> from proteinweaver import DesignConfig, design          # doctest: +SKIP
>>> run = design(DesignConfig(length=200, domains=2, n=4))  # doctest: +SKIP
>>> run.designs[0].backbone.coord.shape                     # doctest: +SKIP
(200, 4, 3)

``import proteinweaver`` itself loads nothing heavy (PEP 562): a name is looked up where it lives
on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Backbone": "proteinweaver.structure.backbone",
    "UserError": "proteinweaver.errors",
    "read_backbone": "proteinweaver.io.read",
    "load_model": "proteinweaver.generation.model",
    "GenerateConfig": "proteinweaver.generation.config",
    "AssembleConfig": "proteinweaver.generation.config",
    "DesignConfig": "proteinweaver.generation.config",
    "DiversifyConfig": "proteinweaver.generation.config",
    "generate": "proteinweaver.generation.commands",
    "assemble": "proteinweaver.generation.commands",
    "design": "proteinweaver.generation.commands",
    "diversify": "proteinweaver.generation.commands",
    "split": "proteinweaver.generation.split",
}

__all__ = [
    "__version__",
    "Backbone",
    "UserError",
    "read_backbone",
    "load_model",
    "GenerateConfig",
    "AssembleConfig",
    "DesignConfig",
    "DiversifyConfig",
    "generate",
    "assemble",
    "design",
    "diversify",
    "split",
]

if TYPE_CHECKING:
    from proteinweaver.errors import UserError
    from proteinweaver.generation.commands import assemble, design, diversify, generate
    from proteinweaver.generation.config import (
        AssembleConfig,
        DesignConfig,
        DiversifyConfig,
        GenerateConfig,
    )
    from proteinweaver.generation.model import load_model
    from proteinweaver.generation.split import split
    from proteinweaver.io.read import read_backbone
    from proteinweaver.structure.backbone import Backbone


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'proteinweaver' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
