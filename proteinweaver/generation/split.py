"""Files of the domains that a chain consists of."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from proteinweaver.domains.split import SplitSettings, ranges_of, split_chain
from proteinweaver.errors import UserError
from proteinweaver.io.pdb import pdb_text
from proteinweaver.io.read import read_backbone, stem_of
from proteinweaver.io.run_folder import write_atomic
from proteinweaver.io.select import selection_of, split_spec
from proteinweaver.structure.backbone import Backbone

__all__ = ["FoundDomain", "split", "write_domains"]

_SHORTEST = 10


@dataclass(frozen=True)
class FoundDomain:
    """A domain of a file.

    Parameters
    ----------
    backbone : Backbone
        Its residues; named FILE_CHAINnumber.
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
            name = f"{stem}_{chain}{number}"
            own = part.subset(label == number).replace(name=name)
            found.append(FoundDomain(own, selection_of(part, ranges)))
    return tuple(found)


def write_domains(domains: Sequence[FoundDomain], source: str, out: str | Path) -> None:
    """Write one file for each domain, and ``split.json`` with their selections.

    Parameters
    ----------
    domains : sequence of FoundDomain
    source : str
        Where they come from.
    out : path-like
        Folder.

    Raises
    ------
    UserError
        If the folder cannot be written.
    """
    folder = Path(out)
    about = []
    for domain in domains:
        file = f"{domain.backbone.name}.pdb"
        remarks = (f"Domain {split_spec(source).path.name}:{domain.selection}",)
        write_atomic(folder / file, pdb_text(domain.backbone, remarks=remarks))
        about.append(
            {"file": file, "selection": domain.selection, "residues": len(domain.backbone)}
        )
    text = json.dumps({"source": source, "domains": about}, indent=1) + "\n"
    write_atomic(folder / "split.json", text)
