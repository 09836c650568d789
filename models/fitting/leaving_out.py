"""Measures what it costs to leave each suspect of the leak audit out of the model.

A quick model, a few trees, learns from the older leads with and without the suspect, and predicts
the newest leads. It is not the model that `leadscore train` fits, and reads no activities: its
figures are for the comparison only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crm.arrays import Floats, Ints, Labels
from crm.errors import LearningError
from crm.project import ColumnsKeys
from crm.records import Records
from crm.times import NOT_A_TIME, microseconds
from features.leaks.audit import AttributeAudit, Audit
from features.leaks.check import Verdict
from features.leaks.columns import AuditedColumn, read_audited_column
from features.leaks.cost import CostOfLeavingOut
from features.moments import FEWEST_OUTCOMES, Moments
from models.evaluation.metrics import FEWEST_TO_JUDGE, measure
from models.fitting.split import split_newest

MOST_SUSPECTS = 8
MOST_LEADS = 10_000
NEWEST_SHARE = 0.2
MIN_LEADS, MAX_VALUES = 5, 254  # values of a category with fewer leads are one value
ROUNDS = 50
PARAMETERS = {
    "learning_rate": 0.1,
    "feature_fraction": 1.0,  # not random, so that only the suspect makes a difference
    "bagging_freq": 0,
    "max_bin": 63,
    "num_threads": 1,
}
NOT_A_FEATURE = ("LS111", "LS112")  # findings about columns that the pipeline leaves out


def with_costs(
    audited: Audit, records: Records, moments: Moments, rules: ColumnsKeys, timezone: str
) -> Audit:
    """Add to each suspect what leaving it out costs; leaks have no cost.

    Parameters
    ----------
    audited : Audit
    records : Records
    moments : Moments
        The moments of these records. The first moment of each lead is used, for at most
        `MOST_LEADS` leads, evenly spaced.
    rules : ColumnsKeys
        How cells are read, as for the audit.
    timezone : str
        The zone of times that have none.

    Returns
    -------
    Audit
        The `MOST_SUSPECTS` suspects that predict best have a cost; none have one if there are too
        few outcomes to learn from and to evaluate.
    """
    suspects = [a.attribute for a in audited.attributes if a.verdict is Verdict.SUSPECT]
    if not suspects:
        return audited
    sides = _split(records, moments)
    if sides is None:
        return audited
    honest = [a.attribute for a in audited.attributes if _is_feature(a)]
    columns = _Columns(records, rules, timezone, sides)
    without = columns.evaluate(honest)
    costs = {}
    for name in columns.strongest(suspects)[:MOST_SUSPECTS]:
        with_it = columns.evaluate([*honest, name])
        costs[name] = CostOfLeavingOut(
            n=len(sides.test),
            are_newest=records.in_order,
            roc_auc_with=with_it["roc_auc"],
            roc_auc_without=without["roc_auc"],
            log_loss_with=with_it["log_loss"],
            log_loss_without=without["log_loss"],
        )
    return Audit(tuple(replace(a, cost=costs.get(a.attribute)) for a in audited.attributes))


def _is_feature(audited: AttributeAudit) -> bool:
    left_out = any(finding.number in NOT_A_FEATURE for finding in audited.findings)
    return audited.verdict is Verdict.FINE and not left_out


@dataclass(frozen=True)
class _Sides:
    """Leads to learn from, and leads to evaluate on.

    Attributes
    ----------
    lead : ndarray of int64, shape (n,)
        Positions in the leads table, ascending.
    label : ndarray of int8, shape (n,)
    train, test : ndarray of int64
        Positions in `lead`.
    """

    lead: Ints
    label: Labels
    train: Ints
    test: Ints

    @property
    def is_enough(self) -> bool:
        """True if both sides have enough leads of either outcome."""
        sides = ((self.train, FEWEST_OUTCOMES), (self.test, FEWEST_TO_JUDGE))
        return all(np.bincount(self.label[s], minlength=2).min() >= least for s, least in sides)


def _split(records: Records, moments: Moments) -> _Sides | None:
    """Split the first moments of the leads as training does; None if there are too few."""
    leads, first = np.unique(moments.lead, return_index=True)
    if len(leads) > MOST_LEADS:
        first = first[np.linspace(0, len(leads) - 1, MOST_LEADS).astype(np.int64)]
    chosen = moments.take(first)
    try:
        split = split_newest(records, chosen, NEWEST_SHARE, seed=0)
    except LearningError:
        return None
    train, test = (
        np.sort(np.searchsorted(chosen.lead, side.lead)) for side in (split.train, split.test)
    )
    sides = _Sides(chosen.lead, chosen.label, train, test)
    return sides if sides.is_enough else None


class _Columns:
    """The columns as features, each read once."""

    def __init__(self, records: Records, rules: ColumnsKeys, timezone: str, sides: _Sides) -> None:
        self._records, self._rules, self._timezone, self._sides = records, rules, timezone, sides
        leads = records.leads.iloc[sides.lead]
        no_time = np.full(len(sides.lead), NOT_A_TIME)
        self._leads = leads
        self._created = microseconds(leads["created_at"]) if records.has_times else no_time
        self._blocks: dict[str, tuple[list[Floats], bool]] = {}

    def strongest(self, names: Sequence[str]) -> list[str]:
        """Sort columns by how well each predicts the test leads alone, the best first."""
        if len(names) <= MOST_SUSPECTS:
            return list(names)
        return sorted(names, key=lambda name: -self.evaluate([name])["roc_auc"])

    def evaluate(self, names: Sequence[str]) -> dict[str, float]:
        """Fit the quick model to the training leads, and measure it on the test leads."""
        import lightgbm

        from models.fitting.trees import dataset, tree_settings

        sides = self._sides
        blocks = [self._block(name) for name in names]
        columns = [column for block, _ in blocks for column in block]
        coded = [is_coded for block, is_coded in blocks for _ in block]
        if not columns:
            columns, coded = [np.zeros(len(sides.lead))], [False]
        features = np.column_stack(columns)
        settings = tree_settings(len(sides.train), 0, PARAMETERS, ()) | {"num_threads": 1}
        training = dataset(
            features[sides.train],
            sides.label[sides.train],
            np.ones(len(sides.train)),
            [int(i) for i in np.flatnonzero(coded)],
            settings,
        )
        booster = lightgbm.train(settings, training, num_boost_round=ROUNDS)
        margin = np.asarray(booster.predict(features[sides.test], raw_score=True))
        return measure(margin, sides.label[sides.test], np.ones(len(sides.test)))

    def _block(self, name: str) -> tuple[list[Floats], bool]:
        """Return the features of a column, and whether they are codes of values."""
        if name not in self._blocks:
            column = read_audited_column(
                self._leads[name],
                self._rules,
                self._records.formats.get(name),
                self._timezone,
                self._created,
            )
            self._blocks[name] = _features(column, self._sides.train)
        return self._blocks[name]


def _features(column: AuditedColumn, train: Ints) -> tuple[list[Floats], bool]:
    if column.numbers is not None:
        return [column.numbers], False
    if column.choices:
        return list(column.choices), False
    n_values = len(column.values)
    counts = np.bincount(column.codes[train], minlength=n_values + 1)[:n_values]
    often = np.argsort(-counts, kind="stable")[:MAX_VALUES]
    often = often[counts[often] >= MIN_LEADS]
    code = np.zeros(n_values + 1)  # 0: a rare value
    code[often] = np.arange(1, len(often) + 1)
    code[n_values] = np.nan
    return [code[column.codes]], True
