"""Checks the formats of attributes, and writes notes about those that their cells do not show."""

from collections.abc import Mapping

from crm.errors import SchemaError
from crm.formats.columns import ColumnFormat
from crm.project import Project
from crm.sources.source import name_of


def check_doubts(project: Project, formats: Mapping[str, ColumnFormat]) -> None:
    """Check that every column that the model uses can be read in one way only.

    Parameters
    ----------
    project : Project
    formats : mapping of str to ColumnFormat
        The formats of the columns of the leads.

    Raises
    ------
    SchemaError
        With the lines to write for each such column.
    """
    unused = {*_unused(project), *project.columns.category}
    questions = [
        form.question("leads", column)
        for column, form in formats.items()
        if form.doubt and column not in unused
    ]
    if questions:
        raise SchemaError(name_of(project.leads), questions)


def format_notes(project: Project, formats: Mapping[str, ColumnFormat]) -> list[str]:
    """Write notes about attributes whose cells do not show how they are to be read.

    A note names text that looks like numbers or times, or the evidence for a decimal sign that no
    cell shows.

    Parameters
    ----------
    project, formats
        As for `check_doubts`.

    Returns
    -------
    list of str
        Sentences without cells, because columns may be personal.
    """
    rules, unused = project.columns, _unused(project)
    as_declared = {*rules.category, *rules.number}
    notes = []
    for column, form in formats.items():
        if column in unused:
            continue
        if form.trouble and column not in as_declared:
            notes.append(
                f"leads: the cells of `{column}` look like numbers or times but are not read as "
                "such, so the column is text. `leadscore check` shows some of them."
            )
        if form.reason and column not in rules.category:
            notes.append(
                f"leads: no cell of `{column}` shows its decimal sign. It is read like "
                f"{form.notation or '1,234.56'} because of {form.reason}."
            )
    return notes


def _unused(project: Project) -> set[str]:
    rules = project.columns
    sensitive = set(rules.sensitive) - set(rules.allow_sensitive)
    return {*rules.ignore, *rules.known_later, *sensitive}
