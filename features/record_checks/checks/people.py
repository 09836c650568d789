"""The check of people who are two leads: LC109."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from features.record_checks.check import Finding, check, rows_of, share
from features.record_checks.phones import are_phones, same_phones
from features.record_checks.tables import ColumnCells, ReadTable, ReadTables

_PROVIDERS: Final = tomllib.loads(
    Path(__file__).with_name("mail_providers.toml").read_text(encoding="utf-8")
)
_SAME_DOMAIN: Final[dict[str, str]] = _PROVIDERS["same_domain"]
_IGNORE_DOTS: Final = frozenset(_PROVIDERS["ignore_dots"])
_IGNORE_PLUS: Final = frozenset(_PROVIDERS["ignore_plus"])
_ADDRESS: Final = re.compile(r"(?:mailto:)?([^@\s<>,;]+)@([^@\s<>,;]+\.[^@\s<>,;.]+)")
SAMPLED: Final = 500  # distinct values that decide whether a column has addresses
MOSTLY: Final = 0.3
PERSON: Final = 5  # an address of more leads than this is shared, such as that of an office


def same_address(text: str) -> str | None:
    """Return the form that all spellings of an e-mail address share; None if it is not one.

    Case is ignored. Dots and plus tags are ignored only for providers that ignore them.

    Examples
    --------
    >>> same_address("Ada.B+crm@GoogleMail.com"), same_address("Ada.B+crm@acme.com")
    ('adab@gmail.com', 'ada.b+crm@acme.com')
    """
    match = _ADDRESS.fullmatch(text.strip().casefold())
    if match is None:
        return None
    local, domain = match[1], _SAME_DOMAIN.get(match[2], match[2])
    if domain in _IGNORE_PLUS:
        local = local.partition("+")[0]
    if domain in _IGNORE_DOTS:
        local = local.replace(".", "")
    return f"{local}@{domain}" if local else None


@check("LC109", "The same person is two leads.")
def same_person(tables: ReadTables) -> Iterator[Finding]:
    """Compare e-mail addresses and phone numbers."""
    table = tables.leads
    if table is None or table.lead_keys is None:
        return
    for name in table.raw.columns:
        column = table.column(name)
        if name == table.roles.get("lead_id") or column.form.kind == "time":
            continue
        sample = column.distinct[:SAMPLED]
        if sum(same_address(value) is not None for value in sample) > MOSTLY * len(sample):
            keys = [same_address(value) for value in column.values]
            yield from _shared(table, column, "mail address", keys)
        elif are_phones(sample, tables.is_private(table, name)):
            yield from _shared(table, column, "phone number", same_phones(column.values.tolist()))


def _shared(
    table: ReadTable, column: ColumnCells, what: str, keys: Sequence[str | None]
) -> Iterator[Finding]:
    groups, _ = pd.factorize(np.array(keys, dtype=object))
    group = np.where(column.codes >= 0, groups[column.codes], -1) if len(groups) else column.codes
    size = np.bincount(group[group >= 0], minlength=1)
    of_row = np.where(group >= 0, size[group], 0)
    is_person = (of_row > 1) & (of_row <= PERSON)
    n_leads, n_office = int(is_person.sum()), int((of_row > PERSON).sum())
    if not n_leads:
        return
    n_people = len(np.unique(group[is_person]))
    office = (
        f" {n_office:,} further leads share one with more than {PERSON} leads, such as the "
        f"{what} of an office."
        if n_office
        else ""
    )
    yield Finding(
        table,
        f"Are these {n_leads:,} leads {n_people:,} people?",
        f"{n_leads:,} of {int((of_row > 0).sum()):,} leads that have a {what} "
        f"({share(n_leads, int((of_row > 0).sum()))}) have the same one as another lead with "
        f"another id, in column `{column.name}`. The spelling may differ.{office}",
        "Merge duplicates in the CRM before the export. leadscore takes each id as one lead, so a "
        "person who bought under the other id counts as not won here.",
        rows_of(is_person),
    )
