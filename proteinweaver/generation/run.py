"""The way of a run: request to plans, finished ones skipped, designs woven, checked and written.

Everything a request may be refused for is looked at before anything is written. Every finished
design is written at once, so a killed run loses at most the batch in flight, and the next run of
the same request goes on where it stopped. Plans are drawn when their turn comes and designs may be
let go when they are written, so that a run of ten thousand needs no more memory than one of ten.
"""

import json
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from proteinweaver import __version__
from proteinweaver.generation.config import DiversifyConfig, RequestConfig
from proteinweaver.generation.fixed_positions import write_fixed_positions
from proteinweaver.generation.jobs import DesignPlan, Job
from proteinweaver.generation.model import pick_device
from proteinweaver.generation.plans import plan_run
from proteinweaver.generation.ranking import Ranking, place_of
from proteinweaver.generation.results import Design, design_files
from proteinweaver.generation.weave import Kit, check_samplers, make_kit, weave
from proteinweaver.io.run_folder import RunFolder, Shard
from proteinweaver.io.typed import plain
from proteinweaver.io.wishes import PassBudget

__all__ = ["OnEvent", "RunEvent", "RunResult", "run_designs"]

#: Raised whenever the same seed and settings come to make other designs: a run begun before is not
#: gone on with.
_DRAWS = 2


@dataclass(frozen=True)
class RunEvent:
    """Something a person may want to see.

    Parameters
    ----------
    done, total : int
        Designs.
    stage : str
        What is being done.
    text : str
        A line to show; empty for none.
    """

    done: int
    total: int
    stage: str = ""
    text: str = ""


OnEvent = Callable[[RunEvent], None]


@dataclass(frozen=True)
class RunResult:
    """What a run gave.

    Parameters
    ----------
    designs : tuple of Design
        Designs woven now, best first; none if they were not to be kept.
    woven, passed : int
        How many designs were woven now, and how many of them meet all checks.
    finished : int
        Designs of this request that the folder held before.
    failed : tuple of str
        Names of designs whose coordinates are not finite; they are noted in the manifest.
    out : Path or None
        The run folder.
    """

    designs: tuple[Design, ...]
    woven: int
    passed: int
    finished: int
    failed: tuple[str, ...]
    out: Path | None


def run_designs(
    config: RequestConfig | DiversifyConfig, on_event: OnEvent | None = None, *, keep: bool = True
) -> RunResult:
    """Weave the designs of a request, and write them if the config names a folder.

    Parameters
    ----------
    config : RequestConfig or DiversifyConfig
        A command's config.
    on_event : callable, optional
        Receives a :class:`RunEvent` whenever something happened.
    keep : bool, optional
        Hold the designs in memory and return them; else only the run folder has them.

    Returns
    -------
    RunResult

    Raises
    ------
    UserError
        If anything of the request cannot be met; then nothing has been written.
    """
    report = on_event or (lambda event: None)
    plans = plan_run(config)
    check_samplers(config)
    if config.threads:
        torch.set_num_threads(config.threads)
    kit = make_kit(config, plans.jobs)
    folder = _open_folder(config, plans.jobs, kit)
    before = folder.finished() if folder else {}
    pending = plans.without(before)
    failed = plans.failed_before(before)
    finished = len(plans) - len(pending) - len(failed)
    if finished:
        text = f"{finished} of {len(plans)} designs are finished"
        report(RunEvent(finished, len(plans), text=text))
    budget = _Budget(plans.jobs)
    for earlier in before.values():
        budget.count(earlier.job, earlier.passed)
    designs: list[Design] = []
    woven = passed = 0

    def stage(name: str) -> None:
        report(RunEvent(finished + woven + len(failed), len(plans), name))

    for design in weave(pending, kit, stage, budget.open):
        sound = design.backbone.is_finite
        if folder:
            _write(folder, design, kit) if sound else folder.write(_failed_line(design), {})
        budget.count(design.plan.job.spec.name, sound and design.passed)
        if sound:
            woven, passed = woven + 1, passed + design.passed
            designs += [design] if keep else []
        else:
            failed.append(design.name)
        report(RunEvent(finished + woven + len(failed), len(plans), text=_line(design)))
    if folder:
        with folder.tables() as stale:
            if stale:
                folder.write_table(Ranking(folder.path))
                write_fixed_positions(folder.path)
    ranked = tuple(sorted(designs, key=lambda one: place_of(one.passed, one.metrics, one.score)))
    path = folder.path if folder else None
    return RunResult(ranked, woven, passed, finished, tuple(failed), path)


