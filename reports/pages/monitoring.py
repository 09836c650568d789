"""Is the score still right? The last look of `leadscore monitor`."""

from collections.abc import Mapping, Sequence
from typing import Any

from crm.text import counted
from reports.charts.lines import lines_chart
from reports.content import Column, Comparison, Figure, Page, Section, Takeaway

SLUG, TITLE = "monitoring", "Is the score still right?"
LEAD = "Do the stated chances come true on new leads, and are the leads still like those before?"
NEEDS = "The last look at the champion. Run `leadscore monitor`, which records one."
ONLY_ALL = "This report is about some of the leads only. The report about all leads shows the look."
METRIC = "monitoring_check"
SHOWN = ("act", "watch")
ORDER = ("act", "watch", "fine", "unknown")


def monitoring_page(look: Mapping[str, Any] | None, is_part: bool) -> Page:
    """Build the page about the last look.

    Parameters
    ----------
    look : mapping or None
        `monitoring.look.Look.to_json`; None without a look.
    is_part : bool
        True if the report is about a part of the leads.
    """
    if look is None or is_part:
        section = Section("The last look", needs=ONLY_ALL if is_part else NEEDS)
        return Page(slug=SLUG, title=TITLE, lead=LEAD, sections=(section,), keeps_leads=False)
    checks = sorted(look["checks"], key=lambda check: ORDER.index(check["verdict"]))
    figures = {check["number"]: check for check in checks}
    sections = [
        Section(
            "The last look",
            (f"{look['sentence']} {_when(look)}", *map(str, look["notes"])),
            (_checks_figure(checks, look),),
        ),
        _given_section(figures["LM103"]),
        _truth_section(figures["LM201"]),
        _estimates_section(figures["LM205"]),
        _control_section(figures["LM501"], figures["LM502"]),
    ]
    takeaways = tuple(_takeaway(check) for check in checks if check["verdict"] in SHOWN)
    return Page(
        slug=SLUG,
        title=TITLE,
        lead=LEAD,
        takeaways=takeaways,
        sections=tuple(sections),
        keeps_leads=False,
    )


def _when(look: Mapping[str, Any]) -> str:
    return (
        f"Version {look['version']} was looked at on {look['at'][:10]}, with records until "
        f"{look['until'][:10]} and {counted(look['leads'], 'lead')} that it has not learned from."
    )


def _takeaway(check: Mapping[str, Any]) -> Takeaway:
    figures = check["figures"]
    evidence = {
        "value": figures.get("days"),
        "low": None,
        "high": None,
        "n": figures.get("leads"),
    }
    sentence = f"{check['evidence']} {check['next_step']}".strip()
    return Takeaway(sentence, evidence, METRIC, "monitoring-checks")


def _checks_figure(checks: Sequence[Mapping[str, Any]], look: Mapping[str, Any]) -> Figure:
    return Figure(
        name="monitoring-checks",
        finding=str(look["sentence"]),
        about=f"{len(checks)} checks, the urgent ones first",
        columns=(
            Column("number", "Check"),
            Column("verdict", "Verdict", metric=METRIC),
            Column("question", "Question", "prose"),
            Column("evidence", "Evidence", "prose"),
            Column("next_step", "Next step", "prose"),
        ),
        rows=tuple(
            {
                key: check[key] or None
                for key in ("number", "verdict", "question", "evidence", "next_step")
            }
            for check in checks
        ),
        comparison=Comparison.NONE,
    )


def _given_section(check: Mapping[str, Any]) -> Section:
    heading = "Did the scores that were given come true?"
    if not check["rows"]:
        return Section(heading, needs=f"Wins by grade. {check['evidence']}")
    return Section(
        heading,
        (check["evidence"],),
        (
            Figure(
                name="monitoring-grades",
                finding="What each grade stated, and how many leads were won",
                about="the first score of each lead by each version, one horizon ago or earlier",
                columns=(
                    Column("grade", "Grade"),
                    Column("n_leads", "Leads", "count"),
                    Column("stated", "Stated", "share", "stated_share"),
                    Column("won", "Won", "share", "grade_won_share"),
                    Column("low", "From", "share"),
                    Column("high", "To", "share"),
                    Column("promised", "Won in the hold-out", "share", "grade_won_share"),
                    Column("verdict", "Verdict", metric=METRIC),
                ),
                rows=tuple(
                    {
                        key: row[key]
                        for key in (
                            "grade",
                            "n_leads",
                            "stated",
                            "won",
                            "low",
                            "high",
                            "promised",
                            "verdict",
                        )  # fmt: skip
                    }
                    for row in check["rows"]
                ),
                comparison=Comparison.NONE,
            ),
        ),
    )


