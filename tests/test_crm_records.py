"""Reading the four tables of a project: what is read, repaired and refused."""

import datetime
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm.errors import ConfigError, SchemaError
from crm.project import load_project
from crm.reading import read_records
from crm.records import digest
from crm.times import TIME_DTYPE
from tests.made_records import (
    FLAT,
    LEADS,
    PROJECT,
    WITHOUT_TIMES,
    Read,
    outcomes_file,
)

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
        r"  - \[columns\] number: `zzz`\. Expected one of: Id, Created, Size\.\n"
        r"Correct the names\. If a column is gone, delete its lines; if it is gone on purpose, "
    )
    with pytest.raises(ConfigError, match=message):
        read(project=project)


def test_rules_for_retired_columns_are_accepted(read: Read) -> None:
    project = PROJECT + '[columns]\nignore = ["Fax"]\n[leads.formats]\nBudget = "1,234.56"\n'
    retired = '[monitor]\nretired_columns = ["Fax", "Budget"]\n'
    with pytest.raises(ConfigError, match="`Budget`"):
        read(project=project)
    assert "Size" in read(project=project + retired).leads


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
