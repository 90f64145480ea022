"""Typed settings that the generating commands share: where a run goes, how a stage samples.

A default lives here and nowhere else. What the commands ask for is in
`proteinweaver.generation.config`. This module imports nothing heavy.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from proteinweaver.errors import UserError
from proteinweaver.io.run_folder import Shard

__all__ = [
    "CANDIDATES",
    "CHAIN_CANDIDATES",
    "LAYOUT_T",
    "LOOP_TILT",
    "POSE_TRIES",
    "STRAND_TILT",
    "AssemblerName",
    "PoseStart",
    "RunConfig",
    "SamplerConfig",
    "assembler_sampler",
    "default_sampling",
    "domain_sampler",
    "layout_sampler",
]


#: Weights that assemble: as trained, or aligned with preferences (docs/preference.md); "auto":
#: the aligned ones where there are any.
AssemblerName = Literal["auto", "assembler", "assembler-aligned"]
#: Where assembly begins.
PoseStart = Literal["found", "noise"]
#: Time at which domains begin from their layouts (docs/training.md).
LAYOUT_T = 0.5
#: How drawn blueprints differ from native ones: some of a strand is lost on the way to a
#: structure, and loops come out longer than told (docs/training.md, question 41).
LOOP_TILT, STRAND_TILT = 0.17, 0.3
#: Draws of every generated domain, of which one is kept (docs/training.md, question 42).
CANDIDATES = 4
#: Draws of every chain (between found poses, of its linkers), of which one is kept (questions 46
#: and 47).
CHAIN_CANDIDATES = 2
#: Found poses of a joint that designs take in turn.
POSE_TRIES = 16


@dataclass(frozen=True)
class SamplerConfig:
    """How one stage solves the reverse process.

    Parameters
    ----------
    num_steps : int
        Steps of the grid; multi-stage steppers call the network more than once a step.
    sampler : str
        A stepper of `samplers.steppers`.
    grid : str
        A grid of `samplers.grids`: where the time points go.
    churn : float, optional
        0 the probability-flow ODE, 1 the reverse SDE; deterministic steppers refuse it.
    noise_scale : float, optional
        Scale of the fresh noise of stochastic steppers; deterministic ones refuse it.
    step_scale : float
        Low-temperature factor on the score; 1 is the trained law.
    self_conditioning : bool
        Feed the previous step's estimate back to the network.
    guidance : float
        How far estimates are led on, away from what half of the network thinks; above 3
        chains fall apart.
    repulsion : float
        Strength with which overlapping pieces are moved apart on the way.
    restarts : int
        Times that noise is added to the result and taken away again; costs ``restart_t`` of the
        steps each.
    restart_t : float
        Time of that noise.
    """

    num_steps: int = 40
    sampler: str = "ddim"
    grid: str = "uniform"
    churn: float | None = None
    noise_scale: float | None = None
    step_scale: float = 1.0
    self_conditioning: bool = True
    guidance: float = 0.0
    repulsion: float = 0.0
    restarts: int = 0
    restart_t: float = 0.5

    def __post_init__(self) -> None:
        """Refuse values no sampler can use."""
        if self.num_steps < 1:
            raise UserError(f"num_steps is {self.num_steps}; take at least 1 step")
        for name, value in (("churn", self.churn), ("noise_scale", self.noise_scale)):
            if value is not None and not 0 <= value < float("inf"):
                raise UserError(f"{name} is {value}; give a number from 0")
        for name, value in (("repulsion", self.repulsion), ("guidance", self.guidance)):
            if not 0 <= value < float("inf"):
                raise UserError(f"{name} is {value}; give a number from 0")
        if self.restarts < 0:
            raise UserError(f"restarts is {self.restarts}; give 0 or more")
        if not 0.05 <= self.restart_t <= 1:
            raise UserError(f"restart_t is {self.restart_t}; give 0.05 to 1")
        if not 0 < self.step_scale < float("inf"):
            raise UserError(f"step_scale is {self.step_scale}; give a number above 0")


def domain_sampler() -> SamplerConfig:
    """Give the default of stage 1: cold, for sounder folds; guided, for paired strands."""
    return SamplerConfig(step_scale=3.0, guidance=1.0)


def layout_sampler() -> SamplerConfig:
    """Give the default of the layouts before stage 1."""
    return SamplerConfig(num_steps=20, step_scale=3.0)


def assembler_sampler() -> SamplerConfig:
    """Give the default of stage 2: as many contacts between domains as natives have."""
    return SamplerConfig(repulsion=0.3)


def default_sampling(stage: str) -> dict[str, Any]:
    """Give the default settings of a stage as JSON values, for the record beside its weights.

    Parameters
    ----------
    stage : str
        ``"layout"``, ``"domain"``, or one that assembles.

    Returns
    -------
    dict
        Fields of `SamplerConfig`; of layouts also ``layout_t``, where stage 1 takes over.
    """
    if stage == "layout":
        return {**asdict(layout_sampler()), "layout_t": LAYOUT_T}
    return asdict(domain_sampler() if stage == "domain" else assembler_sampler())


@dataclass(frozen=True)
class RunConfig:
    """What every generating command shares.

    Parameters
    ----------
    out : str
        Run folder; empty (Python only): keep the designs in memory.
    name : str
        Job name; by default made from the request, so that the same request has the same names.
    n : int
        Number of designs.
    seed : int
        Key of all noise.
    batch_size : int
        Designs sampled together on an accelerator; 0 chooses. On a CPU they are sampled one by
        one (see `proteinweaver.generation.batching`).
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ...
    threads : int
        Threads of the CPU; 0 leaves torch's choice.
    weights : str
        Folder of weights; empty for the shipped ones.
    format : {"pdb", "cif"}
        Format of the designs.
    traj : bool
        Also write trajectories.
    gly : bool
        Name every residue GLY, those of given domains too.
    shard : str
        ``"i/n"``: take the designs whose index is i - 1 modulo n.
    overwrite : bool
        Start afresh where the folder holds an earlier run.
    close : bool
        Close peptide bonds and remove clashes after sampling.
    graft : bool
        Also write every design with the side chains and ligands of its given, rigid domains.
    """

    out: str = ""
    name: str = ""
    n: int = 1
    seed: int = 0
    batch_size: int = 0
    device: str = "auto"
    threads: int = 0
    weights: str = ""
    format: Literal["pdb", "cif"] = "pdb"
    traj: bool = False
    gly: bool = False
    shard: str = "1/1"
    overwrite: bool = False
    close: bool = True
    graft: bool = False

    def __post_init__(self) -> None:
        """Refuse what no file or model is needed to refuse."""
        if self.n < 1:
            raise UserError(f"n is {self.n}; ask for at least 1 design")
        if not 0 <= self.seed < 2**63:
            raise UserError(f"seed is {self.seed}; give a number from 0 to 2^63 - 1")
        if self.batch_size < 0 or self.threads < 0:
            raise UserError("batch_size and threads are 0 (automatic) or positive")
        Shard.parse(self.shard)
