"""Splits moments by time: older leads are the training set, the newest leads are the test set."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from crm.arrays import Ints
from crm.errors import LearningError
from crm.project import LearnKeys
from crm.records import Records
from features.moments import FEWEST_OUTCOMES, Moments

LEAST_LEADS = 20


@dataclass(frozen=True)
class Split:
    """Training and test moments; no lead is on both sides.

    Attributes
    ----------
    train, test : Moments
        The test set is empty if no leads could be held out.
    embargoed : int
        The number of training moments that were dropped because their label was not yet known
        when the test period began.
    how : str
        Which leads were held out, or why none were; a sentence for the card.
    """

    train: Moments
    test: Moments
    embargoed: int
    how: str

    def __repr__(self) -> str:
        if not self.has_test:
            return f"<Split: {len(self.train):,} training moments, none to test; {self.how}>"
        return (
            f"<Split: {len(self.train):,} training and {len(self.test):,} test moments, "
            f"{self.embargoed:,} embargoed; {self.how}>"
        )

    @property
    def has_test(self) -> bool:
        """True if there is a test set."""
        return len(self.test) > 0


def hold_out(records: Records, moments: Moments, learn: LearnKeys) -> Split:
    """Split off the newest leads as the test set, if the rest trains the same kind of model.

    Without the test leads, and without leads whose outcome was not known when the test period
    began, there may be too few outcomes for more than a base rate, while all leads together are
    enough for a model. Then that model is worth more than an evaluation of the base rate, and
    no leads are held out. The same applies if the test leads cannot evaluate a model, or if no
    training leads remain.

    Parameters
    ----------
    records : Records
    moments : Moments
        All mature moments.
    learn : LearnKeys

    Returns
    -------
    Split
    """
    try:
        split = split_newest(records, moments, learn.test_share, learn.seed)
    except LearningError as error:
        return without_test(moments, str(error))
    if split.train.rarer < FEWEST_OUTCOMES <= moments.rarer:
        return without_test(moments, _too_few(split, moments))
    return split


def without_test(moments: Moments, why: str) -> Split:
    """Return a split that holds out no leads."""
    nothing = moments.take(np.zeros(len(moments), dtype=bool))
    return Split(train=moments, test=nothing, embargoed=0, how=why)


def _too_few(split: Split, moments: Moments) -> str:
    horizon = ", or shorten horizon_days" if moments.has_times else ""
    return (
        f"When the test period began, only {split.train.rarer} leads with the rarer outcome were "
        f"known; a model needs at least {FEWEST_OUTCOMES}. So this model learned from all "
        f"{len(np.unique(moments.lead)):,} leads, {moments.rarer} of them with the rarer outcome, "
        f"and none remain to test it. Export a longer history{horizon}."
    )


def split_newest(records: Records, moments: Moments, test_share: float, seed: int) -> Split:
    """Split off the newest share of leads, and drop labels that were not known before them.

    Leads without an order are held out at random, with the same share of wins on both sides.
    The test is then about leads of the same days, and the card says so.

    Parameters
    ----------
    records : Records
    moments : Moments
    test_share : float
        Share of leads, 0.05 … 0.5.
    seed : int
        For the random case.

    Returns
    -------
    Split

    Raises
    ------
    LearningError
        If too few leads remain on a side, or one side has a single outcome.
    """
    leads = np.unique(moments.lead)
    if len(leads) < LEAST_LEADS:
        raise LearningError(
            f"Only {len(leads)} leads have a certain outcome; at least {LEAST_LEADS} are needed "
            "to train on some and test on others. Export more leads."
        )
    n_test = _n_held_out(leads, test_share)
    if records.in_order:
        # Positions in records.leads grow with time; a lead's first moment is its creation.
        test_leads = leads[-n_test:]
        how = f"newest {test_share:.0%} of leads"
    else:
        test_leads = _stratified(moments, n_test, seed)
        how = f"random {test_share:.0%} of leads, because the project names no time or order"
    is_test = np.isin(moments.lead, test_leads)
    is_known = np.ones(len(moments), dtype=bool)
    if moments.has_times:
        test_begins = moments.as_of[is_test].min()
        is_known = moments.known_at <= test_begins
    train = moments.take(~is_test & is_known)
    test = moments.take(is_test)
    if len(train) == 0:
        raise LearningError(
            "No training leads remain: the labels of all "
            f"{len(np.unique(moments.lead[~is_test])):,} were not yet known when the test period "
            "began. Export a longer history, or shorten horizon_days."
        )
    _check_both_outcomes(train, "training", "they cannot train a model")
    _check_both_outcomes(test, "test", "they cannot evaluate a model")
    return Split(train=train, test=test, embargoed=int((~is_test & ~is_known).sum()), how=how)


def cut_offs(moments: Moments, share: float, blocks: Iterable[int]) -> Iterator[Split]:
    """Split moments at several cut-offs.

    The leads are divided into blocks of equal size, the newest first. Each block is a test set,
    and the leads before it are the training set. As for the test, only moments whose label was
    known when the block begins are training moments.

    Parameters
    ----------
    moments : Moments
        The positions of their leads grow with time, as if `records.in_order`.
    share : float
        The share of leads in a block, up to 0.5.
    blocks : iterable of int
        The blocks to test on: 0 is the newest.

    Yields
    ------
    Split
        For each block that has older leads. The training set may be empty, and each side may have
        one outcome only: see `why_unusable`.

    Examples
    --------
    >>> n = np.arange(10)
    >>> moments = Moments(n, n, n % 2, n + 1, np.ones(10), {})
    >>> for split in cut_offs(moments, 0.2, [1, 2]):
    ...     print(split.train.lead, split.test.lead, split.embargoed)
    [0 1 2 3 4 5] [6 7] 0
    [0 1 2 3] [4 5] 0
    """
    leads = np.unique(moments.lead)
    n = _n_held_out(leads, share)
    for end in (len(leads) - block * n for block in blocks):
        if end <= n:
            return
        first, last = leads[end - n], leads[end - 1]
        is_test = (first <= moments.lead) & (moments.lead <= last)
        is_known = moments.known_at <= moments.as_of[is_test].min()
        is_older = moments.lead < first
        yield Split(
            train=moments.take(is_older & is_known),
            test=moments.take(is_test),
            embargoed=int((is_older & ~is_known).sum()),
            how=f"{n:,} leads that came before the {len(leads) - end:,} newest leads",
        )


def why_unusable(split: Split) -> str:
    """Return why a model cannot be fitted and evaluated at a cut-off; otherwise ""."""
    if split.train.rarer < FEWEST_OUTCOMES:
        return (
            f"only {split.train.rarer} older leads with the rarer outcome were known when they "
            f"began; a model needs at least {FEWEST_OUTCOMES}"
        )
    if split.test.rarer == 0:
        return "all of them have the same outcome"
    return ""


def _n_held_out(leads: Ints, test_share: float) -> int:
    return max(1, round(len(leads) * test_share))


def _check_both_outcomes(moments: Moments, name: str, consequence: str) -> None:
    """Raise a LearningError if all moments have the same outcome."""
    if moments.label.min() == moments.label.max():
        outcome = "won" if moments.label[0] else "not won"
        raise LearningError(
            f"All {len(np.unique(moments.lead)):,} {name} leads are {outcome}, so {consequence}. "
            "Export a longer history, or change test_share."
        )


def _stratified(moments: Moments, n_test: int, seed: int) -> Ints:
    """Draw test leads at random, with the same share of wins as all leads."""
    leads, first = np.unique(moments.lead, return_index=True)
    won = moments.label[first] == 1
    generator = np.random.default_rng(seed)
    n_won = max(1, round(n_test * won.mean()))
    n_lost = n_test - n_won
    return np.concatenate(
        [
            generator.choice(leads[won], size=min(n_won, int(won.sum())), replace=False),
            generator.choice(leads[~won], size=min(n_lost, int((~won).sum())), replace=False),
        ]
    )
