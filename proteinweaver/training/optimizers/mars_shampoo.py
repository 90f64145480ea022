"""MARS-Shampoo: the orthogonal factor of the corrected momentum of every matrix.

    U_t S_t V_t^T = m_t,      x_{t+1} = x_t - eta_t ( U_t V_t^T + lambda x_t ).

The factor is approximated by five Newton-Schulz iterations of degree five,

    X <- a X + (b A + c A^2) X,   A = X X^T,   X_0 = m_t / (|m_t|_F + 1e-7),

whose coefficients bring singular values to 0.7-1.2 rather than to 1, and need no decomposition.
Tensors of more than two dimensions count as matrices of their first one. Vectors have no factor:
they are trained by MARS-AdamW.

References
----------
Yuan, Liu, Wu, Zhou, Gu 2024, arXiv:2411.10438: Algorithm 4 (MARS-Shampoo).
Jordan, Jin, Boza, You, Cesista, Newhouse, Bernstein 2024, kellerjordan.github.io/posts/muon
(iteration and coefficients).
"""

from typing import Any

from torch import Tensor

from proteinweaver.training.optimizers.mars import Mars
from proteinweaver.training.optimizers.mars_adamw import adam_direction

__all__ = ["MarsShampoo", "orthogonal_factor"]

_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonal_factor(matrix: Tensor, steps: int = 5) -> Tensor:
    """Approximate ``U V^T`` of ``matrix = U S V^T``.

    Parameters
    ----------
    matrix : Tensor, shape=(m, n)
    steps : int, optional

    Returns
    -------
    Tensor, shape=(m, n)
        Singular values between 0.7 and 1.2 where those of the matrix were not tiny.
    """
    tall = len(matrix) > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = _A * x + (_B * square + _C * square @ square) @ x
    return x.T if tall else x


class MarsShampoo(Mars):
    """MARS-Shampoo; parameters as `Mars`."""

    def direction(self, state: dict[str, Any], corrected: Tensor, group: dict[str, Any]) -> Tensor:
        """Orthogonalise matrices; leave vectors to Adam's preconditioner."""
        if corrected.ndim < 2:
            return adam_direction(state, corrected, group)
        moment = state["moment"]
        return orthogonal_factor(moment.flatten(1)).view_as(moment)
