"""Finds the columns that contain the ids of leads."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from crm.errors import ConfigError
from crm.lead_ids import SHORTENED, id_keys
from crm.several_leads import split_ids
from crm.text import quote, words_of
from drafting.other_tables import is_file_of_others, names_company, names_other_id
from drafting.personal import personal_reason
from drafting.role_names import NAMED_IDS, NO_RANK, hints_at, is_named, plain_words, rank
from drafting.samples import Column, Table

MOST_GAPS = 0.2  # the share of leads that may have no id
GENERIC_IDS = 4  # the rank of names such as "id", which any table may have
MOST_PER_ROW = 3  # larger numbers, for each row of the table, are not numbers of rows
FEWEST_LEADS = 10  # the least number of lead ids in a column with a clear name and mostly other ids
CODE = r"[A-Za-z][A-Za-z-]*[-_/]?(\d{2,4}[-_/])?\d{2,}"
CODES = NAMED_IDS + 1  # the rank of a column of codes
PERSONAL = NO_RANK - 1  # the rank of a column of personal data with the name of an id
SHORT_NUMBER = 5  # numbers of so many digits may be ids of two tables
ID_SHARE = 0.5  # the least share of different values in a column of ids with repeats
_PERSON = re.compile(
    r"\b(lead|contact|person|kontakt|contacto|contato|contatto)\b|リード|联系人|线索"
)
_DEAL = re.compile(r"\b(deal|opportunity|opportunite|oportunidad|oportunidade)\b|商談|取引|商机")


def id_columns(tables: Mapping[str, Table]) -> dict[str, Column]:
    """Find the column of lead ids in as many tables as possible.

    Parameters
    ----------
    tables : mapping of str to Table
        By kind; `leads` is one of them.

    Returns
    -------
    dict of str to Column
        By kind. Ids match in every form of `crm.lead_ids`. Ids of owners, campaigns, products or
        companies are not the ids of leads, unless a person named the table of leads. Numbers of
        rows and references are ids only if no other column is one, and no other file is used.
    """
    leads = tables["leads"]
    events = {kind: table for kind, table in tables.items() if kind != "leads"}
    keys = sorted(lead_keys(leads), key=id_rank)
    if events:
        keys = [key for key in keys if not _is_id_of_other(key, leads)]
    if not events:
        if not keys or id_rank(keys[0]) == NO_RANK:
            keys = [c for c in leads.columns if c.is_key and is_named("row_ids", c.name)]
        return {"leads": keys[0]} if keys else {}
    links = []
    for key in keys:
        shared = {kind: _shared(key, leads, kind, table) for kind, table in events.items()}
        links.append({"leads": key} | {kind: column for kind, column in shared.items() if column})
    return max(links, key=len, default={})


def id_rank(column: Column) -> int:
    """Return the rank of a column as the ids of leads, by its name and its cells; 0 is the best.

    Codes such as "CRM-LEAD-00001" come after names of ids, and personal data comes last.
    """
    place = rank("lead_id", column.name)
    if place < NAMED_IDS:
        return place
    if column.share(CODE) == 1:
        return CODES
    return PERSONAL if place < NO_RANK and personal_reason(column) else place


def lead_keys(table: Table) -> list[Column]:
    """Return the columns that identify each row, except for a few rows without a value."""
    return [column for column in table.columns if _is_key(column, table) and not _is_chance(column)]


def own_key(table: Table) -> Column | None:
    """Return the column that most likely is the own id of a table; None if no column can be it."""
    keys = lead_keys(table)
    return min(keys, key=lambda key: (not is_own(key, table), id_rank(key)), default=None)


def key_named_lead(table: Table) -> Column | None:
    """Return the column that identifies each row and has a name such as "Lead ID"."""
    named = (column for column in lead_keys(table) if rank("lead_id", column.name) == 0)
    return next(named, None)


def is_about_leads(table: Table) -> bool:
    """Check whether a file is about leads, by its name and the name of an id that rarely repeats.

    A name such as "lead_history" suggests another table too.
    """
    title = words_of(table.title)
    hints = {kind: hints_at(kind, title) for kind in ("leads", "activities", "stages", "outcomes")}
    if [kind for kind, is_hint in hints.items() if is_hint] != ["leads"]:
        return False
    if is_file_of_others(table.title):
        return False
    named = [column for column in table.columns if rank("lead_id", column.name) < NAMED_IDS]
    return any(_is_key(column, table) or _rarely_repeats(column) for column in named)


def is_own(column: Column, table: Table) -> bool:
    """Check whether a column is named after its table, as "deal_id" in deals.csv is.

    "Deal - Person ID" is not the own id of deals.
    """
    first, *rest = plain_words(column.name).split(" ")
    is_of_other = bool(_PERSON.search(" ".join(rest)) or _DEAL.search(" ".join(rest)))
    return not is_of_other and shares_word(first, table.title)


def shares_word(name: str, other: str) -> bool:
    """Check whether two names have a word in common, except "id".

    Examples
    --------
    >>> shares_word("ConvertedOpportunityId", "Opportunities"), shares_word("Deal ID", "Lead ID")
    (True, False)
    """
    return bool(_singular_words(name) & _singular_words(other) - {"id"})


@lru_cache(maxsize=512)
def different_ids(column: Column) -> pd.Index:
    """Return the key of each different id of a column."""
    ids = [part for text in column.counts.index for part in split_ids(text)]
    return pd.Index(id_keys(pd.Series(ids, dtype="str"))).unique()


def is_row_number(column: Column) -> bool:
    """Check whether a column with a name such as "No." counts the rows: 1, 2, 3 and so on."""
    if not column.is_number or not is_named("row_ids", column.name):
        return False
    return bool(column.numbers[0] in (0, 1) and (np.diff(column.numbers) == 1).all())


def check_repeated_ids(table: Table) -> None:
    """Check that the column with the name of an id does not repeat ids.

    Raises
    ------
    ConfigError
        If it repeats ids, and no other column with the name of an id identifies the rows. The
        message contains the column, the number of rows and an example.
    """
    ids = _named_without_key(table)
    if ids is None:
        return
    if len(ids.counts) == _n_different_rows(ids, table) or not _rarely_repeats(ids):
        return
    repeated = ids.counts[ids.counts > 1]
    example = quote(str(repeated.index[0]))
    raise ConfigError(
        f"{table.name}: the column {quote(ids.name)} looks like the id of a lead, but "
        f"{int(repeated.sum()):,} of {table.rows:,} rows repeat an id. {example} "
        f"has {int(repeated.iloc[0]):,} rows. The table of leads needs one row per lead: export "
        "each lead once. If this is a table of activities, stages or outcomes, name the table of "
        "each file, as in: `leads=people.csv activities=calls.csv`"
    )


def check_shortened_ids(table: Table) -> None:
    """Check that Excel has not shortened the ids of a table, so that several are equal.

    Raises
    ------
    ConfigError
        If several rows have the same shortened number, such as "5.5513E+10", and no other column
        with the name of an id identifies the rows.
    """
    ids = _named_without_key(table)
    if ids is None:
        return
    shortened = ids.counts[
        [re.fullmatch(SHORTENED, str(text)) is not None for text in ids.counts.index]
    ]
    if (shortened > 1).any():
        raise ConfigError(
            f"{table.name}: Excel has shortened the ids in {quote(ids.name)}, as in "
            f"{quote(str(shortened.index[0]))}, so that different ids are equal "
            f"({int(shortened.sum()):,} of {table.rows:,} rows). Export the file again, and do not "
            "save it in Excel, or format the column as text before."
        )


def has_repeated_ids(table: Table) -> bool:
    """Check whether a column that may contain ids of leads repeats some of them."""
    named = (column for column in table.columns if rank("lead_id", column.name) < NO_RANK)
    return any(0 < len(column.counts) < int(column.counts.sum()) for column in named)


def unmatched_ids(tables: Sequence[Table]) -> str:
    """Write a sentence with an id of each file, for files whose ids do not match."""
    examples = []
    for table in tables:
        named = [column for column in table.columns if len(column.counts)]
        column = min(named, key=lambda column: rank("lead_id", column.name), default=None)
        if column is not None and rank("lead_id", column.name) < NO_RANK:
            example = quote(str(column.counts.index[0]))
            examples.append(f"{example} in {quote(column.name)} of {table.name}")
    return f"Their ids are such as {' and '.join(examples)}." if len(examples) > 1 else ""


def _singular_words(name: str) -> set[str]:
    words = plain_words(name).split(" ")
    return {f"{word[:-3]}y" if word.endswith("ies") else word.rstrip("s") for word in words}


def _named_without_key(table: Table) -> Column | None:
    """Return the column with the best name of an id, if no column with such a name is unique."""
    named = [column for column in table.columns if rank("lead_id", column.name) < NAMED_IDS]
    if any(_is_key(column, table) for column in named):
        return None
    return min(named, key=lambda column: rank("lead_id", column.name), default=None)


def _is_key(column: Column, table: Table) -> bool:
    filled = int(column.counts.sum())
    is_unique = filled > 0 and len(column.counts) == _n_different_rows(column, table)
    return is_unique and len(column.cells) - filled <= MOST_GAPS * len(column.cells)


def _rarely_repeats(column: Column) -> bool:
    return 0 < ID_SHARE * int(column.counts.sum()) <= len(column.counts)


def _is_id_of_other(key: Column, leads: Table) -> bool:
    """Check whether a column identifies owners, campaigns, products or companies.

    Companies may be leads, if the table does not have the id of anything else.
    """
    if leads.kind is not None:
        return False
    if names_other_id(key.name):
        return True
    if not names_company(key.name) or is_own(key, leads) or is_about_leads(leads):
        return False
    others = (column for column in lead_keys(leads) if column is not key)
    return any(id_rank(column) < NAMED_IDS for column in others)


def _n_different_rows(column: Column, table: Table) -> int:
    """Count the rows with an id; of rows that are equal in every cell, only the first counts."""
    filled = int(column.counts.sum())
    if len(column.counts) == filled or len(column.counts) < ID_SHARE * filled:
        return filled
    is_filled = np.array([text is not None for text in column.texts])
    return int((is_filled & ~table.is_repeated).sum())


def _is_chance(column: Column) -> bool:
    """Check whether cells may occur in other tables by chance, as times and row numbers do."""
    if column.is_time:
        return True
    is_count = column.is_number and rank("lead_id", column.name) == NO_RANK
    return is_count and float(np.nanmax(np.abs(column.numbers))) <= MOST_PER_ROW * len(column.cells)


def _shared(key: Column, leads: Table, kind: str, table: Table) -> Column | None:
    """Find the column of another table that contains the lead ids.

    A column with the name of the key comes first, then those with the most ids of leads, and then
    the names decide. The table's own id, such as "deal_id" in deals.csv, comes last.
    """
    ids, candidates = different_ids(key), []
    about = is_file_of_others(table.title) or names_company(table.title)
    of_others = about and table.kind is None
    for column in table.columns:
        if column.is_time or not len(column.counts):
            continue
        if names_other_id(column.name) and not names_other_id(key.name):
            continue
        is_generic = rank("lead_id", column.name) >= GENERIC_IDS
        if table.kind is None and _match_by_chance(key, column, table):
            continue
        if is_generic and (of_others or _is_referred_to(column, key, leads, table)):
            continue
        is_lead = different_ids(column).isin(ids)
        share = float(is_lead.mean())
        same_name = plain_words(column.name) == plain_words(key.name)
        place = rank("lead_id", column.name)
        is_named = same_name or (place < NAMED_IDS - 1 and is_lead.sum() >= FEWEST_LEADS)
        likely = share >= 0.5 or (share > 0 and (is_named or not leads.is_whole))
        repeats = len(column.counts) < len(column.cells)
        if likely and (repeats or kind == "outcomes" or table.kind or place < NO_RANK):
            is_same = same_name and share >= 0.5 and place != GENERIC_IDS
            order = (is_same, not is_own(column, table), round(share, 1), -place, share)
            candidates.append((order, column))
    return max(candidates, key=lambda row: row[0])[1] if candidates else None


def _is_referred_to(column: Column, key: Column, leads: Table, table: Table) -> bool:
    """Check whether another column of the leads, named after the table, contains these ids.

    If the leads have "ConvertedOpportunityId", "Id" in Opportunity.csv is not the id of a lead.
    """
    ids = different_ids(column)
    for reference in leads.columns:
        if reference is not key and len(reference.counts) and not reference.is_time:
            is_named = rank("lead_id", reference.name) < NO_RANK or names_company(reference.name)
            if is_named and shares_word(reference.name, table.title):
                return float(different_ids(reference).isin(ids).mean()) >= ID_SHARE
    return False


def _match_by_chance(key: Column, column: Column, table: Table) -> bool:
    """Check whether two columns are different ids by their names, and both are short numbers.

    These are ids of people and of deals, and "ID" in a file that also has an id with a clear name.
    """
    if not all(_is_short_number(ids) for ids in (key, column)):
        return False
    ranks = [rank("lead_id", other.name) for other in table.columns]
    is_generic = rank("lead_id", key.name) < GENERIC_IDS == rank("lead_id", column.name)
    if is_generic and column.is_key and min(ranks) < GENERIC_IDS:
        return True
    names = {plain_words(key.name), plain_words(column.name)}
    kinds = {(bool(_PERSON.search(name)), bool(_DEAL.search(name))) for name in names}
    return kinds == {(True, False), (False, True)}


def _is_short_number(ids: Column) -> bool:
    return ids.is_number and max(map(len, ids.counts.index)) <= SHORT_NUMBER
