r"""How much likelier a pose of two domains is than what their linker alone allows.

A pose has a handful of terms: how many pairs of side-chain centres touch, within which distance,
of which residue types (log-odds of `proteinweaver.evaluation.docking`), and how many points come
too close. Their weighted sum estimates

    s = log p(pose | native-like) - log p(pose | linker law),

fitted on the train split (``scripts/fit_pose_finder.py``) to tell poses up to a pose score of
about .5 away from the native one from poses that the linker law draws. All counts are fields of
the domain that stays, looked up on a grid where the other one's residues lie: a hundred thousand
poses take seconds, and an error of half a grid step is what such a score must bear anyway.

References
----------
van den Oord et al. 2018, arXiv:1807.03748 (a density ratio learned by contrast).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from proteinweaver.evaluation.docking import SideChains, contact_odds

__all__ = ["TERMS", "Fields", "pose_terms"]

#: Names of the terms, in the order of the fitted weights.
TERMS = (
    "log contacts", "log contacts squared", "log CA under 4", "log CA to side under 4",
    "log side under 4", "no contact", "CA under 4", "CA under 5", "CA under 6", "side under 3",
    "side under 4", "CA to side under 4", "CA to side under 5", "side under 5.5", "side 5.5 to 8",
    "side 8 to 11", "odds under 5.5", "odds 5.5 to 8", "odds 8 to 11",
)  # fmt: skip
_SHELLS = (5.5, 8.0, 11.0)
#: Width (angstrom) of the soft edge of a contact, and of a point that is too close.
_SOFT, _HARD = 0.5, 0.35
_VOXEL, _PAD = 1.25, 13.0
_CHUNK = 8192


@dataclass(frozen=True)
class Fields:
    """Counts around a domain on a grid.

    Parameters
    ----------
    low : Tensor, dtype=float32, shape=(3,)
        Corner of the grid, angstrom.
    size : Tensor, dtype=int64, shape=(3,)
        Points along every edge.
    side : Tensor, dtype=float32, shape=(7, G)
        What a side-chain centre finds: centres in three shells, centres under 3 and 4 A, CA under
        4 and 5 A.
    odds : Tensor, dtype=float32, shape=(G, 3, 21)
        Log-odds of the centres in three shells with a residue of every type.
    ca : Tensor, dtype=float32, shape=(6, G)
        What a CA finds: CA under 4, 5, 6 and 8 A, centres under 4 and 5 A.
    """

    low: Tensor
    size: Tensor
    side: Tensor
    odds: Tensor
    ca: Tensor

    @classmethod
    def of(cls, domain: SideChains) -> "Fields":
        """Fields of the domain that stays."""
        points = torch.cat((domain.ca, domain.side))
        low = points.min(0).values - _PAD
        size = ((points.max(0).values + _PAD - low) / _VOXEL).ceil().long() + 1
        axes = [torch.arange(int(n)) * _VOXEL + low[k] for k, n in enumerate(size)]
        centre = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)
        energy = contact_odds()[domain.kind]
        side, odds, ca = [], [], []
        for part in centre.split(_CHUNK):
            to_side, to_ca = torch.cdist(part, domain.side), torch.cdist(part, domain.ca)
            # no further down: numbers that underflow make the products below ten times as slow
            within = [
                torch.sigmoid(((edge - to_side) / _SOFT).clamp_min_(-40.0)) for edge in _SHELLS
            ]
            shells = [within[0], within[1] - within[0], within[2] - within[1]]
            near_side, near_ca = _close(to_side, 3.0, 4.0, 5.0), _close(to_ca, 4.0, 5.0, 6.0, 8.0)
            side.append(
                torch.cat((torch.stack([x.sum(1) for x in shells]), near_side[:2], near_ca[:2]))
            )
            odds.append(torch.stack([shell @ energy for shell in shells], dim=1))
            ca.append(torch.cat((near_ca, near_side[1:])))
        return cls(low, size, torch.cat(side, 1), torch.cat(odds), torch.cat(ca, 1))

    def cells(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Grid cells of points (3, ...), and 1 where a point lies on the grid, else 0."""
        flat = torch.zeros(points.shape[1:], dtype=torch.int64)
        inside = torch.ones(points.shape[1:])
        for along, low, size in zip(points, self.low, self.size.tolist(), strict=True):
            cell = along.sub(low).div_(_VOXEL).round_()
            bounded = cell.clamp(0, size - 1)
            inside *= cell == bounded
            flat = flat.mul_(size).add_(bounded.long())
        return flat, inside

    def overlap(self, body: SideChains, rot: Tensor, trans: Tensor) -> Tensor:
        """Soft number of CA pairs under 4 A of poses, shape (P,)."""
        return self._pairs(self.ca[0], body, rot, trans)

    def contacts(self, body: SideChains, rot: Tensor, trans: Tensor) -> Tensor:
        """Soft number of CA pairs under 8 A of poses, shape (P,)."""
        return self._pairs(self.ca[3], body, rot, trans)

    def _pairs(self, field: Tensor, body: SideChains, rot: Tensor, trans: Tensor) -> Tensor:
        out = []
        for turn, shift in zip(rot.split(_CHUNK), trans.split(_CHUNK), strict=True):
            cell, inside = self.cells(_placed(body.ca, turn, shift))
            out.append((field[cell] * inside).sum(1))
        return torch.cat(out)


