"""Registers the record checks, and runs all of them.

To register a new check, it is enough to declare it in one of `MODULES`.
"""

from collections.abc import Iterator

from features.record_checks.check import Finding, RecordCheck
from features.record_checks.checks import (
    amounts,
    columns,
    formats,
    ids,
    outcomes,
    people,
    sources,
    times,
    unwanted,
    values,
)
from features.record_checks.tables import ReadTables

MODULES = (outcomes, amounts, times, people, columns, ids, values, formats, sources, unwanted)
CHECKS: dict[str, RecordCheck] = {
    check.number: check
    for check in sorted(
        (
            item
            for module in MODULES
            for item in vars(module).values()
            if isinstance(item, RecordCheck)
        ),
        key=lambda check: check.number,
    )
}


def find_all(tables: ReadTables) -> Iterator[tuple[str, Finding]]:
    """Run every check; yield its number and each finding, by number."""
    for check in CHECKS.values():
        for finding in check.run(tables):
            yield check.number, finding
