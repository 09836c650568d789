"""Decides whether a new model is trained."""

import datetime
import math
from dataclasses import dataclass
from typing import Final

from crm.project_keys import RetrainKeys
from crm.text import counted
from monitoring.look import Look

DRIFT_DAYS: Final = 7  # after a training, within which drift does not start another one
MOST_DOUBLINGS: Final = 4  # of these days, one for each version that was refused


@dataclass(frozen=True)
class Decision:
    """Whether a new model is trained, and why.

    Attributes
    ----------
    trains : bool
    reasons : tuple of str
        Sentences.
    """

    trains: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class State:
    """What a decision depends on besides the policy.

    Attributes
    ----------
    now : datetime, timezone-aware
    last_training : datetime or None
        When the newest version was registered; None without versions.
    look : Look or None
        The look at the champion; None without a champion.
    has_new_records : bool
        False if the records are those that the newest version learned from.
    refused : int
        The versions that did not pass their gates since the champion was promoted.
    """

    now: datetime.datetime
    last_training: datetime.datetime | None
    look: Look | None
    has_new_records: bool
    refused: int = 0

    @property
    def drift_days(self) -> float:
        """The days after a training within which drift does not start another one."""
        return float(DRIFT_DAYS * 2 ** min(self.refused, MOST_DOUBLINGS))


def decide(policy: RetrainKeys, state: State) -> Decision:
    """Decide by the schedule, and by the checks that say act.

    After a training, drift starts another one only after `DRIFT_DAYS`, because a new model needs
    new outcomes. Each version that was refused since the last promotion doubles this time. The same
    records are never trained on twice.

    Parameters
    ----------
    policy : RetrainKeys
    state : State

    Returns
    -------
    Decision

    Examples
    --------
    >>> now = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
    >>> state = State(now, now - datetime.timedelta(days=31), None, has_new_records=True)
    >>> decide(RetrainKeys(every_days=30), state)
    Decision(trains=True, reasons=('The last training was 31 days ago, and every 30 days one is \
due.',))
    """
    if state.last_training is None:
        return Decision(True, ("No model has been trained yet.",))
    days = (state.now - state.last_training) / datetime.timedelta(days=1)
    reasons: list[str] = []
    against: list[str] = []
    if policy.when in ("schedule", "either"):
        if days >= policy.every_days:
            reasons.append(
                f"The last training was {_ago(days)}, and every {policy.every_days:g} days one is "
                "due."
            )
        else:
            against.append(f"The next training is due in {policy.every_days - days:.0f} days.")
    if policy.when in ("drift", "either") and state.look is None:
        against.append("There is no look at a champion that could ask for a new model.")
    elif policy.when in ("drift", "either") and state.look is not None:
        acting = [check.number for check in state.look.should_retrain]
        say = f"{' and '.join(acting)} say{'s' if len(acting) == 1 else ''} act"
        if acting and days >= state.drift_days:
            reasons.append(f"{say}.")
        elif acting:
            wait = counted(math.ceil(state.drift_days - days), "day")
            refused = counted(state.refused, "refused version")
            why = f" after {refused}" if state.refused else ""
            against.append(
                f"{say}, but the last training was {_ago(days)}. They may start one in {wait}{why}."
            )
        else:
            against.append("No check asks for a new model.")
    if reasons and not state.has_new_records:
        return Decision(
            False, (*reasons, "But the records are those that the newest version learned from.")
        )
    return Decision(bool(reasons), tuple(reasons or against))


def _ago(days: float) -> str:
    return "less than a day ago" if days < 1 else f"{counted(round(days), 'day')} ago"
