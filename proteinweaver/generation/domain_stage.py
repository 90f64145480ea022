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
from proteinweaver.generation.choice import domain_worth
from proteinweaver.generation.condition import (
    condition_for,
    pieces_of_blueprint,
    stack_conditions,
)
from proteinweaver.generation.layout_stage import draw_layouts
from proteinweaver.generation.model import LoadedModel
from proteinweaver.generation.results import Trajectory
from proteinweaver.generation.sampling import SampledBatch, Sampling, sample_backbones
from proteinweaver.io.spec import Fold
from proteinweaver.nets.coarse import FEWEST_MARKS, marks
from proteinweaver.nets.condition import Condition
from proteinweaver.structure.closure import ClosureForces, close_backbone
from samplers.noise import NoiseKey, derive_seed

__all__ = [
    "DomainRequest",
    "DomainSample",
    "LayoutDraw",
    "close_domains",
    "sample_domains",
    "trajectory_of",
]

#: Strands of a generated domain are often a fraction of an angstrom short of pairing, so hydrogen
#: bonds pull harder and from further away than where domains are given.
_FORCES = ClosureForces(hydrogen_bond=6.0, hydrogen_bond_reach=4.0)
#: Adam steps and their first size: as good as twice as many of 0.1 A at half the force.
_STEPS, _RATE = 100, 0.15
_CLOSED_AT_ONCE = 32
#: From design to design, of the places that choose fold classes, by domain of the chain. No one is
#: a rational sum of others, so that classes of one domain go with all of another.
_PLACE_STEPS = ((5**0.5 - 1) / 2, *(prime**0.5 % 1 for prime in (2, 3, 7, 11, 13, 17, 19)))


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
        Class of a blueprint to draw; empty: as natives have it, each a fifth at least.
    loop_tilt, strand_tilt : float, optional
        Make loops of a blueprint to draw shorter, strands longer.
    candidates : int, optional
        Times it is drawn, each from a layout of its own, in one batch; the best is kept
        (`proteinweaver.generation.choice`).
    number : int, optional
        Which domain of its chain it is, from 0.
    """

    length: int
    key: NoiseKey
    blueprint: str = ""
    fold: Fold = ""
    loop_tilt: float = 0.0
    strand_tilt: float = 0.0
    candidates: int = 1
    number: int = 0

    def candidate_keys(self) -> list[NoiseKey]:
        """Return addresses of the noise of every draw."""
        return [self.key.draw(k) for k in range(self.candidates)]

    def drawn_blueprint(self) -> str:
        """Return the blueprint, drawn if none is given.

        Fold classes of the designs of a job are spread evenly: their places are a Kronecker
        sequence (multiples of an irrational number, without their whole parts) that begins at a
        place of the job's own.
        """
        if self.blueprint:
            return self.blueprint
        key = self.key
        seed = derive_seed(key.seed, key.job, key.index, key.stage, "blueprint")
        first = derive_seed(key.seed, key.job, key.stage, "fold") / 2**64
        step = _PLACE_STEPS[self.number % len(_PLACE_STEPS)]
        return draw_blueprint(
            self.length,
            seed,
            fold=self.fold or None,
            place=(first + key.index * step) % 1.0,
            loop_tilt=self.loop_tilt,
            strand_tilt=self.strand_tilt,
        )


@dataclass(frozen=True)
class LayoutDraw:
    """How layouts are drawn before the domains themselves.

    Parameters
    ----------
    model : LoadedModel
        The layout model.
    sampling : Sampling
        How it is sampled.
    t : float
        Time at which the domain generator takes over.
    """

    model: LoadedModel
    sampling: Sampling
    t: float


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
        Its share of the batch's time, all candidates counted.
    calls : int
        Network evaluations; one evaluates all candidates.
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
    layout: LayoutDraw | None = None,
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
    layout : LayoutDraw, optional
        Draw layouts first and begin there, with the share of the steps that is left; blueprints of
        hardly an element begin at noise all the same.
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
    blueprints = [request.drawn_blueprint() for request in requests]
    conditions = [
        condition_for(len(text), pieces_of_blueprint(text, _piece_rng(request.key)), text)
        for request, text in zip(requests, blueprints, strict=True)
    ]
    has_layout = [layout is not None and len(marks(c)) >= FEWEST_MARKS for c in conditions]
    drawn: dict[int, list[DomainSample]] = {}
    for from_layout in sorted(set(has_layout)):
        chosen = [k for k, has in enumerate(has_layout) if has == from_layout]
        lengths = [requests[k].length for k in chosen]
        draws = max((requests[k].candidates for k in chosen), default=1)
        for batch in groups(lengths, batch_size, model.device, draws):
            numbers = [chosen[k] for k in batch]
            found = _sampled(
                model,
                [conditions[k] for k in numbers],
                [requests[k].candidate_keys() for k in numbers],
                sampling,
                layout if from_layout else None,
                trajectory,
            )
            row = 0
            for k in numbers:
                length, count = requests[k].length, requests[k].candidates
                drawn[k] = [
                    DomainSample(
                        found.coord[one, :length].numpy().copy(),
                        blueprints[k],
                        found.seconds / len(found.coord),
                        found.calls,
                        trajectory_of(found, one, length) if trajectory else None,
                    )
                    for one in range(row, row + count)
                ]
                row += count
    return _kept([drawn[k] for k in range(len(requests))], close)


def _sampled(
    model: LoadedModel,
    conditions: Sequence[Condition],
    keys: Sequence[Sequence[NoiseKey]],
    sampling: Sampling,
    layout: LayoutDraw | None,
    trajectory: bool,
) -> SampledBatch:
    """Sample a batch, candidate after candidate, from noise or each from a layout of its own."""
    begun = time.perf_counter()
    start, calls = None, 0
    every = [conditions[k] for k, own in enumerate(keys) for _ in own]
    addresses = [key for own in keys for key in own]
    if layout is not None:
        start, calls = draw_layouts(layout.model, every, addresses, layout.sampling, layout.t)
        sampling = replace(sampling, num_steps=max(1, round(layout.t * sampling.num_steps)))
    drawn = sample_backbones(
        model,
        stack_conditions(every).to(model.device),
        addresses,
        sampling,
        start=start,
        trajectory=trajectory,
    )
    return replace(drawn, seconds=time.perf_counter() - begun, calls=drawn.calls + calls)


def _kept(drawn: Sequence[Sequence[DomainSample]], close: bool) -> list[DomainSample]:
    """Close all candidates, many at a time, and keep the best of each domain."""
    samples = [sample for own in drawn for sample in own]
    if close:
        samples = _closed(samples)
    kept, start = [], 0
    for own in drawn:
        candidates = samples[start : start + len(own)]
        start += len(own)
        best = candidates[0]
        if len(candidates) > 1:
            begun = time.perf_counter()
            worth = domain_worth([sample.coord for sample in candidates], close)
            best = candidates[max(range(len(candidates)), key=lambda k: worth[k])]
            seconds = sum(sample.seconds for sample in candidates) + time.perf_counter() - begun
            best = replace(best, seconds=seconds)
        kept.append(best)
    return kept


def _closed(samples: Sequence[DomainSample]) -> list[DomainSample]:
    """Close the sound ones, many at a time."""
    done = list(samples)
    sound = [k for k, sample in enumerate(samples) if np.isfinite(sample.coord).all()]
    start = time.perf_counter()
    closed = close_domains([samples[k].coord for k in sound])
    seconds = (time.perf_counter() - start) / max(1, len(sound))
    for k, coord in zip(sound, closed, strict=True):
        done[k] = replace(samples[k], coord=coord, seconds=samples[k].seconds + seconds)
    return done


def close_domains(chains: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Close peptide bonds and remove clashes as in every generated domain.

    Parameters
    ----------
    chains : sequence of ndarray, shape=(L, 4, 3)
        N, CA, C, O in angstrom; finite.

    Returns
    -------
    list of ndarray, dtype=float32
        Alone each comes out the same to the last bit.
    """
    done: list[NDArray[np.float32]] = []
    for first in range(0, len(chains), _CLOSED_AT_ONCE):
        batch = chains[first : first + _CLOSED_AT_ONCE]
        lengths = [len(chain) for chain in batch]
        mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        coord = torch.zeros(*mask.shape, 4, 3)
        coord[mask] = torch.from_numpy(np.concatenate(batch))
        closed = close_backbone(coord, mask, forces=_FORCES, steps=_STEPS, rate=_RATE).coord
        done += [closed[row, :length].numpy().copy() for row, length in enumerate(lengths)]
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
