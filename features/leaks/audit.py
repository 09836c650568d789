"""The leak audit: which fields of the leads know something that they cannot know in time.

A field that sales fills in once a deal is won makes a model look perfect, and useless on new
leads. Every attribute is judged by the numbered checks of `features.leaks.checks`. A field with
a leak among its checks is a leak, one with a suspect is a suspect, and neither becomes a
feature unless a person vouches for it in the project file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crm.arrays import Bools, Floats
from crm.project import Project, role_columns
from crm.records import Records
from crm.tables import TABLES
from crm.text import quote
from features.leaks.checks import CHECKS, ENOUGH, Check, Verdict, check_field
from features.leaks.measures import (
    Comparison,
    Field,
    Sample,
    read_field,
    read_sample,
)
from features.moments import Moments

__all__ = ["CHECKS", "Audit", "Check", "FieldAudit", "Verdict", "audit"]


@dataclass(frozen=True)
class FieldAudit:
    """What the audit holds of one field.

    Attributes
    ----------
    field : str
        The column of the leads table.
    verdict : Verdict
        The worst of its checks; FINE if the project vouches for the field.
    checks : tuple of Check
        Those that found something, by number.
    line : str or None
        What to put into `[columns]` of the project file; None where nothing is to be done.
    """

    field: str
    verdict: Verdict
    checks: tuple[Check, ...]
    line: str | None


@dataclass(frozen=True)
class Audit:
    """The judgement on each attribute, in the order of the leads table."""

    fields: tuple[FieldAudit, ...]

    def to_json(self) -> dict[str, Any]:
        """Describe the audit as plain data."""
        return {
            "fields": [
                {
                    "field": field.field,
                    "verdict": field.verdict.value,
                    "checks": [
                        {"number": c.number, "verdict": c.verdict.value, "evidence": c.evidence}
                        for c in field.checks
                    ],
                    "line": field.line,
                }
                for field in self.fields
            ]
        }


def audit(records: Records, moments: Moments, project: Project) -> Audit:
    r"""Judge every attribute of the leads that would become a feature.

    Columns that play a role, and those that the project ignores, knows to be later or
    withholds as sensitive, are not judged. A field in `known_in_time` is: its checks stay
    visible, and the person who vouches for it has the last word.

    Parameters
    ----------
    records : Records
        Open leads too: what they lack is the clearest evidence.
    moments : Moments
        Of these records; their leads are those whose outcome is certain.
    project : Project

    Returns
    -------
    Audit

    Examples
    --------
    >>> import tempfile; from pathlib import Path
    >>> from crm.project import load_project; from crm.records import read_records
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
    >>> found = audit(records, make_moments(records, project.learn), project).fields[0]
    >>> found.verdict, found.checks[0].evidence
    (<Verdict.LEAK: 'leak'>, '100 of the 100 leads that have it filled were won; 33% of all were.')
    >>> found.line
    'known_later = ["contract"]  # or, if a person vouches for it: known_in_time = ["contract"]'
    """
    sample = read_sample(records, moments)
    fields = [
        read_field(records.leads[column], project, sample.created)
        for column in _judged_columns(records, project)
    ]
    checks = {field.name: list(check_field(field, sample)) for field in fields}
    innocent = [field for field in fields if _worst(checks[field.name]) is Verdict.FINE]
    for name, check in _check_model(innocent, sample):
        checks[name].append(check)
    vouched = set(project.columns.known_in_time)
    return Audit(tuple(_conclude(f.name, checks[f.name], f.name in vouched) for f in fields))


def _judged_columns(records: Records, project: Project) -> list[str]:
    rules = project.columns
    excluded = {
        *role_columns(project).values(),
        *(column.name for column in TABLES["leads"].columns),
    }
    excluded |= {*rules.ignore, *rules.known_later}
    excluded |= set(rules.sensitive) - set(rules.allow_sensitive)
    return [column for column in records.leads.columns if column not in excluded]


def _conclude(name: str, checks: list[Check], vouched: bool) -> FieldAudit:
    found = sorted(_weigh_together(checks), key=lambda check: check.number)
    verdict, line = _worst(found), None
    if vouched and verdict is not Verdict.FINE:
        found = [replace(c, evidence=f"{c.evidence} The project vouches for it.") for c in found]
        verdict = Verdict.FINE
    elif verdict is not Verdict.FINE:
        quoted = quote(name)
        line = (
            f"known_later = [{quoted}]  # or, if a person vouches for it: "
            f"known_in_time = [{quoted}]"
        )
    return FieldAudit(name, verdict, tuple(found), line)


def _worst(checks: Sequence[Check]) -> Verdict:
    verdicts = {check.verdict for check in checks}
    return next((v for v in (Verdict.LEAK, Verdict.SUSPECT) if v in verdicts), Verdict.FINE)


def _weigh_together(checks: list[Check]) -> list[Check]:
    """Make a leak of a name, or of a fill that comes and goes, beside other evidence."""
    raised = [check for check in checks if check.verdict is not Verdict.FINE]
    return [
        replace(check, verdict=Verdict.LEAK)
        if len(raised) > 1 and check in raised and check.number in ("LS105", "LS107")
        else check
        for check in checks
    ]


def _check_model(fields: Sequence[Field], sample: Sample) -> Iterator[tuple[str, Check]]:
    """LS109. Hold a light model of all fields against the same model without each of them.

    The model is a ridge regression on out-of-fold win rates and numbers. It speaks only
    where all fields together do implausibly well; a leak hides the next one, so pass no
    field that is known to leak.

    Yields
    ------
    tuple of str and Check
        The field's name, and what was found.
    """
    pairs = sample.ended
    if pairs.rarer < 3 * ENOUGH or len(fields) < 2:
        return
    fields = sorted(fields, key=lambda field: field.name)
    columns = [_model_columns(field, pairs) for field in fields]
    owner = np.repeat(np.arange(len(fields)), [block.shape[1] for block in columns])
    design = np.column_stack(columns)
    products, target = design.T @ design, design.T @ (pairs.is_first - pairs.base)

    def ranked(kept: Bools) -> float:
        ridge = products[np.ix_(kept, kept)] + np.eye(kept.sum())
        return pairs.auc((design[:, kept] @ np.linalg.solve(ridge, target[kept])).round(9)).value

    whole = ranked(owner >= 0)
    if whole < 0.9:
        return
    for i, field in enumerate(fields):
        without = ranked(owner != i)
        if whole - without >= 0.1:
            yield (
                field.name,
                Check(
                    "LS109",
                    Verdict.SUSPECT,
                    "All fields together rank "
                    f"{whole:.0%} of pairs rightly, {without:.0%} without "
                    "it.",
                ),
            )


def _model_columns(field: Field, pairs: Comparison) -> Floats:
    """Win rates of the field's values, and its numbers as such, each of mean 0 and spread 1."""
    columns = [pairs.rates(field.levels[pairs.rows])]
    if field.numbers is not None:
        numbers = field.numbers[pairs.rows]
        known = np.isfinite(numbers)
        if known.any():
            low, middle, high = np.quantile(numbers[known], [0.01, 0.5, 0.99])
            columns.append(np.where(known, numbers.clip(low, high), middle))
    block = np.column_stack(columns)
    spread = block.std(axis=0)
    return np.asarray((block - block.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0))
