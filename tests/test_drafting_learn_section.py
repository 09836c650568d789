"""The section `[learn]` of a draft."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drafting.learn_section import HOUR_IN_DAYS, propose_ages
from tests.made_drafts import N_LEADS, draft_of


@pytest.mark.parametrize(
    ("values", "won", "lost", "still_open"),
    [
        (["1", "0"], [1], [0], []),
        (["1", "-1"], [1], [-1], []),
        (["Y", "n"], ["Y"], ["n"], []),
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
