"""Finds the columns that a report uses, if the project file does not name them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from crm.errors import ConfigError
from crm.project import Project
from crm.suggest import nearest
from crm.text import words_of
from features.named import open_columns, source_candidates

AUDIENCE = (
    r"\b(industry|sector|branch|vertical)\b",
    r"\bcountry\b",
    r"\b(region|state|province|territory|city)\b",
    r"\b(employees|headcount|(company|firm|organi[sz]ation) size)\b",
    r"\b(occupation|job|role|position|seniority|specialization|education)\b",
    r"\b(preferred|preference|opt in|consent|newsletter|do not|language)\b",
)
MOST_COLUMNS = 10


@dataclass(frozen=True)
class ReportColumns:
    """The columns of sources and of kinds of leads.

    Attributes
    ----------
    source : str or None
        The column of the leads' sources.
    audience : tuple of str
        The columns that describe who a lead is and how it likes to be reached.
    not_source, not_audience : dict of str to str
        Columns that are not used because their values say nothing about open leads, each with the
        reason.
    """

    source: str | None = None
    audience: tuple[str, ...] = ()
    not_source: Mapping[str, str] = field(default_factory=dict)
    not_audience: Mapping[str, str] = field(default_factory=dict)


def report_columns(
    leads: pd.DataFrame, project: Project, reasons: Mapping[str, str]
) -> ReportColumns:
    """Choose the columns of the report: those that the project names, else by their names.

    Columns that the project ignores or declares as known later or as sensitive are chosen only if
    the project names them for the report. Up to `MOST_COLUMNS` columns describe the leads.

    Parameters
    ----------
    leads : DataFrame
        All leads, also if the report is about a part of them.
    project : Project
    reasons : mapping of str to str
        Columns that are not compared, with the reason
        (`reports.rows.closing_columns.reasons_not_to_compare`).
    """
    sources = source_candidates(leads, project)
    source = next((column for column in sources if column not in reasons), None)
    before = sources if source is None else sources[: sources.index(source)]
    candidates = [column for column in _audience_candidates(leads, project) if column != source]
    compared = [column for column in candidates if column not in reasons]
    return ReportColumns(
        source=source,
        audience=tuple(compared[: len(candidates) if project.report.audience else MOST_COLUMNS]),
        not_source={column: reasons[column] for column in before},
        not_audience={column: reasons[column] for column in candidates if column in reasons},
    )


def _audience_candidates(leads: pd.DataFrame, project: Project) -> list[str]:
    if project.report.audience:
        return list(project.report.audience)
    columns = [
        column
        for pattern in AUDIENCE
        for column in open_columns(leads, project)
        if re.search(pattern, words_of(column)) and leads[column].nunique() > 1
    ]
    return list(dict.fromkeys(columns))


def check_sales_channels(activities: pd.DataFrame | None, project: Project) -> None:
    """Check that activities have the channels that the project names as those of sales.

    Raises
    ------
    ConfigError
        If the project names a channel that does not occur.
    """
    sales_channels = project.report.sales_channels
    if not sales_channels or activities is None or activities.empty:
        return
    if "channel" not in activities:
        raise ConfigError(
            "[report] sales_channels: the activities have no channel. "
            "Name its column with [activities] channel, or leave sales_channels out."
        )
    channels = [str(channel) for channel in activities["channel"].dropna().unique()]
    folded = {channel.casefold() for channel in channels}
    for name in sales_channels:
        if name.casefold() not in folded:
            raise ConfigError(
                f"[report] sales_channels: no activity has the channel `{name}`. "
                f"{nearest(name, channels)}"
            )
