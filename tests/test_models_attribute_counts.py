"""Tests of the counts of missing and unseen values."""

import math
import threading

import pandas as pd
import pytest

from features.attributes.category import CategoryAttribute
from features.attributes.choices import ChoiceAttribute
from features.attributes.date import DateAttribute
from features.attributes.email import EmailAttribute
from features.attributes.flag import FlagAttribute
from features.attributes.number import NumberAttribute
from features.attributes.target import TargetAttribute
from features.pipeline import FeaturePipeline
from features.times import cell_time
from models.attribute_changes import AttributeShare, attribute_changes
from models.attribute_counts import BLOCK_LEADS, MOST_PENDING, AttributeCounts

NONE: frozenset[str] = frozenset()
PIPELINE = FeaturePipeline(
    attributes=(
        NumberAttribute("Size", NONE, 5.0),
        CategoryAttribute("Source", NONE, ("Web", "Fair")),
        FlagAttribute("Opt in", NONE),
        DateAttribute("Form", NONE, "age_days"),
        DateAttribute("Form", NONE, "month"),
        EmailAttribute("Mail", NONE),
        ChoiceAttribute("Topics", NONE, ";", "Demo", ("Demo",)),
        ChoiceAttribute("Topics", NONE, ";", "", ("Demo",)),
        TargetAttribute("City", NONE, {"": -2.0, "graz": -1.0}, average=-1.5),
        TargetAttribute("Campaign", NONE, {"ad": -1.0}, average=-1.5),
    ),
    left_out=(),
)
COLUMNS = ["Size", "Source", "Opt in", "Form", "Mail", "Topics", "City", "Campaign"]
USUAL = ["5", "Web", "yes", "2025-03-01", "a@b.example", "Demo", "Graz", "Ad"]
NEW = ["many", "Zoo", "maybe", "soon", "nobody", "Demo;Zoo", "Bonn", "Zoo"]
AS_OF = cell_time("2025-06-01")


def leads_of(*rows: list[str]) -> list[dict[str, str]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def added(counts: AttributeCounts, *rows: list[str]) -> AttributeCounts:
    leads = leads_of(*rows)
    counts.add(PIPELINE.rows(leads, as_of=AS_OF), leads)
    return counts


def by_column(counts: AttributeCounts) -> dict[str, tuple[int, int]]:
    """Return the numbers of missing and of unseen values."""
    tally = counts.all
    return {
        column: (int(missing), int(unseen))
        for column, missing, unseen in zip(counts.columns, tally.missing, tally.unseen, strict=True)
    }


def test_each_kind_of_attribute_has_missing_and_unseen_values() -> None:
    counts = added(AttributeCounts(PIPELINE), USUAL, USUAL, NEW, [""] * len(COLUMNS))
    assert counts.all.n == 4
    assert by_column(counts) == {
        "Size": (2, 0),  # empty, and not a number
        "Source": (1, 1),
        "Opt in": (2, 0),
        "Form": (2, 0),
        "Mail": (1, 1),
        "Topics": (1, 1),
        "City": (1, 1),
        "Campaign": (1, 1),  # no training lead lacked it
    }


SAME = {"": -2.0, "bonn": -2.0, "graz": -1.5, "rome": -1.0}  # graz is won like the average


@pytest.mark.parametrize("log_odds", [SAME, {word: SAME[word] for word in SAME if word}])
@pytest.mark.parametrize("as_table", [False, True])
def test_values_of_a_category_with_the_same_log_odds_are_distinguished(
    log_odds: dict[str, float], as_table: bool
) -> None:
    city = TargetAttribute("City", frozenset({"-"}), log_odds, average=-1.5)
    pipeline = FeaturePipeline(attributes=(city,), left_out=())
    cells = ["Bonn", "GRAZ ", "Rome", "Zoo", None, "-", "graz", float("nan")]
    leads = [{"City": cell} for cell in cells] + [{}]
    counts = AttributeCounts(pipeline)
    features = pipeline.rows(leads)
    counts.add(features, pd.DataFrame({"City": [*cells, ""]}) if as_table else leads)
    assert by_column(counts) == {"City": (4, 1)}
    assert [city.warning(cell) is not None for cell in cells] == [cell == "Zoo" for cell in cells]


def test_vanished_category_counts_as_missing() -> None:
    """Whether or not the column is in the table, and although no training lead lacked it."""
    leads = [{"Size": "5"}] * 40
    counts = AttributeCounts(PIPELINE)
    counts.add(PIPELINE.rows(leads, as_of=AS_OF), pd.DataFrame(leads))
    shares = [AttributeShare("Campaign", 1_000, missing=0.0, unseen=0.02)]
    (change,) = attribute_changes(counts.columns, counts.all, shares)
    assert (change.column, change.state, change.share) == ("Campaign", "missing", 1.0)


@pytest.mark.parametrize("size", [1, 7, 40])
def test_sizes_of_matrices_do_not_change_the_counts(size: int) -> None:
    rows = [USUAL, NEW, [""] * len(COLUMNS)] * 40
    whole, parts = added(AttributeCounts(PIPELINE), *rows), AttributeCounts(PIPELINE)
    for start in range(0, len(rows), size):
        added(parts, *rows[start : start + size])
    assert parts.all.n == whole.all.n == 120
    assert parts.all.missing.tolist() == whole.all.missing.tolist()
    assert parts.all.unseen.tolist() == whole.all.unseen.tolist()


def test_recent_leads_are_the_newest_one_or_two_blocks() -> None:
    counts = AttributeCounts(PIPELINE)
    for row in [[""] * len(COLUMNS)] * 600 + [USUAL] * 2_000:
        added(counts, row)
        assert counts.recent.n <= 2 * BLOCK_LEADS + MOST_PENDING
    assert counts.all.missing[0] == 600
    assert counts.recent.n >= BLOCK_LEADS
    assert counts.recent.missing[0] == 0
    counts.clear()
    assert counts.all.n == counts.recent.n == 0


def test_threads_lose_no_lead() -> None:
    counts, leads = AttributeCounts(PIPELINE), leads_of(NEW)
    features = PIPELINE.rows(leads, as_of=AS_OF)

    def add() -> None:
        for _ in range(2_000):
            counts.add(features, leads)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        assert counts.all.n <= 8_000
    for thread in threads:
        thread.join()
    assert counts.all.n == 8_000
    assert by_column(counts)["Size"] == (8_000, 0)
    assert by_column(counts)["Campaign"] == (0, 8_000)


def test_missing_value_of_a_kind_is_what_it_reads_from_an_empty_cell() -> None:
    for attribute in PIPELINE.attributes:
        if attribute.column != "Campaign":
            empty = attribute.encode("")
            assert empty == attribute.missing_value or math.isnan(attribute.missing_value)
            assert math.isnan(empty) == math.isnan(attribute.missing_value)
