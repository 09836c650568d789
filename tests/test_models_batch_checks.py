"""Formats and currencies of a file that differ from those of the training leads."""

import datetime
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from commands.terminal.batch import batch_lines
from features.attributes.date import DateAttribute
from features.attributes.number import NumberAttribute
from models.batch import BatchSummary
from models.batch_checks import OtherFormat, currency_notes, other_formats

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def scorer_of(*attributes: Any, created_format: str | None = None, has_times: bool = False) -> Any:
    pipeline = SimpleNamespace(attributes=attributes, has_times=has_times)
    roles = {"created_at": "Created"}
    return SimpleNamespace(pipeline=pipeline, roles=roles, time_format=created_format)


def test_numbers_in_another_format_are_named() -> None:
    learned = NumberAttribute("x", frozenset(), median=1.0, notation="1,234.56")
    scorer = scorer_of(learned)
    german = [f"1.{100 + i}" if i % 2 else f"2.{200 + i},5" for i in range(40)]
    (found,) = other_formats(scorer, pd.DataFrame({"x": german}))
    assert found == OtherFormat("x", "1.234,56", "1,234.56", "1.101")
    summary = BatchSummary(40, [], [], other_formats=[found])
    assert any('"1.101" another meaning' in line for line in batch_lines(summary, None, NOW))


@pytest.mark.parametrize(
    ("cells", "notation", "example", "usual"),
    [
        ([f"0.{i:02}" for i in range(1, 60)], "20%", "0.01", "27.5%"),
        ([i / 100 for i in range(60)], "20%", "0.01", "27.5%"),
        ([f"0,{i:02}" for i in range(1, 60)], "1.234,56%", "0,01", "27,5%"),
        (["27%", "0.31", None, "1", "0.25"], "20%", "0.31", "27.5%"),
        ([*(f"0.{i:02}" for i in range(1, 60)), "1.2", "3"], "20%", "0.01", "27.5%"),
    ],
)
def test_fractions_in_place_of_percentages_are_named(
    cells: list[Any], notation: str, example: str, usual: str
) -> None:
    learned = NumberAttribute("x", frozenset(), median=27.5, notation=notation)
    table = pd.DataFrame({"x": cells}, index=range(3, len(cells) + 3))  # rows were left out
    (found,) = other_formats(scorer_of(learned), table)
    assert found.sentence == (
        f'`x` seems to have fractions, but the model reads percentages: "{example}" is read as '
        f"{example}%; training cells were such as {usual}"
    )


@pytest.mark.parametrize(
    ("cells", "median"),
    [
        (["27%", "0.5%", "8"], 27.5),
        (["0.27", "31"], 27.5),
        (["0.27", "0.31", *(str(i) for i in range(5, 50))], 27.5),
        (["0.27", "0.31", "0.9"], 2.5),
        (["0", "1"], 27.5),
        (["0.27", "0.31"], 0.4),
        ([None, "soon"], 27.5),
    ],
)
def test_percentages_are_not_fractions(cells: list[str], median: float) -> None:
    learned = NumberAttribute("x", frozenset(), median=median, notation="20%")
    assert other_formats(scorer_of(learned), pd.DataFrame({"x": cells})) == []


def test_dates_in_another_format_are_named() -> None:
    learned = DateAttribute("demo", frozenset(), "month", notation="%m/%d/%Y")
    scorer = scorer_of(learned)
    days = [f"{1 + i % 28:02}/{1 + i % 12:02}/2025" for i in range(60)]
    (found,) = other_formats(scorer, pd.DataFrame({"demo": days}))
    assert (found.notation, found.learned, found.example) == ("%d/%m/%Y", "%m/%d/%Y", "01/05/2025")
    american = pd.DataFrame({"demo": [f"{1 + i % 12:02}/{1 + i % 28:02}/2025" for i in range(60)]})
    assert other_formats(scorer, american) == []


def test_creation_times_in_another_format_are_named() -> None:
    scorer = scorer_of(created_format="%m/%d/%Y %I:%M %p", has_times=True)
    european = pd.DataFrame({"Created": [f"{1 + i % 28:02}/05/2025 09:00 AM" for i in range(60)]})
    (found,) = other_formats(scorer, european)
    assert found.sentence == (
        '`Created` seems to have the format "%d/%m/%Y %I:%M %p", but the model reads '
        '"%m/%d/%Y %I:%M %p", which gives "01/05/2025 09:00 AM" another meaning'
    )
    american = pd.DataFrame({"Created": [f"05/{1 + i % 28:02}/2025 09:00 AM" for i in range(60)]})
    assert other_formats(scorer, american) == []
    without_times = scorer_of(created_format="%m/%d/%Y %I:%M %p")
    assert other_formats(without_times, european) == []


@pytest.mark.parametrize("cells", [["1.101", "2.5"] * 20, ["1,101.5", "20"] * 20, ["soon"] * 40])
def test_numbers_in_the_same_or_an_unclear_format_are_not_named(cells: list[str]) -> None:
    learned = NumberAttribute("x", frozenset(), median=1.0, notation="1,234.56")
    scorer = scorer_of(learned)
    assert other_formats(scorer, pd.DataFrame({"x": cells})) == []


@pytest.mark.parametrize(
    ("cells", "unit", "currencies"),
    [
        (["1,500 EUR", "20 JPY", "3"], "", '"EUR", "JPY"'),
        (["1500 €", "20"], "", '"EUR"'),
        (["1500", "20 kg", "n/a", "1e5", None], "", None),
        (["1500 €", "20"], " EUR", None),
        ([1500, 20.5], "", None),
    ],
)
def test_currencies_are_named_if_the_training_leads_had_none(
    cells: list[Any], unit: str, currencies: str | None
) -> None:
    learned = NumberAttribute("x", frozenset(), median=1.0, notation=f"1,234.56{unit}")
    notes = currency_notes(scorer_of(learned), pd.DataFrame({"x": cells}))
    start = f"`x` has amounts in {currencies}. The numbers of the training leads had no currency"
    assert [note.startswith(start) for note in notes] == [True] * (currencies is not None)
