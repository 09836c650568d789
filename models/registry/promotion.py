"""Who is champion: promote, roll back, and never two at a time.

Whoever registers the name `NAME.promoting` first may change the champion, which MLflow lets
only one caller do in every kind of store. Then the champion must still be the one that the
gates were judged against, or the change is refused. What happened, and what was refused, is
recorded in `models.registry.history` (docs/decisions/0010).
"""

import datetime
import getpass
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from crm.errors import ConfigError, GateError, TrackingError
from models.registry.history import (
    ENTHRONING,
    REFUSED,
    TAG,
    Event,
    Judgement,
    begin_record,
    event_runs,
    history,
    reigned,
)
from models.registry.registry import Registry, scale_of_text, text_of_scale

ABANDONED_AFTER = datetime.timedelta(minutes=5)  # a promotion that holds the lock takes seconds
SCALE_MOVED = "The sales scale moved too: scores before and after do not mean the same."


def promote(
    registry: Registry,
    judgement: Judgement,
    *,
    who: str,
    at: datetime.datetime,
    because: str = "",
    forced: bool = False,
) -> Event:
    """Make a judged version the champion, or record why not.

    Parameters
    ----------
    registry : Registry
    judgement : Judgement
    who : str
        A name for the record.
    at : datetime, timezone-aware
        Now.
    because : str
        Why; needed if forced.
    forced : bool
        Promote in spite of gates that failed. A version that does not load is not promoted
        even so.

    Returns
    -------
    Event

    Raises
    ------
    GateError
        If a gate failed and it is not forced, or if somebody else was first. Both are
        recorded.
    ConfigError
        If it is forced without a reason, or the version is the champion already.
    """
    check_reason(forced, because)
    failed = judgement.failed
    what = "forced" if failed else "promoted" if judgement.against else "first champion"
    event = _event(what, judgement, who, at, because, forced=bool(forced and failed))
    with _refusals_recorded(registry, event, judgement):
        if judgement.scale is None or (failed and not forced):
            raise GateError(_not_passed(registry, judgement), judgement.gates)
        return _enthrone(registry, event, judgement)


def check_reason(forced: bool, because: str) -> None:
    """Refuse to force a promotion without a reason; asked before any work is done."""
    if forced and not because.strip():
        raise ConfigError(
            "A forced promotion needs a reason, which the history keeps. "
            'Say it: --force --because "…".'
        )


def rollback(
    registry: Registry, judgement: Judgement, *, who: str, at: datetime.datetime, because: str = ""
) -> Event:
    """Make an earlier champion the champion again; of the gates only its loading counts.

    Parameters and errors as of `promote`; and a ConfigError if the version never was champion
    by a promotion, so that nothing passes the gates by this way.
    """
    earlier = reigned(registry)
    if judgement.version not in earlier:
        there = [version for version in earlier if version != judgement.against]
        raise ConfigError(
            f"Version {judgement.version} of `{registry.name}` never was champion, so there is no "
            f"way back to it. Versions to go back to: {', '.join(there) or 'none'}. Put it "
            f"through its gates: leadscore models promote {judgement.version}"
        )
    event = _event("rolled back", judgement, who, at, because)
    with _refusals_recorded(registry, event, judgement):
        if judgement.failed or judgement.scale is None:
            raise GateError(_not_passed(registry, judgement), judgement.gates)
        return _enthrone(registry, event, judgement)


def appoint_challenger(registry: Registry) -> None:
    """Point the alias `challenger` at the newest version that never was champion."""
    enthroned = [*reigned(registry), registry.find_champion()]
    waiting = [v.version for v in registry.versions() if v.version not in enthroned]
    registry.make_challenger(waiting[-1] if waiting else None)


def user_name() -> str:
    """Name who is at work: MLflow's user if one is set, else the operating system's."""
    try:
        return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    except (KeyError, OSError):  # a container may know no user
        return "unknown"


# -- changing the champion -----------------------------------------------------------------


def _enthrone(registry: Registry, event: Event, judgement: Judgement) -> Event:
    """Change the champion while nobody else may, with the record around the change."""
    assert judgement.scale is not None
    with registry.errors(), _alone(registry, event.who, event.at):
        _settle(registry)
        champion = registry.find_champion()
        if champion != judgement.against:
            raise GateError(_too_late(registry, judgement, champion), judgement.gates)
        if champion == judgement.version:
            raise ConfigError(f"Version {champion} of `{registry.name}` is the champion already.")
        pinned = registry.pinned_scale()
        tags = {}
        if pinned != judgement.scale:
            tags = {"scale": text_of_scale(judgement.scale)}
            if pinned is not None:
                tags["scale_before"] = text_of_scale(pinned)
                event = replace(event, said=SCALE_MOVED)
        run_id = begin_record(registry, event, judgement, tags)
        try:
            if tags:
                registry.pin_scale(judgement.scale)
            registry.make_champion(judgement.version)
            appoint_challenger(registry)
            registry.client.set_terminated(run_id)
        except BaseException:
            with suppress(TrackingError), registry.errors():
                _undo(registry, registry.client.get_run(run_id))
            raise
    return replace(event, run_id=run_id)


