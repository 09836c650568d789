"""The signals that move the score most, and how they combine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crm.arrays import Bools, Ints
from crm.times import DAY, NOT_A_TIME
from features.intervals import Z
from models.evaluation.importance import rank_signals
from models.reasons import Parts, Reasoner
from models.scorer import LeadScorer
from reports.charts.groups import rates_chart
from reports.content import Column, Figure, Section, TableRow, Takeaway, cells_of
from reports.numbers import percent
from reports.pages.features.curves import curve_figures
from reports.pages.features.labels import with_labels
from reports.pages.features.pairs import ScoredLeads, pairs_section
from reports.pages.groups import interval_columns
from reports.pages.phrases import cut_words
from reports.rows.rows import ReportRows
from reports.rows.scored import features_of, records_of, sample
from reports.text import column_label, quoted_column, quoted_name

DRIVERS = "What drives the score"
LOOK_DAYS = 7  # after creation
MOST_LEADS = 10_000  # scored for importance
MOST_SIGNALS = 25
FIRST_SIGNALS = 3  # named in the title


@dataclass(frozen=True, kw_only=True)
class SignalRow(TableRow):
    """A signal, and the points by which it moves the score of `n` leads on average."""

    name: str
    n: int
    value: float
    low: float
    high: float
    share: float
    direction: str


def drivers_sections(rows: ReportRows, scorer: LeadScorer) -> tuple[list[Section], list[Takeaway]]:
    """Build the sections about the signals that move the score, with their takeaways."""
    chosen = sample(len(rows), MOST_LEADS)
    when, is_late = looks(rows, chosen)
    records = records_of(rows.records, chosen)
    features = features_of(scorer, records, np.arange(len(chosen)), when)
    reasoner = with_labels(scorer.reasoner)
    parts = reasoner.parts(features)
    ranked = rank_signals(reasoner, features, seed=0, from_mean=True)
    if not ranked:
        needs = "More outcomes: the model gives all of these leads the same probability."
        return [Section(DRIVERS, needs=needs)], []
    learned, warnings = _filled_on_closing(rows, reasoner)
    ranked = [row for row in ranked if row["signal"] not in learned]
    n_signals = len(ranked)
    ranked = ranked[:MOST_SIGNALS]
    if not ranked:
        return [Section(DRIVERS, (learned_words(learned),))], warnings
    age = "now"
    if rows.has_times:
        age = "a week after creation; at creation if they closed or the records end before then"
    about = f"{len(chosen):,} leads, scored {age}"
    if len(chosen) < len(rows):
        about += f"; a random sample of {len(rows):,}"
    table = [_signal_row(row, reasoner, parts) for row in ranked]
    cut = cut_words(len(table), n_signals, "signals", "the strongest ones")
    importance, takeaways = _importance(table, about, learned_words(learned), cut)
    signals = [row["signal"] for row in ranked]
    curves = curve_figures(reasoner, features, parts, signals, about)
    has_outcome, won = ended(rows, chosen, when, is_late)
    compared = about
    if rows.has_times:
        compared += "; outcomes only of leads that were open after the week"
    leads = ScoredLeads(features=features, has_outcome=has_outcome, won=won, about=compared)
    together, pair_takeaways = pairs_section(scorer, reasoner, signals, leads)
    sections = [
        importance,
        Section(
            "How points depend on values",
            (_about_curves(len(curves), n_signals),),
            tuple(curves),
        ),
        together,
    ]
    return sections, warnings + takeaways + pair_takeaways


def _about_curves(n: int, n_signals: int) -> str:
    """Describe the charts of points by values."""
    text = (
        "Each chart shows the feature of a signal that moves the score most. They describe the "
        "leads and the model, and do not say what to do: what goes with a high score need not be "
        "its cause."
    )
    return f"{text} {cut_words(n, n_signals, 'signals', 'the strongest ones')}".strip()


def _filled_on_closing(rows: ReportRows, reasoner: Reasoner) -> tuple[list[str], list[Takeaway]]:
    """Return the signals that closing a lead fills, and a takeaway if the model learned from one.

    The audit finds such columns in today's records, also if the model was trained before.
    """
    at_closing = rows.audited.at_closing
    labels = {column_label(column): column for column in at_closing}
    learned = {
        signal: labels[column]
        for signal, members in zip(reasoner.signals, reasoner.members, strict=True)
        for j in members
        for column in reasoner.features[j].attributes
        if column in labels
    }
    if not learned:
        return [], []
    column = next(iter(learned.values()))
    finding = at_closing[column]
    takeaway = Takeaway(
        f"The model learned from {quoted_column(column)}, which may be filled or changed when a "
        f"lead is closed ({finding.number}). {finding.evidence} Its scores look better than they "
        "are. List the column in known_later in [columns], and train again.",
        {"name": column_label(column), "value": None, "low": None, "high": None, "n": len(rows)},
        "fill_share",
        "features-left-out",
    )
    return list(learned), [takeaway]


def learned_words(signals: Sequence[str]) -> str:
    """Return a sentence about signals that are not shown; empty if all are."""
    if not signals:
        return ""
    names = ", ".join(quoted_name(column_label(signal)) for signal in signals)
    return (
        f"Not shown: {names}. The section about columns that are not used says why the model "
        "should not use them."
    )


def _signal_row(row: Mapping[str, Any], reasoner: Reasoner, parts: Parts) -> SignalRow:
    points = parts.of_signals[:, reasoner.signals.index(row["signal"])]
    strength = np.abs(points - points.mean())
    half = Z * float(strength.std()) / np.sqrt(len(strength))
    return SignalRow(
        name=column_label(row["signal"]),
        n=len(strength),
        value=row["points"],
        low=max(row["points"] - half, 0.0),
        high=row["points"] + half,
        share=row["share"],
        direction=row["direction"],
    )


def _importance(
    table: Sequence[SignalRow], about: str, left_out: str, cut: str
) -> tuple[Section, list[Takeaway]]:
    first = table[:FIRST_SIGNALS]
    *names, last_name = [quoted_name(row.name) for row in first]
    signals = f"{', '.join(names)} and {last_name}" if names else last_name
    share = percent(sum(row.share for row in first), 0)
    finding = f"{share} of what moves the score comes from {signals}"
    cells = cells_of(table)
    drawn = [{**row, "n": None} for row in cells]  # the same for all
    figure = Figure(
        name="features-importance",
        finding=finding,
        about=about,
        columns=(
            Column("name", "Signal"),
            Column("value", "Moves the score by", "number", "signal_points"),
            *interval_columns("number"),
            Column("share", "Share of all", "share", "signal_share"),
            Column("direction", "Direction", "prose"),
        ),
        rows=cells,
        chart=rates_chart(
            drawn, finding, about, what="Points moved on average", base=None, form=","
        ),
        note=cut,
    )
    text = (
        "The score of a lead is a sum of points, and ten points are twice the odds. The figure "
        "shows how far each signal moves it, up or down, from the average of these leads."
    )
    strongest = table[0]
    takeaways = []
    if len(table) == 1 or strongest.low > table[1].high:
        takeaways.append(
            Takeaway(
                f"{quoted_name(strongest.name)} moves the score most: by "
                f"{strongest.value:.1f} points up or down on average (between "
                f"{strongest.low:.1f} and {strongest.high:.1f}; {strongest.n:,} leads). "
                f"{strongest.direction[:1].upper()}{strongest.direction[1:]}.",
                {
                    "name": strongest.name,
                    "value": strongest.value,
                    "low": strongest.low,
                    "high": strongest.high,
                    "n": strongest.n,
                },
                "signal_points",
                "features-importance",
            )
        )
    paragraphs = (text, left_out) if left_out else (text,)
    return Section(DRIVERS, paragraphs, (figure,)), takeaways


def looks(rows: ReportRows, lead: Ints) -> tuple[Ints, Bools]:
    """Return the moment at which each lead is scored, and True if that is a week after creation.

    Leads that had closed by then, or are younger, are scored as of their creation.
    """
    if not rows.has_times:
        return np.full(len(lead), NOT_A_TIME), np.zeros(len(lead), dtype=bool)
    week = rows.created[lead] + LOOK_DAYS * DAY
    is_late = rows.open_at(lead, week) & (week <= rows.as_of)
    return np.where(is_late, week, rows.created[lead]), is_late


def ended(rows: ReportRows, lead: Ints, when: Ints, is_late: Bools) -> tuple[Bools, Bools]:
    """Return which leads' outcomes can be compared, and which of the leads were won.

    Leads of different ages are not compared: those scored at creation, because they closed within
    the week, end differently from those that were still open.
    """
    if not rows.has_times:
        return rows.is_mature[lead], rows.won[lead]
    return is_late & (when + rows.horizon <= rows.as_of), rows.won_within(lead, when)
