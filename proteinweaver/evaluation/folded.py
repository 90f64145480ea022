"""Do designed sequences fold to the design? Predictions of any folding program, matched by name.

Sequences written by ``proteinweaver sequence`` are named ``DESIGN_k``; a user folds them where the
weights are and hands the folder back. Layouts of ColabFold, AlphaFold 3, Boltz, Chai and plain
``NAME.pdb`` are understood, each at any depth, names compared without regard to case (AlphaFold 3
lowers it). Of several ranks of one sequence the first counts, of several sequences of one design
the one with the highest TM-score.

*scTM* and *scRMSD* compare all CA in one-to-one correspondence. The *interface* scTM takes the
residues with a CA within 8 A of another domain, superposes on those alone, and uses d0 of the
whole chain, since from a few residues it would be tiny. The *pose* TM superposes one domain and
scores the next, in both directions: it sees a domain that swings away as a rigid body.

References
----------
Trippe et al. 2023, ICLR (self-consistency); Zhang & Skolnick 2004, Proteins 57, 702.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proteinweaver.errors import UserError
from proteinweaver.evaluation.bfactors import mean_confidence
from proteinweaver.evaluation.geometry import CONTACT, squared_distances
from proteinweaver.evaluation.measure import ColumnSource, Measured
from proteinweaver.evaluation.samples import Sample, find_entries
from proteinweaver.evaluation.schema import FOLDED_COLUMNS
from proteinweaver.evaluation.superposition import rmsd
from proteinweaver.evaluation.tm import tm_after_superposing, tm_score
from proteinweaver.io.read import read_structure, stem_of

__all__ = [
    "DESIGNABLE",
    "Predictions",
    "compare_fold",
    "find_predictions",
    "folded_source",
    "label_of",
]

FloatArray = NDArray[np.float64]

DESIGNABLE = 2.0
"""CA-RMSD in angstrom below which a prediction counts as the design (Trippe et al. 2023)."""

#: Endings that folding programs add to the name of a sequence, with the rank.
_ENDINGS = (
    re.compile(r"_(?:un)?relaxed_rank_(?P<rank>\d+)_.*$"),  # ColabFold
    re.compile(r"_seed-\d+_sample-(?P<rank>\d+)(?:_model)?$"),  # AlphaFold 3, further samples
    re.compile(r"_model_(?P<rank>\d+)$"),  # Boltz, AlphaFold server
    re.compile(r"_model$"),  # AlphaFold 3, the best
)
#: Files that are named alike in every folder: the folder has the name.
_ANONYMOUS = re.compile(
    r"^(?:pred\.model_idx_|model_|ranked_)(?P<rank>\d+)$|^(?:model|predicted)$"
)


def label_of(name: str, set_name: str = "") -> str:
    """Name the sequences of a design: letters that file names and FASTA allow.

    Parameters
    ----------
    name : str
        Of the design.
    set_name : str, optional
        Of its set, where designs of several sets share the name.

    Returns
    -------
    str

    Examples
    --------
    >>> label_of("1abc-A v2", "runs/a")
    'runs_a_1abc_A_v2'
    """
    whole = f"{set_name}_{name}" if set_name else name
    return "".join(letter if letter.isalnum() else "_" for letter in whole)


@dataclass(frozen=True)
class Predictions:
    """Predicted structures by the name of their sequence.

    Parameters
    ----------
    files : mapping of str to Path
        Lower-case name of a sequence -> its best prediction.
    """

    files: Mapping[str, Path]

    def of(self, design: str, set_name: str = "") -> dict[str, Path]:
        """Predictions of a design of a set: of sequences named like it, with or without ``_k``."""
        names = dict.fromkeys((design, label_of(design), label_of(design, set_name)))
        keys = [key for name in names for key in self._by_design.get(name.lower(), ())]
        return {key: self.files[key] for key in keys}

    @cached_property
    def _by_design(self) -> dict[str, list[str]]:
        """Names of sequences by the names of designs that they may belong to."""
        found: dict[str, list[str]] = {}
        for key in self.files:
            for name in dict.fromkeys((key, re.sub(r"_\d+$", "", key))):
                found.setdefault(name, []).append(key)
        return found

    def unmatched(self, designs: Iterable[tuple[str, str]]) -> list[str]:
        """Names of sequences that belong to none of the designs, given as (name, set)."""
        used = {key for design in designs for key in self.of(*design)}
        return sorted(set(self.files) - used)


def find_predictions(folder: str | Path) -> Predictions:
    """Find the predictions below a folder.

    Parameters
    ----------
    folder : path-like
        Output of a folding program, or a folder of such.

    Returns
    -------
    Predictions

    Raises
    ------
    UserError
        If the folder does not exist or holds no structure.
    """
    best: dict[str, tuple[int, Path]] = {}
    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder of predictions")
    for place in [root, *sorted(path for path in root.rglob("*") if path.is_dir())]:
        try:
            files = [entry.file for entry in find_entries([place])[0]]
        except UserError:
            continue
        ours = (place / "fold.json").is_file()  # names as they are, whatever they end in
        for file in files:
            if file.parent != place:
                continue  # found again in its own folder
            name, rank = (stem_of(file).lower(), 0) if ours else _name_and_rank(file, root)
            if name not in best or rank < best[name][0]:
                best[name] = (rank, file)
    if not best:
        raise UserError(f"{root}: no predicted structure in it; give the folding program's output")
    return Predictions({name: path for name, (_, path) in best.items()})


def _name_and_rank(file: Path, root: Path) -> tuple[str, int]:
    stem = stem_of(file)
    found = _ANONYMOUS.match(stem)
    if found and file.parent != root:
        rank = found.groupdict().get("rank")
        return file.parent.name.lower(), int(rank or 0)
    for ending in _ENDINGS:
        match = ending.search(stem)
        if match and match.start() > 0:
            rank = match.groupdict().get("rank")
            # the plain best before samples that are numbered from 0
            return stem[: match.start()].lower(), int(rank) + 1 if rank else 0
    return stem.lower(), 0


def compare_fold(
    design: FloatArray, predicted: FloatArray, domain: NDArray[np.int16] | None = None
) -> dict[str, float]:
    """Compare a prediction with the design.

    Parameters
    ----------
    design, predicted : ndarray, shape=(L, 3)
        CA positions in angstrom, in correspondence.
    domain : ndarray, dtype=int, shape=(L,), optional
        0 in linkers, 1..k in domains.

    Returns
    -------
    dict
        ``sc_tm``, ``sc_rmsd``; with two or more domains that touch also ``sc_interface_tm``,
        ``sc_interface_rmsd``, ``sc_contacts_kept``; with two or more ``sc_pose_tm``.
    """
    a, b = (np.asarray(x, dtype=np.float64) for x in (design, predicted))
    found = {"sc_tm": tm_score(b, a), "sc_rmsd": float(rmsd(b, a))}
    if domain is None or len(names := np.unique(domain[domain > 0])) < 2:
        return found
    between = (domain[:, None] > 0) & (domain[None] > 0) & (domain[:, None] != domain[None])
    touch = between & (squared_distances(a, a) < CONTACT**2)
    rows = touch.any(axis=1)
    if rows.sum() >= 3:
        # tm_score divides by the length that d0 is taken from; the mean is over the interface
        whole = tm_score(b[rows], a[rows], length=len(a))
        found["sc_interface_tm"] = whole * len(a) / int(rows.sum())
        found["sc_interface_rmsd"] = float(rmsd(b[rows], a[rows]))
        kept = touch & (squared_distances(b, b) < CONTACT**2)
        found["sc_contacts_kept"] = float(kept.sum() / touch.sum())
    poses = [
        tm_after_superposing(b, a, domain == on, domain == over)
        for pair in pairwise(names.tolist())
        for on, over in (pair, pair[::-1])
        if min((domain == on).sum(), (domain == over).sum()) >= 3
    ]
    return found | ({"sc_pose_tm": float(np.mean(poses))} if poses else {})


def folded_source(predictions: Predictions) -> ColumnSource:
    """Make the source of the columns `schema.FOLDED_COLUMNS`.

    Parameters
    ----------
    predictions : Predictions
        What was folded.

    Returns
    -------
    ColumnSource
        Its version is the state of the files.
    """
    state = hashlib.sha256()
    for name, path in sorted(predictions.files.items()):
        stat = path.stat()
        state.update(f"{name}\0{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())

    def measure(samples: Sequence[Sample]) -> list[Measured]:
        return [Measured(_best(sample, predictions)) for sample in samples]

    return ColumnSource("folded", state.hexdigest(), FOLDED_COLUMNS, measure)


def _best(sample: Sample, predictions: Predictions) -> dict[str, float | int | str]:
    """Columns of the sequence that folds best to a design."""
    backbone = sample.backbone
    assert backbone is not None
    best: dict[str, float | int | str] = {}
    count = 0
    problems: list[str] = []
    closest = np.inf
    for name, path in predictions.of(sample.entry.name, sample.entry.set).items():
        try:
            predicted = read_structure(path, allow_ca_only=True).backbone
        except UserError as error:
            problems.append(str(error))
            continue
        if len(predicted) != len(backbone) or len(backbone) < 3:
            problems.append(f"{name} has {len(predicted)} residues, not {len(backbone)}")
            continue
        count += 1
        found = compare_fold(
            np.asarray(backbone.ca, dtype=np.float64),
            np.asarray(predicted.ca, dtype=np.float64),
            backbone.domain,
        )
        closest = min(closest, found["sc_rmsd"])
        if not best or found["sc_tm"] > float(best["sc_tm"]):
            best = {**found, "sc_plddt": mean_confidence(path), "sc_best": name}
    if count:
        best["sc_designable"] = int(closest < DESIGNABLE)
    told = {"sc_problems": "; ".join(problems)} if problems else {}
    return {"sc_count": count, **best, **told}
