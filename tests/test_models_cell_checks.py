"""Warnings about leads unlike those learned from: the same in a request and in a table."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.arrays import Ints
from crm.times import DAY, NOT_A_TIME
from features.attributes.attribute import Attribute
from features.attributes.category import CategoryAttribute
from features.attributes.date import DateAttribute
from features.attributes.number import NumberAttribute
from features.cell_warnings import cell_warning
from features.pipeline import FeaturePipeline
from features.times import cell_time
from models.cell_checks import MOST_VALUES, CellChecks, WarnedCells, WarningCounts

NOTHING = frozenset({"-", "-1"})
ATTRIBUTES: tuple[Attribute, ...] = (
    NumberAttribute("Size", NOTHING, 50.0, lowest=0.0, highest=100.0),
    CategoryAttribute("Source", NOTHING, ("Web",)),
    DateAttribute("Form", NOTHING, "age_days"),
    DateAttribute("Form", NOTHING, "weekday"),
)
PIPELINE = FeaturePipeline(ATTRIBUTES, (), has_times=True, age_days=(7.0, 30.0))
NOW = cell_time("2025-06-01T00:00:00Z")


def warnings_of(
    cells: dict[str, Any],
    pipeline: FeaturePipeline = PIPELINE,
    as_of: int = NOW,
    age_days: float | None = 10,
) -> list[tuple[str, str]]:
    """Return codes and columns of the warnings about one lead, equal for request and table."""
    created = as_of - int(age_days * DAY) if age_days is not None else NOT_A_TIME
    checks = CellChecks(pipeline, "Created")
    history = pipeline.history_of_cells([created], [()], [()])
    features = pipeline.rows([cells], history, as_of)
    moments: Ints = np.array([as_of])
    (warnings,) = checks.of_leads([cells], features, moments)
    of_table = checks.of_table(pd.DataFrame([cells]), features, moments)
    if "Created" in cells:
        assert [row.warning for row in of_table] == warnings
        assert all(row.n == 1 for row in of_table)
    return [(warning.code, warning.column) for warning in warnings]


@pytest.mark.parametrize("size", [0, 50, "100", 125, None, "", "-", "-1", -1, True, "true"])
def test_usual_number_has_no_warning(size: Any) -> None:
    assert warnings_of({"Size": size, "Created": "x"}) == []


@pytest.mark.parametrize("size", [-25, 125.1, "1e9", "-1000", 10**30])
def test_number_far_outside_the_training_range_has_a_warning(size: Any) -> None:
    assert warnings_of({"Size": size, "Created": "x"}) == [("outside_training", "Size")]


def test_message_of_a_number_outside_names_the_range() -> None:
    warning = ATTRIBUTES[0].warning(400)
    assert warning is not None
    assert "the range of the training leads (0 to 100), so its effect is limited" in warning.message


def test_model_of_an_earlier_version_has_no_range() -> None:
    without_range = replace(
        PIPELINE, attributes=(NumberAttribute("Size", NOTHING, 50.0),), age_days=None
    )
    assert warnings_of({"Size": 1e9, "Created": "x"}, without_range, age_days=900) == []


def test_date_after_the_moment_has_one_warning() -> None:
    cells = {"Form": "2025-06-02", "Created": "x"}
    assert warnings_of(cells) == [("time_in_future", "Form")]
    assert warnings_of({"Form": "2025-05-31", "Created": "x"}) == []
    assert warnings_of({"Form": "soon", "Created": "x"}) == [("unreadable_time", "Form")]


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("1900-01-01", "outside_training"),
        ("2022-06-01", "outside_training"),
        ("2022-08-01", None),
        ("2025-05-31", None),  # after the training: time passes
        ("2099-01-01", "time_in_future"),
    ],
)
def test_date_long_before_the_training_dates_has_a_warning(cell: str, code: str | None) -> None:
    first, last = (cell_time(day) / DAY for day in ("2023-01-01", "2024-12-31"))
    dates = tuple(
        DateAttribute("Form", NOTHING, part, earliest=first, latest=last)
        for part in ("age_days", "weekday", "month")
    )
    pipeline = replace(PIPELINE, attributes=dates)
    expected = [] if code is None else [(code, "Form")]
    assert warnings_of({"Form": cell, "Created": "x"}, pipeline) == expected


def test_warning_about_a_creation_names_the_expected_format() -> None:
    checks = CellChecks(PIPELINE, "Created", "%d.%m.%Y")
    cells = {"Created": "soon"}
    features = PIPELINE.rows([cells], PIPELINE.no_history(1), NOW)
    ((warning,),) = checks.of_leads([cells], features, np.array([NOW]))
    assert "(expected %d.%m.%Y, such as 31.01.2026)" in warning.message


@pytest.mark.parametrize(
    ("age_days", "code"),
    [
        (-1.0, "time_in_future"),
        (-0.001, "younger_than_learned"),  # the clocks differ by a minute and a half
        (0.0, "younger_than_learned"),
        (6.5, None),
        (31.0, None),
        (31.5, "older_than_learned"),
        (4000.0, "older_than_learned"),
    ],
)
def test_age_outside_those_learned_from_has_a_warning(age_days: float, code: str | None) -> None:
    expected = [] if code is None else [(code, "Created")]
    assert warnings_of({"Created": "x"}, age_days=age_days) == expected


def test_unreadable_creation_has_a_warning_and_an_empty_one_has_none() -> None:
    assert warnings_of({"Created": "soon"}, age_days=None) == [("unreadable_time", "Created")]
    assert warnings_of({"Created": ""}, age_days=None) == []
    assert warnings_of({}, age_days=None) == []


def test_without_a_moment_nothing_is_late_or_old() -> None:
    history = PIPELINE.history_of_cells([NOW], [()], [()])
    cells = {"Form": "2099-01-01", "Created": "2025-06-01"}
    features = PIPELINE.rows([cells], history, NOT_A_TIME)
    assert CellChecks(PIPELINE, "Created").of_leads([cells], features, np.array([NOT_A_TIME])) == [
        []
    ]


# -- counts ----------------------------------------------------------------------------------


def chunks_of(texts: list[str], sizes: list[int]) -> list[list[WarnedCells]]:
    warning = cell_warning("unseen_value", "Source")
    ends = np.cumsum([0, *sizes])
    parts = [np.array(texts[a:b], dtype=object) for a, b in zip(ends, ends[1:], strict=False)]
    return [[WarnedCells(warning, len(part), part)] for part in parts]


def counted(chunks: list[list[WarnedCells]]) -> Any:
    counts = WarningCounts(PIPELINE)
    for chunk in chunks:
        counts.add(chunk)
    (row,) = counts.rows
    return row


def test_counts_have_the_most_frequent_cells_as_examples() -> None:
    texts = ["Fair"] * 3 + ["Ad"] * 5 + ["Zoo", "Bus", "y" * 99]
    row = counted(chunks_of(texts, [4, 7]))
    assert (row.code, row.column, row.cells) == ("unseen_value", "Source", 11)
    assert row.examples == ["Ad", "Fair", "Bus"]


def test_order_and_size_of_chunks_do_not_change_counts() -> None:
    generator = np.random.default_rng(0)
    texts = [f"v{i}" for i in generator.integers(4 * MOST_VALUES, size=6 * MOST_VALUES)]
    expected = counted(chunks_of(texts, [len(texts)]))
    chunks = chunks_of(texts, [1000] * 6)
    assert counted(chunks) == expected
    assert counted(chunks[::-1]) == expected
    assert expected.cells == len(texts)


def test_table_with_moments_of_their_own_has_the_warnings_of_each_lead() -> None:
    table = pd.DataFrame(
        {
            "Size": ["1e9", "5", "many", "7"],
            "Source": ["Web", "Zoo", "Zoo", None],
            "Form": ["2025-06-02", "2025-06-02", "soon", None],
            "Created": ["2025-05-20", "2025-06-01", "2020-01-01", "late"],
        }
    )
    as_of = np.array([NOW, NOW + 9 * DAY, NOW, NOW])
    created = [cell_time(cell) for cell in table["Created"]]
    history = PIPELINE.history_of_cells(created, [()] * 4, [()] * 4)
    features = PIPELINE.matrix(table, history, as_of)
    checks = CellChecks(PIPELINE, "Created")
    leads = [{str(name): cell for name, cell in row.items()} for row in table.to_dict("records")]
    alone = checks.of_leads(leads, features, as_of)
    counts = WarningCounts(PIPELINE)
    counts.add(checks.of_table(table, features, as_of))
    by_warning = {(row.code, row.column): row.cells for row in counts.rows}
    of_leads = pd.Series([(w.code, w.column) for warnings in alone for w in warnings])
    assert by_warning == of_leads.value_counts().to_dict()
    assert by_warning == {
        ("outside_training", "Size"): 1,
        ("not_a_number", "Size"): 1,
        ("unseen_value", "Source"): 2,
        ("time_in_future", "Form"): 1,
        ("unreadable_time", "Form"): 1,
        ("older_than_learned", "Created"): 1,
        ("unreadable_time", "Created"): 1,
    }
