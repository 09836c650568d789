"""Reports with every kind of part, and with the names that attackers write."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest

from crm.arrays import Bools
from features.events import NEVER
from reports.charts.card import gains_chart, importance_chart
from reports.content import ChangeNote, Column, Figure, Page, Report, Section, Takeaway
from reports.rows.rows import ReportRows

HOSTILE = [
    "<script>window.hacked = 1; alert(1)</script>",
    "\"' onmouseover=alert(1) onfocus=alert(1) autofocus x='",
    "</title></style></script></svg><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "[click](javascript:alert(1)) ![x](https://evil.example/x.png)",
    "<a href='https://evil.example'>x</a> https://evil.example www.evil.example",
    "red; background: url(https://evil.example/x)} body { display: none } </style>",
    "${alert(1)} {{constructor.constructor('alert(1)')()}} <%= 7*7 %>",
    "datum.leads + warn('x') || (function(){alert(1)})()",
    '"] = 1; alert(1); ["',
    "\\\"+alert(1)+\\\"'+alert(1)+'",
    "\u202egnp.exe\u2066 \u200fabc",
    '=HYPERLINK("https://evil.example")',
    "+1+cmd|' /C calc'!A0",
    "@SUM(1)",
    "-2+3",
    "| a | b |\n|---|---|\n# heading\n- item\n```js",
    "<!-- leadscore: end --> ]]> <![CDATA[ --!> <!--",
    "ze\u200bro\u200d wid\ufeffth",
    "line\u2028separator\u2029\x00\x1b[31m\ud800",
    "__proto__",
    "constructor",
    "&lt;b&gt; &amp; &#60;script&#62;",
    "`<img src=x onerror=alert(1)>` and `</code><script>alert(1)</script>`",
    "`` ` ``` [x](javascript:alert(1)) ` `&lt;b&gt;`",
    "x" * 10_000,
    "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd 日本語",
]

SOURCES = [
    {"source": name, "leads": n, "won": w, "low": w * 0.7, "high": w * 1.3, "days": d, "eur": e}
    for name, n, w, d, e in (
        ("Webinar", 312, 0.241, 21.4, 84_200.0),
        ("Paid search", 1_204, 0.098, 34.0, 120_350.0),
        ("Referral from a partner with quite a long name", 88, 0.31, 18.2, 64_000.0),
        ("Organic", 2_034, 0.113, 40.9, 210_400.0),
        ("Trade fair", 41, 0.122, None, None),
    )
]
COLUMNS = (
    Column("source", "Source"),
    Column("leads", "Leads", "count", "leads"),
    Column("won", "Won", "share", "win_rate"),
    Column("low", "from", "share"),
    Column("high", "to", "share"),
    Column("days", "Time to close, days", "days", "days_to_close"),
    Column("eur", "Revenue, EUR", "amount"),
)
METRICS = (
    {
        "name": "leads",
        "title": "Leads",
        "definition": "Leads created in the window.",
        "denominator": "",
        "window": "the last 12 months",
        "maturity": "at once",
    },
    {
        "name": "win_rate",
        "title": "Won",
        "definition": "Leads won within 90 days of their creation.",
        "denominator": "leads whose 90 days have passed",
        "window": "the last 12 months",
        "maturity": "90 days after creation",
    },
    {
        "name": "days_to_close",
        "title": "Time to close",
        "definition": "Median days from creation to the win.",
        "denominator": "won leads",
        "window": "the last 12 months",
        "maturity": "90 days after creation",
    },
)


def page_of(report: Report, slug: str) -> Page:
    """Return the page of a report with this slug."""
    (page,) = (page for page in report.pages if page.slug == slug)
    return page


def figure_of(page: Page, name: str) -> Figure:
    """Return the only figure of a page with this name."""
    (figure,) = (f for section in page.sections for f in section.figures if f.name == name)
    return figure


def bars(rows: Sequence[dict[str, Any]]) -> alt.LayerChart:
    table = pd.DataFrame(rows)
    base = alt.Chart(table).encode(
        y=alt.Y("source", sort=[row["source"] for row in rows], title=None)
    )
    tooltip = ["source", alt.Tooltip("leads", title="leads"), alt.Tooltip("won", format=".1%")]
    won = base.mark_bar(color="#0072B2").encode(
        x=alt.X("won", title="Share that was won", axis=alt.Axis(format="%")), tooltip=tooltip
    )
    interval = base.mark_rule(color="black").encode(x="low", x2="high")
    return (won + interval).properties(title="Won by source", width=420, height=30 * len(rows))


def weeks() -> list[dict[str, Any]]:
    return [
        {"week": f"2026-{10 + i // 4:02d}-{1 + 7 * (i % 4):02d}", "leads": 40 + 7 * i, "grade": g}
        for i in range(7)
        for g in ("A", "B")
    ]


def funnel() -> Figure:
    rows = [
        {"stage": stage, "leads": n, "share": n / 3_679}
        for stage, n in (("New", 3_679), ("Qualified", 1_602), ("Proposal", 604), ("Won", 431))
    ]
    chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar(color="#0072B2")
        .encode(
            y=alt.Y("stage", sort=None, title=None),
            x=alt.X("leads", title="Leads"),
            tooltip=["stage", "leads"],
        )
        .properties(title="Funnel", width=420, height=140)
    )
    columns = (
        Column("stage", "Stage"),
        Column("leads", "Leads", "count", "leads"),
        Column("share", "Of all", "share"),
    )
    return Figure(
        "funnel-stages",
        "Most leads fall off between New and Qualified",
        "Leads created from Jan to Aug 2026, n = 3,679",
        columns,
        tuple(rows),
        chart,
    )


def made_report(simulated: bool = True) -> Report:
    """Build a small report with every kind of part."""
    curve = [
        {"share": i / 10, "gain": (i / 10) ** 0.5, "low": i / 12, "high": min(1, i / 8)}
        for i in range(1, 11)
    ]
    drivers = [
        {"signal": "Asked for a demo", "share": 0.4},
        {"signal": "Source", "share": 0.2},
        {"signal": "Company size", "share": 0.1},
    ]
    takeaway = Takeaway(
        "Webinar leads convert 2.4× the average (n = 312, 1.9 to 3.0×).",
        {"value": 2.4, "low": 1.9, "high": 3.0, "n": 312},
        "win_rate",
        "sources-won",
    )
    share = Column("share", "Share", "share")
    pages = (
        Page(
            "month",
            "This month in one minute",
            "What marketing and sales should know this month.",
            (
                takeaway,
                Takeaway(
                    "Trade fair leads are too few to judge (n = 41).",
                    {"value": None, "low": None, "high": None, "n": 41},
                    "leads",
                ),
            ),
            (Section("In numbers", ("3,679 leads came in, 431 were won.",), (funnel(),)),),
            (ChangeNote("Webinar rose from 22.0 % to 24.1 %."),),
        ),
        Page(
            "sources",
            "Sources",
            "Where leads come from, and which are won.",
            (takeaway,),
            (
                Section(
                    "Who is won",
                    ("Sources with fewer than 50 mature leads are not judged.",),
                    (
                        Figure(
                            "sources-won",
                            "Leads from partners are won most often",
                            "Leads created from Jan to Aug 2026, n = 3,679; lines: 95 % intervals",
                            COLUMNS,
                            tuple(SOURCES),
                            bars(SOURCES),
                            "The 214 leads of the last 90 days are not mature and left out.",
                        ),
                        Figure(
                            "sources-table",
                            "All sources",
                            "The same leads",
                            COLUMNS,
                            tuple(SOURCES),
                        ),
                    ),
                ),
                Section("Cost", (), (), "Cost per lead. This needs a column of costs."),
            ),
        ),
        Page(
            "score",
            "Does the score work?",
            "Whether better scores win more often.",
            (),
            (
                Section(
                    "Work the best first",
                    (),
                    (
                        Figure(
                            "gains",
                            "The best fifth holds half of the wins",
                            "n = 800",
                            (share, Column("gain", "Wins found", "share")),
                            tuple(curve),
                            gains_chart(curve, "n = 800"),
                        ),
                        Figure(
                            "drivers",
                            "Three signals move the score most",
                            "n = 800",
                            (Column("signal", "Signal"), share),
                            tuple(drivers),
                            importance_chart(drivers, "n = 800"),
                        ),
                    ),
                ),
            ),
        ),
        Page(
            "service-levels",
            "Service levels",
            "What both teams agreed on, and how it goes.",
            (),
            (
                Section(
                    "By week and grade",
                    (),
                    (
                        Figure(
                            "service-weeks",
                            "Leads handed over",
                            "The last 7 weeks",
                            (
                                Column("week", "Week of", "time"),
                                Column("grade", "Grade"),
                                Column("leads", "Leads", "count", "leads"),
                            ),
                            tuple(weeks()),
                        ),
                    ),
                ),
            ),
            is_sheet=True,
        ),
    )
    about = {
        "leads": 3_679,
        "mature": 3_465,
        "won": 431,
        "open": 902,
        "horizon_days": 90.0,
        "from": "2026-01-01T00:00:00+00:00",
        "to": "2026-08-31T09:00:00+00:00",
        "since": "2026-01-01T00:00:00+00:00",
        "segment": ["industry", "Software"],
        "model": {"name": "demo", "trained_at": "2026-11-20T00:00:00+00:00"},
        "notes": ["2 leads had no time of creation."],
        "simulated": simulated,
    }
    return Report("demo", "2026-11-24T06:00:00+00:00", about, pages, METRICS)


def hostile_report() -> Report:
    """Build a report with hostile names wherever a report contains a name."""
    rows: list[dict[str, Any]] = [
        {
            "source": name,
            "leads": 10 + i,
            "won": 0.1 + i / 100,
            "low": 0.1,
            "high": 0.5,
            "days": 1.0,
            "eur": 2.0,
        }
        for i, name in enumerate(HOSTILE)
    ]
    short = [  # a frame cannot store half of a surrogate pair
        {**row, "source": row["source"].encode(errors="replace").decode()}
        for row in rows
        if len(row["source"]) < 1_000
    ]
    pages = []
    for i, name in enumerate(HOSTILE):
        figures: tuple[Figure, ...] = ()
        if i < 2:
            figures = (
                Figure(f"attack-{i}", name, name, COLUMNS, tuple(rows), bars(short[i::2]), name),
                Figure(
                    f"table-{i}", name, name, (Column("source", name), *COLUMNS[1:]), tuple(rows)
                ),
            )
        evidence = {"value": name, "low": name, "high": name, "n": name}
        pages.append(
            Page(
                f"page-{i}",
                name,
                name,
                (Takeaway(name, evidence, name, ""),),
                (Section(name, (name,), figures, "" if figures else name),),
                (ChangeNote(name),),
            )
        )
    metrics = [
        {"name": f"m{i}", "title": name, "definition": name, "denominator": name, "window": name}
        for i, name in enumerate(HOSTILE)
    ]
    about = {
        "leads": HOSTILE[0],
        "from": HOSTILE[1],
        "to": HOSTILE[2],
        "notes": HOSTILE,
        "segment": [HOSTILE[2], HOSTILE[4]],
        "since": HOSTILE[3],
        "model": {"name": HOSTILE[5], "trained_at": HOSTILE[6]},
    }
    return Report(HOSTILE[0], HOSTILE[1], about, tuple(pages), metrics)


def without_interactions(patch: pytest.MonkeyPatch) -> list[str]:
    """Let reports find no interactions, which takes long; return the signals that are compared."""
    compared: list[str] = []

    def find_none(_: object, __: object, signals: list[str], **___: object) -> list[Any]:
        compared.extend(signals)
        return []

    patch.setattr("reports.pages.features.pairs.find_interactions", find_none)
    return compared


def with_wins(rows: ReportRows, won: Bools, **columns: Any) -> ReportRows:
    """Return rows in which each lead is old enough and has ended, as a win or a loss."""
    ended = np.ones_like(won)
    known: dict[str, Any] = {
        "won": won,
        "is_won": won,
        "is_lost": ~won,
        "is_old": ended,
        "is_mature": ended,
    }
    return replace(rows, closed=np.full(len(won), NEVER), **known, **columns)
