"""Counters of the service as Prometheus reads them, in dictionaries of our own.

A count costs a fraction of a microsecond, and the series are known beforehand: what callers
ask for beside the known paths is counted as one route. Each worker leaves its counts in a file
twice a second, and how many scores wait at every moment; whichever is asked adds them up.
"""

import bisect
import itertools
import mmap
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import psutil

from crm.files import whole_file

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LE = (*(f"{bound:g}" for bound in BUCKETS), "+Inf")
QUEUED = ".queued"  # how a file ends that says how many scores wait
FAMILIES = {
    "leadscore_requests_total": ("counter", "Requests answered, by route and status."),
    "leadscore_request_seconds": ("histogram", "From the head of a request to its answer."),
    "leadscore_refused_total": ("counter", "Connections closed because they spoke no HTTP."),
    "leadscore_scores_total": ("counter", "Leads scored, by grade."),
    "leadscore_warnings_total": ("counter", "Warnings about scored leads, by code."),
    "leadscore_scores_written_total": ("counter", "Scores written to the ledger."),
    "leadscore_scores_dropped_total": ("counter", "Scores that the ledger did not get."),
    "leadscore_scores_queued": ("gauge", "Scores waiting to be written."),
    "leadscore_ledger_fault": ("gauge", "1 while the ledger cannot be read or written."),
    "leadscore_takeovers_total": ("counter", "New champions taken over."),
    "leadscore_takeover_faults_total": ("counter", "New champions refused."),
    "leadscore_takeover_fault": ("gauge", "1 while the champion is not the model that answers."),
    "leadscore_keys_fault": ("gauge", "1 while API keys cannot be read, or their file is gone."),
    "leadscore_build_info": ("gauge", "1, with the version of leadscore."),
    "leadscore_model_info": ("gauge", "1, with the model that answers."),
    "leadscore_model_age_seconds": ("gauge", "Since the model that answers was trained."),
    "leadscore_requests_in_progress": ("gauge", "Requests being worked on."),
}

Series = dict[str, dict[str, float]]  # by family, then by what stands after it


class Metrics:
    """Counts what one worker answers.

    Parameters
    ----------
    worker : str
        Which of the workers this is.

    Examples
    --------
    >>> metrics = Metrics("1")
    >>> metrics.count("/score", 200, 0.002)
    >>> metrics.count_score("A", ["unseen_value"])
    >>> print(exposition([metrics.series({})]).splitlines()[2])
    leadscore_requests_total{route="/score",status="200"} 1
    """

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self._events: Counter[str] = Counter()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._seconds: Counter[str] = Counter()
        self._grades: Counter[str] = Counter()
        self._warnings: Counter[str] = Counter()

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests[route, status] += 1
        buckets = self._buckets.get(route)
        if buckets is None:
            buckets = self._buckets[route] = [0] * len(LE)
        buckets[bisect.bisect_left(BUCKETS, seconds)] += 1
        self._seconds[route] += seconds  # type: ignore[assignment]

    def happened(self, family: str) -> None:
        """Count an event that has no labels."""
        self._events[family] += 1

    def count_score(self, grade: str, warning_codes: Iterable[str]) -> None:
        """Count one score by its grade, and its warnings by their codes."""
        self._grades[grade] += 1
        self._warnings.update(warning_codes)

    def series(self, more: Mapping[str, float | Mapping[str, float]]) -> Series:
        """Give all counts, and more that others counted, by family.

        Parameters
        ----------
        more : mapping of str to float, or to a mapping of labels to float
            By the family's name.
        """
        found: Series = {
            "leadscore_requests_total": {
                f'{{route="{route}",status="{status}"}}': count
                for (route, status), count in self._requests.items()
            },
            "leadscore_request_seconds": dict(self._histogram()),
            "leadscore_scores_total": {f'{{grade="{g}"}}': n for g, n in self._grades.items()},
            "leadscore_warnings_total": {f'{{code="{c}"}}': n for c, n in self._warnings.items()},
        }
        for family, value in (self._events | dict(more)).items():
            if isinstance(value, Mapping):
                found[family] = {f"{{{labels}}}": n for labels, n in value.items()}
            else:
                is_gauge = FAMILIES[family][0] == "gauge"
                found[family] = {f'{{worker="{self.worker}"}}' if is_gauge else "": value}
        return found

    def _histogram(self) -> Iterable[tuple[str, float]]:
        for route, buckets in self._buckets.items():
            for bound, count in zip(LE, itertools.accumulate(buckets), strict=True):
                yield f'_bucket{{route="{route}",le="{bound}"}}', count
            yield f'_sum{{route="{route}"}}', round(self._seconds[route], 6)
            yield f'_count{{route="{route}"}}', sum(buckets)


def exposition(workers: Iterable[Series]) -> str:
    """Write the counts of all workers, added up, in Prometheus' text format."""
    total: Series = {family: {} for family in FAMILIES}
    for series in workers:
        for family, values in series.items():
            for labels, value in values.items():
                total[family][labels] = total[family].get(labels, 0) + value
    lines: list[str] = []
    for family, values in total.items():
        if values:
            kind, meaning = FAMILIES[family]
            lines += [f"# HELP {family} {meaning}", f"# TYPE {family} {kind}"]
            lines += [f"{family}{labels} {value:.12g}" for labels, value in values.items()]
    return "\n".join(lines) + "\n"


def publish(folder: Path, series: Series) -> None:
    """Leave this process's counts where the other workers find them."""
    with whole_file(folder / f"{os.getpid()}.json") as work:
        work.write_bytes(msgspec.json.encode(series))


def published(folder: Path) -> list[Series]:
    """Read the counts of the other workers; of one that died, what it had counted."""
    found: list[Series] = []
    for path in sorted(folder.glob("*.json")):
        if path.stem == str(os.getpid()):
            continue
        series = msgspec.json.decode(path.read_bytes(), type=Series)
        if not _is_alive(int(path.stem)):
            series = _left_by_the_dead(series, _queued(path.with_suffix(QUEUED)))
        found.append(series)
    return found


class QueuedScores:
    """How many scores wait in this process, where others find it if it is killed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     QueuedScores(Path(folder)).tell(300)
    ...     [_queued(path) for path in Path(folder).iterdir()]
    [300]
    """

    def __init__(self, folder: Path) -> None:
        path = folder / f"{os.getpid()}{QUEUED}"
        path.write_bytes(bytes(8))
        with path.open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), 8)

    def tell(self, queued: int) -> None:
        """Note how many wait now; what stands in the memory of a file outlives its process."""
        self._bytes[:] = queued.to_bytes(8, "little")


def _queued(path: Path) -> int:
    return int.from_bytes(path.read_bytes(), "little") if path.exists() else 0


def _is_alive(process: int) -> bool:
    """Tell whether a process runs; one that was killed is there until its parent looks."""
    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _left_by_the_dead(series: Series, queued: int) -> Series:
    """Give what outlives a worker: its counters, and the scores that nobody will write now."""
    left = {f: values for f, values in series.items() if FAMILIES[f][0] != "gauge"}
    if queued:
        dropped = left.get("leadscore_scores_dropped_total", {}).get("", 0)
        left["leadscore_scores_dropped_total"] = {"": dropped + queued}
    return left


def quoted(value: object) -> str:
    r"""Write a label's value.

    Examples
    --------
    >>> quoted('a"b')
    '"a\\"b"'
    """
    text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'
