"""Deciding how the columns of a table are read."""

import datetime
from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd
import pytest

from crm.formats.columns import ColumnFormat, column_formats, number_reader
from crm.formats.number_recognition import recognise_numbers
from crm.formats.numbers import NumberFormat
from crm.formats.trouble import trouble_of


def formats_of(
    columns: Mapping[str, Any],
    declared: Mapping[str, str] | None = None,
    decimal: str | None = None,
    amounts: Collection[str] = (),
) -> dict[str, tuple[str, str | None]]:
    """Return the kind and the notation of each column."""
    table = pd.DataFrame(columns)
    formats = column_formats(
        table,
        list(table.columns),
        declared=declared or {},
        decimal=decimal,
        nothing=["-", "n/a"],
        amounts=amounts,
    )
    return {column: (form.kind, form.notation) for column, form in formats.items()}


@pytest.mark.parametrize(
    ("cells", "kind", "notation"),
    [
        (["a", "b"], "text", None),
        (["-", "n/a", None], "text", None),
        (["1.5", "-"], "number", None),
        (["12", "7"], "number", "1234"),
        (["2,017.71", "3.5"], "number", "1,234.56"),
        (["(3.5)", "7.25"], "number", "1,234.56"),
        (["2.017,71", "n/a"], "number", "1.234,56"),
        (["2024-01-31", "-"], "time", None),
        (["31.01.2024"], "time", "%d.%m.%Y"),
        (["1704104220"], "number", "1234"),
        (["1.5", "soon"], "text", None),
        ([1.5, 2.0], "text", None),
        ([datetime.date(2024, 1, 31)], "time", None),
        ([pd.Timestamp("2024-01-31")], "time", None),
    ],
)
def test_column_has_a_kind_and_a_format(cells: list[Any], kind: str, notation: str | None) -> None:
    assert formats_of({"x": cells}) == {"x": (kind, notation)}


@pytest.mark.parametrize("name", ["Created At", "createdate", "Erstellt am", "Fecha de alta"])
@pytest.mark.parametrize("cells", [["1704104220"], [1704104220]])
def test_large_numbers_are_times_if_the_name_means_a_time(name: str, cells: list[Any]) -> None:
    assert formats_of({name: cells}) == {name: ("time", "unix seconds")}


def test_declared_format_comes_before_the_cells() -> None:
    declared = {"x": "%d.%m.%Y", "y": "1.234,56"}
    formats = formats_of({"x": ["1.5"], "y": ["2,017.71"]}, declared)
    assert formats == {"x": ("time", "%d.%m.%Y"), "y": ("number", "1.234,56")}


def test_other_columns_decide_the_decimal_sign_of_an_unclear_column() -> None:
    columns = {"certain": ["2,5", "3,25"], "open": ["1.250", "3.100"], "whole": ["1", "2"]}
    assert formats_of(columns) == dict.fromkeys(columns, ("number", "1.234,56"))


def test_declared_decimal_sign_decides_for_an_unclear_column() -> None:
    assert formats_of({"x": ["1.250", "3.100"]}, decimal=",") == {"x": ("number", "1.234,56")}


def test_columns_with_different_signs_decide_nothing_for_others() -> None:
    columns = {"a": ["2,5", "3,5"], "b": ["2.5", "3.5"], "whole": ["1", "2"]}
    assert formats_of(columns)["whole"] == ("number", "1234")


def test_other_dates_decide_the_order_of_unclear_dates() -> None:
    columns = {"certain": ["01/31/2024", "02/01/2024"], "open": ["01/02/2024", "03/04/2024"]}
    assert formats_of(columns) == dict.fromkeys(columns, ("time", "%m/%d/%Y"))


def test_amounts_may_be_in_several_currencies() -> None:
    cells = ["$5", "€6", "7 CHF"]
    assert formats_of({"x": cells}, amounts=["x"]) == {"x": ("number", "¤1234")}


