"""Finds attributes that leads lack, or whose values are new, more often than in training.

A change is a difference of shares that is both large and beyond chance. A small difference is not a
change, even among a million leads. The limit for chance depends on the number of attributes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final, Literal

from features.intervals import difference_interval, wilson
from models.attribute_counts import AttributeTally

FEWEST_LEADS: Final = 30
LEAST_RISE: Final = 0.1  # a share that rises by less is not a change
LEAST_LOSS: Final = 0.5  # of the share of filled cells; a smaller rest is a change too
ERROR_RATE: Final = 0.001  # of finding a change in any attribute where there is none

State = Literal["missing", "unseen"]


@dataclass(frozen=True)
class AttributeShare:
    """The missing and the unseen values of one column among the leads learned from.

    Attributes
    ----------
    column : str
    leads : int
        The number of leads.
    missing : float
        The share of leads whose cell is empty or cannot be read, from 0 to 1.
    unseen : float
        The share of leads whose value is rare, from 0 to 1. For a category of many values it is
        the share of leads whose value no other lead has, which estimates how many new leads have
        an unseen value (Good, "The Population Frequencies of Species and the Estimation of
        Population Parameters", Biometrika 40, 1953).
    """

    column: str
    leads: int
    missing: float
    unseen: float


@dataclass(frozen=True)
class AttributeChange:
    """A column that is missing or unseen more often than it was.

    Attributes
    ----------
    column : str
    state : {"missing", "unseen"}
    leads : int
        The number of leads that were compared.
    share, earlier_share : float
        The share of these leads, and of the earlier ones, from 0 to 1.
    """

    column: str
    state: State
    leads: int
    share: float
    earlier_share: float

    def sentence(self, leads: str, earlier: str) -> str:
        """Describe the change.

        Parameters
        ----------
        leads, earlier : str
            The compared and the earlier leads, in words.

        Examples
        --------
        >>> change = AttributeChange("Budget", "missing", 300, 1.0, 0.124)
        >>> print(change.sentence("the 300 leads", "the training leads"))
        `Budget` is empty or unreadable in 100 % of the 300 leads, and in 12 % of the training \
leads. Check that it is still exported and filled.
        """
        if self.state == "missing":
            fact, advice = "is empty or unreadable", "that it is still exported and filled"
        else:
            fact = "has a rare or unseen value"
            advice = "that it is still filled, and whether its values were renamed"
        return (
            f"`{self.column}` {fact} in {_percent(self.share)} of {leads}, and in "
            f"{_percent(self.earlier_share)} of {earlier}. Check {advice}."
        )


def attribute_changes(
    columns: Sequence[str], tally: AttributeTally, earlier: Sequence[AttributeShare]
) -> list[AttributeChange]:
    """Find the columns that are missing or unseen more often than in earlier leads.

    A change is reported in two cases. The share rises by more than `LEAST_RISE`, also at the lower
    end of Newcombe's interval of the difference. Or the share of filled cells falls below
    `LEAST_LOSS` times its earlier value, also at the nearest ends of Wilson's intervals of both.
    The level of the intervals is set so that the rate of errors in all columns together is at most
    `ERROR_RATE`.

    Parameters
    ----------
    columns : sequence of str
        The columns of the tally.
    tally : AttributeTally
    earlier : sequence of AttributeShare
        Columns without such a share are not compared.

    Returns
    -------
    list of AttributeChange
        The largest difference first; empty with fewer than `FEWEST_LEADS` leads.

    References
    ----------
    Newcombe, "Interval Estimation for the Difference Between Independent Proportions", Statistics
    in Medicine 17, 1998.
    """
    if tally.n < FEWEST_LEADS or not earlier:
        return []
    z = NormalDist().inv_cdf(1 - ERROR_RATE / (3 * len(earlier)))
    share_of = {share.column: share for share in earlier}
    changes = []
    for i, column in enumerate(columns):
        before = share_of.get(column)
        if before is None:
            continue
        counts: dict[State, tuple[int, float]] = {
            "missing": (int(tally.missing[i]), before.missing),
            "unseen": (int(tally.unseen[i]), before.unseen),
        }
        for state, (count, earlier_share) in counts.items():
            share = count / tally.n
            is_rarer = state == "missing" and 1 - share < LEAST_LOSS * (1 - earlier_share)
            if share - earlier_share <= LEAST_RISE and not is_rarer:
                continue  # most columns; the intervals would find no change either
            low, high = wilson(share, tally.n, z)[0], wilson(earlier_share, before.leads, z)[1]
            least_rise, _ = difference_interval(share, tally.n, earlier_share, before.leads, z)
            is_lost = is_rarer and 1 - low < LEAST_LOSS * (1 - high)
            if least_rise > LEAST_RISE or is_lost:
                changes.append(AttributeChange(column, state, tally.n, share, earlier_share))
    return sorted(changes, key=lambda change: change.earlier_share - change.share)


@dataclass(frozen=True)
class AttributeUse:
    """The missing and the unseen values of a column, now and in training.

    Attributes
    ----------
    column : str
    missing, unseen : int
        The numbers of leads, as in `AttributeTally`.
    missing_in_training, unseen_in_training : float or None
        Shares, from 0 to 1; None if the model does not store them.
    """

    column: str
    missing: int
    unseen: int
    missing_in_training: float | None
    unseen_in_training: float | None


def attribute_uses(
    columns: Sequence[str], tally: AttributeTally, learned: Sequence[AttributeShare]
) -> list[AttributeUse]:
    """Return the counts of a tally next to the shares in training, column by column."""
    share_of = {share.column: share for share in learned}
    uses = []
    for i, column in enumerate(columns):
        share = share_of.get(column)
        uses.append(
            AttributeUse(
                column=column,
                missing=int(tally.missing[i]),
                unseen=int(tally.unseen[i]),
                missing_in_training=None if share is None else share.missing,
                unseen_in_training=None if share is None else share.unseen,
            )
        )
    return uses


def read_shares(stored: Sequence[dict[str, Any]]) -> list[AttributeShare]:
    """Read the shares that a model card stores; none in cards of earlier versions."""
    return [AttributeShare(**share) for share in stored]


def _percent(share: float) -> str:
    """Format a share in percent; only shares of 0 and 1 are shown as 0 % and 100 %."""
    rounded = min(max(round(100 * share), 1), 99) if 0 < share < 1 else round(100 * share)
    return f"{rounded} %"
