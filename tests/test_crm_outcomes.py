"""Reading outcomes as won and lost."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from crm.errors import SchemaError
from crm.outcomes import declared_only, flat_outcomes, meanings, to_won_lost, undeclared
from crm.project import TABLE_KEYS, ColumnsKeys, LearnKeys, Project
from crm.reading_notes import ReadingNotes
from crm.times import TIME_DTYPE

LEARN = LearnKeys(won=["Closed won", 1], lost=["lost"], open=["new"])


def outcomes(*values: Any, **columns: Any) -> pd.DataFrame:
    ids = [f"L{i}" for i in range(1, len(values) + 1)]
    table = pd.DataFrame({"lead_id": ids, "outcome": pd.Series(values, dtype=object), **columns})
    return table.set_axis(range(10, 10 + len(values)), axis=0)


def project(**roles: Any) -> Project:
    return Project(
        path=Path("leadscore.toml"),
        text="",
        name="acme",
        simulated=False,
        leads=TABLE_KEYS["leads"](
            source="leads.csv", timezone="Europe/Berlin", time_format="%d.%m.%Y", **roles
        ),
        activities=None,
        stages=None,
        outcomes=None,
        learn=LEARN,
        columns=ColumnsKeys(),
    )


def test_won_and_lost_leads_stay_in_their_order() -> None:
    table = outcomes("LOST", " closed   WON ", "new", None, "", 1, 1.0)
    result = to_won_lost(table, LEARN, "outcomes.csv")
    assert result["lead_id"].tolist() == ["L1", "L2", "L6", "L7"]
    assert result["outcome"].tolist() == ["lost", "won", "won", "won"]
    assert result.index.tolist() == [10, 11, 15, 16]


def test_missing_columns_are_added_with_their_types() -> None:
    result = to_won_lost(outcomes("lost"), LEARN, "outcomes.csv")
    assert result.columns.tolist() == [
        "lead_id",
        "outcome",
        "closed_at",
        "amount",
        "reason",
        "closed_by",
    ]
    assert result["closed_at"].dtype == TIME_DTYPE
    assert result.loc[10, "closed_at"] is pd.NaT
    assert result["amount"].dtype == "float64"
    assert result[["amount", "reason"]].isna().all(axis=None)


def test_existing_columns_are_not_changed() -> None:
    table = outcomes("lost", "new", "lost", amount=[5.0, 6.0, 7.0], reason=["price", "", "time"])
    result = to_won_lost(table, LEARN, "outcomes.csv")
    assert result["amount"].tolist() == [5.0, 7.0]
    assert result["reason"].tolist() == ["price", "time"]


def test_undeclared_values_are_refused_with_their_counts() -> None:
    message = (
        r"^outcomes\.csv: outcome values that are not declared: 'maybe' \(2 rows\), 'x' \(1 row\)"
        r"\. Add each of them to `won`, `lost` or `open` in `\[learn\]`\.$"
    )
    with pytest.raises(SchemaError, match=message):
        to_won_lost(outcomes("x", "maybe", "maybe", "lost"), LEARN, "outcomes.csv")


def test_at_most_eight_undeclared_values_are_named() -> None:
    assert undeclared(outcomes(*"abcdefghi")).count("(1 row)") == 8


def test_declared_and_undeclared_outcomes_are_split() -> None:
    declared, undeclared_rows = declared_only(outcomes("lost", "maybe", "new", None), LEARN)
    assert declared["lead_id"].tolist() == ["L1", "L3", "L4"]
    assert undeclared_rows["lead_id"].tolist() == ["L2"]


def test_meanings_of_values_ignore_case_and_extra_spaces() -> None:
    assert meanings(["Closed  Won", 1.0], [False], ["New"]) == {
        "closed won": "won",
        "1": "won",
        "false": "lost",
        "new": "open",
    }


def test_outcomes_are_read_from_the_leads_table() -> None:
    raw = pd.DataFrame({"Id": ["7"], "Status": ["lost"], "Closed": ["01.03.2025"], "Size": ["3"]})
    notes = ReadingNotes()
    ids = pd.Series(["L7"])
    result = flat_outcomes(raw, ids, project(outcome="Status", closed_at="Closed"), notes)
    assert result.iloc[0].to_dict() == {
        "lead_id": "L7",
        "outcome": "lost",
        "closed_at": pd.Timestamp("2025-02-28T23:00Z"),
        "closed_by": pd.Timestamp("2025-03-01T22:59:59.999999Z"),
    }
    assert notes.sentences == [
        "outcomes: times in `Closed` have no time zone and are read as Europe/Berlin. "
        "Set the table's `timezone` to change that."
    ]


def test_one_column_may_be_the_outcome_and_the_reason() -> None:
    raw = pd.DataFrame({"Status": ["lost"]})
    result = flat_outcomes(
        raw, pd.Series(["L1"]), project(outcome="Status", reason="Status"), ReadingNotes()
    )
    assert result.iloc[0].tolist() == ["L1", "lost", "lost"]


def test_missing_columns_are_refused() -> None:
    raw = pd.DataFrame({"Status": ["lost"], "Size": ["3"]})
    message = (
        r"leads\.csv: 2 problems\.\n"
        r"  - there is no column `Statuss` \(\[leads\]\)\. Did you mean `Status`\?\n"
        r"  - there is no column `Worth` \(\[leads\]\)\. Expected one of: Status, Size\."
    )
    with pytest.raises(SchemaError, match=message):
        flat_outcomes(
            raw, pd.Series(["L1"]), project(outcome="Statuss", amount="Worth"), ReadingNotes()
        )
