"""The section `[learn]` of a draft."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crm.errors import ConfigError
from drafting.learn_section import HOUR_IN_DAYS, propose_ages
from tests.made_drafts import N_LEADS, days, draft, draft_of, without_line_breaks, write_csv


@pytest.mark.parametrize(
    ("values", "won", "lost", "still_open"),
    [
        (["1", "0"], [1], [0], []),
        (["1", "-1"], [1], [-1], []),
        (["0", "-1"], [-1], [0], []),
        (["Y", "n"], ["Y"], ["n"], []),
        (["X", ""], ["X"], [], []),
        (["checked", "-"], ["checked"], [], ["-"]),
        (["checked", "unchecked"], ["checked"], ["unchecked"], []),
        (["approved", "declined", "cancelled"], ["approved"], ["declined", "cancelled"], []),
        (["Closed - Won", "Not interested", "New"], ["Closed - Won"], ["Not interested"], ["New"]),
        (["Won", "Lost", "Gold"], ["Won"], ["Lost"], ["Gold"]),
        (["converted", "Select", "lost"], ["converted"], ["lost"], ["Select"]),
        (["won", "Won ", "no"], ["won"], ["no"], []),
    ],
)
def test_draft_lists_clear_values(
    tmp_path: Path, values: list[str], won: list[Any], lost: list[Any], still_open: list[str]
) -> None:
    leads = {"lead_id": range(N_LEADS), "outcome": (values * N_LEADS)[:N_LEADS]}
    text, project, _ = draft_of(tmp_path, leads)
    assert project.learn.won == won
    assert sorted(project.learn.lost) == sorted(lost)
    assert project.learn.open == still_open
    assert "was taken" not in text


@pytest.mark.parametrize(
    ("values", "won", "lost"), [(["won", "other"], "won", "other"), (["B", "B", "A"], "A", "B")]
)
def test_draft_marks_a_guess(tmp_path: Path, values: list[str], won: str, lost: str) -> None:
    leads = {"lead_id": range(N_LEADS), "outcome": (values * N_LEADS)[:N_LEADS]}
    text, project, _ = draft_of(tmp_path, leads)
    assert (project.learn.won, project.learn.lost) == ([won], [lost])
    assert "was taken" in text
    marked = [line for line in text.splitlines() if "CHECK: its words are not known" in line]
    assert len(marked) == (1 if won == "won" else 2)


@pytest.mark.parametrize(
    ("n_hour", "n_day", "n_month", "ages"),
    [
        (0, 0, 75, [0, 7, 30]),
        (0, 0, 76, [0, 7, 14]),
        (10, 0, 0, [0, HOUR_IN_DAYS, 7, 30]),
        (9, 9, 0, [0, 7, 30]),
        (9, 10, 0, [0, 1, 7, 30]),
        (40, 20, 20, [0, HOUR_IN_DAYS, 1, 7, 14]),
    ],
)
def test_ages_depend_on_how_soon_leads_close(
    n_hour: int, n_day: int, n_month: int, ages: list[float]
) -> None:
    n_open = 100 - n_hour - n_day - n_month
    days = np.repeat([0.01, 0.5, 20.0, np.nan], [n_hour, n_day, n_month, n_open])
    assert propose_ages(days) == ages


def test_ages_of_leads_without_closing_times_are_the_default() -> None:
    assert propose_ages(np.array([np.nan] * 3)) == propose_ages(np.empty(0)) == [0, 7, 30]


def closings(values: Sequence[str], closed: Collection[str]) -> dict[str, Any]:
    """Return leads with outcome values in turn; only those of `closed` have a closing date."""
    stages = [values[i % len(values)] for i in range(120)]
    dates = days(120, "2024-03-01")
    closing = [date if stage in closed else "" for stage, date in zip(stages, dates, strict=True)]
    return {
        "Lead ID": [f"L{i}" for i in range(120)],
        "Created Date": days(120),
        "Stage": stages,
        "Closed Date": closing,
    }


@pytest.mark.parametrize(
    ("values", "closed", "line"),
    [
        (
            ["Won", "Lost", "Recycled", "Contacted"],
            ["Won", "Lost", "Recycled"],
            '"Recycled", # 30 leads, 100% with a closing date; CHECK: these leads have closing '
            "dates, and the other open leads have none",
        ),
        (
            ["Won", "Lost", "Contacted"],
            ["Lost"],
            '"Won", # 40 leads, 0% with a closing date; CHECK: 40 of these leads have no closing '
            "date",
        ),
    ],
)
def test_closing_dates_that_contradict_a_value_are_shown(
    tmp_path: Path, values: list[str], closed: list[str], line: str
) -> None:
    text = draft_of(tmp_path, closings(values, closed)).text
    assert line in text
    assert text.count("CHECK: ") == 1


def test_closing_dates_of_all_open_leads_are_expected_ones(tmp_path: Path) -> None:
    values = ["Won", "Lost", "Contacted", "Qualified to buy"]
    assert "CHECK" not in draft_of(tmp_path, closings(values, values)).text


@pytest.mark.parametrize("other", ["closing dates", "a flag"])
def test_no_of_a_yes_or_no_is_open_if_another_column_shows_it(tmp_path: Path, other: str) -> None:
    stages = ["Won", "Lost", "Contacted"]
    leads = closings(stages, ["Won", "Lost"])
    stages = leads.pop("Stage")
    leads["Converted"] = [int(stage == "Won") for stage in stages]
    if other == "a flag":
        leads["Is Lost"] = [int(stage == "Lost") for stage in stages]
        del leads["Closed Date"]
    text, project, _ = draft_of(tmp_path, leads)
    assert (project.learn.won, project.learn.lost, project.learn.open) == ([1], [], [0])
    where = 'open in "Is Lost"' if other == "a flag" else 'without a time in "Closed Date"'
    assert f"CHECK: 40 of these leads are {where}" in text


@pytest.mark.parametrize(
    ("won", "closed"),
    [
        ("Won", "Closed?"),
        ("Gewonnen", "Geschlossen"),
        ("Gagné", "Fermé"),
        ("Ganada", "Cerrada"),
        ("Wygrana", "Zamknięta"),
        ("Vinta", "Chiusa"),
        ("Ganho", "Fechado"),
        ("Gewonnen", "Gesloten"),
        ("成立", "完了"),
    ],
)
def test_flags_of_won_and_closed_leads_show_open_leads(
    tmp_path: Path, won: str, closed: str
) -> None:
    leads = {"Lead ID": [f"L{i}" for i in range(120)], "Created Date": days(120)}
    leads |= {closed: ["1", "1", "0"] * 40, won: ["1", "0", "0"] * 40}
    text, project, _ = draft_of(tmp_path, leads)
    assert project.leads.column_of("outcome") == won
    assert (project.learn.won, project.learn.lost, project.learn.open) == ([1], [], [0])
    assert f'CHECK: 40 of these leads are not closed in "{closed}", so they are open' in text
    advice = f'write won where "{won}" is yes, and lost where "{closed}" is yes and "{won}" is no.'
    assert advice in without_line_breaks(text)
    assert project.columns.known_later == [closed]


@pytest.mark.parametrize(
    ("has_times", "advice"), [(True, "move it to `open`"), (False, "export a column that tells")]
)
def test_no_that_may_mean_open_is_asked_about(tmp_path: Path, has_times: bool, advice: str) -> None:
    leads: dict[str, Any] = {"Lead ID": [f"L{i}" for i in range(40)], "Won": ["Yes", "No"] * 20}
    leads |= {"Created Date": days(40)} if has_times else {}
    text, project, _ = draft_of(tmp_path, leads)
    assert (project.learn.won, project.learn.lost) == (["Yes"], ["No"])
    asked = "CHECK: does this value mean lost, or not yet decided? If open leads have it too, "
    assert f'"No", # 20 leads; {asked}{advice}' in text


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("Closed Date", ["2025-01-05", "2025-01-06"]),
        ("Lost Reason", ["", "Price"]),
        ("Is Lost", ["No", "Yes"]),
        ("Geschlossen", ["Yes", "Yes"]),
        ("Status", ["Won", "Lost"]),
    ],
)
def test_no_of_leads_that_are_all_closed_is_not_asked_about(
    tmp_path: Path, name: str, cells: list[str]
) -> None:
    leads: dict[str, Any] = {"Lead ID": [f"L{i}" for i in range(40)], "Won": ["Yes", "No"] * 20}
    assert "does this value mean lost" not in draft_of(tmp_path, leads | {name: cells * 20}).text


def test_no_beside_empty_cells_is_lost(tmp_path: Path) -> None:
    leads = {"Lead ID": [f"L{i}" for i in range(60)], "Won": ["Yes", "No", ""] * 20}
    assert "does this value mean lost" not in draft_of(tmp_path, leads).text


@pytest.mark.parametrize("name", ["Not Won", "Never converted", "not_converted"])
def test_yes_in_a_negated_column_means_lost(tmp_path: Path, name: str) -> None:
    leads = closings(["No", "Yes"], ["No", "Yes"])
    leads[name] = leads.pop("Stage")
    text, project, _ = draft_of(tmp_path, leads)
    assert project.leads.column_of("outcome") == name
    assert (project.learn.won, project.learn.lost) == (["No"], ["Yes"])
    assert 'CHECK: no value clearly means won, so "No" was taken.' in text


@pytest.mark.parametrize("name", ["Lost", "Is Unqualified", "Lost Flag"])
def test_flag_of_lost_leads_does_not_show_wins(tmp_path: Path, name: str) -> None:
    leads = closings(["No", "Yes"], ["No", "Yes"])
    leads[name] = leads.pop("Stage")
    with pytest.raises(ConfigError, match="Name the column and each value that means won"):
        draft_of(tmp_path, leads)


def test_value_in_the_first_row_of_each_group_is_asked_about(tmp_path: Path) -> None:
    leads = {"Lead ID": [f"L{i}" for i in range(90)], "Created Date": days(90)}
    leads["Status"] = ["Won" if i == 0 else "Lost" if i == 30 else "" for i in range(90)]
    text = without_line_breaks(draft(tmp_path, [write_csv(tmp_path, "leads.csv", leads)]).text)
    assert 'CHECK: only 2 of 90 rows have a value in "Status". If the report shows' in text


@pytest.mark.parametrize("name", ["Do Not Call", "do_not_contact"])
def test_consent_does_not_show_open_leads(tmp_path: Path, name: str) -> None:
    leads = closings(["Won", "Lost"], ["Won", "Lost"])
    leads["Converted"] = [int(stage == "Won") for stage in leads.pop("Stage")]
    leads[name] = ["No", "No", "Yes"] * 40
    text, project, _ = draft_of(tmp_path, leads)
    assert (project.learn.lost, project.learn.open) == ([0], [])
    assert "CHECK" not in text


@pytest.mark.parametrize(
    ("n_days", "horizon", "is_checked"), [(60, 30, True), (128, 60, True), (130, 90, False)]
)
def test_horizon_leaves_leads_to_learn_from(
    tmp_path: Path, n_days: int, horizon: int, is_checked: bool
) -> None:
    stages = ["Won", "Lost", "Open", "Open"] * n_days
    leads = {"Lead ID": range(n_days), "Created Date": days(n_days), "Stage": stages[:n_days]}
    text, project, _ = draft_of(tmp_path, leads)
    assert project.learn.horizon_days == horizon
    assert ("CHECK: 90 days would fit better, but only" in text) == is_checked
    assert "No column of closing dates was found. Without them, only leads" in text.replace(
        "\n# ", " "
    )


def test_unread_closing_dates_of_another_file_are_asked_about(tmp_path: Path) -> None:
    leads = {"customer_id": [f"C{i}" for i in range(40)], "created": days(40)}
    closed = [f"2024-05-{i % 28 + 1:02}" if i % 2 else f"{i % 12 + 13}/05/2024" for i in range(40)]
    deals = {"opportunity_id": range(40), "customer_id": leads["customer_id"], "stage": closed}
    deals["stage"] = ["Closed Won", "Closed Lost"] * 20
    deals["actual_close_date"] = closed
    files = [write_csv(tmp_path, "customers.csv", leads), write_csv(tmp_path, "deals.csv", deals)]
    text = without_line_breaks(draft(tmp_path, files).text)
    outcomes = text[text.index("[outcomes]") : text.index("[learn]")]
    assert "CHECK" in outcomes
    assert "actual_close_date" in outcomes


@pytest.mark.parametrize("is_dated", [True, False])
def test_other_closing_dates_are_named_if_losses_have_none(tmp_path: Path, is_dated: bool) -> None:
    leads = closings(["Won", "Lost", "Contacted"], ["Won", "Lost"] if is_dated else ["Won"])
    leads["Lost time"] = [
        day if stage == "Lost" else ""
        for stage, day in zip(leads["Stage"], days(120, "2024-03-01"), strict=True)
    ]
    text = draft_of(tmp_path, leads).text
    assert ("CHECK: closing dates are also in" in text) != is_dated