def _truth_section(check: Mapping[str, Any]) -> Section:
    heading = "Do the stated chances come true?"
    if not check["rows"]:
        return Section(heading, needs=f"Months whose leads are all old enough. {check['evidence']}")
    rows: list[dict[str, Any]] = [
        {
            "x": row["month"],
            "series": series,
            "value": row[key],
            "n": row["leads"],
            "low": None,
            "high": None,
        }
        for key, series in (("stated", "stated"), ("won", "won"))
        for row in check["rows"]
    ]
    finding = {
        "fine": "About as many leads are won as stated",
        "watch": "The share of won leads may have left what is stated",
        "act": "The share of won leads has left what is stated",
    }[check["verdict"]]
    about = "leads that the champion has not learned from, by the month of the score"
    return Section(
        heading,
        (check["evidence"],),
        (
            Figure(
                name="monitoring-truth",
                finding=finding,
                about=about,
                columns=(
                    Column("x", "Month"),
                    Column("series", "Stated or won"),
                    Column("n", "Leads", "count"),
                    Column("value", "Share", "share", "monitored_won"),
                ),
                rows=tuple(rows),
                chart=lines_chart(
                    rows, finding, about, x="Scored in (UTC)", y="Share of the leads"
                ),
                comparison=Comparison.NONE,
            ),
        ),
    )


def _estimates_section(check: Mapping[str, Any]) -> Section:
    heading = "How good are the newest scores?"
    if not check["rows"]:
        return Section(heading, needs=f"Estimates by month. {check['evidence']}")
    rows: list[dict[str, Any]] = []
    for row in check["rows"]:
        estimated = {
            "value": row["roc_auc"],
            "low": row["roc_auc_low"],
            "high": row["roc_auc_high"],
        }
        came_true = {"value": row["roc_auc_true"], "low": None, "high": None}
        rows += [
            {"x": row["month"], "series": series, "n": row["leads"], **values}
            for series, values in (("estimated", estimated), ("came true", came_true))
        ]
    finding = "Of 100 pairs of a won lead and another, how many the scores rank correctly"
    about = (
        "estimated from the stated chances alone, before outcomes are in; 95 % of what comes true "
        "lies within the lines if the chances are right"
    )
    return Section(
        heading,
        (
            check["evidence"],
            "If what comes true leaves the estimate, what makes a lead win has changed.",
        ),
        (
            Figure(
                name="monitoring-estimates",
                finding=finding,
                about=about,
                columns=(
                    Column("x", "Month"),
                    Column("series", "Estimated or true"),
                    Column("n", "Leads", "count"),
                    Column("value", "Pairs ranked correctly", "share", "estimated_auc"),
                    Column("low", "From", "share"),
                    Column("high", "To", "share"),
                ),
                rows=tuple(rows),
                chart=lines_chart(rows, finding, about, x="Scored in (UTC)", y="Pairs"),
                comparison=Comparison.NONE,
            ),
        ),
    )


def _control_section(worth: Mapping[str, Any], lanes: Mapping[str, Any]) -> Section:
    heading = "What is prioritising by score worth?"
    if not worth["rows"]:
        needs = "Wins per worked lead with and without scores. It needs a control group."
        return Section(heading, needs=f"{needs} {worth['evidence']}")
    names = {"treated": "worked by score", "control": "worked in a neutral order"}
    rows = tuple({**row, "name": names[row["lane"]]} for row in worth["rows"])
    return Section(
        heading,
        (worth["evidence"], lanes["evidence"]),
        (
            Figure(
                name="monitoring-control",
                finding="Wins per worked lead, with and without scores",
                about="leads whose outcome is certain; chance decided which leads are prioritised",
                columns=(
                    Column("name", "Leads"),
                    Column("leads", "Leads", "count"),
                    Column("worked", "Worked in time", "count"),
                    Column("won", "Won of these", "count"),
                    Column(
                        "won_per_worked",
                        "Won per worked lead",
                        "share",
                        "won_per_worked",
                        of=("won", "worked"),
                    ),
                    Column("low", "From", "share"),
                    Column("high", "To", "share"),
                    Column("revenue_per_worked", "Revenue per worked lead", "amount"),
                ),
                rows=rows,
                comparison=Comparison.NONE,
            ),
        ),
    )
