"""Proposes the rules for the attributes: what to ignore, and what may be known only later."""

import contextlib
import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from crm.errors import SchemaError
from crm.project import ColumnsKeys, LearnKeys
from crm.records import Records
from crm.text import listed
from drafting.about_person import sensitive_reason
from drafting.personal import names_of_people, personal_reason
from drafting.role_names import ROLE_NAMES
from drafting.samples import Column
from drafting.unread_columns import unread_times
from features.attributes.attribute import LeftOut
from features.fitting import recognise_attributes
from features.leaks.audit import AttributeAudit, audit_columns
from features.leaks.check import MIN_OUTCOMES, Verdict
from features.moments import Moments, list_moments

HAS_ROLE_NAME = (
    "its name is a key of [leads], and another column is named for this key; to use it as an "
    "attribute, rename it in the export"
)
MANY_VALUES = 50  # a mixed column with at most this many values needs no rule to be read as text


@dataclass(frozen=True)
class ColumnRules:
    """The attributes that need a rule: for each list of `[columns]`, their names and reasons.

    Attributes
    ----------
    ignore, known_later, sensitive, category : dict of str to str
    left_out : dict of str to str
        The attributes that training will leave out although no list names them, with the reasons
        of the model card.
    by_name_only : bool
        True if too few leads were won, or lost, for the checks that compare outcomes.
    has_costs : bool
        True if a reason in `known_later` contains the cost of leaving the column out.
    """

    ignore: dict[str, str] = field(default_factory=dict)
    known_later: dict[str, str] = field(default_factory=dict)
    sensitive: dict[str, str] = field(default_factory=dict)
    category: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    by_name_only: bool = False
    has_costs: bool = False


def personal_columns(columns: Sequence[Column]) -> dict[str, str]:
    """Find the columns of personal data and free text, with the reasons."""
    reasons = {column.name: reason for column in columns if (reason := personal_reason(column))}
    repeated = names_of_people(columns, reasons)
    both = reasons | repeated
    return {column.name: both[column.name] for column in columns if column.name in both}


def propose_rules(
    columns: Sequence[Column],
    records: Records,
    learn: LearnKeys,
    nothing: Collection[str],
    now: datetime.datetime | None = None,
    personal: Mapping[str, str] | None = None,
    outcomes: Collection[str] = (),
) -> ColumnRules:
    """Propose a rule for every attribute that needs one.

    Parameters
    ----------
    columns : sequence of Column
        The attributes of the leads.
    records : Records
        The records of the sample. The leak audit reads them.
    learn : LearnKeys
        The keys that choose the moments of the audit.
    nothing : collection of str
        The case-folded words that mean "no value".
    now : datetime, timezone-aware, optional
        The time that dates of birth are compared with, if the leads have no times of creation.
    personal : mapping of str to str, optional
        The columns of personal data, if `personal_columns` has been called before.
    outcomes : collection of str
        Other columns that show how leads ended.

    Returns
    -------
    ColumnRules
    """
    moments = list_moments(records, learn)
    rules = ColumnRules(by_name_only=moments.rarer < MIN_OUTCOMES)
    first_lead = records.leads["created_at"].min() if records.has_times else None
    personal = personal_columns(columns) if personal is None else personal
    audited = []
    for column in columns:
        if column.name in personal:
            rules.ignore[column.name] = personal[column.name]
            continue
        if unread := unread_times(column):
            rules.ignore[column.name] = f"CHECK: {unread}"
            continue
        if column.name in ROLE_NAMES:
            rules.ignore[column.name] = HAS_ROLE_NAME
            continue
        if reason := sensitive_reason(column, first_lead, now):
            rules.sensitive[column.name] = reason
            continue
        audited.append(column.name)
        share = column.number_share(nothing)
        if codes := column.codes:
            rules.category[column.name] = f"codes that begin with 0, such as {listed(codes[:2])}"
        elif 0.05 <= share <= 0.95 and len(column.counts) > MANY_VALUES:
            mixed = f"{share:.0%} numbers, the rest text"
            trouble = column.form.trouble
            rules.category[column.name] = f"CHECK: {trouble}" if trouble else mixed
    keys = ColumnsKeys(nothing=sorted(nothing), category=list(rules.category))
    audit = audit_columns(records, moments, columns=audited, rules=keys, timezone="UTC")
    if any(attribute.verdict is Verdict.SUSPECT for attribute in audit.attributes):
        # It takes seconds to import, and most files have no suspects.
        from models.fitting.leaving_out import with_costs

        audit = with_costs(audit, records, moments, keys, timezone="UTC")
    for attribute in audit.attributes:
        name = attribute.attribute
        if attribute.verdict is not Verdict.FINE or name in outcomes:
            rules.known_later[name] = _reason(attribute) or "It shows how leads ended."
            rules.category.pop(name, None)
    used = [name for name in audited if name not in rules.known_later]
    rules.left_out.update(_left_out(used, records, moments, keys))
    return replace(rules, has_costs=any(attribute.cost for attribute in audit.attributes))


def _left_out(
    names: Sequence[str], records: Records, moments: Moments, keys: ColumnsKeys
) -> dict[str, str]:
    """Return the columns that training would leave out, with the reasons."""
    has_enough = moments.rarer >= MIN_OUTCOMES
    leads = records.leads.iloc[np.unique(moments.lead)] if has_enough else records.leads
    left_out = {}
    for name in names:
        with contextlib.suppress(SchemaError):  # training raises the same error
            fitted = recognise_attributes(leads[name], keys, records.formats.get(name), "UTC")
            if isinstance(fitted, LeftOut):
                left_out[name] = fitted.reason
    return left_out


def _reason(audited: AttributeAudit) -> str:
    """Join the evidence of the two strongest findings, leaks first, and the cost of a suspect."""
    raised = [finding for finding in audited.findings if finding.verdict is not Verdict.FINE]
    raised.sort(key=lambda finding: finding.verdict is not Verdict.LEAK)
    reasons = [f"{finding.evidence} ({finding.number})" for finding in raised[:2]]
    return " ".join([*reasons, *([audited.cost.sentence()] if audited.cost else [])])
