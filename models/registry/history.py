"""The record of who became champion, who was refused, and why: it only grows.

Every event is an MLflow run of its own in the project's experiment, named like "promote
version 3", with who, when and why as tags, and `gates.json` with the verdict of every gate. An
event has happened when its run is finished; nothing of it is ever deleted.
"""

import datetime
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from crm.errors import ConfigError, TrackingError
from models.registry.registry import Registry
from models.scale import Scale

PROMOTING = ("first champion", "promoted", "forced")
ENTHRONING = (*PROMOTING, "rolled back")
REFUSED = "refused"
TAG = "leadscore."
PAGE = 1_000


@dataclass(frozen=True)
class Gate:
    """One named check that a challenger must pass to become champion.

    Attributes
    ----------
    number : str
        `LG101` and so on; never used again for another check.
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
        """Give the gate as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Judgement:
    """What the gates hold of a version.

    Attributes
    ----------
    version : str
    against : str or None
        The champion that it was judged against; None if there was none.
    gates : tuple of Gate
    scale : Scale or None
        Of the version; None if it does not load, and then it cannot be promoted at all.
    """

    version: str
    against: str | None
    gates: tuple[Gate, ...]
    scale: Scale | None

    @property
    def failed(self) -> tuple[Gate, ...]:
        """The gates that were not passed."""
        return tuple(gate for gate in self.gates if not gate.passed)


@dataclass(frozen=True)
class Event:
    """One line of the history.

    Attributes
    ----------
    what : str
        One of `ENTHRONING`, or `REFUSED`.
    version : str
        Whom it was about.
    previous : str or None
        The champion until then.
    who, because : str
    at : datetime, UTC
    failed : tuple of str
        Gates that were not passed, by number and name.
    forced : bool
        True if somebody overruled the failed gates, or meant to and was refused all the same.
    said : str
        Why it was refused, or what else happened.
    run_id : str
        The MLflow run that is the record; `gates.json` in it holds every verdict.
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
        """Give the event as plain data."""
        return asdict(self) | {"at": self.at.isoformat(), "failed": list(self.failed)}


def history(registry: Registry) -> list[Event]:
    """List all events, oldest first."""
    with registry.errors():
        found = [
            _event_of_run(run) for run in event_runs(registry) if run.info.status == "FINISHED"
        ]
    return sorted(found, key=lambda event: event.at)


def reigned(registry: Registry) -> list[str]:
    """List the versions that a promotion made champion, each once, in the order of the first time.

    Only these can come back: they passed their gates, or were forced with a reason.
    """
    promoted = (event.version for event in history(registry) if event.what in PROMOTING)
    return list(dict.fromkeys(promoted))


def previous_champion(registry: Registry) -> str:
    """Give the version that was champion before the one that is.

    A rollback undoes a promotion, so a second rollback goes one further back and not
    forth again.

    Raises
    ------
    ConfigError
        If there was none.
    """
    reigns: list[str] = []
    for event in history(registry):
        if event.what == "rolled back" and event.version in reigns:
            del reigns[reigns.index(event.version) + 1 :]
        elif event.what in PROMOTING:
            reigns = [version for version in reigns if version != event.version] + [event.version]
    champion = registry.champion()
    if champion in reigns:
        reigns = reigns[: reigns.index(champion)]
    if not reigns:
        raise ConfigError(
            f"Version {champion} of `{registry.name}` is the first champion in the history: there "
            "is none to go back to. Name a version with --to."
        )
    return reigns[-1]


def begin_record(
    registry: Registry, event: Event, judgement: Judgement, more: dict[str, str]
) -> str:
    """Write an event's run; until it is set to finished, it has not happened."""
    verb = "roll back to" if event.what == "rolled back" else "promote"
    tags = {
        "event": event.what,
        "version": event.version,
        "who": event.who,
        "because": event.because,
        "forced": str(event.forced).lower(),
        "failed": "; ".join(event.failed),
        "said": event.said,
        **({} if event.previous is None else {"previous": event.previous}),
        **more,
    }
    run = registry.client.create_run(
        registry.experiment(),
        start_time=round(event.at.timestamp() * 1000),
        run_name=f"{verb} version {event.version}",
        tags={f"{TAG}{name}": value for name, value in tags.items()}
        | {"mlflow.user": event.who, "mlflow.source.name": "leadscore models"},
    )
    verdicts = {"against": judgement.against, "gates": [g.to_json() for g in judgement.gates]}
    try:
        registry.client.log_dict(run.info.run_id, verdicts, "gates.json")
    except BaseException:
        with suppress(TrackingError), registry.errors():
            registry.take_back_run(run.info.run_id)
        raise
    return str(run.info.run_id)


def event_runs(registry: Registry) -> list[Any]:
    """List the runs of all events, unfinished ones too, oldest first."""
    found: list[Any] = []
    experiment = registry.find_experiment()
    token = None
    while experiment is not None:
        page = registry.client.search_runs(
            [experiment],
            filter_string=f"tags.`{TAG}event` LIKE '%'",
            max_results=PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        found += page
        token = page.token
        if not token:
            break
    return found


def _event_of_run(run: Any) -> Event:
    tags = {k.removeprefix(TAG): v for k, v in run.data.tags.items() if k.startswith(TAG)}
    return Event(
        what=tags["event"],
        version=tags["version"],
        previous=tags.get("previous"),
        who=tags["who"],
        because=tags["because"],
        at=datetime.datetime.fromtimestamp(run.info.start_time / 1000, datetime.UTC),
        failed=tuple(filter(None, tags["failed"].split("; "))),
        forced=tags["forced"] == "true",
        said=tags["said"],
        run_id=run.info.run_id,
    )
