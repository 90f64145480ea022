"""Which items are sampled together. A batch never changes a result, only the time it takes."""

from collections.abc import Iterator, Sequence

__all__ = ["groups"]

#: Padded residues of one batch where the size is automatic. On a CPU batching gains little beyond
#: small proteins; on a GPU it fills the device.
AUTO_RESIDUES = {"cpu": 512, "cuda": 16384}


def groups(lengths: Sequence[int], batch_size: int, device: str) -> Iterator[list[int]]:
    """Divide items into batches of similar length.

    Parameters
    ----------
    lengths : sequence of int
        Residues of every item.
    batch_size : int
        Most items of a batch; 0 chooses by padded residues and device.
    device : str
        Device the batch is for.

    Yields
    ------
    list of int
        Positions in `lengths`; every position once.

    Examples
    --------
    >>> list(groups([50, 90, 52], 2, "cpu"))
    [[0, 2], [1]]
    """
    budget = AUTO_RESIDUES["cuda" if device.startswith("cuda") else "cpu"]
    batch: list[int] = []
    for item in sorted(range(len(lengths)), key=lambda k: (lengths[k], k)):
        # Sorted: the newest item is the longest and sets the padding.
        size = len(batch) + 1
        full = size > batch_size if batch_size else size * lengths[item] > budget
        if batch and full:
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch
