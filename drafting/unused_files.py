"""Explains why a file does not fit the table of leads, and what to export instead."""

import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from crm.text import quote
from drafting.lead_columns import (
    CODE,
    different_ids,
    id_rank,
    is_own,
    lead_keys,
    own_key,
    shares_word,
)
from drafting.other_tables import is_file_of_others, names_company, names_other_id
from drafting.role_names import NO_RANK, plain_words, rank
from drafting.samples import Column, Table

MOST_UNKNOWN = 0.5  # the share of ids that another file may lack
LONG_NUMBER = 6  # ids of so many digits are not equal by chance


class Reference(NamedTuple):
    """A column of the leads and a column of another file that contain the same ids.

    Attributes
    ----------
    of_leads, of_other : Column
    is_own_id : bool
        True if the ids identify the rows of the other file, as the ids of owners do. False if
        both files refer to something else, such as a company.
    """

    of_leads: Column
    of_other: Column
    is_own_id: bool


def find_reference(leads: Table, other: Table) -> Reference | None:
    """Find a column of the leads that shows how another file is related to them.

    Parameters
    ----------
    leads, other : Table
        `other` does not contain the ids of the leads.

    Returns
    -------
    Reference or None
    """
    key, own, keys = _key(leads), own_key(other), lead_keys(other)
    of_leads_only = [column for column in leads.columns if column is not key]
    pairs = itertools.product(of_leads_only, other.columns)
    found = []
    for of_leads, of_other in pairs:
        if (
            of_leads.is_time
            or of_other.is_time
            or not len(of_leads.counts)
            or not len(of_other.counts)
        ):
            continue
        same_name = plain_words(of_leads.name) == plain_words(of_other.name)
        is_id = any(of_other is key for key in keys)
        if is_id and (same_name or _may_refer(of_leads, of_other, other)):
            share = _share(of_leads, of_other)
        elif same_name and _names_id(of_other):
            share = _share(of_other, of_leads)
        else:
            continue
        if share >= MOST_UNKNOWN:
            reference = Reference(of_leads, of_other, is_own_id=of_other is own)
            found.append(((is_id, same_name, _names_id(of_leads), share), reference))
    return max(found, key=lambda row: row[0])[1] if found else None


def why_not_used(leads: Table, other: Table, reference: Reference, is_event: bool) -> str:
    """Write why a file is not used, and what to do to use it.

    Parameters
    ----------
    leads, other : Table
    reference : Reference
        How they are related.
    is_event : bool
        True if the file may show what happened to leads, as a file of deals does.
    """
    start = f"{other.name} is not used, because it does not contain the ids of the leads."
    about = _relation(leads, other, reference)
    if is_event:
        return f"{start} {about} To use it, {_export_ids(leads, other)}"
    return f"{start} {about} To use its columns, add them to each row of {leads.name}."


def may_be_event(other: Table, reference: Reference) -> bool:
    """Check whether a file may be about leads, and not about owners, campaigns or companies."""
    name = reference.of_leads.name
    is_other = is_file_of_others(other.title) or names_other_id(name)
    return not is_other and not (reference.is_own_id and names_company(name))


def ids_do_not_match(leads: Table, others: Sequence[Table], tables: Sequence[Table]) -> str:
    """Write that files do not contain the ids of the leads, with examples and what to export.

    Parameters
    ----------
    leads : Table
    others : sequence of Table
        The files without ids of the leads.
    tables : sequence of Table
        All files.
    """
    return " ".join(_does_not_match(leads, other, tables) for other in others)


def _does_not_match(leads: Table, other: Table, tables: Sequence[Table]) -> str:
    key = _key(leads)
    start = f"{other.name} does not contain the ids of the leads in {leads.name}."
    if key is None:
        return f"{start} No column of {leads.name} has a different id in each row."
    alike = _same_in_other_form(key, other)
    column = alike or _likely_id(other)
    if column is not None:
        start += f" {_examples(key, column, leads, other)}"
    if alike is not None:
        return (
            f"{start} They may be the same ids in two forms. Ids are compared as text: export "
            "both files with the same form of the ids."
        )
    for third in tables:
        if third is not leads and third is not other:
            bridge = _bridge(key, other, third)
            if bridge is not None:
                return (
                    f"{start} {third.name} shows which of them belong together: add its column "
                    f"{quote(bridge.of_leads)} to {other.name}, by {quote(bridge.own)} of "
                    f"{other.name} and {quote(bridge.of_other)} of {third.name}. If a row belongs "
                    f'to several leads, write their ids as "7;8". Leave {third.name} out.'
                )
    reference = find_reference(leads, other)
    if reference is not None:
        start += f" {_relation(leads, other, reference)}"
    export = _export_ids(leads, other)
    return f"{start} {export[0].upper()}{export[1:]} Or leave {other.name} out."


def _examples(key: Column, column: Column, leads: Table, other: Table) -> str:
    """Write an id of the leads and another id of a file that does not contain the ids of leads."""
    unknown = different_ids(column).difference(different_ids(key), sort=False)
    if not len(unknown):
        return (
            f"{quote(column.name)} of {other.name} has the name of another id than "
            f"{quote(key.name)} of {leads.name}: the short numbers in both may be equal by chance."
        )
    return (
        f"Their ids are such as {quote(str(key.counts.index[0]))} in {quote(key.name)} of "
        f"{leads.name} and {quote(str(unknown[0]))} in {quote(column.name)} of {other.name}."
    )


def _relation(leads: Table, other: Table, reference: Reference) -> str:
    """Write how another file is related to the leads."""
    of_leads, of_other = reference.of_leads, quote(reference.of_other.name)
    if reference.is_own_id:
        return f"{quote(of_leads.name)} of {leads.name} contains the ids of its rows ({of_other})."
    example, count = quote(str(of_leads.counts.index[0])), int(of_leads.counts.iloc[0])
    has = "1 lead has" if count == 1 else f"{count:,} leads have"
    return f"Its rows belong to {of_other}, which leads may share: {has} {example}."


def _export_ids(leads: Table, other: Table) -> str:
    key = _key(leads)
    name = "id" if key is None else f"{quote(key.name)} of {leads.name}"
    return (
        f"add the id of the lead ({name}) to each row of {other.name}, in a column such as "
        f'"Lead ID".'
    )


def _key(leads: Table) -> Column | None:
    return min(lead_keys(leads), key=id_rank, default=None)


def _likely_id(table: Table) -> Column | None:
    named = [column for column in table.columns if len(column.counts) and _names_id(column)]
    return min(named, key=lambda column: rank("lead_id", column.name), default=None)


def _names_id(column: Column) -> bool:
    name = column.name
    is_named = rank("lead_id", name) < NO_RANK or names_other_id(name)
    return is_named or (names_company(name) and column.share(CODE) == 1)


def _may_refer(of_leads: Column, of_other: Column, other: Table) -> bool:
    """Check whether equal ids are not equal by chance, as small numbers are."""
    if not of_leads.is_number or min(map(len, of_leads.counts.index)) >= LONG_NUMBER:
        return True
    if shares_word(of_leads.name, other.title) or shares_word(of_leads.name, of_other.name):
        return True
    return names_other_id(of_leads.name) and is_file_of_others(other.title)


def _share(ids: Column, known: Column) -> float:
    """Compute the share of the different ids of a column that another column contains."""
    return float(different_ids(ids).isin(different_ids(known)).mean())


def _same_in_other_form(key: Column, other: Table) -> Column | None:
    """Find a column whose ids are those of leads without signs, zeros and letters around them."""
    forms = _plain_forms(key)
    for column in other.columns:
        named = rank("lead_id", column.name) < NO_RANK and not is_own(column, other)
        is_filled = len(column.counts) > 0 and not column.is_time
        if is_filled and named and _share(column, key) < MOST_UNKNOWN:
            same = _plain_forms(column).isin(forms)
            if same.mean() >= MOST_UNKNOWN:
                return column
    return None


def _plain_forms(column: Column) -> pd.Index:
    forms = [re.sub(r"^\W+|\W+$", "", str(text)).casefold() for text in different_ids(column)]
    return pd.Index([re.sub(r"^[a-z]*[\W_]*0*(?=\d+$)", "", form) for form in forms]).unique()


class _Bridge(NamedTuple):
    """Names of columns that link another file to the leads.

    Attributes
    ----------
    of_leads, of_other : str
        The columns of a third file with the ids of leads, and with the ids of the other file.
    own : str
        The column of the other file with its ids.
    """

    of_leads: str
    of_other: str
    own: str


def _bridge(key: Column, other: Table, third: Table) -> _Bridge | None:
    """Find the columns of a third file that contain the ids of the leads and of another file."""
    own = own_key(other)
    if own is None:
        return None
    filled = [column for column in third.columns if len(column.counts) and not column.is_time]
    of_leads = [column for column in filled if _share(column, key) >= MOST_UNKNOWN]
    named = [column for column in filled if shares_word(column.name, f"{other.title} {own.name}")]
    of_other = [column for column in named if _share(column, own) >= MOST_UNKNOWN]
    pairs = [(a, b) for a in of_leads for b in of_other if a is not b]
    return _Bridge(pairs[0][0].name, pairs[0][1].name, own.name) if pairs else None
