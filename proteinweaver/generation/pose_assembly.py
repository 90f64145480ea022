"""Assembly from poses: the linkers first, the interfaces after.

A chain to begin with holds domains in poses of their own and straight linkers. With the noise that
builds linkers the network loses a good pose, with the little noise that keeps it straight linkers
stay open (docs/assembly.md). So the linkers are built around the domains held as one body, and
then each domain alone settles where it touches.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from proteinweaver.generation.assembly_stage import Assembly, AssemblyRequest, assemble_domains
from proteinweaver.generation.model import LoadedModel
from proteinweaver.generation.results import Trajectory
from proteinweaver.generation.sampling import Sampling

__all__ = ["LINKERS_T", "SETTLING_T", "assemble_poses"]

#: Time of the noise with which linkers are built, and in which share of the steps.
LINKERS_T, _LINKERS_STEPS = 0.3, 0.15
#: Time of the noise with which interfaces settle.
SETTLING_T = 0.1
#: Contacts to which settling domains are drawn, of the native trend: found poses touch already.
_CONTACT_SHARE = 1.0


def assemble_poses(
    model: LoadedModel,
    requests: Sequence[AssemblyRequest],
    sampling: Sampling,
    *,
    draws: int = 1,
    batch_size: int = 0,
    close: bool = True,
    trajectory: bool = False,
) -> list[Assembly]:
    """Assemble chains near the poses that they start with.

    Parameters
    ----------
    model : LoadedModel
        The assembler.
    requests : sequence of AssemblyRequest
        What to assemble, each with a ``start``; the noise, the draw to contacts and groups are
        chosen here.
    sampling : Sampling
        How from noise; a quarter of its steps is taken.
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
    linked = assemble_domains(
        model,
        [_held(request) for request in requests],
        sampling.part(_LINKERS_STEPS),
        draws=draws,
        batch_size=batch_size,
        close=False,
        trajectory=trajectory,
    )
    settled = assemble_domains(
        model,
        [_alone(request, chain) for request, chain in zip(requests, linked, strict=True)],
        sampling.part(SETTLING_T),
        draws=draws,
        batch_size=batch_size,
        close=close,
        trajectory=trajectory,
    )
    return [_joined(*both) for both in zip(linked, settled, strict=True)]


def _held(request: AssemblyRequest) -> AssemblyRequest:
    """Hold all domains as one body, in the poses of the start."""
    assert request.start is not None
    body = tuple(
        replace(inside, coord=request.start[inside.start : inside.stop], group=0)
        for inside in request.insides
    )
    return replace(request, insides=body, contact_share=0.0, start_t=LINKERS_T)


def _alone(request: AssemblyRequest, linked: Assembly) -> AssemblyRequest:
    key = request.key.with_stage(f"{request.key.stage}-settling")
    return replace(
        request,
        key=key,
        start=linked.coord,
        start_t=SETTLING_T,
        contact_share=_CONTACT_SHARE,
    )


def _joined(linked: Assembly, settled: Assembly) -> Assembly:
    """Count the work of both ways, one after the other."""
    way = None
    if linked.trajectory is not None and settled.trajectory is not None:
        first, second = linked.trajectory, settled.trajectory
        way = Trajectory(
            noisy=np.concatenate((first.noisy, second.noisy)),
            clean=np.concatenate((first.clean, second.clean)),
        )
    return replace(
        settled,
        seconds=linked.seconds + settled.seconds,
        calls=linked.calls + settled.calls,
        trajectory=way,
    )
