"""Cells with several values: which columns are split, and how their cells are read."""

import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm.cells import list_cell
from crm.project import load_project
from crm.reading import read_records
from features.attributes.attribute import UndeclaredColumn
from features.attributes.choices import MAX_VALUES, MIN_LEADS, ChoiceAttribute
from features.fitting import fit_pipeline
from features.groups import groups_by_value
from features.moments import make_moments
from features.pipeline import FeaturePipeline
from tests.made_trainings import small_leads, write_export

NOTHING = frozenset({"none"})
INTERESTS = ("Demo", "Email", "Phone", "Pricing")
VALUES = ("Demo", "Pricing")
DEMO = ChoiceAttribute("Interests", NOTHING, ";", "Demo", VALUES)
OTHER = ChoiceAttribute("Interests", NOTHING, ";", "", VALUES)


def choices(n: int, join: Callable[[Sequence[str]], str] = ";".join) -> list[str | None]:
    """Return cells in which each interest is chosen by about 40 of 100 leads."""
    chosen = np.random.default_rng(0).random((n, len(INTERESTS))) < 0.4
    picked = [[name for name, is_in in zip(INTERESTS, row, strict=True) if is_in] for row in chosen]
    return [join(names) if names else None for names in picked]


def products(*fields: Sequence[str]) -> list[str]:
    """Return 300 cells with one word of each field, separated by commas."""
    words = [", ".join(combination) for combination in itertools.product(*fields)]
    return (words * 300)[:300]


def recognised(cells: Sequence[object]) -> Sequence[ChoiceAttribute]:
    return ChoiceAttribute.recognise(UndeclaredColumn(pd.Series(cells, name="Interests"), NOTHING))


# -- recognising ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("join", "separator"),
    [
        (";".join, ";"),
        ("; ".join, ";"),
        (lambda names: ";".join(names) + ";", ";"),
        ("|".join, "|"),
        (", ".join, ","),
        ("；".join, "；"),
        ("、".join, "、"),
        (";#".join, ";#"),
        (lambda names: ";#" + ";#".join(names) + ";#", ";#"),
        (lambda names: ",".join(f"^{name}^" for name in names), "^,^"),
        (json.dumps, "[]"),
        (str, "[]"),
    ],
)
def test_several_values_are_split(join: Callable[[Sequence[str]], str], separator: str) -> None:
    attributes = recognised(choices(200, join))
    assert {attribute.separator for attribute in attributes} == {separator}
    assert not [value for value in attributes[0].values if not value.isalpha()]
    assert sorted(attribute.value for attribute in attributes) == ["", *INTERESTS]


@pytest.mark.parametrize(
    "cells",
    [
        pytest.param(products(["Smith", "Ng", "Kim"], ["John", "Mary", "Li"]), id="names"),
        pytest.param(products(["Berlin", "Bonn"], ["Germany"]) + ["Germany"] * 50, id="places"),
        pytest.param(["Hospital, private", "Hospital, public", "School"] * 100, id="single values"),
        pytest.param(products(["Hospital", "School"], ["private", "public"]), id="two fields"),
        pytest.param([f"{i % 9},{i % 40:03d}" for i in range(300)], id="numbers"),
        pytest.param(products(["01.01.2024", "02.01.2024"], ["10:17", "11:17"]), id="times"),
        pytest.param([f"Jan {i % 28}, {2023 + i % 2}" for i in range(300)], id="dates"),
        pytest.param([f"Firm {i}, Inc." for i in range(300)], id="companies"),
        pytest.param([f"call me, please; thanks {i}" for i in range(300)], id="free text"),
        pytest.param([f"a{i}@x.com;b{i}@y.com" for i in range(300)], id="addresses"),
        pytest.param(["google|cpc", "google|organic", "bing|cpc"] * 100, id="source and medium"),
        pytest.param([f"{i % 97};{i % 89};{i % 83}" for i in range(900)], id="too many values"),
        pytest.param(["Demo", "Phone", None] * 100, id="one value"),
        pytest.param([], id="no leads"),
    ],
)
def test_cells_with_one_value_are_not_split(cells: list[str]) -> None:
    assert recognised(cells) == ()