def _close(distance: Tensor, *edges: float) -> Tensor:
    """Soft numbers of points within some distances, shape (edges, G)."""
    out = torch.zeros(len(edges), len(distance))
    near = (distance.amin(1) < max(edges) + 9.0 * _HARD).nonzero()[:, 0]  # others: below 2e-4 each
    distance = distance[near]
    for row, edge in zip(out, edges, strict=True):
        row[near] = torch.sigmoid((edge - distance) / _HARD).sum(1)
    return out


def _placed(points: Tensor, rot: Tensor, trans: Tensor) -> Tensor:
    """Points (n, 3) in all poses, shape (3, P, n)."""
    return (rot.transpose(0, 1) @ points.T).add_(trans.T[..., None])


def pose_terms(fields: Fields, body: SideChains, rot: Tensor, trans: Tensor) -> Tensor:
    """Terms of poses of the moving domain, ``x @ rot.T + trans``.

    Parameters
    ----------
    fields : Fields
        Of the domain that stays.
    body : SideChains
        The moving domain.
    rot : Tensor, dtype=float32, shape=(P, 3, 3)
    trans : Tensor, dtype=float32, shape=(P, 3)
        Angstrom.

    Returns
    -------
    Tensor, dtype=float32, shape=(P, 19)
        In the order of `TERMS`.
    """
    out = []
    for turn, shift in zip(rot.split(_CHUNK), trans.split(_CHUNK), strict=True):
        cell, inside = fields.cells(_placed(body.side, turn, shift))
        near, mid, far, side3, side4, other4, other5 = (
            (field[cell] * inside).sum(1) for field in fields.side
        )
        odds = [(fields.odds[:, k][cell, body.kind] * inside).sum(1) for k in range(3)]
        cell, inside = fields.cells(_placed(body.ca, turn, shift))
        ca4, ca5, ca6, _, own4, own5 = ((field[cell] * inside).sum(1) for field in fields.ca)
        contacts = near + mid
        log, mixed4, mixed5 = torch.log1p(contacts), other4 + own4, other5 + own5
        terms = (
            log, log * log, torch.log1p(ca4), torch.log1p(mixed4), torch.log1p(side4),
            (contacts < 3).float(), ca4, ca5, ca6, side3, side4, mixed4, mixed5, near, mid, far,
        )  # fmt: skip
        out.append(torch.stack((*terms, *odds), dim=1))
    return torch.cat(out)
