"""Tests of the shares of missing and unseen values in a training, and of the newest leads."""

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.project import load_project
from crm.reading import read_records
from crm.records import Records
from features.attributes.category import CategoryAttribute
from features.attributes.number import NumberAttribute
from features.attributes.target import TargetAttribute
from features.pipeline import FeaturePipeline
from models.attribute_changes import AttributeShare
from training.attribute_shares import attribute_shares, newest_lead_notes

NONE: frozenset[str] = frozenset()
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
N_LEADS = 1_000
PIPELINE = FeaturePipeline(
    attributes=(
        NumberAttribute("Budget", NONE, 5.0),
        CategoryAttribute("Source", NONE, ("Web", "Fair")),
        TargetAttribute("City", NONE, {"graz": -1.0, "bonn": -2.0, "rome": -3.0}, average=-1.5),
    ),
    left_out=(),
)


def leads(n: int = N_LEADS) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "lead_id": [f"L{i}" for i in range(n)],
            "created_at": pd.date_range("2025-01-01", "2025-12-31", periods=n, tz="UTC"),
            "Budget": [str(i % 90) if i % 10 else "" for i in range(n)],
            "Source": [("Web", "Fair", "Ad")[i % 3] for i in range(n)],
            "City": [("Graz", "Bonn", "Rome")[i % 3] for i in range(n)],
        },
    )


@pytest.fixture
def records(simulated_crm: Path) -> Records:
    return replace(read_records(load_project(simulated_crm)), leads=leads())


def test_shares_are_those_of_the_leads() -> None:
    table = leads(900)
    table.loc[:8, "City"] = [f"Village {i}" for i in range(9)]
    assert attribute_shares(PIPELINE, table, 0) == [
        AttributeShare("Budget", 900, missing=0.1, unseen=0.0),
        AttributeShare("Source", 900, missing=0.0, unseen=1 / 3),
        AttributeShare("City", 900, missing=0.0, unseen=0.01),
    ]


def test_values_of_one_lead_estimate_new_values() -> None:
    learned = {f"village {i}": -1.0 for i in range(9)} | {"graz": -2.0}
    pipeline = replace(PIPELINE, attributes=(TargetAttribute("City", NONE, learned, average=-1.5),))
    table = leads(90).assign(City=[f"Village {i}" for i in range(9)] + ["Graz"] * 81)
    assert attribute_shares(pipeline, table, 0) == [AttributeShare("City", 90, 0.0, 0.1)]


def test_column_that_the_newest_leads_lack_is_named(records: Records) -> None:
    newest = records.leads["created_at"] >= pd.Timestamp("2025-11-20", tz="UTC")
    vanished = records.leads.assign(Budget=records.leads["Budget"].mask(newest))
    records = replace(records, leads=vanished.sample(frac=1, random_state=1))
    assert newest_lead_notes(PIPELINE, records, NOW) == [
        "`Budget` is empty or unreadable in 100 % of the newest 100 leads, created since "
        "2025-11-24, and in 11 % of the older leads. Check that it is still exported and filled."
    ]


def test_renamed_values_of_the_newest_leads_are_named(records: Records) -> None:
    newest = np.arange(N_LEADS) >= N_LEADS - 100
    renamed = records.leads["Source"].where(~newest, "Messe")
    (note,) = newest_lead_notes(
        PIPELINE, replace(records, leads=leads().assign(Source=renamed)), NOW
    )
    assert note.startswith("`Source` has a rare or unseen value in 100 % of the newest 100 leads")


def test_leads_that_stay_the_same_and_few_leads_have_no_note(records: Records) -> None:
    assert newest_lead_notes(PIPELINE, records, NOW) == []
    vanished = leads(200).assign(Budget=["5"] * 180 + [""] * 20)
    assert newest_lead_notes(PIPELINE, replace(records, leads=vanished), NOW) == []
    assert newest_lead_notes(PIPELINE, replace(records, leads=leads(5)), NOW) == []


def test_card_stores_the_shares_and_the_scorer_reads_them(trained: Any) -> None:
    scorer = trained.scorer
    shares = {share.column: share for share in scorer.learned_shares}
    assert list(shares) == scorer.pipeline.columns
    assert {share.leads for share in shares.values()} == {scorer.card.learned_from["learned_leads"]}
    assert 0 < shares["budget_eur"].missing < 1
    assert shares["source"].missing == 0.0
    old = replace(scorer, card=replace(scorer.card, attribute_shares=[]))
    assert old.learned_shares == []
