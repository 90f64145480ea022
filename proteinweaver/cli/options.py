"""Flags that several commands share, and the split of positional words.

Every flag is None unless given: defaults live in the config dataclasses.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from proteinweaver.errors import UserError
from proteinweaver.generation.settings import RunConfig, SamplerConfig

Words = Annotated[
    list[str] | None,
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
    int | None, typer.Option("--seed", help="Key of all noise.", show_default=str(RunConfig.seed))
]
BatchSize = Annotated[
    str | None,
    typer.Option(
        "--batch-size", metavar="N|auto", help="Designs at once on a GPU.", show_default="auto"
    ),
]
Device = Annotated[
    str | None,
    typer.Option("--device", help="auto, cpu, cuda, cuda:1.", show_default=RunConfig.device),
]
Weights = Annotated[
    str | None,
    typer.Option("--weights", metavar="DIR", help="Folder of weights.", show_default="shipped"),
]
AssemblerModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="auto|assembler|assembler-aligned",
        help="Weights of the assembler; auto: the aligned ones where there are any.",
        show_default="auto",
    ),
]
Poses = Annotated[
    str | None,
    typer.Option(
        "--poses",
        metavar="found|noise",
        help="Begin given domains at poses that linkers and interfaces make likely, or at noise.",
        show_default="found",
    ),
]
NumSteps = Annotated[
    int | None,
    typer.Option("--num-steps", help="Steps of every stage.", show_default="by stage"),
]
Sampler = Annotated[
    str | None, typer.Option("--sampler", help="Stepper.", show_default=SamplerConfig.sampler)
]
Grid = Annotated[str | None, typer.Option("--grid", help="Grid.", show_default=SamplerConfig.grid)]
Restarts = Annotated[
    int | None,
    typer.Option(
        "--restarts",
        metavar="N",
        help="Times that generated domains are noised again half way: slower, better sheets.",
        show_default=str(SamplerConfig.restarts),
    ),
]
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
    typer.Option("--step-scale", help="Low-temperature factor.", show_default="by stage"),
]
Format = Annotated[
    str | None, typer.Option("--format", metavar="pdb|cif", help="File format of designs.")
]
Linker = Annotated[
    list[str] | None,
    typer.Option("--linker", metavar="N|N-M[:SS]|SEQUENCE", help="Linker; once, or per junction."),
]
Order = Annotated[
    str | None,
    typer.Option("--order", help="fixed, free, all, or places like 2,1,3.", show_default="fixed"),
]
Traj = Annotated[bool, typer.Option("--traj", help="Write trajectories, noise first.")]
Gly = Annotated[bool, typer.Option("--gly", help="Name all residues GLY.")]
ShardOption = Annotated[
    str | None, typer.Option("--shard", metavar="i/n", help="Take designs i-1, i-1+n, ...")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Start afresh in the folder.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan, write nothing.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only errors and the last line.")]
FoldWeights = Annotated[
    str,
    typer.Option(
        "--fold-weights",
        metavar="DIR",
        help="Weights of the folding model: folder, or name on the hub.",
        show_default="public ones, from the hub's cache",
    ),
]
AllowDownload = Annotated[
    bool, typer.Option("--allow-download", help="Fetch weights that are not in the hub's cache.")
]
Chunk = Annotated[
    int | None,
    typer.Option(
        "--chunk",
        metavar="N",
        min=0,
        help="Fold in pieces of N rows: less memory, more time; 0: whole.",
        show_default="by the weights",
    ),
]

_SAMPLER_FIELDS = ("num_steps", "sampler", "grid", "churn", "noise_scale", "step_scale")
_RUN_FIELDS = ("out", "n", "name", "seed", "device", "weights", "model", "format", "shard")
_SWITCHES = ("traj", "gly", "overwrite")


def tell_unfolded(failed: Mapping[str, str]) -> None:
    """Write one line to standard error for every sequence that was not folded, ten at most."""
    for name, why in list(failed.items())[:10]:
        typer.echo(f"{name} {why}", err=True)
    if len(failed) > 10:
        typer.echo(f"and {len(failed) - 10} more sequences that were not folded", err=True)


def run_flags(given: Mapping[str, Any]) -> dict[str, Any]:
    """Collect the flags all generating commands share.

    Parameters
    ----------
    given : mapping
        The command's parameters by name.

    Returns
    -------
    dict
        Values by config key, None for those not given.
    """
    flags = {field: given.get(field) for field in _RUN_FIELDS}
    flags |= {switch: True for switch in _SWITCHES if given.get(switch)}
    return {**flags, "batch_size": batch_size(given["batch_size"])}


def sampler_flags(stages: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Give the sampler flags to every stage of a command.

    Parameters
    ----------
    stages : sequence of str
        Config keys such as ``"domain_sampler"``.
    given : mapping
        The command's parameters by name.

    Returns
    -------
    dict
        Values by dotted key, None for those not given.
    """
    return {f"{stage}.{field}": given[field] for stage in stages for field in _SAMPLER_FIELDS}


def refuse_with_spec(given: Mapping[str, Any]) -> None:
    """Refuse flags whose values a spec file holds.

    Parameters
    ----------
    given : mapping
        Values by flag, None for those not given.

    Raises
    ------
    UserError
        If one was given.
    """
    for flag, value in given.items():
        if value is not None:
            raise UserError(f"{flag} does not go with a spec file; write it into the file's jobs")


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
