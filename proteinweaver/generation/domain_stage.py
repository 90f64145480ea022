"""Stage 1: single domains from the domain generator.

A domain starts as a blueprint, a string of helix, strand and loop lengths drawn from statistics of
natives; the ideal insides of its elements are the pieces of a spliced map, and the generator
weaves them into a fold.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from samplers.noise import NoiseKey, derive_seed

from proteinweaver.domains.blueprint import draw_blueprint
from proteinweaver.generation.batching import groups
from proteinweaver.generation.condition import (
    condition_for,
    pieces_of_blueprint,
    stack_conditions,
)
from proteinweaver.generation.model import LoadedModel
from proteinweaver.generation.results import Trajectory
from proteinweaver.generation.sampling import SampledBatch, Sampling, sample_backbones
from proteinweaver.structure.closure import close_backbone

__all__ = ["DomainRequest", "DomainSample", "sample_domains", "trajectory_of"]


@dataclass(frozen=True)
class DomainRequest:
    """One domain to generate.

    Parameters
    ----------
    length : int
        Residues.
    key : NoiseKey
        Address of its noise; also decides its blueprint.
    """

    length: int
    key: NoiseKey

    @property
    def blueprint(self) -> str:
        """Secondary structure to ask for, letters HEL, `length` long."""
        key = self.key
        seed = derive_seed(key.seed, key.job, key.index, key.stage, "blueprint")
        return draw_blueprint(self.length, seed)


@dataclass(frozen=True)
class DomainSample:
    """A generated domain.

    Parameters
    ----------
    coord : ndarray, dtype=float32, shape=(n, 4, 3)
        N, CA, C, O in angstrom.
    blueprint : str
        What was asked for.
    seconds : float
        Its share of the batch's time.
    calls : int
        Network evaluations.
    trajectory : Trajectory, optional
        If asked for.
    """

    coord: NDArray[np.float32]
    blueprint: str
    seconds: float
    calls: int
    trajectory: Trajectory | None = None


def sample_domains(
    model: LoadedModel,
    requests: Sequence[DomainRequest],
    sampling: Sampling,
    *,
    batch_size: int = 0,
    close: bool = True,
    trajectory: bool = False,
    on_batch: Callable[[int], None] | None = None,
) -> list[DomainSample]:
    """Generate domains.

    Parameters
    ----------
    model : LoadedModel
        The domain generator.
    requests : sequence of DomainRequest
        What to generate.
    sampling : Sampling
        How.
    batch_size : int, optional
        Domains at once; 0 chooses.
    close : bool, optional
        Close peptide bonds and remove clashes.
    trajectory : bool, optional
        Keep the way from noise.
    on_batch : callable, optional
        Called with the number of domains of every finished batch.

    Returns
    -------
    list of DomainSample
        In the order of the requests. Coordinates that are not finite mark a failed sample.
    """
    samples: dict[int, DomainSample] = {}
    for batch in groups([request.length for request in requests], batch_size, model.device):
        blueprints = [requests[k].blueprint for k in batch]
        condition = stack_conditions(
            [condition_for(len(text), pieces_of_blueprint(text), text) for text in blueprints]
        )
        keys = [requests[k].key for k in batch]
        drawn = sample_backbones(
            model, condition.to(model.device), keys, sampling, trajectory=trajectory
        )
        coord, seconds = drawn.coord, drawn.seconds
        if close and bool(torch.isfinite(coord[condition.mask]).all()):
            closed = close_backbone(coord, condition.mask)
            coord, seconds = closed.coord, seconds + closed.seconds
        for row, k in enumerate(batch):
            samples[k] = DomainSample(
                coord[row, : requests[k].length].numpy().copy(),
                blueprints[row],
                seconds / len(batch),
                drawn.calls,
                trajectory_of(drawn, row, requests[k].length) if trajectory else None,
            )
        if on_batch is not None:
            on_batch(len(batch))
    return [samples[k] for k in range(len(requests))]


def trajectory_of(drawn: SampledBatch, row: int, length: int) -> Trajectory:
    """Cut the trajectory of one item out of a batch.

    Parameters
    ----------
    drawn : SampledBatch
        Sampled with ``trajectory=True``.
    row : int
        The item.
    length : int
        Its residues.

    Returns
    -------
    Trajectory
    """
    return Trajectory(
        noisy=np.stack([state[row, :length].numpy() for state in drawn.noisy]),
        clean=np.stack([state[row, :length].numpy() for state in drawn.clean]),
    )
