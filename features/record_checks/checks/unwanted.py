"""The check of leads that should not be in an export: LC125."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from crm.arrays import Bools
from crm.text import counted, listed, quote, words_of
from features.attributes.flag import NO, YES
from features.record_checks.check import Finding, check, rows_of, share
from features.record_checks.checks.people import MOSTLY, SAMPLED, same_address
from features.record_checks.tables import ColumnCells, ReadTable, ReadTables

_WORDS: Final[dict[str, list[str]]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
)
_FLAGS: Final = frozenset(_WORDS["flags"])
_FILLED: Final = frozenset(_WORDS["filled"])
_NAMES: Final = frozenset(_WORDS["names"])
_IN_FRONT: Final = tuple(f"{word} " for word in _WORDS["in_front"])
_TEST_WORDS: Final = frozenset(_WORDS["words"])
_DOMAINS: Final = frozenset(_WORDS["domains"])
_TOP_LEVEL: Final = frozenset(_WORDS["top_level"])
_TEST_USER: Final = re.compile(r"test(?:er)?\d*(?:\+.*)?")
MOST_TESTS: Final = 0.5  # if more leads have such addresses, all addresses are made up


@check("LC125", "Leads are deleted, merged or tests.")
def unwanted_leads(tables: ReadTables) -> Iterator[Finding]:
    """Find leads that a column marks, and leads with the names or addresses of tests."""
    table = tables.leads
    if table is None or len(table.raw) == 0:
        return
    used = {column.name for column in tables.attributes()}
    for name in map(str, table.raw.columns):
        words = words_of(name)
        if name in table.role_of or name in tables.project.columns.ignore:
            continue
        if words in _FLAGS | _FILLED:
            column = table.column(name)
            is_date = words in _FILLED or column.form.kind == "time"
            is_marked = _is_filled(column) if is_date else _is_yes(column)
            yield from _marked(table, column, is_marked, name in used)
    yield from _tests(table)


def _is_yes(column: ColumnCells) -> Bools:
    return column.rows_with(np.array([value.casefold() in YES for value in column.values], bool))


def _is_filled(column: ColumnCells) -> Bools:
    is_no = np.array([value.casefold() in NO for value in column.values], dtype=bool)
    return column.filled & ~column.rows_with(is_no)


def _marked(
    table: ReadTable, column: ColumnCells, is_marked: Bools, is_used: bool
) -> Iterator[Finding]:
    n_marked, n = int(is_marked.sum()), len(is_marked)
    if not n_marked:
        return
    use = f", and {quote(column.name)} is an attribute" if is_used else ""
    yield Finding(
        table,
        f"Should the {counted(n_marked, 'lead')} that {quote(column.name)} marks be learned from?",
        f"{quote(column.name)} is yes or filled for {n_marked:,} of {n:,} leads "
        f"({share(n_marked, n)}). The model learns from these leads as from all others{use}.",
        "Leave deleted, merged and test leads out of the export. If they are ordinary leads, list "
        "the column in `ignore` of [columns].",
        rows_of(is_marked),
    )


def _tests(table: ReadTable) -> Iterator[Finding]:
    is_test = np.zeros(len(table.raw), dtype=bool)
    where = []
    for name in map(str, table.raw.columns):
        if table.role_of.get(name, "") not in ("", "lead_id"):
            continue
        rows = _test_rows(table.column(name))
        if rows.any():
            is_test |= rows
            where.append(name)
    n_tests, n = int(is_test.sum()), len(is_test)
    if not n_tests:
        return
    has = "has" if n_tests == 1 else "have"
    yield Finding(
        table,
        f"{'Is' if n_tests == 1 else 'Are'} {counted(n_tests, 'lead')} only "
        f"{'a test' if n_tests == 1 else 'tests'}?",
        f"{n_tests:,} of {n:,} leads ({share(n_tests, n)}) {has} a name such as Test or asdf, or "
        f"an address such as test@… or …@example.com, in {listed(where)}. The model learns from "
        "these leads as from all others.",
        "Delete test leads in the CRM, or leave them out of the export.",
        rows_of(is_test),
    )


def _test_rows(column: ColumnCells) -> Bools:
    """Return which rows of a column have the name or the address of a test."""
    sample = column.distinct[:SAMPLED]
    if sum(same_address(value) is not None for value in sample) > MOSTLY * len(sample):
        is_test = np.array([is_test_address(value) for value in column.values], dtype=bool)
        is_user = np.array([is_test_address(value, of_user=True) for value in column.values], bool)
        rows = column.rows_with(is_test)
        made_up = rows.sum() > MOST_TESTS * column.filled.sum()
        return column.rows_with(is_user) if made_up else rows
    if not _is_of_names(column.name):
        return np.zeros(len(column.cells), dtype=bool)
    words = [" ".join(value.casefold().split()) for value in column.values]
    return column.rows_with(np.array([word in _TEST_WORDS for word in words], dtype=bool))


def is_test_address(text: str, of_user: bool = False) -> bool:
    """Check whether an e-mail address is that of a test, by its user or its domain.

    Parameters
    ----------
    text : str
    of_user : bool
        Whether only the part before the @ counts.

    Examples
    --------
    >>> is_test_address("Test2@acme.com"), is_test_address("ada@example.com")
    (True, True)
    >>> is_test_address("contest@acme.com"), is_test_address("ada@example.com", of_user=True)
    (False, False)
    """
    address = same_address(text)
    if address is None:
        return False
    user, _, domain = address.partition("@")
    if _TEST_USER.fullmatch(user):
        return True
    is_domain = domain in _DOMAINS or domain.rpartition(".")[2] in _TOP_LEVEL
    return is_domain and not of_user


def _is_of_names(name: str) -> bool:
    words = words_of(name)
    if words in _NAMES:
        return True
    return words.startswith(_IN_FRONT) and words.partition(" ")[2] in _NAMES
