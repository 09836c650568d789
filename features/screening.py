"""Finds the pairs of attributes, and the counts of values, that tell more than single attributes.

Most pairs of attributes add nothing to the rates of the two attributes, and their noise makes a
model worse. So a candidate passes two tests. Among the older leads, its out-of-fold values must
add to the single rates; and on the newest leads, which were not learned from, the log loss must
fall by more than chance. The same records give the same candidates for any number of threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np
from scipy.special import expit

from crm.arrays import Floats, Ints
from crm.records import Records
from features.attributes.target import PRIOR_ROWS, TargetAttribute, smoothed_log_odds
from features.fitting import N_FOLDS, folds
from features.interactions import Interactions
from features.moments import Moments
from features.pipeline import FeaturePipeline
from features.small_logistic import fit_small_logistic, log_losses
from features.words import Words, codes_of, distinct_keys, joined

MOST_PAIRS: Final = 8
MOST_TESTED: Final = 24  # pairs; more are ranked on a sample of the leads first
RANKED_LEADS: Final = 50_000
LEAST_CHI2: Final = 20.0
LEAST_ERRORS: Final = 2.0  # standard errors of the gain on the newest leads


@dataclass(frozen=True)
class Candidate:
    """A pair of attributes, or the count of one attribute's values, that passed both tests.

    Attributes
    ----------
    columns : tuple of str
        Two columns, or one.
    chi2 : float
        Twice the gain of log-likelihood, out of fold, on the older leads.
    gain : float
        The decrease of the mean log loss on the newest leads.
    gain_error : float
        The standard error of the gain; the moments of a lead count as one observation.
    """

    columns: tuple[str, ...]
    chi2: float
    gain: float
    gain_error: float


def interactions_of(candidates: Sequence[Candidate]) -> Interactions:
    """Return candidates as a pipeline is asked for them, in their order."""
    pairs = [candidate.columns for candidate in candidates if len(candidate.columns) == 2]
    return Interactions(
        pairs=tuple((a, b) for a, b in pairs),
        counts=tuple(c.columns[0] for c in candidates if len(c.columns) == 1),
    )


def screen_interactions(
    pipeline: FeaturePipeline, records: Records, older: Moments, newer: Moments, seed: int
) -> list[Candidate]:
    """Find the interactions that predict wins better than the rates of their single attributes.

    Candidates are the pairs of categories and flags, and the counts of categories of many values.
    Of more than `MOST_TESTED` pairs, those are tested whose leads differ most, on a sample of
    leads, from what all single attributes predict.

    Parameters
    ----------
    pipeline : FeaturePipeline
        Fitted on the older moments.
    records : Records
    older, newer : Moments
        No lead is in both.
    seed : int
        For the folds, which are those of `training_matrix`, and for the sample.

    Returns
    -------
    list of Candidate
        The largest gain first; at most `MOST_PAIRS` pairs. Empty if the older moments have a
        single outcome, or without newer moments.
    """
    if len(newer) == 0 or len(older) == 0 or older.label.min() == older.label.max():
        return []
    columns = sorted(pipeline.word_attributes)
    data = _Data.of(pipeline, records, older, newer, columns, seed)
    long = [c for c in columns if isinstance(pipeline.word_attributes[c], TargetAttribute)]
    pairs = list(combinations(columns, 2))
    if len(pairs) > MOST_TESTED:
        pairs = _most_promising(data, pairs, seed)
    tested = [_tested(data, pair) for pair in [*pairs, *((column,) for column in long)]]
    passed = [
        candidate
        for candidate in tested
        if candidate.chi2 >= LEAST_CHI2 and candidate.gain > LEAST_ERRORS * candidate.gain_error
    ]
    passed.sort(key=lambda candidate: (-candidate.gain, candidate.columns))
    best = [candidate for candidate in passed if len(candidate.columns) == 2][:MOST_PAIRS]
    return [c for c in passed if len(c.columns) == 1 or c in best]


class _Leads(NamedTuple):
    """The moments of some leads, lead by lead.

    Attributes
    ----------
    words : dict of str to Words, length n_leads
        The words of each column.
    won, seen : ndarray of float64, shape (n_leads,)
        The weights of the won moments, and of all moments.
    """

    words: dict[str, Words]
    won: Floats
    seen: Floats

    def take(self, rows: Ints) -> "_Leads":
        """Return some of the leads."""
        words = {column: of_column.take(rows) for column, of_column in self.words.items()}
        return _Leads(words, self.won[rows], self.seen[rows])

    def of(self, columns: Sequence[str]) -> list[Words]:
        """Return the words of some columns."""
        return [self.words[column] for column in columns]


class _Table(NamedTuple):
    """The moments with each value, or each pair of values, fold by fold.

    Attributes
    ----------
    won, seen : ndarray of float64, shape (n_values, n_folds)
    """

    won: Floats
    seen: Floats

    @classmethod
    def of(cls, place: Ints, leads: _Leads, fold: Ints, shape: tuple[int, int]) -> "_Table":
        """Sum the moments of leads by the place of their values, and by fold."""
        cell = place * shape[1] + fold
        size = shape[0] * shape[1]
        won, seen = (np.bincount(cell, w, size).reshape(shape) for w in (leads.won, leads.seen))
        return cls(won.astype(np.float64), seen.astype(np.float64))

    def out_of_fold(self) -> tuple[Floats, Floats]:
        """Return the log-odds and the log counts in the other folds, shape (n_values, n_folds)."""
        won, seen = (x.sum(axis=1, keepdims=True) - x for x in self)
        log_odds = smoothed_log_odds(won, seen, _rate(won, seen))
        return log_odds, np.log1p(seen * (self.seen.sum() / seen.sum(axis=0)))

    def complete(self) -> tuple[Floats, Floats]:
        """Return the log-odds and the log counts in all folds, shape (n_values,)."""
        won, seen = (x.sum(axis=1) for x in self)
        return smoothed_log_odds(won, seen, _rate(won, seen)), np.log1p(seen)


class _Rates(NamedTuple):
    """The log-odds of a win of each value of a column.

    Attributes
    ----------
    out_of_fold : ndarray of float64, shape (n_values, n_folds)
        Learned from the other folds.
    complete : ndarray of float64, shape (n_values,)
        Learned from all folds.
    """

    out_of_fold: Floats
    complete: Floats


def _rate(won: Floats, seen: Floats) -> Floats:
    return np.asarray((won.sum(axis=0) + 0.5) / (seen.sum(axis=0) + 1.0))


@dataclass(frozen=True)
class _Data:
    """The data of both tests.

    Attributes
    ----------
    older, newer : _Leads
    fold : ndarray of int64, shape (n_older,)
        The fold of each older lead.
    n_folds : int
    singles : dict of str to _Rates
        The rates of each column's words among the older leads.
    """

    older: _Leads
    newer: _Leads
    fold: Ints
    n_folds: int
    singles: dict[str, _Rates]

    @classmethod
    def of(
        cls,
        pipeline: FeaturePipeline,
        records: Records,
        older: Moments,
        newer: Moments,
        columns: Sequence[str],
        seed: int,
    ) -> "_Data":
        """Read the words of all leads, and count the older ones."""
        words = pipeline.words_of_table(records.leads, columns)
        of_older, of_newer = (_of_leads(moments, words) for moments in (older, newer))
        fold_of_lead = np.zeros(len(records.leads), dtype=np.int64)
        fold_of_lead[older.lead] = folds(older.label, older.lead, seed, N_FOLDS)
        fold = fold_of_lead[_leads_of(older)]
        n_folds = int(fold.max()) + 1
        singles = {}
        for column, of_column in of_older.words.items():
            shape = (len(of_column.values), n_folds)
            table = _Table.of(of_column.codes, of_older, fold, shape)
            singles[column] = _Rates(table.out_of_fold()[0], table.complete()[0])
        return cls(of_older, of_newer, fold, n_folds, singles)


def _leads_of(moments: Moments) -> Ints:
    """Return the positions of the leads that have moments, in their order."""
    return np.flatnonzero(np.bincount(moments.lead))


def _of_leads(moments: Moments, words: dict[str, Words]) -> _Leads:
    rows = _leads_of(moments)
    won, seen = (
        np.bincount(moments.lead, weight)[rows].astype(np.float64)
        for weight in (moments.weight * moments.label, moments.weight)
    )
    return _Leads({column: w.take(rows) for column, w in words.items()}, won, seen)


def _tested(data: _Data, columns: tuple[str, ...]) -> Candidate:
    """Measure what a pair, or the count of one attribute's values, adds to the single rates."""
    older, newer = data.older, data.newer
    values, place = distinct_keys(joined(older.of(columns)))
    table = _Table.of(place, older, data.fold, (len(values), data.n_folds))
    # Leads with the same values and of the same fold have the same features: they are one row.
    value, fold = np.nonzero(table.seen)
    won, seen = table.won[value, fold], table.seen[value, fold]
    codes = codes_of(values[value], older.of(columns))
    rates = [data.singles[column] for column in columns]
    single = [x.out_of_fold[code, fold] for x, code in zip(rates, codes, strict=True)]
    added = _added(columns, [x[value, fold] for x in table.out_of_fold()])
    without, with_it = (fit_small_logistic(x, won, seen) for x in (single, [*single, *added]))
    chi2 = 2 * (without.loss - with_it.loss)

    words = newer.of(columns)
    key = joined(words)
    at = np.minimum(np.searchsorted(values, key), len(values) - 1)
    is_seen = values[at] == key
    log_odds, log_count = table.complete()
    average = float(smoothed_log_odds(np.zeros(1), np.zeros(1), _rate(older.won, older.seen))[0])
    single = [x.complete[of_column.codes] for x, of_column in zip(rates, words, strict=True)]
    of_newer = np.where(is_seen, log_odds[at], average), np.where(is_seen, log_count[at], 0.0)
    gains = log_losses(without.log_odds_of(single), newer.won, newer.seen)
    gains -= log_losses(
        with_it.log_odds_of([*single, *_added(columns, of_newer)]), newer.won, newer.seen
    )
    n = float(newer.seen.sum())
    gain = float(gains.sum()) / n
    error = float(np.sqrt(((gains - gain * newer.seen) ** 2).sum())) / n
    return Candidate(columns, chi2, gain, error)


