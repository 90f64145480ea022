"""Keyed noise: every random number has an address.

A draw is addressed by (seed, job, index, stage, part, stream, step) and by nothing else. The
address is hashed (BLAKE2b of an unambiguous encoding) to the 64-bit seed of a CPU generator, and
the numbers are drawn in float32 at the true length, before any padding or move to a device.
Hence a design is the same alone, in a batch, in a shard or after a resume, and a job added to a
list shifts no other.

    seed    the user's seed                     part    which component (a space) of the state
    job     name of the job                     stream  what the numbers are for ("prior", "sde")
    index   number of the design in the job     step    index of the step in the grid
    stage   name of the stage of the run
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

__all__ = ["BatchNoise", "NoiseKey", "NoiseSource", "derive_seed"]


def derive_seed(*address: int | str) -> int:
    """Stable 64-bit hash of an address; independent of platform, process and Python version.

    Parameters
    ----------
    *address : int or str
        Each item is encoded with its type and its length, so ("ab", "c") and ("a", "bc"), or 1
        and "1", are different addresses.

    Returns
    -------
    int
        In [0, 2**64).

    Examples
    --------
    >>> derive_seed(0, "job", 1)
    4484579431909675192
    """
    digest = hashlib.blake2b(digest_size=8, person=b"samplers.noise")
    for item in address:
        if isinstance(item, bool) or not isinstance(item, (int, str)):
            raise TypeError(f"a noise address holds int and str, got {item!r}")
        text = str(item).encode("utf-8")
        digest.update(f"{'i' if isinstance(item, int) else 's'}{len(text)}:".encode())
        digest.update(text)
    return int.from_bytes(digest.digest(), "little")


@dataclass(frozen=True)
class NoiseKey:
    """Address of the noise of one sample; part, stream and step are appended at each draw.

    Attributes
    ----------
    seed : int
    job : str
    index : int
    stage : str
    """

    seed: int
    job: str = ""
    index: int = 0
    stage: str = ""

    def with_stage(self, stage: str) -> NoiseKey:
        """Return the same sample's key for another stage."""
        return replace(self, stage=stage)

    def draw(self, number: int) -> NoiseKey:
        """Return the key of another draw of the same sample; draw 0 is the sample's own."""
        return self.with_stage(f"{self.stage}.{number}") if number else self

    def generator(self, part: str | int, stream: str, step: int = 0) -> torch.Generator:
        """CPU generator of one address."""
        seed = derive_seed(self.seed, self.job, self.index, self.stage, part, stream, step)
        return torch.Generator().manual_seed(seed)

    def normal(self, shape: Sequence[int], part: str | int, stream: str, step: int = 0) -> Tensor:
        """Draw standard normal numbers at one address.

        Parameters
        ----------
        shape : sequence of int
            True shape, without padding.
        part : str or int
            Component of the state.
        stream : str
            Use of the numbers.
        step : int
            Index of the step.

        Returns
        -------
        Tensor, shape=shape, dtype=float32, on the CPU
        """
        generator = self.generator(part, stream, step)
        return torch.randn(tuple(shape), generator=generator, dtype=torch.float32)

    def uniform(self, shape: Sequence[int], part: str | int, stream: str, step: int = 0) -> Tensor:
        """Draw uniform numbers in [0, 1) at one address; see `normal`."""
        generator = self.generator(part, stream, step)
        return torch.rand(tuple(shape), generator=generator, dtype=torch.float32)


class NoiseSource:
    """Noise for the loop: standard normal numbers for (part, step), whole state from one key.

    Parameters
    ----------
    key : NoiseKey
    stream : str
        Use of the numbers; "sde" for the steps of a stochastic stepper.

    See Also
    --------
    BatchNoise : one key per row.
    """

    def __init__(self, key: NoiseKey, stream: str = "sde") -> None:
        self.key = key
        self.stream = stream

    def normal(self, shape: Sequence[int], part: int, step: int) -> Tensor:
        """Draw standard normal numbers, float32 on the CPU."""
        return self.key.normal(shape, part, self.stream, step)

    def draw(self, part: int, step: int, like: Tensor) -> Tensor:
        """Draw normal numbers of the shape, dtype and device of ``like`` (a tangent tensor)."""
        return self.normal(like.shape, part, step).to(device=like.device, dtype=like.dtype)


class BatchNoise(NoiseSource):
    """One key per row of the batch, drawn at the row's true length and padded with zeros.

    Parameters
    ----------
    keys : sequence of NoiseKey
        One per entry of the leading axis.
    lengths : sequence of int, optional
        True size of the second axis for each row; default the full size.
    stream : str
    centred : collection of int
        Parts whose noise lives in the subspace of zero mean over the second axis (points
        without a centre of mass); the mean of the true length is removed.
    """

    def __init__(
        self,
        keys: Sequence[NoiseKey],
        lengths: Sequence[int] | None = None,
        stream: str = "sde",
        *,
        centred: Collection[int] = (),
    ) -> None:
        if not keys:
            raise ValueError("batch noise needs at least one key")
        if lengths is not None and len(lengths) != len(keys):
            raise ValueError(f"{len(keys)} keys but {len(lengths)} lengths")
        super().__init__(keys[0], stream)
        self.keys = tuple(keys)
        self.lengths = None if lengths is None else tuple(lengths)
        self.centred = frozenset(centred)

    def normal(self, shape: Sequence[int], part: int, step: int) -> Tensor:
        """Draw standard normal numbers [rows, length, ...]; row b depends on ``keys[b]`` only."""
        rows, *rest = shape
        if rows != len(self.keys):
            raise ValueError(f"{len(self.keys)} keys for a batch of {rows}")
        out = torch.zeros(tuple(shape), dtype=torch.float32)
        for row, key in enumerate(self.keys):
            length = rest[0] if self.lengths is None else self.lengths[row]
            z = key.normal((length, *rest[1:]), part, self.stream, step)
            out[row, :length] = z - z.mean(0, keepdim=True) if part in self.centred else z
        return out
