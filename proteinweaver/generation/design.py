"""Both stages: plan, generate the domains, assemble them, check and rank."""

from typing import Any

from proteinweaver.generation.config import DesignConfig
from proteinweaver.generation.run import OnEvent, RunResult, run_designs
from proteinweaver.io.typed import build

__all__ = ["design"]


def design(
    config: DesignConfig | None = None, *, on_event: OnEvent | None = None, **fields: Any
) -> RunResult:
    """Run ``proteinweaver design``.

    Parameters
    ----------
    config : DesignConfig, optional
        The request; or give its fields as keywords.
    on_event : callable, optional
        Receives a :class:`~proteinweaver.generation.run.RunEvent` whenever something happened.
    **fields
        Fields of `DesignConfig`, where no config is given.

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
    >>> design(length=300, domains=3, n=8)  # doctest: +SKIP
    """
    if config is not None and fields:
        raise TypeError("give a config or its fields, not both")
    return run_designs(config or build(DesignConfig, fields), on_event)
