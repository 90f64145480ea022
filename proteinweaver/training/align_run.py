"""From pairs to aligned weights; the same call with the same folder goes on.

One leg: start, reference and pairs are given. A round of self-play is sample, ``prefs``, and a leg
whose `init` is the last leg's ``assembler.safetensors``.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from proteinweaver.data.datamodule import BatchDataModule
from proteinweaver.diffusion.process import ProcessConfig
from proteinweaver.errors import UserError
from proteinweaver.io.installation import weights_folder
from proteinweaver.io.typed import build, plain
from proteinweaver.io.weights import WeightsFile, assembler_file, read_weights
from proteinweaver.nets.denoiser import DenoiserConfig
from proteinweaver.preference.mixing import soup
from proteinweaver.preference.pair_file import read_pairs
from proteinweaver.preference.rankings import RankingSource, rankings_of
from proteinweaver.training.align_config import AlignConfig
from proteinweaver.training.align_task import AlignTask
from proteinweaver.training.checkpoints import Checkpoint, read_checkpoint
from proteinweaver.training.export import export_weights
from proteinweaver.training.fit import command_line, fit, folder_of, prepare_folder
from proteinweaver.training.run import TrainResult
from proteinweaver.training.schedule import used_budget

__all__ = ["align", "held_out_plans"]


def held_out_plans(plans: Sequence[str], share: float) -> set[str]:
    """Choose plans to hold out: those of lowest hash, so the choice survives more pairs.

    Parameters
    ----------
    plans : sequence of str
    share : float
        Of the different plans; rounded, and never all of them.

    Returns
    -------
    set of str
    """
    ordered = sorted(set(plans), key=lambda plan: hashlib.sha256(plan.encode()).hexdigest())
    return set(ordered[: min(round(share * len(ordered)), len(ordered) - 1)])


def align(
    config: AlignConfig, on_row: Callable[[dict[str, float]], None] | None = None
) -> TrainResult:
    """Align an assembler with pairs, or go on.

    Parameters
    ----------
    config : AlignConfig
    on_row : callable, optional
        Called with every row of the log; first with ``pairs``, ``held_out`` and ``refused``.

    Returns
    -------
    TrainResult

    Raises
    ------
    UserError
        If folder, pairs or weights cannot be used.
    """
    out, setup = folder_of(config), config.trainer
    if not config.data.pairs:
        raise UserError("no pairs; make them with `proteinweaver prefs`, then data.pairs=FILE")
    start = read_weights(Path(config.init) if config.init else assembler_file(weights_folder()))
    model, process = _laws(start)
    references = [read_weights(Path(p)) for p in filter(None, config.reference.split(","))]
    reference = _average(references or [start], model, "reference")
    anchors = [read_weights(Path(config.first))] if config.first else references or [start]
    first = _average(anchors, model, "first")
    path = Path(config.data.pairs)
    models = () if config.data.offline else (start.sha256,)
    read = read_pairs(path, models, strict=config.data.strict)
    aside = held_out_plans([str(p.win["plan"]) for p in read.pairs], config.data.valid_share)
    train = [p for p in read.pairs if p.win["plan"] not in aside]
    valid = [p for p in read.pairs if p.win["plan"] in aside]
    if config.collapse.patience and not valid:
        raise UserError("no pair is held out to see a collapse by; raise data.valid_share")
    prepare_folder(config, out)
    if setup.threads:
        torch.set_num_threads(setup.threads)
    torch.manual_seed(config.seed)
    provenance = {
        "command": command_line(),
        "pairs": hashlib.sha256(path.read_bytes()).hexdigest(),
        "start": start.sha256,
        "reference": [w.sha256 for w in references or [start]],
        "first": [w.sha256 for w in anchors] if config.first else None,
        "objective": plain(config.objective),
        "data": plain(replace(config.data, pairs="", offline=False, strict=False, workers=0)),
        "reference_ema": config.reference_ema if config.reference_ema < 1 else None,
        "reward_gradient": plain(config.reward_gradient) if config.reward_gradient.last else None,
        "adapter": plain(config.adapter) if config.adapter.rank else None,
    }
    task = AlignTask(config, model, process, dict(start.state), reference, first, provenance)
    size, seed = config.data.batch, config.seed
    coin, branches = config.data.control, config.data.residue_branches
    learn = rankings_of(train, config.data.list_size, seed)
    watch = rankings_of(valid, config.data.list_size, seed) if valid else []
    data = BatchDataModule(
        RankingSource(path, learn, size, seed, control=coin, branches=branches),
        RankingSource(path, watch, size, seed, fresh=False, branches=branches) if watch else None,
        min(setup.valid_batches, -(-len(watch) // size)),
        config.data.workers,
    )
    if on_row:
        counts = {"pairs": len(learn), "held_out": len(watch), "refused": len(read.refused)}
        on_row({name: float(count) for name, count in counts.items()})
    checkpoint = out / "last.ckpt"
    begin = checkpoint if checkpoint.is_file() else None
    outcome = fit(config, task, data, begin, nullcontext(), on_row)
    finished = task.is_too_far or used_budget(task.step, task.minutes, setup) >= 1
    if finished and outcome.is_first_process:
        export_weights(_result(checkpoint, task), "assembler", out)
    returned = {"returned_to": float(task.standing.step)} if task.standing.collapsed else {}
    return TrainResult(checkpoint, outcome.last | returned, task.step, finished)


def _result(path: Path, task: AlignTask) -> Checkpoint:
    """Read what a leg ends in: its last state, or after a collapse its best one."""
    found = read_checkpoint(path)
    if not task.standing.collapsed:
        return found
    return replace(found, state=dict(task.best), step=task.standing.step)


def _laws(weights: WeightsFile) -> tuple[DenoiserConfig, ProcessConfig]:
    config = weights.config
    return (
        build(DenoiserConfig, config.get("denoiser", {}), "init: denoiser"),
        build(ProcessConfig, config.get("process", {}), "init: process"),
    )


def _average(
    weights: Sequence[WeightsFile], model: DenoiserConfig, what: str
) -> dict[str, Tensor]:
    """Weights of one model, or the average of several, of the policy's kind."""
    for one in weights:
        if plain(_laws(one)[0]) != plain(model):
            raise UserError(f"{what} is of another network than init; give weights of one kind")
    return soup([{k: v.float() for k, v in one.state.items()} for one in weights])
