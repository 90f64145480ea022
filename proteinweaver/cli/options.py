"""Flags that several commands share, and the split of positional words.

Every flag is None unless given: defaults live in the config dataclasses.
"""

from collections.abc import Sequence
from typing import Annotated, Optional

import typer

from proteinweaver.errors import UserError
from proteinweaver.generation.config import RunConfig, SamplerConfig

_RUN, _SAMPLER = RunConfig(), SamplerConfig()

Words = Annotated[
    Optional[list[str]],  # noqa: UP045 - Typer reads it
    typer.Argument(metavar="[KEY=VALUE]...", help="Any other config key.", show_default=False),
]
Out = Annotated[str | None, typer.Option("--out", "-o", metavar="DIR", help="Run folder.")]
Count = Annotated[
    int | None, typer.Option("-n", "--num-designs", help="Number of designs.", show_default="1")
]
Name = Annotated[
    str | None, typer.Option("--name", help="Job name in file names; default: from the request.")
]
Seed = Annotated[
    int | None, typer.Option("--seed", help="Key of all noise.", show_default=str(_RUN.seed))
]
BatchSize = Annotated[
    str | None,
    typer.Option("--batch-size", metavar="N|auto", help="Designs at once.", show_default="auto"),
]
Device = Annotated[
    str | None, typer.Option("--device", help="auto, cpu, cuda, cuda:1.", show_default=_RUN.device)
]
Weights = Annotated[
    str | None,
    typer.Option("--weights", metavar="DIR", help="Folder of weights.", show_default="shipped"),
]
NumSteps = Annotated[
    int | None, typer.Option("--num-steps", help="Steps.", show_default=str(_SAMPLER.num_steps))
]
Sampler = Annotated[
    str | None, typer.Option("--sampler", help="Stepper.", show_default=_SAMPLER.sampler)
]
Grid = Annotated[str | None, typer.Option("--grid", help="Grid.", show_default=_SAMPLER.grid)]
Churn = Annotated[
    float | None,
    typer.Option("--churn", help="0: ODE; 1: SDE (stochastic samplers)."),
]
NoiseScale = Annotated[
    float | None,
    typer.Option("--noise-scale", help="Scale of fresh noise (stochastic samplers)."),
]
StepScale = Annotated[
    float | None,
    typer.Option(
        "--step-scale", help="Low-temperature factor.", show_default=str(_SAMPLER.step_scale)
    ),
]
Format = Annotated[
    str | None, typer.Option("--format", metavar="pdb|cif", help="File format of designs.")
]
Linker = Annotated[
    Optional[list[str]],  # noqa: UP045 - Typer reads it
    typer.Option("--linker", metavar="N|N-M", help="Linker length; once, or once a junction."),
]
Order = Annotated[
    str | None,
    typer.Option("--order", help="fixed, any, or places like 2,1,3.", show_default="fixed"),
]
Traj = Annotated[bool, typer.Option("--traj", help="Write trajectories, noise first.")]
Gly = Annotated[bool, typer.Option("--gly", help="Name all residues GLY.")]
ShardOption = Annotated[
    str | None, typer.Option("--shard", metavar="i/n", help="Take designs i-1, i-1+n, ...")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Start afresh in the folder.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan, write nothing.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only errors and the last line.")]

#: Sampler flag -> field of `SamplerConfig`.
_SAMPLER_FIELDS = ("num_steps", "sampler", "grid", "churn", "noise_scale", "step_scale")


def sampler_flags(stages: Sequence[str], *values: object) -> dict[str, object]:
    """Give the values of the sampler flags to every stage of a command.

    Parameters
    ----------
    stages : sequence of str
        Config keys such as ``"domain_sampler"``.
    *values : object
        ``--num-steps --sampler --grid --churn --noise-scale --step-scale``, None if not given.

    Returns
    -------
    dict
        Values by dotted key.
    """
    pairs = list(zip(_SAMPLER_FIELDS, values, strict=True))
    return {f"{stage}.{field}": value for stage in stages for field, value in pairs}


def batch_size(text: str | None) -> int | None:
    """Read ``--batch-size``: a count, or ``auto`` (0).

    Raises
    ------
    UserError
        If it is neither.
    """
    if text is None or text == "auto":
        return None if text is None else 0
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"--batch-size '{text}' is neither a count from 1 nor auto")
    return int(text)


def split_words(words: Sequence[str] | None, what: str = "") -> tuple[str, list[str]]:
    """Separate one positional word from trailing ``key=value`` overrides.

    Parameters
    ----------
    words : sequence of str or None
        What stood on the line besides flags.
    what : str, optional
        What the positional word is, for messages; empty if the command takes none.

    Returns
    -------
    word : str
        Empty if absent.
    overrides : list of str

    Raises
    ------
    UserError
        For a second or an unexpected positional word.
    """
    overrides = [word for word in words or [] if "=" in word or word.startswith(("~", "+"))]
    rest = [word for word in words or [] if word not in overrides]
    if rest and not what:
        raise UserError(f"'{rest[0]}' is neither a flag nor key=value; see --help")
    if len(rest) > 1:
        raise UserError(f"'{rest[1]}' is one word too many; give one {what}, then key=value")
    return (rest[0] if rest else ""), overrides
