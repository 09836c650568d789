"""Does the score work? Conversion by grade and band, reliability, gains, and inflation."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import logit

from crm.arrays import Bools, Ints
from crm.times import DAY
from models.card import ModelCard
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, lasting_trend, p_of, two_shares
from models.evaluation.intervals import holm
from models.evaluation.metrics import FEWEST_TO_JUDGE, by_grade, gains, reliability
from reports.charts.card import gains_chart, grades_chart, reliability_chart
from reports.charts.report import lines_chart, rates_chart
from reports.content import Column, Figure, Page, Row, Section, Takeaway
from reports.numbers import percent
from reports.pages.phrases import interval_row, month_name, months_of, share_words
from reports.rows.rows import ReportRows
from reports.rows.scored import Scored, not_learned_from
from reports.text import NO_BREAK, printable

SLUG, TITLE = "score", "Does the score work?"
LEAD = "Do leads with better grades convert better, as often as stated, and is that still so?"
BAND = 10
MOST_MONTHS = 24
MATTERS = 1.1  # times what was stated: less is not worth a sentence
MUCH = 1.5  # times what comes true: too much for what was stated to be of use
OLDER_DAYS = 30  # than the oldest lead that a model learned from: too old for it to judge
NO_MODEL = (
    "Grades, and what became of leads that had them. That needs a model: train one with "
    "leadscore train."
)


def score_page(rows: ReportRows) -> Page:
    """Tell whether grades and probabilities come true."""
    if rows.scorer is None:
        return Page(SLUG, TITLE, LEAD, sections=(Section("Grades", needs=NO_MODEL),))
    told: list[Takeaway] = []
    sections: list[Section] = []
    for section, takeaways in (
        _of_the_card(rows.scorer.card, rows.is_part),
        _back_test(rows, rows.scorer.card),
        _bands(rows),
        _months(rows),
    ):
        sections.append(section)
        told += takeaways
    return Page(SLUG, TITLE, LEAD, tuple(told), tuple(sections))


def _of_the_card(card: ModelCard, is_part: bool) -> tuple[Section, list[Takeaway]]:
    """Show the figures of leads that the judged model had not seen: the honest ones.

    They are of all leads, so a report of a part of them takes nothing away from them.
    """
    heading, test = "On leads that it had not seen", card.test
    said = (
        "From the model card: the model was judged on leads that it had not learned from, then "
        "fitted again on all leads."
    )
    n, looks = test.get("n_leads", 0), test.get("n", 0)
    about = f"{printable(test.get('how', 'test leads'))}, n = {n:,} leads"
    if is_part:
        heading = "On leads that it had not seen, of all kinds"
        said += " These are all leads of its test, not only those that this report is of."
        about = f"all kinds of leads: {about}"
    if looks > n:
        about += f", scored {looks:,} times at several ages"
    figures: list[Figure] = []
    told: list[Takeaway] = []
    rows = test.get("by_grade", ())
    if rows:
        figure, told = _grades(rows, "score-test-grades", about)
        told += _misstated(figure.rows, figure.name, about)
        figures.append(figure)
    figures += _curves(test.get("reliability", ()), test.get("gains", ()), "score-test", about)
    if not figures:
        return Section(heading, needs="Figures of a test. This model card holds none."), []
    return Section(heading, (said,), tuple(figures)), [] if is_part else told


def _grades(rows: Sequence[Row], name: str, about: str) -> tuple[Figure, list[Takeaway]]:
    table = tuple(
        {
            **{key: row[key] for key in ("stated", "low", "high", "share")},
            "name": row["grade"],
            "n": int(row["n"]),
            "n_leads": int(row["n_leads"]),
            "wins": int(row["wins"]),
            "value": row["won"],
        }
        for row in rows
    )
    chart = grades_chart([{**row, "n": row["n_leads"]} for row in rows], about)
    finding = str(chart.title.text)
    judged = [row for row in table if row["n_leads"] >= FEWEST_LEADS]
    told = []
    if len(judged) > 1:
        best, worst = judged[0], judged[-1]
        p = two_shares(*_as_leads(best), *_as_leads(worst))
        if p < CHANCE:
            times = (
                f"{best['value'] / worst['value']:.1f} times as often as grade {worst['name']}"
                if worst["value"]
                else f"while none of grade {worst['name']} does"
            )
            told.append(
                Takeaway(
                    f"Grade {best['name']} converts {times}: {_won_words(best)} against "
                    f"{_won_words(worst)}; {about.partition(',')[0]}.",
                    {**best, "other": worst["value"], "p": p},
                    "grade_won_share",
                    name,
                )
            )
    columns = (
        Column("name", "Grade"),
        *_counts(table),
        Column("value", "Conversion", "share", "grade_won_share"),
        Column("low", "from (95 %)", "share"),
        Column("high", "to (95 %)", "share"),
        Column("stated", "Stated", "share", "stated_share"),
        Column("share", "Of all", "share", "score_part"),
    )
    return Figure(name, finding, about, columns, table, chart), told


def _misstated(table: Sequence[Row], name: str, about: str) -> list[Takeaway]:
    """Say so if what grades state differs from what happened, by more than chance and by a tenth.

    The surest of them is named, with how many are off the same way.
    """
    judged = [row for row in table if row["n_leads"] >= FEWEST_LEADS and 0 < row["stated"] < 1]
    spread = [np.sqrt(row["stated"] * (1 - row["stated"]) / row["n_leads"]) for row in judged]
    z = [(row["value"] - row["stated"]) / d for row, d in zip(judged, spread, strict=True)]
    off = [
        (abs(each), p, row)
        for each, p, row in zip(z, holm([p_of(each) for each in z]), judged, strict=True)
        if p < CHANCE and not 1 / MATTERS < row["value"] / row["stated"] < MATTERS
    ]
    if not off:
        return []
    _, p, worst = max(off, key=lambda found: found[0])
    is_less = worst["stated"] < worst["value"]
    alike = sum((row["stated"] < row["value"]) == is_less for _, _, row in off)
    return [
        Takeaway(
            f"Grade {worst['name']} states {percent(worst['stated'])}, while {_won_words(worst)} "
            f"were won; {alike} of {len(judged)} grades state{'s' if alike == 1 else ''} "
            f"{'less' if is_less else 'more'} than comes true: go by their order, not by the "
            f"percentages; {about.partition(',')[0]}.",
            {**worst, "p": p},
            "stated_share",
            name,
        )
    ]


def _is_repeated(row: Row) -> bool:
    """Whether leads were scored several times, at several ages."""
    return bool(row["n"] > row["n_leads"])


def _counts(table: Sequence[Row]) -> tuple[Column, ...]:
    leads = Column("n_leads", "Leads", "count")
    if any(_is_repeated(row) for row in table):
        return Column("n", "Scores", "count"), leads, Column("wins", "Before a win", "count")
    return leads, Column("wins", "Won", "count")


def _as_leads(row: Row) -> tuple[int, int]:
    """Give wins and n as if each lead had been scored once: more scores tell no more of it."""
    return round(row["value"] * row["n_leads"]), row["n_leads"]


def _won_words(row: Row) -> str:
    if not _is_repeated(row):
        return share_words(row["value"], row["low"], row["high"], row["n"])
    return (
        f"{percent(row['value'])} ({row['n']:,} scores of {row['n_leads']:,} leads, "
        f"{100 * row['low']:.1f} to {percent(row['high'])})"
    )


def _curves(bins: Sequence[Row], found: Sequence[Row], name: str, about: str) -> list[Figure]:
    figures = []
    columns: tuple[Column, ...]
    if len(bins) > 1:
        chart = reliability_chart(bins, about)
        columns = (
            Column("bin", "Bin, best first"),
            Column("n", "Scores", "count"),
            Column("stated", "Stated", "share", "stated_share"),
            Column("won", "Won", "share", "grade_won_share"),
            Column("low", "from (95 %)", "share"),
            Column("high", "to (95 %)", "share"),
        )
        figures.append(
            Figure(f"{name}-reliability", str(chart.title.text), about, columns, tuple(bins), chart)
        )
    if found:
        chart = gains_chart(found, about)
        columns = (
            Column("share", "Worked, best first", "share", "best_part"),
            Column("gain", "Wins found", "share", "gain"),
            Column("low", "from (95 %)", "share"),
            Column("high", "to (95 %)", "share"),
            Column("lift", "Against random order", "ratio"),
        )
        figures.append(
            Figure(f"{name}-gains", str(chart.title.text), about, columns, tuple(found), chart)
        )
    return figures


def _back_test(rows: ReportRows, card: ModelCard) -> tuple[Section, list[Takeaway]]:
    """Score the leads that were open one horizon ago as of then, and look what became of them."""
    days = f"{rows.horizon_days:g}{NO_BREAK}days"
    heading = f"Scores of {rows.horizon_days:g} days ago" if rows.has_times else "Scores of then"
    before = rows.before
    if before is None or not rows.has_times:
        needs = "What became of leads scored some time ago. That needs times, which are missing."
        return Section(heading, needs=needs), []
    won = rows.won_within(before.lead, before.as_of)
    unseen = not_learned_from(rows.created[before.lead], card)
    flatters = not _enough(won[unseen])
    chosen = np.ones(len(before), dtype=bool) if flatters else unseen
    label = won[chosen].astype(np.int8)
    if not _enough(won[chosen]):
        needs = (
            f"At least {FEWEST_TO_JUDGE} wins and as many others among the leads that were open "
            f"{days} ago; there are {int(label.sum()):,} wins of {len(label):,} leads."
        )
        return Section(heading, needs=needs), []
    said = (
        f"Today's model scored the leads that were open {days} ago from what was known then. "
        + (
            "It has since learned from these very leads, which flatters it: read the figures of "
            "unseen leads above first."
            if flatters
            else "Only leads that it has not learned from are shown."
        )
    )
    if before.is_sample:
        said += f" They are a random sample of {len(before):,} of {before.of:,}."
    about = f"leads open {days} ago, n = {len(label):,}"
    probability, lead = before.probability[chosen], before.lead[chosen]
    weight = np.ones(len(label))
    margin = logit(np.clip(probability, 1e-12, 1 - 1e-12))
    grades = by_grade(probability, before.grade[chosen], label, weight, lead)
    figure, told = _grades(grades, "score-back-grades", about)
    off = _calibration(probability, label, about)
    if off and not 1 / MUCH < probability.mean() / label.mean() < MUCH:
        said += unlearned_age((before.as_of - rows.created[before.lead])[chosen], card)
    told = [] if flatters else told + off
    bins, found = reliability(margin, label, weight, lead), gains(margin, label, weight, lead)
    figures = [figure, *_curves(bins, found, "score-back", about)]
    return Section(heading, (said,), tuple(figures)), told


def unlearned_age(age: Ints, card: ModelCard) -> str:
    """Say so if most leads were older than all that the model knows, which explains a lot.

    Parameters
    ----------
    age : ndarray of int64, shape (n,)
        Of the leads when they were scored, in microseconds.
    card : ModelCard
    """
    learned = [row["age_days"] for row in card.test.get("by_age", ())]
    oldest = max(learned, default=math.inf)
    share = float((age > (oldest + OLDER_DAYS) * DAY).mean())
    if share < 0.5:
        return ""
    known = " and ".join(f"{days:g}" for days in learned)
    return (
        f" What it states does not fit them: {percent(share)} were older than any lead that it "
        f"learned from; it knows leads of {known}{NO_BREAK}days. Name more ages in "
        "[learn] moments_days, and train again."
    )


def _enough(won: Bools) -> bool:
    return min(int(won.sum()), len(won) - int(won.sum())) >= FEWEST_TO_JUDGE


def _calibration(probability: Any, label: Any, about: str) -> list[Takeaway]:
    """Say so if what was stated differs from what happened by more than chance."""
    stated, won, n = float(probability.mean()), float(label.mean()), len(label)
    deviation = float(np.sqrt((probability * (1 - probability)).sum())) / n
    p = p_of((won - stated) / max(deviation, 1e-12))
    if p >= CHANCE:
        return []
    row = interval_row("", int(label.sum()), n)
    way = "more" if stated > won else "less"
    return [
        Takeaway(
            f"The score states {way} than comes true: {percent(stated)} on average, while "
            f"{share_words(won, row['low'], row['high'], n)} were won; {about.partition(',')[0]}. "
            "Train again.",
            {**row, "stated": stated, "p": p},
            "stated_share",
            "score-back-reliability",
        )
    ]


def _mature(rows: ReportRows) -> tuple[Scored | None, Bools, Bools]:
    """Give the scores at creation, which of them are mature, and which were won."""
    scored = rows.arrival
    if scored is None:
        return None, np.zeros(0, dtype=bool), np.zeros(0, dtype=bool)
    return scored, rows.is_mature[scored.lead], rows.won[scored.lead]


def _bands(rows: ReportRows) -> tuple[Section, list[Takeaway]]:
    heading = "By score"
    scored, mature, won = _mature(rows)
    if scored is None or not mature.any():
        return Section(heading, needs="Leads whose outcome is certain."), []
    band = scored.score // BAND
    table = tuple(
        interval_row(
            f"{max(b * BAND, 1)} to {b * BAND + BAND - 1}",
            int((won & mature & (band == b)).sum()),
            int((mature & (band == b)).sum()),
        )
        for b in np.unique(band[mature])[::-1]
    )
    columns = (
        Column("name", "Score"),
        Column("n", "Leads", "count"),
        Column("wins", "Won", "count"),
        Column("value", "Conversion", "share", "grade_won_share"),
        Column("low", "from (95 %)", "share"),
        Column("high", "to (95 %)", "share"),
    )
    about = "leads with an outcome, scored by what the table holds of them now"
    if rows.has_times:
        about = "mature leads scored as of their creation"
    about += f", n = {int(mature.sum()):,}"
    if scored.is_sample:
        about += f", a random sample of all {scored.of:,} leads"
    enough = [row for row in table if row["n"] >= FEWEST_LEADS]
    finding = f"No band of scores has {FEWEST_LEADS} leads or more"
    if enough:
        best, worst = enough[0], enough[-1]
        finding = f"{percent(best['value'])} of the leads that score {best['name']} are won"
        if len(enough) > 1:
            finding += f", {percent(worst['value'])} of those that score {worst['name']}"
    base = float(won[mature].mean())
    chart = rates_chart(table, finding, about, what="Conversion", base=base)
    note = "The model has learned from most of these leads, which flatters it."
    return Section(
        heading, (), (Figure("score-bands", finding, about, columns, table, chart, note),)
    ), []


def _months(rows: ReportRows) -> tuple[Section, list[Takeaway]]:
    """Watch for inflation: more good grades, and fewer wins among them."""
    heading = "Is a grade still worth the same?"
    scored, mature, won = _mature(rows)
    if scored is None or not rows.has_times:
        needs = "Grades by month of creation. That needs [leads] created_at."
        return Section(heading, needs=needs), []
    month = months_of(rows.created[scored.lead])
    months = np.unique(month)[-MOST_MONTHS:]
    grades = sorted(set(scored.grade.tolist()))
    shares, conversions = [], []
    for m in months:
        here = month == m
        whole = bool(mature[here].all())
        for grade in grades:
            chosen = here & (scored.grade == grade)
            wins, n = int((won & chosen).sum()), int(chosen.sum())
            key = {"x": month_name(int(m)), "series": f"grade {grade}"}
            shares.append({**interval_row(f"{key['x']} {grade}", n, int(here.sum())), **key})
            row = {**interval_row(f"{key['x']} {grade}", wins, n), **key}
            if not whole or n == 0:
                row |= {"wins": None, "value": None, "low": None, "high": None}
            conversions.append(row)
    told, alarm = _inflation(shares, conversions, grades)
    about = f"leads scored by today's model as of their creation, n = {len(scored):,}"
    figures = []
    for name, table, metric, what, counted, finding in (
        (
            "score-months-share",
            shares,
            "grade_share",
            "Share of the month's leads",
            ("Leads of the month", "With the grade"),
            alarm[0],
        ),
        (
            "score-months-won",
            conversions,
            "grade_won_share",
            "Conversion",
            ("Leads with the grade", "Won"),
            alarm[1],
        ),
    ):
        columns = (
            Column("name", "Month and grade"),
            Column("x", "Month"),
            Column("series", "Grade"),
            Column("n", counted[0], "count"),
            Column("wins", counted[1], "count"),
            Column("value", what, "share", metric),
            Column("low", "from (95 %)", "share"),
            Column("high", "to (95 %)", "share"),
        )
        drawn = [{**row, "low": None, "high": None} for row in table]
        seen = any(row["value"] is not None for row in table)
        chart = lines_chart(drawn, finding, about, x="Created in (UTC)", y=what) if seen else None
        note = "Months with leads that are not mature have no conversion."
        figures.append(Figure(name, finding, about, columns, tuple(table), chart, note))
    said = (
        "Inflation is when more and more leads get a good grade and fewer and fewer of them are "
        "won. One model scored all months here, so a change is a change of the leads."
    )
    return Section(heading, (said,), tuple(figures)), told


def _inflation(
    shares: Sequence[Row], conversions: Sequence[Row], grades: Sequence[str]
) -> tuple[list[Takeaway], tuple[str, str]]:
    def series(rows: Sequence[Row], grade: str) -> list[Row]:
        return [r for r in rows if r["series"] == f"grade {grade}" and r["value"] is not None]

    best = grades[0]
    looks = []
    for rows in (shares, conversions):
        found = series(rows, best)
        wins, n = (np.array([r[key] for r in found]) for key in ("wins", "n"))
        looks.append(lasting_trend(wins, n))
    corrected = holm([p for _, p in looks])
    ways = []
    for (z, _), p in zip(looks, corrected, strict=True):
        ways.append(("rises" if z > 0 else "falls") if p < CHANCE else "shows no lasting trend")
    titles = (
        f"The share of grade {best} {ways[0]} over the months",
        f"The conversion of grade {best} {ways[1]} over the months",
    )
    if ways[0] == "rises" and ways[1] == "falls":
        row = series(shares, best)[-1]
        return [
            Takeaway(
                f"Inflation: more leads get grade {best} month by month "
                f"({percent(row['value'])} in {row['x']}) and fewer of them are won. Train again, "
                "or raise the least score of the grade.",
                dict(row),
                "grade_share",
                "score-months-share",
            )
        ], titles
    if ways[1] == "falls":
        rows = series(conversions, best)
        first, last = _pooled(rows[: len(rows) // 2]), _pooled(rows[-(len(rows) // 2) :])
        return [
            Takeaway(
                f"Grade {best} is worth less than it was: its conversion falls over the months, "
                f"{percent(first['value'])} up to {first['name']}, "
                f"{share_words(last['value'], last['low'], last['high'], last['n'])} of the last "
                f"{len(rows) // 2} months.",
                dict(last),
                "grade_won_share",
                "score-months-won",
            )
        ], titles
    return [], titles


def _pooled(rows: Sequence[Row]) -> dict[str, Any]:
    """Put months together, under the name of the last."""
    return interval_row(rows[-1]["x"], sum(r["wins"] for r in rows), sum(r["n"] for r in rows))
