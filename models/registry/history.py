"""The history of promotions: which version became champion or was refused, by whom, and why.

Every event is an MLflow run, named like "promote version 3", in an experiment of its own, so that
events do not stand among the trainings. Its tags contain who, when and why; its file `gates.json`
contains the result of every gate. An event counts once its run is finished. Events are never
deleted. Earlier versions of leadscore recorded them in the experiment of the trainings.
"""

import datetime
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from crm.errors import ConfigError, TrackingError
from models.registry.deletion import delete_run
from models.registry.registry import PROMOTION_RUNS, RUN_KIND, Registry
from models.scale import Scale

PROMOTIONS = ("first champion", "promoted", "forced")
CHAMPION_EVENTS = (*PROMOTIONS, "rolled back")
REFUSED = "refused"
TAG = "leadscore."
RUNS_PER_PAGE = 1_000


@dataclass(frozen=True)
class Gate:
    """The result of one numbered check that a challenger must pass to become champion.

    Attributes
    ----------
    number : str
        `LG101` and so on; a number is never reused for another check.
    name : str
    passed : bool
    evidence : str
        A sentence with the figures.
    """

    number: str
    name: str
    passed: bool
    evidence: str

    def to_json(self) -> dict[str, Any]:
        """Return the gate as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class GateResults:
    """The results of all gates for one version.

    Attributes
    ----------
    version : str
    against : str or None
        The champion that the version was compared with; None if there was no champion.
    gates : tuple of Gate
    scale : Scale or None
        The scale of the version; None if the version does not load, so that it cannot be
        promoted at all.
    """

    version: str
    against: str | None
    gates: tuple[Gate, ...]
    scale: Scale | None

    @property
    def failed(self) -> tuple[Gate, ...]:
        """The gates that the version did not pass."""
        return tuple(gate for gate in self.gates if not gate.passed)


@dataclass(frozen=True)
class Event:
    """One event of the history.

    Attributes
    ----------
    what : str
        One of `CHAMPION_EVENTS`, or `REFUSED`.
    version : str
        The version that was promoted, rolled back to or refused.
    previous : str or None
        The champion before the event.
    who, because : str
        The person who decided, and the reason.
    at : datetime, UTC
    failed : tuple of str
        Number and name of each gate that the version did not pass.
    forced : bool
        True if the person overruled failed gates. A forced promotion can still be refused.
    said : str
        Why the promotion was refused, or what else happened.
    run_id : str
        The MLflow run that records the event; its `gates.json` contains every result.
    """

    what: str
    version: str
    previous: str | None
    who: str
    because: str
    at: datetime.datetime
    failed: tuple[str, ...]
    forced: bool
    said: str
    run_id: str

    def to_json(self) -> dict[str, Any]:
        """Return the event as plain data."""
        return asdict(self) | {"at": self.at.isoformat(), "failed": list(self.failed)}


def history(registry: Registry) -> list[Event]:
    """Return all events, oldest first."""
    with registry.errors():
        events = [
            _event_of_run(run) for run in event_runs(registry) if run.info.status == "FINISHED"
        ]
    return sorted(events, key=lambda event: event.at)


def past_champions(registry: Registry) -> list[str]:
    """Return the versions that a promotion made champion, in the order of their first promotion.

    Only these can become champion by a rollback: they passed their gates, or were forced with
    a reason.
    """
    promoted = (event.version for event in history(registry) if event.what in PROMOTIONS)
    return list(dict.fromkeys(promoted))


def refused_since_promotion(registry: Registry) -> int:
    """Return the number of versions that were refused since the champion last changed."""
    refused: set[str] = set()
    for event in history(registry):
        if event.what == REFUSED:
            refused.add(event.version)
        else:
            refused.clear()
    return len(refused)


def previous_champion(registry: Registry) -> str:
    """Return the version that was champion before the present one.

    A rollback undoes a promotion. So a second rollback goes one version further back, and does
    not return to the version that the first one removed.

    Raises
    ------
    ConfigError
        If there is no earlier champion.
    """
    champions: list[str] = []
    for event in history(registry):
        if event.what == "rolled back" and event.version in champions:
            del champions[champions.index(event.version) + 1 :]
        elif event.what in PROMOTIONS:
            champions = [version for version in champions if version != event.version]
            champions.append(event.version)
    champion = registry.champion()
    if champion in champions:
        champions = champions[: champions.index(champion)]
    if not champions:
        raise ConfigError(
            f"Version {champion} of `{registry.name}` is the first champion in the history: there "
            "is no earlier one to go back to. Name a version with --to."
        )
    return champions[-1]


def begin_record(
    registry: Registry, event: Event, results: GateResults, extra_tags: dict[str, str]
) -> str:
    """Write the run of an event and return its id; the event counts once the run is finished."""
    verb = "roll back to" if event.what == "rolled back" else "promote"
    tags = {
        "event": event.what,
        "version": event.version,
        "who": event.who,
        "because": event.because,
        "forced": str(event.forced).lower(),
        "failed": json.dumps(event.failed, ensure_ascii=False),
        "said": event.said,
        **({} if event.previous is None else {"previous": event.previous}),
        **extra_tags,
    }
    run = registry.client.create_run(
        registry.experiment(PROMOTION_RUNS),
        start_time=round(event.at.timestamp() * 1000),
        run_name=f"{verb} version {event.version}",
        tags={f"{TAG}{name}": value for name, value in tags.items()}
        | {
            RUN_KIND: "promotion",
            "mlflow.user": event.who,
            "mlflow.source.name": "leadscore models",
            "mlflow.source.type": "LOCAL",
        },
    )
    gates = {"against": results.against, "gates": [gate.to_json() for gate in results.gates]}
    try:
        registry.client.log_dict(run.info.run_id, gates, "gates.json")
    except BaseException:
        with suppress(TrackingError), registry.errors():
            delete_run(registry.client, run.info.run_id)
        raise
    return str(run.info.run_id)


def event_runs(registry: Registry) -> list[Any]:
    """Return the runs of all events, unfinished ones included, oldest first."""
    runs: list[Any] = []
    found = map(registry.find_experiment, (PROMOTION_RUNS, ""))
    experiments = [experiment for experiment in found if experiment is not None]
    token = None
    while experiments:
        page = registry.client.search_runs(
            experiments,
            filter_string=f"tags.`{TAG}event` LIKE '%'",
            max_results=RUNS_PER_PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        runs += page
        token = page.token
        if not token:
            break
    return runs


def _event_of_run(run: Any) -> Event:
    tags = {k.removeprefix(TAG): v for k, v in run.data.tags.items() if k.startswith(TAG)}
    return Event(
        what=tags["event"],
        version=tags["version"],
        previous=tags.get("previous"),
        who=tags["who"],
        because=tags["because"],
        at=datetime.datetime.fromtimestamp(run.info.start_time / 1000, datetime.UTC),
        failed=_failed_gates(tags["failed"]),
        forced=tags["forced"] == "true",
        said=tags["said"],
        run_id=run.info.run_id,
    )


def _failed_gates(tag: str) -> tuple[str, ...]:
    """Read the failed gates of a tag: a JSON list, in older registries texts joined by "; "."""
    return tuple(json.loads(tag) if tag.startswith("[") else filter(None, tag.split("; ")))
