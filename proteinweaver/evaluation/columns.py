"""The rows and columns of the two tables: domains, and assemblies.

To add a number: measure it in `proteinweaver.evaluation.geometry` or ``assembly`` and add one
`Column` here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from proteinweaver.evaluation.assembly import AssemblyMetrics, assembly_metrics
from proteinweaver.evaluation.diversity import mean_pairwise_tm
from proteinweaver.evaluation.geometry import ChainMetrics, chain_metrics
from proteinweaver.evaluation.reassembly import ReassemblyMetrics, reassembly_metrics
from proteinweaver.evaluation.table import Column, Summary, summarise
from proteinweaver.evaluation.tasks import NativeTask
from proteinweaver.structure.backbone import Backbone

__all__ = [
    "AssemblyRow",
    "DomainRow",
    "ASSEMBLY_COLUMNS",
    "DOMAIN_COLUMNS",
    "SET_COLUMNS",
    "assembly_row",
    "domain_summary",
]


@dataclass(frozen=True)
class DomainRow:
    """One chain of the table of domains.

    Parameters
    ----------
    name : str
        Name of the chain.
    chain : ChainMetrics
        Its geometry.
    """

    name: str
    chain: ChainMetrics


@dataclass(frozen=True)
class AssemblyRow:
    """One chain of the table of assemblies.

    Parameters
    ----------
    name : str
        Name of the task.
    parts : AssemblyMetrics
        Domains, linkers and what happens between them.
    native : ReassemblyMetrics, optional
        Comparison with the native pose, where there is one.
    chain : ChainMetrics, optional
        Geometry of the whole chain; none where linkers were not built.
    """

    name: str
    parts: AssemblyMetrics
    native: ReassemblyMetrics | None = None
    chain: ChainMetrics | None = None


#: A linker bond is right within this of 1.329 (angstrom).
_BOND_ROOM = 0.1


def _chain(name: str) -> Callable[[DomainRow], float]:
    return lambda row: float(getattr(row.chain, name))


def _alpha(row: DomainRow) -> float:
    return float(row.chain.strand < 0.05 and row.chain.helix > 0.30)


def _beta(row: DomainRow) -> float:
    return float(row.chain.helix < 0.05 and row.chain.strand > 0.15)


def _mixed(row: DomainRow) -> float:
    return float(row.chain.helix >= 0.05 and row.chain.strand >= 0.05)


DOMAIN_COLUMNS: tuple[Column[DomainRow], ...] = (
    Column("ca_ok", "caOK", _chain("ca_ok"), decimals=3),
    Column("cn_ok", "cnOK", _chain("cn_ok"), decimals=3),
    Column("clash_30", "clash3", _chain("clash_30")),
    Column("clash_36", "clash3.6", _chain("clash_36")),
    Column("clash_free", "no CA<3", lambda row: row.chain.clash_30 == 0, "share"),
    Column("rama_ok", "ramaF", _chain("rama_ok"), decimals=3),
    Column("phi_negative", "phi<0", _chain("phi_negative"), decimals=3),
    Column("helix_right", "right helix", _chain("helix_right"), decimals=3),
    Column("helix", "helix", _chain("helix")),
    Column("strand", "strand", _chain("strand")),
    Column("coil", "coil", _chain("coil")),
    Column("alpha", "all alpha", _alpha, "share"),
    Column("beta", "all beta", _beta, "share"),
    Column("mixed", "mixed", _mixed, "share"),
    Column("rg_ratio", "rg", _chain("rg_ratio")),
    Column("hb", "hb", _chain("hb")),
    Column("hb_long", "hbLR", _chain("hb_long")),
    Column("contacts_long", "lrc", _chain("contacts_long")),
)
"""The columns in which generated domains are compared.

