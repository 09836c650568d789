"""Samples of the files: formats, decimal signs, and times."""

from pathlib import Path

import pandas as pd
import pytest

from crm.errors import ConfigError, SchemaError, SourceError
from drafting import draft as drafting
from drafting.draft import draft_project
from tests.made_drafts import (
    N_LEADS,
    days,
    draft,
    draft_of,
    flat_leads,
    without_line_breaks,
    write_csv,
)
from tests.made_workbooks import workbook

# --- files


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    created = pd.date_range("2024-01-01", periods=N_LEADS, tz="UTC")
    pd.DataFrame(flat_leads(created_at=created)).to_parquet(tmp_path / "leads.parquet")
    text, project, records = draft(tmp_path, [str(tmp_path / "leads.parquet")])
    assert (project.learn.won, project.learn.lost) == (["true"], ["false"])
    assert records.has_times
    assert "timezone" not in text


def test_gzip_utf_16_and_semicolons_are_read(tmp_path: Path) -> None:
    leads = flat_leads(stadt=["Köln"] * N_LEADS, wann=days(N_LEADS, time_format="%d.%m.%Y"))
    file = write_csv(tmp_path, "leads.csv.gz", leads, sep=";", encoding="utf-16")
    assert set(draft(tmp_path, [file]).records.leads["stadt"]) == {"Köln"}


def test_decimal_comma_is_detected(tmp_path: Path) -> None:
    leads = flat_leads(größe=[f"{i},5" for i in range(N_LEADS)])
    text, project, records = draft_of(tmp_path, leads, sep=";")
    assert project.leads.formats == {"größe": "1.234,56"}
    assert records.formats["größe"] == "1.234,56"
    assert '"größe" = "1.234,56" # as in "0,5", "1,5"' in text


def test_sheets_of_one_workbook_are_tables(tmp_path: Path) -> None:
    leads = [["Lead ID", "Created"], *([f"L{i}", f"2024-01-{i + 1:02} 10:00"] for i in range(30))]
    deals = [["Lead ID", "Stage", "Closed"]]
    deals += [[f"L{i}", ["Won", "Lost"][i % 2], "2024-03-01"] for i in range(30)]
    (tmp_path / "crm.xlsx").write_bytes(workbook({"Leads": leads, "Deals": deals}))
    file = str(tmp_path / "crm.xlsx")
    with pytest.raises(SourceError, match="For `leadscore init` .* write `crm.xlsx#Leads`"):
        draft_project([file], tmp_path)
    _, project, records = draft(tmp_path, [f"{file}#Deals", f"{file}#Leads"])
    assert project.outcomes is not None
    assert (project.leads.sheet, project.outcomes.sheet) == ("Leads", "Deals")
    assert len(records.outcomes) == 30
    with pytest.raises(ConfigError, match='no sheet "Lead"'):
        draft_project([f"{file}#Lead"], tmp_path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no file"):
        draft_project([str(tmp_path / "leads.csv")], tmp_path)


def test_file_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_text("id,won\n")
    with pytest.raises(SchemaError, match="a header but no rows"):
        draft_project([str(tmp_path / "leads.csv")], tmp_path)


def test_only_a_sample_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafting, "SAMPLE_ROWS", 100)
    leads = flat_leads(city=[""] * 200 + ["unknown"] * 200)
    text, _, records = draft_of(tmp_path, leads)
    assert "only the first 100 rows" in without_line_breaks(text)
    assert "unknown" not in text
    assert len(records.leads) == N_LEADS


# --- times


@pytest.mark.parametrize(
    ("time_format", "expected"),
    [
        ("%Y-%m-%d %H:%M:%S", None),
        ("%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M"),
        ("%m/%d/%Y", "%m/%d/%Y"),
        ("%d.%m.%Y", "%d.%m.%Y"),
        ("%d %b %Y %I:%M %p", "%d %b %Y %I:%M %p"),
        ("%B %d, %Y", "%b %d, %Y"),
    ],
)
def test_times_are_read_in_common_formats(
    tmp_path: Path, time_format: str, expected: str | None
) -> None:
    leads = flat_leads(created=days(N_LEADS, time_format=time_format))
    text, project, records = draft_of(tmp_path, leads)
    assert project.leads.column_of("created_at") == "created"
    assert project.leads.formats.get("created") == expected
    assert 'CHECK: "' not in text
    assert 'timezone = "UTC" # the times have no time zone' in text
    assert records.leads["created_at"].iloc[0] == pd.Timestamp("2024-01-01", tz="UTC")


def test_two_formats_that_fit_are_both_shown(tmp_path: Path) -> None:
    created = [f"{i:02d}/{i:02d}/2024" for i in range(1, 13)] * 40
    text, project, _ = draft_of(tmp_path, flat_leads(created=created[:N_LEADS]))
    assert project.leads.formats == {"created": "%d/%m/%Y"}
    assert "can be read with the day first or with the month first" in without_line_breaks(text)
    assert 'the other format is "%m/%d/%Y"' in without_line_breaks(text)
