"""The record of automatic retrainings in MLflow: one run each, which can be resumed.

The run has a tag for each step that is done, with its result. While its process lives, a tag is
renewed every half a minute. Another process that finds an unfinished run whose tag is old takes the
run over, and goes on behind the last step that is done, unless what its decision rests on has
changed. Claiming a run happens under a lock, so only one process at a time retrains a model, on all
machines that share the MLflow server.
"""

import datetime
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from crm.errors import BusyError, TrackingError
from models.registry.deletion import delete_run
from models.registry.lock import LockedError, hold_lock
from models.registry.mlflow_errors import error_types
from models.registry.promotion import user_name
from models.registry.registry import RETRAIN_RUNS, RUN_KIND, Registry

Clock = Callable[[], datetime.datetime]

RETRAIN_TAG: Final = "leadscore.retrain"  # of a training's run: the retraining that started it
ALIVE, HOST, PID = "leadscore.alive", "leadscore.host", "leadscore.pid"
SETTINGS, CHAMPION = "leadscore.settings", "leadscore.champion"  # when it began
STEP: Final = "leadscore.step."
RENEWED_EVERY: Final = 30.0  # seconds
DEAD_AFTER: Final = datetime.timedelta(minutes=3)
RESUMED_WITHIN: Final = datetime.timedelta(days=7)  # drift asks for a training once in 7 days, too
LOOK_LASTS: Final = datetime.timedelta(hours=12)  # less than from one daily retraining to the next
LONGEST_TAG: Final = 5_000


@dataclass
class Retraining:
    """The run of an automatic retraining that is in progress.

    Attributes
    ----------
    registry : Registry
    run_id : str
    at : datetime, timezone-aware
        When it began; a run that is resumed keeps this time.
    steps : dict of str to str
        The results of the steps that are done, by name.
    is_resumed : bool
        True if another process began it.
    given_up : str
        A sentence about an unfinished retraining that this one replaces; empty if there was none.
    """

    registry: Registry
    run_id: str
    at: datetime.datetime
    steps: dict[str, str] = field(default_factory=dict)
    is_resumed: bool = False
    given_up: str = ""

    def done(self, step: str, result: str) -> None:
        """Record that a step is done, with its result."""
        with self.registry.errors():
            self.registry.client.set_tag(self.run_id, STEP + step, result[:LONGEST_TAG])
        self.steps[step] = result

    def end(self, sentence: str, metrics: Mapping[str, float]) -> None:
        """Finish the run, with a sentence about the result."""
        with self.registry.errors():
            client = self.registry.client
            for name, value in metrics.items():
                client.log_metric(self.run_id, name, value)
            client.set_tag(self.run_id, "mlflow.note.content", sentence[:LONGEST_TAG])
            client.set_terminated(self.run_id)

    def version_trained(self) -> str | None:
        """Return the version that this retraining has registered, also if it was killed then.

        A training that was killed before its version was registered is deleted.
        """
        with self.registry.errors():
            client, experiment = self.registry.client, self.registry.find_experiment()
            if experiment is None:
                return None
            found = client.search_runs([experiment], f"tags.`{RETRAIN_TAG}` = '{self.run_id}'")
            versions = {version.run_id: version.version for version in self.registry.versions()}
            registered = None
            for run in found:
                if run.info.run_id in versions:
                    registered = versions[run.info.run_id]
                    if run.info.status == "RUNNING":
                        client.set_terminated(run.info.run_id)
                elif run.info.status == "RUNNING":
                    delete_run(client, run.info.run_id)
            return registered


@contextmanager
def retraining(
    registry: Registry, clock: Clock, settings: str = "", *, force: bool = False
) -> Iterator[Retraining]:
    """Begin a retraining, or resume one whose process died, for the length of the context.

    If the context ends with an error, the run stays unfinished, and the next retraining resumes
    it: a step that failed leaves the state of the step before.

    Parameters
    ----------
    registry : Registry
    clock : callable
        Returns the time, timezone-aware.
    settings : str
        The digest of the project file. A version that was trained under another one is not judged.
    force : bool
        True if a training is requested: one that decided not to train is not resumed.

    Yields
    ------
    Retraining

    Raises
    ------
    BusyError
        If another process is retraining this model.
    TrackingError
        If MLflow refuses.
    """
    try:
        with (
            registry.errors(),
            hold_lock(registry.client, f"{registry.name}.retraining", _here(), clock()),
        ):
            run = _claim(registry, clock(), settings, force)
    except LockedError as holder:
        raise BusyError(_busy(registry, holder.who)) from None
    stop = threading.Event()
    thread = threading.Thread(
        target=_renew, args=(registry, run.run_id, stop, clock), daemon=True, name="retraining"
    )
    thread.start()
    try:
        yield run
    except BaseException:
        with suppress(TrackingError), registry.errors():  # the next one need not wait
            registry.client.set_tag(run.run_id, ALIVE, "")
        raise
    finally:
        stop.set()
        thread.join()


