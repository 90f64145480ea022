"""A finished design and what is written about it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proteinweaver import __version__
from proteinweaver.generation.jobs import DesignPlan
from proteinweaver.generation.settings import RunConfig
from proteinweaver.generation.start_poses import FoundStart
from proteinweaver.io.layout import residue_map
from proteinweaver.io.mmcif import cif_text
from proteinweaver.io.pdb import pdb_text
from proteinweaver.structure.backbone import Backbone

__all__ = ["Design", "Part", "Trajectory", "design_files", "side_file"]


@dataclass(frozen=True)
class Trajectory:
    """The way of a sample from noise to the design.

    Parameters
    ----------
    noisy : ndarray, dtype=float32, shape=(M, L, 3) or (M, L, 4, 3)
        State at every step in angstrom (CA, or all atoms), noise first.
    clean : ndarray, dtype=float32, shape=(M, L, 4, 3)
        Estimate of the design at every step, the last one the network's result.
    """

    noisy: NDArray[np.float32]
    clean: NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """A domain as it entered the assembly.

    Parameters
    ----------
    coord : ndarray, dtype=float32, shape=(n, 4, 3)
        N, CA, C, O in angstrom.
    blueprint : str
        Secondary structure asked of a generated domain (letters HEL); empty for a given one.
    drift : float
        CA-RMSD in angstrom between this and the domain inside the design; NaN before assembly.
    """

    coord: NDArray[np.float32]
    blueprint: str = ""
    drift: float = float("nan")


@dataclass(frozen=True)
class Design:
    """A finished design.

    Parameters
    ----------
    plan : DesignPlan
        Lengths and order.
    backbone : Backbone
        One chain A, residues 1..L; domain labels 1..k along the chain, 0 in linkers.
    parts : tuple of Part
        Its domains in the order of the chain.
    metrics : mapping
        Numbers of `proteinweaver.evaluation`, and the drift.
    checks : mapping
        Named conditions, met or not.
    score : float
        Ranks the designs of a run, higher is better.
    timing : mapping
        Seconds by stage and ``total_s``; a batch's time is shared equally among its designs.
    calls : int
        Network evaluations this design took part in.
    trajectory : Trajectory, optional
        Of the last stage.
    reasons : mapping
        Why checks are not met, by name.
    found : FoundStart, optional
        Poses that the assembly began at.
    """

    plan: DesignPlan
    backbone: Backbone
    parts: tuple[Part, ...]
    metrics: Mapping[str, float]
    checks: Mapping[str, bool]
    score: float
    timing: Mapping[str, float]
    calls: int
    trajectory: Trajectory | None = field(default=None, repr=False)
    reasons: Mapping[str, str] = field(default_factory=dict)
    found: FoundStart | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Name of the design, the same in any run."""
        return self.plan.name

    @property
    def passed(self) -> bool:
        """Whether every check is met."""
        return all(self.checks.values())

    @property
    def generated(self) -> NDArray[np.bool_]:
        """True for residues that no input domain gave."""
        mask = np.ones(len(self.backbone), dtype=np.bool_)
        for segment in self.plan.domains:
            if self.plan.sources[segment.source].backbone is not None:
                mask[segment.start : segment.stop] = False
        return mask


