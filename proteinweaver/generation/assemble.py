"""Stage 2 alone: given domains into one chain whose poses and linkers the assembler finds."""

from typing import Any

from proteinweaver.generation.config import AssembleConfig
from proteinweaver.generation.run import OnEvent, RunResult, run_designs
from proteinweaver.io.typed import build

__all__ = ["assemble"]


def assemble(
    config: AssembleConfig | None = None, *, on_event: OnEvent | None = None, **fields: Any
) -> RunResult:
    """Run ``proteinweaver assemble``.

    Parameters
    ----------
    config : AssembleConfig, optional
        The request; or give its fields as keywords.
    on_event : callable, optional
        Receives a :class:`~proteinweaver.generation.run.RunEvent` whenever something happened.
    **fields
        Fields of `AssembleConfig`, where no config is given.

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
    >>> assemble(domain=("a.pdb:A10-120", "b.cif:B"), linker=("10-20",), n=4)  # doctest: +SKIP
    """
    if config is not None and fields:
        raise TypeError("give a config or its fields, not both")
    return run_designs(config or build(AssembleConfig, fields), on_event)
