"""Stage 2: domains into one chain.

The assembler knows every domain from inside and nothing about their relative poses or the linkers.
What it returns for a rigid domain is a pose: the given atoms are laid onto it exactly, and the
closing step moves each such domain as one body.
"""

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from proteinweaver.diffusion.wishes import (
    ROUNDS,
    ROUNDS_UNASKED,
    Bound,
    Interface,
    Wishes,
    tethers,
    touching,
)
from proteinweaver.domains.trends import CONTACT_SHARE, native_contacts
from proteinweaver.evaluation.assembly import linker_reach
from proteinweaver.evaluation.superposition import move, rmsd, superpose
from proteinweaver.generation.batching import groups
from proteinweaver.generation.checks import DRIFT
from proteinweaver.generation.closing import close_chain
from proteinweaver.generation.condition import Piece, condition_for, stack_conditions
from proteinweaver.generation.domain_stage import trajectory_of
from proteinweaver.generation.model import LoadedModel
from proteinweaver.generation.results import Trajectory
from proteinweaver.generation.sampling import Sampling, Start, sample_backbones
from proteinweaver.io.spec import Mode
from proteinweaver.nets.condition import Condition
from proteinweaver.structure.frames import frames_from_coord
from samplers.noise import NoiseKey

__all__ = ["Assembly", "AssemblyRequest", "Inside", "assemble_domains"]

#: Residues that a break inside a domain is taken to span where the numbering does not tell.
_UNKNOWN_GAP = 8
#: Share of the drift that is allowed, beyond which a domain is laid as it was given.
_NEARLY = 0.95


@dataclass(frozen=True)
class Inside:
    """A domain at its place in the chain.

    Parameters
    ----------
    start : int
        First residue, from 0.
    coord : ndarray, dtype=float32, shape=(n, 4, 3)
        N, CA, C, O in angstrom, anywhere in space.
    mode : {"rigid", "adapt", "free"}
        How far the inside may change.
    gap_after : tuple of (int, int)
        Breaks: position in the domain and number of missing residues.
    group : int, optional
        Domains of one group start from their relative pose; rigid ones of a group keep it exactly.
    """

    start: int
    coord: NDArray[np.float32]
    mode: Mode = "rigid"
    gap_after: tuple[tuple[int, int], ...] = ()
    group: int | None = None

    @property
    def stop(self) -> int:
        """One past the last residue."""
        return self.start + len(self.coord)


