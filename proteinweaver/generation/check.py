"""Looking at a request or a structure without doing anything."""

from collections import Counter
from pathlib import Path

import numpy as np

from proteinweaver.generation.config import DesignConfig
from proteinweaver.generation.jobs import DesignPlan
from proteinweaver.generation.plans import plan_run
from proteinweaver.io.read import read_structure
from proteinweaver.io.select import select_residues, split_spec

__all__ = ["check_spec", "check_structure", "plan_line"]


def plan_line(plan: DesignPlan) -> str:
    """Tell the plan of a design in one line: its name, length, domains and linkers."""
    parts = [
        f"linker {len(segment)}"
        if segment.source < 0
        else f"{plan.sources[segment.source].name} {len(segment)}"
        for segment in plan.segments
    ]
    return f"{plan.name}: {plan.length} residues = {' + '.join(parts)}"


def check_spec(path: str | Path) -> list[str]:
    """Resolve every job of a spec: files read, residues found, all designs planned.

    Parameters
    ----------
    path : path-like
        YAML or JSON.

    Returns
    -------
    list of str
        For every job its number of designs, and the plan of the first.

    Raises
    ------
    UserError
        For the first thing that is wrong.
    """
    plans = plan_run(DesignConfig(spec=str(path)))
    counted: dict[str, Counter[int]] = {}
    first: dict[str, DesignPlan] = {}
    for plan in plans:
        name = plan.job.spec.name
        counted.setdefault(name, Counter())[plan.length] += 1
        first.setdefault(name, plan)
    lines = []
    for job, lengths in counted.items():
        low, high, plan = min(lengths), max(lengths), first[job]
        span = f"{low}" if low == high else f"{low}-{high}"
        wishes = plan.job.spec
        asked = len(wishes.contacts) + len(wishes.apart) + bool(wishes.keep_pose)
        asked += bool(wishes.context) + any(letter != "?" for letter in plan.ss)
        lines.append(f"job '{job}': {lengths.total()} designs of {span} residues, {asked} wishes")
        lines.append(f"  {plan_line(plan)}")
    return lines


def check_structure(source: str) -> list[str]:
    """Read a structure file and tell what is in it.

    Parameters
    ----------
    source : str
        ``file`` or ``file:selection``.

    Returns
    -------
    list of str

    Raises
    ------
    UserError
        If the file or the selection is not usable.
    """
    wanted = split_spec(source)
    file = read_structure(wanted.path, allow_ca_only=True)
    chosen = select_residues(file.backbone, wanted.selection, str(wanted.path))
    lines = []
    for chain in chosen.chain_names:
        own = chosen.subset(chosen.chain == chain)
        breaks = int(own.break_after.sum())
        ends = f"{own.resnum[0]}{own.icode[0]} to {own.resnum[-1]}{own.icode[-1]}"
        state = "CA only" if own.is_ca_only else f"{breaks} breaks"
        finite = "" if bool(np.isfinite(own.ca).all()) else ", coordinates that are no numbers"
        lines.append(f"{wanted.path}:{chain}: {len(own)} residues, {ends}, {state}{finite}")
    lines += [
        f"  {note.text}"
        for note in file.notes
        if note.chain is None or note.chain in chosen.chain_names
    ]
    return lines
