"""Reports say what the records cover: unknown outcomes, missing amounts, windows and weeks."""

import datetime
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm.project import load_project
from crm.reading import read_records
from crm.times import DAY
from features.groups import OTHERS, Groups
from features.moments import make_moments
from reports.content import Page
from reports.pages.age import age_page
from reports.pages.month import month_page
from reports.pages.not_compared import reason_of_alike
from reports.pages.service_levels.page import service_page
from reports.pages.sources.page import sources_page
from reports.report import build_report
from reports.rows.building import make_rows
from reports.rows.rows import ReportRows
from tests.made_projects import project_of_tables
from tests.made_reports import figure_of

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
PROJECT = project_of_tables("outcomes") + 'report.source = "source"\n'
OLIST = """
project.name = "olist"
learn = {won = ["won"], lost = [], horizon_days = 90}
report = {source = "origin"}
[leads]
source = "FOLDER/mql.csv"
lead_id = "mql_id"
created_at = "first_contact_date"
timezone = "UTC"
[outcomes]
source = "FOLDER/closed_deals.csv"
lead_id = "mql_id"
closed_at = "won_date"
amount = "declared_monthly_revenue"
every_row = "won"
timezone = "UTC"
"""

Build = Callable[..., ReportRows]


def at(day: str) -> int:
    return int(pd.Timestamp(day, tz="UTC").value) // 1_000


def paragraphs(page: Page) -> str:
    return " ".join(text for section in page.sections for text in section.paragraphs)


