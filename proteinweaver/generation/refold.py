"""Do sequences designed for a backbone fold to it? The question the field asks of every design.

::

    OUT/sequences/      FASTA and table of the designed sequences
    OUT/predictions/    their predicted structures, one by one

Sequences are keyed by (seed, name, number), so the same command designs the same ones again and
only folds what is missing; those of a design that changed are new, and folded again.
"""

from dataclasses import dataclass
from pathlib import Path

from proteinweaver.errors import UserError
from proteinweaver.evaluation.folding import FoldResult, Progress, fold_sequences
from proteinweaver.evaluation.folding_models import FoldingModel
from proteinweaver.generation.sequences import SequenceRequest, write_sequences

__all__ = ["RefoldRequest", "refold"]


@dataclass(frozen=True)
class RefoldRequest:
    """What is asked.

    Parameters
    ----------
    paths : tuple of str
        Run folders, folders of structure files, files.
    out : str
        Folder.
    sequences : int
        Per backbone.
    protein_mpnn : str
        Checkpoint that designs them; empty for the critic.
    critic : str
        Weights of the critic; empty for the shipped ones.
    overwrite : bool
        Fold everything again.
    """

    paths: tuple[str, ...]
    out: str
    sequences: int = 8
    protein_mpnn: str = ""
    critic: str = ""
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be folded."""
        if self.sequences < 1:
            raise UserError(f"--sequences {self.sequences}: give 1 or more")


def refold(
    request: RefoldRequest, model: FoldingModel, progress: Progress | None = None
) -> FoldResult:
    """Design sequences for backbones and fold them.

    Parameters
    ----------
    request : RefoldRequest
    model : FoldingModel
    progress : callable, optional
        Receives the numbers of sequences folded, of all to fold, and failed.

    Returns
    -------
    FoldResult
        Its folder is what `proteinweaver.evaluation.folded.find_predictions` reads.

    Raises
    ------
    UserError
        If nothing can be designed or folded, or the folder cannot be used.
    """
    out = Path(request.out)
    if any(out.glob("manifest*.jsonl")):
        raise UserError(f"{out} is a run folder; choose another with -o")
    written = write_sequences(
        SequenceRequest(
            paths=request.paths,
            out=str(out / "sequences"),
            n=request.sequences,
            model="protein-mpnn" if request.protein_mpnn else "critic",
            weights=request.protein_mpnn,
            critic="" if request.protein_mpnn else request.critic,
            overwrite=True,
        )
    )
    return fold_sequences(
        written.fasta, out / "predictions", model, overwrite=request.overwrite, progress=progress
    )
