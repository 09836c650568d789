"""Finds the columns whose values a report does not compare, because closing a lead fills them.

A value that is typed in when a deal is won seems to be a perfect sign of a win, and says nothing
about a new lead. So a report never shows how such values convert. The leak audit runs on the
records of the report, so that it also finds what was not known when the model was trained.
"""

from dataclasses import dataclass

from crm.project import Project
from crm.records import Records
from crm.text import quote
from features.leaks.audit import AttributeAudit, Audit, audit, audit_columns
from features.leaks.check import Finding
from features.moments import list_moments
from reports.rows.scored import records_of, sample

MOST_AUDITED = 20_000


@dataclass(frozen=True)
class AuditedRecords:
    """The leak audit of all records, also if the report is about a part of the leads.

    Attributes
    ----------
    attributes : tuple of AttributeAudit
        The attributes that may be used, and sensitive ones that the report names.
    n : int
        The number of leads that were audited. If there are many, they are a random sample.
    """

    attributes: tuple[AttributeAudit, ...] = ()
    n: int = 0

    @property
    def objections(self) -> dict[str, AttributeAudit]:
        """The attributes that the audit objects to, by column."""
        return {audited.attribute: audited for audited in self.attributes if audited.line}

    @property
    def at_closing(self) -> dict[str, Finding]:
        """The columns that are filled or changed when a lead is closed, with the evidence."""
        found = {audited.attribute: audited.at_closing for audited in self.attributes}
        return {column: finding for column, finding in found.items() if finding is not None}


def audit_records(records: Records, project: Project) -> AuditedRecords:
    """Run the leak audit on the records of a report, or on a random sample of them.

    Parameters
    ----------
    records : Records
        All leads, also those that the report does not show.
    project : Project
    """
    chosen = sample(len(records.leads), MOST_AUDITED)
    records = records_of(records, chosen)
    moments = list_moments(records, project.learn)
    rules = project.columns
    named = {project.report.source, *project.report.audience}
    sensitive = [
        column
        for column in records.leads.columns
        if column in named & (set(rules.sensitive) - set(rules.allow_sensitive))
    ]
    audits: tuple[Audit, ...] = (audit(records, moments, project),)
    if sensitive:
        zone = project.leads.timezone
        audits += (audit_columns(records, moments, columns=sensitive, rules=rules, timezone=zone),)
    attributes = tuple(attribute for part in audits for attribute in part.attributes)
    return AuditedRecords(attributes, len(chosen))


def reasons_not_to_compare(project: Project, audited: AuditedRecords) -> dict[str, str]:
    """Return the columns whose values are not compared, each with the reason as a sentence.

    These are columns that the project ignores or declares as known later, and those that the
    audit finds to be filled or changed when a lead is closed. A column that the project declares
    as known in time is compared.

    Returns
    -------
    dict of str to str
    """
    reasons = {
        column: (
            "It may be filled or changed when a lead is closed, and then it says nothing about an "
            f"open lead ({found.number}). {found.evidence} If it is known before, add it to "
            f"known_in_time = [{quote(column)}] in [columns]."
        )
        for column, found in audited.at_closing.items()
    }
    for column in project.columns.known_later:
        reasons[column] = (
            "The project file lists it in known_later: it is filled or changed later, so it says "
            "nothing about an open lead."
        )
    for column in project.columns.ignore:
        reasons[column] = "The project file lists it in ignore, so it is never read."
    return reasons
