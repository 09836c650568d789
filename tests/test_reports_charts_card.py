"""The charts of the model card: each title is the finding, and axes and legends are in words."""

from typing import Any

import altair as alt
import pytest

from reports.charts.card import (
    CLEAR,
    UNCLEAR,
    ages_chart,
    comparison_chart,
    gains_chart,
    gaps_chart,
    grades_chart,
    importance_chart,
    reliability_chart,
)

SUBJECT = "newest 20% of leads, n = 100"
BINS = [
    {"bin": 1, "n": 30.0, "stated": 0.5, "won": 0.4, "low": 0.3, "high": 0.5},
    {"bin": 2, "n": 10.0, "stated": 0.1, "won": 0.3, "low": 0.1, "high": 0.5},
]
GAINS = [
    {"share": 0.1, "gain": 0.3, "low": 0.2, "high": 0.4},
    {"share": 0.3, "gain": 0.5, "low": 0.4, "high": 0.6},
    {"share": 1.0, "gain": 1.0, "low": 1.0, "high": 1.0},
]
GRADES = [
    {"grade": grade, "n": n, "n_leads": n, "wins": wins, "won": wins / n, **stated}
    for grade, n, wins, stated in (
        ("A", 40, 16, {"stated": 0.5, "low": 0.3, "high": 0.5}),
        ("B", 30, 6, {"stated": 0.2, "low": 0.1, "high": 0.3}),
        ("D", 30, 3, {"stated": 0.1, "low": 0.0, "high": 0.2}),
    )
]
ONE_LEAD = {"grade": "A", "n": 1, "n_leads": 1, "wins": 0, "won": 0.0, "stated": 0.6}
ONE_LEAD |= {"low": 0.0, "high": 0.8}
AGES = [
    {"age_days": 0.0, "n": 60, "roc_auc": 0.7, "intervals": {"roc_auc": [0.6, 0.8]}},
    {"age_days": 7.0, "n": 40, "roc_auc": 0.85, "intervals": {"roc_auc": [0.8, 0.9]}},
]
SIGNALS = [
    {"signal": "Source", "share": 0.4},
    {"signal": "Visits", "share": 0.3},
    {"signal": "Country", "share": 0.2},
    {"signal": "Industry", "share": 0.1},
]


def group(value: str, gap: float, is_off: bool) -> dict[str, Any]:
    """Return a group of leads whose predictions are too high by `gap`."""
    row = {"column": "source", "value": value, "n": 50, "gap": gap, "is_off": is_off}
    return row | {"low": gap - 0.02, "high": gap + 0.02}


GROUPS = [group("Webinar", -0.1, True), group("Fair", 0.04, False)]


def title_of(chart: alt.Chart | alt.LayerChart) -> str:
    return str(chart.title.text).replace("\u00a0", " ")


def encodings_of(chart: alt.Chart | alt.LayerChart, channel: str) -> list[dict[str, Any]]:
    """Return one channel of every layer that has it."""
    specification = chart.to_dict()
    layers = specification.get("layer", [specification])
    return [layer["encoding"][channel] for layer in layers if channel in layer["encoding"]]


def axis_titles_of(chart: alt.Chart | alt.LayerChart, channel: str) -> set[str]:
    return {axis["title"] for axis in encodings_of(chart, channel) if axis.get("title")}


def test_charts_of_scores_do_not_call_them_leads() -> None:
    rows = [{**row, "n": 100} for row in GRADES]
    grades = grades_chart(rows, SUBJECT)
    assert "of the scores with grade A were followed by a win" in grades.title.text
    assert axis_titles_of(grades, "x") == {"Share of scores followed by a win"}
    gains = gains_chart(GAINS, SUBJECT, of_scores=True)
    assert gains.title.text.replace("\u00a0", " ").endswith(
        "of the scores before a win are in the best fifth of the scores"
    )
    assert axis_titles_of(gains, "x") == {"Scores, highest first"}
    bins = reliability_chart(BINS, SUBJECT, of_scores=True)
    assert "Share of scores followed by a win" in axis_titles_of(bins, "y")