def _claim(
    registry: Registry, now: datetime.datetime, settings: str = "", force: bool = False
) -> Retraining:
    """Take over the newest unfinished run, or create one; others are given up."""
    client, experiment = registry.client, registry.experiment(RETRAIN_RUNS)
    unfinished = client.search_runs(
        [experiment],
        filter_string="attributes.status = 'RUNNING'",
        order_by=["attributes.start_time DESC"],
    )
    alive = {
        ALIVE: now.isoformat(),
        HOST: _machine(),
        PID: str(os.getpid()),
    }
    resumed: Retraining | None = None
    given_up = ""
    for run in unfinished:
        tags = run.data.tags
        if _is_alive(tags, now):
            raise BusyError(_busy(registry, f"process {tags[PID]} on {tags[HOST]}"))
        at = datetime.datetime.fromtimestamp(run.info.start_time / 1000, datetime.UTC)
        steps = {k.removeprefix(STEP): v for k, v in tags.items() if k.startswith(STEP)}
        found = Retraining(registry, run.info.run_id, at, steps, is_resumed=True)
        why = "a newer one is resumed" if resumed else _why_anew(found, tags, now, settings, force)
        if not why:
            resumed = found
            continue
        given_up = given_up or (
            f"The retraining that began at {at:%Y-%m-%d %H:%M} UTC is not resumed: {why}."
        )
        client.set_tag(found.run_id, "mlflow.note.content", f"Not resumed: {why}.")
        client.set_terminated(found.run_id, "KILLED")
    if resumed is not None:
        for name, value in alive.items():
            client.set_tag(resumed.run_id, name, value)
        return resumed
    created = client.create_run(
        experiment,
        start_time=round(now.timestamp() * 1000),
        run_name=f"retraining {now:%Y-%m-%d %H:%M}",
        tags={
            **alive,
            RUN_KIND: "retraining",
            SETTINGS: settings,
            CHAMPION: registry.find_champion() or "",
            "mlflow.user": user_name(),
            "mlflow.source.name": "leadscore retrain",
            "mlflow.source.type": "LOCAL",
        },
    )
    return Retraining(registry, created.info.run_id, now, given_up=given_up)


def _why_anew(
    run: Retraining, tags: Mapping[str, str], now: datetime.datetime, settings: str, force: bool
) -> str:
    """Return why an unfinished retraining is not resumed; "" if it is.

    What follows a promotion is always resumed, because the services have to take over the champion.
    """
    version, champion = run.version_trained(), run.registry.find_champion()
    if run.steps.get("judge") == "promoted" or (version is not None and version == champion):
        return ""
    age = now - run.at
    if age >= RESUMED_WITHIN:
        return f"it began {age.days} days ago"
    if "judge" in run.steps:
        return ""
    if tags.get(SETTINGS, settings) != settings:
        return "the project file has changed since"
    trains = run.steps.get("decision", "").startswith("train") or bool(run.steps.get("shadow"))
    if not trains and force:
        return "a training is requested now"
    if not trains and age >= LOOK_LASTS:
        return "no training was due then, and the champion is looked at again"
    if version is None and tags.get(CHAMPION, champion or "") != (champion or ""):
        return "there is another champion now"
    return ""


def _is_alive(tags: Mapping[str, str], now: datetime.datetime) -> bool:
    """Return whether the process of an unfinished run still lives, as far as can be known."""
    if not tags.get(ALIVE):
        return False
    if tags.get(HOST) == _machine() and not _runs(int(tags.get(PID, "0"))):
        return False
    return now - datetime.datetime.fromisoformat(tags[ALIVE]) < DEAD_AFTER


def _runs(pid: int) -> bool:
    """Return whether a process of this machine runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return pid > 0


def _renew(registry: Registry, run_id: str, stop: threading.Event, clock: Clock) -> None:
    while not stop.wait(RENEWED_EVERY):
        with suppress(*error_types()):  # a server that is away for a moment
            registry.client.set_tag(run_id, ALIVE, clock().isoformat())


def _machine() -> str:
    """Return a name that two processes share only if they see each other's process ids.

    Containers may share the name of their host, but not their ids of processes.
    """
    try:
        namespace = f" ({Path('/proc/self/ns/pid').readlink()})"
    except OSError:  # not Linux
        namespace = ""
    return f"{socket.gethostname()}{namespace}"


def _here() -> str:
    return f"process {os.getpid()} on {_machine()}"


def _busy(registry: Registry, who: str) -> str:
    return (
        f"`{registry.name}` is being retrained by {who}. Wait until it is done. After "
        f"{DEAD_AFTER.total_seconds() / 60:.0f} minutes without a sign of life, the next "
        "retraining resumes it."
    )


def last_retrainings(registry: Registry, most: int = 20) -> list[dict[str, Any]]:
    """Return the newest retrainings, oldest first: `at`, `status`, `sentence` and `steps`."""
    with registry.errors():
        experiment = registry.find_experiment(RETRAIN_RUNS)
        if experiment is None:
            return []
        runs = registry.client.search_runs(
            [experiment], max_results=most, order_by=["attributes.start_time DESC"]
        )
    return [
        {
            "at": datetime.datetime.fromtimestamp(
                run.info.start_time / 1000, datetime.UTC
            ).isoformat(timespec="seconds"),
            "status": run.info.status,
            "sentence": run.data.tags.get("mlflow.note.content", ""),
            "steps": {
                k.removeprefix(STEP): v for k, v in run.data.tags.items() if k.startswith(STEP)
            },
        }
        for run in reversed(runs)
    ]
