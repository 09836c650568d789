"""The sections of a model card's page that show how good the model is, for all and for groups."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from models.card import NOT_PINNED, ModelCard
from models.evaluation.metrics import MODEL_METRICS
from reports.card.pictures import by_gap, evaluated_models, subject_of
from reports.forms.html_page import (
    Picture,
    Section,
    bullets,
    drawn,
    fold,
    join,
    name,
    paragraph,
    section,
    side_by_side,
    table,
    with_small,
)
from reports.numbers import (
    age_of,
    between,
    count,
    counted_share,
    cut_off_name,
    percent,
    signed_points,
    two_digits,
    x_of_n,
)
from reports.text import printable

Row = Mapping[str, Any]
Pictures = Mapping[str, Picture]
INTERVAL = "95\u00a0% interval"
MOST_OF_A_REASON = 300  # characters
TOO_FEW = "too few to tell"
DIFFERENCE = "Predicted minus won, points"


def missing(what: str) -> Markup:
    """Return a note that the card does not contain something."""
    return paragraph(f"This card contains no {what}.", kind="note")


def quality(card: ModelCard, pictures: Pictures) -> Section:
    """Show the main findings, then the metrics of the model and of simpler models."""
    findings = [pictures[key].title for key in ("gains", "grades") if key in pictures]
    models = evaluated_models(card)
    rows = [
        [
            with_small(metric.label, metric.meaning),
            *(_metric_cell(key, figures) for figures in models.values()),
        ]
        for key, metric in MODEL_METRICS.items()
        if key in card.test
    ]
    metrics = table(f"Metrics, each with its {INTERVAL}", ["Metric", *map(name, models)], rows)
    return section(
        "quality",
        "How good it is",
        paragraph(*(f"{finding}. " for finding in findings)) if findings else "",
        paragraph(
            f"Evaluated on the {subject_of(card)}. For comparison, the same leads were scored with "
            "the base rate, which is the same for every lead, and with simpler models."
        ),
        metrics if rows else missing("metrics"),
        paragraph(
            "With this number of leads, even correct probabilities would have a calibration error "
            f"of {100 * card.test['ece_by_chance']:.1f} points, by chance."
        )
        if "ece_by_chance" in card.test
        else "",
        drawn(pictures, "log_loss"),
    )


def probabilities(card: ModelCard, pictures: Pictures) -> Section:
    """Compare predicted with actual shares of wins."""
    rows = card.test.get("reliability", ())
    bins = table(
        f"Predicted and actual share of wins with its {INTERVAL}, in groups of equal size, best "
        "first",
        ["Group", "Scores", "Predicted", "Won"],
        (
            [
                r["bin"],
                f"{r['n']:,.0f}",
                percent(r["stated"]),
                _with_interval(counted_share(r["won"], r.get("wins"), r["n"]), between(r)),
            ]
            for r in rows
        ),
    )
    comparison = side_by_side(drawn(pictures, "reliability"), bins)
    return section(
        "probabilities",
        "Do its predictions come true?",
        comparison if rows else missing("comparison of predicted and actual shares"),
    )


def gains(card: ModelCard, pictures: Pictures) -> Section:
    """Show how many wins are among the best-scored leads."""
    rows = card.test.get("gains", ())
    header = ["Leads called", "Wins among them", "Times as many as at random"]
    if card.counts_scores:
        header[:2] = ["Scores", "Scores before a win among them"]
    deciles = table(
        "Wins among the leads with the highest scores",
        header,
        (
            [
                percent(r["share"], 0),
                _with_interval(
                    counted_share(r["gain"], r.get("wins"), r.get("all_wins")), between(r)
                ),
                _with_interval(
                    two_digits(r["lift"]), between(r, "lift_low", "lift_high", two_digits)
                ),
            ]
            for r in rows
        ),
    )
    comparison = side_by_side(drawn(pictures, "gains"), deciles)
    return section(
        "gains",
        "How many wins the best leads contain",
        comparison if rows else missing("share of wins among the best leads"),
    )


def grades(card: ModelCard, pictures: Pictures) -> Section:
    """Explain a score, and show the share of wins in each grade."""
    rows = card.test.get("by_grade", ())
    won = "Scores before a win" if card.counts_scores else "Won"
    by_grade = table(
        f"Share of wins in each grade, with its {INTERVAL}",
        ["Grade", "Leads", won, "Predicted", "Share of all"],
        (
            [
                name(r["grade"]),
                count(r["n_leads"]),
                _with_interval(counted_share(r["won"], r["wins"], r["n"]), between(r)),
                percent(r["stated"]),
                percent(r["share"]),
            ]
            for r in rows
        ),
    )
    reached = {row["grade"] for row in rows}
    unmet = [g for g, _ in card.scale.get("grades", ()) if g not in reached]
    return section(
        "grades",
        "What a score and a grade mean",
        _scale(card.scale),
        drawn(pictures, "grades"),
        by_grade if rows else missing("share of wins for each grade"),
        paragraph("No test lead reached grade ", join(map(name, unmet), ", "), ".")
        if rows and unmet
        else "",
    )


def _scale(scale: Row) -> Markup:
    if scale.get("base_rate") is None:
        return missing("description of the scale")
    pinned = scale.get("pinned_by")
    if pinned == NOT_PINNED:
        pinning = (
            ". The scale was not pinned when this version was trained. The first champion pins "
            "its scale; from then on a 70 means the same odds in every later version."
        )
    elif pinned:
        by = printable(pinned, 60)
        pinning = f". The scale is pinned by {by}: a 70 means the same odds in every version."
    else:
        pinning = ". The scale is not pinned: another training may move it."
    return paragraph(
        f"A score of 50 means the odds of the average lead, {percent(scale['base_rate'])}; ten "
        "points more mean twice the odds. Grades: ",
        ", ".join(f"{printable(letter, 20)} from {least}" for letter, least in scale["grades"]),
        pinning,
    )


def ages(card: ModelCard, pictures: Pictures) -> Section:
    """Show the quality by age of the lead."""
    title, rows = "How good it is as leads grow older", card.test.get("by_age", ())
    if not rows:
        reason = "Nothing to compare: the leads have no time of creation, or the card is old."
        return section("ages", title, paragraph(reason))
    by_age = table(
        "Quality by age of the lead",
        ["Scored", "Leads", "Share of wins", "ROC AUC", "Log loss"],
        (
            [
                age_of(r["age_days"]),
                count(r["n"]),
                with_small(percent(r["base_rate"]), x_of_n(round(r["base_rate"] * r["n"]), r["n"]))
                if "base_rate" in r
                else TOO_FEW,
                _metric_cell("roc_auc", r),
                _metric_cell("log_loss", r),
            ]
            for r in rows
        ),
    )
    return section("ages", title, drawn(pictures, "ages"), by_age)


def cut_offs(card: ModelCard) -> Section:
    """Show whether the model is as good over time, in a table of cut-offs."""
    title, rows = "How stable it is over time", card.test.get("by_cut_off", ())
    if not rows:
        reason = "Nothing to compare: the leads have no order, or the card is old."
        return section("cut-offs", title, paragraph(reason))
    left_out = [
        printable(reason, MOST_OF_A_REASON) for reason in card.test.get("cut_offs_left_out", ())
    ]
    by_cut_off = table(
        "Quality at each cut-off",
        ["Moments", "ROC AUC", "Log loss", "Predicted", "Won", "Leads", "Learned from"],
        (
            [
                _moments_of(number, r["from"], r["to"]),
                _metric_cell("roc_auc", r),
                _metric_cell("log_loss", r),
                percent(r["predicted"]),
                with_small(percent(r["base_rate"]), x_of_n(round(r["base_rate"] * r["n"]), r["n"])),
                count(r["n_leads"]),
                count(r["learned_from"]),
            ]
            for number, r in enumerate(rows, start=1)
        ),
    )
    return section(
        "cut-offs",
        title,
        paragraph(
            "Each row is a model that learned only from what was known when its leads came. The "
            "last row is the evaluated model. The earlier models have its settings, so their "
            "figures are a little too good."
        ),
        by_cut_off,
        *map(paragraph, card.unstable_ranking),
        bullets(left_out) if left_out else "",
    )


def _moments_of(number: int, begin: str | None, end: str | None) -> object:
    """Format the period of a cut-off, its end below its begin; without times its number."""
    if begin is None or end is None:
        return cut_off_name(number, None, None)
    return with_small(printable(begin)[:10], f"to {printable(end)[:10]}")


def segments(card: ModelCard, pictures: Pictures) -> Section:
    """Show the groups of leads for which the predictions are wrong."""
    if not card.segments:
        reason = "No groups were compared: the model uses no category, or the card is old."
        return section("segments", "Groups of leads", paragraph(reason))
    judged = by_gap(card.segments)
    n_off, few = sum(row["is_off"] for row in judged), len(card.segments) - len(judged)
    rows = [*judged, *(row for row in card.segments if "gap" not in row)]
    finding = (
        f"In {n_off} of {len(judged)} segments the predictions clearly differ from what happened: "
        "by more than chance explains, after a correction for the number of segments."
    )
    return section(
        "segments",
        "Groups of leads",
        paragraph(
            finding if judged else "No segment has enough outcomes to tell.",
            f" {few} more {'has' if few == 1 else 'have'} too few outcomes to tell."
            if judged and few
            else "",
        ),
        _gap_of_all(card) if judged else "",
        drawn(pictures, "segments"),
        fold(
            f"All segments ({len(rows)})",
            table(
                "Segments, the largest difference first; marked: a clear difference",
                ["Segment", "Leads", "Won", "Predicted", DIFFERENCE, "ROC AUC", "Log loss"],
                map(_segment, rows),
                marked=range(n_off),
            ),
        ),
    )


def _gap_of_all(card: ModelCard) -> Markup:
    """Describe the gap over all leads, for a comparison with the gaps of segments."""
    rows: Sequence[Row] = card.test.get("reliability", ())
    n = sum(row["n"] for row in rows)
    if not n:
        return Markup()
    gap = sum(row["n"] * (row["stated"] - row["won"]) for row in rows) / n
    return paragraph(
        f"Over all test leads the predictions are {abs(100 * gap):.1f} points too "
        f"{'high' if gap > 0 else 'low'}. Compare the difference of a segment with that."
    )


def _segment(row: Row) -> list[object]:
    cells: list[object] = [_group(row), count(row["n_leads"])]
    if "gap" not in row:
        return [*cells, TOO_FEW, None, None, None, None]
    return [
        *cells,
        percent(row["won"]),
        percent(row["stated"]),
        _gap_cell(row),
        _with_interval(
            two_digits(row["roc_auc"]), between(row, "roc_auc_low", "roc_auc_high", two_digits)
        ),
        _with_interval(
            f"{row['log_loss']:.3f}",
            between(row, "log_loss_low", "log_loss_high", lambda loss: f"{loss:.3f}"),
        ),
    ]


def fairness(card: ModelCard, pictures: Pictures) -> Section:
    """Compare how often groups of persons are worked first."""
    title = "Groups of persons"
    if not card.fairness:
        reason = "No groups were compared: the project names no sensitive columns."
        return section("fairness", title, paragraph(reason))
    below = [i for i, row in enumerate(card.fairness) if row.get("is_below_four_fifths")]
    groups = "group is" if len(below) == 1 else "groups are"
    return section(
        "fairness",
        title,
        paragraph(
            f"{len(below)} {groups} below the four-fifths rule."
            if below
            else "No group is below the four-fifths rule."
        ),
        paragraph(
            "Grades A and B are worked first. The four-fifths rule (29 CFR 1607.4 D) says: look "
            "closer if a group is worked first less than 0.8 times as often as the group that is "
            "worked first most often. It is not a legal verdict, and the table does not explain "
            "why groups differ."
        ),
        table(
            "Groups by sensitive columns; marked: below four fifths",
            [
                "Group",
                "Leads",
                "Worked first",
                "Ratio",
                "Won",
                "Predicted",
                DIFFERENCE,
                "ROC AUC",
            ],
            map(_persons, card.fairness),
            marked=below,
        ),
        drawn(pictures, "fairness"),
    )


def _persons(row: Row) -> list[object]:
    selected, ratio = row.get("selected"), row.get("ratio")
    cells: list[object] = [
        _group(row),
        count(row["n_leads"]),
        None
        if selected is None
        else _with_interval(percent(selected), between(row, "selected_low", "selected_high")),
        None if ratio is None else two_digits(ratio),
    ]
    if "gap" not in row:
        return [*cells, TOO_FEW, None, None, None]
    won, predicted = percent(row["won"]), percent(row["stated"])
    auc = _with_interval(
        two_digits(row["roc_auc"]), between(row, "roc_auc_low", "roc_auc_high", two_digits)
    )
    return [*cells, won, predicted, _gap_cell(row), auc]


def _group(row: Row) -> Markup:
    return join([name(row["column"]), ": ", name(row["value"])])


def _with_interval(value: str, interval: str) -> Markup:
    """Format a value with its interval below it."""
    return with_small(value, interval)


def _metric_cell(metric: str, figures: Row) -> object:
    """Format a metric with its interval; None if `figures` has no such metric."""
    if metric not in figures:
        return None
    write = {"ece": _points, "lift_at_10": two_digits}.get(metric, _three_digits)
    if metric not in figures.get("intervals", {}):
        return write(figures[metric])
    low, high = figures["intervals"][metric]
    return _with_interval(write(figures[metric]), f"{write(low)} to {write(high)}")


def _gap_cell(row: Row) -> Markup:
    """Format the gap of a group, in points, with its interval."""
    return _with_interval(signed_points(row["gap"]), between(row, write=signed_points))


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _three_digits(value: float) -> str:
    return f"{value:.3f}"
