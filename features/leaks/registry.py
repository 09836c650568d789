"""Registers the checks, and runs all of them.

To register a new check, it is enough to declare it in one of `MODULES`.
"""

from collections.abc import Iterator, Sequence

from features.leaks.check import MIN_OUTCOMES, Check, Finding
from features.leaks.checks import dates, durations, filling, model, names, values
from features.leaks.columns import AuditedColumn
from features.leaks.measures import AuditedLeads

MODULES = (filling, values, names, dates, durations, model)
CHECKS: dict[str, Check] = {
    check.number: check
    for check in sorted(
        (item for module in MODULES for item in vars(module).values() if isinstance(item, Check)),
        key=lambda check: check.number,
    )
}


def check_column(column: AuditedColumn, leads: AuditedLeads) -> Iterator[Finding]:
    """Run every check of single columns on one column; yield the findings by number."""
    can_compare = leads.by_outcome.rarer >= MIN_OUTCOMES
    for check in CHECKS.values():
        if check.of_column is None or (check.compares_outcomes and not can_compare):
            continue
        result = check.of_column(column, leads)
        if result is not None:
            yield Finding(check.number, *result)


def check_columns_together(
    columns: Sequence[AuditedColumn], leads: AuditedLeads
) -> Iterator[tuple[str, Finding]]:
    """Run every check of all columns together; yield the name of a column and a finding."""
    for check in CHECKS.values():
        if check.of_all is not None:
            for name, result in check.of_all(columns, leads):
                yield name, Finding(check.number, *result)
