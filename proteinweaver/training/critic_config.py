"""Typed config of the critic's training. A default lives here and nowhere else."""

from dataclasses import dataclass, field
from typing import Literal

from proteinweaver.errors import UserError
from proteinweaver.nets.critic import CriticConfig
from proteinweaver.training.config import LoggerConfig, OptimizerConfig, TrainerConfig

__all__ = ["CriticDataConfig", "CriticTrainConfig"]


@dataclass(frozen=True)
class CriticDataConfig:
    """What the critic is trained on.

    Parameters
    ----------
    folder : str
        Folder of ``domains.npz`` and ``chains.npz``; empty: the environment variable
        ``PROTEINWEAVER_DATA``.
    negatives : str
        Folder of ``negatives-train.npz`` and ``negatives-valid.npz``, for the soundness head.
    residues : int
        Residues of a batch, exactly.
    max_length : int
        Longer chains are cropped.
    max_noise : float
        Largest Gaussian noise on coordinates, in angstrom per axis; natives and negatives alike.
    without : str
        Kinds of negatives left out of training, separated by commas.
    workers : int
        Processes that prepare batches ahead; 0 prepares them in line.
    """

    folder: str = ""
    negatives: str = ""
    residues: int = 1200
    max_length: int = 512
    max_noise: float = 0.1
    without: str = ""
    workers: int = 0

    def __post_init__(self) -> None:
        """Refuse values that make no batch."""
        for name in ("residues", "max_length"):
            if getattr(self, name) < 1:
                raise UserError(f"data.{name} is {getattr(self, name)}; give 1 or more")
        for name in ("workers", "max_noise"):
            if getattr(self, name) < 0:
                raise UserError(f"data.{name} is {getattr(self, name)}; give 0 or more")


@dataclass(frozen=True)
class CriticTrainConfig:
    """One training run of the critic.

    Parameters
    ----------
    head : {"sequence", "soundness"}
        Train the trunk with the sequence head; or a copy of a trained trunk (give `init`) with the
        soundness branches.
    out : str
        Folder of ``last.ckpt``, ``metrics.jsonl`` and ``train.json``. A run found there is
        resumed.
    init : str
        Start from the weights of this checkpoint; the soundness head goes on from one of its own,
        or starts on the trunk of a sequence head.
    overwrite : bool
        Start afresh where `out` holds an earlier run.
    seed : int
        Key of the first weights, of batches and of noise.
    label_smoothing : float
        Of the sequence head.
    model : CriticConfig
    data : CriticDataConfig
    optimizer : OptimizerConfig
        ``self_condition``, ``t_power``, ``focus`` and ``t_focus`` have no meaning here.
    trainer : TrainerConfig
    logger : LoggerConfig
    """

    head: Literal["sequence", "soundness"] = "sequence"
    out: str = ""
    init: str = ""
    overwrite: bool = False
    seed: int = 0
    label_smoothing: float = 0.05
    model: CriticConfig = field(default_factory=CriticConfig)
    data: CriticDataConfig = field(default_factory=CriticDataConfig)
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(lr=2e-3))
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
