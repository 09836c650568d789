"""Groups of leads: by the values of an attribute, and by the bands or values of any column."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.project import Project, load_project
from features.attributes.attribute import MISSING_GROUP as MISSING
from features.attributes.attribute import UNSEEN_GROUP as UNSEEN
from features.attributes.attribute import Attribute
from features.attributes.category import CategoryAttribute
from features.attributes.email import EmailAttribute
from features.attributes.flag import FlagAttribute
from features.attributes.number import NumberAttribute
from features.attributes.target import TargetAttribute
from features.groups import OTHERS, Groups, groups_by_value, groups_of_column
from tests.made_projects import ONE_TABLE


def project_in(folder: Path, columns: str = "") -> Project:
    """Write a project file with further keys of [columns], and load it."""
    (folder / "leadscore.toml").write_text(ONE_TABLE + columns)
    return load_project(folder)


def cells(**counts: int) -> pd.Series:
    """Return a column that repeats each value as often as its count."""
    return pd.Series([value for value, n in counts.items() for _ in range(n)], name="city")


def grouped(attribute: Attribute, column: pd.Series) -> Groups:
    """Group a column by the values of an attribute that has groups."""
    groups = groups_by_value(attribute, column)
    assert groups is not None
    return groups


def test_values_are_sorted_by_frequency_and_rare_ones_merged() -> None:
    attribute = CategoryAttribute("city", frozenset(), ("Bonn", "Graz", "Rome", "Wien"))
    groups = grouped(attribute, cells(Graz=31, Bonn=40, Rome=29, Wien=2, Oslo=35))
    assert groups.names == ("Bonn", "Graz", UNSEEN, OTHERS)
    assert np.bincount(groups.code).tolist() == [40, 31, 35, 31]


def test_column_has_at_most_twelve_values_and_others() -> None:
    attribute = TargetAttribute("city", frozenset(), {f"v{i}": 0.0 for i in range(20)}, 0.0)
    groups = grouped(attribute, cells(**{f"v{i}": 60 - i for i in range(20)}))
    assert groups.names == (*(f"v{i}" for i in range(12)), OTHERS)


def test_values_have_the_spelling_of_most_leads() -> None:
    attribute = TargetAttribute("city", frozenset({"n/a"}), {"new york": 0.1, "": 0.0}, 0.0)
    column = pd.Series(["NEW YORK "] * 15 + ["New  York"] * 10 + ["New York"] * 10)
    column = pd.concat([column, pd.Series(["n/a"] * 3 + ["Oslo"] * 40)], ignore_index=True)
    assert grouped(attribute, column).names == ("New York", MISSING, UNSEEN)


def test_flags_and_addresses_are_grouped_by_meaning() -> None:
    flags = grouped(FlagAttribute("f", frozenset()), cells(ja=40, no=50, perhaps=60))
    assert flags.names == ("no", "yes", MISSING)
    mails = pd.Series(["a@acme.de"] * 40 + ["b@gmail.com"] * 35 + ["nowhere"] * 50 + [None] * 2)
    kinds = grouped(EmailAttribute("mail", frozenset()), mails)
    assert kinds.names == ("no address", "company", "free", MISSING)


def test_numbers_are_not_segments() -> None:
    assert groups_by_value(NumberAttribute("n", frozenset(), 0.0), pd.Series([1.0, 2.0])) is None


def test_long_names_are_shortened() -> None:
    groups = grouped(
        CategoryAttribute("c" * 10_000, frozenset(), ("x" * 10_000,)), cells(**{"x" * 10_000: 40})
    )
    assert groups.names == ("x" * 79 + "…",)
    assert len(groups.column) == 80


@pytest.mark.parametrize(
    ("column", "names"),
    [
        (list(range(20, 60)) * 2, ("20 to 29", "30 to 39", "40 to 49", "50 to 59")),
        ([str(age) for age in range(20, 60)], ("20 to 29", "30 to 39", "40 to 49", "50 to 59")),
        ([18] * 60 + list(range(20, 40)), ("18", "20 to 39")),
        ([*range(40), None, "n/a"], ("0 to 9", "10 to 19", "20 to 29", "30 to 39", MISSING)),
        (
            [f"{year}-06-30" for year in range(1950, 1990)],
            ("1950 to 1959", "1960 to 1969", "1970 to 1979", "1980 to 1989"),
        ),
        (
            [1_234_567 + i for i in range(40)],
            (
                "1,234,567 to 1,234,576",
                "1,234,577 to 1,234,586",
                "1,234,587 to 1,234,596",
                "1,234,597 to 1,234,606",
            ),
        ),
        ([1, 2] * 40, ("1", "2")),
        (["single"] * 40 + ["married"] * 50 + ["n/a"], ("married", "single", MISSING)),
        ([None] * 40, (MISSING,)),
        ([f"Name {i}" for i in range(40)], (OTHERS,)),
    ],
    ids=["numbers", "texts", "ties", "gaps", "dates", "large", "few", "words", "nothing", "names"],
)
def test_any_column_is_grouped_by_bands_or_values(
    tmp_path: Path, column: list[Any], names: tuple[str, ...]
) -> None:
    project = project_in(tmp_path)
    groups = groups_of_column(pd.Series(column, name="age", dtype=object), project)
    assert groups.names == names
    assert len(groups.code) == len(column)


def test_project_decides_between_category_and_number(tmp_path: Path) -> None:
    project = project_in(tmp_path, 'category = ["zip"]\nnumber = ["age"]\n')
    values = [*range(30), *["?"] * 30]
    by_category, by_number = (
        groups_of_column(pd.Series(values, name=name, dtype=object), project)
        for name in ("zip", "age")
    )
    assert by_category.names == ("?", OTHERS)
    assert by_number.names == ("0 to 7", "8 to 14", "15 to 22", "23 to 29", MISSING)


@pytest.mark.parametrize(
    ("cells_of", "notation", "first"),
    [
        (lambda i: f"{i}.000,5", "1.234,56", "1,000.5 to 25,000.5"),
        (lambda i: f"01.01.{1950 + i}", "%d.%m.%Y", "1951 to 1975"),
    ],
)
def test_formatted_column_is_grouped_by_bands(
    tmp_path: Path, cells_of: Any, notation: str, first: str
) -> None:
    column = pd.Series([cells_of(i) for i in range(1, 101)] * 10, name="x")
    groups = groups_of_column(column, project_in(tmp_path), notation=notation)
    assert groups.names[0] == first
    assert len(groups.names) == 4


@pytest.mark.parametrize(
    ("numbers", "names"),
    [
        (range(4_001, 12_001), ["4,001 to 6,000", "6,001 to 8,000", "8,001 to 10,000"]),
        (range(1_901, 1_981), ["1901 to 1920", "1921 to 1940", "1941 to 1960"]),
        (range(1_801, 1_881), ["1,801 to 1,820", "1,821 to 1,840", "1,841 to 1,860"]),
        ([n + 0.5 for n in range(1_901, 1_981)], ["1,901.5 to 1,920.5"]),
    ],
)
def test_bands_have_separators_except_years(
    tmp_path: Path, numbers: Sequence[float], names: list[str]
) -> None:
    column = pd.Series(numbers, name="size", dtype=object)
    groups = groups_of_column(column, project_in(tmp_path))
    assert list(groups.names[: len(names)]) == names
