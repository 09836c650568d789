"""Finds the column of sources and the activities of sales by their names."""

import re
from typing import Final

import pandas as pd

from crm.project import Project, role_columns
from crm.text import words_of

SOURCES: Final = (
    r"^(lead|utm|original|first|traffic|acquisition) source$",
    r"^source$",
    r"\bsource\b",
    r"\borigin\b",
    r"^(utm|marketing|lead|acquisition) (channel|medium)$|^channel$",
)
MOST_VALUES_OF_A_SOURCE: Final = 500
SALES: Final = re.compile(
    r"\b(calls?|called|phone\w*|meetings?|met|visits?|visited|appointments?|"
    r"(e ?mail|mail|message|letter)s? sent|sent|contacted|attempt\w*|sales)\b"
)


def source_candidates(leads: pd.DataFrame, project: Project) -> list[str]:
    """Return the columns that look like sources and have few enough values, the best first.

    If the project names the column, it is the only one.
    """
    if project.report.source is not None:
        return [project.report.source]
    columns = [
        column
        for pattern in SOURCES
        for column in open_columns(leads, project)
        if re.search(pattern, words_of(column))
        and leads[column].nunique() in range(2, MOST_VALUES_OF_A_SOURCE)
    ]
    return list(dict.fromkeys(columns))


def open_columns(leads: pd.DataFrame, project: Project) -> list[str]:
    """Return the columns without a role that the project neither ignores nor calls sensitive.

    Columns that are known later are left out too.
    """
    rules = project.columns
    closed = {*role_columns(project).values(), *rules.ignore, *rules.known_later, *rules.sensitive}
    closed |= {"lead_id", "created_at"}
    return [column for column in leads.columns if column not in closed]


def sales_types(types: tuple[str, ...], project: Project) -> tuple[str, ...]:
    """Return the types of activity by which sales works a lead.

    Examples
    --------
    >>> from types import SimpleNamespace as Keys
    >>> project = Keys(report=Keys(sales_activities=[]))
    >>> sales_types(("call", "page_view", "Email sent", "demo_request"), project)
    ('call', 'Email sent')
    """
    sales_activities = {name.casefold() for name in project.report.sales_activities}
    if sales_activities:
        return tuple(name for name in types if name.casefold() in sales_activities)
    return tuple(name for name in types if SALES.search(words_of(name)))
