r"""How much likelier a pose of two domains is than what their linker alone allows.

A pose has a handful of terms: how many pairs of side-chain centres touch, within which distance,
of which residue types (log-odds of `proteinweaver.evaluation.docking`), and how many points come
too close. Their weighted sum estimates

    s = log p(pose | native-like) - log p(pose | linker law),

fitted on the train split (``scripts/fit_pose_finder.py``) to tell poses up to a pose score of
about .5 away from the native one from poses that the linker law draws. All counts are fields of
the domain that stays, looked up on a grid where the other one's residues lie: a hundred thousand
poses take a second, and an error of half a grid step is what such a score must bear anyway.

References
----------
van den Oord et al. 2018, arXiv:1807.03748 (a density ratio learned by contrast).
"""

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from proteinweaver.evaluation.docking import SideChains, contact_odds
from proteinweaver.structure.residues import UNKNOWN

__all__ = ["SHELLS", "TERMS", "Fields", "pose_terms"]

#: Names of the terms, in the order of the fitted weights.
TERMS = (
    "log contacts", "log contacts squared", "log CA under 4", "log CA to side under 4",
    "log side under 4", "no contact", "CA under 4", "CA under 5", "CA under 6", "side under 3",
    "side under 4", "CA to side under 4", "CA to side under 5", "side under 5.5", "side 5.5 to 8",
    "side 8 to 11", "odds under 5.5", "odds 5.5 to 8", "odds 8 to 11",
)  # fmt: skip
_EDGES = (5.5, 8.0, 11.0)
#: Shells of contacts; the last of the terms are the odds of each.
SHELLS = len(_EDGES)
#: Distances within which points come too close: of side-chain centres and of CA.
_SIDE, _CA = (3.0, 4.0, 5.0), (4.0, 5.0, 6.0, 8.0)
#: Width (angstrom) of the soft edge of a contact, and of a point that is too close.
_SOFT, _HARD = 0.5, 0.35
#: Widths beyond the last edge at which a point is no longer counted: less than 2e-4 of it is left.
_TAIL = 9.0
#: Grid step, and how far the grid goes beyond the domain, so that its rim counts nothing.
_VOXEL, _PAD = 1.25, 16.75
_KINDS = UNKNOWN + 1
#: Poses that are looked up, and points that are counted, at a time: they stay in the cache.
_CHUNK, _POINTS = 1024, 64


@dataclass(frozen=True)
class Fields:
    """Counts around a domain on a grid.

    Parameters
    ----------
    low : Tensor, dtype=float32, shape=(3,)
        Corner of the grid, angstrom.
    size : tuple of int
        Points along every edge.
    side : Tensor, dtype=float32, shape=(G, 7)
        What a side-chain centre finds: centres in three shells, centres under 3 and 4 A, CA under
        4 and 5 A.
    odds : Tensor, dtype=float32, shape=(S, 21, G)
        Log-odds of the centres in S shells with a residue of every type.
    ca : Tensor, dtype=float32, shape=(G, 6)
        What a CA finds: CA under 4, 5, 6 and 8 A, centres under 4 and 5 A.
    """

    low: Tensor
    size: tuple[int, ...]
    side: Tensor
    odds: Tensor
    ca: Tensor

    @classmethod
    def of(cls, domain: SideChains, mix: Tensor | None = None) -> "Fields":
        """Fields of the domain that stays.

        Parameters
        ----------
        domain : SideChains
        mix : Tensor, dtype=float32, shape=(S, 3), optional
            Weights of the shells whose odds are to be summed; by default each is kept. Whoever
            knows them saves two fields of 21 types.

        Returns
        -------
        Fields
        """
        points = torch.cat((domain.ca, domain.side))
        low = points.min(0).values - _PAD
        extent = ((points.max(0).values + _PAD - low) / _VOXEL).ceil().long() + 1
        size = tuple(extent.tolist())
        number = math.prod(size)
        mix = torch.eye(SHELLS) if mix is None else mix
        side, ca = torch.zeros(7, number), torch.zeros(6, number)
        of_kind = torch.zeros(len(mix), _KINDS * number)
        for some in torch.arange(len(domain.ca)).split(_POINTS):
            cell, within = _around(domain.side[some], low, size, _EDGES, _SOFT)
            shells = within.diff(dim=0, prepend=torch.zeros_like(within[:1]))
            _add(side[:3], cell, shells)
            mixed = torch.einsum("sk,knc->snc", mix, shells)
            _add(of_kind, cell + number * domain.kind[some, None], mixed)
            cell, within = _around(domain.side[some], low, size, _SIDE, _HARD)
            _add(side[3:5], cell, within[:2])
            _add(ca[4:], cell, within[1:])
            cell, within = _around(domain.ca[some], low, size, _CA, _HARD)
            _add(side[5:], cell, within[:2])
            _add(ca[:4], cell, within)
        odds = contact_odds() @ of_kind.view(len(mix), _KINDS, number)
        return cls(low, size, side.T.contiguous(), odds, ca.T.contiguous())

    def cells(self, points: Tensor, rot: Tensor, trans: Tensor) -> Tensor:
        """Grid cells of points (n, 3) in poses, those beyond the grid at its rim; int32 (P, n)."""
        motion = torch.cat((rot, (trans - self.low)[..., None]), dim=2) / _VOXEL
        with_one = torch.nn.functional.pad(points, (0, 1), value=1.0)
        placed = motion.transpose(0, 1).reshape(-1, 4) @ with_one.T
        cell = torch.zeros(len(rot), len(points), dtype=torch.int32)
        for along, edge in zip(placed.view(3, *cell.shape), self.size, strict=True):
            # what is not negative is rounded when it is cut off
            cell.mul_(edge).add_(along.add_(0.5).clamp_(0.0, edge - 0.5).int())
        return cell

    def overlap(self, body: SideChains, rot: Tensor, trans: Tensor) -> Tensor:
        """Soft number of CA pairs under 4 A of poses, shape (P,)."""
        return self._pairs(0, body, rot, trans)

    def contacts(self, body: SideChains, rot: Tensor, trans: Tensor) -> Tensor:
        """Soft number of CA pairs under 8 A of poses, shape (P,)."""
        return self._pairs(3, body, rot, trans)

    def _pairs(self, which: int, body: SideChains, rot: Tensor, trans: Tensor) -> Tensor:
        field = self.ca[:, which : which + 1].contiguous()
        parts = zip(rot.split(_CHUNK), trans.split(_CHUNK), strict=True)
        return torch.cat([_sums(self.cells(body.ca, *part), field)[:, 0] for part in parts])


