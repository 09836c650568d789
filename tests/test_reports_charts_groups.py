"""The charts of the report's pages: what is drawn, what is left out, and what the legend says."""

from typing import Any

import pytest

from models.evaluation.comparisons import FEWEST_LEADS, Verdict
from reports.charts.groups import MOST_BARS, funnel_chart, rates_chart, series_chart
from reports.charts.lines import lines_chart, months_chart


def group(name: str, n: int = 100, **cells: Any) -> dict[str, Any]:
    return {"name": name, "n": n, "value": 0.2, "low": 0.1, "high": 0.3, **cells}


def subtitle_of(chart: Any) -> str:
    return str(chart.title.subtitle)


def data_of(chart: Any, key: str) -> list[dict[str, Any]]:
    """Return the rows of the one data set that has the column `key`."""
    (rows,) = (rows for rows in chart.to_dict()["datasets"].values() if key in rows[0])
    return list(rows)


def rates(rows: list[dict[str, Any]], base: float | None = None) -> Any:
    return rates_chart(rows, "finding", "all leads", what="Conversion", base=base)


def test_rates_of_groups_with_too_few_leads_are_not_drawn() -> None:
    chart = rates([group("Fair", FEWEST_LEADS), group("Web", FEWEST_LEADS - 1)])
    assert [row["full"] for row in data_of(chart, "full")] == ["Fair"]
    assert "; not drawn: 1 with fewer than 30 leads" in subtitle_of(chart)


def test_rates_without_a_large_group_have_no_chart() -> None:
    assert rates([group("Web", FEWEST_LEADS - 1)]) is None


def test_means_of_small_groups_are_drawn() -> None:
    rows = [group("Web", FEWEST_LEADS - 1)]
    chart = rates_chart(rows, "finding", "all leads", what="Days", base=None, form=",")
    assert chart is not None
    assert len(data_of(chart, "full")) == 1


def test_rates_chart_draws_a_limited_number_of_groups() -> None:
    chart = rates([group(f"Source {i}") for i in range(MOST_BARS + 4)])
    assert len(data_of(chart, "full")) == MOST_BARS
    assert "; the first 16 of 20" in subtitle_of(chart)


def test_groups_with_the_same_label_are_drawn_apart() -> None:
    chart = rates([group("Web"), group("Web"), group("Fair")])
    labels = [row["label"] for row in data_of(chart, "label")]
    assert labels == ["Web (n = 100) #1", "Web (n = 100) #2", "Fair (n = 100)"]


def test_base_is_a_dashed_line_that_the_subtitle_explains() -> None:
    chart = rates([group("Web")], base=0.25)
    assert data_of(chart, "x") == [{"x": 0.25}]
    assert subtitle_of(chart) == "all leads; dashed: the average; lines: 95 % intervals"


def test_rates_chart_without_a_base_has_no_dashed_line() -> None:
    assert "dashed" not in subtitle_of(rates([group("Web")]))


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict.ABOVE, "clear difference"),
        (Verdict.BELOW, "clear difference"),
        (Verdict.UNCLEAR, "no clear difference"),
        (Verdict.FEW_WINS, "too few to tell"),
        (None, "no clear difference"),
    ],
)
def test_legend_states_the_verdict_in_words(verdict: Verdict | None, words: str) -> None:
    rows = [group("Web", verdict=verdict), group("Fair", verdict=Verdict.ABOVE)]
    assert data_of(rates(rows), "legend")[0]["legend"] == words


def test_funnel_labels_each_step_with_its_leads_and_share() -> None:
    steps = [
        {"name": "Created", "wins": 2_400, "n_all": 2_400, "reached_share": 1.0},
        {"name": "Qualified", "wins": 1_200, "n_all": 2_400, "reached_share": 0.5},
    ]
    chart = funnel_chart(steps, "finding", "all leads")
    assert [row["text"] for row in data_of(chart, "text")] == [
        "2,400 of 2,400 (100 %)",
        "1,200 of 2,400 (50 %)",
    ]


def test_months_without_a_share_are_not_drawn() -> None:
    none: dict[str, Any] = {"value": None, "low": None, "high": None}
    rows = [group("2025-01"), group("2025-02", **none)]
    chart = months_chart(rows, "finding", "all leads", what="Conversion", base=0.2)
    assert [row["month"] for row in data_of(chart, "month")] == ["2025-01"]
    assert subtitle_of(chart) == "all leads; dashed: the average; bars: 95 % intervals"


def line(*values: tuple[Any, int]) -> list[dict[str, Any]]:
    return [{"series": "A", "x": x, "value": 0.5, "n": n} for x, n in values]


def test_lines_over_numbers_leave_out_shares_of_too_few_leads() -> None:
    chart = lines_chart(line((1, 100), (2, 29)), "finding", "all leads", x="Age", y="Share")
    assert [row["value"] for row in data_of(chart, "series")] == [0.5, None]
    assert subtitle_of(chart) == "all leads; not drawn: shares of fewer than 30 leads"


def test_lines_over_names_join_shares_of_too_few_leads() -> None:
    chart = lines_chart(line(("May", 20), ("June", 20)), "finding", "all", x="Month", y="Share")
    (row,) = data_of(chart, "series")
    assert (row["span"], row["n"]) == ("May to June", 40)
    assert subtitle_of(chart) == "all; fewer than 30 leads are joined with the next point"


def test_series_without_a_value_are_not_drawn() -> None:
    rows = [{"name": "Web", "n": 50, "won": 0.2, "qualified": None}]
    series = [("won", "won"), ("qualified", "qualified")]
    chart = series_chart(rows, "finding", "all leads", what="Share", series=series)
    assert [row["series"] for row in data_of(chart, "series")] == ["won"]


def test_lines_of_too_few_leads_are_not_drawn() -> None:
    point = {"series": "grade A", "value": 0.5, "n": FEWEST_LEADS - 1}
    names, numbers = [{**point, "x": "2025-01"}], [{**point, "x": 7.0}]
    for rows in (names, numbers):
        assert lines_chart(rows, "Finding", "leads", x="Month", y="Won") is None
        enough = [{**row, "n": FEWEST_LEADS} for row in rows]
        assert lines_chart(enough, "Finding", "leads", x="Month", y="Won") is not None
