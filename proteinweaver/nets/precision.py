"""Geometry in full precision, whatever the learned layers are computed in.

With mixed precision (`torch.autocast`) matrix products take 16-bit numbers. Of bfloat16 these have
three digits: enough for features, not for positions of tens of angstrom, nor for rotations.
"""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor

__all__ = ["full_precision"]

_Rest = ParamSpec("_Rest")
_Result = TypeVar("_Result")


def full_precision(
    function: Callable[Concatenate[Tensor, _Rest], _Result],
) -> Callable[Concatenate[Tensor, _Rest], _Result]:
    """Keep mixed precision out of a function whose first argument is a tensor.

    Parameters
    ----------
    function : callable

    Returns
    -------
    callable
        The same without autocasting on the device of its first argument.
    """

    @wraps(function)
    def plain(first: Tensor, *rest: _Rest.args, **named: _Rest.kwargs) -> _Result:
        device = first.device.type
        if not torch.is_autocast_enabled(device):
            return function(first, *rest, **named)
        with torch.autocast(device, enabled=False):
            return function(first, *rest, **named)

    return plain
