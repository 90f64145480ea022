"""The wishes of a design: from names and ranges to residues, and whether they came true.

A wish names domains and residues of their files; a design has them at other places in every order
and length. `resolve_wishes` finds them; the result guides the sampling and is measured on the
design afterwards.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from proteinweaver.diffusion.wishes import Bound
from proteinweaver.errors import UserError
from proteinweaver.evaluation.secondary import blueprint_letters
from proteinweaver.evaluation.superposition import move, rmsd, superpose
from proteinweaver.generation.jobs import DesignPlan, Segment
from proteinweaver.io.read import read_all_atoms, read_structure
from proteinweaver.io.select import select_positions, split_spec
from proteinweaver.io.wishes import ApartSpec, ContactSpec, read_apart, read_contact
from proteinweaver.structure.all_atoms import WATER

__all__ = ["DesignWishes", "Findings", "PairWish", "measure_wishes", "resolve_wishes"]

#: Sampling aims this much (angstrom) beyond a bound: closing the chain may take some back.
_MARGIN = 1.0
#: A backbone atom closer to a context atom than this (angstrom) is not clear of it.
CLEAR = 3.0
#: A kept pose is kept within this CA-RMSD (angstrom) of all kept domains together.
POSE = 0.5
#: Share of a linker's residues that must have the secondary structure asked for.
SS_SHARE = 0.8


@dataclass(frozen=True)
class PairWish:
    """A bound on the closest CA pair of two sets of residues of the chain.

    Parameters
    ----------
    kind : str
        ``"contact"`` or ``"apart"``.
    a, b : ndarray, dtype=int64
        Positions in the chain, from 0.
    limit : float
        Angstrom.
    text : str
        The wish in words.
    """

    kind: str
    a: NDArray[np.int64]
    b: NDArray[np.int64]
    limit: float
    text: str

    def distance(self, ca: NDArray[np.float64]) -> float:
        """Distance of the closest pair in angstrom, for CA positions of shape (L, 3)."""
        apart = ca[self.a][:, None] - ca[self.b][None]
        return float(np.sqrt((apart**2).sum(-1).min()))

    def met(self, distance: float) -> bool:
        """Whether a distance of the closest pair is within the bound."""
        return distance <= self.limit if self.kind == "contact" else distance >= self.limit

    def bound(self) -> Bound:
        """Return what guides the sampling."""
        a, b = torch.as_tensor(self.a), torch.as_tensor(self.b)
        if self.kind == "contact":
            return Bound(a, b, upper=max(self.limit - _MARGIN, 4.5))
        return Bound(a, b, lower=self.limit + _MARGIN)


@dataclass(frozen=True)
class DesignWishes:
    """What is asked of one design.

    Parameters
    ----------
    pairs : tuple of PairWish
    kept : tuple of int
        Places along the chain of the domains whose relative pose is kept.
    obstacle : ndarray, dtype=float32, shape=(M, 3), optional
        Context atoms, in the coordinates of the domain at place ``anchor`` as its file has it.
    anchor : int
        Place along the chain; -1 without context.
    """

    pairs: tuple[PairWish, ...] = ()
    kept: tuple[int, ...] = ()
    obstacle: NDArray[np.float32] | None = None
    anchor: int = -1

    @property
    def apart(self) -> bool:
        """Whether domains are asked to stay apart; contacts are then no virtue."""
        return any(pair.kind == "apart" for pair in self.pairs)


@dataclass(frozen=True)
class Findings:
    """Wishes measured on a design.

    Parameters
    ----------
    metrics : dict
        Distances, deviations and shares by name.
    checks : dict
        Whether each wish is met, by name.
    reasons : dict
        For every check that fails: what was found and what was asked.
    """

    metrics: dict[str, float]
    checks: dict[str, bool]
    reasons: dict[str, str]


def resolve_wishes(plan: DesignPlan) -> DesignWishes:
    """Find the residues of a design's wishes.

    Parameters
    ----------
    plan : DesignPlan

    Returns
    -------
    DesignWishes

    Raises
    ------
    UserError
        If a range names residues its domain does not have, or the context has no atoms of its own.
    """
    spec = plan.job.spec
    pairs = []
    asked: list[ContactSpec | ApartSpec] = [read_contact(item) for item in spec.contacts]
    asked += [read_apart(item) for item in spec.apart]
    for wish in asked:
        contact = isinstance(wish, ContactSpec)
        pairs.append(
            PairWish(
                "contact" if contact else "apart",
                _residues(plan, wish.a, str(wish)),
                _residues(plan, wish.b, str(wish)),
                wish.max if isinstance(wish, ContactSpec) else wish.min,
                str(wish),
            )
        )
    places = plan.domains
    kept = tuple(k for k, segment in enumerate(places) if plan.sources[segment.source].kept)
    if not spec.context:
        return DesignWishes(tuple(pairs), kept)
    given = [  # a domain drawn from a library has no place beside the context
        k
        for k, segment in enumerate(places)
        if plan.sources[segment.source].file and plan.job.sources[segment.source].library is None
    ]
    first = min(given, key=lambda k: places[k].source)
    anchor = kept[0] if kept else first
    source = plan.sources[places[anchor].source]
    if source.mode == "free":
        raise UserError(
            f"context {spec.context} travels with domain '{source.label}', which is free to"
            " change; make that domain adapt or rigid"
        )
    return DesignWishes(tuple(pairs), kept, _context(plan), anchor)


def _residues(plan: DesignPlan, end: str, where: str) -> NDArray[np.int64]:
    """Positions in the chain of one end of a wish."""
    name, _, selection = end.partition(":")
    number = plan.job.spec.position_of(name, where)
    segment: Segment = next(s for s in plan.domains if s.source == number)
    if not selection:
        return np.arange(segment.start, segment.stop)
    source = plan.sources[number]
    if source.backbone is not None:
        found = select_positions(source.backbone, selection, f"{where}: domain '{name}'")
        return found + segment.start
    try:
        low, _, high = selection.partition("-")
        first, last = int(low), int(high or low)
    except ValueError:
        first, last = 0, -1
    if not 1 <= first <= last <= len(segment):
        raise UserError(
            f"{where}: '{selection}' is no range of domain '{name}', which has residues 1 to"
            f" {len(segment)}; write two of them, such as 1-{min(10, len(segment))}"
        )
    return np.arange(segment.start + first - 1, segment.start + last)


def _context(plan: DesignPlan) -> NDArray[np.float32]:
    """Atoms of the context file, without water and without the residues that are designed with."""
    text = plan.job.spec.context
    chosen = split_spec(text)
    used = set()
    for source in plan.sources:
        if source.backbone is not None and source.file:
            path = split_spec(source.file).path
            if path.resolve() == chosen.path.resolve():
                part = source.backbone
                used |= set(
                    zip(
                        part.chain.tolist(),
                        part.resnum.tolist(),
                        part.icode.tolist(),
                        strict=True,
                    )
                )
    return _context_atoms(str(chosen.path), chosen.selection, frozenset(used), text)


@lru_cache(maxsize=8)
def _context_atoms(
    path: str, selection: str, used: frozenset[tuple[str, int, str]], text: str
) -> NDArray[np.float32]:
    atoms = read_all_atoms(path)
    keep = ~np.isin(atoms.resname, WATER)
    keep &= np.array([residue not in used for residue in atoms.residues])
    if selection and selection in set(atoms.chain.tolist()):
        keep &= atoms.chain == selection
    elif selection:
        whole = read_structure(Path(path)).backbone
        part = whole.subset(select_positions(whole, selection, path))
        wanted = set(
            zip(part.chain.tolist(), part.resnum.tolist(), part.icode.tolist(), strict=True)
        )
        keep &= np.array([residue in wanted for residue in atoms.residues])
    if not keep.any():
        raise UserError(
            f"context {text} holds no atom besides water and the domains themselves; name the file"
            " of the partner or ligand"
        )
    return np.asarray(atoms.coord[keep], dtype=np.float32)


def measure_wishes(plan: DesignPlan, wishes: DesignWishes, coord: NDArray[np.float32]) -> Findings:
    """Measure the wishes of a design.

    Parameters
    ----------
    plan : DesignPlan
    wishes : DesignWishes
    coord : ndarray, dtype=float32, shape=(L, 4, 3)
        The design, finite, angstrom.

    Returns
    -------
    Findings
    """
    found = Findings({}, {}, {})
    xyz = np.asarray(coord, dtype=np.float64)
    counts = {"contact": 0, "apart": 0}
    for pair in wishes.pairs:
        counts[pair.kind] += 1
        name = f"{pair.kind}_{counts[pair.kind]}"
        distance = pair.distance(xyz[:, 1])
        _note(found, name, distance, pair.met(distance), f"{pair.text}: {distance:.1f} A found")
    if wishes.kept:
        off = _pose_deviation(plan, wishes, xyz)
        _note(found, "pose_kept", off, off <= POSE, f"kept domains moved by {off:.2f} A CA-RMSD")
    if any(letter != "?" for letter in plan.ss):
        share = _linker_share(plan, xyz)
        text = f"linkers have {share:.0%} of the secondary structure asked for"
        _note(found, "linker_ss", share, share >= SS_SHARE, text)
    if wishes.obstacle is not None:
        gap = _context_gap(plan, wishes, xyz)
        _note(
            found, "context_clear", gap, gap >= CLEAR, f"comes within {gap:.1f} A of the context"
        )
    return found


def _note(found: Findings, name: str, value: float, met: bool, text: str) -> None:
    found.metrics[name] = value
    found.checks[name] = met
    if not met:
        found.reasons[name] = text


def _pose_deviation(plan: DesignPlan, wishes: DesignWishes, xyz: NDArray[np.float64]) -> float:
    """CA-RMSD of all kept domains together from their files."""
    given, here = [], []
    for place in wishes.kept:
        segment = plan.domains[place]
        backbone = plan.sources[segment.source].backbone
        assert backbone is not None
        given.append(backbone.ca)
        here.append(xyz[segment.start : segment.stop, 1])
    return float(rmsd(np.concatenate(here), np.concatenate(given)))


def _linker_share(plan: DesignPlan, xyz: NDArray[np.float64]) -> float:
    """Share of the asked residues of linkers whose P-SEA assignment is the one asked for."""
    found = blueprint_letters(xyz[:, 1])
    pairs = zip(plan.ss, found, strict=True)
    return float(np.mean([letter == got for letter, got in pairs if letter != "?"]))


def _context_gap(plan: DesignPlan, wishes: DesignWishes, xyz: NDArray[np.float64]) -> float:
    """Least distance of a backbone atom that is not of the kept domains from the context."""
    from scipy.spatial import cKDTree

    assert wishes.obstacle is not None
    anchors = wishes.kept or (wishes.anchor,)
    given, here, own = [], [], np.zeros(len(xyz), dtype=np.bool_)
    for place in anchors:
        segment = plan.domains[place]
        backbone = plan.sources[segment.source].backbone
        assert backbone is not None
        given.append(backbone.coord[:, :3].reshape(-1, 3))
        here.append(xyz[segment.start : segment.stop, :3].reshape(-1, 3))
        own[segment.start : segment.stop] = True
    rot, trans = superpose(np.concatenate(given), np.concatenate(here))
    atoms = move(wishes.obstacle, rot, trans)
    gaps, _ = cKDTree(atoms).query(xyz[~own].reshape(-1, 3))
    return float(gaps.min(initial=np.inf))
