"""Asks about the formats of attributes that are in doubt, and notes what was decided."""

from collections.abc import Mapping

from crm.errors import SchemaError
from crm.formats.columns import ColumnFormat
from crm.project import Project
from crm.sources.source import name_of


def check_doubts(project: Project, formats: Mapping[str, ColumnFormat]) -> None:
    """Check that the model uses no column that can be read in two ways.

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
    """Write a note about each column of the leads whose reading its cells do not show.

    Parameters
    ----------
    project : Project
    formats : mapping of str to ColumnFormat
        The formats of the columns of the leads.

    Returns
    -------
    list of str
        Sentences without any cell, because columns may be personal.
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
