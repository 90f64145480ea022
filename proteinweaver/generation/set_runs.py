"""Samples of many sets of domains in one run folder, for comparing models and their samples.

On an accelerator samples of all sets share batches; on a CPU a run is one design after another.
Either way a killed run goes on, and one that is out of time stops between two designs.
"""

import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from proteinweaver.generation.config import AssembleConfig, PoseStart
from proteinweaver.generation.run import RunEvent, run_designs
from proteinweaver.generation.settings import POSE_TRIES, SamplerConfig
from proteinweaver.io.run_folder import write_atomic
from proteinweaver.preference.domain_sets import DomainSet, spec_of

__all__ = ["sample_sets", "weights_folder_of"]


class _OutOfTimeError(Exception):
    """The deadline has passed."""


def weights_folder_of(weights: Path, folder: Path) -> Path:
    """Copy a pair of weight files into a folder of weights by stage, as an assembler's.

    Parameters
    ----------
    weights : Path
        A ``.safetensors`` file with its ``.json`` beside it.
    folder : Path
        Created if need be.

    Returns
    -------
    Path
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for ending in (".safetensors", ".json"):
        file = folder / f"assembler{ending}"
        partial = file.with_name(f".{file.name}.{os.getpid()}")
        shutil.copyfile(weights.with_suffix(ending), partial)
        os.replace(partial, file)
    return folder


def sample_sets(
    sets: Sequence[DomainSet],
    out: Path,
    weights: Path,
    *,
    n: int,
    seed: int = 0,
    sampler: SamplerConfig,
    poses: PoseStart = "found",
    pose_tries: int = POSE_TRIES,
    device: str = "auto",
    deadline: float = float("inf"),
) -> bool:
    """Sample every set, or go on.

    Parameters
    ----------
    sets : sequence of DomainSet
    out : Path
        Run folder; ``NAME.spec.json`` is written beside it.
    weights : Path
        Folder with ``assembler.safetensors``.
    n : int
        Samples of a set.
    seed : int, optional
        Sample k of a set starts from the same noise under any weights.
    sampler : SamplerConfig
    poses : {"found", "noise"}, optional
        Where samples begin, as in `AssembleConfig`.
    pose_tries : int, optional
        1: all samples of a set have one pose and differ in their linkers.
    device : str, optional
    deadline : float, optional
        On `time.monotonic`'s clock.

    Returns
    -------
    bool
        False if time ran out; the same call goes on.

    Raises
    ------
    UserError
        If a set cannot be assembled, or the folder is of another run.
    """
    spec = out.parent / f"{out.name}.spec.json"
    write_atomic(spec, json.dumps(spec_of(sets, n), indent=1) + "\n")
    config = AssembleConfig(
        spec=str(spec),
        seed=seed,
        out=str(out),
        weights=str(weights),
        poses=poses,
        pose_tries=pose_tries,
        chain_candidates=1,  # a choice by the critic would no longer be a sample of the model
        device=device,
        assembler_sampler=sampler,
    )

    def look_at_clock(event: RunEvent) -> None:
        if event.done < event.total and time.monotonic() > deadline:
            raise _OutOfTimeError

    try:
        run_designs(config, look_at_clock, keep=False)
    except _OutOfTimeError:
        return False
    return True