class _Budget:
    """Whether a job with a pass budget still wants designs."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._wanted = {
            job.spec.name: job.spec.pass_budget.passed
            for job in jobs
            if isinstance(job.spec.pass_budget, PassBudget)
        }
        self._passed: dict[str, int] = {}

    def count(self, job: str, passed: bool) -> None:
        """Take note of a finished design."""
        self._passed[job] = self._passed.get(job, 0) + passed

    def open(self, plan: DesignPlan) -> bool:
        """Tell whether a planned design is still wanted."""
        name = plan.job.spec.name
        return name not in self._wanted or self._passed.get(name, 0) < self._wanted[name]


def _open_folder(
    config: RequestConfig | DiversifyConfig, jobs: Sequence[Job], kit: Kit
) -> RunFolder | None:
    if not config.out:
        return None
    free = {  # the hash of the weights is told, whatever they are called and wherever they lie
        "out", "n", "batch_size", "device", "threads", "weights", "model", "shard", "overwrite",
    }  # fmt: skip
    per_job = {
        "name", "seed", "spec", "length", "total_length", "domains", "domain", "contig", "file",
        "linker", "order", "mode", "contacts", "apart", "keep_pose", "context", "pass_budget",
    }  # fmt: skip
    shared = {k: v for k, v in plain(config).items() if k not in free | per_job}
    record = {
        "config": plain(config),
        "version": __version__,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "command": sys.argv,
        "device": pick_device(config.device),
        "threads": torch.get_num_threads(),
        "seed": config.seed,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return RunFolder.open(
        config.out,
        identity={**shared, "weights": kit.settings["weights"], "draws": _DRAWS},
        jobs={job.spec.name: job.identity for job in jobs},
        record=record,
        shard=Shard.parse(config.shard),
        overwrite=config.overwrite,
    )


def _write(folder: RunFolder, design: Design, kit: Kit) -> None:
    files = design_files(design, kit.config, kit.settings)
    metrics = dict(design.metrics)
    if kit.config.graft:
        from proteinweaver.generation.graft import graft

        whole = graft(design)
        metrics["side_chain_clashes"] = whole.clashes
        about = {"clashes": whole.clashes, "worst": whole.worst, "ligands": whole.ligands}
        files = {
            f"grafts/{design.name}.pdb": whole.text,
            f"grafts/{design.name}.json": json.dumps(about, indent=1) + "\n",
            **files,
        }
    line = {
        "name": design.name,
        "job": design.plan.job.spec.name,
        "index": design.plan.index,
        "seed": design.plan.job.seed,
        "status": "ok",
        "length": design.plan.length,
        "passed": design.passed,
        "reasons": _reasons(design),
        "score": round(design.score, 5),
        "total_s": round(design.timing["total_s"], 3),
        "metrics": {k: round(float(v), 5) for k, v in metrics.items() if np.isfinite(v)},
    }
    folder.write(line, files)


def _reasons(design: Design) -> dict[str, str]:
    """Tell why checks are not met; the name of the check where it says all."""
    return {name: design.reasons.get(name, name) for name, met in design.checks.items() if not met}


def _failed_line(design: Design) -> dict[str, Any]:
    plan = design.plan
    return {
        "name": design.name,
        "job": plan.job.spec.name,
        "index": plan.index,
        "seed": plan.job.seed,
        "status": "failed",
        "length": plan.length,
    }


def _line(design: Design) -> str:
    """Return the log line of a design."""
    if not design.backbone.is_finite:
        return f"{design.name}: failed, coordinates are not numbers"
    wrong = [
        f"{name} ({design.reasons[name]})" if name in design.reasons else name
        for name, met in design.checks.items()
        if not met
    ]
    verdict = f"misses {', '.join(wrong)}" if wrong else "passes"
    return (
        f"{design.name}: {design.plan.length} residues, score {design.score:.3f},"
        f" {verdict}, {design.timing['total_s']:.1f} s"
    )
