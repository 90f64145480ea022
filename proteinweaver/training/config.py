"""Typed config of training. A default lives here and nowhere else; `configs/` holds recipes.

Importing it loads torch (for the network's own config classes) but neither Lightning nor Hydra.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from proteinweaver.diffusion.objective import LossWeights
from proteinweaver.diffusion.process import ProcessConfig
from proteinweaver.errors import UserError
from proteinweaver.nets.denoiser import DenoiserConfig

__all__ = [
    "DataConfig",
    "LoggerConfig",
    "OptimizerConfig",
    "OptimizerName",
    "TrainConfig",
    "TrainerConfig",
]

OptimizerName = Literal["adamw", "mars_adamw", "mars_lion", "mars_shampoo", "adagradpp", "adampp"]


def _above_zero(group: str, **values: float) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise UserError(f"{group}.{name} is {value}; give a number above 0")


@dataclass(frozen=True)
class DataConfig:
    """What is trained on.

    Parameters
    ----------
    source : {"release", "synthetic"}
        Structure sets from `folder`, or a tiny set of ideal chains made on the spot.
    folder : str
        Folder of ``domains.npz`` and ``chains.npz``; empty: the environment variable
        ``PROTEINWEAVER_DATA``.
    recipe : str
        Mixture of `proteinweaver.training.recipes`; empty: the one named like the stage.
    item : str
        Train on this item of ``domains.npz`` alone (``"#n"``: the first training item of n
        residues); empty: all.
    residues : int
        Residues of a batch and device, padding included.
    workers : int
        Processes that prepare batches ahead; 0 prepares them in line.
    """

    source: Literal["release", "synthetic"] = "release"
    folder: str = ""
    recipe: str = ""
    item: str = ""
    residues: int = 2000
    workers: int = 0

    def __post_init__(self) -> None:
        """Refuse values that make no batch."""
        _above_zero("data", residues=self.residues)
        if self.workers < 0:
            raise UserError(f"data.workers is {self.workers}; give 0 or more")


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer, its learning rate over the budget, and the moving average.

    Parameters
    ----------
    name : str
        AdamW; MARS under AdamW's, Lion's or Shampoo's preconditioner; AdaGrad++ or Adam++, which
        find their own rate (`lr` multiplies it). ``optimizer=NAME`` also brings the settings it
        is started from; see `proteinweaver.training.optimizers`.
    lr : float
        Peak rate.
    beta1, beta2, weight_decay : float
    gamma : float
        Strength of the gradient correction of MARS.
    clip : float
        Greatest norm of the gradient.
    warmup_steps : int
        Steps in which the rate rises linearly.
    cooldown : float
        Share of the budget in which it falls to `lr_floor`; 0 for none.
    lr_floor : float
        Least rate, as a share of the peak.
    ema_decay : float
        Of the moving average; it starts lower and reaches this value after some ten times its
        memory.
    self_condition : float
        Share of steps in which the network sees its own first estimate.
    t_power : float
        Times are drawn as a uniform number to this power: above 1, more of little noise.
    focus, t_focus : float
        This share of times is drawn evenly below `t_focus` instead: where sampling begins at a
        layout, more noise is rarely met.
    """

    name: OptimizerName = "adamw"
    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.98
    weight_decay: float = 0.01
    gamma: float = 0.025
    clip: float = 2.0
    warmup_steps: int = 200
    cooldown: float = 0.2
    lr_floor: float = 0.01
    ema_decay: float = 0.999
    self_condition: float = 0.5
    t_power: float = 1.3
    focus: float = 0.0
    t_focus: float = 0.55

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        _above_zero(
            "optimizer", lr=self.lr, clip=self.clip, t_power=self.t_power, t_focus=self.t_focus
        )
        if self.name in ("adagradpp", "adampp") and self.weight_decay:
            raise UserError(
                f"optimizer.weight_decay is {self.weight_decay}, and {self.name} has none; set it"
                " to 0"
            )
        shares = (
            "beta1", "beta2", "gamma", "ema_decay", "cooldown", "lr_floor", "self_condition",
            "focus", "t_focus",
        )  # fmt: skip
        for name in shares:
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise UserError(f"optimizer.{name} is {value}; give a number from 0 to 1")
        if self.warmup_steps < 0:
            raise UserError(f"optimizer.warmup_steps is {self.warmup_steps}; give 0 or more")


