"""Features: what drives the score, which way, how well fields are filled, and what is left out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from crm.arrays import Bools, Floats, Ints
from crm.cells import cell_text, read_column
from crm.errors import LearningError
from crm.times import DAY, NOT_A_TIME
from features.feature import Feature, in_words
from features.intervals import Z
from features.leaks.audit import audit
from features.moments import make_moments
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, two_shares
from models.evaluation.importance import rank_signals
from models.evaluation.intervals import holm
from models.reasons import Parts, Reasoner
from models.scorer import LeadScorer
from models.signal_words import CODED, measured, range_words, value_words
from reports.charts.report import MOST_BARS, lines_chart, rates_chart, series_chart
from reports.content import Column, Figure, Page, Section, Takeaway
from reports.numbers import percent, signed
from reports.pages.pairs import pairs_section
from reports.pages.score import NO_MODEL
from reports.rows.rows import ReportRows
from reports.rows.scored import features_of, records_of, sample
from reports.text import printable, quoted_name

SLUG, TITLE = "features", "Features"
LEAD = (
    "What drives the score, which way, what signals do together, and which fields are left out "
    "and why?"
)
LOOK_DAYS = 7  # after creation
MOST_LEADS = 10_000  # looked at for importance
MOST_AUDITED = 20_000
MOST_SIGNALS = 25
MOST_CURVES = 6
N_BINS = 8
FEWEST_IN_BIN = 20
FEWEST_ON_LINE = 4


def features_page(rows: ReportRows) -> Page:
    """Tell what the model looks at, and how each field is filled."""
    sections: list[Section] = []
    told: list[Takeaway] = []
    if rows.scorer is None:
        sections.append(Section("What drives the score", needs=NO_MODEL))
    else:
        found, takeaways = _drivers(rows, rows.scorer)
        sections += found
        told += takeaways
    filled, takeaways = _filled(rows)
    sections += [filled, _left_out(rows)]
    return Page(SLUG, TITLE, LEAD, (*told, *takeaways), tuple(sections))


def _drivers(rows: ReportRows, scorer: LeadScorer) -> tuple[list[Section], list[Takeaway]]:
    heading = "What drives the score"
    chosen = sample(len(rows), MOST_LEADS)
    when, is_late = looks(rows, chosen)
    few = records_of(rows.records, chosen)
    features = features_of(scorer, few, np.arange(len(chosen)), when)
    reasoner = scorer.reasoner
    parts = reasoner.parts(features)
    ranked = rank_signals(reasoner, features, seed=0)[:MOST_SIGNALS]
    if not ranked:
        needs = "More outcomes: the model states the base rate, and nothing drives it."
        return [Section(heading, needs=needs)], []
    table = []
    for row in ranked:
        strength = np.abs(parts.of_signals[:, reasoner.signals.index(row["signal"])])
        half = Z * float(strength.std()) / np.sqrt(len(strength))
        table.append(
            {
                "name": row["signal"],
                "n": len(strength),
                "value": row["points"],
                "low": max(row["points"] - half, 0.0),
                "high": row["points"] + half,
                "share": row["share"],
                "direction": row["direction"],
            }
        )
    known, won = ended(rows, chosen, when, is_late)
    age = "a week after creation, or at creation if closed by then" if rows.has_times else "now"
    about = f"leads scored {age}, n = {len(chosen):,}"
    if len(chosen) < len(rows):
        about += f", a random sample of {len(rows):,}"
    first = table[:3]
    finding = (
        f"{percent(sum(row['share'] for row in first), 0)} of what moves the score comes from "
        + ", ".join(quoted_name(row["name"]) for row in first)
    )
    columns = (
        Column("name", "Signal"),
        Column("value", "Moves the score by", "number", "signal_points"),
        Column("low", "from (95 %)", "number"),
        Column("high", "to (95 %)", "number"),
        Column("share", "Share of all", "share", "signal_share"),
        Column("direction", "Which way", "prose"),
    )
    drawn = [{**row, "n": None} for row in table]  # the same for all
    chart = rates_chart(drawn, finding, about, what="Points moved on average", base=None, form=",")
    figure = Figure("features-importance", finding, about, columns, tuple(table), chart)
    told = [
        Takeaway(
            f"{quoted_name(row['name'])} moves the score most: by {row['value']:.1f} points on "
            f"average (n = {row['n']:,}, {row['low']:.1f} to {row['high']:.1f}); "
            f"{row['direction']}.",
            {key: row[key] for key in ("name", "value", "low", "high", "n")},
            "signal_points",
            "features-importance",
        )
        for row in table[:1]
        if len(table) == 1 or row["low"] > table[1]["high"]
    ]
    signals = [row["signal"] for row in ranked]
    curves = _curves(reasoner, features, parts, signals, about)
    judged = f"{about}; only those open after the week are judged by their outcomes"
    together, more = pairs_section(
        scorer, features, signals, known, won, judged if rows.has_times else about
    )
    return [
        Section(
            heading,
            (
                "The score of a lead is a sum of points, and ten points are twice the "
                "odds. This is how far each signal moves it, up or down.",
            ),
            (figure,),
        ),
        Section(
            "How points depend on values",
            ("Each signal is shown by the one of its measures that moves the score most.",),
            tuple(curves),
        ),
        together,
    ], told + more


def looks(rows: ReportRows, lead: Ints) -> tuple[Ints, Bools]:
    """Tell when leads are scored, and which of them a week after their creation.

    Those that had closed by then, or are younger, are scored as of their creation.
    """
    if not rows.has_times:
        return np.full(len(lead), NOT_A_TIME), np.zeros(len(lead), dtype=bool)
    week = rows.created[lead] + LOOK_DAYS * DAY
    is_late = rows.open_at(lead, week) & (week <= rows.as_of)
    return np.where(is_late, week, rows.created[lead]), is_late


def ended(rows: ReportRows, lead: Ints, when: Ints, is_late: Bools) -> tuple[Bools, Bools]:
    """Tell of which leads scored then the outcome may be compared, and which of these were won.

    Leads of two ages are not: those scored at creation because they closed within the week
    have ended otherwise than those that were still open.
    """
    if not rows.has_times:
        return rows.is_mature[lead], rows.won[lead]
    return is_late & (when + rows.horizon <= rows.as_of), rows.won_within(lead, when)


def _curves(
    reasoner: Reasoner, features: Floats, parts: Parts, signals: Sequence[str], about: str
) -> list[Figure]:
    """Show the points of the strongest features over their values."""
    figures = []
    strength = np.abs(parts.of_features).mean(axis=0)
    for i, signal in enumerate(signals[:MOST_CURVES]):
        members = reasoner.members[reasoner.signals.index(signal)]
        mover = max(members, key=lambda j: float(strength[j]))
        feature = reasoner.features[mover]
        table = _dependence(feature, features[:, mover], parts.of_features[:, mover])
        if len(table) < 2:
            continue
        most, least = (pick(table, key=lambda r: r["value"]) for pick in (max, min))
        what = _title(feature)
        digits = 0 if most["value"] - least["value"] >= 3 else 1
        high, low = (signed(row["value"], digits) for row in (most, least))
        best, worst = (printable(row["name"], 60) for row in (most, least))
        if feature.unit not in CODED:  # numbers, and no names with a hyphen
            best, worst = best.replace("-", "−"), worst.replace("-", "−")
        finding = f"{printable(what, 90)}: {high} points for {best}, {low} for {worst}"
        columns = (
            Column("name", printable(what, 60)),
            Column("n", "Leads", "count"),
            Column("value", "Points", "points", "value_points"),
            Column("low", "from (95 %)", "points"),
            Column("high", "to (95 %)", "points"),
        )
        chart: Any
        in_line = len(table) >= FEWEST_ON_LINE and feature.unit != "log-odds"
        if not in_line or any(row["x"] is None for row in table):
            half = MOST_BARS // 2  # the best and the worst values of many
            drawn = table if len(table) <= MOST_BARS else [*table[:half], *table[-half:]]
            note = f"; the {half} best and worst values" if len(drawn) < len(table) else ""
            chart = rates_chart(
                drawn,
                finding,
                about + note,
                what="Points",
                base=0.0,
                form="+",
                base_name="no points",
            )
        else:
            unit = f", {feature.unit}" if feature.unit in ("days", "hours") else ""
            drawn = [{**row, "series": what} for row in table]
            chart = lines_chart(
                drawn, finding, about, x=f"{printable(what, 60)}{unit}", y="Points", form="+"
            )
        figures.append(Figure(f"features-{i + 1}", finding, about, columns, tuple(table), chart))
    return figures


def _dependence(feature: Feature, values: Floats, points: Floats) -> list[dict[str, Any]]:
    known = np.isfinite(values)
    table: list[dict[str, Any]] = []
    groups: list[tuple[str, float | None, Floats]]
    if feature.unit in CODED:
        codes, place = np.unique(values[known], return_inverse=True)
        groups = [
            (value_words(feature, float(code)), None, points[known][place == k])
            for k, code in enumerate(codes)
        ]
    else:
        edges = (
            np.unique(np.quantile(values[known], np.arange(1, N_BINS) / N_BINS))
            if (known.any())
            else np.zeros(0)
        )
        place = np.searchsorted(edges, values[known], side="left")
        groups = _ranges(feature, values[known], points[known], place)
    if (~known).any():
        groups.append((value_words(feature, np.nan), None, points[~known]))
    for name, x, part in groups:
        if len(part) >= FEWEST_IN_BIN:
            half = Z * float(part.std()) / np.sqrt(len(part))
            mean = float(part.mean())
            table.append(
                {
                    "name": name,
                    "x": x,
                    "n": len(part),
                    "value": mean,
                    "low": mean - half,
                    "high": mean + half,
                }
            )
    return sorted(table, key=lambda r: -r["value"]) if feature.unit in CODED else table


def _ranges(
    feature: Feature, values: Floats, points: Floats, place: Ints
) -> list[tuple[str, float | None, Floats]]:
    """Make groups of bins; bins that would be named alike are one."""
    ends = {k: in_words(feature.unit, float(values[place == k].max())) for k in np.unique(place)}
    names = list(dict.fromkeys(ends.values()))
    group = np.array([names.index(ends[k]) for k in place], dtype=np.int64)
    found: list[tuple[str, float | None, Floats]] = []
    for each in range(len(names)):
        inside = values[group == each]
        name = range_words(feature, float(inside.min()), float(inside.max()))
        if feature.unit in ("count", "share") and not inside.any():
            name = feature.say(0.0)
        found.append((name, float(np.median(inside)), points[group == each]))
    return found


def _title(feature: Feature) -> str:
    """Name what a feature measures at the beginning of a sentence; names from data stay."""
    name = measured(feature)
    return quoted_name(name) if name == feature.column else name[:1].upper() + name[1:]


def _filled(rows: ReportRows) -> tuple[Section, list[Takeaway]]:
    """Compare how often fields are filled for open, won and lost leads."""
    leads = rows.records.leads
    outcome = rows.project.leads.column_of("outcome")
    nothing = {str(cell_text(word)).casefold() for word in rows.project.columns.nothing}
    roles = {"lead_id", "created_at", outcome}
    kinds = {"open": rows.is_open, "won": rows.is_won, "lost": rows.is_lost}
    counts = {name: int(mask.sum()) for name, mask in kinds.items()}
    table: list[dict[str, Any]] = []
    for column in leads.columns:
        if column in roles:
            continue
        filled = _is_filled(leads[column], nothing)
        shares = {
            name: (int(filled[mask].sum()) if counts[name] else 0) for name, mask in kinds.items()
        }
        row: dict[str, Any] = {"name": column, "n": len(leads)}
        for name in kinds:
            row[name] = shares[name] / counts[name] if counts[name] else None
        row["p"] = None
        closed_n, closed = counts["won"] + counts["lost"], shares["won"] + shares["lost"]
        if min(counts["open"], closed_n) >= FEWEST_LEADS:
            row["p"] = two_shares(shares["open"], counts["open"], closed, closed_n)
            row["closed"] = closed / closed_n
        table.append(row)
    judged = [row for row in table if row["p"] is not None]
    for row, p in zip(judged, holm([row["p"] for row in judged]), strict=True):
        row["p"] = p
    table.sort(
        key=lambda r: (
            -abs(r["closed"] - r["open"])
            if r["p"] is not None
            else -abs((r["won"] or 0) - (r["lost"] or 0))
        )
    )
    far = [r for r in judged if r["p"] < CHANCE and abs(r["closed"] - (r["open"] or 0)) >= 0.1]
    about = ", ".join(f"{name} leads, n = {n:,}" for name, n in counts.items())
    finding = (
        f"{len(far) or 'No'} field{'s are' if len(far) > 1 else ' is'} filled more often, or less, "
        "for closed leads than for open ones, by 10 points or more"
    )
    if all(row[name] in (1.0, None) for row in table for name in kinds):
        finding = "Every field is filled for every lead"
    elif not judged:
        first = table[0]
        finding = (
            f"{quoted_name(first['name'])} is filled for {percent(first['won'] or 0, 0)} of the "
            f"won and {percent(first['lost'] or 0, 0)} of the lost leads; too few are open to "
            "compare"
        )
    columns = (
        Column("name", "Field"),
        Column("open", "Filled, open", "share", "fill_share"),
        Column("won", "Filled, won", "share", "fill_share"),
        Column("lost", "Filled, lost", "share", "fill_share"),
        Column("p", "p of open against closed, corrected", "ratio", "chance"),
    )
    kept = [name for name in kinds if counts[name]]
    gaps = [
        {**row, "n": None} for row in table if any(row[name] not in (1.0, None) for name in kinds)
    ]
    chart = (
        series_chart(
            gaps,
            finding,
            f"{about}; fields that some leads lack",
            what="Share of leads with the field filled",
            series=[(name, name) for name in kept],
        )
        if gaps
        else None
    )
    told = [
        Takeaway(
            f"{quoted_name(row['name'])} is filled for {percent(row['open'])} of the open and "
            f"{percent(row['closed'])} of the closed leads: what is filled on closing says nothing "
            "about a new lead.",
            {
                "value": row["open"],
                "low": None,
                "high": None,
                "n": row["n"],
                "closed": row["closed"],
                "p": row["p"],
            },
            "fill_share",
            "features-filled",
        )
        for row in sorted(far, key=lambda r: -(r["closed"] - r["open"]))[:1]
        if row["closed"] > row["open"]
    ]
    figure = Figure("features-filled", finding, about, columns, tuple(table), chart)
    return Section("How fields are filled", (), (figure,)), told


def _is_filled(column: pd.Series, nothing: set[str]) -> Any:
    if not nothing and column.dtype != object:
        return column.notna().to_numpy()

    def filled(cell: Any) -> bool:
        text = cell_text(cell)
        return text is not None and text.casefold() not in nothing

    return read_column(column, filled, np.bool_)


def _left_out(rows: ReportRows) -> Section:
    """List the fields that the model does not look at, with the audit's evidence."""
    heading = "What is left out, and why"
    table: list[dict[str, Any]] = []
    if rows.scorer is not None:
        card = rows.scorer.card
        evidence = {each["field"]: each for each in card.audit}
        for left in card.left_out:
            table.append(_left(left["column"], left["reason"], evidence.get(left["column"])))
    known = {row["name"] for row in table}
    again, said = _audited_again(rows)
    for name, each in again.items():
        if name in known:
            row = next(row for row in table if row["name"] == name)
            row["today"] = _said(each)
        else:
            table.append(
                {**_left(name, "the audit of today's records objects", None), "today": _said(each)}
            )
    columns = (
        Column("name", "Field"),
        Column("reason", "Why", "prose"),
        Column("evidence", "Evidence then", "prose"),
        Column("today", "Evidence in today's records", "prose"),
        Column("line", "To put it right", "prose"),
    )
    if not table:
        return Section(heading, ("Nothing is left out. " + said,))
    finding = "1 field is left out" if len(table) == 1 else f"{len(table)} fields are left out"
    about = "fields of the leads that the model does not look at"
    figure = Figure("features-left-out", finding, about, columns, tuple(table))
    return Section(heading, (said,), (figure,))


def _left(name: str, reason: str, found: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "name": name,
        "reason": reason,
        "evidence": None if found is None else _said(found),
        "today": None,
        "line": None if found is None else found.get("line"),
    }


def _said(found: Mapping[str, Any]) -> str:
    return " ".join(f"{each['number']}: {each['evidence']}" for each in found["checks"])


def _audited_again(rows: ReportRows) -> tuple[dict[str, Mapping[str, Any]], str]:
    chosen = sample(len(rows), MOST_AUDITED)
    few = rows.records if len(chosen) == len(rows) else records_of(rows.records, chosen)
    try:
        found = audit(few, make_moments(few, rows.project.learn), rows.project)
    except LearningError:
        return {}, "Today's records hold too few outcomes for a new audit."
    objections = {each["field"]: each for each in found.to_json()["fields"] if each["line"]}
    said = f"The leak audit was run again on {len(chosen):,} leads of today's records."
    return objections, said
