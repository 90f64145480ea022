"""Compiled training: the blocks and the geometry around them as generated code.

Dynamic shapes, so a new length costs no second compilation. The geometry functions are looked up
by name in the modules that call them; they are exchanged there for as long as the context lasts.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from proteinweaver.diffusion import objective
from proteinweaver.errors import UserError
from proteinweaver.nets import denoiser
from proteinweaver.nets.denoiser import Denoiser

__all__ = ["compiled"]

_FUNCTIONS = (
    (denoiser, "edge_geometry"),
    (denoiser, "frame_difference"),
    (objective, "local_distance_loss"),
)


@contextmanager
def compiled(net: Denoiser, on: bool = True) -> Iterator[None]:
    """Compile the hot parts of a network and of its loss.

    Parameters
    ----------
    net : Denoiser
        Its blocks stay compiled.
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
    plain = [getattr(module, name) for module, name in _FUNCTIONS]
    for block in net.blocks:
        block.compile(dynamic=True)
    try:
        for (module, name), function in zip(_FUNCTIONS, plain, strict=True):
            setattr(module, name, torch.compile(function, dynamic=True))
        yield
    finally:
        for (module, name), function in zip(_FUNCTIONS, plain, strict=True):
            setattr(module, name, function)
