"""Capacity: the expected wins among the leads that sales can work, best first."""

from dataclasses import dataclass, replace

import numpy as np

from crm.arrays import Floats
from crm.times import DAY
from models.card import ModelCard
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, share_of
from models.evaluation.differences import shares_differ
from reports.charts.lines import lines_chart
from reports.content import Column, Figure, Page, Section, ShareRow, TableRow, Takeaway, cells_of
from reports.pages.groups import share_columns
from reports.pages.phrases import GRADES, IN_SAMPLE, day_name, share_words
from reports.rows.rows import ReportRows
from reports.rows.scored import has_enough, not_learned_from
from reports.text import NO_BREAK

SLUG, TITLE = "capacity", "Capacity"
LEAD = "How many wins are in the leads that sales can work in a week, best first?"
HEADING = "Leads a week"
WEEKS = 13
STEPS = 20
USUAL_PART = 1 / 5  # of the leads, if the project does not say how many sales can work


@dataclass(frozen=True, kw_only=True)
class CapacityRow(TableRow):
    """The expected wins if `x` leads a week are worked; `least` is the last one's probability."""

    name: str
    x: float
    a_week: float
    share: float
    expected: float
    random: float
    lift: float
    least: float


def capacity_page(rows: ReportRows) -> Page:
    """Build the page about the expected wins of n leads a week, best first and in random order."""
    if rows.scorer is None or rows.arrival is None:
        return _without_figures(rows.verdict.needs(GRADES))
    if not rows.has_times:
        return _without_figures(
            "Expected wins of n leads a week. The number of leads a week is not known: this needs "
            "[leads] created_at."
        )
    since = rows.leads_until - WEEKS * 7 * DAY
    weeks = min(WEEKS, (rows.leads_until - int(rows.created.min())) / DAY / 7)
    a_week = int((rows.created > since).sum()) / max(weeks, 1.0)
    created = rows.created[rows.arrival.lead]
    recent, unseen = created > since, not_learned_from(created, rows.scorer.card)
    is_learned = (recent & unseen).sum() < FEWEST_LEADS
    if not is_learned:
        recent &= unseen
    probability = np.sort(rows.arrival.probability[recent])[::-1]
    if len(probability) < FEWEST_LEADS or a_week < 1:
        return _without_figures(f"At least {FEWEST_LEADS} leads in the last {WEEKS} weeks.")
    leads_per_week = rows.project.report.leads_per_week if rows.segment is None else None
    capacity = min(leads_per_week or a_week * USUAL_PART, a_week)
    which = "" if is_learned else " that the model has not learned from"
    about = (
        f"{len(probability):,} leads{which}, of the {weeks:.0f} weeks up to the newest of all "
        f"leads, {day_name(rows.leads_until)}, as scored at creation"
    )
    if leads_per_week:
        basis = f"Sales can work {leads_per_week:,} leads a week ([report] leads_per_week)."
    elif rows.segment is not None:
        basis = (
            "A fifth of these leads is shown. The number of leads that sales can work is not used "
            "here, because sales also works leads that this report does not cover."
        )
    else:
        basis = (
            "The project file does not say how many leads sales can work, so a fifth of the leads "
            "is shown. Set the number with [report] leads_per_week."
        )
    paragraphs = (
        basis,
        f"Expected wins are the wins within {rows.horizon_days:g}{NO_BREAK}days if the "
        f"predicted chances come true. {_whether_they_do(rows.scorer.card)}",
    )
    figure = replace(_wins_figure(a_week, capacity, probability, about), learned_from=is_learned)
    check, takeaways = _check(rows, rows.scorer.card, capacity / a_week)
    return Page(
        slug=SLUG,
        title=TITLE,
        lead=LEAD,
        takeaways=takeaways,
        sections=(Section(HEADING, paragraphs, (figure,)), check),
        keeps_leads=False,
    )


def _whether_they_do(card: ModelCard) -> str:
    """Return where the report shows whether predicted chances come true."""
    if card.test:
        return "The page about the score shows whether they do."
    return "No test shows whether they do, because the model has none."


def _without_figures(needs: str) -> Page:
    section = Section(HEADING, needs=needs)
    return Page(slug=SLUG, title=TITLE, lead=LEAD, sections=(section,), keeps_leads=False)