def needs(page: Page, heading: str) -> str:
    (only,) = (section.needs for section in page.sections if section.heading == heading)
    return only


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Return a function that builds the rows of two leads a day; every fifth lead is won."""

    def rows_of(
        first: str = "2025-01-01",
        last: str = "2025-06-30 23:00",
        outcomes_from: str = "2025-01-01",
        amounts: Callable[[int], np.ndarray] = np.ones,
        freq: str = "12h",
        report: str = "",
        n_early: int = 0,
    ) -> ReportRows:
        days = pd.date_range(first, last, freq=freq, tz="UTC")
        leads = pd.DataFrame({"lead_id": [f"l{i}" for i in range(len(days))], "created_at": days})
        leads["source"] = np.where(np.arange(len(leads)) % 2, "Fair", "Mail")
        closed = leads[::5].assign(
            outcome="won", closed_at=leads["created_at"] + pd.Timedelta("2D")
        )
        closed = closed[closed["closed_at"] >= pd.Timestamp(outcomes_from, tz="UTC")]
        early = np.where(np.arange(len(closed)) < n_early, 3, 0)
        closed["closed_at"] -= pd.to_timedelta(early, unit="D")
        closed["amount"] = amounts(len(closed))
        leads.to_csv(tmp_path / "leads.csv", index=False)
        columns = ["lead_id", "outcome", "closed_at", "amount"]
        closed[columns].to_csv(tmp_path / "outcomes.csv", index=False)
        (tmp_path / "leadscore.toml").write_text(PROJECT + report)
        project = load_project(tmp_path)
        return make_rows(project, read_records(project, NOW), NOW)

    return rows_of


@pytest.fixture(scope="module")
def olist(public_data: Path, tmp_path_factory: pytest.TempPathFactory) -> ReportRows:
    return olist_of(90, public_data, tmp_path_factory.mktemp("olist"))


def olist_of(horizon_days: int, public_data: Path, folder: Path) -> ReportRows:
    """Build the rows of the olist leads with a horizon."""
    text = OLIST.replace("FOLDER", str(public_data / "olist_funnel"))
    text = text.replace("horizon_days = 90", f"horizon_days = {horizon_days}")
    (folder / "leadscore.toml").write_text(text)
    project = load_project(folder)
    return make_rows(project, read_records(project, NOW), NOW)


# --- outcomes that begin late


def test_leads_before_the_first_outcome_are_in_no_conversion(build: Build) -> None:
    rows = build(outcomes_from="2025-04-01")
    early = rows.created < pd.Timestamp("2025-04-03", tz="UTC").value // 1_000
    assert early.sum() == (~rows.has_known_outcome).sum() == 184
    assert not rows.is_mature[early].any()
    assert rows.rate == (24, 121)
    assert not rows.open_at(np.flatnonzero(early), rows.created[early] + DAY).any()
    months = {row["name"]: row for row in figure_of(age_page(rows), "age-months").rows}
    assert months["2025-02"]["value"] is None
    assert months["2025-02"]["mature"] == "not known: 56 of 56 created before 2025-04-03"
    assert months["2025-05"]["value"] == pytest.approx(0.2, abs=0.01)
    assert figure_of(age_page(rows), "age-months").finding == (
        "Too few months to tell whether conversion rises or falls"
    )


def test_every_page_says_which_outcomes_are_not_known(build: Build) -> None:
    rows = build(outcomes_from="2025-04-01")
    words = "The leads begin on 2025-01-01, the outcomes on 2025-04-03."
    assert words in paragraphs(month_page(rows, []))
    report = build_report(rows.project, rows.records, NOW)
    assert report.about["outcomes_from"] == "2025-04-03T00:00:00+00:00"
    assert words in report.about["notes"][0]
    about = figure_of(sources_page(rows), "sources-won").about
    assert (
        "not counted: 57 younger ones, 184 created before 2025-04-03, when outcomes begin" in about
    )


def test_outcomes_that_begin_with_the_leads_are_known(build: Build) -> None:
    rows = build()
    assert rows.has_known_outcome.all()
    report = build_report(rows.project, rows.records, NOW)
    assert report.about["outcomes_from"] is None
    assert report.about["notes"] == []


def test_deals_of_weeks_before_the_first_outcome_are_not_known(build: Build) -> None:
    page = service_page(build(outcomes_from="2025-05-05", freq="6h"))
    weeks = {row["name"]: row for row in figure_of(page, "service-weeks").rows}
    assert weeks["2025-04-28"]["deals"] is None
    assert weeks["2025-05-12"]["deals"] == 5
    assert "Deals of weeks before 2025-05-05 are not known" in paragraphs(page)
    assert all(row["mature"] == 0 for row in weeks.values() if row["name"] < "2025-06-02")


def test_the_outcomes_of_olist_begin_half_a_year_after_the_leads(olist: ReportRows) -> None:
    assert (~olist.has_known_outcome).sum() == 1_827
    assert olist.rate == (682, 6_172)  # 11.0 %, not 8.6 %
    months = {row["name"]: row["value"] for row in figure_of(age_page(olist), "age-months").rows}
    assert all(value is None for name, value in months.items() if name < "2018-01")
    assert months["2018-01"] == pytest.approx(129 / 1_141)
    assert figure_of(age_page(olist), "age-months").finding == "Conversion shows no lasting trend"


def test_leads_handed_over_before_the_outcomes_begin_have_unknown_outcomes(build: Build) -> None:
    rows = build(outcomes_from="2025-05-05", freq="6h")
    page = service_page(rows)
    shown = figure_of(page, "service-grades").rows[0]["mature"]
    begin = rows.coverage.outcomes_from
    handed = (rows.created >= at("2025-03-01")) & (rows.created < at("2025-05-31"))
    unknown = int((handed & (rows.created < begin)).sum())
    assert (shown, unknown) == (int(handed.sum()) - unknown, 260)
    assert (
        f"Conversion is shown for the {shown:,} leads whose 30\u00a0days after the handover ended "
        "in these weeks. Another 260 were handed over then, but created before 2025-05-05. The "
        "outcomes begin on this day, so it is not known how these leads ended."
    ) in paragraphs(page)
    assert "Further" not in paragraphs(service_page(build()))


def test_the_outcomes_of_the_handed_over_leads_of_olist_are_unknown(
    public_data: Path, tmp_path: Path
) -> None:
    page = service_page(olist_of(180, public_data, tmp_path))
    assert (
        "Conversion is not known: 1,165 leads were handed over 180\u00a0days before these weeks, "
        "but created before 2017-12-05."
    ) in paragraphs(page)


# --- closed before the creation


def at_creation(page: Page) -> tuple[int, int]:
    row = figure_of(page, "age-ages").rows[0]
    return row["wins"], row["n"]


def test_leads_closed_before_their_creation_are_in_no_conversion(build: Build) -> None:
    everyone, rows = build(), build(n_early=3)
    wins, n = everyone.rate
    assert (wins, n) == (61, 305)  # of 362 leads, 57 are younger than 30 days
    assert rows.is_closed_early.sum() == 3
    assert rows.rate == at_creation(age_page(rows)) == (58, 302)
    months = figure_of(age_page(rows), "age-months").rows
    assert (months[0]["n"], months[0]["wins"], months[0]["mature"]) == (59, 10, "yes")
    assert "3 already won or lost when created" in figure_of(age_page(rows), "age-months").about
    sources = figure_of(sources_page(rows), "sources-won").rows
    assert (sum(row["wins"] for row in sources), sum(row["n"] for row in sources)) == (58, 302)
    assert "3 leads were already won or lost when they were created" in paragraphs(
        month_page(rows, [])
    )
    assert "already won" not in paragraphs(month_page(everyone, []))


def test_wins_before_the_creation_have_no_time_to_win(build: Build) -> None:
    page = sources_page(build(n_early=3))
    assert sum(row["n"] for row in figure_of(page, "sources-speed").rows) == 58
    assert "Of all 70 wins" in paragraphs(page)  # of 73


def test_a_lead_of_olist_that_is_won_before_its_creation(public_data: Path, tmp_path: Path) -> None:
    rows = olist_of(180, public_data, tmp_path)
    assert rows.rate == at_creation(age_page(rows)) == (705, 5_666)  # without the lead: 706, 5,667
    won = {row["name"]: row["wins"] for row in figure_of(sources_page(rows), "sources-won").rows}
    assert won["organic_search"] == 228
    assert "1 lead was already won or lost when it was created" in paragraphs(month_page(rows, []))
    notes = [figure.note for section in service_page(rows).sections for figure in section.figures]
    assert any(note.startswith("Converted: leads handed over 180") for note in notes)
    assert not any("Worked" in note or "sales activity" in note for note in notes)


# --- amounts


def few_amounts(n: int) -> np.ndarray:
    return np.where(np.arange(n) % 3 == 0, 100.0, 0.0)


def one_large(n: int) -> np.ndarray:
    return np.where(np.arange(n) == n - 4, 50_000.0, 100.0)


def one_large_earlier(n: int) -> np.ndarray:
    return np.where(np.arange(n) == n - 40, 50_000.0, 100.0)


def test_revenue_is_not_shown_if_few_wins_have_an_amount(build: Build) -> None:
    rows = build(amounts=few_amounts)
    words = "25 of 73 wins have an amount"
    assert words in needs(sources_page(rows), "Revenue by source")
    page = month_page(rows, [])
    assert words in paragraphs(page)
    assert [row["name"] for row in figure_of(page, "month-figures").rows][:2] == [
        "New leads",
        "Wins",
    ]
    assert not any("evenue" in row["name"] for row in figure_of(page, "month-figures").rows)
    weeks = figure_of(service_page(rows), "service-weeks")
    assert not weeks.has_columns(["revenue"])
    assert all(row["revenue"] is None for row in weeks.rows)


def test_a_promise_of_revenue_is_not_judged_without_amounts(build: Build) -> None:
    rows = build(amounts=few_amounts, report="report.targets.revenue_per_week = 100\n")
    promises = figure_of(service_page(rows), "service-promises")
    assert promises.rows[0]["kept"] == "not known"
    assert "25 of 73 wins have an amount" in promises.note


def test_a_deal_that_is_most_of_a_sum_is_named_beside_it(build: Build) -> None:
    rows = build(amounts=one_large)
    page = month_page(rows, [])
    table = {row["name"]: row for row in figure_of(page, "month-figures").rows}
    assert (table["Revenue won"]["value"], table["Revenue won"]["before"]) == (51_100, 1_200)
    without = table["Revenue won without the largest deal"]
    assert (without["value"], without["before"]) == (1_100, 1_200)
    assert "is 50,000 of 51,100. Without it, the sum is 1,100." in paragraphs(page)


def four_of_mail(n: int) -> np.ndarray:
    """Return an amount for each deal of Fair, and for four of Mail, of which the first is large."""
    i = np.arange(n)
    return np.where(i == 0, 900.0, np.where((i % 2 == 1) | (i < 8), 1.0, 0.0))


def test_a_large_deal_among_fewer_than_five_is_not_named(build: Build) -> None:
    rows = build(last="2025-02-15", amounts=four_of_mail)
    rows = replace(rows, is_old=np.ones(len(rows), dtype=bool), is_mature=rows.has_known_outcome)
    revenue = figure_of(sources_page(rows), "sources-revenue")
    mail = next(row for row in revenue.rows if row["name"] == "Mail")
    assert (mail["wins"], mail["revenue"], mail["rest"]) == (4, 903, None)
    assert not revenue.has_columns(["rest"])


def test_a_deal_that_is_most_of_a_sum_makes_no_difference_between_sources(build: Build) -> None:
    rows = build(amounts=one_large_earlier)
    revenue = figure_of(sources_page(rows), "sources-revenue")
    (large,) = (row for row in revenue.rows if row["rest"] is not None)
    assert large["rest"] == large["revenue"] - 50_000
    assert revenue.has_columns(["rest"])
    assert sources_page(rows).takeaways == ()


def test_leads_of_olist_that_may_have_ended_are_not_called_open(olist: ReportRows) -> None:
    # 8,000 leads less 842 wins. Of the 1,827 created before the outcomes begin, 51 were won later.
    n_open, n_unknown = int(olist.is_open.sum()), int(olist.is_unknown.sum())
    assert n_open + n_unknown == 8_000 - 842
    assert (n_open, n_unknown) == (5_382, 1_776) == (5_382, 1_827 - 51)
    assert (
        "5,382 of 8,000 leads are open. 1,776 more have no outcome either, but they were created "
        "before the outcomes begin, so it is not known whether they are open."
    ) in paragraphs(month_page(olist, []))
    assert set(olist.table()["outcome"].dropna()) == {"won", "open"}
    assert olist.table()["outcome"].isna().sum() == n_unknown


def test_training_learns_from_the_leads_that_reports_count(olist: ReportRows) -> None:
    moments = make_moments(olist.records, olist.project.learn)
    assert (int(moments.label.sum()), len(moments)) == olist.rate == (682, 6_172)
    assert moments.counts["leads_before_the_outcomes"] == 1_827


@pytest.mark.parametrize(
    ("name", "n", "won"),
    [("bpic2012", 30_888, 8_059), ("xeducation", 9_240, 3_561), ("bank_marketing", 41_188, 4_640)],
)
def test_training_keeps_all_leads_whose_outcomes_are_known(
    public_data: Path, name: str, n: int, won: int
) -> None:
    project = load_project(EXAMPLES / f"{name}.toml")
    moments = make_moments(read_records(project), project.learn)
    assert (len(moments), int(moments.label.sum())) == (n, won)
    assert not moments.counts.get("leads_before_the_outcomes")


def test_the_revenue_of_olist_is_not_known(olist: ReportRows) -> None:
    words = "45 of 842 wins have an amount"
    assert words in needs(sources_page(olist), "Revenue by source")
    assert words in paragraphs(month_page(olist, []))


# --- windows


def test_each_figure_of_the_month_names_its_days(build: Build) -> None:
    page = month_page(build(), [])
    windows = [row["window"] for row in figure_of(page, "month-figures").rows]
    assert windows[:2] == ["2025-05-31 12:00 to 2025-06-30 12:00", "2025-06-03 to 2025-07-02"]
    assert figure_of(page, "month-figures").finding == (
        "60 new leads in the 30 days to 2025-06-30, 60 in the 30 days before; 12 wins in the 30 "
        "days to 2025-07-02, 12 in the 30 days before"
    )


def test_no_lead_of_olist_became_old_enough_in_the_newest_days(olist: ReportRows) -> None:
    page = month_page(olist, [])
    assert "No lead became 90 days old in the 30 days to 2018-11-14." in paragraphs(page)
    assert "The newest leads that are old enough were created up to 2018-05-31." in paragraphs(page)
    new_leads, wins, cohort = figure_of(page, "month-figures").rows
    assert (new_leads["window"], new_leads["value"]) == ("2018-05-02 to 2018-05-31", 1_278)
    assert (wins["window"], wins["value"]) == ("2018-10-15 18:04 to 2018-11-14 18:04", 17)
    assert (cohort["window"], cohort["wins"], cohort["n"]) == (new_leads["window"], 108, 1_278)
    assert page.takeaways[0].sentence.replace("\u00a0", " ") == (
        "Fewer leads than before are won: 8.5 % (108 of 1,278 leads; between 7.0 and 10.1 %) of "
        "the leads created in the 30 days to 2018-05-31, 12.6 % (171 of 1,358) of those created "
        "in the 30 days before."
    )


def test_the_month_says_that_outcomes_begin_too_late_for_the_days_before(build: Build) -> None:
    rows = build()
    late = replace(rows.coverage, outcomes_from=rows.as_of - 40 * DAY)
    page = month_page(replace(rows, coverage=late), [])
    words = "Wins and revenue of the 30 days before are not shown: outcomes are known from 2025-05"
    assert words in paragraphs(page)
    assert words not in paragraphs(month_page(rows, []))


# --- weeks and months at the ends


def test_weeks_before_the_first_record_do_not_lower_the_average(build: Build) -> None:
    page = service_page(build("2022-01-01", "2022-02-21", "2022-01-01", freq="8h"))
    weeks = figure_of(page, "service-weeks")
    assert [row["name"] for row in weeks.rows][0] == "2021-12-27"
    assert len(weeks.rows) == 8
    assert sum(row["handed"] for row in weeks.rows) == 153
    assert figure_of(page, "service-grades").rows[0]["a_week"] == pytest.approx(153 / 8)
    assert weeks.finding == "19 leads a week are handed over"
    assert "The records begin on 2022-01-01, so 8 weeks are shown." in paragraphs(page)
    assert "The first of them has records of 2 of its 7 days." in paragraphs(page)


def test_months_at_the_ends_say_which_days_they_cover(build: Build) -> None:
    months = figure_of(age_page(build("2025-01-10", "2025-06-14")), "age-months").rows
    assert [row["days"] for row in months] == ["from 2025-01-10", *["all"] * 4, "to 2025-06-14"]
    (month,) = figure_of(age_page(build("2025-01-10", "2025-01-14")), "age-months").rows
    assert month["days"] == "from 2025-01-10 to 2025-01-14"


# --- medians


def test_the_time_to_win_of_each_source_of_olist_is_the_median(olist: ReportRows) -> None:
    page = sources_page(olist)
    days = {row["name"]: row["value"] for row in figure_of(page, "sources-speed").rows}
    expected = {
        "email": 14.84,
        "other": 9.56,
        "display": 9.17,
        "social": 20.13,
        "organic_search": 10.72,
        "paid_search": 10.73,
        "direct_traffic": 8.98,
    }
    assert {name: round(days[name], 2) for name in expected} == expected
    assert "Of all 841 wins" in paragraphs(page)  # one is before its creation
    assert "half come within 14.7 days" in paragraphs(page)  # 14.65
    assert "8 wins of leads created before the outcomes begin" in paragraphs(page)


def test_the_time_to_win_says_which_wins_it_counts(build: Build) -> None:
    finding = figure_of(sources_page(build()), "sources-speed").finding
    assert finding.replace("\u00a0", " ") == (
        "No source is clearly faster or slower than the others: half of the wins within 30 days "
        "come within 2 days"
    )


# --- too little to say


def test_leads_without_a_certain_outcome_are_not_called_alike(build: Build) -> None:
    rows = build(first="2025-12-20", last="2025-12-31", freq="1h")
    assert rows.rate == (0, 0)
    sources = sources_page(rows)
    assert figure_of(sources, "sources-won").finding == "Too few leads to compare: 0"
    assert figure_of(age_page(rows), "age-months").finding.startswith("Too few months to tell")
    assert needs(sources, "Time to win by source").endswith(
        "None of the leads older than 30 days was won within 30 days."
    )
    assert needs(sources, "Revenue by source").endswith(
        "No lead from a known source was won with an amount, among leads older than 30 days."
    )
    groups = Groups("size", ("1", "2"), np.arange(len(rows)) % 2)
    assert (
        reason_of_alike(groups, rows.is_mature) == "The outcome of these leads is not certain yet."
    )


def test_a_month_without_old_leads_names_no_newest_one(build: Build) -> None:
    rows = build()
    rows = replace(rows, horizon=300 * DAY, is_mature=np.zeros(len(rows), dtype=bool))
    page = month_page(rows, [])
    assert "No lead with a known outcome is 300 days old yet." in paragraphs(page)
    assert "old enough were created up to" not in paragraphs(page)


def test_a_column_with_one_value_has_nothing_to_compare(build: Build) -> None:
    rows = build()
    one = replace(rows, source=Groups("source", ("Fair",), np.zeros(len(rows), dtype=np.int64)))
    assert figure_of(sources_page(one), "sources-won").finding == (
        "There is nothing to compare: no two groups have enough leads"
    )
    everyone = np.ones(len(rows), dtype=bool)
    assert one.source is not None
    assert "have the same value" in reason_of_alike(one.source, everyone)
    names = Groups("name", (OTHERS,), one.source.code)
    assert "shared by 30 leads" in reason_of_alike(names, everyone)


def test_revenue_is_unknown_for_its_own_reason(build: Build) -> None:
    rows = build()
    won = np.zeros(len(rows), dtype=bool)
    coverage = replace(rows.coverage, n_wins=0, n_with_amount=0)
    none_won = replace(rows, won=won, is_won=won, coverage=coverage)
    assert needs(sources_page(none_won), "Revenue by source").endswith("No lead is won yet.")
    newest = build(amounts=lambda n: np.where(np.arange(n) > n * 0.45, 1.0, 0.0))
    assert newest.coverage.has_revenue
    assert "wins have an amount." in needs(sources_page(newest), "Revenue by source")


def test_report_of_leads_that_are_all_too_young(simulated_crm: Path) -> None:
    project = load_project(simulated_crm)
    since = NOW - datetime.timedelta(days=20)
    report = build_report(project, read_records(project, NOW), NOW, since=since)
    assert not any(page.slug == "sources" and page.takeaways for page in report.pages)
