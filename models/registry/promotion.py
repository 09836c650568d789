"""Changes the champion: promote and roll back, one change at a time.

A lock (`models.registry.lock`) lets only one caller change the champion. Under the lock the
champion must still be the one that the gates compared with, or the change is refused.
`models.registry.history` records every change and every refusal (docs/decisions/0010).
"""

import datetime
import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from crm.errors import ConfigError, GateError, TrackingError
from models.registry.deletion import delete_run
from models.registry.history import (
    CHAMPION_EVENTS,
    REFUSED,
    TAG,
    Event,
    GateResults,
    begin_record,
    event_runs,
    history,
    past_champions,
)
from models.registry.lock import LockedError, hold_lock
from models.registry.registry import Registry
from models.scale import Scale

SCALE_MOVED = "The scale of the scores changed too: old and new scores cannot be compared."


def promote(
    registry: Registry,
    results: GateResults,
    *,
    who: str,
    at: datetime.datetime,
    because: str = "",
    forced: bool = False,
) -> Event:
    """Make a version the champion if it passed its gates; record a refusal otherwise.

    Parameters
    ----------
    registry : Registry
    results : GateResults
    who : str
        The person who decides, for the record.
    at : datetime, timezone-aware
        Now.
    because : str
        The reason; required if forced.
    forced : bool
        Promote in spite of failed gates. A version that does not load is never promoted.

    Returns
    -------
    Event

    Raises
    ------
    GateError
        If a gate failed and the promotion is not forced, or if another promotion was first.
        Both are recorded.
    ConfigError
        If the promotion is forced without a reason, or the version is already the champion.
    """
    check_reason(forced, because)
    failed = results.failed
    what = "forced" if failed else "promoted" if results.against else "first champion"
    event = _event(what, results, who, at, because, forced=bool(forced and failed))
    with _refusals_recorded(registry, event, results):
        if results.scale is None or (failed and not forced):
            raise GateError(_not_passed(registry, results), results.gates)
        return _make_champion(registry, event, results, results.scale)


def check_reason(forced: bool, because: str) -> None:
    """Check that a forced promotion has a reason.

    Raises
    ------
    ConfigError
        If it has none.
    """
    if forced and not because.strip():
        raise ConfigError(
            "A forced promotion needs a reason, which the history keeps. "
            'Add it with `--because "REASON"`.'
        )


def rollback(
    registry: Registry, results: GateResults, *, who: str, at: datetime.datetime, because: str = ""
) -> Event:
    """Make an earlier champion the champion again; its only gate is that it loads.

    Parameters and errors are those of `promote`. A version that no promotion ever made champion
    raises ConfigError, so that a rollback cannot avoid the gates.
    """
    champions = past_champions(registry)
    if results.version not in champions:
        earlier = [version for version in champions if version != results.against]
        raise ConfigError(
            f"Version {results.version} of `{registry.name}` never was champion, so it cannot be "
            f"rolled back to. Versions to go back to: {', '.join(earlier) or 'none'}. Check it "
            f"against its gates with `leadscore models promote {results.version}`."
        )
    event = _event("rolled back", results, who, at, because)
    with _refusals_recorded(registry, event, results):
        if results.failed or results.scale is None:
            raise GateError(_not_passed(registry, results), results.gates)
        return _make_champion(registry, event, results, results.scale)


def update_challenger(registry: Registry) -> None:
    """Point the alias `challenger` at the newest version that never was champion."""
    champions = [*past_champions(registry), registry.find_champion()]
    candidates = [v.version for v in registry.versions() if v.version not in champions]
    registry.make_challenger(candidates[-1] if candidates else None)


def user_name() -> str:
    """Return MLflow's user if one is set, else the user of the operating system."""
    try:
        return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    except (KeyError, OSError):  # a container may have no user
        return "unknown"


# -- changing the champion -----------------------------------------------------------------


def _make_champion(registry: Registry, event: Event, results: GateResults, scale: Scale) -> Event:
    """Change the champion under the lock, and record the change."""
    try:
        with (
            registry.errors(),
            hold_lock(registry.client, f"{registry.name}.promoting", event.who, event.at),
        ):
            return _change_champion(registry, event, results, scale)
    except LockedError as holder:
        raise GateError(
            f"{holder.who} is changing the champion of `{registry.name}` right now, since "
            f"{holder.since:%Y-%m-%d %H:%M:%S} UTC, and was first. Look at `leadscore models "
            "history` in a moment, and run the command again."
        ) from None


