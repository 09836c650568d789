"""Reading outcomes and activities: what is read, repaired and refused."""

import numpy as np
import pandas as pd
import pytest

from crm.errors import SchemaError, SourceError
from tests.made_records import (
    FILES,
    FLAT_LEADS,
    LEADS,
    PROJECT,
    Read,
    outcomes_file,
)

# -- outcomes


def test_undeclared_outcome_values_are_refused(read: Read) -> None:
    message = (
        r"outcomes\.csv: outcome values that are not declared: 'maybe' \(2 rows\), "
        r"'Lost' \(1 row\)\. Add each of them to `won`, `lost` or `open` in `\[learn\]`"
    )
    with pytest.raises(SchemaError, match=message):
        read(outcomes_file("1,yes,", "2,maybe,", "3,maybe,", "4,Lost,"))


def test_outcome_values_ignore_case_and_spaces(read: Read) -> None:
    records = read(outcomes_file("1, YES ,", "2,yes,", "3,1,"))
    assert records.outcomes["outcome"].tolist() == ["won"] * 3


def test_few_outcomes_before_creation_are_noted(read: Read) -> None:
    records = read(outcomes_file("1,yes,2024-12-31T08:00Z", "2,yes,2025-02-01T08:00Z", "3,no,"))
    assert records.notes == [
        "outcomes: 1 outcome before the creation of the lead ('1'). "
        "The model cannot learn from these leads."
    ]


def test_most_outcomes_before_creation_are_refused(read: Read) -> None:
    message = (
        r"2 of 3 outcomes are before their lead's creation\. "
        r"Are `created_at` and `closed_at` mapped to the right columns\?"
    )
    with pytest.raises(SchemaError, match=message):
        read(outcomes_file("1,yes,2024-01-01", "2,no,2024-01-01", "3,no,"))


def test_outcomes_of_unknown_leads_are_left_out(read: Read) -> None:
    records = read(outcomes_file("1,yes,", "x,yes,"))
    assert records.outcomes["lead_id"].tolist() == ["1"]
    assert [str(left_out) for left_out in records.left_out] == [
        "outcomes.csv: 1 row is left out (line 3): their leads are not in the leads table"
    ]


def test_missing_flat_outcome_column_is_reported(read_flat: Read) -> None:
    message = r"there is no column `Status` \(\[leads\]\)\. Did you mean `State`\?"
    with pytest.raises(SchemaError, match=message):
        read_flat(leads=FLAT_LEADS.replace("Status", "State"))


def test_flat_columns_are_named_as_in_the_export(read_flat: Read) -> None:
    leads = FLAT_LEADS.replace("2025-02-01", "soon").replace("10.5", "ten")
    with pytest.raises(SchemaError, match=r"leads\.csv: 2 problems") as refusal:
        read_flat(leads=leads)
    amount, closed = refusal.value.problems
    assert amount.startswith(
        "`Deal` is not a finite number in 1 of 3 rows (line 2): 'ten'. Expected"
    )
    assert closed.startswith(
        "`Close Date` is not a valid time in 1 of 3 rows (line 2): 'soon'. Expected ISO"
    )


@pytest.mark.parametrize("word", ["not closed", "не закрыта", "0", "0000-00-00"])
def test_words_in_times_of_closing_are_refused_with_the_way_out(read_flat: Read, word: str) -> None:
    with pytest.raises(SchemaError, match="is not a valid time in 1 of 3 rows") as refusal:
        read_flat(leads=FLAT_LEADS.replace("2025-02-01", word))
    (problem,) = refusal.value.problems
    assert f'add to `nothing` of [columns]: "{word}"' in problem
    assert "declare the format" not in problem


def test_declared_format_is_not_proposed_again(read: Read) -> None:
    message = r"Expected the format \"%d\.%m\.%Y\".*Correct the cells, or correct this format\.$"
    with pytest.raises(SchemaError, match=message):
        read(
            {"leads.csv": "Id,Created\n1,12345\n"},
            project=PROJECT + '[leads.formats]\nCreated = "%d.%m.%Y"\n',
        )


def test_infinite_amount_is_refused(read_flat: Read) -> None:
    message = r"`Deal` is not a finite number in 1 of 3 rows \(line 2\): 'inf'\. .* .Deal. = "
    with pytest.raises(SchemaError, match=message):
        read_flat(leads=FLAT_LEADS.replace("10.5", "inf"))


# -- activities


def test_activities_of_unknown_leads_are_left_out(read: Read) -> None:
    records = read({"activities.csv": FILES["activities.csv"] + "x,call,2025-01-05T08:00Z,d,\n"})
    assert records.activities is not None
    assert len(records.activities) == 3
    assert [left_out.lines for left_out in records.left_out] == [(5,)]


