r"""A small trained score network in two dimensions, so that learned fields are seen too.

`scripts/train_toy_score.py` fits it to `samplers.targets.benchmark.mixture(2)`; the law it should
have learned is therefore known exactly, and with it the error of its score and of its divergence.
In z = x/alpha it predicts the clean point, preconditioned as in [1]_ with unit data variance,

    x0 = z / (1 + rho^2) + rho / sqrt(1 + rho^2) F(z / sqrt(1 + rho^2), log rho),
    score = (alpha x0 - x) / sigma^2,

F a perceptron with SiLU units, smooth, so that the score has derivatives of all orders. The
Jacobian is carried through the layers beside the values.

References
----------
.. [1] T. Karras et al., "Elucidating the design space of diffusion-based generative models",
   NeurIPS 2022, arXiv:2206.00364, table 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

__all__ = ["WEIGHTS", "LearnedScore", "features", "load"]

WEIGHTS = Path(__file__).with_name("toy_score.npz")
_WAVES = 4


def features(log_rho: Tensor) -> Tensor:
    """Fourier features of the noise level, shape (...) -> (..., 8)."""
    angle = log_rho.unsqueeze(-1) * (
        0.25 * 2.0 ** torch.arange(_WAVES, dtype=log_rho.dtype, device=log_rho.device)
    )
    return torch.cat((angle.sin(), angle.cos()), -1)


@dataclass(frozen=True, eq=False)
class LearnedScore:
    """The trained network; has no density of its own.

    Attributes
    ----------
    layers : tuple of (weight, bias)
        Weights (out, in) and biases (out,), in the dtype to compute in.
    """

    layers: tuple[tuple[Tensor, Tensor], ...]

    @property
    def dim(self) -> int:
        """Dimension of the points."""
        return len(self.layers[-1][1])

    def _network(self, y: Tensor, log_rho: float, derive: bool) -> tuple[Tensor, Tensor | None]:
        """F at normalised points (..., n) and, if asked, dF/dy (..., n, n)."""
        level = features(torch.tensor(log_rho, dtype=y.dtype, device=y.device))
        h = torch.cat((y, level.expand(*y.shape[:-1], len(level))), -1)
        slope = None
        for i, (weight, bias) in enumerate(self.layers):
            pre = h @ weight.mT + bias
            if derive:
                slope = weight[:, : self.dim] if slope is None else weight @ slope
            if i + 1 == len(self.layers):
                return pre, slope
            gate = pre.sigmoid()
            h = pre * gate
            if slope is not None:
                slope = (gate * (1 + pre * (1 - gate))).unsqueeze(-1) * slope
        raise ValueError("a network needs at least one layer")

    def score(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Learned score, shape of ``x`` (..., 2)."""
        rho = sigma / alpha
        root = math.sqrt(1 + rho * rho)
        value, _ = self._network(x / (alpha * root), math.log(rho), derive=False)
        clean = x / (alpha * root * root) + rho / root * value
        return (alpha * clean - x) / sigma**2

    def jacobian(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Jacobian of the learned score, shape (..., 2, 2)."""
        rho = sigma / alpha
        root = math.sqrt(1 + rho * rho)
        _, slope = self._network(x / (alpha * root), math.log(rho), derive=True)
        eye = torch.eye(self.dim, dtype=x.dtype, device=x.device)
        clean = eye / (alpha * root * root)
        if slope is not None:
            clean = clean + rho / (alpha * root * root) * slope
        return (alpha * clean - eye) / sigma**2

    def divergence(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Divergence of the learned score, shape (...)."""
        return self.jacobian(x, alpha, sigma).diagonal(dim1=-2, dim2=-1).sum(-1)


def load(path: str | Path = WEIGHTS, dtype: torch.dtype = torch.float64) -> LearnedScore:
    """Read the shipped network, or another one of the same form.

    Parameters
    ----------
    path : path
        npz with arrays w0, b0, w1, b1, ...
    dtype : torch.dtype
        To compute in; the weights are stored as float32.

    Returns
    -------
    LearnedScore
    """
    with np.load(path) as arrays:
        count = len(arrays.files) // 2
        return LearnedScore(
            tuple(
                (
                    torch.from_numpy(arrays[f"w{i}"]).to(dtype),
                    torch.from_numpy(arrays[f"b{i}"]).to(dtype),
                )
                for i in range(count)
            )
        )
