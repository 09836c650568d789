"""Lists the moments to learn from: pairs of a lead and a time `as_of`, with their labels.

A lead has a moment at its creation and at the ages that the project names, as long as it was
open then.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from crm.arrays import Bools, Floats, Ints, Labels
from crm.errors import LearningError
from crm.project import LearnKeys
from crm.records import Records
from crm.times import DAY, NOT_A_TIME, TIME_DTYPE, as_times, microseconds
from features.coverage import outcomes_from
from features.first_closings import FirstClosings

FEWEST_OUTCOMES = 20  # with fewer leads of the rarer outcome, the estimator is the base rate


@dataclass(frozen=True)
class Moments:
    """The moments to learn from, in the order of time.

    Attributes
    ----------
    lead : ndarray of int64, shape (n,)
        The position of the lead in `records.leads`.
    as_of : ndarray of int64, shape (n,)
        Microseconds since 1970 UTC; `NOT_A_TIME` where the records have no times.
    label : ndarray of int8, shape (n,)
        1 if won in (as_of, as_of + horizon], else 0.
    known_at : ndarray of int64, shape (n,)
        The time from which the label was certain, in microseconds since 1970 UTC;
        `NOT_A_TIME` without times.
    weight : ndarray of float64, shape (n,)
        1 for every moment. A lead with more moments does not weigh less, because their number
        depends on how long the lead stayed open, which was not known at the moment
        (docs/decisions/0006).
    counts : dict of str to int
        The numbers of leads and moments, and of moments left out, by reason.
    """

    lead: Ints
    as_of: Ints
    label: Labels
    known_at: Ints
    weight: Floats
    counts: dict[str, int]

    def __len__(self) -> int:
        return len(self.lead)

    def __repr__(self) -> str:
        if not len(self):
            return "<Moments: none>"
        when = ""
        if self.has_times:
            first, last = (pd.Timestamp(at, unit="us") for at in (self.as_of[0], self.as_of[-1]))
            when = f"; {first:%Y-%m-%d} to {last:%Y-%m-%d}"
        return (
            f"<Moments: {len(self):,} of {len(np.unique(self.lead)):,} leads, "
            f"{self.label.mean():.1%} won{when}>"
        )

    def to_frame(self, records: Records) -> pd.DataFrame:
        """Return the moments as a table, with the ids of the leads.

        Parameters
        ----------
        records : Records
            The records that the moments were made from.

        Returns
        -------
        DataFrame, n rows
            `lead_id`, `as_of` and `known_at` (datetime64, UTC; missing without times), `won`
            (bool) and `weight`.
        """
        index = pd.RangeIndex(len(self))
        return pd.DataFrame(
            {
                "lead_id": records.leads["lead_id"].to_numpy()[self.lead],
                "as_of": as_times(self.as_of, index),
                "won": self.label == 1,
                "known_at": as_times(self.known_at, index),
                "weight": self.weight,
            }
        )

    @property
    def has_times(self) -> bool:
        """True if the moments have times."""
        return bool(len(self)) and bool(self.as_of[0] != NOT_A_TIME)

    @property
    def rarer(self) -> int:
        """The number of leads with the rarer outcome."""
        return leads_of_rarer(self.label, self.lead)

    def take(self, rows: Bools | Ints) -> "Moments":
        """Return some of the moments."""
        return Moments(
            lead=self.lead[rows],
            as_of=self.as_of[rows],
            label=self.label[rows],
            known_at=self.known_at[rows],
            weight=self.weight[rows],
            counts=self.counts,
        )


def leads_of_rarer(label: Labels, lead: Ints) -> int:
    """Count the leads with the rarer outcome; a lead may have moments of both.

    Leads are counted instead of moments, because further moments of a lead add nothing new
    about how it ended.

    Examples
    --------
    >>> label = np.array([1, 1, 1, 0, 0, 0], dtype=np.int8)
    >>> leads_of_rarer(label, np.array([7, 7, 7, 7, 8, 9]))
    1
    """
    return min(len(np.unique(lead[label == outcome])) for outcome in (0, 1))


def make_moments(records: Records, learn: LearnKeys) -> Moments:
    """List the moments whose outcome is certain, with their labels.

    A moment is mature when its whole horizon has been observed. A lead that is won or lost
    earlier must wait as well: otherwise the newest leads would have too many quick wins
    (docs/decisions/0002). Leads that were created before the outcomes begin have no moments,
    because it is not known how they ended (docs/decisions/0020).

    If leads have no time of creation, each lead with an outcome is one moment, its label is
    how it ended, and nothing protects against learning from the future.

    Parameters
    ----------
    records : Records
    learn : LearnKeys

    Returns
    -------
    Moments

    Raises
    ------
    LearningError
        If there are no mature moments, or all have the same label.
    """
    moments = list_moments(records, learn)
    won = int(moments.label.sum())
    if len(moments) == 0:
        raise LearningError(_nothing_mature(moments.counts, learn))
    if won in (0, len(moments)):
        raise LearningError(
            f"All {len(np.unique(moments.lead)):,} leads with a certain outcome are "
            f"{'won' if won else 'not won'}. Both kinds are needed to learn from; "
            "check [learn] won and lost, and that the export contains both."
        )
    return moments


def why_no_model(moments: Moments) -> str:
    """Return why a model of these moments gives all leads the same probability; otherwise "".

    Parameters
    ----------
    moments : Moments
        Moments of both labels.
    """
    if moments.rarer >= FEWEST_OUTCOMES:
        return ""
    won, lost = (len(np.unique(moments.lead[moments.label == outcome])) for outcome in (1, 0))
    rarer = f"{won:,} {'was' if won == 1 else 'were'} won"
    if lost < won:
        rarer = f"{lost:,} {'was' if lost == 1 else 'were'} not won"
    return (
        f"Of the leads that are old enough to learn from, only {rarer}. A model needs at least "
        f"{FEWEST_OUTCOMES} leads that were won and {FEWEST_OUTCOMES} that were not. With fewer, "
        "every lead gets the same probability."
    )


def list_moments(records: Records, learn: LearnKeys) -> Moments:
    """List the moments as `make_moments` does, even if there are none or all have one label."""
    return _timed(records, learn) if records.has_times else _timeless(records)


def _timeless(records: Records) -> Moments:
    outcome = records.outcomes.drop_duplicates("lead_id").set_index("lead_id")["outcome"]
    ended = records.leads["lead_id"].map(outcome)
    lead = np.flatnonzero(ended.notna().to_numpy())
    no_time = np.full(len(lead), NOT_A_TIME)
    label = (ended.iloc[lead] == "won").to_numpy().astype(np.int8)
    counts = {
        "leads": len(records.leads),
        "moments": len(lead),
        "won": int(label.sum()),
        "without_outcome": len(records.leads) - len(lead),
    }
    return Moments(
        lead=lead,
        as_of=no_time,
        label=label,
        known_at=no_time,
        weight=np.ones(len(lead)),
        counts=counts,
    )


def possible_moments(created: Ints, learn: LearnKeys) -> tuple[Ints, Ints]:
    """List all pairs of a lead and an age of the project, lead by lead.

    Parameters
    ----------
    created : ndarray of int64, shape (n_leads,)
        The creation of each lead, in microseconds since 1970 UTC.
    learn : LearnKeys

    Returns
    -------
    lead : ndarray of int64, shape (n_leads * n_ages,)
        The position of the lead.
    as_of : ndarray of int64, shape (n_leads * n_ages,)
        Microseconds since 1970 UTC.
    """
    ages = np.array(sorted({int(days * DAY) for days in learn.moments_days}), dtype=np.int64)
    lead = np.repeat(np.arange(len(created)), len(ages))
    return lead, (created[:, None] + ages[None, :]).ravel()


def _timed(records: Records, learn: LearnKeys) -> Moments:
    created = microseconds(records.leads["created_at"])
    first = FirstClosings.of(records)
    has_undated = first.undated_win | first.undated_loss
    horizon = int(learn.horizon_days * DAY)
    observed = pd.Series([records.observed_until, records.outcomes_until], dtype=TIME_DTYPE)
    observed_until, until = microseconds(observed)
    has_known_outcome = created >= outcomes_from(records, observed_until)
    lead, as_of = possible_moments(created, learn)
    was_open = first.closed_at[lead] > as_of
    is_mature = as_of + horizon <= until
    may_count = was_open & is_mature & has_known_outcome[lead]
    is_moment = may_count & ~has_undated[lead]
    # An outcome without a date counts only for the moment at creation, as if it came within the
    # horizon.
    undated = has_undated[lead] & may_count & (as_of == created[lead])
    is_moment |= undated

    label = (first.won_at[lead] <= as_of + horizon) | (undated & first.undated_win[lead])
    counts = {
        "leads": len(created),
        "moments": int(is_moment.sum()),
        "won": int(label[is_moment].sum()),
        "closed_before_the_moment": int((~was_open).sum()),
        "not_mature": int((was_open & ~is_mature).sum()),
        "before_the_outcomes": int((was_open & is_mature & ~has_known_outcome[lead]).sum()),
        "leads_before_the_outcomes": int((~has_known_outcome).sum()),
        "undated_outcomes": int(undated.sum()),
    }
    order = np.flatnonzero(is_moment)
    order = order[np.argsort(as_of[order], kind="stable")]
    return Moments(
        lead=lead[order],
        as_of=as_of[order],
        label=label[order].astype(np.int8),
        known_at=as_of[order] + horizon,
        weight=np.ones(len(order)),
        counts=counts,
    )


def _nothing_mature(counts: dict[str, int], learn: LearnKeys) -> str:
    if counts.get("not_mature") and not counts.get("before_the_outcomes"):
        return (
            f"None of the {counts['leads']:,} leads is old enough to learn from: each needs "
            f"{learn.horizon_days:g} days under observation. "
            "Shorten horizon_days, or export older leads."
        )
    if counts.get("before_the_outcomes"):
        return (
            f"The model cannot learn from any of the {counts['leads']:,} leads: those that are old "
            "enough were created before the outcomes begin, so it is not known how they ended. "
            "Export the earlier outcomes too, or shorten horizon_days."
        )
    return (
        f"None of the {counts['leads']:,} leads has a known outcome. "
        "Check [learn] won and lost, and that outcomes and leads share their ids."
    )
