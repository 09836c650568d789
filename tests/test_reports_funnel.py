"""The funnel page: times between stages that leads entered themselves."""

import datetime
from pathlib import Path

import pytest

from crm.project import load_project
from crm.reading import read_records
from reports.content import Row
from reports.pages.funnel.page import funnel_page
from reports.rows.building import make_rows
from tests.made_projects import project_of_tables

NOW = datetime.datetime(2025, 6, 1, tzinfo=datetime.UTC)
PROJECT = project_of_tables("stages", "outcomes")
STAGES = {  # the day of January on which each lead entered each stage
    "straight": {"new": 1, "offer": 5, "contract": 9},
    "slow": {"new": 1, "offer": 11, "contract": 21},
    "skips offer": {"new": 1, "contract": 4},
    "skips contract": {"new": 1, "offer": 7},
    "goes back": {"new": 1, "offer": 9, "contract": 3},
    "too late": {"new": 1, "offer": 3, "contract": 60},
    "lost": {"new": 1, "offer": 2},
    "on the last day": {"new": 1, "offer": 31},
}
WON = {"straight": 12, "slow": 22, "skips offer": 10, "skips contract": 9, "goes back": 20}
NEWEST = "newest,2025-05-31T00:00Z\n"


def day(number: int) -> str:
    time = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(days=number - 1)
    return f"{time:%Y-%m-%dT%H:%MZ}"


def test_a_stage_that_is_the_outcome_is_explained(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_text(f"lead_id,created_at\na,{day(1)}\nb,{day(1)}\n{NEWEST}")
    entries = f"a,new,{day(1)}\nb,new,{day(1)}\na,won,{day(9)}\nb,won,{day(9)}\n"
    (tmp_path / "stages.csv").write_text(f"lead_id,stage,entered_at\n{entries}")
    (tmp_path / "outcomes.csv").write_text(
        f"lead_id,outcome,closed_at\na,won,{day(9)}\nb,won,{day(9)}\n"
    )
    (tmp_path / "leadscore.toml").write_text(PROJECT)
    project = load_project(tmp_path)
    page = funnel_page(make_rows(project, read_records(project, NOW), NOW))
    (text,) = (text for section in page.sections for text in section.paragraphs if "“won”" in text)
    assert text == (
        "Leads enter the stage “won” when they are closed. The table does not show it as a step: "
        "its last step, “won”, counts the recorded wins."
    )


@pytest.fixture
def steps(tmp_path: Path) -> dict[str, Row]:
    leads = "".join(f"{name},{day(1)}\n" for name in STAGES)
    (tmp_path / "leads.csv").write_text(f"lead_id,created_at\n{leads}{NEWEST}")
    entries = [
        (number, f"{name},{stage},{day(number)}\n")
        for name, entered in STAGES.items()
        for stage, number in entered.items()
    ]
    table = "".join(line for _, line in sorted(entries, key=lambda entry: entry[0]))
    (tmp_path / "stages.csv").write_text(f"lead_id,stage,entered_at\n{table}")
    closed = "".join(f"{name},won,{day(number)}\n" for name, number in WON.items())
    (tmp_path / "outcomes.csv").write_text(
        f"lead_id,outcome,closed_at\n{closed}lost,lost,{day(8)}\n"
    )
    (tmp_path / "leadscore.toml").write_text(PROJECT)
    project = load_project(tmp_path)
    page = funnel_page(make_rows(project, read_records(project, NOW), NOW))
    (figure,) = (
        figure
        for section in page.sections
        for figure in section.figures
        if figure.name == "funnel-steps"
    )
    assert "entered both stages, one after the other" in figure.note
    return {row["name"]: row for row in figure.rows}


def test_days_of_a_step_count_leads_that_entered_both_stages(steps: dict[str, Row]) -> None:
    assert list(steps) == ["new", "offer", "contract", "won"]
    days = {name: (row["n_days"], row["days"]) for name, row in steps.items()}
    assert days == {
        "new": (8, 0.0),
        "offer": (7, 6.0),  # 4, 10, 6, 8, 2, 1 and 30; "skips offer" has no time
        "contract": (2, 7.0),  # 4 and 10; "goes back" entered it first, "too late" too late
        "won": (4, 4.5),  # 3, 1, 6 and 17; not "skips contract"
    }


def test_leads_that_skip_a_stage_have_reached_it(steps: dict[str, Row]) -> None:
    counts = {name: (row["n"], row["wins"]) for name, row in steps.items()}
    assert counts == {"new": (8, 8), "offer": (8, 8), "contract": (8, 5), "won": (5, 5)}
