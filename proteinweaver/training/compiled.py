"""Compiled training: layers, and the functions around them, as generated code.

Functions are looked up by name in the modules that call them; they are exchanged there for as
long as the context lasts.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType

import torch
from torch import nn

from proteinweaver.diffusion import objective
from proteinweaver.errors import UserError
from proteinweaver.nets import denoiser
from proteinweaver.nets.denoiser import Denoiser

__all__ = ["compiled", "compiled_denoiser"]

_FUNCTIONS = (
    (denoiser, "edge_geometry"),
    (denoiser, "frame_differences"),
    (objective, "local_distance_loss"),
)


@contextmanager
def compiled(
    layers: Iterable[nn.Module],
    functions: Sequence[tuple[ModuleType, str]],
    *,
    dynamic: bool,
    on: bool = True,
) -> Iterator[None]:
    """Compile the hot parts of a network and of its loss.

    Parameters
    ----------
    layers : iterable of Module
        They stay compiled.
    functions : sequence of (module, name)
        Exchanged for compiled ones within the context.
    dynamic : bool
        Whether a new shape must cost no second compilation.
    on : bool
        False: do nothing.

    Raises
    ------
    UserError
        If there is no compiler.
    """
    if not on:
        yield
        return
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++")):
        raise UserError(
            "trainer.compile needs a C++ compiler and finds none; install g++, or leave it out"
        )
    plain = [getattr(module, name) for module, name in functions]
    for layer in layers:
        layer.compile(dynamic=dynamic)
    try:
        for (module, name), function in zip(functions, plain, strict=True):
            setattr(module, name, torch.compile(function, dynamic=dynamic))
        yield
    finally:
        for (module, name), function in zip(functions, plain, strict=True):
            setattr(module, name, function)


def compiled_denoiser(net: Denoiser, on: bool) -> AbstractContextManager[None]:
    """Compile the blocks, their geometry and the local loss, for chains of any length."""
    return compiled(net.blocks, _FUNCTIONS, dynamic=True, on=on)
