"""Typed config of alignment. A default lives here and nowhere else."""

from dataclasses import dataclass, field

from proteinweaver.errors import UserError
from proteinweaver.preference.control import CollapseConfig, PullConfig
from proteinweaver.preference.named import DRIFTING, LISTWISE, ObjectiveConfig
from proteinweaver.preference.reward_gradient import RewardGradientConfig
from proteinweaver.preference.surrogate import SurrogateConfig
from proteinweaver.training.config import LoggerConfig, OptimizerConfig, TrainerConfig

__all__ = ["AdapterConfig", "AlignConfig", "AlignDataConfig"]


@dataclass(frozen=True)
class AlignDataConfig:
    """Which pairs, and how many at a time.

    Parameters
    ----------
    pairs : str
        File of `proteinweaver prefs`.
    offline : bool
        Take pairs of other models than the one that learns starts from. Default: refuse them.
    strict : bool
        Refuse a file with one bad pair; else bad pairs are told and left out.
    batch : int
        Pairs, or longer rankings, of a step.
    valid_share : float
        Share of the plans (not of the pairs) that is held out.
    list_size : int
        Designs of a ranking: 2 takes the pairs of the file, more makes lists of the designs that
        lie in them.
    residue_branches : tuple of int
        Branches of the shipped critic that tell what a residue counts: the share of native
        surroundings in the best design, the rest in the others. Empty: all count alike.
    control : bool
        Order the designs of every ranking by lot: a control that must not improve anything.
    workers : int
        Processes that prepare batches; 0 prepares them in line.
    """

    pairs: str = ""
    offline: bool = False
    strict: bool = False
    batch: int = 4
    valid_share: float = 0.1
    list_size: int = 2
    residue_branches: tuple[int, ...] = ()
    control: bool = False
    workers: int = 0

    def __post_init__(self) -> None:
        """Refuse values that make no batch."""
        if self.batch < 1:
            raise UserError(f"data.batch is {self.batch}; give 1 or more")
        if self.list_size < 2:
            raise UserError(f"data.list_size is {self.list_size}; give 2 for pairs, or more")
        if not 0 <= self.valid_share < 1:
            raise UserError(f"data.valid_share is {self.valid_share}; give 0 to below 1")


@dataclass(frozen=True)
class AdapterConfig:
    """Low-rank adapters (`proteinweaver.nets.adapters`) in place of full fine-tuning.

    Parameters
    ----------
    rank : int
        0: all weights learn. Else only adapters do, at a rate some ten to a hundred times higher.
    alpha : float
        The update is multiplied by ``alpha / rank``.
    layers : tuple of str
        Parts of the names of the layers that get one.
    """

    rank: int = 0
    alpha: float = 8.0
    layers: tuple[str, ...] = ("edge", "out", "chain", "transition", "update")

    def __post_init__(self) -> None:
        """Refuse adapters that cannot learn."""
        if self.rank < 0:
            raise UserError(f"adapter.rank is {self.rank}; give 0 for full fine-tuning, or more")
        if not 0 < self.alpha < float("inf"):
            raise UserError(f"adapter.alpha is {self.alpha}; give a positive number")
        if self.rank and not self.layers:
            raise UserError("adapter.layers is empty; name layers, such as [out,transition]")


@dataclass(frozen=True)
class AlignConfig:
    """One leg of alignment: pairs, an objective, a reference.

    Parameters
    ----------
    out : str
        Folder of ``last.ckpt``, ``assembler.safetensors``, ``metrics.jsonl`` and ``train.json``. A
        run found there is resumed.
    init : str
        ``.safetensors`` to start from; empty: the weights that `assemble` takes by default.
    reference : str
        ``.safetensors`` that log-ratios are taken to; several, separated by commas, are averaged.
        Empty: `init`, which makes the previous round the reference of self-play.
    first : str
        ``.safetensors`` that `pull` and the objectives of later rounds (anchored-dpo, game, inpo)
        pull to, the model that all rounds began with; empty: the reference as it is at first.
    reference_ema : float
        The reference follows the policy, ``ref <- decay ref + (1 - decay) policy`` after every
        step, by this decay; 1: it stays.
    overwrite : bool
        Start afresh where `out` holds an earlier run.
    seed : int
        Key of batches and noise.
    kl_limit : float
        Stop when the running mean of the divergence (the figure ``kl``) exceeds it; 0 for none.
    reward_gradient : RewardGradientConfig
        Where it is on (``last``), samples of what the pairs were asked for climb a soft reward,
        and the objective of pairs only tells figures of held-out ones.
    pull : PullConfig
    collapse : CollapseConfig
        Needs held-out pairs; a leg that has collapsed ends in its best state.
    adapter : AdapterConfig
    objective : ObjectiveConfig
    surrogate : SurrogateConfig
    data : AlignDataConfig
    optimizer : OptimizerConfig
        ``self_condition``, ``t_power``, ``focus`` and ``t_focus`` have no meaning here.
    trainer : TrainerConfig
        ``compile`` has no meaning here.
    logger : LoggerConfig
    """

    out: str = ""
    init: str = ""
    reference: str = ""
    first: str = ""
    reference_ema: float = 1.0
    overwrite: bool = False
    seed: int = 0
    kl_limit: float = 0.0
    reward_gradient: RewardGradientConfig = field(default_factory=RewardGradientConfig)
    pull: PullConfig = field(default_factory=PullConfig)
    collapse: CollapseConfig = field(default_factory=CollapseConfig)
    adapter: AdapterConfig = field(default_factory=AdapterConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    surrogate: SurrogateConfig = field(default_factory=SurrogateConfig)
    data: AlignDataConfig = field(default_factory=AlignDataConfig)
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(
            lr=3e-6, clip=200.0, warmup_steps=20, ema_decay=0.99, weight_decay=0.0
        )
    )
    trainer: TrainerConfig = field(default_factory=lambda: TrainerConfig(valid_every=25))
    logger: LoggerConfig = field(default_factory=lambda: LoggerConfig(every=10))

    def __post_init__(self) -> None:
        """Refuse draws of which the variance cannot be told."""
        if self.surrogate.draws < 2:
            raise UserError(f"surrogate.draws is {self.surrogate.draws}; take at least 2")
        if self.data.list_size > 2 and self.objective.name not in LISTWISE:
            raise UserError(
                f"data.list_size is {self.data.list_size}, but {self.objective.name} compares two "
                f"designs; longer lists go with {', '.join(sorted(LISTWISE))}"
            )
        if not 0 <= self.reference_ema <= 1:
            raise UserError(f"reference_ema is {self.reference_ema}; give a number from 0 to 1")
        if self.kl_limit < 0:
            raise UserError(f"kl_limit is {self.kl_limit}; give 0 for none, or more")
        if self.kl_limit and self.reward_gradient.last:
            raise UserError("kl_limit has no meaning with reward_gradient; use pull or collapse")
        if self.first and not self.pull.strength and self.objective.name not in DRIFTING:
            raise UserError(
                "first is named, but pull.strength is 0 and the objective does not look at it; "
                f"give a strength, or one of {', '.join(sorted(DRIFTING))}"
            )
        if self.collapse.patience and not (self.data.valid_share and self.trainer.valid_every):
            raise UserError("collapse.patience needs data.valid_share and trainer.valid_every")
