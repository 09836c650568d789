"""Formats what `leadscore audit` found."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.markup import escape

from commands.terminal.tables import new_table
from crm.project import Project
from crm.text import quote
from features.leaks.audit import Audit
from features.leaks.check import Verdict


def audit_table(audited: Audit) -> RenderableType:
    """Format the verdict of each column with its evidence and its cost, leaks first."""
    table, order = new_table("column", "verdict", "evidence"), list(Verdict)
    for column in sorted(audited.attributes, key=lambda column: order.index(column.verdict)):
        lines = [f"{finding.number} {finding.evidence}" for finding in column.findings]
        lines += [column.cost.sentence()] if column.cost else []
        table.add_row(escape(column.attribute[:60]), column.verdict.value, escape("\n".join(lines)))
    return table


def audit_summary(
    audited: Audit, unaudited: Mapping[str, Sequence[str]], project: Project
) -> Iterator[str]:
    """Format which columns were not audited, and the list for the project file.

    Parameters
    ----------
    audited : Audit
    unaudited : mapping of str to sequence of str
        The columns that were not audited, by the key of `[columns]` that excludes them.
    project : Project
    """
    file = project.path.name
    if unaudited:
        n = sum(map(len, unaudited.values()))
        were, them = ("was", "it") if n == 1 else ("were", "them")
        keys = ", ".join(f"{len(columns):,} in {key}" for key, columns in unaudited.items())
        yield (
            f"{_columns(n)} {were} not audited, because [columns] of {file} keeps {them} out of "
            f"the model: {keys}."
        )
    suspects = [column.attribute for column in audited.attributes if column.line]
    if not suspects:
        yield _nothing_found(audited)
        return
    listed = ", ".join(map(quote, dict.fromkeys([*project.columns.known_later, *suspects])))
    yield "Leaks and suspects are left out of the model. To keep this decision, set known_later in"
    yield f"[columns] of {file} to this list:"
    yield f"  known_later = [{listed}]"
    yield (
        "If you know that a column is filled before the moment of scoring, list it in "
        "known_in_time instead."
    )
    if any(column.cost for column in audited.attributes):
        yield (
            "The cost of leaving a column out is measured with a quick model. A leak looks useful "
            "as well, so a high cost does not show that a column is known in time."
        )


def _nothing_found(audited: Audit) -> str:
    n_vouched = sum(
        any(finding.verdict is not Verdict.FINE for finding in column.findings)
        for column in audited.attributes
    )
    text = f"No leaks found in {_columns(len(audited.attributes))}"
    return f"{text}, except {n_vouched:,} in known_in_time." if n_vouched else f"{text}."


def _columns(n: int) -> str:
    return "1 column" if n == 1 else f"{n:,} columns"
