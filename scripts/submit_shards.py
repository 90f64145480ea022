"""Submit a generating command as a job array through submitit, and wait for it if asked.

    pip install "proteinweaver[cluster]"
    python scripts/submit_shards.py --parts 16 --minutes 480 --partition cpu -- \
        design --length 300 --domains 3 -n 10000 -o runs/a

Everything behind ``--`` is a command of `proteinweaver`; every job runs it with its own
``--shard``. ``--cluster local`` starts processes on this machine instead of SLURM jobs. The same
line again goes on: finished designs are skipped.
"""

import argparse
import sys

import submitit


def shard(words: list[str], part: int, parts: int) -> int:
    """Run one share of the command in its own process; returns its exit code."""
    from proteinweaver.cli.main import run
    from proteinweaver.cli.process import prepare_process

    prepare_process()
    return run([words[0], "--shard", f"{part}/{parts}", *words[1:]])


def main() -> int:
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--parts", type=int, required=True, help="jobs")
    p.add_argument("--minutes", type=int, default=480, help="time limit of a job")
    p.add_argument("--cpus", type=int, default=2)
    p.add_argument("--memory", type=float, default=4.0, help="GB")
    p.add_argument("--gpus", type=int, default=0)
    p.add_argument("--partition", help="of SLURM")
    p.add_argument("--cluster", default="slurm", choices=("slurm", "local"))
    p.add_argument("--logs", default="submitit-logs")
    p.add_argument("--wait", action="store_true", help="for all jobs; exit with the worst code")
    p.add_argument("words", nargs=argparse.REMAINDER, help="-- COMMAND FLAGS")
    a = p.parse_args()
    words = a.words[1:] if a.words[:1] == ["--"] else a.words
    if not words or "--shard" in words:
        p.error("give a command behind --, without --shard")
    executor = submitit.AutoExecutor(folder=a.logs, cluster=a.cluster)
    executor.update_parameters(
        timeout_min=a.minutes, cpus_per_task=a.cpus, mem_gb=a.memory, gpus_per_node=a.gpus
    )
    if a.partition and a.cluster == "slurm":
        executor.update_parameters(slurm_partition=a.partition)
    parts = range(1, a.parts + 1)
    jobs = executor.map_array(shard, [words] * a.parts, parts, [a.parts] * a.parts)
    print(f"{len(jobs)} jobs, first {jobs[0].job_id}; logs in {a.logs}", flush=True)
    return max(job.result() for job in jobs) if a.wait else 0


if __name__ == "__main__":
    sys.exit(main())
