"""The leads of each grade: how many are handed over, worked and won."""

from collections.abc import Sequence

from crm.times import HOUR
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, share_of
from models.evaluation.differences import shares_differ
from reports.charts.groups import rates_chart
from reports.content import Column, Figure, Takeaway, cells_of
from reports.pages.groups import interval_columns, share_columns
from reports.pages.phrases import day_name, of_words, share_words
from reports.pages.service_levels.handovers import (
    SALES_COLUMNS,
    TO_WORK,
    HandedRow,
    Handovers,
    window_words,
)
from reports.rows.scored import not_learned_from
from reports.text import NO_BREAK, quoted_name


def basis_sentences(handovers: Handovers, total: HandedRow, basis: str) -> tuple[str, ...]:
    """Return sentences about what counts as handed over, worked and converted."""
    rows = handovers.rows
    if rows.sales:
        sales = "Sales activities: " + ", ".join(map(quoted_name, rows.sales))
        channels = rows.project.report.sales_channels
        if channels:
            channel_names = " or ".join(map(quoted_name, channels))
            sales += f"; only those whose channel is {channel_names}"
        sales += "."
    else:
        sales = (
            "Hours and shares worked are not shown, because it is not known which activities are "
            'sales\' work: name them with [report] sales_activities = ["…"].'
        )
    days = f"{rows.horizon_days:g}{NO_BREAK}days"
    n, n_unknown = total.won.n, handovers.n_unknown
    begin = day_name(rows.coverage.outcomes_from) if n_unknown else ""
    conversion = f"Conversion is not shown: no lead was handed over {days} before these weeks."
    if n:
        conversion = (
            f"Conversion is shown for the {n:,} leads whose {days} after the handover ended in "
            f"these weeks.{_flattery(handovers)}"
        )
        if n_unknown:
            conversion += (
                f" Another {n_unknown:,} were handed over then, but created before {begin}. The "
                "outcomes begin on this day, so it is not known how these leads ended."
            )
    elif n_unknown:
        leads = "1 lead was" if n_unknown == 1 else f"{n_unknown:,} leads were"
        conversion = (
            f"Conversion is not known: {leads} handed over {days} before these weeks, but created "
            f"before {begin}. The outcomes begin on this day, so earlier ones are not known."
        )
    return basis, sales, conversion


def _flattery(handovers: Handovers) -> str:
    """Return a sentence if the model has learned the outcomes of most leads that it graded."""
    if handovers.rows.scorer is None:
        return ""
    mature = handovers.matured(handovers.first, handovers.last)
    unseen = not_learned_from(handovers.rows.created[mature], handovers.rows.scorer.card)
    if unseen.mean() >= 0.5:
        return ""
    return (
        " The model that gives the grades has learned from most of them, so good grades look "
        "better here than on new leads."
    )


def grades_figure(handovers: Handovers, table: Sequence[HandedRow]) -> Figure:
    """Build the figure of the leads handed over, worked and won by grade."""
    columns: tuple[Column, ...] = (
        Column("name", "Grade", metric="grade" if handovers.has_grades else ""),
        Column("handed", "Handed over", "count", "handed_over"),
        Column("a_week", "A week", "ratio", "handed_over"),
        Column("hours", "Half have a sales activity within", "hours", "first_touch_hours"),
        *interval_columns("hours", "hours_"),
        Column("hours_late", "Nine of ten within", "hours", "nine_of_ten"),
        Column("n", "Old enough to be worked", "count"),
        Column("wins", "Worked", "count"),
        *share_columns("Worked within 7 days", "worked_share"),
        Column("untouched", "Not worked at all", "count", "untouched"),
        Column("mature", "Old enough to be won", "count", "handed_mature"),
        Column("won", "Won of these", "count", "counted_wins"),
        Column("won_share", "Converted", "share", "handed_won_share", ("won", "mature")),
        *interval_columns("share", "won_"),
    )
    cells = cells_of(table)
    total = table[-1]
    about = f"{total.handed:,} leads handed over in the {window_words(handovers)}"
    chart, finding = None, f"{total.handed:,} leads were handed over"
    note = "The time to the first sales activity is empty if half of the leads have none yet."
    if not handovers.rows.sales:
        columns = tuple(column for column in columns if column.key not in SALES_COLUMNS)
        note = ""
    elif any(row.worked.n for row in table):
        finding = (
            f"{of_words(total.worked, 0)} of the leads handed over at least 7 days ago are worked "
            "within 7 days"
        )
        drawn = [row for row in cells if row["value"] is not None]
        chart = rates_chart(drawn, finding, about, what="Worked within 7 days", base=None)
    return Figure(
        name="service-grades",
        finding=finding,
        about=about,
        columns=columns,
        rows=cells,
        chart=chart,
        note=note,
    )


def best_grade_takeaway(handovers: Handovers) -> tuple[Takeaway, ...]:
    """Return a takeaway if leads of the best grade are clearly worked more, or less, often."""
    grades = handovers.grades
    if not handovers.rows.sales or len(grades) < 2:
        return ()
    is_best = handovers.grade == grades[0]
    old = handovers.watched(handovers.first, handovers.last)
    is_worked = handovers.hours <= TO_WORK / HOUR
    best, rest = (
        share_of(int((is_worked & leads).sum()), int(leads.sum()))
        for leads in (old & is_best, old & ~is_best)
    )
    if min(best.n, rest.n) < FEWEST_LEADS:
        return ()
    p = shares_differ(best.wins, best.n, rest.wins, rest.n)
    if p >= CHANCE:
        return ()
    way = "more" if best.value > rest.value else "less"
    return (
        Takeaway(
            f"Sales works grade {grades[0]} {way} often within 7 days than the other grades: "
            f"{share_words(best)} against {share_words(rest)}.",
            {**best.cells(), "rest": rest.value, "p": p},
            "worked_share",
            "service-grades",
        ),
    )
