"""Tests of the counts of missing and unseen values."""

import math
import threading

import numpy as np
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


def features(*rows: list[str]) -> np.ndarray:
    leads = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    return PIPELINE.rows(leads, as_of=AS_OF)


def test_each_kind_of_attribute_has_missing_and_unseen_values() -> None:
    counts = AttributeCounts(PIPELINE)
    counts.add(features(USUAL, USUAL, NEW, [""] * len(COLUMNS)))
    tally = counts.all
    assert list(counts.columns) == COLUMNS
    assert tally.n == 4
    assert dict(zip(COLUMNS, tally.missing.tolist(), strict=True)) == {
        "Size": 2,  # empty, and not a number
        "Source": 1,
        "Opt in": 2,
        "Form": 2,
        "Mail": 1,
        "Topics": 1,
        "City": 1,
        "Campaign": 0,  # no training lead lacked it, so an empty cell is an unseen value
    }
    assert dict(zip(COLUMNS, tally.unseen.tolist(), strict=True)) == {
        "Size": 0,
        "Source": 1,
        "Opt in": 0,
        "Form": 0,
        "Mail": 1,
        "Topics": 1,
        "City": 1,
        "Campaign": 2,
    }


@pytest.mark.parametrize("size", [1, 7, 40])
def test_sizes_of_matrices_do_not_change_the_counts(size: int) -> None:
    matrix = features(*[USUAL, NEW, [""] * len(COLUMNS)] * 40)
    whole, parts = AttributeCounts(PIPELINE), AttributeCounts(PIPELINE)
    whole.add(matrix)
    for start in range(0, len(matrix), size):
        parts.add(matrix[start : start + size])
    assert parts.all.n == whole.all.n == 120
    assert parts.all.missing.tolist() == whole.all.missing.tolist()
    assert parts.all.unseen.tolist() == whole.all.unseen.tolist()


def test_recent_leads_are_the_newest_one_or_two_blocks() -> None:
    counts = AttributeCounts(PIPELINE)
    empty, usual = features([""] * len(COLUMNS)), features(USUAL)
    for row in [empty] * 600 + [usual] * 2_000:
        counts.add(row)
        assert counts.recent.n <= 2 * BLOCK_LEADS + MOST_PENDING
    assert counts.all.missing[0] == 600
    assert counts.recent.n >= BLOCK_LEADS
    assert counts.recent.missing[0] == 0
    counts.clear()
    assert counts.all.n == counts.recent.n == 0


def test_threads_lose_no_lead() -> None:
    counts, row = AttributeCounts(PIPELINE), features(NEW)

    def add() -> None:
        for _ in range(2_000):
            counts.add(row)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        assert counts.all.n <= 8_000
    for thread in threads:
        thread.join()
    assert counts.all.n == 8_000
    assert counts.all.missing[0] == 8_000


def test_missing_value_of_a_kind_is_what_it_reads_from_an_empty_cell() -> None:
    for attribute in PIPELINE.attributes:
        if attribute.column != "Campaign":
            empty = attribute.encode("")
            assert empty == attribute.missing_value or math.isnan(attribute.missing_value)
            assert math.isnan(empty) == math.isnan(attribute.missing_value)