def _settle(registry: Registry) -> None:
    """Finish or undo what a promotion left that died halfway."""
    for run in event_runs(registry):
        tags = run.data.tags
        if run.info.status == "RUNNING" and tags[f"{TAG}event"] in ENTHRONING:
            if tags[f"{TAG}version"] == registry.find_champion():
                registry.client.set_terminated(run.info.run_id)
            else:
                _undo(registry, run)


def _undo(registry: Registry, run: Any) -> None:
    tags = run.data.tags
    if registry.find_champion() == tags[f"{TAG}version"]:
        registry.make_champion(tags.get(f"{TAG}previous"))
    if f"{TAG}scale" in tags:
        before = tags.get(f"{TAG}scale_before")
        registry.pin_scale(scale_of_text(before) if before else None)
    registry.take_back_run(run.info.run_id)
    appoint_challenger(registry)


@contextmanager
def _alone(
    registry: Registry, who: str, at: datetime.datetime, name: str | None = None
) -> Iterator[None]:
    """Hold the lock; refuse if somebody else does, unless that is long ago.

    What was abandoned is taken over under a lock of its own, named after the abandoned
    holder: two who find it at once do not take it over from each other.
    """
    name = name or f"{registry.name}.promoting"
    token = uuid.uuid4().hex[:12]
    while not registry.claim(name, {f"{TAG}who": who, f"{TAG}token": token}):
        holder = registry.claimed(name)
        if holder is None:
            continue  # it was released just now
        held_by = holder.tags.get(f"{TAG}token", "")
        if held_by == token:
            break  # our own claim, sent twice by a connection that failed
        since = datetime.datetime.fromtimestamp(holder.creation_timestamp / 1000, datetime.UTC)
        if at - since < ABANDONED_AFTER:
            raise GateError(
                f"{holder.tags.get(f'{TAG}who', 'Somebody')} is changing the champion of "
                f"`{registry.name}` right now, since {since:%Y-%m-%d %H:%M:%S} UTC, and was first. "
                "Look at `leadscore models history` in a moment, and judge again."
            )
        with _alone(registry, who, at, f"{name}.{held_by}"):
            if _token(registry, name) == held_by:
                registry.release(name)
    try:
        yield
    finally:
        with suppress(TrackingError), registry.errors():  # what stays is taken over in time
            if _token(registry, name) == token:  # somebody may have thought us dead
                registry.release(name)


def _token(registry: Registry, name: str) -> str | None:
    holder = registry.claimed(name)
    return None if holder is None else holder.tags.get(f"{TAG}token")


# -- the record ----------------------------------------------------------------------------


@contextmanager
def _refusals_recorded(registry: Registry, event: Event, judgement: Judgement) -> Iterator[None]:
    try:
        yield
    except GateError as refusal:
        refused = replace(event, what=REFUSED, said=str(refusal))
        with registry.errors():
            registry.client.set_terminated(begin_record(registry, refused, judgement, {}))
        raise


def _event(
    what: str,
    judgement: Judgement,
    who: str,
    at: datetime.datetime,
    because: str,
    *,
    forced: bool = False,
) -> Event:
    return Event(
        what=what,
        version=judgement.version,
        previous=judgement.against,
        who=who,
        because=because.strip(),
        at=at,
        failed=tuple(f"{gate.number} {gate.name}" for gate in judgement.failed),
        forced=forced,
        said="",
        run_id="",
    )


def _not_passed(registry: Registry, judgement: Judgement) -> str:
    failed = ", ".join(f"{gate.number} {gate.name}" for gate in judgement.failed)
    said = (
        f"Version {judgement.version} of `{registry.name}` did not pass {len(judgement.failed)} of "
        f"{len(judgement.gates)} gates: {failed}. "
    )
    if judgement.scale is None:
        return f"{said}A version that does not load cannot be made champion; train again."
    return (
        f"{said}It stays as it is. Mend what they name and train again, or overrule them on "
        'record: --force --because "…".'
    )


def _too_late(registry: Registry, judgement: Judgement, champion: str | None) -> str:
    last = next((e for e in reversed(history(registry)) if e.what in ENTHRONING), None)
    by = f" by {last.who} at {last.at:%Y-%m-%d %H:%M:%S} UTC" if last else ""
    judged = f"version {judgement.against}" if judgement.against else "the base rate"
    now = f"Version {champion}" if champion else "No version"
    return (
        f"{now} of `{registry.name}` was made champion{by}, while version "
        f"{judgement.version} was judged against {judged}. "
        "Run the command again to judge it against the new champion."
    )
