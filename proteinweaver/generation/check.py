"""Looking at a request or a structure without doing anything."""

from pathlib import Path

import numpy as np

from proteinweaver.generation.config import DesignConfig
from proteinweaver.generation.jobs import DesignPlan
from proteinweaver.generation.run import plan_run
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
    lines = []
    for job in dict.fromkeys(plan.job.spec.name for plan in plans):
        own = [plan for plan in plans if plan.job.spec.name == job]
        lengths = sorted({plan.length for plan in own})
        span = f"{lengths[0]}" if len(lengths) == 1 else f"{lengths[0]}-{lengths[-1]}"
        wishes = own[0].job.spec
        asked = len(wishes.contacts) + len(wishes.apart) + bool(wishes.keep_pose)
        asked += bool(wishes.context) + any(letter != "?" for letter in own[0].ss)
        lines.append(f"job '{job}': {len(own)} designs of {span} residues, {asked} wishes")
        lines.append(f"  {plan_line(own[0])}")
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
