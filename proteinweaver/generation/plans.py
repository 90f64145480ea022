"""The designs of a request (of its shard) as a sequence that plans each one when asked.

A plan depends on nothing but its job and its index, so ten thousand of them need no memory: they
are drawn once to see that every one can be met, and again when their turn comes.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import overload

from proteinweaver.errors import UserError
from proteinweaver.generation.config import DiversifyConfig, RequestConfig
from proteinweaver.generation.feasibility import check_plan
from proteinweaver.generation.jobs import DesignPlan, Job, plan_design, resolve_jobs
from proteinweaver.io.run_folder import Finished, Shard

__all__ = ["Plans", "plan_run"]

#: Residues of one chain that the PDB format can number.
_PDB_RESIDUES = 9999


class Plans(Sequence[DesignPlan]):
    """Plans of a shard: job after job, index after index.

    Parameters
    ----------
    jobs : sequence of Job
    shard : Shard
    chosen : sequence of int, optional
        Which of them, as positions in the sequence of all; by default all.
    """

    def __init__(
        self, jobs: Sequence[Job], shard: Shard, chosen: Sequence[int] | None = None
    ) -> None:
        self.jobs, self.shard = tuple(jobs), shard
        counts = [len(range(shard.part - 1, job.spec.tries, shard.parts)) for job in self.jobs]
        self._ends = list(accumulate(counts))
        self._chosen = range(self._ends[-1]) if chosen is None else chosen

    def __len__(self) -> int:
        """Return the number of designs."""
        return len(self._chosen)

    def _place(self, position: int) -> tuple[Job, int]:
        place = self._chosen[position]
        k = bisect_right(self._ends, place)
        local = place - (self._ends[k - 1] if k else 0)
        return self.jobs[k], self.shard.part - 1 + local * self.shard.parts

    @overload
    def __getitem__(self, position: int) -> DesignPlan: ...

    @overload
    def __getitem__(self, position: slice) -> "Plans": ...

    def __getitem__(self, position: int | slice) -> "DesignPlan | Plans":
        """Draw a plan, or choose some."""
        if isinstance(position, slice):
            return Plans(self.jobs, self.shard, self._chosen[position])
        job, index = self._place(position)
        return plan_design(job, index)

    def without(self, names: Iterable[str]) -> "Plans":
        """Leave out designs by name."""
        done = frozenset(names)
        places = (
            place for position, place in enumerate(self._chosen) if self.name(position) not in done
        )
        return Plans(self.jobs, self.shard, array("q", places))

    def failed_before(self, before: Mapping[str, Finished]) -> list[str]:
        """Names of designs that an earlier run could not make; the same noise fails again."""
        names = (self.name(position) for position in range(len(self)))
        return [name for name in names if name in before and before[name].failed]

    def name(self, position: int) -> str:
        """Name of a design, without planning it."""
        job, index = self._place(position)
        return job.design_name(index)


def plan_run(config: RequestConfig | DiversifyConfig) -> Plans:
    """Plan the designs of a request (of its shard), and see that every one can be met.

    Parameters
    ----------
    config : RequestConfig or DiversifyConfig
        A command's config.

    Returns
    -------
    Plans

    Raises
    ------
    UserError
        If the request cannot be met.
    """
    jobs = resolve_jobs(config)
    if config.graft:
        from proteinweaver.generation.graft import check_graft

        for job in jobs:
            check_graft(job)
    plans = Plans(jobs, Shard.parse(config.shard))
    for plan in plans:
        check_plan(plan)
        if plan.length > _PDB_RESIDUES:
            holds = f"{plan.name}: {plan.length} residues, a PDB file holds {_PDB_RESIDUES}"
            if config.format == "pdb":
                raise UserError(f"{holds}; use --format cif")
            for flag, given in (("--traj", config.traj), ("--graft", config.graft)):
                if given:
                    raise UserError(f"{holds}, and {flag} writes them; drop {flag}")
    return plans
