"""Attributes are read as the same numbers for one lead and for a million leads."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.cells import cell_text
from crm.errors import LearningError, SchemaError
from crm.project import PROJECT_FILE, load_project
from crm.records import Records
from features.attributes.attribute import MISSING, UNSEEN, LeftOut
from features.attributes.category import CategoryAttribute
from features.attributes.number import NumberAttribute
from features.attributes.number_or_category import MAX_VOCABULARY, fit_attribute
from features.cell_warnings import cell_warning
from features.fitting import fit_pipeline
from features.moments import make_moments
from features.pipeline import FeaturePipeline


def fit(cells: Any, kind: Any = None, nothing: Any = (), dtype: Any = None) -> Any:
    return fit_attribute(pd.Series(cells, name="x", dtype=dtype), nothing=list(nothing), kind=kind)


# -- what a column is


@pytest.mark.parametrize("truths", [(True, False), ("TRUE", "False")])
def test_true_and_false_are_words_unless_mixed_with_numbers(truths: Any) -> None:
    assert fit([*truths] * 20).kind == "category"
    assert fit([*truths, "perhaps"] * 20).kind == "category"
    assert fit([*truths] * 20, nothing=["0"]).vocabulary == fit([*truths] * 20).vocabulary
    learned = fit([*truths, 1, 0, 7] * 20)
    assert (learned.kind, learned.median) == ("number", 1)
    assert [learned.encode(truth) for truth in truths] == [1, 0]
    assert fit([*truths] * 20, kind="number").median == 0.5
    assert learned.warning(truths[0]) is None
    assert math.isnan(fit([*truths, 5] * 20, nothing=["false"]).encode(truths[1]))


@pytest.mark.parametrize("dtype", ["str", "object", "float", "Float64"])
def test_numbers(dtype: Any) -> None:
    cells = pd.Series([1.5, 2, None, 4] * 20).astype(dtype)
    assert fit(cells) == NumberAttribute("x", frozenset(), median=2.0)


def test_a_few_words_among_numbers_count_as_missing() -> None:
    learned = fit(["7", "9"] * 100 + ["n/a"])
    assert (learned.kind, learned.median) == ("number", 8)
    assert math.isnan(learned.encode("n/a"))
    assert learned.warning("n/a") == cell_warning("not_a_number", "x")
    assert learned.warning("9") is learned.warning(None) is learned.warning("") is None


def test_words_for_nothing_are_missing_in_every_kind() -> None:
    learned = fit(["1", "2.5", "Select", " SELECT "] * 20, nothing=["Select"])
    assert learned == NumberAttribute("x", frozenset({"select"}), median=1.75)
    assert learned.warning("select") is None
    learned = fit(["EU", "US", "not  given"] * 20, nothing=["Not given "])
    assert learned.vocabulary == ("EU", "US")
    assert learned.encode("NOT GIVEN") == MISSING
    assert learned.warning("not given") is None


def test_numbers_for_nothing_are_missing() -> None:
    for cells in ([-1, 5, 7, -1] * 20, ["-1", "5", "7", "-1.0"] * 20, [-1.0, 5, 7, -1] * 20):
        learned = fit(cells, nothing=["-1"])
        assert learned.median == 6
        assert learned.encode_column(pd.Series(cells[:4])).tolist() == pytest.approx(
            [math.nan, 5, 7, math.nan], nan_ok=True
        )
        assert math.isnan(learned.encode(-1))
    odoo = fit(["12.5", "False", "7"] * 20, nothing=["False"])
    assert odoo.median == 9.75
    assert math.isnan(odoo.encode(False))


def test_categories_are_their_most_frequent_spelling() -> None:
    cells = ["EU", "eu ", "US", "EU", None] * 20 + ["APAC"] * 4
    learned = fit(cells)
    assert learned == CategoryAttribute("x", frozenset(), vocabulary=("EU", "US"))
    encoded = [learned.encode(cell) for cell in (None, "", "APAC", " eU", "us")]
    assert encoded == [MISSING, MISSING, UNSEEN, 2, 3]
    assert learned.warning("APAC") == cell_warning("unseen_value", "x")
    assert learned.warning("eu") is learned.warning(None) is None


def test_truth_values_are_the_same_category_as_their_words() -> None:
    for cells in ([True, False], ["True", "false"], np.array([True, False])):
        assert fit(list(cells) * 20).vocabulary in (("true", "false"), ("True", "false"))
    learned = fit([True, False, None] * 20, dtype=object)
    assert [learned.encode(cell) for cell in (True, "TRUE", False, None)] == [2, 2, 3, MISSING]


def test_few_values_that_are_half_numbers_are_categories() -> None:
    assert fit(["1", "2", "3", "4+"] * 20).vocabulary == ("1", "2", "3", "4+")


def test_half_numbers_half_text() -> None:
    cells = [str(i) for i in range(60)] + [f"t{i}" for i in range(60)]
    message = (
        r"leads: `x` is a number in 50% and text in 50% of 240 rows\. Say which it is: list it in "
        r"\[columns\] number .*, category or ignore"
    )
    with pytest.raises(SchemaError, match=message):
        fit(cells * 2)
    assert fit(cells * 2, kind="number").median == 29.5
    assert fit(cells * 9, kind="category").kind == "category"


INFINITE: dict[str, Any] = {
    "text": ["1", "inf", "-Infinity"] * 40,
    "float": [1.0, math.inf, -math.inf] * 40,
    "nothing else": [math.inf, -math.inf] * 60,
}


@pytest.mark.parametrize(("cells"), INFINITE.values(), ids=INFINITE)
def test_infinities_in_a_number_column(cells: Any) -> None:
    message = (
        r"leads: `x` is infinite in \d+ rows\. Expected finite numbers or empty cells; "
        r"mend the export, or list the word in \[columns\] nothing"
    )
    with pytest.raises(SchemaError, match=message):
        fit(cells)
    with pytest.raises(SchemaError, match=message):
        fit(cells, kind="number")


def test_infinities_may_be_nothing() -> None:
    assert fit(INFINITE["float"] + [3.0], nothing=["inf", "-inf"]).median == 1
    assert fit(INFINITE["text"] + ["3"], nothing=["INF", "-infinity"]).median == 1


def test_company_named_infinity_is_text() -> None:
    assert "Infinity" in fit(["Infinity", "Acme", "Initech"] * 20).vocabulary


# -- what is left out


@pytest.mark.parametrize(
    ("cells", "nothing", "reason"),
    [
        ([None] * 30, [], "it is empty"),
        (["", " ", None] * 10, [], "it is empty"),
        (["-", "?", None] * 10, ["-", "?"], "it is empty"),
        (["EU"] * 30, [], "it is always 'EU'"),
        ([7.0] * 30, [], "it is always '7'"),
        (["y" * 99] * 30, [], f"it is always '{'y' * 40}'"),
        (range(100), [], "each lead has a number of its own: an identifier"),
        ([f"n{i}" for i in range(100)], [], "nearly each lead has a value of its own: an ident"),
    ],
)
def test_uninformative_columns_are_left_out(cells: Any, nothing: Any, reason: Any) -> None:
    learned = fit(list(cells), nothing=nothing)
    assert isinstance(learned, LeftOut)
    assert learned.reason.startswith(reason)


def test_number_column_without_numbers_is_left_out() -> None:
    learned = fit(["a", "b"] * 20, kind="number")
    assert learned == LeftOut("x", "it is listed as a number and holds none")


def test_one_value_with_missing_cells_is_kept() -> None:
    assert fit(["EU", None] * 20).vocabulary == ("EU",)
    assert fit([7.0, None] * 20).median == 7


@pytest.mark.parametrize("repeats", [1, 2, 7])
def test_number_of_categories_is_limited(repeats: Any) -> None:
    learned = fit([f"c{i}" for i in range(100_000)] * repeats)
    if repeats == 1:
        assert isinstance(learned, LeftOut)
    else:
        assert len(learned.vocabulary) == MAX_VOCABULARY
        assert learned.encode("c99999") == UNSEEN


def test_rare_values_are_unseen() -> None:
    learned = fit(["EU"] * 20 + ["US"] * 5 + ["APAC"] * 4)
    assert learned.vocabulary == ("EU", "US")
    assert fit(["a", "b", "b"]).vocabulary == ("b",)


# -- laws

cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(allow_infinity=False),
    st.sampled_from(["EU", "eu ", "-1", "-1.0", "None", "1e400", "Select", "true", " ", "inf"]),
    st.text(max_size=4),
    st.integers(),
    st.just(10**400),
)
columns = st.one_of(
    st.lists(cells, max_size=12).map(lambda c: pd.Series(c, dtype=object, name="x")),
    st.lists(st.none() | st.text(max_size=4), max_size=12).map(
        lambda c: pd.Series(c, dtype="str", name="x")
    ),
    st.lists(st.none() | st.integers(-3, 3), max_size=12).map(
        lambda c: pd.Series(c, dtype="Int64", name="x")
    ),
    st.lists(st.floats(), max_size=12).map(lambda c: pd.Series(c, dtype=float, name="x")),
    st.lists(st.booleans(), max_size=12).map(lambda c: pd.Series(c, dtype=bool, name="x")),
    st.lists(st.sampled_from(["EU", "-1", "Select"]), max_size=12).map(
        lambda c: pd.Series(c, dtype="category", name="x")
    ),
)
nothings = st.frozensets(st.sampled_from(["-1", "select", "false", "none", "0", "inf"]))
attributes = st.one_of(
    st.builds(NumberAttribute, st.just("x"), nothings, st.just(0.0)),
    st.builds(
        CategoryAttribute, st.just("x"), nothings, st.just(("EU", "true", "1", "-1", "None"))
    ),
)


@given(attributes, columns)
def test_column_equals_its_cells(attribute: Any, column: Any) -> None:
    """Encoding a column equals encoding each of its cells, and leaves the column as it was."""
    before = column.copy(deep=True)
    encoded = attribute.encode_column(column)
    assert encoded.dtype == np.float64
    np.testing.assert_array_equal(encoded, [attribute.encode(cell) for cell in column.tolist()])
    pd.testing.assert_series_equal(column, before)


@given(attributes, st.lists(cells, max_size=12))
def test_cells_equal_single_cells(attribute: Any, cells: Any) -> None:
    """A lead scores the same among others as alone, whatever the others send."""
    together = np.asarray(attribute.encode_cells(cells), dtype=np.float64)
    np.testing.assert_array_equal(together, [attribute.encode(cell) for cell in cells])


@given(attributes, cells)
def test_typed_cell_equals_its_text(attribute: Any, cell: Any) -> None:
    """A lead scores the same from JSON as from a file of text that it was written to."""
    written = cell_text(cell)
    np.testing.assert_array_equal(attribute.encode(written), attribute.encode(cell))
    assert attribute.warning(written) == attribute.warning(cell)
    if attribute.warning(cell) is not None:
        np.testing.assert_equal(attribute.encode(cell), attribute.odd_value)


@given(columns, nothings, st.sampled_from([None, "number", "category"]))
def test_fit_accounts_for_every_column(column: Any, nothing: Any, kind: Any) -> None:
    """A column is a feature, is left out, or is refused; the column stays as it was."""
    before = column.copy(deep=True)
    try:
        learned = fit_attribute(column, nothing=sorted(nothing), kind=kind)
    except SchemaError as refusal:
        if "infinite" not in str(refusal):
            raise
        return
    pd.testing.assert_series_equal(column, before)
    if isinstance(learned, NumberAttribute):
        assert math.isfinite(learned.median)
    elif isinstance(learned, CategoryAttribute):
        assert learned.vocabulary
        folded = [value.casefold() for value in learned.vocabulary]
        assert len(set(folded)) == len(folded)
        assert not set(folded) & learned.nothing


# -- the pipeline

PROJECT = """
[project]
name = "acme"
[leads]
source = "leads.csv"
lead_id = "Id"
outcome = "Status"
reason = "Why"
[learn]
won = ["yes"]
[columns]
nothing = ["Select", "-1"]
ignore = ["Note"]
known_later = ["Last Call"]
sensitive = ["Age", "Gender"]
allow_sensitive = ["Age"]
category = ["Plan"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Any:
    (tmp_path / PROJECT_FILE).write_text(PROJECT)
    return load_project(tmp_path)


@pytest.fixture
def records() -> Any:
    n = 60
    generator = np.random.default_rng(3)
    ids = [str(i) for i in range(n)]
    leads = pd.DataFrame(
        {
            "lead_id": ids,
            "Id": ids,
            "Status": generator.choice(["yes", "no"], n),
            "Why": "price",
            "Note": [f"note {i}" for i in range(n)],
            "Last Call": generator.random(n),
            "Age": generator.integers(18, 80, n).astype(str),
            "Gender": generator.choice(["f", "m"], n),
            "Plan": generator.integers(1, 4, n),
            "Region": generator.choice(
                np.array(["EU", "eu", "US", "Select", None], dtype=object), n
            ),
            "Size": generator.choice([-1, 5, 10.5, np.nan], n),
            "Always": "x",
        }
    )
    outcomes = pd.DataFrame({"lead_id": ids, "outcome": generator.choice(["won", "lost"], n)})
    return Records(
        leads=leads, outcomes=outcomes.assign(closed_at=pd.Series(dtype="datetime64[us, UTC]"))
    )


def fitted(records: Records, project: Any) -> Any:
    return fit_pipeline(records, make_moments(records, project.learn), project)


def test_project_decides_what_is_a_feature(records: Records, project: Any) -> None:
    pipeline = fitted(records, project)
    kinds = {attribute.column: attribute.kind for attribute in pipeline.attributes}
    assert kinds == {"Age": "number", "Plan": "category", "Region": "category", "Size": "number"}
    assert {left.column: left.reason for left in pipeline.left_out} == {
        "Note": "the project ignores it",
        "Last Call": "it is known later than the moment of scoring",
        "Gender": "it is sensitive, and the project does not allow it as a feature",
        "Always": "it is always 'x'",
    }


def test_one_lead_equals_the_lead_in_a_table(records: Records, project: Any) -> None:
    pipeline = fitted(records, project)
    matrix = pipeline.matrix(records.leads)
    rows = [pipeline.rows([lead])[0] for lead in records.leads.astype(object).to_dict("records")]
    np.testing.assert_array_equal(matrix, rows)
    backwards = pipeline.matrix(records.leads[::-1][records.leads.columns[::-1]])
    np.testing.assert_array_equal(backwards, matrix[::-1])
    np.testing.assert_array_equal(pipeline.matrix(records.leads.iloc[[7]]), matrix[[7]])


def test_absent_columns_are_missing(records: Records, project: Any) -> None:
    pipeline = fitted(records, project)
    bare = pipeline.matrix(records.leads[["lead_id"]])
    np.testing.assert_array_equal(bare, [pipeline.rows([{}])[0]] * len(records.leads))


def test_fit_and_transform_do_not_modify_the_input(records: Records, project: Any) -> None:
    before = records.leads.copy(deep=True)
    moments = make_moments(records, project.learn)
    fit_pipeline(records, moments, project).transform(records, moments.lead, moments.as_of)
    pd.testing.assert_frame_equal(records.leads, before)


def test_fit_uses_only_leads_of_its_moments(records: Records, project: Any) -> None:
    moments = make_moments(records, project.learn)
    first = moments.take(moments.lead < 40)
    other = records.leads.copy()
    other.loc[40:, "Region"] = "Mars"
    changed = Records(leads=other, outcomes=records.outcomes)
    assert fit_pipeline(changed, first, project) == fit_pipeline(records, first, project)


def test_pipeline_survives_as_plain_data(records: Records, project: Any) -> None:
    pipeline = fitted(records, project)
    again = FeaturePipeline.from_json(pipeline.to_json())
    assert again == pipeline
    np.testing.assert_array_equal(again.matrix(records.leads), pipeline.matrix(records.leads))


def test_no_usable_column_is_refused(records: Records, project: Any) -> None:
    bare = Records(leads=records.leads[["lead_id", "Note", "Always"]], outcomes=records.outcomes)
    message = (
        r"No column of the leads is left to learn from\. `Note`: the project ignores it; "
        r"`Always`: it is always 'x'\. Export attributes with the leads, or shorten the "
        r"lists in \[columns\]"
    )
    with pytest.raises(LearningError, match=message):
        fitted(bare, project)