def test_attribute_in_several_currencies_is_in_doubt() -> None:
    cells = pd.Series(["$5.50", "€6.50", "$7.50", "8.50"], name="x")
    form = column_formats(cells.to_frame(), ["x"], declared={})["x"]
    assert (form.notation, form.doubtful_as) == ("¤1,234.56", "$1,234.56")
    assert form.doubt.endswith("which are not converted: $ (2), EUR (1), none (1)")
    assert form.unread == ()


GERMAN_DAYS = ["31.12.2024", "01.02.2025"]
AMERICAN_DAYS = ["12/31/2024", "02/01/2025"]


@pytest.mark.parametrize(
    ("columns", "delimiter", "notation"),
    [
        ({"day": GERMAN_DAYS}, ",", "1.234,56"),
        ({"day": AMERICAN_DAYS}, ",", "1,234.56"),
        ({"day": ["2024-12-31", "2025-01-02"]}, ";", "1.234,56"),
        ({"price": ["2.5", "3.5"], "day": GERMAN_DAYS}, ";", "1,234.56"),
    ],
)
def test_table_decides_whether_a_comma_separates_thousands(
    columns: Mapping[str, Any], delimiter: str, notation: str
) -> None:
    table = pd.DataFrame({"Gewicht": ["3,591", "2,207"], **columns})
    table.attrs["delimiter"] = delimiter
    form = column_formats(table, ["Gewicht"], declared={})["Gewicht"]
    assert (form.notation, form.doubt) == (notation, "")
    assert form.reason


@pytest.mark.parametrize(
    ("days", "delimiter"), [(["2024-12-31", "2025-01-02"], ","), (AMERICAN_DAYS, ";")]
)
def test_comma_is_in_doubt_if_the_table_has_no_evidence(days: list[str], delimiter: str) -> None:
    table = pd.DataFrame({"Gewicht": ["3,591", "2,207"], "day": days})
    table.attrs["delimiter"] = delimiter
    assert column_formats(table, ["Gewicht"], declared={})["Gewicht"].doubt


@pytest.mark.parametrize(
    ("name", "cells", "trouble"),
    [
        ("x", ["1,234.50", "2.345,50"], '"1,234.50" and "2.345,50"'),
        ("x", [f"{i}.50 per x,y" for i in range(30)], '"0.50 per x,y", "1.50 per x,y"'),
        ("x", [f"{i} per x,y" for i in range(25)], ""),
        ("x", [f"{i}-{i + 9}" for i in range(10, 40)], '"10-19", "11-20"'),
        ("x", [f"{i}h {i}min" for i in range(10, 40)], '"10h 10min", "11h 11min"'),
        ("x", [f"${i}/hr" for i in range(30)] + ["$5/yr", "$6/yr", "$7/yr"], "$/hr (30), $/yr (3)"),
        ("x", [f"+49 30 {i}" for i in range(1000, 1030)], ""),
        ("x", [f"10.0.0.{i}" for i in range(100, 130)], ""),
        ("x", [f"A-{i}" for i in range(1000, 1030)], ""),
        ("x", [f"L{i}" for i in range(1000, 1030)], ""),
        ("x", [f"{i} Main Street {chr(65 + i)}x" for i in range(30)], ""),
        ("Created", ["2025-01", "2025-02"], '"2025-01", "2025-02" are not read as times'),
        ("Created", ["1404/01/10", "1404/02/11"], '"1404/01/10", "1404/02/11" are not read'),
        ("Created", ["2568-01-10", "2568-02-11"], '"2568-01-10", "2568-02-11" are not read'),
        ("Created", ["令和7年1月10日"], '"令和7年1月10日" are not read as times'),
        ("Created", ["Q1 2025", "2025-W03"], '"Q1 2025", "2025-W03" are not read as times'),
        ("Created", ["1/13/2024 9:05 AM (PT)"], '"PT" is not a zone with one meaning'),
        ("Created", ["1/13/2024 9:05 IST"], '"IST" is not a zone with one meaning'),
        ("Created By", ["Ann", "Bob"], ""),
    ],
)
def test_trouble_describes_text_that_looks_like_numbers_or_times(
    name: str, cells: list[str], trouble: str
) -> None:
    form = column_formats(pd.DataFrame({name: cells}), [name], declared={})[name]
    assert form.kind == "text"
    assert trouble in form.trouble
    assert bool(trouble) == bool(form.trouble)