def side_file(design: Design, config: RunConfig, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of the JSON beside a design.

    Parameters
    ----------
    design : Design
        The design.
    config : RunConfig
        Of the run.
    settings : mapping
        What the whole run shares: samplers, weight hashes.

    Returns
    -------
    dict
        JSON types only. Positions are 1-based and inclusive, as in the written file.
    """
    plan = design.plan
    return {
        "name": design.name,
        "job": plan.job.spec.name,
        "index": plan.index,
        "seed": plan.job.seed,
        "version": __version__,
        "length": plan.length,
        "sequence": design.backbone.sequence,
        "plan": {
            "order": [segment.source + 1 for segment in plan.domains],
            "segments": _segments(design, config.gly),
            **_found_poses(design.found),
        },
        "residue_map": _residue_map(design, config.gly),
        "breaks_after": [int(i) + 1 for i in np.flatnonzero(design.backbone.break_after)],
        **settings,
        "timing": {key: round(value, 4) for key, value in design.timing.items()},
        "network_calls": design.calls,
        "score": _number(design.score),
        "checks": dict(design.checks),
        "reasons": dict(design.reasons),
        "metrics": {key: _number(value) for key, value in design.metrics.items()},
    }


def _found_poses(found: FoundStart | None) -> dict[str, Any]:
    """Tell which of the poses found at every joint assembly began at, from 1."""
    if found is None:
        return {}
    tries, share = [k + 1 for k in found.tries], round(found.share, 4)
    return {"found_poses": {"tries": tries, "share": share}}


def design_files(design: Design, config: RunConfig, settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the files of a design.

    Parameters
    ----------
    design, config, settings
        See :func:`side_file`.

    Returns
    -------
    dict
        Text by path relative to the run folder; the side file comes last.

    Raises
    ------
    UserError
        If a coordinate is not finite or does not fit the format.
    """
    text_of = pdb_text if config.format == "pdb" else cif_text
    end, name = config.format, design.name
    remarks = _remarks(design)
    files: dict[str, str] = {
        f"designs/{name}.{end}": text_of(
            design.backbone, remarks=remarks, generated=design.generated
        )
    }
    if len(plan_domains := design.plan.domains) > 1:
        for number, (segment, part) in enumerate(zip(plan_domains, design.parts, strict=True), 1):
            backbone = _part_backbone(design, segment.source, part, f"{name}_d{number}")
            files[f"domains/{backbone.name}.{end}"] = text_of(backbone, remarks=remarks)
    if design.trajectory is not None:
        path = design.trajectory
        final = design.backbone.coord[None]
        clean = np.concatenate((path.clean, final))
        files[f"traj/{name}_x0.pdb"] = pdb_text(design.backbone, models=clean, remarks=remarks)
        files[f"traj/{name}_xt.pdb"] = _noisy_text(design, path.noisy, remarks)
    side = side_file(design, config, settings)
    files[f"designs/{name}.json"] = json.dumps(side, indent=1) + "\n"
    return files


def _remarks(design: Design) -> tuple[str, ...]:
    plan = design.plan
    ranges = ", ".join(
        f"domain {number} {segment.start + 1}-{segment.stop}"
        for number, segment in enumerate(plan.domains, 1)
    )
    return (
        f"proteinweaver {__version__}: job {plan.job.spec.name}, design {plan.index},"
        f" seed {plan.job.seed}.",
        f"Residues: {ranges}; the rest are linkers.",
    )


def _segments(design: Design, gly: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    number = 0
    for segment in design.plan.segments:
        row: dict[str, Any] = {"first": segment.start + 1, "last": segment.stop}
        if segment.source < 0:
            told = design.plan.linker_residues[segment.start : segment.stop]
            if told.strip("X") and not gly:
                row["sequence"] = told
            rows.append({"kind": "linker", **row})
            continue
        source, part = design.plan.sources[segment.source], design.parts[number]
        number += 1
        row |= {"domain": number, "request": segment.source + 1, "name": source.name}
        if source.backbone is None:
            row |= {"source": "generated", "blueprint": part.blueprint}
        else:
            row |= {"source": source.file, "sha256": source.sha256, "notes": list(source.notes)}
        rows.append({"kind": "domain", **row, "mode": source.mode, "drift": _number(part.drift)})
    return rows


def _residue_map(design: Design, gly: bool) -> list[dict[str, Any]]:
    """Tell for every residue of a given domain where it stands and where it came from."""
    entries = []
    for number, segment in enumerate(design.plan.domains, 1):
        source = design.plan.sources[segment.source]
        if source.backbone is None:
            continue
        for i, entry in enumerate(residue_map(source.backbone)):
            place = {"output_chain": "A", "output_number": segment.start + i + 1}
            entries.append({**entry, **place, "domain": number, "written_as_gly": gly})
    return entries


def _part_backbone(design: Design, source: int, part: Part, name: str) -> Backbone:
    given = design.plan.sources[source].backbone
    if given is not None:
        # chain A as in the design: a PDB file has no room for chain names of two letters
        return given.replace(name=name, chain=np.full(len(given), "A"))
    return Backbone.from_coord(part.coord, domain=np.ones(len(part.coord), np.int16), name=name)


def _noisy_text(design: Design, noisy: NDArray[np.float32], remarks: tuple[str, ...]) -> str:
    """Write the states, then the design; states of CA positions alone as CA models."""
    backbone = design.backbone
    if noisy.ndim == 4:
        models = np.concatenate((noisy, backbone.coord[None]))
        return pdb_text(backbone, models=models, remarks=remarks)
    head: list[str] = []
    lines: list[str] = []
    for number, ca in enumerate(np.concatenate((noisy, backbone.ca[None])), 1):
        coord = np.full_like(backbone.coord, np.nan)
        coord[:, 1] = ca
        text = pdb_text(backbone.replace(coord=coord), remarks=remarks).splitlines()
        atoms = [line for line in text if line.startswith(("ATOM", "TER"))]
        head = head or [line for line in text if not line.startswith(("ATOM", "TER", "END"))]
        lines += [f"{f'MODEL     {number:4d}':<80}", *atoms, f"{'ENDMDL':<80}"]
    return "\n".join([*head, *lines, f"{'END':<80}"]) + "\n"


def _number(value: float) -> float | None:
    """Return a number as JSON can hold it."""
    return round(float(value), 5) if np.isfinite(value) else None
