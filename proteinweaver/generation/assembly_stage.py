"""Stage 2: domains into one chain.

The assembler knows every domain from inside and nothing about their relative poses or the linkers.
What it returns for a rigid domain is a pose: the given atoms are laid onto it exactly, and the
closing step moves each such domain as one body.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from proteinweaver.evaluation.superposition import move, rmsd, superpose
from proteinweaver.generation.batching import groups
from proteinweaver.generation.condition import Piece, condition_for, stack_conditions
from proteinweaver.generation.domain_stage import finite_rows, trajectory_of
from proteinweaver.generation.model import LoadedModel
from proteinweaver.generation.results import Trajectory
from proteinweaver.generation.sampling import Sampling, sample_backbones
from proteinweaver.io.spec import Mode
from proteinweaver.nets.condition import Condition
from proteinweaver.structure.closure import close_backbone
from samplers.noise import NoiseKey

__all__ = ["Assembly", "AssemblyRequest", "Inside", "assemble_domains"]

#: Residues that a break inside a domain is taken to span where the numbering does not tell.
_UNKNOWN_GAP = 8


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
    """

    start: int
    coord: NDArray[np.float32]
    mode: Mode = "rigid"
    gap_after: tuple[tuple[int, int], ...] = ()

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
    """

    length: int
    insides: tuple[Inside, ...]
    key: NoiseKey

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
        """Number of the rigid domain of every residue, -1 for none."""
        number = np.full(self.length, -1, dtype=np.int64)
        for k, inside in enumerate(self.insides):
            if inside.mode == "rigid":
                number[inside.start : inside.stop] = k
        return number

    def condition(self) -> Condition:
        """Return what the assembler is told, shapes (1, length, ...)."""
        pieces = [Piece(inside.start, inside.coord, inside.mode) for inside in self.insides]
        condition = condition_for(self.length, pieces)
        jump = torch.zeros(self.length, dtype=torch.int64)
        for inside in self.insides:
            for position, missing in inside.gap_after:
                if inside.start + position + 1 < self.length:
                    jump[inside.start + position + 1] = missing if missing > 0 else _UNKNOWN_GAP
        return replace(condition, index=condition.index + jump.cumsum(0))


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
    batch_size: int = 0,
    close: bool = True,
    trajectory: bool = False,
    on_batch: Callable[[int], None] | None = None,
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
    batch_size : int, optional
        Chains at once; 0 chooses.
    close : bool, optional
        Close peptide bonds and remove clashes; rigid domains move as bodies.
    trajectory : bool, optional
        Keep the way from noise.
    on_batch : callable, optional
        Called with the number of chains of every finished batch.

    Returns
    -------
    list of Assembly
        In the order of the requests. Coordinates that are not finite mark a failed sample.
    """
    chains: dict[int, Assembly] = {}
    for batch in groups([request.length for request in requests], batch_size, model.device):
        chosen = [requests[k] for k in batch]
        condition = stack_conditions([request.condition() for request in chosen])
        drawn = sample_backbones(
            model,
            condition.to(model.device),
            [request.key for request in chosen],
            sampling,
            trajectory=trajectory,
        )
        start = time.perf_counter()
        coord = drawn.coord.clone()
        for row, request in enumerate(chosen):
            _lay_rigid(coord[row], request)
        sound = finite_rows(coord, condition.mask)
        if close and bool(sound.any()):
            coord[sound] = _close(coord, condition, chosen, sound)
        seconds = drawn.seconds + time.perf_counter() - start
        for row, (k, request) in enumerate(zip(batch, chosen, strict=True)):
            final = coord[row, : request.length].numpy().copy()
            chains[k] = Assembly(
                final,
                tuple(_drift(final, inside) for inside in request.insides),
                seconds / len(batch),
                drawn.calls,
                trajectory_of(drawn, row, request.length) if trajectory else None,
            )
        if on_batch is not None:
            on_batch(len(batch))
    return [chains[k] for k in range(len(requests))]


def _lay_rigid(coord: torch.Tensor, request: AssemblyRequest) -> None:
    """Replace the atoms of rigid domains by the given ones, superposed on N, CA and C."""
    for inside in request.insides:
        rows = slice(inside.start, inside.stop)
        target = coord[rows, :3].reshape(-1, 3).numpy()
        if inside.mode != "rigid" or not np.isfinite(target).all():
            continue
        rot, trans = superpose(inside.coord[:, :3].reshape(-1, 3), target)
        laid = move(inside.coord.reshape(-1, 3), rot, trans).reshape(-1, 4, 3)
        coord[rows] = torch.as_tensor(laid, dtype=coord.dtype)


def _close(
    coord: torch.Tensor,
    condition: Condition,
    requests: Sequence[AssemblyRequest],
    sound: torch.Tensor,
) -> torch.Tensor:
    """Close the sound items of a batch."""
    shape = condition.mask.shape
    piece = torch.full(shape, -1)
    bonded = torch.ones(shape, dtype=torch.bool)
    for row, request in enumerate(requests):
        piece[row, : request.length] = torch.as_tensor(request.rigid)
        bonded[row, : request.length] = torch.as_tensor(request.bonded)
    return close_backbone(
        coord[sound], condition.mask[sound], piece[sound], bonded=bonded[sound]
    ).coord


def _drift(coord: NDArray[np.float32], inside: Inside) -> float:
    """CA-RMSD of a domain inside the chain from the domain as given."""
    here = coord[inside.start : inside.stop, 1]
    return float(rmsd(inside.coord[:, 1], here)) if np.isfinite(here).all() else float("nan")