def test_values_of_too_few_leads_have_no_feature_of_their_own() -> None:
    cells = [*choices(200), *["Demo;Fax"] * (MIN_LEADS - 1), *["Demo;Video"] * MIN_LEADS]
    values = recognised(cells)[0].values
    assert "Video" in values
    assert "Fax" not in values


def test_number_of_values_is_bounded() -> None:
    names = [f"topic {i}" for i in range(MAX_VALUES + 10)]
    generator = np.random.default_rng(0)
    cells = [";".join(generator.choice(names, 3, replace=False)) for _ in range(500)]
    assert len(recognised(cells)) == MAX_VALUES + 1  # one for all others


def test_most_frequent_spelling_names_a_value() -> None:
    cells = [*choices(200), *["demo ; pricing"] * 5]
    assert sorted(recognised(cells)[0].values) == sorted(INTERESTS)


# -- reading -------------------------------------------------------------------------------


def test_lists_with_one_value_are_one_choice() -> None:
    chosen = [text.split(";") for text in choices(200) if text]
    assert any(len(values) == 1 for values in chosen)
    cells = [list_cell(values) for values in chosen]
    demo = next(attribute for attribute in recognised(cells) if attribute.value == "Demo")
    assert [demo.encode(cell) for cell in cells] == ["Demo" in values for values in chosen]


@pytest.mark.parametrize(
    ("cell", "demo", "other"),
    [
        ("Demo", 1, 0),
        (" demo ;Pricing;", 1, 0),
        ("Pricing", 0, 0),
        ("Pricing;Fax", 0, 1),
        ("Demo;none", 1, 0),
        ('["Demo", "Pricing"]', 1, 0),
        ('["Fax"]', 0, 1),
        ("[Demo];Pricing", 0, 1),
        ("none;", math.nan, math.nan),
        (";", math.nan, math.nan),
        ("None", math.nan, math.nan),
        (None, math.nan, math.nan),
    ],
)
def test_cell_is_read_value_by_value(cell: str | None, demo: float, other: float) -> None:
    np.testing.assert_equal((DEMO.encode(cell), OTHER.encode(cell)), (demo, other))


def test_unseen_value_gets_one_warning() -> None:
    warnings = [attribute.warning("Demo;Fax") for attribute in (DEMO, OTHER)]
    assert [warning and warning.code for warning in warnings] == [None, "unseen_value"]


def test_reasons_name_the_value() -> None:
    feature, other = DEMO.feature, OTHER.feature
    assert feature.say(1.0) == "Interests include Demo"
    assert feature.say(0.0) == "Interests do not include Demo"
    assert feature.say(math.nan) == "Interests is not known"
    assert other.say(1.0) == "Interests include a value that is rare or new"


def test_leads_with_a_value_are_a_group() -> None:
    column = pd.Series(["Demo;Pricing"] * 40 + ["Pricing"] * 60 + [None] * 50)
    groups = groups_by_value(DEMO, column)
    assert groups is not None
    assert list(zip(groups.names, np.bincount(groups.code), strict=True)) == [
        ("not Demo", 110),
        ("Demo", 40),
    ]
    assert groups_by_value(OTHER, column) is None


# -- in a pipeline -------------------------------------------------------------------------


def fitted(folder: Path, rules: str = "") -> FeaturePipeline:
    project, _ = write_export(folder, small_leads(200).assign(Interests=pd.Series(choices(200))))
    project.path.write_text(f"{project.text}\n[columns]\n{rules}")
    project = load_project(folder)
    records = read_records(project)
    return fit_pipeline(records, make_moments(records, project.learn), project)


def test_pipeline_splits_the_column_and_is_saved(tmp_path: Path) -> None:
    pipeline = fitted(tmp_path)
    assert "Interests includes Demo" in pipeline.names
    assert FeaturePipeline.from_json(json.loads(json.dumps(pipeline.to_json()))) == pipeline


def test_declared_category_is_not_split(tmp_path: Path) -> None:
    pipeline = fitted(tmp_path, 'category = ["Interests"]')
    assert [kind.kind for kind in pipeline.attributes if kind.column == "Interests"] == ["category"]
