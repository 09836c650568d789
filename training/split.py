"""Which moments to learn from and which to be judged by: the newest leads are the test."""

from dataclasses import dataclass

import numpy as np

from crm.arrays import Ints
from crm.errors import LearningError
from crm.project import LearnKeys
from crm.records import Records
from features.moments import Moments
from models.fitting.blend import FEWEST_OUTCOMES

LEAST_LEADS = 20


@dataclass(frozen=True)
class Split:
    """Training and test moments; no lead is on both sides.

    Attributes
    ----------
    train, test : Moments
        The test is empty where nobody can be held out to judge.
    embargoed : int
        Training moments that were dropped because their label was not known yet when
        the test period began.
    how : str
        In words, for the card: which leads judge, or why none do.
    """

    train: Moments
    test: Moments
    embargoed: int
    how: str

    @property
    def is_judged(self) -> bool:
        """True if there are leads to judge by."""
        return len(self.test) > 0


def hold_out(records: Records, moments: Moments, learn: LearnKeys) -> Split:
    """Hold the newest leads out to judge by, unless the model that they judged were another.

    Without the test leads, and without those whose outcome was not known when the test began,
    outcomes may be too few for more than a base rate, while all of them together teach a
    model. Then that model is worth more than the judgement of a base rate, and is not judged.
    Nor is it where the test leads cannot judge, or nothing can be learned without them.

    Parameters
    ----------
    records : Records
    moments : Moments
        All mature ones.
    learn : LearnKeys
    """
    try:
        split = split_newest(records, moments, learn.test_share, learn.seed)
    except LearningError as error:
        return unjudged(moments, str(error))
    if split.train.rarer < FEWEST_OUTCOMES <= moments.rarer:
        return unjudged(moments, _too_few(split, moments))
    return split


def unjudged(moments: Moments, why: str) -> Split:
    """Hold nobody out: everything is learned from."""
    return Split(moments, moments.take(np.zeros(len(moments), dtype=bool)), 0, why)


def _too_few(split: Split, moments: Moments) -> str:
    horizon = ", or shorten horizon_days" if moments.has_times else ""
    return (
        f"Before the test began, {split.train.rarer} leads with the rarer outcome were known, and "
        f"from fewer than {FEWEST_OUTCOMES} no model is learned. So this one has learned from all "
        f"{len(np.unique(moments.lead)):,} leads, {moments.rarer} of them with the rarer outcome, "
        f"and none are left to judge it. Export a longer history{horizon}."
    )


def split_newest(records: Records, moments: Moments, test_share: float, seed: int) -> Split:
    """Hold the newest share of leads out, and embargo labels from the test period.

    Leads whose records stand in no order are held out at random, with the same share
    of wins on both sides: the figures are then about leads of the same days, and the
    card says so.

    Parameters
    ----------
    records : Records
    moments : Moments
    test_share : float
        Share of leads, 0.05 … 0.5.
    seed : int
        For the random case.

    Raises
    ------
    LearningError
        If too few leads are left on a side, or one side has a single outcome.
    """
    leads = np.unique(moments.lead)
    if len(leads) < LEAST_LEADS:
        raise LearningError(
            f"Only {len(leads)} leads have a certain outcome; at least {LEAST_LEADS} are needed "
            "to learn from some and to be judged by others. Export more of them."
        )
    n_test = max(1, round(len(leads) * test_share))
    if records.in_order:
        # Positions in records.leads grow with time; a lead's first moment is its creation.
        test_leads = leads[-n_test:]
        how = f"newest {test_share:.0%} of leads"
    else:
        test_leads = _stratified(moments, n_test, seed)
        how = f"random {test_share:.0%} of leads, because the project names no time or order"
    is_test = np.isin(moments.lead, test_leads)
    known = np.ones(len(moments), dtype=bool)
    if moments.has_times:
        test_begins = moments.as_of[is_test].min()
        known = moments.known_at <= test_begins
    train = moments.take(~is_test & known)
    test = moments.take(is_test)
    embargoed = int((~is_test & ~known).sum())
    if len(train) == 0:
        raise LearningError(
            "No training leads are left: the labels of all "
            f"{len(np.unique(moments.lead[~is_test])):,} were not yet known when the test period "
            "began. Export a longer history, or shorten horizon_days."
        )
    for name, side in (("training", train), ("test", test)):
        if side.label.min() == side.label.max():
            won = "won" if side.label[0] else "unwon"
            raise LearningError(
                f"All {len(np.unique(side.lead)):,} {name} leads are {won}, so they cannot "
                f"{'judge' if side is test else 'teach what is to be judged'}. Export a longer "
                "history, or change test_share."
            )
    return Split(train=train, test=test, embargoed=embargoed, how=how)


def _stratified(moments: Moments, n_test: int, seed: int) -> Ints:
    leads, first = np.unique(moments.lead, return_index=True)
    won = moments.label[first] == 1
    generator = np.random.default_rng(seed)
    n_won = max(1, round(n_test * won.mean()))
    return np.concatenate(
        [
            generator.choice(leads[won], size=min(n_won, int(won.sum())), replace=False),
            generator.choice(
                leads[~won], size=min(n_test - n_won, int((~won).sum())), replace=False
            ),
        ]
    )
