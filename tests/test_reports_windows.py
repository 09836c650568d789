"""The days and the leads that the pages count."""

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from crm.times import DAY
from models.evaluation.comparisons import FEWEST_LEADS
from reports.content import Page, Row
from reports.forms.cells import cell_of
from reports.pages.capacity import capacity_page
from reports.pages.coverage import with_currency
from reports.pages.month import month_page
from reports.pages.service_levels.page import service_page
from reports.rows.building import make_rows
from reports.rows.rows import ReportRows
from tests.made_projects import project_of_tables
from tests.made_reports import figure_of
from training.train import Trained

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
PROJECT = project_of_tables("activities", "outcomes")


@pytest.fixture
def exported(tmp_path: Path) -> tuple[Project, Records]:
    """Write four leads a day up to Wednesday, 2025-04-30, and mails for two more weeks."""
    days = pd.date_range("2025-01-01", "2025-04-30 23:00", freq="6h", tz="UTC")
    leads = pd.DataFrame({"lead_id": [f"l{i}" for i in range(len(days))], "created_at": days})
    leads["industry"] = ["Retail"] + ["Energy"] * (len(leads) - 1)
    leads.to_csv(tmp_path / "leads.csv", index=False)
    mails = pd.date_range("2025-01-01 12:00", "2025-05-14 12:00", freq="1D", tz="UTC")
    pd.DataFrame({"lead_id": "l0", "type": "mail", "occurred_at": mails}).to_csv(
        tmp_path / "activities.csv", index=False
    )
    closed = leads[::5].assign(outcome="won", closed_at=leads["created_at"] + pd.Timedelta("9D"))
    closed[["lead_id", "outcome", "closed_at"]].to_csv(tmp_path / "outcomes.csv", index=False)
    (tmp_path / "leadscore.toml").write_text(PROJECT)
    project = load_project(tmp_path)
    return project, read_records(project, NOW)


def test_leads_until_is_the_newest_lead_with_any_filter(
    exported: tuple[Project, Records],
) -> None:
    newest = pd.Timestamp("2025-04-30 18:00", tz="UTC").value // 1_000
    for segment in (None, ("industry", "Retail")):
        rows = make_rows(*exported, NOW, segment=segment)
        assert rows.leads_until == newest
        assert rows.leads_end_early


def test_new_leads_are_counted_up_to_the_newest_lead(exported: tuple[Project, Records]) -> None:
    page = month_page(make_rows(*exported, NOW), [])
    (new_leads, *_) = figure_of(page, "month-figures").rows
    assert (new_leads["name"], new_leads["value"], new_leads["before"]) == ("New leads", 120, 120)
    assert "The newest lead was created on 2025-04-30" in page.sections[0].paragraphs[0]
    assert not [t for t in page.takeaways if t.metric == "new_leads"]