def _added(columns: tuple[str, ...], table: Sequence[Floats]) -> list[Floats]:
    """Return what is tested: of a pair, its rate and count; of one attribute, the count."""
    log_odds, log_count = table
    return [log_odds, log_count] if len(columns) == 2 else [log_count]


def _most_promising(
    data: _Data, pairs: Sequence[tuple[str, str]], seed: int
) -> list[tuple[str, str]]:
    """Return the pairs whose leads differ most from what all single attributes predict.

    The residual of a lead is compared with those of the leads of other folds that have the same
    two values. Without an effect of the pair, the sum of their products has the mean 0.
    """
    leads, fold = data.older, data.fold
    if len(leads.seen) > RANKED_LEADS:
        chosen = np.random.default_rng(seed).choice(len(leads.seen), RANKED_LEADS, replace=False)
        chosen.sort()
        leads, fold = leads.take(chosen), fold[chosen]
    singles = [
        rates.out_of_fold[leads.words[column].codes, fold] for column, rates in data.singles.items()
    ]
    model = fit_small_logistic(singles, leads.won, leads.seen)
    residual = leads.won - leads.seen * expit(model.log_odds_of(singles))
    strength = {pair: _agreement(leads, fold, residual, pair) for pair in pairs}
    return sorted(pairs, key=lambda pair: (-strength[pair], pair))[:MOST_TESTED]


def _agreement(leads: _Leads, fold: Ints, residual: Floats, pair: tuple[str, str]) -> float:
    """Compute how much residuals of different folds agree, in standard errors."""
    values, place = distinct_keys(joined(leads.of(pair)))
    shape = (len(values), int(fold.max()) + 1)
    cell = place * shape[1] + fold
    total, square, seen = (
        np.bincount(cell, weight, shape[0] * shape[1]).reshape(shape)
        for weight in (residual, residual**2, leads.seen)
    )
    share = 1 / (seen.sum(axis=1) + PRIOR_ROWS)
    agreement = ((total.sum(axis=1) ** 2 - (total**2).sum(axis=1)) * share).sum()
    variance = ((square.sum(axis=1) ** 2 - (square**2).sum(axis=1)) * share**2).sum()
    return float(agreement / np.sqrt(2 * variance)) if variance > 0 else 0.0
