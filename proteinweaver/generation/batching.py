"""Which items are sampled together.

On a CPU: none but the draws of one domain or of one chain, which are always the same.
Another batch would change the order of floating-point sums; sampling amplifies such a difference
of 1e-7 A to tenths of an angstrom, so that a design would depend on its neighbours. One by one, it
comes out the same to the last bit alone, in a batch, in a shard, or after a resume. On an
accelerator batches fill the device and designs are the same at equal batches.
"""

from collections.abc import Iterator, Sequence

__all__ = ["groups"]

#: Padded residues of one batch on an accelerator where the size is automatic.
AUTO_RESIDUES = 16384


def groups(
    lengths: Sequence[int], batch_size: int, device: str, rows: int = 1
) -> Iterator[list[int]]:
    """Divide items into batches.

    Parameters
    ----------
    lengths : sequence of int
        Residues of every item.
    batch_size : int
        Most chains of a batch on an accelerator, one item at least; 0 chooses by padded residues.
    device : str
        Device the batch is for.
    rows : int, optional
        Chains that every item brings: the draws of a domain or of a chain.

    Yields
    ------
    list of int
        Positions in `lengths`; every position once. On a CPU one at a time in their order, else
        batches of similar length, shortest first.

    Examples
    --------
    >>> list(groups([50, 90, 52], 2, "cuda"))
    [[0, 2], [1]]
    """
    if device == "cpu":
        yield from ([item] for item in range(len(lengths)))
        return
    batch: list[int] = []
    for item in sorted(range(len(lengths)), key=lambda k: (lengths[k], k)):
        # Sorted: the newest item is the longest and sets the padding.
        size = len(batch) + 1
        residues = size * rows * lengths[item]
        full = size * rows > batch_size if batch_size else residues > AUTO_RESIDUES
        if batch and full:
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch
