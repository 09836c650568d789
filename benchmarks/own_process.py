"""Measure code in a process of its own: time, CPU time and peak memory."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple


class Used(NamedTuple):
    """The resources that a process has used since it began.

    Attributes
    ----------
    seconds, cpu_seconds : float
    peak_gb : float
        The largest resident memory until now.
    """

    seconds: float
    cpu_seconds: float
    peak_gb: float


def used() -> Used:
    """Return what this process has used; only differences of the seconds mean something.

    The CPU time contains that of child processes that have ended.
    """
    own, of_children = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu_seconds = own.ru_utime + own.ru_stime + of_children.ru_utime + of_children.ru_stime
    return Used(time.perf_counter(), cpu_seconds, own.ru_maxrss * 1024 / 1e9)


def used_since(start: Used, end: Used | None = None) -> dict[str, float]:
    """Return the seconds from a start until an end or now, and the peak memory until then."""
    end = end or used()
    return {
        "seconds": end.seconds - start.seconds,
        "cpu_seconds": end.cpu_seconds - start.cpu_seconds,
        "peak_gb": end.peak_gb,
    }


def run_in_own_process(script: str, arguments: Sequence[str], threads: int) -> dict[str, Any]:
    """Run a script that prints JSON, with a number of OpenMP threads; return what it printed."""
    finished = subprocess.run(
        [sys.executable, script, *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )
    return json.loads(finished.stdout) if finished.stdout else {}
