r"""Reference flows: the probability-flow ODE solved to about 1e-10, whatever the target.

Everything is integrated by DOP853 ([1]_) in the clock s = log rho, where the right side stays
bounded. On R^n the variable is y = x / sqrt(alpha^2 + sigma^2), so that nothing is large:

    dy/ds = -rho^2 / (1 + rho^2) y - rho^2 / sqrt(1 + rho^2) score(x/alpha; 1, rho).

On SO(3), dR/d log sigma = -sigma^2 R hat(score). Rotations are carried as nine numbers and
projected where the score is read, which keeps the order. Frames have two laws; their common
variable is t and the clock is s = log rho of the translations.

The step control is on the RMS over the whole batch: `check` integrates again with a tolerance ten
times smaller and reports the largest difference, the self-check to print with a table. Between
1e-11 and 1e-12 it is 1e-11 on the mixtures of `samplers.targets.benchmark`, 5e-12 on rotations and
frames, and some 1e-10 on Student and funnel, whose points are larger.

References
----------
.. [1] E. Hairer, S. Norsett, G. Wanner, "Solving ordinary differential equations I", II.5.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from torch import Tensor

from samplers import so3
from samplers.schedules import NoiseLaw
from samplers.spaces import State
from samplers.targets.base import Target
from samplers.targets.frames import FrameMixture
from samplers.targets.rotation import IGSO3Mixture

__all__ = ["cached", "check", "flow", "frame_flow", "rotation_flow", "score_flow"]

ScoreAt = Callable[[Tensor, float, float], Tensor]
_TOLERANCE = 1e-12


def _solve(
    velocity: Callable[[float, NDArray[np.float64]], NDArray[np.float64]],
    ends: tuple[float, float],
    start: Tensor,
    tolerance: float,
) -> Tensor:
    flat = start.detach().to("cpu", torch.float64).numpy().ravel()
    out = solve_ivp(velocity, ends, flat, method="DOP853", rtol=tolerance, atol=tolerance)
    if not out.success:
        raise ValueError(f"the reference flow failed: {out.message}")
    return torch.from_numpy(np.ascontiguousarray(out.y[:, -1]))


def score_flow(
    score: ScoreAt,
    x: Tensor,
    start: tuple[float, float],
    end: tuple[float, float],
    tolerance: float = _TOLERANCE,
) -> Tensor:
    """Flow of any score function on R^n from (alpha, sigma) = ``start`` to ``end``.

    Parameters
    ----------
    score : callable (x, alpha, sigma) -> Tensor
        Called with alpha^2 + sigma^2 = 1.
    x : Tensor, shape=(..., n)
    start, end : tuple (alpha, sigma)
    tolerance : float
        Relative and absolute, at least 3e-14.

    Returns
    -------
    Tensor, shape of ``x``, float64
    """
    shape = x.shape

    def velocity(s: float, flat: NDArray[np.float64]) -> NDArray[np.float64]:
        rho = math.exp(s)
        root = math.sqrt(1 + rho * rho)
        y = torch.from_numpy(flat).reshape(shape)
        value = score(y, 1 / root, rho / root)
        slope: NDArray[np.float64] = (-((rho / root) ** 2) * (y + value)).numpy().ravel()
        return slope

    norm0, norm1 = math.hypot(*start), math.hypot(*end)
    ends = math.log(start[1] / start[0]), math.log(end[1] / end[0])
    return norm1 * _solve(velocity, ends, x / norm0, tolerance).reshape(shape)


def flow(
    target: Target,
    x: Tensor,
    start: tuple[float, float],
    end: tuple[float, float],
    tolerance: float = _TOLERANCE,
) -> Tensor:
    """Exact flow of a target on R^n: its closed form if it has one, else `score_flow`."""
    closed = getattr(target, "flow", None)
    if closed is not None:
        solution: Tensor = closed(x, start, end)
        return solution
    return score_flow(target.score, x, start, end, tolerance)


def rotation_flow(
    target: IGSO3Mixture, rot: Tensor, start: float, end: float, tolerance: float = _TOLERANCE
) -> Tensor:
    """Flow on SO(3) from noise ``start`` to noise ``end``, shape of ``rot`` (..., 3, 3)."""

    def velocity(s: float, flat: NDArray[np.float64]) -> NDArray[np.float64]:
        sigma = math.exp(s)
        now = torch.from_numpy(flat).reshape(rot.shape)
        u = -(sigma**2) * target.score(so3.project(now), sigma)
        slope: NDArray[np.float64] = (now @ so3.hat(u)).numpy().ravel()
        return slope

    ends = math.log(start), math.log(end)
    return so3.project(_solve(velocity, ends, rot, tolerance).reshape(rot.shape))


def frame_flow(
    target: FrameMixture,
    state: State,
    laws: tuple[NoiseLaw, NoiseLaw],
    start: float,
    end: float,
    tolerance: float = _TOLERANCE,
) -> State:
    """Flow of frames from time ``start`` to ``end`` under the laws of translations and rotations.

    Parameters
    ----------
    target : FrameMixture
    state : (Tensor, Tensor), shapes=(..., L, 3) and (..., L, 3, 3)
    laws : (NoiseLaw, NoiseLaw)
    start, end : float
        Times in (0, 1].
    tolerance : float
        Of the solver, relative and absolute.

    Returns
    -------
    (Tensor, Tensor)
    """
    law, law_rot = laws
    shapes = state[0].shape, state[1].shape
    split = state[0].numel()

    def velocity(s: float, flat: NDArray[np.float64]) -> NDArray[np.float64]:
        rho = math.exp(s)
        root = math.sqrt(1 + rho * rho)
        t = law.t_from_rho(rho)
        sigma_rot = law_rot.sigma(t)
        y = torch.from_numpy(flat[:split]).reshape(shapes[0])
        rot = torch.from_numpy(flat[split:]).reshape(shapes[1])
        along, turning = target.score((y, so3.project(rot)), 1 / root, rho / root, sigma_rot)
        # d tau / ds = (d sigma_rot^2 / dt) / (d log rho / dt), halved in the flow
        rate = law_rot.g2(t) * law.sigma(t) ** 2 / law.g2(t)
        slopes = (
            (-((rho / root) ** 2) * (y + along)).numpy().ravel(),
            (rot @ so3.hat(-rate * turning)).numpy().ravel(),
        )
        return np.concatenate(slopes)

    a, b = (law.rho(t) for t in (start, end))
    norm0, norm1 = (math.hypot(law.alpha(t), law.sigma(t)) for t in (start, end))
    packed = torch.cat((state[0].double().flatten() / norm0, state[1].double().flatten()))
    out = _solve(velocity, (math.log(a), math.log(b)), packed, tolerance)
    return norm1 * out[:split].reshape(shapes[0]), so3.project(out[split:].reshape(shapes[1]))


def check(solve: Callable[[float], Tensor], tolerance: float = 1e-11) -> tuple[Tensor, float]:
    """Solution at ``tolerance / 10`` and its largest difference from the one at ``tolerance``.

    Parameters
    ----------
    solve : callable (tolerance) -> Tensor
        A flow with everything else bound.
    tolerance : float

    Returns
    -------
    solution : Tensor
    difference : float
    """
    rough, fine = solve(tolerance), solve(tolerance / 10)
    return fine, float((fine - rough).abs().max())


def cached(
    folder: str | Path | None, key: tuple[object, ...], compute: Callable[[], Tensor]
) -> Tensor:
    """Keep the result of ``compute`` in ``folder`` under the hash of its inputs.

    Parameters
    ----------
    folder : path or None
        None computes always.
    key : tuple
        Everything the result depends on: tensors enter by their bytes, the rest by its repr.
        Give the tensors of a target, not the target.
    compute : callable () -> Tensor

    Returns
    -------
    Tensor
    """
    if folder is None:
        return compute()
    digest = hashlib.sha256()
    for part in key:
        if isinstance(part, Tensor):
            array = part.detach().cpu().contiguous().numpy()
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(array.tobytes())
        else:
            digest.update(repr(part).encode())
        digest.update(b"|")
    path = Path(folder) / f"flow-{digest.hexdigest()[:24]}.npy"
    if path.is_file():
        return torch.from_numpy(np.load(path))
    value = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part.npy")
    np.save(partial, value.numpy())
    partial.replace(path)
    return value
