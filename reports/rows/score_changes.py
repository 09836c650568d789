"""The changes of scores in the newest days, from the scores that the ledger stores."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from crm.lead_ids import id_key
from crm.times import DAY
from models.score_change import ScoreChange, ScoreParts, score_change

DAYS: Final = 30


@dataclass(frozen=True)
class LeadChange:
    """How the score of a lead changed within the newest days.

    Attributes
    ----------
    lead_id : str
    before, after : int
        The first and the last score within these days.
    change : ScoreChange
        The difference before rounding, and its parts; a new model is one part.
    """

    lead_id: str
    before: int
    after: int
    change: ScoreChange


@dataclass(frozen=True)
class SignalChange:
    """What one signal did to the scores of several leads.

    Attributes
    ----------
    signal : str or None
        None for the part of a new model.
    rose, fell : int
        The leads whose score it raised, and lowered.
    points : float
        The points per lead, over all leads whose score changed. The signals add up to the mean
        change of these leads.
    """

    signal: str | None
    rose: int
    fell: int
    points: float


def recent_changes(rows: Iterable[Mapping[str, Any]], as_of: int) -> list[LeadChange]:
    """Return the changes of the leads that were scored at two moments in the newest days.

    Parameters
    ----------
    rows : iterable of mapping
        The rows of the ledger's table `scores`. Those without points, of earlier versions, do not
        count.
    as_of : int
        The end of the `DAYS` days, in microseconds since 1970 UTC.

    Returns
    -------
    list of LeadChange
        The largest rise first.
    """
    ends: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["points"] is None or not as_of - DAYS * DAY < row["as_of"] <= as_of:
            continue
        pair = ends.setdefault(id_key(row["lead_id"]), [row, row])
        if row["as_of"] < pair[0]["as_of"]:
            pair[0] = row
        if row["as_of"] >= pair[1]["as_of"]:
            pair[1] = row
    changes = [
        LeadChange(
            lead_id=last["lead_id"],
            before=first["score"],
            after=last["score"],
            change=score_change(
                _parts(first), _parts(last), is_new_model=first["digest"] != last["digest"]
            ),
        )
        for first, last in ends.values()
        if first["as_of"] < last["as_of"]
    ]
    return sorted(changes, key=lambda change: -change.change.points)


def by_signal(changes: Iterable[LeadChange]) -> list[SignalChange]:
    """Add up the parts of the changes by signal, the strongest first.

    Examples
    --------
    >>> earlier, later = ScoreParts(50, {"age": 1.0}), ScoreParts(50, {"age": -2.0, "demo": 9.0})
    >>> for row in by_signal([LeadChange("L1", 51, 57, score_change(earlier, later))]):
    ...     print(row.signal, row.rose, row.fell, row.points)
    demo 1 0 9.0
    age 0 1 -3.0
    """
    points: dict[str | None, list[float]] = defaultdict(list)
    n_leads = 0
    for change in changes:
        n_leads += 1
        for part in change.change.parts:
            points[part.signal].append(part.points)
    rows = [
        SignalChange(
            signal,
            sum(value > 0 for value in values),
            sum(value < 0 for value in values),
            sum(values) / n_leads,
        )
        for signal, values in points.items()
    ]
    return sorted(rows, key=lambda row: -abs(row.points))


def _parts(row: Mapping[str, Any]) -> ScoreParts:
    return ScoreParts(float(row["start"]), row["points"])