@dataclass(frozen=True)
class AssemblyRequest:
    """One chain to assemble.

    Parameters
    ----------
    length : int
        Residues.
    insides : tuple of Inside
        The domains, not overlapping.
    key : NoiseKey
        Address of its noise.
    ss : str, optional
        Secondary structure asked for, one of ``?HEL`` per residue.
    elements : tuple of Inside, optional
        Ideal helices and strands of linkers, kept rigid.
    bounds : tuple of Bound, optional
        Distances asked for.
    obstacle : ndarray, shape=(M, 3), optional
        Atoms to be kept clear of, in the coordinates of the domain ``anchor`` as given.
    anchor : int
        Position in `insides`.
    contact_share : float
        Consecutive domains are drawn together until they have this share of the contacts that
        natives of their sizes have; 0 draws nothing together.
    start : ndarray, dtype=float32, shape=(length, 4, 3), optional
        A chain to vary: sampling starts from it with the noise of time ``start_t``.
    start_t : float
        1 starts from nothing but noise.
    """

    length: int
    insides: tuple[Inside, ...]
    key: NoiseKey
    ss: str = ""
    elements: tuple[Inside, ...] = ()
    bounds: tuple[Bound, ...] = ()
    obstacle: NDArray[np.float32] | None = None
    anchor: int = -1
    contact_share: float = CONTACT_SHARE
    start: NDArray[np.float32] | None = None
    start_t: float = 1.0

    @property
    def bonded(self) -> NDArray[np.bool_]:
        """False where a residue is not bonded to the next one."""
        bonded = np.ones(self.length, dtype=np.bool_)
        for inside in self.insides:
            for position, _ in inside.gap_after:
                bonded[inside.start + position] = False
        return bonded

    @property
    def rigid(self) -> NDArray[np.int64]:
        """Number of the rigid body of every residue, -1 for none."""
        number = np.full(self.length, -1, dtype=np.int64)
        for k, members in enumerate(self.bodies()):
            for inside in members:
                number[inside.start : inside.stop] = k
        return number

    @property
    def domain(self) -> NDArray[np.int64]:
        """0 in linkers, 1..k in domains."""
        label = np.zeros(self.length, dtype=np.int64)
        for k, inside in enumerate(self.insides, start=1):
            label[inside.start : inside.stop] = k
        return label

    def bodies(self) -> list[list[Inside]]:
        """List the rigid domains and elements, those of one group together."""
        found: dict[tuple[str, int], list[Inside]] = {}
        for k, inside in enumerate((*self.insides, *self.elements)):
            if inside.mode == "rigid":
                name = ("alone", k) if inside.group is None else ("group", inside.group)
                found.setdefault(name, []).append(inside)
        return list(found.values())

    def condition(self) -> Condition:
        """Return what the assembler is told, shapes (1, length, ...)."""
        pieces = [
            Piece(inside.start, inside.coord, inside.mode, inside.group)
            for inside in (*self.insides, *self.elements)
        ]
        condition = condition_for(self.length, pieces, self.ss or None)
        jump = torch.zeros(self.length, dtype=torch.int64)
        for inside in self.insides:
            for position, missing in inside.gap_after:
                if inside.start + position + 1 < self.length:
                    jump[inside.start + position + 1] = missing if missing > 0 else _UNKNOWN_GAP
        return replace(condition, index=condition.index + jump.cumsum(0))

    def wishes(self, condition: Condition) -> Wishes:
        """Return what guides the sampling: what is asked for, and domains that touch.

        Nothing where a given chain is varied: no contacts are wanted, no more is asked of it.
        """
        asked = bool(self.bounds) or self.obstacle is not None
        if self.start is not None and not asked and not self.contact_share:
            return Wishes()
        piece = condition.piece[0]
        obstacle = None if self.obstacle is None else torch.as_tensor(self.obstacle)
        anchor = int(piece[self.insides[self.anchor].start]) if obstacle is not None else -1
        return Wishes(
            (*self.bounds, *tethers(piece, linker_reach)),
            obstacle,
            anchor,
            interfaces=self._interfaces(),
            rounds=ROUNDS if asked else ROUNDS_UNASKED,
        )

    def _interfaces(self) -> tuple[Interface, ...]:
        """Consecutive domains whose pose is free, with the contacts wanted between them.

        None where domains are to stay apart.
        """
        found: list[Interface] = []
        if not self.contact_share or any(bound.lower > 0 for bound in self.bounds):
            return ()
        for one, two in itertools.pairwise(sorted(self.insides, key=lambda inside: inside.start)):
            wanted = self.contact_share * native_contacts([len(one.coord), len(two.coord)])
            known = one.mode != "free" and two.mode != "free"
            if known and (one.group is None or one.group != two.group):
                rows = [torch.arange(inside.start, inside.stop) for inside in (one, two)]
                found.extend(touching(rows[0], rows[1], wanted))
        return tuple(found)

    def beginning(self) -> Start | None:
        """Return the chain to start from, shapes (1, length, ...)."""
        if self.start is None:
            return None
        rot, trans = frames_from_coord(torch.as_tensor(self.start))
        return Start(rot[None], (trans - trans.mean(0))[None], self.start_t)


@dataclass(frozen=True)
class Assembly:
    """An assembled chain.

    Parameters
    ----------
    coord : ndarray, dtype=float32, shape=(L, 4, 3)
        N, CA, C, O in angstrom.
    drift : tuple of float
        CA-RMSD in angstrom of every domain from what was given.
    seconds : float
        Its share of the batch's time.
    calls : int
        Network evaluations.
    trajectory : Trajectory, optional
        If asked for.
    """

    coord: NDArray[np.float32]
    drift: tuple[float, ...]
    seconds: float
    calls: int
    trajectory: Trajectory | None = None


