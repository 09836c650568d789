"""The check of people who are two leads: LC109."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from crm.arrays import Ints
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
NOBODY: Final = -1  # the group of rows without an address or a number
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
    """Compare e-mail addresses and phone numbers.

    Leads that share a phone number but have different e-mail addresses are colleagues.
    """
    table = tables.leads
    if table is None or table.lead_keys is None:
        return
    leads = np.asarray(pd.factorize(table.lead_keys)[0], dtype=np.int64)
    columns = [
        table.column(name)
        for name in map(str, table.raw.columns)
        if name != table.roles.get("lead_id") and table.column(name).form.kind != "time"
    ]
    addresses = {
        column.name: _groups(column, [same_address(value) for value in column.values])
        for column in columns
        if _is_mail(column)
    }
    for column in columns:
        if column.name in addresses:
            yield from _shared(table, column, "mail address", addresses[column.name], leads)
        elif are_phones(column.distinct[:SAMPLED], tables.is_private(table, column.name)):
            group = _groups(column, same_phones(column.values.tolist()))
            for other in addresses.values():  # people who share a phone at work
                group = np.where(_distinct_in(group, other) > 1, NOBODY, group)
            yield from _shared(table, column, "phone number", group, leads)


def _is_mail(column: ColumnCells) -> bool:
    sample = column.distinct[:SAMPLED]
    return sum(same_address(value) is not None for value in sample) > MOSTLY * len(sample)


def _groups(column: ColumnCells, keys: Sequence[str | None]) -> Ints:
    """Return a number for each row, the same for rows with the same key; `NOBODY` without a key."""
    groups, _ = pd.factorize(np.array(keys, dtype=object))
    return np.append(groups, NOBODY)[column.codes]


def _distinct_in(group: Ints, others: Ints) -> Ints:
    """Return how many different other groups the rows of each row's group have, shape (n_rows,)."""
    known = pd.Series(others).where((group != NOBODY) & (others != NOBODY))
    return np.asarray(known.groupby(group).transform("nunique"), dtype=np.int64)


def _shared(
    table: ReadTable, column: ColumnCells, what: str, group: Ints, leads: Ints
) -> Iterator[Finding]:
    """Ask about leads that have the same e-mail address or phone number.

    `group` is as `_groups` returns it, and `leads` is the same for the ids of the leads.
    """
    size = _distinct_in(group, leads)
    is_person = (size > 1) & (size <= PERSON)
    n_leads, n_office = len(set(leads[is_person])), len(set(leads[size > PERSON]))
    if not n_leads:
        return
    n_people, n_any = len(set(group[is_person])), len(set(leads[size > 0]))
    office = (
        f" {n_office:,} further leads share one with more than {PERSON} leads, such as the "
        f"{what} of an office."
        if n_office
        else ""
    )
    yield Finding(
        table,
        f"Are these {n_leads:,} leads {'one person' if n_people == 1 else f'{n_people:,} people'}?",
        f"{n_leads:,} of {n_any:,} leads that have a {what} ({share(n_leads, n_any)}) have the "
        f"same one as another lead with another id, in column `{column.name}`. The spelling may "
        f"differ.{office}",
        "Merge duplicates in the CRM before the export. leadscore takes each id as one lead, so a "
        "person who bought under the other id counts as not won here.",
        rows_of(is_person),
    )
