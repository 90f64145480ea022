"""Settings of our own process that decide how fast torch runs on a CPU; made before torch loads.

*Memory.* By default glibc maps every block above 128 KiB afresh and unmaps it when freed, so each
large temporary of a network is faulted in page by page, again and again. ``mallopt`` stops that:
no mappings for large blocks, a high threshold for trimming the heap, growth in large strides. The
environment variable ``GLIBC_TUNABLES`` does the same but is read only when a process starts, which
would take a second start. Both are equally fast: 60 rounds of ``silu(x) * x`` on 40 MB take 0.31 s
with either and 2.0 s with neither (one thread, median of 3, torch 2.13). The price is that freed
memory stays with the process.

*Threads.* OpenMP's threads wait for one another in busy loops. That is the fastest way on cores
that are free: a network call on 100 residues takes 13-18 ms with two threads, 19 with one, and 38
with two that fall asleep instead (``OMP_WAIT_POLICY=PASSIVE``). Where something else uses the
cores, though, a thread that waits holds the core that the thread it waits for needs: a loop of
small matrix products took 35 s on 2 busy cores, 0.2-0.3 s with sleeping threads. So the load of
the machine at the start decides.
"""

import ctypes
import os
import sys

__all__ = ["keep_freed_memory", "prepare_process"]

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_SETTINGS = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 256 * 2**20))


def prepare_process() -> None:
    """Make all settings; what the environment says already is left as it is."""
    if _others_are_at_work():
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()


def _others_are_at_work() -> bool:
    """Whether more than half a process waits for every core, in the mean over a minute."""
    try:
        return os.getloadavg()[0] > 0.5 * (os.cpu_count() or 1)
    except OSError:
        return False


def keep_freed_memory() -> bool:
    """Tune the allocator of this process; call before the first large allocation.

    Does nothing where the allocator is not glibc's, where ``GLIBC_TUNABLES`` already speaks, or
    where ``PROTEINWEAVER_MALLOC=system`` asks for the system's own behaviour.

    Returns
    -------
    bool
        Whether the settings were made.
    """
    if not sys.platform.startswith("linux") or "GLIBC_TUNABLES" in os.environ:
        return False
    if os.environ.get("PROTEINWEAVER_MALLOC") == "system":
        return False
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018 - absent in other C libraries
        return all(libc.mallopt(option, value) == 1 for option, value in _SETTINGS)
    except (OSError, AttributeError):
        return False
