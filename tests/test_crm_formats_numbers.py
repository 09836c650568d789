"""Formats of numbers: reading cells and columns, and recognising the format of a column."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.errors import ConfigError
from crm.formats.number_recognition import SignEvidence, recognise_numbers
from crm.formats.numbers import GROUPINGS, NumberFormat, number_parts

ENGLISH, GERMAN = NumberFormat(), NumberFormat(",", ".")
WHOLE = NumberFormat("", "")


@pytest.mark.parametrize(
    ("text", "digits", "factor", "unit"),
    [
        ("1.5", "1.5", 1, ""),
        ("-1.5", "1.5", -1, ""),
        ("\u22121.5", "1.5", -1, ""),
        ("(1.5)", "1.5", -1, ""),
        ("1.5-", "1.5", -1, ""),
        ("+1.5", "1.5", 1, ""),
        ("$2,017.71", "2,017.71", 1, "$"),
        ("-$5", "5", -1, "$"),
        ("$-5", "5", -1, "$"),
        ("US$ 5", "5", 1, "USD"),
        ("5 usd", "5", 1, "USD"),
        ("€ 5", "5", 1, "EUR"),
        ("5,00 €", "5,00", 1, "EUR"),
        ("EUR5", "5", 1, "EUR"),
        ("12 kr.", "12", 1, "kr"),
        ("1'200.\u2013", "1'200", 1, ""),
        ("Fr. 1\u2019200.50", "1'200.50", 1, "Fr"),
        ("1\u202f234,5", "1 234,5", 1, ""),
        ("1\xa0234,5 zł", "1 234,5", 1, "PLN"),
        ("\uff11\uff12", "12", 1, ""),
        ("20%", "20", 1, "%"),
        ("20 %", "20", 1, "%"),
        ("5k", "5", 1e3, ""),
        ("1,5 Mio. €", "1,5", 1e6, "EUR"),
        ("2 Mrd", "2", 1e9, ""),
        ("10万円", "10", 1e4, "JPY"),
        ("25 km", "25", 1, "km"),
        ("1e3", "1e3", 1, ""),
        ("$1,234.50 USD", "1,234.50", 1, "USD"),
        ("CAD $5", "5", 1, "CAD"),
        ("Rp 1.234.567", "1.234.567", 1, "IDR"),
        ("\\20,000", "20,000", 1, "\\"),
        ("$1.50MM", "1.50", 1e6, "$"),
        ("£1.50m", "1.50", 1e6, "GBP"),
        ("1.5 MM", "1.5", 1e6, ""),
        ("1.5 mm", "1.5", 1, "mm"),
        ("25 m", "25", 1, "m"),
        ("₹12.50 Cr", "12.50", 1e7, "INR"),
        ("5 lakh", "5", 1e5, ""),
        ("5 TEUR", "5", 1e3, "EUR"),
        ("T€ 5", "5", 1e3, "EUR"),
        ("5 kEUR", "5", 1e3, "EUR"),
        ("1,5 Millionen €", "1,5", 1e6, "EUR"),
        ("5 млн руб.", "5", 1e6, "RUB"),
        ("1,234.50 US Dollars", "1,234.50", 1, "USD"),
        ("'1,234.50", "1,234.50", 1, ""),
        ('="1234.5"', "1234.5", 1, ""),
        ("\u0661\u066c\u0662\u0663\u0664\u066b\u0665", "1,234.5", 1, ""),
        ("\uff11\uff0c\uff12\uff13\uff14", "1,234", 1, ""),
        ("$20.00/hr", "20.00", 1, "$/hr"),
        ("20 € pro Stunde", "20", 1, "EUR/stunde"),
        ("90 km/h", "90", 1, "km/h"),
        ("120 m²", "120", 1, "m²"),
        ("10 ft", "10", 1, "ft"),
        ("10 Ft", "10", 1, "HUF"),
        ("1,200 sq. ft.", "1,200", 1, "sq. ft"),
    ],
)
def test_text_is_split_into_digits_sign_and_unit(
    text: str, digits: str, factor: float, unit: str
) -> None:
    assert number_parts(text) == (digits, factor, unit)


@pytest.mark.parametrize(
    "text",
    ["", "-", "$", "EUR", "soon", "2024-01-31", "1/2", "12:30", "A12", "12 Main St. 5", "$5 €"]
    + ["$5 EUR", "$5 mil"],
)
def test_other_text_is_not_one_number(text: str) -> None:
    assert number_parts(text) is None


@pytest.mark.parametrize(
    ("form", "text", "number"),
    [
        (ENGLISH, "2,017.71", 2017.71),
        (ENGLISH, "2.017,71", math.nan),
        (ENGLISH, "20,17", math.nan),
        (ENGLISH, "1,23,456.5", 123456.5),
        (ENGLISH, "12,05,202", 1205202),
        (ENGLISH, "1,23,4567", math.nan),
        (ENGLISH, "123,45,678", math.nan),
        (ENGLISH, "0,125", math.nan),
        (ENGLISH, "0,125,000", math.nan),
        (ENGLISH, "-0,125", math.nan),
        (ENGLISH, "0", 0),
        (ENGLISH, "0.125", 0.125),
        (ENGLISH, "1.250", 1.25),
        (ENGLISH, "1e400", math.nan),
        (ENGLISH, "10.0.0.1", math.nan),
        (ENGLISH, "20%", math.nan),
        (ENGLISH, "$50,000", 50000),
        (GERMAN, "2.017,71", 2017.71),
        (GERMAN, "1.250", 1250),
        (GERMAN, "0.125", math.nan),
        (GERMAN, "00.125", math.nan),
        (GERMAN, "0.125.000", math.nan),
        (GERMAN, "12.05.202", math.nan),
        (GERMAN, "1.23.456", math.nan),
        (GERMAN, "0", 0),
        (GERMAN, "0,125", 0.125),
        (GERMAN, "007", 7),
        (NumberFormat(".", "'"), "0'125", math.nan),
        (NumberFormat(",", " "), "0 125", math.nan),
        (NumberFormat(",", ".", "EUR"), "0.125 €", math.nan),
        (GERMAN, "1250,5", 1250.5),
        (GERMAN, "2,017.71", math.nan),
        (GERMAN, "2017.71", math.nan),
        (NumberFormat(",", " "), "1 234,5", 1234.5),
        (NumberFormat(".", "'"), "1'234.5", 1234.5),
        (NumberFormat(unit="EUR"), "5 €", 5),
        (NumberFormat(unit="EUR"), "5", 5),
        (NumberFormat(unit="EUR"), "$5", math.nan),
        (NumberFormat(unit="¤"), "$5", 5),
        (NumberFormat(unit="%"), "20 %", 20),
        (NumberFormat(unit="%"), "0.2", 0.2),
        (WHOLE, "1250", 1250),
        (WHOLE, "1,250", math.nan),
        (WHOLE, "1.250", math.nan),
        (WHOLE, "1,250,000", 1250000),
        (WHOLE, "1.5", 1.5),
        (WHOLE, "1,5", 1.5),
        (WHOLE, "0.125", 0.125),
        (WHOLE, "1.250,5", 1250.5),
    ],
)
def test_text_is_read_in_a_format(form: NumberFormat, text: str, number: float) -> None:
    np.testing.assert_equal(form.read(text), number)


@pytest.mark.parametrize(
    "notation",
    ["1,234.56", "1.234,56", "1 234,56", "1'234.56", "1234.56", "1234,56", "1234", "20%"]
    + ["$1,234.56", "1.234,56 EUR", "1.234,56%"],
)
def test_notation_is_read_back(notation: str) -> None:
    assert NumberFormat.of_notation(notation).notation == notation


@pytest.mark.parametrize("unit", ["名", "件", "h", "m", "s", "z", "°", "²", "%", "$", "¤"])
def test_format_with_a_unit_of_one_character_is_read_back(unit: str) -> None:
    form = NumberFormat(unit=unit)
    assert NumberFormat.of_notation(form.notation) == form


@pytest.mark.parametrize("notation", ["", "1,234,56", "12.34", "dd.mm.yyyy", "-1234.56", "number"])
def test_invalid_notation_is_refused(notation: str) -> None:
    with pytest.raises(ConfigError, match=r"is not the format of a number or a time\. Expected"):
        NumberFormat.of_notation(notation)


FORMATS = st.builds(
    NumberFormat,
    st.sampled_from([".", ","]),
    st.sampled_from(["", " ", "'"]),
    st.sampled_from(["", "$", "EUR", "%", "¤"]),
) | st.sampled_from([ENGLISH, GERMAN, WHOLE])
NUMBERS = st.text("0123456789.,' -+$€%()ek", max_size=10)


@given(FORMATS, st.lists(NUMBERS | st.none(), max_size=8))
def test_column_is_read_like_its_cells(form: NumberFormat, cells: list[str | None]) -> None:
    column = form.read_column(pd.Series(cells, dtype="str"))
    np.testing.assert_array_equal(column, [form.read_cell(cell) for cell in cells])


@given(st.decimals(-(10**9), 10**9, places=2), st.sampled_from([".", ","]))
def test_written_number_is_read_back(number: object, decimal: str) -> None:
    text = f"{number:,}".translate(str.maketrans(",.", GROUPINGS[decimal] + decimal))
    assert NumberFormat(decimal, GROUPINGS[decimal]).read(text) == float(str(number))


# -- recognition


@pytest.mark.parametrize(
    ("texts", "notation"),
    [
        (["2,017.71", "95.10"], "1,234.56"),
        (["2.017,71", "95,10"], "1.234,56"),
        (["1 234,5", "12"], "1 234,56"),
        (["1'234.5", "12"], "1'234.56"),
        (["1,234,567", "12"], "1,234.56"),
        (["1.234.567", "12"], "1.234,56"),
        (["$2,400", "$582"], "$1,234.56"),
        (["2.400 €", "582 €"], "1.234,56 EUR"),
        (["582", *(f"1,{i}" for i in range(200, 210))], "1,234.56"),
        (["Rp 1.234.567", "Rp 1.234"], "1.234,56 IDR"),
        (["$5.50 USD", "$6.50"], "1,234.56 USD"),
        (["$20.00/hr", "$25.50/hr"], "1,234.56 $/hr"),
        (["'1,234.50", "7"], "1,234.56"),
        (['="1234.5"', '="7"'], "1,234.56"),
        (["\u0661\u066c\u0662\u0663\u0664\u066b\u0665"], "1,234.56"),
        (["1250", "3.125"], "1,234.56"),
        (["3.669,-", "1.250,-"], "1.234,56"),
        (["3.669,\u2013 €", "1.250,\u2013 €"], "1.234,56 EUR"),
        (["1'250.- CHF", "80.- CHF"], "1'234.56 CHF"),
        (["582", *(f"1.{i}" for i in range(200, 230))], "1.234,56"),
        (["0.125", "0.250"], "1,234.56"),
        (["12", "582", "1250"], "1234"),
        (["20%", "9.5%"], "20%"),
        (["$5", "$6.50", "7"], "$1,234.56"),
        ([f"{i} km" for i in range(30)], "1234 km"),
        (["12 months", "24 months"], None),
    ],
)
def test_format_is_recognised(texts: list[str], notation: str | None) -> None:
    recognised = recognise_numbers(texts)
    assert (None if recognised is None else recognised.format.notation) == notation
    assert recognised is None or not recognised.doubt


@pytest.mark.parametrize(
    ("texts", "doubtful_as"),
    [
        (["49.267", "48.056"], "1.234,56"),
        (["1.250", "582"], "1.234,56"),
        (["1,234", "1250"], "1.234,56"),
        (["1,234", "1.234"], "1.234,56"),
        (["2,400", "582"], "1.234,56"),
        (["582", *(f"1,{i}" for i in range(200, 209))], "1.234,56"),
        (["3,591", "2,207", "7"], "1.234,56"),
        (["1.250 Mio. €", "2.375 Mio. €"], "1.234,56 EUR"),
        (["KWD 1.250", "KWD 2.375"], "1.234,56 KWD"),
        (["1,5", "2.5"], None),
    ],
)
def test_format_that_no_cell_shows_is_in_doubt(texts: list[str], doubtful_as: str | None) -> None:
    recognised = recognise_numbers(texts)
    assert recognised is not None
    assert recognised.doubt
    assert doubtful_as in (None, recognised.doubtful_as)


@pytest.mark.parametrize(("decimal", "notation"), [(".", "1,234.56"), (",", "1.234,56")])
def test_preferred_decimal_sign_ends_the_doubt(decimal: str, notation: str) -> None:
    for evidence in (SignEvidence(decimal), SignEvidence(decimal, "numbers of another column")):
        recognised = recognise_numbers(["49.267", "48.056"], evidence)
        assert recognised is not None
        assert (recognised.format.notation, recognised.doubt) == (notation, "")
        assert recognised.reason == evidence.reason


DAYS = SignEvidence(",", "dates such as", is_of_numbers=False)
AMERICAN = SignEvidence(".", "dates such as", is_of_numbers=False)
THOUSANDS = ["582", *(f"1,{i}" for i in range(200, 210))]


@pytest.mark.parametrize(
    ("texts", "evidence", "notation", "has_doubt"),
    [
        (["3,591", "7"], DAYS, "1.234,56", False),
        (["3.591", "7"], DAYS, "1,234.56", True),  # a program may have written the point
        (["3,591", "7"], AMERICAN, "1,234.56", False),
        (["3.591", "7"], AMERICAN, "1,234.56", False),
        (["$3,591"], DAYS, "$1.234,56", True),
        (THOUSANDS, DAYS, "1.234,56", True),
        (THOUSANDS, AMERICAN, "1,234.56", False),
        (["12", "7"], DAYS, "1234", False),
    ],
)
def test_dates_and_delimiters_are_weaker_evidence(
    texts: list[str], evidence: SignEvidence, notation: str, has_doubt: bool
) -> None:
    recognised = recognise_numbers(texts, evidence)
    assert recognised is not None
    assert recognised.format.notation == notation
    assert bool(recognised.doubt) == has_doubt


@pytest.mark.parametrize(("n_thousands", "decimal"), [(9, "."), (10, ",")])
def test_ten_numbers_with_three_digits_beside_small_ones_are_thousands(
    n_thousands: int, decimal: str
) -> None:
    recognised = recognise_numbers(["582", *(f"1.{i}" for i in range(200, 200 + n_thousands))])
    assert recognised is not None
    assert recognised.format.decimal == decimal
    assert bool(recognised.doubt) == (decimal == ".")


@pytest.mark.parametrize(("n_points", "has_doubt"), [(98, True), (99, False)])
def test_one_other_sign_in_a_hundred_does_not_cause_a_doubt(n_points: int, has_doubt: bool) -> None:
    commas = ["7,5", "8,5"][: 100 - n_points]
    recognised = recognise_numbers([*(f"{i}.5" for i in range(n_points)), *commas])
    assert recognised is not None
    assert recognised.format.decimal == "."
    assert bool(recognised.doubt) == has_doubt


def test_several_groups_of_thousands_decide_for_the_column() -> None:
    recognised = recognise_numbers(["1.234.567", "1.250"])
    assert recognised is not None
    assert (recognised.format.decimal, recognised.doubt) == (",", "")


@pytest.mark.parametrize(("n_values", "unit"), [(25, None), (26, "km")])
def test_few_values_with_a_word_are_a_category(n_values: int, unit: str | None) -> None:
    recognised = recognise_numbers([f"{i} km" for i in range(n_values)])
    assert (None if recognised is None else recognised.format.unit) == unit


def test_unit_of_half_of_the_cells_is_not_the_unit_of_the_column() -> None:
    recognised = recognise_numbers(["$5", "6"])
    assert recognised is not None
    assert recognised.format.unit == ""


@pytest.mark.parametrize("n_percentages", [30, 70])
def test_fractions_beside_percentages_are_in_doubt(n_percentages: int) -> None:
    percentages = [f"{i}%" for i in range(1, n_percentages + 1)]
    fractions = [f"0,{i}" for i in range(11, 111 - n_percentages)]
    recognised = recognise_numbers([*percentages, *fractions])
    assert recognised is not None
    assert recognised.format.unit == "%"
    assert recognised.doubt == (
        'some cells are percentages such as "1%", others fractions such as "0,11", which is read '
        'as 0,11 %. If "0,11" means 11 %, correct the export'
    )
    assert recognised.doubtful_as == "1.234,56"


@pytest.mark.parametrize("others", [["0"], ["35", "12.5"], ["0.35%"], ["0.35"]])
def test_other_numbers_beside_percentages_do_not_cause_a_doubt(others: list[str]) -> None:
    percentages = [f"{i}.5%" for i in range(1, 200)]
    recognised = recognise_numbers([*percentages, *others])
    assert recognised is not None
    assert (recognised.format.unit, recognised.doubt) == ("%", "")


def test_certain_decimal_sign_comes_before_the_preferred_one() -> None:
    recognised = recognise_numbers(["49.2668"], SignEvidence(","))
    assert recognised is not None
    assert recognised.format.decimal == "."


def test_currencies_of_amounts_may_differ() -> None:
    amounts = recognise_numbers(["$5", "€6", "7"], any_currency=True)
    assert amounts is not None
    assert amounts.format.unit == "¤"
    assert amounts.units == {"$": 1, "EUR": 1, "": 1}


def test_texts_without_numbers_have_no_format() -> None:
    assert recognise_numbers(["soon", "Bonn"]) is None
