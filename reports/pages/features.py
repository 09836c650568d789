"""Features: what drives the score, in which direction, and which columns are not used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, shares_differ
from models.evaluation.importance import rank_signals
from models.evaluation.intervals import holm
from models.reasons import Parts, Reasoner
from models.scorer import LeadScorer
from models.signal_words import CODED, measured, range_words, value_words
from reports.charts.report import MOST_BARS, lines_chart, rates_chart, series_chart
from reports.content import Column, Figure, Page, Section, TableRow, Takeaway, cells_of
from reports.numbers import percent, signed
from reports.pages.pairs import ScoredLeads, pairs_section
from reports.pages.phrases import CHANCE_TITLE, interval_columns
from reports.pages.score import NO_MODEL
from reports.rows.rows import ReportRows
from reports.rows.scored import features_of, records_of, sample
from reports.text import printable, quoted_column

SLUG, TITLE = "features", "Features"
LEAD = (
    "What drives the score and in which direction, how do signals combine, and which columns are "
    "not used, and why?"
)
DRIVERS = "What drives the score"
LOOK_DAYS = 7  # after creation
MOST_LEADS = 10_000  # scored for importance
MOST_AUDITED = 20_000
MOST_SIGNALS = 25
MOST_CURVES = 6
FIRST_SIGNALS = 3  # named in the title
N_BINS = 8
FEWEST_IN_BIN = 20
FEWEST_ON_LINE = 4
LEAST_GAP = 0.1  # between the filled shares of open and closed leads, for a sentence


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


@dataclass(frozen=True, kw_only=True)
class CurveRow(TableRow):
    """The mean points of the leads with a value, or with values in a range around `x`."""

    name: str
    x: float | None
    n: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class FilledRow(TableRow):
    """The shares of leads with a value in a column; `p` compares open with closed leads."""

    name: str
    n: int
    open: float | None
    won: float | None
    lost: float | None
    closed: float | None = None
    p: float | None = None

    @property
    def shares(self) -> tuple[float | None, float | None, float | None]:
        """The shares of open, won and lost leads."""
        return self.open, self.won, self.lost

    @property
    def is_full(self) -> bool:
        """True if every lead has a value."""
        return all(share in (1.0, None) for share in self.shares)

    @property
    def gap(self) -> float:
        """The share of closed leads minus that of open ones; 0 if they are not compared."""
        if self.p is None or self.closed is None or self.open is None:
            return 0.0
        return self.closed - self.open

    @property
    def order(self) -> float:
        """The key that sorts the largest differences first."""
        if self.p is not None:
            return -abs(self.gap)
        return -abs((self.won or 0) - (self.lost or 0))


@dataclass(frozen=True, kw_only=True)
class LeftOutRow(TableRow):
    """A column that the model does not use."""

    name: str
    reason: str
    evidence: str | None = None
    today: str | None = None
    line: str | None = None


def features_page(rows: ReportRows) -> Page:
    """Build the page about what the model looks at, and how each column is filled."""
    sections, takeaways = [Section(DRIVERS, needs=NO_MODEL)], list[Takeaway]()
    if rows.scorer is not None:
        sections, takeaways = _drivers(rows, rows.scorer)
    filled, filled_takeaways = _filled(rows)
    return Page(
        slug=SLUG,
        title=TITLE,
        lead=LEAD,
        takeaways=(*takeaways, *filled_takeaways),
        sections=(*sections, filled, _left_out(rows)),
    )


def _drivers(rows: ReportRows, scorer: LeadScorer) -> tuple[list[Section], list[Takeaway]]:
    chosen = sample(len(rows), MOST_LEADS)
    when, is_late = looks(rows, chosen)
    records = records_of(rows.records, chosen)
    features = features_of(scorer, records, np.arange(len(chosen)), when)
    reasoner = scorer.reasoner
    parts = reasoner.parts(features)
    ranked = rank_signals(reasoner, features, seed=0)[:MOST_SIGNALS]
    if not ranked:
        needs = "More outcomes: the model gives every lead the same probability."
        return [Section(DRIVERS, needs=needs)], []
    age = "now"
    if rows.has_times:
        age = "a week after creation, or at creation if closed by then"
    about = f"leads scored {age}, n = {len(chosen):,}"
    if len(chosen) < len(rows):
        about += f", a random sample of {len(rows):,}"
    table = [_signal_row(row, reasoner, parts) for row in ranked]
    importance, takeaways = _importance(table, about)
    signals = [row["signal"] for row in ranked]
    curves = _curves(reasoner, features, parts, signals, about)
    known, won = ended(rows, chosen, when, is_late)
    compared = about
    if rows.has_times:
        compared += "; outcomes only of those open after the week"
    leads = ScoredLeads(features=features, known=known, won=won, about=compared)
    together, pair_takeaways = pairs_section(scorer, signals, leads)
    sections = [
        importance,
        Section(
            "How points depend on values",
            ("Each signal is shown by the one of its measures that moves the score most.",),
            tuple(curves),
        ),
        together,
    ]
    return sections, takeaways + pair_takeaways


def _signal_row(row: Mapping[str, Any], reasoner: Reasoner, parts: Parts) -> SignalRow:
    strength = np.abs(parts.of_signals[:, reasoner.signals.index(row["signal"])])
    half = Z * float(strength.std()) / np.sqrt(len(strength))
    return SignalRow(
        name=row["signal"],
        n=len(strength),
        value=row["points"],
        low=max(row["points"] - half, 0.0),
        high=row["points"] + half,
        share=row["share"],
        direction=row["direction"],
    )


def _importance(table: Sequence[SignalRow], about: str) -> tuple[Section, list[Takeaway]]:
    first = table[:FIRST_SIGNALS]
    names = ", ".join(quoted_column(row.name) for row in first)
    finding = (
        f"{percent(sum(row.share for row in first), 0)} of what moves the score comes from {names}"
    )
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
    )
    text = (
        "The score of a lead is a sum of points, and ten points are twice the odds. This is how "
        "far each signal moves it, up or down."
    )
    strongest = table[0]
    takeaways = []
    if len(table) == 1 or strongest.low > table[1].high:
        takeaways.append(
            Takeaway(
                f"{quoted_column(strongest.name)} moves the score most: by "
                f"{strongest.value:.1f} points on average (between {strongest.low:.1f} and "
                f"{strongest.high:.1f}; "
                f"{strongest.n:,} leads); {strongest.direction}.",
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
    return Section(DRIVERS, (text,), (figure,)), takeaways


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


def _curves(
    reasoner: Reasoner, features: Floats, parts: Parts, signals: Sequence[str], about: str
) -> list[Figure]:
    """Show the points of the strongest features by their values."""
    figures = []
    strength = np.abs(parts.of_features).mean(axis=0)
    for i, signal in enumerate(signals[:MOST_CURVES]):
        members = reasoner.members[reasoner.signals.index(signal)]
        mover = max(members, key=lambda j: float(strength[j]))
        feature = reasoner.features[mover]
        table = _dependence(feature, features[:, mover], parts.of_features[:, mover])
        if len(table) > 1:
            figures.append(_curve(f"features-{i + 1}", feature, table, about))
    return figures


def _curve(name: str, feature: Feature, table: Sequence[CurveRow], about: str) -> Figure:
    measure = _title(feature)
    finding = _curve_finding(feature, table)
    cells = cells_of(table)
    is_line = len(table) >= FEWEST_ON_LINE and feature.unit != "log-odds"
    chart: Any
    if is_line and all(row.x is not None for row in table):
        unit = f", {feature.unit}" if feature.unit in ("days", "hours") else ""
        chart = lines_chart(
            [{**row, "series": measure} for row in cells],
            finding,
            about,
            x=f"{printable(measure, 60)}{unit}",
            y="Points",
            form="+",
        )
    else:
        half = MOST_BARS // 2  # the best and the worst values of many
        drawn = cells if len(cells) <= MOST_BARS else (*cells[:half], *cells[-half:])
        note = f"; the {half} best and worst values" if len(drawn) < len(cells) else ""
        chart = rates_chart(
            drawn,
            finding,
            about + note,
            what="Points",
            base=0.0,
            form="+",
            base_name="no points",
        )
    return Figure(
        name=name,
        finding=finding,
        about=about,
        columns=(
            Column("name", printable(measure, 60)),
            Column("n", "Leads", "count"),
            Column("value", "Points", "points", "value_points"),
            *interval_columns("points"),
        ),
        rows=cells,
        chart=chart,
    )


def _curve_finding(feature: Feature, table: Sequence[CurveRow]) -> str:
    most = max(table, key=lambda row: row.value)
    least = min(table, key=lambda row: row.value)
    digits = 0 if most.value - least.value >= 3 else 1
    best, worst = printable(most.name, 60), printable(least.name, 60)
    if feature.unit not in CODED:  # numbers, and no names with a hyphen
        best, worst = best.replace("-", "−"), worst.replace("-", "−")
    return (
        f"{printable(_title(feature), 90)}: {signed(most.value, digits)} points for {best}, "
        f"{signed(least.value, digits)} for {worst}"
    )


def _dependence(feature: Feature, values: Floats, points: Floats) -> list[CurveRow]:
    """Compute the mean points of each value, or of ranges of values; small groups are left out."""
    known = np.isfinite(values)
    groups: list[tuple[str, float | None, Floats]]
    if feature.unit in CODED:
        codes, place = np.unique(values[known], return_inverse=True)
        groups = [
            (value_words(feature, float(code)), None, points[known][place == k])
            for k, code in enumerate(codes)
        ]
    else:
        groups = _ranges(feature, values[known], points[known])
    if not known.all():
        groups.append((value_words(feature, np.nan), None, points[~known]))
    table = []
    for name, x, part in groups:
        if len(part) >= FEWEST_IN_BIN:
            half = Z * float(part.std()) / np.sqrt(len(part))
            mean = float(part.mean())
            table.append(
                CurveRow(name=name, x=x, n=len(part), value=mean, low=mean - half, high=mean + half)
            )
    return sorted(table, key=lambda row: -row.value) if feature.unit in CODED else table


def _ranges(
    feature: Feature, values: Floats, points: Floats
) -> list[tuple[str, float | None, Floats]]:
    """Cut values into bins of about the same size; bins with the same name become one.

    Returns
    -------
    list of (str, float, ndarray)
        The name of each bin, its median, and the points of its leads.
    """
    if not len(values):
        return []
    edges = np.unique(np.quantile(values, np.arange(1, N_BINS) / N_BINS))
    place = np.searchsorted(edges, values, side="left")
    ends = {k: in_words(feature.unit, float(values[place == k].max())) for k in np.unique(place)}
    names = list(dict.fromkeys(ends.values()))
    group = np.array([names.index(ends[k]) for k in place], dtype=np.int64)
    ranges: list[tuple[str, float | None, Floats]] = []
    for i in range(len(names)):
        inside = values[group == i]
        name = range_words(feature, float(inside.min()), float(inside.max()))
        if feature.unit in ("count", "share") and not inside.any():
            name = feature.say(0.0)
        ranges.append((name, float(np.median(inside)), points[group == i]))
    return ranges


def _title(feature: Feature) -> str:
    """Return what a feature measures, for the beginning of a sentence; names from data stay."""
    name = measured(feature)
    if name == feature.column:
        return quoted_column(name)
    return name[:1].upper() + name[1:]


def _filled_rows(rows: ReportRows) -> list[FilledRow]:
    """Count how often each column is filled for open, won and lost leads.

    Open leads are compared with closed ones if there are enough of both; the p-values are
    corrected for all columns. The largest differences come first.
    """
    leads = rows.records.leads
    empty_words = {str(cell_text(word)).casefold() for word in rows.project.columns.nothing}
    roles = {"lead_id", "created_at", rows.project.leads.column_of("outcome")}
    masks = {"open": rows.is_open, "won": rows.is_won, "lost": rows.is_lost}
    n = {kind: int(mask.sum()) for kind, mask in masks.items()}
    n_closed = n["won"] + n["lost"]
    is_compared = min(n["open"], n_closed) >= FEWEST_LEADS
    table = []
    for column in leads.columns:
        if column in roles:
            continue
        filled = _is_filled(leads[column], empty_words)
        count = {kind: int(filled[mask].sum()) for kind, mask in masks.items()}
        share = {kind: count[kind] / n[kind] if n[kind] else None for kind in masks}
        row = FilledRow(
            name=column, n=len(leads), open=share["open"], won=share["won"], lost=share["lost"]
        )
        if is_compared:
            closed = count["won"] + count["lost"]
            p = shares_differ(count["open"], n["open"], closed, n_closed)
            row = replace(row, closed=closed / n_closed, p=p)
        table.append(row)
    ps = iter(holm([row.p for row in table if row.p is not None]))
    table = [row if row.p is None else replace(row, p=next(ps)) for row in table]
    return sorted(table, key=lambda row: row.order)


def _filled(rows: ReportRows) -> tuple[Section, list[Takeaway]]:
    """Compare how often columns are filled for open, won and lost leads."""
    table = _filled_rows(rows)
    far = [
        row for row in table if row.p is not None and row.p < CHANCE and abs(row.gap) >= LEAST_GAP
    ]
    n = {"open": rows.is_open, "won": rows.is_won, "lost": rows.is_lost}
    about = ", ".join(f"{kind} leads, n = {int(mask.sum()):,}" for kind, mask in n.items())
    finding = _filled_finding(table, far)
    gaps = [{**row.cells(), "n": None} for row in table if not row.is_full]
    chart = None
    if gaps:
        chart = series_chart(
            gaps,
            finding,
            f"{about}; columns that some leads lack",
            what="Share of leads with a value",
            series=[(kind, kind) for kind, mask in n.items() if mask.any()],
        )
    figure = Figure(
        name="features-filled",
        finding=finding,
        about=about,
        columns=(
            Column("name", "Column"),
            Column("open", "Filled, open", "share", "fill_share"),
            Column("won", "Filled, won", "share", "fill_share"),
            Column("lost", "Filled, lost", "share", "fill_share"),
            Column("p", f"{CHANCE_TITLE}, open against closed", "ratio", "chance"),
        ),
        rows=cells_of(table),
        chart=chart,
    )
    takeaways = []
    if far and max(row.gap for row in far) > 0:
        takeaways.append(_filled_takeaway(max(far, key=lambda row: row.gap)))
    return Section("How columns are filled", figures=(figure,)), takeaways


def _filled_takeaway(row: FilledRow) -> Takeaway:
    """Return a column that is filled when leads close as a sentence."""
    return Takeaway(
        f"{quoted_column(row.name)} is filled for {percent(row.open or 0.0)} of the open "
        f"and {percent(row.closed or 0.0)} of the closed leads: what is filled on closing "
        "says nothing about a new lead.",
        {
            "value": row.open,
            "low": None,
            "high": None,
            "n": row.n,
            "closed": row.closed,
            "p": row.p,
        },
        "fill_share",
        "features-filled",
    )


def _filled_finding(table: Sequence[FilledRow], far: Sequence[FilledRow]) -> str:
    if all(row.is_full for row in table):
        return "Every column is filled for every lead"
    if all(row.p is None for row in table):
        first = table[0]
        return (
            f"{quoted_column(first.name)} is filled for {percent(first.won or 0, 0)} of the won "
            f"and {percent(first.lost or 0, 0)} of the lost leads; too few leads are open to "
            "compare"
        )
    columns = "1 column is" if len(far) == 1 else f"{len(far) or 'No'} columns are"
    return (
        f"{columns} filled more often, or less, for closed leads than for open ones, by 10 points "
        "or more"
    )


def _is_filled(column: pd.Series, empty_words: set[str]) -> Any:
    if not empty_words and column.dtype != object:
        return column.notna().to_numpy()

    def is_filled(cell: Any) -> bool:
        text = cell_text(cell)
        return text is not None and text.casefold() not in empty_words

    return read_column(column, is_filled, np.bool_)


def _left_out(rows: ReportRows) -> Section:
    """List the columns that the model does not use, with the audit's evidence."""
    heading = "Columns that are not used, and why"
    table: dict[str, LeftOutRow] = {}
    if rows.scorer is not None:
        card = rows.scorer.card
        evidence = {field["field"]: field for field in card.audit}
        for unused in card.left_out:
            name = unused["column"]
            field = evidence.get(name)
            table[name] = LeftOutRow(
                name=name,
                reason=unused["reason"],
                evidence=None if field is None else _evidence(field),
                line=None if field is None else field.get("line"),
            )
    fields, text = _audit_today(rows)
    for name, objection in fields.items():
        row = table.get(name) or LeftOutRow(
            name=name, reason="the audit of today's records objects"
        )
        table[name] = replace(row, today=_evidence(objection))
    if not table:
        return Section(heading, (f"Every column is used. {text}",))
    figure = Figure(
        name="features-left-out",
        finding="1 column is not used" if len(table) == 1 else f"{len(table)} columns are not used",
        about="columns of the leads that the model does not use",
        columns=(
            Column("name", "Column"),
            Column("reason", "Why", "prose"),
            Column("evidence", "Evidence in training", "prose"),
            Column("today", "Evidence in today's records", "prose"),
            Column("line", "Line for the project file", "prose"),
        ),
        rows=cells_of(table.values()),
    )
    return Section(heading, (text,), (figure,))


def _evidence(field: Mapping[str, Any]) -> str:
    return " ".join(f"{check['number']}: {check['evidence']}" for check in field["checks"])


def _audit_today(rows: ReportRows) -> tuple[dict[str, Mapping[str, Any]], str]:
    """Run the leak audit on today's records; return the fields it objects to, and a sentence."""
    chosen = sample(len(rows), MOST_AUDITED)
    records = rows.records if len(chosen) == len(rows) else records_of(rows.records, chosen)
    try:
        report = audit(records, make_moments(records, rows.project.learn), rows.project)
    except LearningError:
        return {}, "Today's records have too few outcomes for a new audit."
    fields = {field["field"]: field for field in report.to_json()["fields"] if field["line"]}
    return fields, f"The leak audit was run again on {len(chosen):,} leads of today's records."