def _change_champion(registry: Registry, event: Event, results: GateResults, scale: Scale) -> Event:
    _settle_unfinished(registry)
    champion = registry.find_champion()
    if champion != results.against:
        raise GateError(_too_late(registry, results, champion), results.gates)
    if champion == results.version:
        raise ConfigError(f"Version {champion} of `{registry.name}` is already the champion.")
    pinned = registry.pinned_scale()
    tags = {}
    if pinned != scale:
        tags = {"scale": scale.to_text()}
        if pinned is not None:
            tags["scale_before"] = pinned.to_text()
            event = replace(event, said=SCALE_MOVED)
    run_id = begin_record(registry, event, results, tags)
    try:
        if tags:
            registry.pin_scale(scale)
        registry.make_champion(results.version)
        update_challenger(registry)
        registry.client.set_terminated(run_id)
    except BaseException:
        with suppress(TrackingError), registry.errors():
            _undo(registry, registry.client.get_run(run_id))
        raise
    return replace(event, run_id=run_id)


def _settle_unfinished(registry: Registry) -> None:
    """Finish or undo each promotion whose process died halfway."""
    for run in event_runs(registry):
        tags = run.data.tags
        if run.info.status == "RUNNING" and tags[f"{TAG}event"] in CHAMPION_EVENTS:
            if tags[f"{TAG}version"] == registry.find_champion():
                registry.client.set_terminated(run.info.run_id)
            else:
                _undo(registry, run)


def _undo(registry: Registry, run: Any) -> None:
    tags = run.data.tags
    if registry.find_champion() == tags[f"{TAG}version"]:
        registry.make_champion(tags.get(f"{TAG}previous"))
    if f"{TAG}scale" in tags:
        scale_before = tags.get(f"{TAG}scale_before")
        registry.pin_scale(Scale.from_text(scale_before) if scale_before else None)
    delete_run(registry.client, run.info.run_id)
    update_challenger(registry)


# -- the record ----------------------------------------------------------------------------


@contextmanager
def _refusals_recorded(registry: Registry, event: Event, results: GateResults) -> Iterator[None]:
    try:
        yield
    except GateError as refusal:
        refused = replace(event, what=REFUSED, said=str(refusal))
        with registry.errors():
            registry.client.set_terminated(begin_record(registry, refused, results, {}))
        raise


def _event(
    what: str,
    results: GateResults,
    who: str,
    at: datetime.datetime,
    because: str,
    *,
    forced: bool = False,
) -> Event:
    return Event(
        what=what,
        version=results.version,
        previous=results.against,
        who=who,
        because=because.strip(),
        at=at,
        failed=tuple(f"{gate.number} {gate.name}" for gate in results.failed),
        forced=forced,
        said="",
        run_id="",
    )


def _not_passed(registry: Registry, results: GateResults) -> str:
    failed = ", ".join(f"{gate.number} {gate.name}" for gate in results.failed)
    problem = (
        f"Version {results.version} of `{registry.name}` did not pass {len(results.failed)} of "
        f"{len(results.gates)} gates: {failed}. "
    )
    if results.scale is None:
        return f"{problem}A version that does not load cannot be made champion; train again."
    return (
        f"{problem}It was not promoted. Correct what the gates name and train again, or overrule "
        f'them with `leadscore models promote {results.version} --force --because "REASON"`; the '
        "history keeps the reason."
    )


def _too_late(registry: Registry, results: GateResults, champion: str | None) -> str:
    last = next((e for e in reversed(history(registry)) if e.what in CHAMPION_EVENTS), None)
    by = f" by {last.who} at {last.at:%Y-%m-%d %H:%M:%S} UTC" if last else ""
    compared = f"version {results.against}" if results.against else "the base rate"
    new_champion = f"Version {champion}" if champion else "No version"
    return (
        f"{new_champion} of `{registry.name}` was made champion{by}, while version "
        f"{results.version} was compared with {compared}. "
        "Run the command again to compare it with the new champion."
    )
