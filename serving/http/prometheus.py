"""The service's metrics in Prometheus' text format, counted in plain dictionaries.

Counting takes a fraction of a microsecond, and callers cannot create new series: all unknown
paths count as one route. Each worker writes its counts to a file twice a second, and the number
of its queued scores whenever it changes. The worker that answers `/metrics` adds them up.
"""

import bisect
import datetime
import itertools
import mmap
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from crm.files import whole_file
from crm.version import VERSION
from models.attribute_changes import attribute_changes
from models.attribute_counts import AttributeCounts, AttributeTally
from models.scorer import LeadScorer
from serving.ledger.faults import Work
from serving.ledger.score_writer import ScoreWriter
from serving.processes import is_alive
from serving.served_model import ServedModel
from serving.shadow import Shadow

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LE = (*(f"{bound:g}" for bound in BUCKETS), "+Inf")
QUEUED = ".queued"  # suffix of the files with the number of queued scores
FAMILIES = {
    "leadscore_requests_total": ("counter", "Requests answered, by route and status."),
    "leadscore_request_seconds": ("histogram", "Seconds from the head of a request to its answer."),
    "leadscore_refused_total": (
        "counter",
        "Requests with an invalid, too large or too slow head.",
    ),
    "leadscore_scores_total": ("counter", "Leads scored, by grade."),
    "leadscore_warnings_total": ("counter", "Warnings about scored leads, by code and attribute."),
    "leadscore_missing_total": (
        "counter",
        "Scored leads without a readable value, by attribute.",
    ),
    "leadscore_unseen_total": (
        "counter",
        "Scored leads whose value was rare or unseen in training, by attribute.",
    ),
    "leadscore_training_missing_share": ("gauge", "Missing values in training, by attribute."),
    "leadscore_training_unseen_share": ("gauge", "Rare values in training, by attribute."),
    "leadscore_attribute_change": (
        "gauge",
        "1 for an attribute that recent leads lack, or have new values of, more than in training.",
    ),
    "leadscore_scores_written_total": ("counter", "Scores written to the ledger."),
    "leadscore_scores_dropped_total": ("counter", "Scores lost before they reached the ledger."),
    "leadscore_scores_queued": ("gauge", "Scores waiting to be written."),
    "leadscore_shadow_scores_total": ("counter", "Leads scored by the shadow model."),
    "leadscore_shadow_scores_dropped_total": (
        "counter",
        "Leads that the shadow model did not score, and its scores that were not written.",
    ),
    "leadscore_shadow_takeovers_total": ("counter", "Shadow models loaded."),
    "leadscore_shadow_faults_total": ("counter", "Shadow models refused."),
    "leadscore_shadow_fault": ("gauge", "1 while the shadow model is not loaded."),
    "leadscore_shadow_info": ("gauge", "1, with the shadow model."),
    "leadscore_ledger_fault": ("gauge", "1 while the ledger cannot be read or written."),
    "leadscore_ledger_fault_cause": ("gauge", "1 for work on the ledger that fails, by cause."),
    "leadscore_takeovers_total": ("counter", "New champions taken over."),
    "leadscore_takeover_faults_total": ("counter", "New champions refused."),
    "leadscore_takeover_fault": ("gauge", "1 while the champion is not the model that answers."),
    "leadscore_keys_fault": ("gauge", "1 while API keys cannot be read, or their file is gone."),
    "leadscore_build_info": ("gauge", "1, with the version of leadscore."),
    "leadscore_model_info": ("gauge", "1, with the model that answers."),
    "leadscore_model_age_seconds": ("gauge", "Age of the model that answers."),
    "leadscore_requests_in_progress": ("gauge", "Requests in progress."),
}

Series = dict[str, dict[str, float]]  # values by family, then by suffix and labels
Samples = Mapping[str, float | Mapping[str, float]]  # values by family, perhaps by labels


@dataclass(frozen=True)
class WorkerStatus:
    """The status of a worker, which its metrics contain in addition to its counts.

    Attributes
    ----------
    model : ServedModel or None
        The model that answers.
    refused : mapping of int to int
        Number of refused connections, by status.
    in_progress : int
        Number of requests in progress.
    has_takeover_fault, has_keys_fault : bool
    ledger_faults : mapping of str to str
        The cause of each work on the ledger that fails.
    score_writer : ScoreWriter or None
        None without a ledger.
    shadow : Shadow or None
        None without a shadow model.
    """

    model: ServedModel | None
    refused: Mapping[int, int]
    in_progress: int
    has_takeover_fault: bool
    has_keys_fault: bool
    ledger_faults: Mapping[Work, str]
    score_writer: ScoreWriter | None
    shadow: Shadow | None


