"""Stage 1 alone: single domains from the domain generator."""

from typing import Any

from proteinweaver.generation.config import GenerateConfig
from proteinweaver.generation.run import OnEvent, RunResult, run_designs
from proteinweaver.io.typed import build

__all__ = ["generate"]


def generate(
    config: GenerateConfig | None = None, *, on_event: OnEvent | None = None, **fields: Any
) -> RunResult:
    """Run ``proteinweaver generate``.

    Parameters
    ----------
    config : GenerateConfig, optional
        The request; or give its fields as keywords.
    on_event : callable, optional
        Receives a :class:`~proteinweaver.generation.run.RunEvent` whenever something happened.
    **fields
        Fields of `GenerateConfig`, where no config is given.

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
    >>> generate(length=80, n=4)  # doctest: +SKIP
    """
    if config is not None and fields:
        raise TypeError("give a config or its fields, not both")
    return run_designs(config or build(GenerateConfig, fields), on_event)