def test_trouble_needs_half_of_the_cells_in_few_forms() -> None:
    forms = [f"{i}.5 per x,y" for i in range(20)] + [f"word {chr(65 + i)}" for i in range(20)]
    assert trouble_of(forms, is_timed=False)
    assert trouble_of([*forms, "one more word"], is_timed=False) == ""
    many = [f"{i}.5 per {chr(65 + i % 26)}{chr(65 + i // 26)}, x" for i in range(60)]
    assert trouble_of(many, is_timed=False) == ""
    assert trouble_of([f"{i}.5 per x,y" for i in range(26)], is_timed=False)
    assert trouble_of(["2025-01", "2025-02", "soon", "later"], is_timed=True)
    assert trouble_of(["2025-01", "2025-02", "soon", "later", "never"], is_timed=True) == ""


@pytest.mark.parametrize(("n_others", "is_mixed"), [(2, True), (3, False)])
def test_several_units_are_named_if_nearly_all_cells_have_one(
    n_others: int, is_mixed: bool
) -> None:
    cells = [f"${i}/hr" for i in range(35)] + ["$5/yr", "$6/yr", "$7/yr"]
    cells += [f"{'abc'[i]}, or so" for i in range(n_others)]
    trouble = trouble_of(cells, False, recognise_numbers(cells))
    assert trouble.startswith("numbers have several units: $/hr (35), $/yr (3)") == is_mixed


def test_trouble_names_two_cells_of_different_forms() -> None:
    assert trouble_of(["2025-01", "2025-02", "Q1 2025"], True).startswith(
        'cells such as "2025-01", "Q1 2025" are not'
    )
    assert trouble_of(["2025-01", "2025-02", "2025-03"], True).startswith(
        'cells such as "2025-01", "2025-02" are not'
    )


def test_declared_numbers_have_units() -> None:
    table = pd.DataFrame({"x": ["$5", "€6"]})
    assert column_formats(table, ["x"], declared={"x": "¤1234.56"})["x"].units == {"$": 1, "EUR": 1}


def test_question_names_both_ways() -> None:
    form = ColumnFormat("time", "%d/%m/%Y", "It can be read in two ways", "%m/%d/%Y")
    assert '"When" = "%d/%m/%Y" or "When" = "%m/%d/%Y"' in form.question("leads", "When")


def test_column_whose_format_cannot_be_written_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gap in the notation of units does not stop the other columns of a table."""
    notation = property(lambda form: "visits of 1234" if form.unit == "visits" else "1,234.56")
    monkeypatch.setattr(NumberFormat, "notation", notation)
    table = pd.DataFrame(
        {"a": [f"{i} visits" for i in range(60)], "b": [f"{i},000.5" for i in range(1, 61)]}
    )
    formats = column_formats(table, ["a", "b"], declared={})
    assert (formats["a"].kind, formats["b"].kind) == ("text", "number")
    assert "cannot be written as a format" in formats["a"].trouble


def test_bytes_beside_kilobytes_are_not_billions() -> None:
    cells = [f"{i} kB" for i in range(200)] + ["500 B"]
    form = column_formats(pd.DataFrame({"size": cells}), ["size"], declared={})["size"]
    assert (form.notation, form.unread) == ("1234 kb", ("500 B",))
    money = [f"${i}B" for i in range(200)]
    form = column_formats(pd.DataFrame({"size": money}), ["size"], declared={})["size"]
    assert form.unread == ()


def test_tabs_between_digits_are_read_as_spaces() -> None:
    cells = pd.Series(["129\t 933.20", "2\t 245\t 121.00"], dtype="str")
    form = column_formats(pd.DataFrame({"x": cells}), ["x"], declared={})["x"]
    assert form.notation == "1 234.56"
    assert number_reader(form.notation).read_column(cells).tolist() == [129933.2, 2245121.0]
