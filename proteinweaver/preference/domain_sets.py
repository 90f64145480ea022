"""Sets of domains to align and to judge with: drawn from a structure release, written, read.

A *set* is two or three domains in a fixed order with exact linkers: one question, to which every
sample of every model is an answer. A *list* names the domains of the sets and holds no
coordinates, so that it can be kept beside the results; with the release it gives back the files.

Drawing takes clusters (40% sequence identity) that were used least so far, in an order drawn by
the seed. As long as clusters last none is used twice; after that, where that is allowed, all are
used equally often (up to one, where there are enough), and never twice in a set.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from proteinweaver.data.store import StructureStore
from proteinweaver.errors import UserError
from proteinweaver.io.pdb import pdb_text
from proteinweaver.io.run_folder import write_atomic
from proteinweaver.io.select import split_spec
from proteinweaver.structure.backbone import Backbone

__all__ = [
    "DomainSet",
    "Draw",
    "NamedSet",
    "draw_sets",
    "most_used",
    "read_list",
    "read_sets",
    "spec_of",
    "write_list",
    "write_sets",
]


@dataclass(frozen=True)
class NamedSet:
    """A set by the names of its domains.

    Parameters
    ----------
    name : str
    domains : tuple of str
        Names in the release, N- to C-terminal.
    linkers : tuple of int
        Residues, one a junction.
    """

    name: str
    domains: tuple[str, ...]
    linkers: tuple[int, ...]


@dataclass(frozen=True)
class DomainSet:
    """A set with files.

    Parameters
    ----------
    name : str
        Job name of its samples.
    domain : tuple of str
        ``FILE[:SELECTION]``, N- to C-terminal.
    linker : tuple of str
        Exact lengths: one for all junctions or one each.
    """

    name: str
    domain: tuple[str, ...]
    linker: tuple[str, ...]


@dataclass(frozen=True)
class Draw:
    """What to draw.

    Parameters
    ----------
    split : {"train", "valid", "test"}
    pairs, triples : int
        Sets of two and of three domains.
    lengths, linkers : tuple of (int, int)
        Fewest and most residues of a domain, and of a linker.
    seed : int
    reuse : bool
        Use clusters again once all were used; else such a draw is refused.
    """

    split: str
    pairs: int
    triples: int
    lengths: tuple[int, int] = (50, 130)
    linkers: tuple[int, int] = (8, 20)
    seed: int = 0
    reuse: bool = False


def draw_sets(store: StructureStore, draw: Draw) -> list[NamedSet]:
    """Draw sets of break-free domains, no two of a set from one cluster.

    Parameters
    ----------
    store : StructureStore
        Single domains.
    draw : Draw

    Returns
    -------
    list of NamedSet
        Pairs first; ``p001`` ... and ``t001`` ... behind the split's name. No two sets have the
        same domains.

    Raises
    ------
    UserError
        If there are too few clusters.
    """
    rng = np.random.default_rng([draw.seed, draw.pairs, draw.triples])
    clusters = _clusters(store, draw)
    wanted = 2 * draw.pairs + 3 * draw.triples
    short = len(clusters) < wanted and not draw.reuse
    if short or len(clusters) < 3:
        raise UserError(
            f"{store.path}: {wanted} domains wanted, and {draw.split} has {len(clusters)} clusters"
            f" of {draw.lengths[0]}-{draw.lengths[1]} residues; ask for fewer sets, or reuse"
        )
    used: Counter[int] = Counter()
    seen: set[frozenset[str]] = set()
    sizes = [2] * draw.pairs + [3] * draw.triples
    found: list[NamedSet] = []
    for place, size in enumerate(sizes):
        for turn in range(100):  # the same domains again are drawn anew, ever less evenly
            mix = rng.permutation(sorted(clusters)).tolist()
            key = {cluster: used[cluster] + (turn // 10) * rng.random() for cluster in mix}
            chosen = rng.permutation(sorted(mix, key=key.__getitem__)[:size]).tolist()
            names = tuple(
                clusters[cluster][used[cluster] % len(clusters[cluster])] for cluster in chosen
            )
            if frozenset(names) not in seen:
                break
        else:
            raise UserError(
                f"{store.path}: no {len(found) + 1}th different set; ask for fewer sets"
            )
        seen.add(frozenset(names))
        used.update(chosen)
        low, high = draw.linkers
        linkers = tuple(int(k) for k in rng.integers(low, high + 1, size=size - 1))
        number = place + 1 if size == 2 else place + 1 - draw.pairs
        found.append(NamedSet(f"{draw.split}-{'pt'[size - 2]}{number:03d}", names, linkers))
    return found


def _clusters(store: StructureStore, draw: Draw) -> dict[int, list[str]]:
    """Names of the domains that may be drawn, by cluster."""
    low, high = draw.lengths
    found: dict[int, list[str]] = {}
    for number in store.members(draw.split).tolist():
        if not low <= store.lengths[number] <= high:
            continue
        item = store.item(number)
        if not item.break_after[:-1].any():
            cluster = int(store.arrays["cluster40"][number])
            found.setdefault(cluster, []).append(item.name)
    return found


def most_used(sets: Sequence[NamedSet]) -> tuple[int, int]:
    """Count different domains, and how often the most frequent one is used."""
    used = Counter(name for one in sets for name in one.domains)
    return len(used), max(used.values(), default=0)


def write_list(path: Path, sets: Sequence[NamedSet]) -> None:
    """Write a list: one JSON object a line."""
    lines = [
        {"name": one.name, "domains": list(one.domains), "linkers": list(one.linkers)}
        for one in sets
    ]
    write_atomic(path, "".join(json.dumps(line) + "\n" for line in lines))


def read_list(path: Path) -> list[NamedSet]:
    """Read a list.

    Raises
    ------
    UserError
        If it is none.
    """
    sets = []
    for line in _lines(path, ("name", "domains", "linkers")):
        linkers = tuple(int(k) for k in line["linkers"])
        sets.append(NamedSet(str(line["name"]), tuple(map(str, line["domains"])), linkers))
        if len(linkers) != len(sets[-1].domains) - 1:
            raise UserError(f"{path}: {sets[-1].name}: one linker a junction, please")
    return sets


def write_sets(folder: Path, store: StructureStore, sets: Sequence[NamedSet]) -> Path:
    """Write the domains of sets as PDB files, and ``SETS.jsonl`` that names them.

    Parameters
    ----------
    folder : Path
        Domains go into its ``domains/``.
    store : StructureStore
        The release the names are from.
    sets : sequence of NamedSet

    Returns
    -------
    Path
        The sets; paths in it are relative to it.

    Raises
    ------
    UserError
        If a domain is not in the release.
    """
    number = {str(name): k for k, name in enumerate(store.arrays["ids"])}
    aatype, offsets = store.arrays["aatype"], store.arrays["offsets"]
    lines = []
    for one in sets:
        files = []
        for name in one.domains:
            if name not in number:
                raise UserError(f"{store.path}: no domain '{name}'; take the release of the list")
            k = number[name]
            file = f"domains/{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}_{k}.pdb"
            if not (folder / file).is_file():
                item = store.item(k)
                kinds = aatype[int(offsets[k]) : int(offsets[k + 1])]
                backbone = Backbone.from_coord(item.coord, aatype=kinds, name=f"d{k}")
                write_atomic(folder / file, pdb_text(backbone, remarks=(f"Domain {name}.",)))
            files.append(file)
        linkers = [str(length) for length in one.linkers]
        lines.append({"name": one.name, "domain": files, "linker": linkers})
    path = folder / "SETS.jsonl"
    write_atomic(path, "".join(json.dumps(line) + "\n" for line in lines))
    return path


def read_sets(path: Path) -> list[DomainSet]:
    """Read sets with files; every one must fix its plan.

    Parameters
    ----------
    path : Path
        A line a set: ``{"name": "ab", "domain": ["a.pdb", "b.pdb:A10-90"], "linker": ["15"]}``.
        Files are looked for beside it first, then where the command runs.

    Returns
    -------
    list of DomainSet

    Raises
    ------
    UserError
        If it is no such file, a name stands twice, or a linker is not exact.
    """
    sets = []
    for line in _lines(path, ("name", "domain", "linker")):
        linkers = tuple(str(linker) for linker in line["linker"])
        if any("-" in linker for linker in linkers):
            raise UserError(f"{path}: {line['name']}: linkers must be exact, such as 15")
        domains = tuple(_beside(path, str(text)) for text in line["domain"])
        sets.append(DomainSet(str(line["name"]), domains, linkers))
    return sets


def spec_of(sets: Sequence[DomainSet], n: int) -> dict[str, Any]:
    """Return the sets as the jobs of a design specification (`proteinweaver.io.spec`).

    Parameters
    ----------
    sets : sequence of DomainSet
    n : int
        Samples of every set.

    Returns
    -------
    dict
        JSON types; paths are absolute.
    """
    jobs = {}
    for one in sets:
        domains = []
        for text in one.domain:
            place = split_spec(text)
            file = str(Path(place.path).resolve())
            domains.append({"file": f"{file}:{place.selection}" if place.selection else file})
        linkers = [{"length": linker} for linker in one.linker]
        jobs[one.name] = {"domains": domains, "linkers": linkers, "n": n}
    return jobs


def _beside(path: Path, text: str) -> str:
    own = str(path.parent / text)
    try:
        split_spec(own)
    except UserError:  # not beside it; whoever opens the file tells where it was looked for
        return text
    return own


def _lines(path: Path, keys: Sequence[str]) -> list[Mapping[str, Any]]:
    """Objects of a file, with these keys and with different names."""
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        for line in lines:
            for key in keys:
                line[key]
        names = [str(line["name"]) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a list of sets, one JSON object a line ({error})") from None
    if len(set(names)) < len(names) or not names:
        raise UserError(f"{path}: needs sets with different names")
    return lines
