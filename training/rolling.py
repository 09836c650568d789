"""Evaluates a procedure at earlier cut-offs too, to see whether it is as good over time.

The test evaluates the newest leads once. How much older leads should count, or how long a relation
stays valid, shows only at several cut-offs: each has a model of its own, which knows what was
known at that time.

The earlier models are fitted with the remedies, interactions and settings of the model that the
test evaluates, because to choose them anew at each cut-off would take as long as the test. These
choices, and the leak audit, are from later data. So the figures of earlier cut-offs are a little
too good, for each version in the same way.

A later cut-off is the time until which the champion had learned, if the test begins before it. The
whole procedure learns from what was known then, with choices of its own, as the champion did. So a
model that knows as much as the champion is compared with it on the leads that came after.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from crm.arrays import Floats
from crm.errors import LearningError
from crm.project import LearnKeys
from crm.records import Records
from features.moments import FEWEST_OUTCOMES, Moments
from models.evaluation.intervals import auc_interval, mean_interval
from models.evaluation.metrics import MODEL_METRICS, log_losses, measure
from models.fitting.logistic import sample_of_leads
from models.fitting.split import Split, cut_offs, why_unusable
from training.fit import Fitted
from training.procedure import Learned

MOST_EARLIER = 2  # cut-offs before that of the test
MOST_ROWS = 100_000  # of more training moments, a model of an earlier cut-off uses a sample

Learn = Callable[[Moments, float], Fitted]


@dataclass(frozen=True)
class CutOff:
    """A model that learned before a cut-off, with its log-odds of the leads that come after it.

    Attributes
    ----------
    split : Split
        The model learned from its training set. The test set contains the leads after the cut-off.
    margin : ndarray of float64, shape (len(split.test),)
        Calibrated log-odds of the test set.
    """

    split: Split
    margin: Floats

    @property
    def begins(self) -> int:
        """The time of the cut-off, in microseconds since 1970 UTC: its first test moment.

        Without times it is the position of its first test lead.
        """
        test = self.split.test
        return int(test.as_of.min() if test.has_times else test.lead.min())

    @property
    def values(self) -> dict[str, float]:
        """The metrics of the test set, by the names in `MODEL_METRICS`."""
        return measure(self.margin, self.split.test.label, self.split.test.weight)

    def to_json(self) -> dict[str, Any]:
        """Return the period, the counts, the metrics, and the shares of wins.

        `from` and `to` are the first and the last test moment, None without times.
        `predicted` is the mean probability, `base_rate` the share that was won. `intervals`
        contains the 95 % intervals of ROC AUC and log loss.
        """
        test = self.split.test
        label, weight, lead = test.label, test.weight, test.lead
        losses = log_losses(self.margin, label)
        period: list[str] | list[None] = [None, None]
        if test.has_times:
            ends = pd.to_datetime([test.as_of.min(), test.as_of.max()], unit="us", utc=True)
            period = [at.isoformat() for at in ends]
        return {
            "from": period[0],
            "to": period[1],
            "learned_from": len(self.split.train),
            "n": len(test),
            "n_leads": len(np.unique(lead)),
            "base_rate": float(np.average(label, weights=weight)),
            "predicted": float(np.average(expit(self.margin), weights=weight)),
            **self.values,
            "intervals": {
                "roc_auc": list(auc_interval(self.margin, label, weight, lead)),
                "log_loss": list(mean_interval(losses, weight, lead)),
            },
        }


@dataclass(frozen=True)
class LaterCutOff:
    """A model that learned until a time after the beginning of the test.

    Attributes
    ----------
    until : int
        The labels that the model learned from were known at this time, in microseconds since
        1970 UTC.
    test : Moments
        The moments of leads that it has not learned from.
    margin : ndarray of float64, shape (len(test),)
        Calibrated log-odds of the test moments.
    """

    until: int
    test: Moments
    margin: Floats


@dataclass(frozen=True)
class Rolling:
    """The evaluation of a procedure at several cut-offs.

    Attributes
    ----------
    cut_offs : tuple of CutOff
        The latest first, which is that of the test; empty if the leads have no order.
    left_out : tuple of str
        For each cut-off without an evaluation the reason, in a sentence.
    """

    cut_offs: tuple[CutOff, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def means(self) -> dict[str, float]:
        """The mean of each metric over the cut-offs, each with the weight of its moments."""
        weights = [cut_off.split.test.weight.sum() for cut_off in self.cut_offs]
        values = [cut_off.values for cut_off in self.cut_offs]
        return {
            name: float(np.average([of_one[name] for of_one in values], weights=weights))
            for name in MODEL_METRICS
        }


def roll(
    newest: CutOff,
    learn: Learn,
    records: Records,
    moments: Moments,
    keys: LearnKeys,
    on_share: Callable[[float], None] = lambda share: None,
) -> Rolling:
    """Evaluate a procedure at up to `MOST_EARLIER` cut-offs before that of the test.

    If the leads have no order, the result has no cut-offs. A cut-off is left out if too few
    outcomes for a model were known at that time, or if all leads after it have the same outcome.
    If more than `MOST_ROWS` moments were known, the model learns from a random sample of leads.

    Parameters
    ----------
    newest : CutOff
        The model that the test evaluates.
    learn : callable
        Takes training moments, and the share of the leads that they have if they are a sample.
        Returns what the procedure fits to them.
    records : Records
    moments : Moments
        All mature moments.
    keys : LearnKeys
        The keys `test_share` and `seed` of the project.
    on_share : callable, optional
        Called with the share of the work that is done, 0 … 1.

    Returns
    -------
    Rolling
    """
    if not records.in_order:
        return Rolling()
    evaluated, left_out = [newest], []
    blocks = range(1, 1 + MOST_EARLIER)
    for number, known in enumerate(cut_offs(moments, keys.test_share, blocks)):
        on_share(number / MOST_EARLIER)
        sampled = sample_of_leads(known.train.lead, MOST_ROWS, keys.seed)
        split = replace(known, train=known.train.take(sampled))
        why = why_unusable(split)
        if not why:
            try:
                fitted = learn(split.train, len(split.train) / len(known.train))
            except LearningError as error:
                why = str(error)
        if why:
            left_out.append(f"The {split.how} were not evaluated: {why.rstrip('.')}.")
            continue
        test = split.test
        features = fitted.pipeline.transform(records, test.lead, test.as_of)
        evaluated.append(CutOff(split, fitted.log_odds_of(features)))
    on_share(1.0)
    return Rolling(tuple(evaluated), tuple(left_out))


def learn_until(
    until: int,
    learn: Callable[[Moments], Learned],
    records: Records,
    moments: Moments,
) -> LaterCutOff | None:
    """Learn from what was known at a time, and score the leads that came after.

    If the procedure also learns from leads whose horizon was not over, only leads that were
    created later are scored.

    Parameters
    ----------
    until : int
        Microseconds since 1970 UTC.
    learn : callable
        Takes training moments, and returns what the whole procedure learns from them. All choices
        are made anew, as in the training of a version at that time.
    records : Records
    moments : Moments
        All mature moments, with times.

    Returns
    -------
    LaterCutOff or None
        None if no leads came after, or if too few outcomes for a model were known.

    Examples
    --------
    >>> at = np.arange(6)
    >>> moments = Moments(at, at, at % 2, at + 2, np.ones(6), {})
    >>> learn_until(4, lambda known: 1 / 0, None, moments)
    """
    known = moments.take(moments.known_at <= until)
    is_later = ~np.isin(moments.lead, known.lead)
    if known.rarer < FEWEST_OUTCOMES or not is_later.any():
        return None
    try:
        learned = learn(known)
    except LearningError:
        return None
    if learned.remedies.for_newest:
        is_later &= ~np.isin(moments.lead, moments.lead[moments.as_of < until])
    test = moments.take(is_later)
    features = learned.fitted.pipeline.transform(records, test.lead, test.as_of)
    return LaterCutOff(until, test, learned.fitted.log_odds_of(features))
