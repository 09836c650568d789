"""The check of all columns together: LS109."""

from collections.abc import Iterator, Sequence

import numpy as np

from crm.arrays import Bools, Floats
from features.leaks.check import MIN_OUTCOMES_OF_LEAK, Verdict, check_together, rounded
from features.leaks.columns import AuditedColumn
from features.leaks.measures import AuditedLeads, TwoGroups

IMPLAUSIBLE_AUC = 0.9  # of all attributes together


@check_together("LS109", "It improves a model of all columns implausibly much.")
def lifts_model(
    columns: Sequence[AuditedColumn], leads: AuditedLeads
) -> Iterator[tuple[str, tuple[Verdict, str]]]:
    """Compare a light model of all columns with the same model without each of them.

    The model is a ridge regression on out-of-fold win rates and numbers. The check reports
    only if all columns together do implausibly well. A leak hides the next one, so pass no
    column that is known to leak.
    """
    groups = leads.by_outcome
    if groups.rarer < 3 * MIN_OUTCOMES_OF_LEAK or len(columns) < 2:
        return
    columns = sorted(columns, key=lambda column: column.name)
    blocks = [_model_columns(column, groups) for column in columns]
    owner = np.repeat(np.arange(len(columns)), [block.shape[1] for block in blocks])
    design = np.column_stack(blocks)
    products, target = design.T @ design, design.T @ (groups.is_first - groups.base)

    def auc(is_used: Bools) -> float:
        ridge = products[np.ix_(is_used, is_used)] + np.eye(is_used.sum())
        effects = np.linalg.solve(ridge, target[is_used])
        return groups.auc((design[:, is_used] @ effects).round(9)).value

    auc_of_all = auc(owner >= 0)
    if auc_of_all < IMPLAUSIBLE_AUC:
        return
    for i, column in enumerate(columns):
        auc_without = auc(owner != i)
        if auc_of_all - auc_without >= 0.1:
            evidence = (
                f"All columns together rank {rounded(auc_of_all)} of pairs correctly, "
                f"{rounded(auc_without)} without this one."
            )
            yield column.name, (Verdict.SUSPECT, evidence)


def _model_columns(column: AuditedColumn, groups: TwoGroups) -> Floats:
    """Compute the win rates of the column's values, and its numbers, with mean 0 and spread 1."""
    inputs = [groups.rates(column.levels[groups.rows])]
    if column.numbers is not None:
        numbers = column.numbers[groups.rows]
        is_known = np.isfinite(numbers)
        if is_known.any():
            low, middle, high = np.quantile(numbers[is_known], [0.01, 0.5, 0.99])
            inputs.append(np.where(is_known, numbers.clip(low, high), middle))
    block = np.column_stack(inputs)
    spread = block.std(axis=0)
    return np.asarray((block - block.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0))