def test_the_month_says_why_it_does_not_show_the_conversion_of_few_leads(
    exported: tuple[Project, Records],
) -> None:
    project, records = exported
    fifth = [["Retail", *["Energy"] * 4][i // 24 % 5] for i in range(len(records.leads))]
    records = replace(records, leads=records.leads.assign(industry=fifth))
    reason = (
        "Conversion is not shown, because there are too few leads with a known outcome: 24 of "
        "those created in the 30 days to 2025-04-14, and 24 of those created in the 30 days "
        "before. At least 30 of each are needed."
    )
    for industry, is_shown in (("Retail", False), ("Energy", True)):
        rows = make_rows(project, records, NOW, segment=("industry", industry))
        section = month_page(rows, []).sections[0]
        names = [row["name"] for row in section.figures[0].rows]
        assert any(name.startswith("Conversion of") for name in names) == is_shown
        assert (reason in section.paragraphs) != is_shown


def test_the_month_says_why_it_compares_no_wins_of_a_part_of_the_leads(
    exported: tuple[Project, Records],
) -> None:
    # Leads are won after 9 days. Those of the days before, 2025-03-16 to 2025-04-14, are known.
    since = datetime.datetime(2025, 3, 1, tzinfo=datetime.UTC)
    section = month_page(make_rows(*exported, NOW, since=since), []).sections[0]
    assert section.paragraphs[1:] == (
        "Wins and revenue of the 30 days before are not shown: leads created before 2025-03-01 "
        "are left out, so fewer leads could be won in those 30 days than in the newest 30, and "
        "the two numbers cannot be compared.",
        "Conversion is not shown: leads created before 2025-03-01 are left out, so the 30 days "
        "before have no leads, or only some, that are old enough.",
    )
    service = service_page(make_rows(*exported, NOW, since=since))
    assert service.sections[0].paragraphs[-1] == (
        "Leads created before 2025-03-01 are left out, also if they were handed over or won in "
        "these weeks. So the numbers of leads handed over and of deals may rise from week to week "
        "only because the leads created since 2025-03-01 grow older."
    )
    assert figure_of(service, "service-weeks").finding.endswith(
        " leads a week of those created since 2025-03-01 are handed over"
    )
    everyone = service_page(make_rows(*exported, NOW))
    assert figure_of(everyone, "service-weeks").finding == "28 leads a week are handed over"
    assert section.figures[0].finding == (
        "120 new leads in the 30 days to 2025-04-30, 120 in the 30 days before; 20 wins in the "
        "30 days to 2025-05-14"
    )


def test_weeks_are_shown_up_to_the_newest_lead(exported: tuple[Project, Records]) -> None:
    page = service_page(make_rows(*exported, NOW))
    weeks = figure_of(page, "service-weeks").rows
    assert [row["handed"] for row in weeks] == [28] * 13
    assert weeks[-1]["name"] == "2025-04-21"
    assert all(row["deals"] and row["revenue"] is None for row in weeks)  # no amounts at all
    assert "Weeks are shown up to the newest lead" in page.sections[0].paragraphs[0]


def test_a_week_without_leads_at_its_weekend_is_complete(exported: tuple[Project, Records]) -> None:
    project, records = exported
    until_friday = records.leads["created_at"] < pd.Timestamp("2025-04-26", tz="UTC")
    cut = replace(records, leads=records.leads[until_friday].reset_index(drop=True))
    weeks = figure_of(service_page(make_rows(project, cut, NOW)), "service-weeks").rows
    assert weeks[-1]["name"] == "2025-04-21"
    assert weeks[-1]["handed"] == 20


def test_capacity_counts_the_weeks_up_to_the_newest_lead(
    simulated_crm: Path, trained: Trained
) -> None:
    project = load_project(simulated_crm)
    records = read_records(project)
    newest = records.leads["created_at"].max() - pd.Timedelta("40D")
    early_leads = records.leads[records.leads["created_at"] <= newest].reset_index(drop=True)
    rows = make_rows(project, replace(records, leads=early_leads), NOW, trained.scorer)
    everyone = figure_of(capacity_page(rows), "capacity-week").rows[-1]
    newest_creation = rows.created.max()
    assert rows.as_of - newest_creation > 30 * DAY
    assert everyone["x"] == pytest.approx((rows.created > newest_creation - 91 * DAY).sum() / 13)


def promises(folder: Path, **changed: Any) -> tuple[Page, dict[str, Row]]:
    """Build the page of promises; every fifth lead is called after an hour."""
    project = load_project(folder)
    records = read_records(project, NOW)
    called = records.leads[::5].assign(type="call")
    called["occurred_at"] = called["created_at"] + pd.Timedelta("1h")
    columns = ["lead_id", "type", "occurred_at"]
    assert records.activities is not None
    activities = pd.concat([records.activities[columns], called[columns]]).sort_values(columns[2])
    records = replace(records, activities=activities.reset_index(drop=True), **changed)
    page = service_page(make_rows(project, records, NOW))
    return page, {
        row["name"].partition(": ")[2]: row for row in figure_of(page, "service-promises").rows
    }


TARGETS = """
[report.targets]
leads_per_week = {all = 29}
first_touch_hours = {all = 24}
worked_share = {all = 0.2}
won_share = {all = 0.2}
"""


def test_a_median_wait_that_is_still_open_breaks_its_promise(
    exported: tuple[Project, Records], tmp_path: Path
) -> None:
    (tmp_path / "leadscore.toml").write_text(PROJECT + TARGETS)
    page, rows = promises(tmp_path)
    waiting = rows["median time to the first sales activity"]
    assert (waiting["kept"], waiting["actual"]) == ("no", None)
    assert "half of these leads or more still wait" in figure_of(page, "service-promises").note


def test_promises_are_kept_if_their_target_is_reached(
    exported: tuple[Project, Records], tmp_path: Path
) -> None:
    (tmp_path / "leadscore.toml").write_text(PROJECT + TARGETS)
    _, rows = promises(tmp_path)
    assert rows["leads handed over a week"]["kept"] == "no"
    assert rows["share worked within 7 days"]["kept"] == "yes"
    assert rows["share worked within 7 days"]["actual"] == pytest.approx(0.2, abs=0.001)


def test_promises_are_written_in_their_units(
    exported: tuple[Project, Records], tmp_path: Path
) -> None:
    targets = TARGETS.replace("worked_share = {all = 0.2}", "worked_share = {all = 1.0}")
    (tmp_path / "leadscore.toml").write_text(PROJECT + targets)
    page, rows = promises(tmp_path)
    shown = figure_of(page, "service-promises")
    cells = {
        name: [cell_of(shown, row, column).replace("\u00a0", " ") for column in shown.columns[1:3]]
        for name, row in rows.items()
    }
    worked = rows["share worked within 7 days"]
    of = f"{worked['wins']:,} of {worked['n']:,}"
    assert cells["share worked within 7 days"] == [
        "100.0 %",
        f"{100 * worked['actual']:.1f} % ({of})",
    ]
    assert worked["wins"] / worked["n"] == worked["actual"]
    assert cells["median time to the first sales activity"] == ["1 day", "–"]
    assert {"form", "wins", "n"} <= set(shown.keys)  # the files say what the numbers are
    assert [row["form"] for row in shown.rows] == ["ratio", "hours", "share", "share"]


def test_the_first_page_says_how_many_promises_are_kept(
    exported: tuple[Project, Records], tmp_path: Path
) -> None:
    (tmp_path / "leadscore.toml").write_text(PROJECT + TARGETS)
    page, rows = promises(tmp_path)
    n_kept = sum(row["kept"] == "yes" for row in rows.values())
    sentence = page.takeaways[-1].sentence
    assert sentence.startswith(f"{n_kept} of 4 promises are kept")
    assert (
        "“Grade all: leads handed over a week” and “Grade all: median time to the first sales "
        "activity” are not kept." in sentence
    )
    project, records = exported
    first = month_page(make_rows(project, records, NOW), [page])
    assert [t.sentence for t in first.takeaways].count(sentence) == 1


@pytest.mark.parametrize(
    ("key", "column", "title"),
    [
        ('currency = "CHF"', "amount", "Revenue won a week (CHF)"),
        ("", "deal_eur", "Revenue won a week (EUR)"),
        ("", "amount", "Revenue won a week"),
    ],
)
def test_amounts_have_the_currency_of_the_project_or_of_their_column(
    exported: tuple[Project, Records], key: str, column: str, title: str
) -> None:
    project, records = exported
    assert project.outcomes is not None
    keys = msgspec.structs.replace(project.report, currency=key[12:15] or None)
    outcomes = msgspec.structs.replace(project.outcomes, amount=column)
    changed = replace(project, report=keys, outcomes=outcomes)
    assert with_currency(make_rows(changed, records, NOW), "Revenue won a week") == title


def test_conversion_counts_leads_whose_horizon_ended_in_the_weeks(
    exported: tuple[Project, Records], tmp_path: Path
) -> None:
    project = PROJECT.replace("horizon_days = 30", "horizon_days = 91") + TARGETS
    (tmp_path / "leadscore.toml").write_text(project)
    page, rows = promises(tmp_path)
    n = 4 * 26  # created from 1 January to 26 January, 91 days before 27 April
    assert (rows["share converted"]["n"], rows["share converted"]["kept"]) == (n, "yes")
    weeks = figure_of(page, "service-weeks").rows
    assert sum(row["mature"] for row in weeks) == n
    assert weeks[-1]["won_share"] == pytest.approx(0.2, abs=0.05)


def test_promises_need_enough_leads(exported: tuple[Project, Records], tmp_path: Path) -> None:
    (tmp_path / "leadscore.toml").write_text(PROJECT + TARGETS)
    leads = exported[1].leads
    _, rows = promises(tmp_path, leads=leads[::30].reset_index(drop=True))
    assert {row["kept"] for row in rows.values()} == {"no", "too few leads"}
    assert rows["leads handed over a week"]["kept"] == "no"
    assert rows["share converted"]["n"] in range(1, 30)


def capacity(crm: Path, trained: Trained, learned_to: str) -> Page:
    """Build the page about capacity for a model that learned up to a day."""
    project = load_project(crm)
    now = datetime.datetime(2025, 8, 1, tzinfo=datetime.UTC)
    card = replace(trained.scorer.card, learned_from={"to": f"{learned_to}T00:00:00+00:00"})
    scorer = replace(trained.scorer, card=card)
    page = capacity_page(make_rows(project, read_records(project), now, scorer))
    assert figure_of(page, "capacity-check").rows[0]["n"] > FEWEST_LEADS
    return page


def test_leads_that_the_model_learned_from_give_no_takeaway(
    simulated_crm: Path, trained: Trained
) -> None:
    page = capacity(simulated_crm, trained, "2025-12-01")
    assert page.takeaways == ()
    assert "the figures do not show how good it is on new ones" in page.sections[1].paragraphs[0]
    assert "they may look worse" in page.sections[1].paragraphs[0]


def test_capacity_says_that_its_wins_are_predicted_and_whether_a_test_checks_them(
    scored_rows: ReportRows,
) -> None:
    scorer = scored_rows.scorer
    assert scorer is not None
    page = capacity_page(scored_rows)
    assert page.sections[0].figures[0].finding.startswith("If the predicted chances come true, ")
    assert (
        page.sections[0].paragraphs[-1].endswith("The page about the score shows whether they do.")
    )
    untested = replace(scorer, card=replace(scorer.card, test={}))
    assert (
        capacity_page(replace(scored_rows, scorer=untested))
        .sections[0]
        .paragraphs[-1]
        .endswith("No test shows whether they do, because the model has none.")
    )


def test_leads_that_the_model_has_not_seen_give_a_takeaway(
    simulated_crm: Path, trained: Trained
) -> None:
    page = capacity(simulated_crm, trained, "2024-01-01")
    assert page.takeaways[0].sentence.endswith("The model has not learned from these leads.")
    assert page.sections[1].paragraphs == (
        "Only leads that the model has not learned from are shown.",
    )