def _wins_figure(a_week: float, capacity: float, probability: Floats, about: str) -> Figure:
    table = [_row(share, a_week, probability) for share in np.arange(1, STEPS + 1) / STEPS]
    worked = _row(capacity / a_week, a_week, probability)
    finding = (
        f"If the predicted chances come true, the best {worked.x:.0f} of {a_week:.0f} leads a "
        f"week bring {worked.expected:.1f} wins, random order {worked.random:.1f}"
    )
    lines = [
        {"x": row.x, "series": series, "value": value, "n": len(probability)}
        for series, values in (
            ("best first", [row.expected for row in table]),
            ("random order", [row.random for row in table]),
        )
        for row, value in zip(table, values, strict=True)
    ]
    chart = lines_chart(
        lines,
        finding,
        about,
        x="Leads worked a week",
        y="Expected wins a week",
        form=",",
        x_form=",",
    )
    columns = (
        Column("name", "Leads worked a week"),
        Column("share", "Of all", "share", "best_part", ("x", "a_week")),
        Column("expected", "Expected wins, best first", "ratio", "expected_wins"),
        Column("random", "In random order", "ratio", "expected_wins"),
        Column("lift", "Against random order", "ratio"),
        Column("least", "Lowest chance worked", "share", "least_probability"),
    )
    return Figure(
        name="capacity-week",
        finding=finding,
        about=about,
        columns=columns,
        rows=cells_of(table),
        chart=chart,
    )


def _row(share: float, a_week: float, probability: Floats) -> CapacityRow:
    """Sum the probabilities of the best share; a part of a lead counts in part."""
    place = share * len(probability)
    total = np.append(0.0, np.cumsum(probability))
    expected = float(np.interp(place, np.arange(len(total)), total)) / len(probability) * a_week
    random = float(probability.mean()) * share * a_week
    least = float(probability[min(max(int(np.ceil(place)) - 1, 0), len(probability) - 1)])
    return CapacityRow(
        name=f"{share * a_week:,.1f}",
        x=float(share * a_week),
        a_week=a_week,
        share=float(share),
        expected=expected,
        random=random,
        lift=expected / max(random, 1e-12),
        least=least,
    )


def _check(rows: ReportRows, card: ModelCard, part: float) -> tuple[Section, tuple[Takeaway, ...]]:
    """Count the wins of the best part of the leads that were open one horizon ago."""
    heading, scored = "What it would have brought", rows.before
    if scored is None or len(scored) < FEWEST_LEADS:
        return Section(heading, needs="Leads that were open one horizon ago."), ()
    won = rows.won_within(scored.lead, scored.as_of)
    unseen = not_learned_from(rows.created[scored.lead], card)
    flatters = not has_enough(won[unseen])
    text = "Only leads that the model has not learned from are shown."
    chosen = unseen
    if flatters:
        chosen = np.ones(len(won), dtype=bool)
        text = f"{IN_SAMPLE} These figures are folded."
    won = won[chosen]
    order = np.argsort(-scored.probability[chosen], kind="stable")
    cut = max(round(part * len(order)), 1)
    best, rest = won[order[:cut]], won[order[cut:]]
    table = [
        ShareRow(name=name, share=share_of(int(leads.sum()), len(leads)))
        for name, leads in (("worked, best first", best), ("not worked", rest), ("all", won))
    ]
    day = day_name(rows.as_of - rows.horizon)
    finding = (
        f"The best-scored {100 * part:.0f}{NO_BREAK}% of the leads open on {day} contained "
        f"{int(best.sum()):,} of {int(won.sum()):,} wins"
    )
    figure = Figure(
        name="capacity-check",
        finding=finding,
        about=f"{len(won):,} leads open on {day}, scored by today's model as of then; wins in the "
        f"{rows.horizon_days:g}{NO_BREAK}days to {day_name(rows.as_of)}",
        columns=(
            Column("name", "Which"),
            Column("n", "Leads", "count"),
            Column("wins", "Won", "count"),
            *share_columns("Conversion", "grade_won_share"),
        ),
        rows=cells_of(table),
        learned_from=flatters,
    )
    takeaways = () if flatters else _check_takeaways(finding, table[0], table[1])
    return Section(heading, (text,), (figure,)), takeaways


def _check_takeaways(finding: str, best: ShareRow, rest: ShareRow) -> tuple[Takeaway, ...]:
    """Return a takeaway if the best leads were clearly won more or less often than the others."""
    if min(best.share.n, rest.share.n) < FEWEST_LEADS:
        return ()
    p = shares_differ(best.share.wins, best.share.n, rest.share.wins, rest.share.n)
    if p >= CHANCE:
        return ()
    sentence = (
        f"{finding}: {share_words(best.share)} of them were won, {share_words(rest.share)} of the "
        "others. The model has not learned from these leads."
    )
    evidence = {**best.cells(), "other": rest.share.value, "p": p}
    return (Takeaway(sentence, evidence, "grade_won_share", "capacity-check"),)
