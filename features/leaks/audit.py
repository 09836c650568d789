"""The leak audit: finds attributes that contain what is not known at the moment of scoring.

An attribute that sales fills in once a deal is won makes a model look perfect, and useless on
new leads. The numbered checks of `features/leaks/checks/` look at every attribute. The worst
finding is the verdict about the attribute: leak, suspect or fine. A leak or a suspect does not
become a feature, unless a person vouches for it in the project file.

`leadscore audit`, training and the gates call `audit`; `leadscore init`, which has no project
file yet, calls `audit_columns`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from crm.project import ColumnsKeys, Project, role_columns
from crm.records import Records
from crm.tables import TABLES
from crm.text import quote
from features.leaks.check import Finding, Verdict
from features.leaks.columns import kinds_of_leads, read_audited_column
from features.leaks.cost import CostOfLeavingOut
from features.leaks.measures import audited_leads
from features.leaks.registry import CHECKS, check_column, check_columns_together
from features.moments import Moments


@dataclass(frozen=True)
class AttributeAudit:
    """The result of the audit for one attribute.

    Attributes
    ----------
    attribute : str
        The column of the leads table.
    verdict : Verdict
        The worst of its findings; FINE if the project vouches for the attribute.
    findings : tuple of Finding
        What the checks found, by number.
    line : str or None
        The line to put into `[columns]` of the project file; None if no line is needed.
    cost : CostOfLeavingOut or None
        What leaving a suspect out costs; None if it was not measured.
    """

    attribute: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    line: str | None
    cost: CostOfLeavingOut | None = None

    @property
    def at_closing(self) -> Finding | None:
        """The worst finding of a column that is filled or changed on closing; None without one.

        Such a column says nothing about a lead that is still open. A column that contains the
        outcome is one too. None if the project vouches for the attribute.
        """
        if self.verdict is Verdict.FINE:
            return None
        findings = [
            found
            for found in self.findings
            if found.verdict is Verdict.LEAK
            or (found.verdict is Verdict.SUSPECT and CHECKS[found.number].finds_closing)
        ]
        return min(findings, key=lambda found: found.verdict is not Verdict.LEAK, default=None)


@dataclass(frozen=True)
class Audit:
    """The result of the audit for every attribute, in the order of the leads table."""

    attributes: tuple[AttributeAudit, ...]

    def __repr__(self) -> str:
        verdicts = [audited.verdict for audited in self.attributes]
        counts = ", ".join(f"{verdicts.count(verdict)} {verdict.value}" for verdict in Verdict)
        return f"<Audit of {len(verdicts)} attributes: {counts}>"

    def _repr_html_(self) -> str:
        return str(self.to_frame().to_html(index=False))

    def to_frame(self) -> pd.DataFrame:
        """Return the findings as a table.

        Returns
        -------
        DataFrame, one row per finding, and one per attribute without findings
            `attribute`, its `verdict`, and of the finding: `check` (the number), `check_verdict`
            and `evidence`; these are missing without a finding.
        """
        rows: list[tuple[str | None, ...]] = []
        for audited in self.attributes:
            of_attribute = (audited.attribute, audited.verdict.value)
            rows += [
                (*of_attribute, finding.number, finding.verdict.value, finding.evidence)
                for finding in audited.findings
            ] or [(*of_attribute, None, None, None)]
        names = ["attribute", "verdict", "check", "check_verdict", "evidence"]
        return pd.DataFrame(rows, columns=names)

    def to_json(self) -> dict[str, Any]:
        """Return the audit as plain data."""
        return {
            "fields": [
                {
                    "field": audited.attribute,
                    "verdict": audited.verdict.value,
                    "checks": [
                        {
                            "number": finding.number,
                            "verdict": finding.verdict.value,
                            "evidence": finding.evidence,
                        }
                        for finding in audited.findings
                    ],
                    "line": audited.line,
                    "cost_of_leaving_out": audited.cost.to_json() if audited.cost else None,
                }
                for audited in self.attributes
            ]
        }


def audit(records: Records, moments: Moments, project: Project) -> Audit:
    r"""Audit every attribute of the leads that would become a feature.

    Columns that play a role, and columns that the project ignores, lists as known later or
    withholds as sensitive, are not audited. An attribute in `known_in_time` is audited: its
    findings stay visible, and the person who vouches for it decides.

    Parameters
    ----------
    records : Records
        All leads, including open ones: a column that is empty for open leads is the clearest
        evidence.
    moments : Moments
        The moments of these records. Their leads have a certain outcome.
    project : Project

    Returns
    -------
    Audit

    Examples
    --------
    >>> import tempfile; from pathlib import Path
    >>> from crm.project import load_project; from crm.reading import read_records
    >>> from features.moments import make_moments
    >>> text = "".join(f"{i},{i % 3},{'Standard' if i % 3 == 0 else ''},{i % 3 == 0}\n"
    ...                for i in range(300))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "leads.csv").write_text("lead_id,visits,contract,won\n" + text)
    ...     _ = Path(folder, "leadscore.toml").write_text('''
    ...         project.name = "acme"
    ...         leads = {source = "leads.csv", outcome = "won"}
    ...         learn = {won = [true], lost = [false]}
    ...         columns = {known_later = ["visits"]}''')
    ...     project = load_project(Path(folder)); records = read_records(project)
    >>> contract = audit(records, make_moments(records, project.learn), project).attributes[0]
    >>> contract.verdict
    <Verdict.LEAK: 'leak'>
    >>> contract.findings[0].evidence
    '100 of the 100 leads that have it filled were won; 33% of all leads were.'
    >>> contract.line
    'known_later = ["contract"]  # or, if a person vouches for it: known_in_time = ["contract"]'
    """
    return audit_columns(
        records,
        moments,
        columns=_audited_columns(records, project),
        rules=project.columns,
        timezone=project.leads.timezone,
    )


def audit_columns(
    records: Records,
    moments: Moments,
    *,
    columns: Sequence[str],
    rules: ColumnsKeys,
    timezone: str,
) -> Audit:
    """Audit some columns of the leads.

    Parameters
    ----------
    records : Records
        Leads and outcomes, or a sample of them.
    moments : Moments
        The moments of these records; without any, only names, dates and open leads are checked.
    columns : sequence of str
        The columns to audit.
    rules : ColumnsKeys
        How cells are read (`nothing`, `number`, `category`), and which columns a person
        vouches for (`known_in_time`).
    timezone : str
        The zone of times that have none.

    Returns
    -------
    Audit
    """
    leads = audited_leads(records, moments)
    read = [
        read_audited_column(
            records.leads[name], rules, records.formats.get(name), timezone, leads.created
        )
        for name in columns
    ]
    leads = replace(leads, kinds=kinds_of_leads(read))
    findings = {column.name: list(check_column(column, leads)) for column in read}
    fine = [column for column in read if _worst(findings[column.name]) is Verdict.FINE]
    for name, finding in check_columns_together(fine, leads):
        findings[name].append(finding)
    return Audit(tuple(_conclude(name, findings[name], rules.known_in_time) for name in columns))


def unaudited_columns(records: Records, project: Project) -> dict[str, list[str]]:
    """Return the attributes that are not audited, by the key of `[columns]` that excludes them."""
    rules = project.columns
    keys = {
        "known_later": rules.known_later,
        "ignore": rules.ignore,
        "sensitive": set(rules.sensitive) - set(rules.allow_sensitive),
    }
    by_key: dict[str, list[str]] = {}
    for column in _attributes(records, project):
        key = next((key for key, columns in keys.items() if column in columns), None)
        if key is not None:
            by_key.setdefault(key, []).append(column)
    return by_key


def _audited_columns(records: Records, project: Project) -> list[str]:
    excluded = set().union(*unaudited_columns(records, project).values())
    return [column for column in _attributes(records, project) if column not in excluded]


def _attributes(records: Records, project: Project) -> list[str]:
    roles = {*role_columns(project).values(), *(column.name for column in TABLES["leads"].columns)}
    return [column for column in records.leads.columns if column not in roles]


def _conclude(name: str, findings: list[Finding], vouched: Collection[str]) -> AttributeAudit:
    findings = sorted(_weigh_together(findings), key=lambda finding: finding.number)
    verdict, line = _worst(findings), None
    if name in vouched and verdict is not Verdict.FINE:
        findings = [
            replace(finding, evidence=f"{finding.evidence} The project vouches for it.")
            for finding in findings
        ]
        verdict = Verdict.FINE
    elif verdict is not Verdict.FINE:
        quoted = quote(name)
        line = (
            f"known_later = [{quoted}]  # or, if a person vouches for it: "
            f"known_in_time = [{quoted}]"
        )
    return AttributeAudit(attribute=name, verdict=verdict, findings=tuple(findings), line=line)


def _worst(findings: Sequence[Finding]) -> Verdict:
    verdicts = {finding.verdict for finding in findings}
    return next((v for v in (Verdict.LEAK, Verdict.SUSPECT) if v in verdicts), Verdict.FINE)


def _weigh_together(findings: list[Finding]) -> list[Finding]:
    """Raise the verdict of LS105 or LS107 to a leak if another check confirms it."""
    raised = [finding for finding in findings if finding.verdict is not Verdict.FINE]
    return [
        replace(finding, verdict=Verdict.LEAK)
        if len(raised) > 1 and finding in raised and finding.number in ("LS105", "LS107")
        else finding
        for finding in findings
    ]
