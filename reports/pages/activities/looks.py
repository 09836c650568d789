"""Compares leads that had an activity with all leads, on the same day of their life.

A lead that lives longer does more, and a won lead lives longer than one that is lost at once. So
activities are never simply counted. All leads are compared on the same day of their life: those
that had the activity by then with all that were open then. Only later wins count.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from crm.arrays import Codes, Ints, PackedBits
from features.events import NEVER
from models.evaluation.comparisons import Contrast, contrast
from models.evaluation.same_time import compare_within
from reports.rows.journeys import Log
from reports.rows.rows import ReportRows
from reports.text import quoted_name

MOST_CONTENTS = 40
LOOK_DAYS = 7.0
MOST_TWINS = 3
MOST_NAMED = 20  # types of activity that are left out
SAME_LEADS = 0.5  # the part of common leads above which a second group is not reported


@dataclass(frozen=True, kw_only=True)
class Look:
    """The leads that were open on the day of comparison, and what they had done by then.

    Attributes
    ----------
    contrasts : list of Contrast, k long
        The leads with each activity, compared with all.
    wins, n : int
        The number of leads that were open, and the number of them with the result.
    had : ndarray of uint8, shape (k, ceil(n_leads / 8))
        The leads with each activity, one bit for each lead.
    """

    contrasts: list[Contrast]
    wins: int
    n: int
    had: PackedBits


@dataclass
class Reported:
    """The groups of leads that a takeaway is about, so that no group is reported twice."""

    groups: list[PackedBits] = field(default_factory=list)

    def is_news(self, had: PackedBits) -> bool:
        """Return True, and store the group, if it differs from those reported."""
        for group in self.groups:
            both = np.bitwise_count(had & group).sum()
            either = np.bitwise_count(had | group).sum()
            if both > SAME_LEADS * either:
                return False
        self.groups.append(had)
        return True


def not_touches(rows: ReportRows, log: Log) -> str:
    """Format the types of activity that are in no ranking; empty if all are.

    They are stages, or the outcome itself.
    """
    names = [name for name, is_touch in zip(log.types, rows.is_touch, strict=True) if not is_touch]
    if not names:
        return ""
    quoted = ", ".join(map(quoted_name, names[:MOST_NAMED]))
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return f"Left out, because they are stages or the outcome itself: {quoted}{more}."


def look_days(rows: ReportRows) -> float:
    """Return the age of leads on the day of comparison: a week, or less if the horizon is short."""
    return min(LOOK_DAYS, max(1.0, np.floor(rows.horizon_days / 4)))


def most_frequent(code: Codes, most: int) -> Ints:
    """Return the most frequent codes, the most frequent first."""
    n = np.bincount(code[code >= 0]) if (code >= 0).any() else np.zeros(0, dtype=np.int64)
    return np.argsort(-n, kind="stable")[:most][: int((n > 0).sum())]


def n_kinds(code: Codes) -> int:
    """Return the number of different codes, without -1 for none."""
    return len(np.unique(code[code >= 0]))


def look_at(rows: ReportRows, log: Log, since: Ints, at: Ints, code: Codes, codes: Ints) -> Look:
    """Compare the leads that had each activity in [since, at] with all that were open at `at`."""
    lead = np.arange(len(rows))
    is_open = (at < NEVER) & (since < NEVER)
    when = np.where(is_open, at, 0)
    is_open &= rows.open_at(lead, when) & (when + rows.horizon <= rows.as_of)
    won = rows.won_within(lead, when) & is_open
    place = np.full(int(code.max(initial=-1)) + 2, -1)
    place[codes] = np.arange(len(codes))
    column = place[code]
    counts = (
        (column >= 0) & is_open[log.lead] & (log.at >= since[log.lead]) & (log.at <= when[log.lead])
    )
    had = np.zeros((len(codes), len(rows)), dtype=bool)
    had[column[counts], log.lead[counts]] = True
    n, wins = had.sum(axis=1), had[:, won].sum(axis=1)
    all_n, all_wins = int(is_open.sum()), int(won.sum())
    contrasts = [contrast(int(w), int(m), all_wins, all_n) for w, m in zip(wins, n, strict=True)]
    if rows.period is not None and len(rows):
        begins = np.flatnonzero(np.diff(rows.period, prepend=-1))
        everyone, winners = (
            np.add.reduceat(chosen, begins, dtype=int) for chosen in (is_open, won)
        )
        own, own_wins = (
            np.add.reduceat(did, begins, axis=1, dtype=int) for did in (had, had & won)
        )
        contrasts = [
            compare_within(group, own[i], own_wins[i], everyone, winners)
            for i, group in enumerate(contrasts)
        ]
    return Look(contrasts=contrasts, n=all_n, wins=all_wins, had=np.packbits(had, axis=1))


def twins(names: Sequence[str], had: PackedBits, i: int) -> str:
    """Format an activity, with up to two others that exactly the same leads had."""
    same = [k for k in range(len(names)) if k != i and (had[k] == had[i]).all()]
    *first, last = (quoted_name(names[k]) for k in (i, *same[: MOST_TWINS - 1]))
    n_more = len(same) - (MOST_TWINS - 1)
    if n_more > 0:
        return f"{', '.join([*first, last])} and {n_more:,} more that the same leads have"
    return f"{', '.join(first)} and {last}" if first else last