def _around(
    points: Tensor, low: Tensor, size: tuple[int, ...], edges: tuple[float, ...], width: float
) -> tuple[Tensor, Tensor]:
    """Grid cells in a ball about each of n points, and how far it is within every edge there.

    Returns
    -------
    cell : Tensor, dtype=int64, shape=(n, cells)
    within : Tensor, dtype=float32, shape=(edges, n, cells)
        From 0 to 1.
    """
    steps = _ball(edges[-1] + _TAIL * width)
    nearest = ((points - low) / _VOXEL).round()
    row = torch.tensor((size[1] * size[2], size[2], 1))
    cell = (nearest.long() @ row)[:, None] + steps @ row
    distance = torch.cdist(points - low - nearest * _VOXEL, steps * _VOXEL)
    return cell, torch.stack([torch.sigmoid((edge - distance).div_(width)) for edge in edges])


@cache
def _ball(reach: float) -> Tensor:
    """List the steps to all grid cells within some angstrom, int64 (cells, 3)."""
    most = int(reach / _VOXEL)
    steps = torch.cartesian_prod(*[torch.arange(-most, most + 1)] * 3)
    return steps[steps.float().norm(dim=1) * _VOXEL < reach]


def _add(table: Tensor, column: Tensor, values: Tensor) -> None:
    """Add values (d, ...) to columns (...) of a table (d, G)."""
    table.index_add_(1, column.flatten(), values.flatten(1))


def _sums(rows: Tensor, table: Tensor) -> Tensor:
    """Sum rows (P, n) of a table (G, d), shape (P, d)."""
    return embedding_bag(rows, table, mode="sum")


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
    Tensor, dtype=float32, shape=(P, 16 + S)
        In the order of `TERMS`; odds as mixed in the fields.
    """
    out = []
    kind = body.kind.int() * len(fields.side)
    for turn, shift in zip(rot.split(_CHUNK), trans.split(_CHUNK), strict=True):
        cell = fields.cells(body.side, turn, shift)
        near, mid, far, side3, side4, other4, other5 = _sums(cell, fields.side).T
        cell += kind
        odds = [_sums(cell, shell.reshape(-1, 1))[:, 0] for shell in fields.odds]
        ca4, ca5, ca6, _, own4, own5 = _sums(fields.cells(body.ca, turn, shift), fields.ca).T
        contacts = near + mid
        log, mixed4, mixed5 = torch.log1p(contacts), other4 + own4, other5 + own5
        terms = (
            log, log * log, torch.log1p(ca4), torch.log1p(mixed4), torch.log1p(side4),
            (contacts < 3).float(), ca4, ca5, ca6, side3, side4, mixed4, mixed5, near, mid, far,
        )  # fmt: skip
        out.append(torch.stack((*terms, *odds), dim=1))
    return torch.cat(out)