def assemble_domains(
    model: LoadedModel,
    requests: Sequence[AssemblyRequest],
    sampling: Sampling,
    *,
    draws: int = 1,
    batch_size: int = 0,
    close: bool = True,
    trajectory: bool = False,
) -> list[Assembly]:
    """Assemble chains.

    Parameters
    ----------
    model : LoadedModel
        The assembler.
    requests : sequence of AssemblyRequest
        What to assemble.
    sampling : Sampling
        How.
    draws : int, optional
        So many requests in a row are draws of one chain and share a batch.
    batch_size : int, optional
        Chains at once; 0 chooses.
    close : bool, optional
        Close peptide bonds and remove clashes; rigid domains move as bodies.
    trajectory : bool, optional
        Keep the way from noise.

    Returns
    -------
    list of Assembly
        In the order of the requests. Coordinates that are not finite mark a failed sample.
    """
    chains: dict[int, Assembly] = {}
    alone = any(request.start is not None for request in requests)
    grouping = "cpu" if alone else model.device  # a start belongs to one chain
    lengths = [request.length for request in requests[::draws]]
    for chosen_chains in groups(lengths, batch_size, grouping, draws):
        batch = [chain * draws + draw for chain in chosen_chains for draw in range(draws)]
        chosen = [requests[k] for k in batch]
        conditions = [request.condition() for request in chosen]
        condition = stack_conditions(conditions)
        wishes = [r.wishes(c) for r, c in zip(chosen, conditions, strict=True)]
        drawn = sample_backbones(
            model,
            condition.to(model.device),
            [request.key for request in chosen],
            sampling,
            wishes=wishes if any(wishes) else (),
            start=_beginnings(chosen),
            trajectory=trajectory,
        )
        start = time.perf_counter()
        finished = [
            _finished(drawn.coord[row, : request.length], request, close)
            for row, request in enumerate(chosen)
        ]
        seconds = drawn.seconds + time.perf_counter() - start
        for row, (k, request) in enumerate(zip(batch, chosen, strict=True)):
            final = finished[row]
            chains[k] = Assembly(
                final,
                tuple(_drift(final, inside) for inside in request.insides),
                seconds / len(batch),
                drawn.calls,
                trajectory_of(drawn, row, request.length) if trajectory else None,
            )
    return [chains[k] for k in range(len(requests))]


def _beginnings(requests: Sequence[AssemblyRequest]) -> Start | None:
    """Stack the starts of several draws of one chain."""
    starts = [start for request in requests if (start := request.beginning()) is not None]
    if not starts:
        return None
    rot, trans = (torch.cat([getattr(s, name) for s in starts]) for name in ("rot", "trans"))
    return Start(rot, trans, starts[0].t)


def _finished(drawn: torch.Tensor, request: AssemblyRequest, close: bool) -> NDArray[np.float32]:
    """Lay rigid bodies and close the chain; domains that lost their inside are laid as given.

    The network sometimes loses one of many domains, by more than `adapt` allows. Such a domain is
    taken for a rigid one, and the chain is finished again.
    """
    coord = drawn.clone()
    _lay_rigid(coord, request)
    if close and bool(coord.isfinite().all()):
        coord = close_chain(coord, request.rigid, request.bonded, request.domain, request.bounds)
    final: NDArray[np.float32] = coord.numpy()
    limit = _NEARLY * DRIFT["adapt"]
    lost = [one.mode == "adapt" and _drift(final, one) > limit for one in request.insides]
    if not any(lost):
        return final
    insides = (
        replace(one, mode="rigid") if is_lost else one
        for one, is_lost in zip(request.insides, lost, strict=True)
    )
    return _finished(drawn, replace(request, insides=tuple(insides)), close)


def _lay_rigid(coord: torch.Tensor, request: AssemblyRequest) -> None:
    """Replace the atoms of rigid bodies by the given ones, superposed on N, CA and C."""
    for members in request.bodies():
        rows = np.concatenate([np.arange(inside.start, inside.stop) for inside in members])
        given = np.concatenate([inside.coord for inside in members])
        target = coord[rows, :3].reshape(-1, 3).numpy()
        if not np.isfinite(target).all():
            continue
        rot, trans = superpose(given[:, :3].reshape(-1, 3), target)
        laid = move(given.reshape(-1, 3), rot, trans).reshape(-1, 4, 3)
        coord[rows] = torch.as_tensor(laid, dtype=coord.dtype)


def _drift(coord: NDArray[np.float32], inside: Inside) -> float:
    """CA-RMSD of a domain inside the chain from the domain as given."""
    here = coord[inside.start : inside.stop, 1]
    return float(rmsd(inside.coord[:, 1], here)) if np.isfinite(here).all() else float("nan")