class Metrics:
    """Counts what one worker answers.

    Parameters
    ----------
    worker : str
        The worker's name in the labels of gauges.

    Examples
    --------
    >>> metrics = Metrics("1")
    >>> metrics.count("/score", 200, 0.002)
    >>> metrics.count_scores(["A"], [("unseen_value", "City")])
    >>> print(exposition([metrics.series({})]).splitlines()[2])
    leadscore_requests_total{route="/score",status="200"} 1
    """

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self._events: Counter[str] = Counter()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self._grades: Counter[str] = Counter()
        self._warnings: Counter[tuple[str, str]] = Counter()
        self._missing: Counter[str] = Counter()
        self._unseen: Counter[str] = Counter()
        self._counts: AttributeCounts | None = None
        self._counted: AttributeTally | None = None

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests[route, status] += 1
        buckets = self._buckets.get(route)
        if buckets is None:
            buckets = self._buckets[route] = [0] * len(LE)
            self._seconds[route] = 0.0
        buckets[bisect.bisect_left(BUCKETS, seconds)] += 1
        self._seconds[route] += seconds

    def count_event(self, family: str) -> None:
        """Count an event without labels."""
        self._events[family] += 1

    def count_scores(self, grades: Iterable[str], warnings: Iterable[tuple[str, str]]) -> None:
        """Count scores by their grades, and their warnings by their codes and attributes.

        The attributes must be names that the model knows, or empty, so that callers cannot create
        series.
        """
        self._grades.update(grades)
        self._warnings.update(warnings)

    def count_attributes(self, counts: AttributeCounts) -> None:
        """Add the missing and unseen values of the leads scored since the last call.

        The counts of a new champion begin at zero, but those of the metrics must not.
        """
        tally = counts.all
        before = self._counted if counts is self._counts else None
        missing, unseen = tally.missing, tally.unseen
        if before is not None:
            missing, unseen = missing - before.missing, unseen - before.unseen
        for column, n_missing, n_unseen in zip(
            counts.columns, missing.tolist(), unseen.tolist(), strict=True
        ):
            self._missing[column] += n_missing
            self._unseen[column] += n_unseen
        self._counts, self._counted = counts, tally

    def series(self, samples: Samples) -> Series:
        """Return all counts, and the samples, by family.

        Parameters
        ----------
        samples : mapping of str to float, or to a mapping of labels to float
            By family, such as `worker_samples` returns them.
        """
        series: Series = {
            "leadscore_requests_total": {
                f'{{route="{route}",status="{status}"}}': count
                for (route, status), count in self._requests.items()
            },
            "leadscore_request_seconds": dict(self._histogram()),
            "leadscore_scores_total": {
                f'{{grade="{grade}"}}': count for grade, count in self._grades.items()
            },
            "leadscore_warnings_total": {
                f"{{{_labels(code=code, attribute=attribute)}}}": count
                for (code, attribute), count in self._warnings.items()
            },
        }
        for family, counter in (
            ("leadscore_missing_total", self._missing),
            ("leadscore_unseen_total", self._unseen),
        ):
            series[family] = {
                f"{{{_labels(attribute=column)}}}": count for column, count in counter.items()
            }
        for family, value in (self._events | dict(samples)).items():
            if isinstance(value, Mapping):
                series[family] = {f"{{{labels}}}": number for labels, number in value.items()}
            elif FAMILIES[family][0] == "gauge":
                series[family] = {f'{{worker="{self.worker}"}}': value}
            else:
                series[family] = {"": value}
        return series

    def _histogram(self) -> Iterable[tuple[str, float]]:
        for route, buckets in self._buckets.items():
            for bound, count in zip(LE, itertools.accumulate(buckets), strict=True):
                yield f'_bucket{{route="{route}",le="{bound}"}}', count
            yield f'_sum{{route="{route}"}}', round(self._seconds[route], 6)
            yield f'_count{{route="{route}"}}', sum(buckets)


