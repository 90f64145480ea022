"""Columns from structures: what a source of columns is, and the one that measures geometry.

A `ColumnSource` is a function from structures to columns with a name, a version and the
description of its columns. Geometry is one; a critic or a folding model is another, handed to
`proteinweaver.evaluation.run.evaluate`. A source may add one value per residue, which the page can
colour by.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proteinweaver.evaluation.assembly import assembly_metrics
from proteinweaver.evaluation.covalent import covalent_metrics
from proteinweaver.evaluation.gate import gate_faults
from proteinweaver.evaluation.geometry import chain_metrics, squared_distances
from proteinweaver.evaluation.linkers import linker_rama_ok, linker_stretch
from proteinweaver.evaluation.packing import neighbours, packing_metrics
from proteinweaver.evaluation.samples import Sample
from proteinweaver.evaluation.schema import GEOMETRY_COLUMNS, ColumnInfo
from proteinweaver.evaluation.secondary import secondary_structure
from proteinweaver.evaluation.surface import interface_area
from proteinweaver.evaluation.torsions import RAMA_ALLOWED, backbone_torsions, rama_density
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.dssp import dssp

__all__ = ["GEOMETRY", "ColumnSource", "Layer", "Measured", "measure_backbone"]

Value = float | int | str
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Layer:
    """One value per residue.

    Parameters
    ----------
    values : ndarray, dtype=float, shape=(L,)
        From `low` to `high`; NaN where there is none.
    low, high : float
        Ends of the colour scale.
    """

    values: NDArray[Any]
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class Measured:
    """What a source says of one structure.

    Parameters
    ----------
    values : mapping
        By column; absent, empty or NaN where there is no answer.
    layers : mapping of str to Layer
        Values per residue by name.
    """

    values: Mapping[str, Value]
    layers: Mapping[str, Layer] = field(default_factory=dict)


@dataclass(frozen=True)
class ColumnSource:
    """A function from structures to columns.

    Parameters
    ----------
    name : str
        Of the source, such as ``"geometry"``.
    version : str
        Of its answers: rows measured by another version are measured again. For a network, the
        hash of its weights.
    columns : tuple of ColumnInfo
        What it adds to the table.
    measure : callable
        Structures (all with a backbone) to one `Measured` each, in order. May raise: then the
        structures are tried one by one and those that fail get an error.
    """

    name: str
    version: str
    columns: tuple[ColumnInfo, ...]
    measure: Callable[[Sequence[Sample]], list[Measured]]


def measure_backbone(
    backbone: Backbone,
    gap: NDArray[np.bool_] | None = None,
    inputs: NDArray[np.float64] | None = None,
) -> Measured:
    """Measure the geometry of one structure.

    Parameters
    ----------
    backbone : Backbone
        All its chains; domain labels are used where there are two or more.
    gap : ndarray, dtype=bool, shape=(L,), optional
        True where the link to the next residue is not judged. Default: the backbone's breaks.
    inputs : ndarray, dtype=float64, shape=(L, 4, 3), optional
        The domains as they entered the assembly.

    Returns
    -------
    Measured
        The columns of `schema.GEOMETRY_COLUMNS` but ``outside``, and the layers ``ss`` (0 coil, 1
        helix, 2 strand by DSSP; by P-SEA for CA alone), ``domain``, ``faults`` (0 to 4) and
        ``burial`` (neighbours).
    """
    xyz = np.asarray(backbone.coord, dtype=np.float64)
    open_link = backbone.break_after if gap is None else gap
    names, chain = np.unique(backbone.chain, return_inverse=True)
    psea = secondary_structure(xyz[:, 1], open_link)
    letters = psea if backbone.is_ca_only else dssp(xyz, open_link)
    values: dict[str, Value] = {
        "chains": len(names),
        "gaps": int(open_link[:-1].sum()) - (len(names) - 1),
        **asdict(chain_metrics(xyz, open_link)),
        **asdict(covalent_metrics(xyz, open_link)),
        **asdict(packing_metrics(xyz, letters, chain)),
    }
    if not backbone.is_ca_only:
        values["dssp_helix"] = float((letters == "a").mean())
        values["dssp_strand"] = float((letters == "b").mean())
    if len(names) > 1:
        values |= _between_chains(xyz, chain, backbone.is_ca_only)
    if len(np.unique(backbone.domain[backbone.domain > 0])) > 1 and not backbone.is_ca_only:
        values |= _assembly(xyz, backbone.domain, inputs, open_link)
    faults = gate_faults(values)
    values |= {"gate": int(not faults), "faults": ";".join(faults)}
    layers = {
        "ss": Layer(np.select([letters == "a", letters == "b"], [1.0, 2.0], 0.0), 0.0, 2.0),
        "domain": Layer(
            (backbone.domain if backbone.domain.any() else chain + 1).astype(np.float64), 0.0, 12.0
        ),
        "faults": Layer(_residue_faults(xyz, open_link), 0.0, 4.0),
        "burial": Layer(neighbours(xyz), 0.0, 30.0),
    }
    return Measured(values, layers)


def _between_chains(
    xyz: NDArray[np.float64], chain: NDArray[np.int64], ca_only: bool
) -> dict[str, Value]:
    other = np.triu(chain[:, None] != chain[None])
    touch = other & (squared_distances(xyz[:, 1], xyz[:, 1]) < 8.0**2)
    found: dict[str, Value] = {"chain_contacts": int(touch.sum())}
    if not ca_only:
        found["chain_area"] = interface_area(xyz, chain + 1)
    return found


def _assembly(
    xyz: NDArray[np.float64],
    domain: NDArray[np.int16],
    inputs: NDArray[np.float64] | None,
    open_link: BoolArray,
) -> dict[str, Value]:
    """Columns of domains and linkers."""
    parts = assembly_metrics(xyz, domain, inputs)
    out: dict[str, Value] = {
        "domains": parts.domains,
        "linkers": parts.linkers,
        "linkers_closed": parts.linkers_closed,
        "linkers_feasible": parts.linkers_feasible,
        "linker_ok": int(parts.linker_ok),
        "linker_clashes": parts.linker_clashes,
        "interface_contacts": parts.contacts,
        "interface_residues": parts.interface_residues,
        "interdomain_clashes": parts.clashes,
        "domains_touching": parts.touching,
    }
    if inputs is not None:
        out["domain_rmsd_max"] = parts.drift_max
        out["domain_rmsd"] = ";".join(f"{value:.3f}" for value in parts.drift)
        out["domains_mirrored"] = parts.mirrored
    return out | {
        "linker_stretch": max(linker_stretch(xyz[:, 1], domain), default=float("nan")),
        "linker_rama_ok": linker_rama_ok(xyz, domain, open_link),
        "interface_area": interface_area(xyz, domain),
    }


def _residue_faults(xyz: NDArray[np.float64], open_link: BoolArray) -> NDArray[np.float64]:
    """Count what is wrong with each residue: clash, link, torsions, twisted peptide bond."""
    ca, length = xyz[:, 1], len(xyz)
    square = squared_distances(ca, ca)
    apart = np.abs(np.subtract.outer(np.arange(length), np.arange(length))) >= 2
    count: NDArray[np.float64] = np.asarray(((square < 3.6**2) & apart).any(axis=1), np.float64)
    step = np.sqrt(square[np.arange(length - 1), np.arange(1, length)])
    peptide = np.linalg.norm(xyz[1:, 0] - xyz[:-1, 2], axis=-1)
    bad = ~(((step >= 3.6) & (step <= 4.0)) | ((step >= 2.7) & (step <= 3.2)))
    bad |= np.abs(peptide - 1.329) > 0.1
    count[:-1] += bad & ~open_link[:-1]
    phi, psi, omega = backbone_torsions(xyz, open_link)
    density = rama_density(phi, psi)
    turn = np.abs(np.degrees(omega))
    rare = np.isfinite(density) & (density < RAMA_ALLOWED)
    return count + rare + (np.isfinite(turn) & (turn > 30) & (turn < 150))


def _measure(samples: Sequence[Sample]) -> list[Measured]:
    out = []
    for sample in samples:
        assert sample.backbone is not None
        found = measure_backbone(sample.backbone, sample.gap, sample.inputs)
        out.append(Measured({**found.values, **sample.facts}, found.layers))
    return out


GEOMETRY = ColumnSource("geometry", "1", GEOMETRY_COLUMNS, _measure)
"""What one structure alone tells."""
