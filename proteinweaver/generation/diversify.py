"""Variations of a chain by partial diffusion."""

from typing import Any

from proteinweaver.generation.config import DiversifyConfig
from proteinweaver.generation.run import OnEvent, RunResult, run_designs
from proteinweaver.io.typed import build

__all__ = ["diversify"]


def diversify(
    config: DiversifyConfig | None = None, *, on_event: OnEvent | None = None, **fields: Any
) -> RunResult:
    """Run ``proteinweaver diversify``.

    Parameters
    ----------
    config : DiversifyConfig, optional
        The request; or give its fields as keywords.
    on_event : callable, optional
        Receives a :class:`~proteinweaver.generation.run.RunEvent` whenever something happened.
    **fields
        Fields of `DiversifyConfig`, where no config is given.

    Returns
    -------
    RunResult
        The designs, best first; written as well if the request names a folder ``out``.

    Raises
    ------
    UserError
        If the request cannot be met; then nothing has been written.
    TypeError
        If both a config and fields are given.

    Examples
    --------
    >>> diversify(input="runs/a/designs/x_s0_0000.pdb", partial_t=0.3, n=8)  # doctest: +SKIP
    """
    if config is not None and fields:
        raise TypeError("give a config or its fields, not both")
    return run_designs(config or build(DiversifyConfig, fields), on_event)
