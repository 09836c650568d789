"""The checks of amounts: LC103, LC104, LC105 and LC129."""

from collections.abc import Iterator

import numpy as np

from crm.formats.columns import ColumnFormat
from crm.formats.numbers import ANY_CURRENCY, CURRENCIES, NumberFormat, number_format
from crm.text import counted, has_or_have, listed, number_text, quote
from features.coverage import are_amounts_few, dominant_deal
from features.record_checks.check import Finding, check, rows_of, share
from features.record_checks.currencies import currency_columns
from features.record_checks.tables import ColumnCells, OutcomeRows, ReadTable, ReadTables


@check("LC103", "The amounts of one column are in several currencies.")
def several_currencies(tables: ReadTables) -> Iterator[Finding]:
    """Count the currencies of each column of numbers, and of each column of currencies."""
    for table in tables.tables.values():
        yield from _currencies_beside(table)
        for name, form in table.formats.items():
            found = {unit: n for unit, n in form.units.items() if unit in CURRENCIES}
            if len(found) < 2 or tables.is_private(table, name):
                continue
            names = ", ".join(f"{unit} ({n:,})" for unit, n in sorted(found.items()))
            yield Finding(
                table,
                f"In which currency should the sum of {quote(name)} be?",
                f"Its different amounts are in {names}. {_use_of(form)}",
                "Export the amounts in one currency, such as the converted amount of the CRM.",
            )


def _use_of(form: ColumnFormat) -> str:
    """Write what leadscore does with amounts in several currencies."""
    if form.doubt:
        return "Training asks how to read them."
    if form.kind == "text":
        return "leadscore reads the column as text."
    unit = NumberFormat().unit if form.notation is None else number_format(form.notation).unit
    if unit not in ("", ANY_CURRENCY):
        return f"leadscore reads only those in {unit}; the others count as missing."
    return "leadscore adds and compares the numbers without converting them."


def _currencies_beside(table: ReadTable) -> Iterator[Finding]:
    """Count the rows with an amount, by the currency in another column."""
    for column, currencies, amounts in currency_columns(table):
        has_amount = np.logical_or.reduce(
            [np.nan_to_num(table.column(name).numbers) != 0 for name in amounts]
        )
        units, counts = np.unique(currencies[has_amount & (currencies != "")], return_counts=True)
        if len(units) < 2:
            continue
        names = ", ".join(f"{unit} ({n:,})" for unit, n in zip(units, counts, strict=True))
        rare = has_amount & (currencies != "") & (currencies != units[np.argmax(counts)])
        one = listed(amounts)
        yield Finding(
            table,
            f"In which currency should the amounts of {one} be?",
            f"{quote(column)} contains the currencies of {counted(int(counts.sum()), 'row')} with "
            f"an amount: {names}. leadscore adds and compares the numbers of {one} without "
            "converting them.",
            "Export the amounts in one currency, such as the converted amount of the CRM.",
            rows_of(rare),
        )


@check("LC129", "Deals have negative amounts.")
def negative_amounts(tables: ReadTables) -> Iterator[Finding]:
    """Count the won deals whose amount is below 0."""
    if (amounts := _amounts(tables)) is None:
        return
    outcomes, column = amounts
    is_negative = outcomes.is_won & (np.nan_to_num(column.numbers) < 0)
    if not is_negative.any():
        return
    n = int(is_negative.sum())
    total = number_text(float(column.numbers[is_negative].sum()))
    yield Finding(
        outcomes.table,
        f"Why {'is the amount' if n == 1 else 'are the amounts'} of {counted(n, 'won deal')} "
        "negative?",
        f"{n:,} of {int(outcomes.is_won.sum()):,} won deals {has_or_have(n)} an amount below 0 in "
        f"{quote(column.name)}, {total} together. They reduce the revenue in reports.",
        "If these are refunds or credit notes, leave them out, or export the amount of the deal. "
        "Correct typing errors in the CRM.",
        rows_of(is_negative),
    )


@check("LC104", "One deal is most of the sum of all won deals.")
def one_deal_is_most(tables: ReadTables) -> Iterator[Finding]:
    """Compare the largest amount with the sum of all."""
    if (amounts := _amounts(tables)) is None:
        return
    outcomes, column = amounts
    of_wins = np.where(outcomes.is_won, np.nan_to_num(column.numbers), 0.0)
    largest = dominant_deal(of_wins)
    if largest is None:
        return
    n_deals, total = int((of_wins > 0).sum()), float(of_wins[of_wins > 0].sum())
    usual = float(np.median(of_wins[of_wins > 0]))
    yield Finding(
        outcomes.table,
        f"Is the amount {number_text(of_wins[largest])} right?",
        f"One won deal has {number_text(of_wins[largest])} of {number_text(total)} "
        f"({share(of_wins[largest], total)}), the sum of {n_deals:,} won deals with "
        f"an amount. Half of them have at most {number_text(usual)}.",
        f"Look at this deal in the CRM. If its {quote(column.name)} is a typing error, correct it: "
        "otherwise every figure of revenue is about this deal.",
        np.array([largest]),
    )


@check("LC105", "Few of the won deals have an amount.")
def few_amounts(tables: ReadTables) -> Iterator[Finding]:
    """Count the won deals without an amount, and those whose amount is 0."""
    if (amounts := _amounts(tables)) is None:
        return
    outcomes, column = amounts
    n_won = int(outcomes.is_won.sum())
    has_amount = outcomes.is_won & (np.nan_to_num(column.numbers) != 0)
    n_zero = int((outcomes.is_won & (column.numbers == 0)).sum())
    n_with = int(has_amount.sum())
    if not are_amounts_few(n_won, n_with):
        return
    n_none = n_won - n_with - n_zero
    yield Finding(
        outcomes.table,
        f"Where are the amounts of the other {counted(n_won - n_with, 'won deal')}?",
        f"{n_with:,} of {n_won:,} won deals ({share(n_with, n_won)}) have an amount in "
        f"{quote(column.name)}; {n_none:,} {has_or_have(n_none)} none, "
        f"{n_zero:,} {has_or_have(n_zero)} the amount 0.",
        "If another column has the revenue, name it as `amount`. If there is none, do not rely on "
        "figures of revenue in the report.",
        rows_of(outcomes.is_won & ~has_amount),
    )


def _amounts(tables: ReadTables) -> tuple[OutcomeRows, ColumnCells] | None:
    """Return the outcomes and the column of their amounts; None if one of them is absent."""
    outcomes = tables.outcomes
    column = None if outcomes is None else outcomes.table.of_role("amount")
    return None if outcomes is None or column is None else (outcomes, column)