@pytest.mark.parametrize(
    ("chart", "title"),
    [
        (
            reliability_chart(BINS, SUBJECT),
            "Predicted chances are 12.5 percentage points off on average",
        ),
        (
            gains_chart(GAINS, SUBJECT),
            "40 % of the wins are in the best-scored fifth of the leads",
        ),
        (
            grades_chart(GRADES, SUBJECT),
            "40 % (16 of 40) of grade A leads were won, 10 % (3 of 30) of grade D",
        ),
        (grades_chart(GRADES[:1], SUBJECT), "40 % (16 of 40) of grade A leads were won"),
        (
            grades_chart([ONE_LEAD, *GRADES[1:]], SUBJECT),
            "20 % (6 of 30) of grade B leads were won, 10 % (3 of 30) of grade D",
        ),
        (
            grades_chart([ONE_LEAD], SUBJECT),
            "Too few leads to tell: no grade has 30 leads or more",
        ),
        (
            ages_chart(AGES, SUBJECT),
            "A won lead scores higher than a lost lead in 70 % of pairs at creation, "
            "85 % after 7 days",
        ),
        (
            gaps_chart(GROUPS, SUBJECT),
            "Largest difference: for source Webinar predictions are 10.0 percentage points too low",
        ),
        (
            gaps_chart(GROUPS[1:], SUBJECT),
            "Largest difference: for source Fair predictions are 4.0 percentage points too high",
        ),
        (
            importance_chart(SIGNALS, SUBJECT),
            "90 % of what moves the score comes from Source, Visits, Country",
        ),
        (
            comparison_chart({"leadscore": (0.4, 0.3, 0.5)}, "Log loss", SUBJECT),
            "Log loss of leadscore is 0.400",
        ),
        (
            comparison_chart(
                {"leadscore": (0.4, 0.3, 0.5), "base rate": (0.5, 0.4, 0.6)}, "Log loss", SUBJECT
            ),
            "Log loss of leadscore is 0.400, against 0.500 (base rate)",
        ),
    ],
)
def test_title_of_a_chart_is_its_finding(chart: Any, title: str) -> None:
    assert title_of(chart) == title


def test_subtitle_names_the_leads_and_explains_the_marks() -> None:
    subtitle = gains_chart(GAINS, SUBJECT).title.subtitle
    assert subtitle == f"{SUBJECT}; shaded: 95 % interval; dashed: calls in random order"


def test_subtitle_of_reliability_has_the_usual_number_of_scores_in_a_point() -> None:
    assert "each point: about 20 scores" in reliability_chart(BINS, SUBJECT).title.subtitle


def test_axes_of_gains_are_in_the_words_of_sales() -> None:
    chart = gains_chart(GAINS, SUBJECT)
    assert axis_titles_of(chart, "x") == {"Leads called, highest scores first"}
    assert axis_titles_of(chart, "y") == {"Share of all wins"}


def test_axis_of_a_comparison_says_which_values_are_better() -> None:
    chart = comparison_chart({"leadscore": (0.4, 0.3, 0.5)}, "Log loss", SUBJECT)
    assert axis_titles_of(chart, "x") == {"Log loss, lower is better"}


def test_both_axes_of_reliability_have_the_same_scale() -> None:
    chart = reliability_chart(BINS, SUBJECT)
    scales = [
        axis["scale"] for name in "xy" for axis in encodings_of(chart, name) if "scale" in axis
    ]
    assert len(scales) >= 4
    assert all(scale == {"domain": [0, pytest.approx(0.525)]} for scale in scales)


def test_legend_of_gaps_marks_clear_differences() -> None:
    chart = gaps_chart(GROUPS, SUBJECT).to_dict()
    rows = {
        row["name"]: row for rows in chart["datasets"].values() for row in rows if "name" in row
    }
    assert rows["source: Webinar"]["verdict"] == CLEAR
    assert rows["source: Fair"]["verdict"] == UNCLEAR


def test_gaps_are_drawn_in_percentage_points() -> None:
    chart = gaps_chart(GROUPS[:1], SUBJECT).to_dict()
    (row,) = (row for rows in chart["datasets"].values() for row in rows if "gap" in row)
    assert (row["gap"], row["low"], row["high"]) == pytest.approx((-10.0, -12.0, -8.0))
