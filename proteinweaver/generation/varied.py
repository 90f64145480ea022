"""A chain to vary, as an assembly request: its domains, and linkers as long as they are.

Domains come from the flags, from the side file that every design has, or from `split`. Residues
before the first and after the last domain count to these; the segments of a domain that is not
contiguous share their pose.
"""

import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proteinweaver.domains.split import ranges_of, split_chain
from proteinweaver.errors import UserError
from proteinweaver.generation.config import DiversifyConfig
from proteinweaver.io.parts import DomainSpec, LinkerSpec
from proteinweaver.io.read import read_backbone, stem_of
from proteinweaver.io.select import select_positions, selection_of, split_spec
from proteinweaver.io.spec import JobSpec
from proteinweaver.structure.backbone import Backbone

__all__ = ["varied_request"]

#: Fewest residues of a domain's segment.
_LEAST = 5


def varied_request(config: DiversifyConfig) -> tuple[JobSpec, NDArray[np.float32]]:
    """Describe the chain of a request.

    Parameters
    ----------
    config : DiversifyConfig

    Returns
    -------
    spec : JobSpec
    coord : ndarray, dtype=float32, shape=(L, 4, 3)
        The chain, angstrom.

    Raises
    ------
    UserError
        If the chain cannot be read, or its domains do not follow one another.
    """
    chain = read_backbone(config.input, single_chain=True, notes=[])
    if not chain.is_finite:
        raise UserError(f"{config.input}: some coordinates are not numbers; mend the file")
    path = split_spec(config.input).path
    segments = _segments(config, chain, path)
    first, last = segments[0], segments[-1]
    segments[0] = (first[0], 0, first[2])
    segments[-1] = (last[0], segments[-1][1], len(chain))
    segments = [(label, start, stop) for label, start, stop in segments]
    for (_, _, stop), (_, start, _) in pairwise(segments):
        if start < stop:
            raise UserError(f"{config.input}: its domains overlap; list them apart, ascending")
    labels = [label for label, _, _ in segments]
    domains = tuple(
        DomainSpec(
            file=str(path),
            select=selection_of(chain, _unbroken(chain, start, stop)),
            mode=config.mode,
            group=label if labels.count(label) > 1 else None,
        )
        for label, start, stop in segments
    )
    linkers = tuple(LinkerSpec(start - stop) for (_, _, stop), (_, start, _) in pairwise(segments))
    stem = re.sub(r"[^A-Za-z0-9_-]", "-", stem_of(path)) or "chain"
    name = config.name or f"{stem}_t{config.partial_t:g}"
    spec = JobSpec(name=name, domains=domains, linkers=linkers, n=config.n, seed=config.seed)
    return spec, chain.coord.copy()


def _segments(config: DiversifyConfig, chain: Backbone, path: Path) -> list[tuple[int, int, int]]:
    """Domain label, start and stop of every segment along the chain."""
    found: list[tuple[int, int, int]] = []
    if config.domain:
        for number, text in enumerate(config.domain, start=1):
            rows = select_positions(chain, text, config.input)
            found.append((number, int(rows[0]), int(rows[-1]) + 1))
    elif side := _side_segments(path, chain):
        found = side
    else:
        for label, ranges in ranges_of(split_chain(chain.ca)).items():
            found += [(label, start, stop) for start, stop in ranges]
    found.sort(key=lambda part: part[1])
    if any(stop - start < _LEAST for _, start, stop in found):
        raise UserError(
            f"{config.input}: a domain of fewer than {_LEAST} residues; name larger ones"
        )
    return found


def _side_segments(path: Path, chain: Backbone) -> list[tuple[int, int, int]]:
    """Domains of the side file beside a design; empty without one that fits."""
    side = path.with_suffix(".json")
    if not side.is_file():
        return []
    try:
        content = json.loads(side.read_text(encoding="utf-8"))
        rows = [row for row in content["plan"]["segments"] if row["kind"] == "domain"]
        if int(content["length"]) != len(chain):
            return []
        return [(k, int(row["first"]) - 1, int(row["last"])) for k, row in enumerate(rows, 1)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _unbroken(chain: Backbone, start: int, stop: int) -> list[tuple[int, int]]:
    """Cut a stretch where author numbers do not ascend, so that a selection can name it."""
    number = chain.resnum[start:stop].astype(int)
    cuts = (np.flatnonzero(np.diff(number) < 0) + start + 1).tolist()
    return list(pairwise([start, *cuts, stop]))