def worker_samples(worker: str, status: WorkerStatus, now: datetime.datetime) -> Samples:
    """Return the samples that show the status of a worker, by family."""
    samples: dict[str, float | Mapping[str, float]] = {
        "leadscore_build_info": {_labels(worker=worker, version=VERSION): 1},
        "leadscore_refused_total": {
            _labels(status=code): count for code, count in status.refused.items()
        },
        "leadscore_takeover_fault": int(status.has_takeover_fault),
        "leadscore_keys_fault": int(status.has_keys_fault),
        "leadscore_requests_in_progress": status.in_progress,
    }
    if status.model is not None:
        card = status.model.scorer.card
        age = now - datetime.datetime.fromisoformat(card.trained_at)
        samples["leadscore_model_info"] = {_model_labels(worker, status.model): 1}
        samples["leadscore_model_age_seconds"] = age.total_seconds()
        samples |= _attribute_samples(worker, status.model.scorer)
    if status.score_writer is not None:
        samples["leadscore_scores_written_total"] = status.score_writer.written
        samples["leadscore_scores_dropped_total"] = status.score_writer.dropped
        samples["leadscore_scores_queued"] = status.score_writer.queued
        samples["leadscore_ledger_fault"] = int(bool(status.ledger_faults))
        samples["leadscore_ledger_fault_cause"] = {
            _labels(worker=worker, work=work, cause=cause): 1
            for work, cause in status.ledger_faults.items()
        }
    if status.shadow is not None and status.score_writer is not None:
        shadow, lost = status.shadow, status.score_writer.dropped_shadows
        samples["leadscore_shadow_scores_total"] = shadow.scored
        samples["leadscore_shadow_scores_dropped_total"] = shadow.dropped + lost
        samples["leadscore_shadow_fault"] = int(shadow.fault is not None)
        if shadow.model is not None:
            samples["leadscore_shadow_info"] = {_model_labels(worker, shadow.model): 1}
    return samples


def _model_labels(worker: str, model: ServedModel) -> str:
    name, digest = model.scorer.card.name, model.short_digest
    return _labels(worker=worker, name=name, version=model.version, digest=digest)


def _attribute_samples(worker: str, scorer: LeadScorer) -> Samples:
    """Return the shares of missing and unseen values in training, and which have changed."""
    counts, learned = scorer.cell_checks.counts, scorer.learned_shares
    changes = attribute_changes(counts.columns, counts.recent, learned)
    return {
        "leadscore_training_missing_share": {
            _labels(worker=worker, attribute=share.column): share.missing for share in learned
        },
        "leadscore_training_unseen_share": {
            _labels(worker=worker, attribute=share.column): share.unseen for share in learned
        },
        "leadscore_attribute_change": {
            _labels(worker=worker, attribute=change.column, state=change.state): 1
            for change in changes
        },
    }


def exposition(workers: Iterable[Series]) -> str:
    """Format the counts of all workers, added up, in Prometheus' text format."""
    totals: Series = {family: {} for family in FAMILIES}
    for series in workers:
        for family, values in series.items():
            for labels, value in values.items():
                totals[family][labels] = totals[family].get(labels, 0) + value
    lines: list[str] = []
    for family, values in totals.items():
        if values:
            kind, meaning = FAMILIES[family]
            lines += [f"# HELP {family} {meaning}", f"# TYPE {family} {kind}"]
            lines += [f"{family}{labels} {value:.12g}" for labels, value in values.items()]
    return "\n".join(lines) + "\n"


def publish(folder: Path, series: Series) -> None:
    """Write this process's counts to a file for the other workers."""
    with whole_file(folder / f"{os.getpid()}.json") as work:
        work.write_bytes(msgspec.json.encode(series))


def published(folder: Path) -> list[Series]:
    """Read the counts of the other workers, including workers that have died."""
    workers: list[Series] = []
    for path in sorted(folder.glob("*.json")):
        if path.stem == str(os.getpid()):
            continue
        series = msgspec.json.decode(path.read_bytes(), type=Series)
        if not is_alive(int(path.stem)):
            series = _left_by_dead_worker(series, _queued(path.with_suffix(QUEUED)))
        workers.append(series)
    return workers


class QueuedScores:
    """The number of scores queued in this process, in a file that survives a kill.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     QueuedScores(Path(folder)).write(300)
    ...     [_queued(path) for path in Path(folder).iterdir()]
    [300]
    """

    def __init__(self, folder: Path) -> None:
        path = folder / f"{os.getpid()}{QUEUED}"
        path.write_bytes(bytes(8))
        with path.open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), 8)

    def write(self, queued: int) -> None:
        """Write the current number to a file that is mapped into memory."""
        self._bytes[:] = queued.to_bytes(8, "little")


def _queued(path: Path) -> int:
    return int.from_bytes(path.read_bytes(), "little") if path.exists() else 0


def _left_by_dead_worker(series: Series, queued: int) -> Series:
    """Keep a dead worker's counters, and count the scores in its queue as dropped."""
    counters = {
        family: values for family, values in series.items() if FAMILIES[family][0] != "gauge"
    }
    if queued:
        dropped = counters.get("leadscore_scores_dropped_total", {}).get("", 0)
        counters["leadscore_scores_dropped_total"] = {"": dropped + queued}
    return counters


def _labels(**labels: object) -> str:
    r"""Format labels with their values.

    Examples
    --------
    >>> _labels(worker=1, name='a"b')
    'worker="1",name="a\\"b"'
    """
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: object) -> str:
    return str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
