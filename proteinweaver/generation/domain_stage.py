"""Stage 1: single domains from the domain generator.

A domain starts as a blueprint, a string of helix, strand and loop lengths drawn from statistics of
natives; the ideal insides of its elements are the pieces of a spliced map, and the generator
weaves them into a fold.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

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
from proteinweaver.io.spec import Fold
from proteinweaver.structure.closure import ClosureForces, close_backbone
from samplers.noise import NoiseKey, derive_seed

__all__ = ["DomainRequest", "DomainSample", "sample_domains", "trajectory_of"]

#: Strands of a generated domain are often a fraction of an angstrom short of pairing, so hydrogen
#: bonds pull harder and from further away than where domains are given.
_FORCES = ClosureForces(hydrogen_bond=6.0, hydrogen_bond_reach=4.0)
#: Adam steps and their first size: as good as twice as many of 0.1 A at half the force.
_STEPS, _RATE = 100, 0.15
_CLOSED_AT_ONCE = 32


@dataclass(frozen=True)
class DomainRequest:
    """One domain to generate.

    Parameters
    ----------
    length : int
        Residues.
    key : NoiseKey
        Address of its noise, and of the draw of its blueprint.
    blueprint : str, optional
        Secondary structure to ask for, `length` letters HEL; empty: drawn.
    fold : {"", "alpha", "beta", "mixed"}, optional
        Class of a blueprint to draw; empty: as natives have it.
    loop_tilt : float, optional
        Makes loops of a blueprint to draw shorter.
    """

    length: int
    key: NoiseKey
    blueprint: str = ""
    fold: Fold = ""
    loop_tilt: float = 0.0

    def drawn_blueprint(self) -> str:
        """Return the blueprint, drawn if none is given."""
        if self.blueprint:
            return self.blueprint
        key = self.key
        seed = derive_seed(key.seed, key.job, key.index, key.stage, "blueprint")
        return draw_blueprint(self.length, seed, fold=self.fold or None, loop_tilt=self.loop_tilt)


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

    Returns
    -------
    list of DomainSample
        In the order of the requests. Coordinates that are not finite mark a failed sample.
    """
    samples: dict[int, DomainSample] = {}
    for batch in groups([request.length for request in requests], batch_size, model.device):
        blueprints = [requests[k].drawn_blueprint() for k in batch]
        condition = stack_conditions(
            [
                condition_for(
                    len(text), pieces_of_blueprint(text, _piece_rng(requests[k].key)), text
                )
                for k, text in zip(batch, blueprints, strict=True)
            ]
        )
        keys = [requests[k].key for k in batch]
        drawn = sample_backbones(
            model, condition.to(model.device), keys, sampling, trajectory=trajectory
        )
        for row, k in enumerate(batch):
            samples[k] = DomainSample(
                drawn.coord[row, : requests[k].length].numpy().copy(),
                blueprints[row],
                drawn.seconds / len(batch),
                drawn.calls,
                trajectory_of(drawn, row, requests[k].length) if trajectory else None,
            )
    drawn_all = [samples[k] for k in range(len(requests))]
    return _closed(drawn_all) if close else drawn_all


def _closed(samples: Sequence[DomainSample]) -> list[DomainSample]:
    """Close the sound ones, many at a time; alone each comes out the same to the last bit."""
    done = list(samples)
    sound = [k for k, sample in enumerate(samples) if np.isfinite(sample.coord).all()]
    for first in range(0, len(sound), _CLOSED_AT_ONCE):
        start = time.perf_counter()
        batch = sound[first : first + _CLOSED_AT_ONCE]
        lengths = [len(samples[k].coord) for k in batch]
        mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        coord = torch.zeros(*mask.shape, 4, 3)
        coord[mask] = torch.from_numpy(np.concatenate([samples[k].coord for k in batch]))
        closed = close_backbone(coord, mask, forces=_FORCES, steps=_STEPS, rate=_RATE).coord
        seconds = (time.perf_counter() - start) / len(batch)
        for row, k in enumerate(batch):
            done[k] = replace(
                samples[k],
                coord=closed[row, : lengths[row]].numpy().copy(),
                seconds=samples[k].seconds + seconds,
            )
    return done


def _piece_rng(key: NoiseKey) -> np.random.Generator:
    """Draws of a domain's pieces, keyed like its noise."""
    return np.random.default_rng(derive_seed(key.seed, key.job, key.index, key.stage, "pieces"))


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