All alpha: strand below 5% and helix above 30%; all beta: helix below 5% and strand above 15%;
mixed: 5% of both or more.
"""

SET_COLUMNS: tuple[Column[DomainRow], ...] = (
    *DOMAIN_COLUMNS,
    Column("tm", "tm", lambda row: float("nan")),
)
"""The same with the mean pairwise TM-score, which only a set has."""


def _whole(name: str) -> Callable[[AssemblyRow], float]:
    return lambda row: float("nan") if row.chain is None else float(getattr(row.chain, name))


def _against(name: str) -> Callable[[AssemblyRow], float]:
    return lambda row: float("nan") if row.native is None else float(getattr(row.native, name))


def _built(row: AssemblyRow) -> float:
    return float("nan") if row.chain is None else float(row.parts.linker_ok)


def _bonds(row: AssemblyRow) -> float:
    off = row.parts.linker_bond_off
    return float("nan") if np.isnan(off) else float(off <= _BOND_ROOM)


def _all_feasible(row: AssemblyRow) -> float:
    return float(row.parts.linkers_feasible == row.parts.linkers)


ASSEMBLY_COLUMNS: tuple[Column[AssemblyRow], ...] = (
    Column("drift", "drift A", lambda row: row.parts.drift, "median"),
    Column("drift_max", "worst drift A", lambda row: row.parts.drift_max, "median"),
    Column("mirrored", "mirrored", lambda row: row.parts.mirrored > 0, "share"),
    Column("linkers_closed", "linkers closed", _built, "share"),
    Column("linkers_feasible", "feasible", _all_feasible, "share"),
    Column("clash_free", "no CA<3 between", lambda row: row.parts.clashes == 0, "share"),
    Column("contacts", "contacts", lambda row: row.parts.contacts, "median", 0),
    Column("interface", "interface res.", lambda row: row.parts.interface_residues, "median", 0),
    Column("contact_ratio", "contacts/native", _against("contact_ratio"), "median"),
    Column("contacts_kept", "native kept", _against("contacts_kept")),
    Column("native_tm", "TM native", _against("tm")),
    Column("pose_tm", "pose TM", _against("pose_tm")),
    Column("pose", "pose score", _against("pose")),
    Column("contact_f1", "contact F1", _against("contact_f1")),
    Column("irmsd", "iRMSD A", _against("irmsd"), "median"),
    Column("bonds_right", "linker bonds right", _bonds, "share"),
    Column("ca_ok", "caOK", _whole("ca_ok"), decimals=3),
    Column("cn_ok", "cnOK", _whole("cn_ok"), decimals=3),
    Column("clash_30", "clash3", _whole("clash_30")),
    Column("rama_ok", "ramaF", _whole("rama_ok"), decimals=3),
    Column("rg_ratio", "rg", _whole("rg_ratio")),
    Column("hb", "hb", _whole("hb")),
)
"""The columns in which assemblies are compared."""


def domain_summary(
    name: str, chains: Sequence[Backbone], *, max_pairs: int = 400, note: str = ""
) -> Summary:
    """Sum up a set of single chains.

    Parameters
    ----------
    name : str
        Name of the set.
    chains : sequence of Backbone
        The set; finite coordinates.
    max_pairs : int, optional
        Pairs to align at most for the mean pairwise TM-score; 0 leaves it out.
    note : str, optional
        Where the set comes from.

    Returns
    -------
    Summary
        With the cells of `SET_COLUMNS`.

    Raises
    ------
    ValueError
        If a coordinate is not finite.
    """
    rows = [
        DomainRow(chain.name, chain_metrics(chain.coord, chain.break_after)) for chain in chains
    ]
    extra = {}
    if max_pairs and len(chains) > 1:
        extra["tm"] = mean_pairwise_tm([chain.ca for chain in chains], max_pairs=max_pairs)
    return summarise(name, rows, DOMAIN_COLUMNS, extra=extra, note=note)


def assembly_row(task: NativeTask, coord: ArrayLike) -> AssemblyRow:
    """Measure one assembled native chain.

    Parameters
    ----------
    task : NativeTask
        What was asked.
    coord : array_like, shape=(L, 4, 3)
        What came back, in angstrom; linker residues may be NaN where no linker was built.

    Returns
    -------
    AssemblyRow

    Raises
    ------
    ValueError
        If the length differs from the task's.
    """
    xyz = np.asarray(coord, dtype=np.float64)
    return AssemblyRow(
        name=task.name,
        parts=assembly_metrics(xyz, task.domain, task.coord),
        native=reassembly_metrics(xyz, task.coord, task.domain),
        chain=chain_metrics(xyz) if np.isfinite(xyz).all() else None,
    )
