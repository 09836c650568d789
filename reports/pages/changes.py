"""Which scores changed in the newest days, and why? From what the ledger stores."""

from collections.abc import Sequence

from features.record_checks.masking import masked
from models.score_change import shown_points
from reports.content import Column, Comparison, Figure, Page, Section
from reports.rows.score_changes import DAYS, LeadChange, by_signal
from reports.text import column_label

SLUG, TITLE = "changes", "Which scores changed, and why?"
LEAD = f"What moved the scores of leads in the last {DAYS} days, in points that add up?"
NEEDS = (
    "What moved the scores of leads. It needs a ledger, and leads that were scored at two moments "
    f"in the last {DAYS} days."
)
ONLY_ALL = "This report is about some of the leads only. The report about all leads shows changes."
MOST_SIGNALS, MOST_LEADS, MOST_PARTS = 15, 10, 4
NEW_MODEL = "a new model"


def changes_page(changes: Sequence[LeadChange], is_part: bool) -> Page:
    """Build the page about changed scores.

    Parameters
    ----------
    changes : sequence of LeadChange
        The largest rise first; empty without a ledger.
    is_part : bool
        True if the report is about a part of the leads.
    """
    if is_part or not changes:
        section = Section("Changed scores", needs=ONLY_ALL if is_part else NEEDS)
        return Page(slug=SLUG, title=TITLE, lead=LEAD, sections=(section,), keeps_leads=False)
    n = len(changes)
    mean = sum(change.change.points for change in changes) / n
    rose = sum(change.change.points > 0 for change in changes)
    first = (
        f"{n:,} leads were scored more than once in the last {DAYS} days; {rose:,} of them rose. "
        f"On average, scores changed by {mean:+.1f} points."
    )
    return Page(
        slug=SLUG,
        title=TITLE,
        lead=LEAD,
        sections=(
            Section("What moved the scores", (first,), (_signals_figure(changes, mean),)),
            Section("The leads that rose most", (), (_leads_figure(changes),)),
        ),
        keeps_leads=False,
    )


def _signals_figure(changes: Sequence[LeadChange], mean: float) -> Figure:
    rows = by_signal(changes)
    shown = rows[:MOST_SIGNALS]
    table = [
        {
            "name": signal_label(row.signal),
            "rose": row.rose,
            "fell": row.fell,
            "points": row.points,
        }
        for row in shown
    ]
    if len(rows) > len(shown):
        rest = sum(row.points for row in rows[MOST_SIGNALS:])
        table.append({"name": "all others", "rose": None, "fell": None, "points": rest})
    return Figure(
        name="changes-signals",
        finding=f"The signals add up to the mean change of {mean:+.1f} points",
        about=f"{len(changes):,} leads, first and last score of the last {DAYS} days",
        columns=(
            Column("name", "Signal"),
            Column("rose", "Leads that it raised", "count", "changed_leads"),
            Column("fell", "Leads that it lowered", "count", "changed_leads"),
            Column("points", "Points per lead", "points", "changed_points"),
        ),
        rows=tuple(table),
        comparison=Comparison.NONE,
    )


def _leads_figure(changes: Sequence[LeadChange]) -> Figure:
    return Figure(
        name="changes-leads",
        finding="The leads that rose most, and why",
        about="ids that are e-mail addresses or phone numbers are not shown",
        columns=(
            Column("name", "Lead"),
            Column("before", "Score before", "score"),
            Column("after", "Score now", "score"),
            Column("points", "Change", "points", "changed_points"),
            Column("why", "Why", "prose"),
        ),
        rows=tuple(
            {
                "name": masked(change.lead_id),
                "before": change.before,
                "after": change.after,
                "points": change.change.points,
                "why": why(change),
            }
            for change in changes[:MOST_LEADS]
            if change.change.points > 0
        ),
        comparison=Comparison.NONE,
    )


def why(change: LeadChange) -> str:
    """Format the strongest parts of a change; they and the rest add up to it.

    Examples
    --------
    >>> from models.score_change import ChangePart, ScoreChange
    >>> parts = [ChangePart("activity: demo", 14.2), ChangePart("age of the lead", -3.1)]
    >>> why(LeadChange("L1", 40, 51, ScoreChange(11.1, parts)))
    'Activity: demo +14.2, Age of the lead -3.1'
    """
    parts = change.change.parts
    points = [part.points for part in parts[:MOST_PARTS]]
    rest = [sum(part.points for part in parts[MOST_PARTS:])] if len(parts) > MOST_PARTS else []
    _, shown = shown_points([*points, *rest])
    names = [*(signal_label(part.signal) for part in parts[:MOST_PARTS]), "all others"]
    return ", ".join(f"{name} {value:+g}" for name, value in zip(names, shown, strict=False))


def signal_label(signal: str | None) -> str:
    """Return the name of a signal for a reader."""
    return NEW_MODEL if signal is None else column_label(signal)
