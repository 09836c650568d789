"""Finds the leads of a segment: a column and its value, as `--segment` names them.

A message lists only values that at least `features.groups.FEWEST_LEADS` leads share, so that it
never shows the e-mail address or the name of one lead.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crm.arrays import Bools
from crm.cells import cell_text
from crm.errors import ConfigError
from crm.project import Project, role_columns
from crm.records import Records
from crm.suggest import nearest
from features.attributes.attribute import spellings
from features.groups import FEWEST_LEADS, OTHERS, Groups, groups_of_column
from reports.rows.columns import ReportColumns
from reports.text import column_label

MOST_SOURCES = 40
SCORES = ("grade", "score", "probability")  # of the model, not columns of the leads


@dataclass(frozen=True)
class Segment:
    """A part of the leads.

    Attributes
    ----------
    column : str
    value : str
        As most records write it, or the name of a group of the report, such as "100 to 253".
    is_in : ndarray of bool, shape (n_leads,)
    """

    column: str
    value: str
    is_in: Bools


def groups_of(records: Records, project: Project, columns: ReportColumns, column: str) -> Groups:
    """Group leads by a column, as the page about it does."""
    notation = records.formats.get(column)
    leads = records.leads[column]
    if column == columns.source:
        return groups_of_column(leads, project, MOST_SOURCES, notation)
    return groups_of_column(leads, project, notation=notation)


def find_segment(
    records: Records,
    project: Project,
    columns: ReportColumns,
    reasons: Mapping[str, str],
    wanted: tuple[str, str],
) -> Segment:
    """Find the leads of a segment.

    Parameters
    ----------
    records : Records
        All leads.
    project : Project
    columns : ReportColumns
    reasons : mapping of str to str
        Columns that are not compared, with the reason.
    wanted : tuple of str
        A column, by its name or its label, and a value: of cells, or the name of a group that the
        report shows, such as a band of numbers. Case does not matter.

    Raises
    ------
    ConfigError
        If there is no such column or value, or the column cannot be a segment. The message says
        what can be used.
    """
    name, value = wanted
    usable = _usable_columns(records, project, columns, reasons)
    column = _find_column(list(records.leads.columns), usable, name)
    if column in reasons:
        raise ConfigError(
            f"--segment: `{column}` cannot be a segment. {reasons[column]}\n"
            f"{_columns_to_use(usable)}"
        )
    if column not in usable:
        raise ConfigError(
            f"--segment: `{column}` cannot be a segment, because the project file uses it as the "
            f"{_role_of(project, column)} of the leads.\n{_columns_to_use(usable)}"
        )
    texts = spellings(records.leads[column], frozenset())
    is_in = np.array([text.casefold() for text in texts]) == str(cell_text(value)).casefold()
    if is_in.any():
        return Segment(column, str(texts[is_in][0]), is_in)
    groups = groups_of(records, project, columns, column)
    for i, group in enumerate(groups.names):
        if group.casefold() == value.casefold():
            return Segment(column, group, groups.code == i)
    shared = [group for group in groups.names if group != OTHERS]
    raise ConfigError(
        f"--segment: no lead has `{column}` = `{value}`.\n"
        + (
            nearest(value, shared)
            if shared
            else f"No value of `{column}` is shared by {FEWEST_LEADS} leads or more. "
            f"{_columns_to_use([other for other in usable if other != column])}"
        )
    )


def _find_column(existing: list[str], usable: list[str], name: str) -> str:
    """Return the column with a name or a label."""
    if name in existing:
        return name
    for column in existing:
        if name.casefold() in (column.casefold(), column_label(column).casefold()):
            return column
    if name.casefold() in SCORES:
        raise ConfigError(
            f"--segment: the leads have no column `{name}`. The model gives each lead a {name}, "
            "which changes with time. The pages about the score and about service levels show "
            f"each grade.\n{_columns_to_use(usable)}"
        )
    raise ConfigError(f"--segment: the leads have no column `{name}`.\n{nearest(name, usable)}")


def _usable_columns(
    records: Records, project: Project, columns: ReportColumns, reasons: Mapping[str, str]
) -> list[str]:
    """Return the columns that can be segments, those of the report's pages first."""
    roles = {*role_columns(project).values(), "lead_id", "created_at"}
    shown = [columns.source, *columns.audience]
    return [
        column
        for column in dict.fromkeys([*shown, *records.leads.columns])
        if column is not None and column not in roles and column not in reasons
    ]


def _columns_to_use(usable: list[str]) -> str:
    listed = ", ".join(f"`{column}`" for column in usable[:6])
    more = ", …" if len(usable) > 6 else ""
    return f"Columns that can be used: {listed}{more}." if usable else "No column can be used."


def _role_of(project: Project, column: str) -> str:
    roles = {name: role for role, name in role_columns(project).items()}
    return roles.get(column, column).replace("_", " ")
