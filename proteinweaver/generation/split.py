"""Files of the domains that a chain consists of."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from proteinweaver.domains.split import SplitSettings, ranges_of, split_chain
from proteinweaver.errors import UserError
from proteinweaver.io.pdb import pdb_text
from proteinweaver.io.read import read_backbone, stem_of
from proteinweaver.io.run_folder import write_atomic
from proteinweaver.io.select import selection_of, split_spec
from proteinweaver.structure.backbone import Backbone

__all__ = ["FoundDomain", "split", "write_domains"]

_SHORTEST = 10
_TABLE = "split.json"


@dataclass(frozen=True)
class FoundDomain:
    """A domain of a file.

    Parameters
    ----------
    backbone : Backbone
        Its residues; named FILE_CHAINnumber, or FILE_CHAIN-number where the chain's name is long.
    selection : str
        What names it in the file, such as ``"A10-50,A80-120"``.
    """

    backbone: Backbone
    selection: str


def split(source: str, smallest: int = SplitSettings().smallest) -> tuple[FoundDomain, ...]:
    """Find the domains of every chain of a file.

    Parameters
    ----------
    source : str
        ``file`` or ``file:selection``.
    smallest : int, optional
        Fewest residues of a domain.

    Returns
    -------
    tuple of FoundDomain
        By chain and first residue.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    if smallest < _SHORTEST:
        raise UserError(f"smallest is {smallest}; a domain has {_SHORTEST} residues or more")
    backbone = read_backbone(source, allow_ca_only=True, notes=[])
    stem = stem_of(split_spec(source).path)
    settings = SplitSettings(smallest=smallest)
    found = []
    for chain in backbone.chain_names:
        part = backbone.subset(backbone.chain == chain)
        label = split_chain(part.ca, settings)
        for number, ranges in ranges_of(label).items():
            name = f"{stem}_{chain}{'-' if len(chain) > 1 else ''}{number}"
            own = part.subset(label == number).replace(name=name)
            found.append(FoundDomain(own, selection_of(part, ranges)))
    return tuple(found)


def write_domains(
    domains: Sequence[FoundDomain], source: str, out: str | Path, *, overwrite: bool = False
) -> None:
    """Write one file for each domain, and ``split.json`` with their selections.

    Files of an earlier split of the same source are replaced; those that are no longer found go,
    so that the folder can serve as a library.

    Parameters
    ----------
    domains : sequence of FoundDomain
    source : str
        Where they come from.
    out : path-like
        Folder.
    overwrite : bool, optional
        Replace what another split, or anybody else, wrote under the same names.

    Raises
    ------
    UserError
        If the folder cannot be written, or holds other files of these names.
    """
    folder = Path(out)
    names = {f"{domain.backbone.name}.pdb" for domain in domains}
    earlier, known = _written(folder / _TABLE)
    foreign = sorted(name for name in names - known if (folder / name).exists())
    if earlier not in (None, source):
        foreign.insert(0, _TABLE)
    if foreign and not overwrite:
        raise UserError(
            f"{folder / foreign[0]} is not of this split; give another folder or --overwrite"
        )
    for name in known - names:
        (folder / name).unlink(missing_ok=True)
    about = []
    for domain in domains:
        file = f"{domain.backbone.name}.pdb"
        remarks = (f"Domain {split_spec(source).path.name}:{domain.selection}",)
        # a PDB file has no room for chain names of two letters
        chain = [name if len(name) == 1 else "A" for name in domain.backbone.chain.tolist()]
        text = pdb_text(domain.backbone.replace(chain=np.array(chain)), remarks=remarks)
        write_atomic(folder / file, text)
        about.append(
            {"file": file, "selection": domain.selection, "residues": len(domain.backbone)}
        )
    text = json.dumps({"source": source, "domains": about}, indent=1) + "\n"
    write_atomic(folder / _TABLE, text)


def _written(table: Path) -> tuple[str | None, set[str]]:
    """Source and files of an earlier split; none where there was none."""
    try:
        told = json.loads(table.read_text(encoding="utf-8"))
        files = {Path(str(row["file"])).name for row in told["domains"]}
        return str(told["source"]), files
    except (OSError, ValueError, KeyError, TypeError):
        return None, set()
