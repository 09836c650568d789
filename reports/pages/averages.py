"""Compares the groups of a column with the leads that have a value in it.

Leads without a value are counted and shown, and not compared: the field may be empty because
nobody has worked on the lead yet, and such leads would lower the average of all others.
"""

from dataclasses import dataclass, replace

import numpy as np

from crm.arrays import Bools, Ints
from features.attributes.attribute import MISSING_GROUP
from features.groups import Groups
from models.evaluation.comparisons import Contrast, Share, contrast, share_of
from models.evaluation.same_time import compare_within


@dataclass(frozen=True, kw_only=True)
class Average:
    """The leads with a value in a column, with which its groups are compared.

    Attributes
    ----------
    wins, n : int
        The number of these leads, and the number of them with the result.
    n_missing : int
        The number of counted leads without a value.
    """

    wins: int
    n: int
    n_missing: int

    @property
    def share(self) -> Share:
        """The share of the leads with the result."""
        return share_of(self.wins, self.n)

    @property
    def words(self) -> str:
        """The words for the average in a sentence."""
        return "the average of leads with this field filled" if self.n_missing else "the average"

    @property
    def about(self) -> str:
        """The part of a subtitle that counts the leads without a value; empty if there are none."""
        if not self.n_missing:
            return ""
        return f"; compared with the {self.n:,} that have a value, {self.n_missing:,} have none"


def average_of(groups: Groups, of: Bools, did: Bools) -> Average:
    """Count the leads that the groups of a column are compared with.

    Parameters
    ----------
    groups : Groups
    of : ndarray of bool, shape (n_leads,)
        True for the leads that count.
    did : ndarray of bool, shape (n_leads,)
        True for the leads with the result.

    Returns
    -------
    Average
    """
    known = of & has_value(groups)
    return Average(
        wins=int((known & did).sum()),
        n=int(known.sum()),
        n_missing=int((of & ~known).sum()),
    )


def has_value(groups: Groups) -> Bools:
    """Return which leads have a value in the column of the groups, shape (n_leads,)."""
    is_value = np.array([name != MISSING_GROUP for name in groups.names], dtype=bool)
    return np.asarray(is_value[groups.code])


def group_contrasts(
    groups: Groups, of: Bools, did: Bools, period: Ints | None = None
) -> list[Contrast]:
    """Compare each group of the counted leads with the other leads that have a value.

    A group whose share of these leads changes over time is compared with leads of the same time.

    Parameters
    ----------
    groups : Groups
    of : ndarray of bool, shape (n_leads,)
        True for the leads that count.
    did : ndarray of bool, shape (n_leads,)
        True for the leads with the result.
    period : ndarray of int64, shape (n_leads,), optional
        The period of each lead, if the order of the leads is known.

    Returns
    -------
    list of Contrast
        One for each name, not corrected for other comparisons. A group without leads has an n of 0
        and no value. Leads without a value are counted and not compared.
    """
    k = len(groups.names)
    n = np.bincount(groups.code[of], minlength=k)
    wins = np.bincount(groups.code[of & did], minlength=k)
    average = average_of(groups, of, did)
    contrasts = []
    for name, own_wins, own_n in zip(groups.names, wins.tolist(), n.tolist(), strict=True):
        if name == MISSING_GROUP:
            contrasts.append(replace(contrast(own_wins, own_n, 0, own_n), is_apart=True, p=None))
        else:
            contrasts.append(contrast(own_wins, own_n, average.wins, average.n))
    if period is None:
        return contrasts
    known = of & has_value(groups)
    n_in, wins_in = (_by_period(groups, chosen, period) for chosen in (known, known & did))
    all_n, all_wins = n_in.sum(axis=0), wins_in.sum(axis=0)
    return [
        group if group.is_apart else compare_within(group, n_in[i], wins_in[i], all_n, all_wins)
        for i, group in enumerate(contrasts)
    ]


def _by_period(groups: Groups, chosen: Bools, period: Ints) -> Ints:
    """Count the chosen leads of each group in each period, shape (k, n_periods)."""
    k, n_periods = len(groups.names), int(period.max(initial=0)) + 1
    cell = groups.code[chosen] * n_periods + period[chosen]
    return np.bincount(cell, minlength=k * n_periods).reshape(k, n_periods)
