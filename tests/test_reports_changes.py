import math
from typing import Any

import pytest

from crm.times import DAY
from reports.pages.changes import changes_page, why
from reports.rows.score_changes import by_signal, recent_changes

NOW = 1_000 * DAY


def row(lead_id: str, days_ago: float, points: dict[str, float] | None, **columns: Any) -> Any:
    start = 50.0
    total = start + math.fsum((points or {}).values())
    return {
        "lead_id": lead_id,
        "as_of": int(NOW - days_ago * DAY),
        "score": round(total),
        "digest": "d1",
        "start": None if points is None else start,
        "points": points,
        **columns,
    }


ROWS = [
    row("L1", 40, {"demo": -9.0}),  # too old
    row("L1", 20, {"demo": -2.0, "age": 1.0}),
    row("L1", 10, {"demo": 5.0, "age": 0.0}),
    row("L1", 1, {"demo": 12.0, "age": -2.0}),
    row("L2", 9, {"demo": 3.0}),
    row("L2", 2, {"demo": 1.5}),
    row("L3", 3, {"demo": 3.0}),  # scored once
    row("L4", 3, None),  # an earlier version stored no points
    row("L4", 2, {"demo": 1.0}),
    row("ada@acme.example", 5, {"demo": 0.0}),
    row("ada@acme.example", 4, {"demo": 4.0, "age": 1.0}, start=53.0, digest="d2"),
    row("L5", -1, {"demo": 9.0}),  # after the report
    row("L5", 1, {"demo": 9.0}),
]


def test_first_and_last_scores_of_the_newest_days_are_compared() -> None:
    changes = recent_changes(reversed(ROWS), NOW)
    assert [change.lead_id for change in changes] == ["L1", "ada@acme.example", "L2"]
    assert [change.change.points for change in changes] == [11.0, 8.0, -1.5]
    assert (changes[0].before, changes[0].after) == (49, 60)


def test_parts_of_all_leads_add_up_to_the_mean_change() -> None:
    changes = recent_changes(ROWS, NOW)
    rows = by_signal(changes)
    assert math.fsum(r.points for r in rows) == pytest.approx((11 + 8 - 1.5) / 3)
    assert {r.signal: (r.rose, r.fell) for r in rows} == {
        "demo": (1, 1),
        "age": (0, 1),
        None: (1, 0),
    }


def test_page_shows_no_personal_id_and_names_the_new_model() -> None:
    page = changes_page(recent_changes(ROWS, NOW), is_part=False)
    signals, leads = (section.figures[0] for section in page.sections)
    assert [r["name"] for r in leads.rows] == ["L1", "(e-mail address)"]
    assert leads.rows[0]["why"] == "Demo +14, Age -3"
    assert leads.rows[1]["why"] == "a new model +8"
    assert "3 leads were scored more than once" in page.sections[0].paragraphs[0]
    assert math.fsum(r["points"] for r in signals.rows) == pytest.approx(17.5 / 3)


def test_many_parts_are_cut_and_still_add_up() -> None:
    points = {f"s{i}": i / 7 for i in range(1, 12)}
    (change,) = recent_changes([row("L", 2, {}), row("L", 1, points)], NOW)
    text = why(change)
    shown = [float(part.rsplit(" ", 1)[1]) for part in text.split(", ")]
    assert len(shown) == 5
    assert "all others" in text
    assert math.fsum(shown) == pytest.approx(round(change.change.points, 2))


def test_without_changes_the_page_says_what_it_needs() -> None:
    (section,) = changes_page([], is_part=False).sections
    assert section.needs.startswith("What moved the scores of leads. It needs a ledger")
    (section,) = changes_page(recent_changes(ROWS, NOW), is_part=True).sections
    assert "about some of the leads only" in section.needs
