"""Which columns and activities the reports look at, where the project file does not say."""

import re

import pandas as pd

from crm.errors import ConfigError
from crm.project import Project, role_columns
from crm.suggest import nearest
from crm.text import words_of

SOURCES = (
    r"^(lead|utm|original|first|traffic|acquisition) source$",
    r"^source$",
    r"\bsource\b",
    r"\borigin\b",
    r"^(utm|marketing|lead|acquisition) (channel|medium)$|^channel$",
)
AUDIENCE = (
    r"\b(industry|sector|branch|vertical)\b",
    r"\bcountry\b",
    r"\b(region|state|province|territory|city)\b",
    r"\b(employees|headcount|(company|firm|organi[sz]ation) size)\b",
    r"\b(occupation|job|role|position|seniority|specialization|education)\b",
    r"\b(preferred|preference|opt in|consent|newsletter|do not|language)\b",
)
MOST_COLUMNS = 10
MOST_VALUES_OF_A_SOURCE = 500
SALES = re.compile(
    r"\b(calls?|called|phone\w*|meetings?|met|visits?|visited|appointments?|"
    r"(e ?mail|mail|message|letter)s? sent|sent|contacted|attempt\w*|sales)\b"
)


def source_column(leads: pd.DataFrame, project: Project) -> str | None:
    """Name the column that says where a lead came from, None if there is none.

    What the project names, else the column whose name sounds most like it and that does not
    hold a value of its own for nearly every lead.
    """
    if project.report.source is not None:
        return project.report.source
    for pattern in SOURCES:
        for column in _open_columns(leads, project):
            sounds = re.search(pattern, words_of(column)) is not None
            if sounds and leads[column].nunique() in range(2, MOST_VALUES_OF_A_SOURCE):
                return column
    return None


def audience_columns(leads: pd.DataFrame, project: Project) -> list[str]:
    """Name the columns that say who a lead is and how it likes to be reached.

    What the project names, else up to `MOST_COLUMNS` whose names sound like it. Columns that
    the project ignores, knows to be later, or calls sensitive are not guessed.
    """
    if project.report.audience:
        return list(project.report.audience)
    found = [
        column
        for pattern in AUDIENCE
        for column in _open_columns(leads, project)
        if re.search(pattern, words_of(column)) and leads[column].nunique() > 1
    ]
    return list(dict.fromkeys(found))[:MOST_COLUMNS]


def sales_types(types: tuple[str, ...], project: Project) -> tuple[str, ...]:
    """Name the types of activity that say that sales worked a lead.

    Examples
    --------
    >>> from types import SimpleNamespace as Keys
    >>> project = Keys(report=Keys(sales_activities=[]))
    >>> sales_types(("call", "page_view", "Email sent", "demo_request"), project)
    ('call', 'Email sent')
    """
    named = {name.casefold() for name in project.report.sales_activities}
    if named:
        return tuple(each for each in types if each.casefold() in named)
    return tuple(each for each in types if SALES.search(words_of(each)))


def check_sales_channels(activities: pd.DataFrame | None, project: Project) -> None:
    """Refuse channels of sales' work that no activity has.

    Raises
    ------
    ConfigError
        If the project names a channel that does not occur.
    """
    named = project.report.sales_channels
    if not named or activities is None or activities.empty:
        return
    if "channel" not in activities:
        raise ConfigError(
            "[report] sales_channels: the activities have no channel. "
            "Name its column with [activities] channel, or leave sales_channels out."
        )
    there = [str(each) for each in activities["channel"].dropna().unique()]
    folded = {each.casefold() for each in there}
    for each in named:
        if each.casefold() not in folded:
            raise ConfigError(
                f"[report] sales_channels: no activity has the channel `{each}`. "
                f"{nearest(each, there)}"
            )


def _open_columns(leads: pd.DataFrame, project: Project) -> list[str]:
    rules = project.columns
    closed = {*role_columns(project).values(), *rules.ignore, *rules.known_later, *rules.sensitive}
    closed |= {"lead_id", "created_at"}
    return [column for column in leads.columns if column not in closed]
