"""Compares the groups of a column with the leads that have a value in it.

Leads without a value are counted and shown, and not compared: the field may be empty because
nobody has worked on the lead yet, and such leads would lower the average of all others.
"""

from dataclasses import dataclass, replace

import numpy as np

from crm.arrays import Bools
from features.attributes.attribute import MISSING_GROUP
from features.groups import Groups
from models.evaluation.comparisons import Contrast, contrast


@dataclass(frozen=True, kw_only=True)
class Average:
    """The leads with a value in a column: the ones that its groups are compared with.

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
    def share(self) -> float:
        """The share of the leads with the result; 0 without leads."""
        return self.wins / max(self.n, 1)

    @property
    def words(self) -> str:
        """The words for the average in a sentence."""
        return "the average of leads with a known value" if self.n_missing else "the average"

    @property
    def name(self) -> str:
        """The words for the leads in the legend of a chart."""
        return "all leads with a value" if self.n_missing else "all leads"

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


def group_contrasts(groups: Groups, of: Bools, did: Bools) -> list[Contrast]:
    """Compare each group of the counted leads with the other leads that have a value.

    Parameters
    ----------
    groups : Groups
    of : ndarray of bool, shape (n_leads,)
        True for the leads that count.
    did : ndarray of bool, shape (n_leads,)
        True for the leads with the result.

    Returns
    -------
    list of Contrast
        One for each name, without correction; a group without leads has an n of 0 and no value.
        Leads without a value are counted and not compared.
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
    return contrasts
