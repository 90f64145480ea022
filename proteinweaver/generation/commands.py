"""The four commands as Python functions.

All take a config or its fields as keywords, and ``on_event``, which receives a
:class:`~proteinweaver.generation.run.RunEvent` whenever something happened. All return a
`RunResult`: the designs, best first; they are written as well if the request names a folder
``out``. All raise `UserError` if the request cannot be met (then nothing has been written), and
TypeError if both a config and fields are given.
"""

from typing import Any, TypeVar

from proteinweaver.generation.config import (
    AssembleConfig,
    DesignConfig,
    DiversifyConfig,
    GenerateConfig,
)
from proteinweaver.generation.run import OnEvent, RunResult, run_designs
from proteinweaver.io.typed import build

__all__ = ["assemble", "design", "diversify", "generate"]

_Config = TypeVar("_Config", AssembleConfig, DesignConfig, DiversifyConfig, GenerateConfig)


def _run(
    kind: type[_Config], config: _Config | None, fields: dict[str, Any], on_event: OnEvent | None
) -> RunResult:
    if config is not None and fields:
        raise TypeError("give a config or its fields, not both")
    return run_designs(config or build(kind, fields), on_event)


def generate(
    config: GenerateConfig | None = None, *, on_event: OnEvent | None = None, **fields: Any
) -> RunResult:
    """Stage 1 alone: single domains from the domain generator.

    Parameters
    ----------
    config : GenerateConfig, optional
        The request; or give its fields as keywords.
    on_event : callable, optional
        See the module.
    **fields
        Fields of `GenerateConfig`, where no config is given.

    Returns
    -------
    RunResult

    Raises
    ------
    UserError, TypeError
        See the module.

    Examples
    --------
    >>> generate(length=80, n=4)  # doctest: +SKIP
    """
    return _run(GenerateConfig, config, fields, on_event)


def assemble(
    config: AssembleConfig | None = None, *, on_event: OnEvent | None = None, **fields: Any
) -> RunResult:
    """Domains, given or to generate, into one chain whose poses and linkers are found.

    Parameters
    ----------
    config : AssembleConfig, optional
        The request; or give its fields as keywords.
    on_event : callable, optional
        See the module.
    **fields
        Fields of `AssembleConfig`, where no config is given.

    Returns
    -------
    RunResult

    Raises
    ------
    UserError, TypeError
        See the module.

    Examples
    --------
    >>> assemble(domain=("a.pdb:A10-120", "b.cif:B"), linker=("10-20",), n=4)  # doctest: +SKIP
    """
    return _run(AssembleConfig, config, fields, on_event)


def design(
    config: DesignConfig | None = None, *, on_event: OnEvent | None = None, **fields: Any
) -> RunResult:
    """Both stages: plan, generate the domains, assemble them, check and rank.

    Parameters
    ----------
    config : DesignConfig, optional
        The request; or give its fields as keywords.
    on_event : callable, optional
        See the module.
    **fields
        Fields of `DesignConfig`, where no config is given.

    Returns
    -------
    RunResult

    Raises
    ------
    UserError, TypeError
        See the module.

    Examples
    --------
    >>> design(length=300, domains=3, n=8)  # doctest: +SKIP
    """
    return _run(DesignConfig, config, fields, on_event)


def diversify(
    config: DiversifyConfig | None = None, *, on_event: OnEvent | None = None, **fields: Any
) -> RunResult:
    """Variations of a chain by partial diffusion.

    Parameters
    ----------
    config : DiversifyConfig, optional
        The request; or give its fields as keywords.
    on_event : callable, optional
        See the module.
    **fields
        Fields of `DiversifyConfig`, where no config is given.

    Returns
    -------
    RunResult

    Raises
    ------
    UserError, TypeError
        See the module.

    Examples
    --------
    >>> diversify(input="runs/a/designs/x_s0_0000.pdb", partial_t=0.3, n=8)  # doctest: +SKIP
    """
    return _run(DiversifyConfig, config, fields, on_event)
