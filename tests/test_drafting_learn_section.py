"""The section `[learn]` of a draft."""

from pathlib import Path
from typing import Any

import pytest

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
