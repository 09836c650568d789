"""Reading the four tables of a project: what is read, repaired and refused."""

import datetime
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm.errors import ConfigError, SchemaError, SourceError
from crm.project import PROJECT_FILE, load_project
from crm.reading import read_records
from crm.records import Records, digest
from crm.times import TIME_DTYPE
from tests.made_projects import FOUR_TABLES

PROJECT = (
    FOUR_TABLES
    + """
[learn]
won = ["yes", 1]
lost = ["no"]
open = ["pending"]
horizon_days = 30
"""
)
LEADS = "Id,Created,Size\n" + "".join(f"{i},2025-01-{i:02d}T08:00Z,{i}\n" for i in range(1, 10))
FILES = {
    "leads.csv": LEADS,
    "activities.csv": "lead_id,type,occurred_at,activity_id,value\n"
    "2,call,2025-01-05T08:00Z,a,1\n1,mail,2025-01-04T08:00Z,b,\n1,call,2025-01-03T08:00Z,c,2.5\n",
    "stages.csv": "lead_id,stage,entered_at\n1,new,2025-01-01T08:00Z\n1,hot,2025-01-02T08:00Z\n",
    "outcomes.csv": "lead_id,outcome,closed_at\n"
    "1,yes,2025-02-01T08:00Z\n2,NO,2025-02-02T08:00Z\n3,pending,\n4,,\n5,1,\n",
}
FLAT = """
[project]
name = "acme"
[leads]
source = "leads.csv"
lead_id = "Id"
created_at = "Created"
outcome = "Status"
closed_at = "Close Date"
amount = "Deal"
[learn]
won = ["yes"]
lost = ["no"]
"""
FLAT_LEADS = (
    "Id,Created,Status,Close Date,Deal,Size\n"
    "2,2025-01-02,yes,2025-02-01,10.5,x\n1,2025-01-01,no,2025-02-02,,y\n3,2025-01-03,,,,z\n"
)
WITHOUT_TIMES = FLAT.replace('created_at = "Created"\n', "")
Read = Callable[..., Records]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that writes a project and its files, and reads the records."""

    def read(
        changes: Mapping[str, str] | None = None,
        project: str = PROJECT,
        files: Mapping[str, str] = FILES,
    ) -> Records:
        for name, content in {**files, **(changes or {})}.items():
            (tmp_path / name).write_text(content, encoding="utf-8")
        (tmp_path / PROJECT_FILE).write_text(project, encoding="utf-8")
        return read_records(load_project(tmp_path))

    return read


@pytest.fixture
def read_flat(read: Read) -> Read:
    """Return a function that reads a project whose leads table contains the outcomes."""

    def read_flat(project: str = FLAT, leads: str = FLAT_LEADS) -> Records:
        return read(project=project, files={"leads.csv": leads})

    return read_flat


def outcomes_file(*rows: str) -> dict[str, str]:
    return {"outcomes.csv": "lead_id,outcome,closed_at\n" + "".join(f"{row}\n" for row in rows)}


# -- the four tables


def test_leads_are_read(read: Read) -> None:
    leads = read().leads
    assert list(leads.columns) == ["lead_id", "created_at", "Size"]
    assert leads["lead_id"].tolist() == [str(i) for i in range(1, 10)]
    assert leads["created_at"].dtype == TIME_DTYPE


def test_activities_are_read_by_lead_and_time(read: Read) -> None:
    activities = read().activities
    assert activities is not None
    assert activities["activity_id"].tolist() == ["c", "b", "a"]
    np.testing.assert_array_equal(activities["value"], [2.5, np.nan, 1])


def test_stages_are_read(read: Read) -> None:
    stages = read().stages
    assert stages is not None
    assert stages["stage"].tolist() == ["new", "hot"]


def test_won_and_lost_outcomes_are_read(read: Read) -> None:
    outcomes = read().outcomes
    assert outcomes["lead_id"].tolist() == ["1", "2", "5"]
    assert outcomes["outcome"].tolist() == ["won", "lost", "won"]
    assert outcomes["closed_at"].isna().tolist() == [False, False, True]


def test_records_of_four_tables_are_in_order(read: Read) -> None:
    records = read()
    assert records.observed_until == pd.Timestamp("2025-02-02T08:00Z")
    assert records.has_times
    assert records.in_order
    assert records.notes == []
    assert set(records.digests) == {"leads", "activities", "stages", "outcomes"}


def test_flat_export_is_read(read_flat: Read) -> None:
    records = read_flat()
    assert records.leads["lead_id"].tolist() == ["1", "2", "3"]
    assert records.outcomes.drop(columns="closed_by").to_dict("list") == {
        "lead_id": ["2", "1"],
        "outcome": ["won", "lost"],
        "closed_at": [pd.Timestamp("2025-02-01", tz="UTC"), pd.Timestamp("2025-02-02", tz="UTC")],
        "amount": [10.5, pytest.approx(np.nan, nan_ok=True)],
        "reason": [None, None],
    }
    assert any("`Created` have no time zone and are read as UTC" in note for note in records.notes)


def test_leads_without_times_keep_their_order(read_flat: Read) -> None:
    records = read_flat(WITHOUT_TIMES)
    assert records.leads["lead_id"].tolist() == ["2", "1", "3"]
    assert not records.has_times
    assert not records.in_order
    assert records.observed_until is None


def test_order_column_sorts_the_leads(read_flat: Read) -> None:
    records = read_flat(FLAT.replace('created_at = "Created"\n', 'order = "Id"\n'))
    assert records.leads["lead_id"].tolist() == ["1", "2", "3"]
    assert records.in_order


def test_order_column_of_texts_is_refused(read_flat: Read) -> None:
    project = FLAT.replace('created_at = "Created"\n', 'order = "Size"\n')
    message = r"`Size` has 3 cells that are not numbers: 'x', 'y', 'z'\. Expected a number"
    with pytest.raises(SchemaError, match=message):
        read_flat(project)


def test_leads_without_an_id_are_numbered(read_flat: Read) -> None:
    records = read_flat(FLAT.replace('lead_id = "Id"\n', ""))
    assert set(records.leads["lead_id"]) == {"row-1", "row-2", "row-3"}
    assert records.notes[0] == "leads: no id column is named, so leads are numbered by row."
    assert not records.has_ids


def test_row_order_does_not_change_the_records(read: Read) -> None:
    header, *rows = LEADS.splitlines()
    reversed_rows = read({"leads.csv": "\n".join([header, *rows[::-1]])})
    assert reversed_rows.digests == read().digests


TABLE = pd.DataFrame({"a": ["x", None], "b": [1, 2]})


def test_digest_does_not_depend_on_the_index() -> None:
    assert digest(TABLE) == digest(TABLE.set_axis([7, 8]))


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(TABLE.assign(b=[1, 3]), id="another cell"),
        pytest.param(TABLE.rename(columns={"b": "c"}), id="another name"),
        pytest.param(TABLE.astype({"b": float}), id="another type"),
    ],
)
def test_digest_covers_cells_names_and_types(changed: pd.DataFrame) -> None:
    assert digest(changed) != digest(TABLE)


# -- leads


def test_empty_leads_are_refused(read: Read) -> None:
    with pytest.raises(SchemaError, match=r"leads\.csv: it has a header but no rows\. Expected at"):
        read({"leads.csv": "Id,Created,Size\n"})


def test_repeated_ids_are_refused(read: Read) -> None:
    message = (
        r"leads\.csv: `Id` repeats in 4 of 11 rows \(lines 4, 5, 11, 12\): '3', '4'\. "
        r"Each lead may have only one row\. Remove the repeated rows, or name another column"
    )
    with pytest.raises(SchemaError, match=message):
        read({"leads.csv": LEADS + "3,2025-01-20,\n 4 ,2025-01-20,\n"})


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param(" ,2025-01-20,", "`Id` is empty", id="an id"),
        pytest.param("10,,", "`Created` is empty", id="a time of creation"),
        pytest.param(
            "3,2025-01-03T08:00Z,3", "each repeats another row in every cell", id="a new row"
        ),
    ],
)
def test_leads_that_lack_something_are_left_out(read: Read, row: str, reason: str) -> None:
    records = read({"leads.csv": LEADS.replace("\n", f"\n{row}\n", 1)})
    assert records.leads["lead_id"].tolist() == [str(i) for i in range(1, 10)]
    (left_out,) = records.left_out
    assert (left_out.table, left_out.file, left_out.count) == ("leads", "leads.csv", 1)
    assert left_out.reason == reason


def test_leads_without_a_time_are_refused_if_they_are_many(read: Read) -> None:
    message = (
        r"`Created` is missing in 3 of 12 rows \(lines 11, 12, 13\)\. Every lead needs its time of "
        r"creation\. .* remove `created_at` and set `order`"
    )
    with pytest.raises(SchemaError, match=message):
        read({"leads.csv": LEADS + "10,,\n11,,\n12,,\n"})


def test_few_times_that_cannot_be_read_are_left_out_with_their_values(read: Read) -> None:
    leads = "Id,Created\n" + "".join(f"{i},2025-01-01T08:00Z\n" for i in range(1, 200))
    records = read({"leads.csv": leads + "200,31.02.25\n"})
    assert [str(left_out) for left_out in records.left_out] == [
        "leads.csv: 1 row is left out (line 201): `Created` is not a time ('31.02.25'), as in the "
        "other 199 rows"
    ]


def test_words_for_nothing_are_empty_cells_of_a_role(read: Read) -> None:
    records = read(
        outcomes_file("1,yes,2025-02-01T08:00Z", "2,yes,(not set)"),
        PROJECT + '[columns]\nnothing = ["(Not Set)"]\n',
    )
    assert records.outcomes["closed_at"].isna().tolist() == [False, True]


def test_words_for_nothing_are_empty_ids_and_numbers_are_not(read: Read) -> None:
    nothing = PROJECT + '[columns]\nnothing = ["N/A", "0"]\n'
    records = read({"leads.csv": LEADS + "n/a,2025-01-20,\nN/A,2025-01-21,\n"}, nothing)
    assert [str(left_out) for left_out in records.left_out] == [
        "leads.csv: 2 rows are left out (lines 11, 12): `Id` is empty"
    ]
    records = read({"leads.csv": LEADS + "0,2025-01-20,\n"}, nothing)
    assert "0" in records.leads["lead_id"].tolist()


def test_times_of_another_calendar_are_refused(read: Read) -> None:
    leads = "Id,Created\n" + "".join(f"{i},{i + 12}/01/2568\n" for i in range(1, 10))
    message = (
        r"`Created` is not in the years 1900 to 2199 in 9 rows: '13/01/2568', .* The year 2568 is "
        r"in the future; in the Buddhist calendar it is 2025\. Export the times in the Gregorian"
    )
    with pytest.raises(SchemaError, match=message):
        read({"leads.csv": leads}, PROJECT + '[leads.formats]\n"Created" = "%d/%m/%Y"\n')
    with pytest.raises(SchemaError, match=r"not a valid time .* Buddhist calendar it is 2025\."):
        read({"leads.csv": leads})
    few = LEADS + "10,9999-12-31,\n"
    assert len(read({"leads.csv": few}).leads) == 10


def test_activities_without_a_lead_are_left_out(read: Read) -> None:
    rows = "1,a,2025-01-01T08:00Z\n,a,2025-01-01T08:00Z\n,b,2025-01-01T08:00Z\n"
    records = read({"activities.csv": "lead_id,type,occurred_at\n" + rows})
    assert records.activities is not None
    assert len(records.activities) == 1
    assert [str(left_out) for left_out in records.left_out] == [
        "activities.csv: 2 rows are left out (lines 3, 4): `lead_id` is empty"
    ]


def test_activities_that_all_lack_a_lead_are_refused(read: Read) -> None:
    message = r"activities\.csv: `lead_id` is missing in 1 of 1 rows \(line 2\)\. Every row needs"
    with pytest.raises(SchemaError, match=message):
        read({"activities.csv": "lead_id,type,occurred_at\n,a,2025-01-01T08:00Z\n"})


def test_ids_that_a_spreadsheet_rounded_are_recognised(read: Read) -> None:
    leads = "Id,Created\n1.23457E+11,2025-01-01T08:00Z\n1.23457E+11,2025-01-02T08:00Z\n"
    with pytest.raises(SchemaError, match=r"A spreadsheet has rounded these ids: export them"):
        read({"leads.csv": leads})


def test_forms_of_one_id_in_the_leads_are_repeated(read: Read) -> None:
    with pytest.raises(SchemaError, match=r"`Id` repeats in 2 of 10 rows .*: '3', '3\.0'\."):
        read({"leads.csv": LEADS + "3.0,2025-01-20T08:00Z,\n"})


def test_forms_of_one_id_are_one_lead_in_all_tables(read: Read) -> None:
    records = read(
        {
            "activities.csv": "lead_id,type,occurred_at\n1.0,a,2025-01-02T08:00Z\n",
            "outcomes.csv": "lead_id,outcome,closed_at\n2.0,yes,2025-02-01T08:00Z\n",
        }
    )
    assert records.activities is not None
    assert records.activities["lead_id"].tolist() == ["1"]
    assert records.outcomes["lead_id"].tolist() == ["2"]
    assert records.left_out == []


def test_all_problems_of_a_table_are_reported_at_once(read: Read) -> None:
    with pytest.raises(SchemaError, match=r"leads\.csv: 2 problems\.\n  - ") as refusal:
        read({"leads.csv": LEADS + "3,soon,\n"})
    assert [problem.split(".")[0] for problem in refusal.value.problems] == [
        "`Created` is not a valid time in 1 of 10 rows (line 11): 'soon'",
        "`Id` repeats in 2 of 10 rows (lines 4, 11): '3'",
    ]


def test_long_lists_of_rows_are_shortened(read: Read) -> None:
    leads = "Id,Created\n" + "".join(f"{i},soon\n" for i in range(5_000))
    message = r"5,000 of 5,000 rows \(lines 2, 3, 4, 5, 6, …\)"
    with pytest.raises(SchemaError, match=message) as refusal:
        read({"leads.csv": leads})
    assert len(str(refusal.value)) < 400


def test_missing_role_column_is_reported(read: Read) -> None:
    message = r"no column `Created` for the role `created_at`\. Did you mean `Create`\?"
    with pytest.raises(SchemaError, match=message):
        read({"leads.csv": LEADS.replace("Created", "Create")})


def test_missing_header_is_reported_with_its_cells(read: Read) -> None:
    message = r"there is no column `Id` for the role `lead_id`\. Expected one of: a, b@x\.de"
    with pytest.raises(SchemaError, match=message):
        read({"leads.csv": "a,b@x.de\nc,d@x.de\n"})


def test_wrong_delimiter_is_reported(read: Read) -> None:
    message = r"The file has only one column\. Set its `delimiter`, and check that its first line"
    with pytest.raises(SchemaError, match=message):
        read({"leads.csv": LEADS.replace(",", "%")})


def test_attribute_named_like_a_role_is_refused(read: Read) -> None:
    message = r'the column "lead_id" has the name of a key .* column \(".*"\)\. List "lead_id"'
    with pytest.raises(SchemaError, match=message):
        read({"leads.csv": LEADS.replace("Size", "lead_id")})


def test_rules_for_unknown_columns_are_refused(read: Read) -> None:
    project = PROJECT + '[columns]\nignore = ["Sise"]\nnumber = ["zzz"]\n'
    message = (
        r"leadscore\.toml names columns that leads\.csv does not have:\n"
        r"  - \[columns\] ignore: `Sise`\. Did you mean `Size`\?\n"
        r"  - \[columns\] number: `zzz`\. Expected one of: Id, Created, Size\."
    )
    with pytest.raises(ConfigError, match=message):
        read(project=project)


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


# -- the time under observation


def test_observed_until_may_be_declared(read: Read) -> None:
    declared = PROJECT + 'observed_until = "2025-06-01"\n'
    assert read(project=declared).observed_until == pd.Timestamp("2025-06-01", tz="UTC")


@pytest.mark.parametrize("text", ["soon", ""])
def test_invalid_observed_until_is_refused(read: Read, text: str) -> None:
    message = r"`observed_until` in `\[learn\]` is '.*', which is not a valid time\. Expected"
    with pytest.raises(ConfigError, match=message):
        read(project=PROJECT + f'observed_until = "{text}"\n')


def test_future_times_do_not_extend_observed_until(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_text(
        "lead_id,created_at,won,closed_at\n"
        "A,2025-01-01T00:00Z,yes,2025-01-05T00:00Z\n"
        "B,2025-01-02T00:00Z,no,9999-12-31T00:00Z\n"
    )
    (tmp_path / "leadscore.toml").write_text(
        '[project]\nname = "p"\n[leads]\nsource = "leads.csv"\noutcome = "won"\n'
        'closed_at = "closed_at"\n[learn]\nwon = ["yes"]\nlost = ["no"]\n'
    )
    now = datetime.datetime(2025, 2, 1, tzinfo=datetime.UTC)
    records = read_records(load_project(tmp_path), now)
    assert records.observed_until == pd.Timestamp("2025-01-05", tz="UTC")
    assert (
        "1 time is in the future: 9999-12-31 00:00:00+00:00. It does not extend the time under "
        "observation." in records.notes
    )


def test_scoring_imports_no_reader_of_tables() -> None:
    script = (
        "import sys; import models.scorer, serving.payloads.score;"
        "print(sorted({'sqlalchemy', 'pyarrow.csv', 'crm.sources.csv'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parent.parent,
    )
    assert result.stdout == "[]\n"


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