@dataclass(frozen=True)
class TrainerConfig:
    """Where and for how long.

    Parameters
    ----------
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``.
    devices, nodes : int
        Processes of one machine, machines (under torchrun or SLURM).
    strategy : {"auto", "ddp"}
        Lightning's.
    precision : {"32-true", "bf16-mixed", "16-mixed"}
        Lightning's. Mixed ones are for the learned layers; geometry, noise and losses stay in full
        precision. They pay where a processor multiplies bfloat16: without, losses take
        three times as long (docs/speed.md).
    threads : int
        Threads of the CPU; 0 leaves torch's choice.
    compile : bool
        Compile the blocks and the geometry: a minute and a half at the start, then 1.1 times as
        fast on a CPU (docs/speed.md).
    max_minutes : float
        Budget of training time, counted over resumed runs; 0 for none.
    max_steps : int
        Budget of steps; 0 for none.
    clock : {"wall", "cpu"}
        What minutes of training are: wall time, or CPU time of this process, which other work on
        the machine does not change (for comparisons; not on a GPU).
    start_minutes, start_step : float, int
        Where the budget begins to count: set them for another leg on top of a finished run.
    session_minutes : float
        Save and stop after this much time in this process, to go on later; 0 for never.
    save_minutes : float
        Time between checkpoints.
    shards : bool
        Write them also as at most three files of at most 16 MiB, which travel (`shards.py`).
    valid_every : int
        Steps between measurements of the held-out loss; 0 for never.
    valid_batches : int
        Batches of each.
    """

    device: str = "auto"
    devices: int = 1
    nodes: int = 1
    strategy: Literal["auto", "ddp"] = "auto"
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    threads: int = 0
    compile: bool = False
    max_minutes: float = 30.0
    max_steps: int = 0
    clock: Literal["wall", "cpu"] = "wall"
    start_minutes: float = 0.0
    start_step: int = 0
    session_minutes: float = 0.0
    save_minutes: float = 2.0
    shards: bool = False
    valid_every: int = 400
    valid_batches: int = 4

    def __post_init__(self) -> None:
        """Refuse a training without end."""
        if self.max_minutes <= 0 and self.max_steps <= 0:
            raise UserError("training has no end; set trainer.max_minutes or trainer.max_steps")
        for name in ("devices", "nodes"):
            if getattr(self, name) < 1:
                raise UserError(f"trainer.{name} is {getattr(self, name)}; give 1 or more")
        for name in ("valid_every", "valid_batches", "threads", "max_steps"):
            if getattr(self, name) < 0:
                raise UserError(f"trainer.{name} is {getattr(self, name)}; give 0 or more")


@dataclass(frozen=True)
class LoggerConfig:
    """What is written down.

    Parameters
    ----------
    every : int
        Steps of which one line of ``metrics.jsonl`` gives the mean.
    also : {"none", "csv", "tensorboard"}
        A second log by Lightning.
    """

    every: int = 50
    also: Literal["none", "csv", "tensorboard"] = "none"

    def __post_init__(self) -> None:
        """Refuse an empty mean."""
        _above_zero("logger", every=self.every)


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Parameters
    ----------
    stage : {"layout", "domain", "assembler"}
        What the weights will be for.
    out : str
        Folder of ``last.ckpt``, ``metrics.jsonl`` and ``train.json``. A run found there is
        resumed.
    init : str
        Start from the weights of this checkpoint or .safetensors file.
    resume : str
        Go on with this checkpoint: weights, optimizer, step.
    overwrite : bool
        Start afresh where `out` holds an earlier run.
    seed : int
        Key of the first weights, of batches and of noise.
    model : DenoiserConfig
    process : ProcessConfig
    loss : LossWeights
    data : DataConfig
    optimizer : OptimizerConfig
    trainer : TrainerConfig
    logger : LoggerConfig
    """

    stage: Literal["layout", "domain", "assembler"] = "domain"
    out: str = ""
    init: str = ""
    resume: str = ""
    overwrite: bool = False
    seed: int = 0
    model: DenoiserConfig = field(default_factory=DenoiserConfig)
    process: ProcessConfig = field(default_factory=ProcessConfig)
    loss: LossWeights = field(default_factory=LossWeights)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)

    @property
    def recipe(self) -> str:
        """Name of the mixture."""
        return self.data.recipe or self.stage