def test_activities_of_unknown_leads_only_are_refused(read: Read) -> None:
    message = (
        r"activities: none of its 2 rows belongs to a lead of the leads table\. "
        r"`lead_id` of activities\.csv is such as 'x', 'y', and `Id` of leads\.csv is such as "
        r"'1', '2', '3'\. Does `lead_id` name the right column in both tables\?"
    )
    with pytest.raises(SchemaError, match=message):
        read({"activities.csv": "lead_id,type,occurred_at\ny,a,2025-01-01\nx,a,2025-01-01\n"})


def test_repeated_activity_ids_are_kept_once(read: Read) -> None:
    same_id = "2,call,2025-01-05T08:00Z,a,\n"
    without_id = "3,call,2025-01-05T08:00Z,,\n4,call,2025-01-05T08:00Z,,\n"
    records = read({"activities.csv": FILES["activities.csv"] + same_id + without_id})
    assert records.activities is not None
    assert records.activities["lead_id"].tolist() == ["1", "1", "2", "3", "4"]
    assert [str(left_out) for left_out in records.left_out] == [
        "activities.csv: 1 row is left out (line 5): an activity with the same lead and id is in "
        "the table"
    ]


def test_activities_without_rows_are_refused(read: Read) -> None:
    with pytest.raises(SchemaError, match=r"activities\.csv: it has a header but no rows"):
        read({"activities.csv": "lead_id,type,occurred_at\n"})


def test_missing_file_suggests_a_name(read: Read) -> None:
    message = r"no file .*activity\.csv\. Did you mean `activities\.csv`\?"
    with pytest.raises(SourceError, match=message):
        read(project=PROJECT.replace('"activities.csv"', '"activity.csv"'))


def test_times_without_a_zone_are_noted(read: Read) -> None:
    records = read({"leads.csv": LEADS.replace("T08:00Z", "T08:00")})
    assert records.notes == [
        "leads: times in `Created` have no time zone and are read as UTC. "
        "Set the table's `timezone` to change that."
    ]


def test_seconds_since_1970_are_read(read: Read) -> None:
    records = read({"leads.csv": "Id,Created\n1,1735689600\n"})
    assert records.leads["created_at"].tolist() == [pd.Timestamp("2025-01-01", tz="UTC")]
    assert records.formats["Created"] == "unix seconds"


def test_times_of_no_known_format_are_refused(read: Read) -> None:
    message = (
        r"`Created` is not a valid time in 1 of 1 rows \(line 2\): '12345'\. "
        r"Expected ISO 8601 such as 2025-03-01T08:00:00Z"
    )
    with pytest.raises(SchemaError, match=message):
        read({"leads.csv": "Id,Created\n1,12345\n"})


# -- rows that name several leads


def test_outcome_counts_for_each_lead_that_it_names(read: Read) -> None:
    rows = ["1;2,yes,2025-02-01T08:00Z", "3,no,2025-02-02T08:00Z", "4;77,no,2025-02-03T08:00Z"]
    records = read(outcomes_file(*rows, "77;78,yes,2025-02-03T08:00Z"))
    outcomes = records.outcomes.sort_values("lead_id")
    assert outcomes["lead_id"].tolist() == ["1", "2", "3", "4"]
    assert outcomes["outcome"].tolist() == ["won", "won", "lost", "lost"]
    (left_out,) = records.left_out
    assert (left_out.count, left_out.lines) == (1, (5,))
    assert left_out.reason == "their leads are not in the leads table"
    assert (
        'outcomes: 3 rows name several leads in "lead_id", such as "1;2". Such a row counts for '
        "each of these leads."
    ) in records.notes


def test_amount_of_several_leads_counts_once(read: Read) -> None:
    rows = "78;1;2,yes,2025-02-01T08:00Z,100\n3,yes,2025-02-02T08:00Z,20\n"
    records = read({"outcomes.csv": f"lead_id,outcome,closed_at,amount\n{rows}"})
    amounts = records.outcomes.set_index("lead_id")["amount"]
    np.testing.assert_array_equal(amounts.loc[["1", "2", "3"]], [100, np.nan, 20])


def test_activity_counts_for_each_lead_that_it_names(read: Read) -> None:
    rows = '"1, 2",call,2025-01-05T08:00Z,a\n2,mail,2025-01-06T08:00Z,b\n'
    header = "lead_id,type,occurred_at,activity_id"
    activities = read({"activities.csv": f"{header}\n{rows}"}).activities
    assert activities is not None
    assert activities["lead_id"].tolist() == ["1", "2", "2"]
    assert activities["activity_id"].tolist() == ["a", "a", "b"]
