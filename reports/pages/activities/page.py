"""Activities and content: what goes with wins, at which stage, and where content is missing."""

from dataclasses import replace

import numpy as np

from crm.arrays import Ints
from crm.times import DAY
from features.events import NEVER
from reports.content import Page, Section, Takeaway
from reports.pages.activities.attribution import attribution_section
from reports.pages.activities.early import Early, content_column, contents_needed
from reports.pages.activities.gaps import gaps_section
from reports.pages.activities.looks import (
    MOST_CONTENTS,
    Look,
    Reported,
    look_at,
    look_days,
    most_frequent,
    n_kinds,
    not_touches,
)
from reports.pages.activities.stages import stages_section
from reports.pages.groups import correct_families
from reports.rows.attribution import touches
from reports.rows.journeys import Log
from reports.rows.rows import ReportRows

SLUG, TITLE = "activities", "Activities and content"
LEAD = "Which activities and contents lead to wins, at which stage, and where is content missing?"
MOST_TYPES = 40


def activities_page(rows: ReportRows) -> Page:
    """Build the page about activities before wins, and how wins are attributed to them."""
    if rows.log is None:
        needs = (
            "Which activities and contents go with wins. This needs a table [activities] with "
            "lead_id, type and occurred_at, and optionally content and channel"
        )
        if not rows.has_times:
            needs += "; and the time at which each lead was created"
        section = Section("Activities", needs=f"{needs}.")
        return Page(slug=SLUG, title=TITLE, lead=LEAD, sections=(section,))
    log = _without_people(rows, rows.log)
    sections, takeaways = _before_wins(rows, log)
    gaps, gap_takeaways = gaps_section(rows, log)
    attribution = attribution_section(
        log, touches(rows, log), rows.is_touch, not_touches(rows, log)
    )
    return Page(
        slug=SLUG,
        title=TITLE,
        lead=LEAD,
        takeaways=(*takeaways, *gap_takeaways),
        sections=(*sections, attribution, gaps),
    )


def _before_wins(rows: ReportRows, log: Log) -> tuple[list[Section], list[Takeaway]]:
    """Compare leads with and without each activity and content, at creation and at each stage."""
    days = look_days(rows)
    touch = np.where(rows.is_touch[log.type], log.type, -1)
    types, contents = most_frequent(touch, MOST_TYPES), most_frequent(log.content, MOST_CONTENTS)
    looks = _compare(rows, log, types, contents, days)
    stages = () if rows.funnel is None else rows.funnel.stages
    about = (
        f"{looks[0].n:,} leads still open {days:g} days after creation, compared on that day by "
        "what they had done by then, also before creation; won within "
        f"{rows.horizon_days:g} days from then"
    )
    sections: list[Section] = []
    takeaways: list[Takeaway] = []
    reported = Reported()
    type_names = [log.types[code] for code in types]
    content_names = [log.contents[code] for code in contents]
    early = (
        Early(
            "Activities by type",
            "activities-0",
            ("type of activity", "types of activity"),
            type_names,
            looks[0],
            "",
            about,
            days,
            n_all=n_kinds(touch),
        ),
        Early(
            "Contents",
            "activities-1",
            ("content", "contents"),
            content_names,
            looks[1],
            content_column(rows),
            about,
            days,
            n_all=n_kinds(log.content),
        ),
    )
    for family in early:
        if not family.names:
            sections.append(Section(family.heading, needs=contents_needed(rows)))
            continue
        sections.append(family.section())
        takeaways += family.takeaways(reported)
    left_out = not_touches(rows, log)
    if left_out:
        sections[0] = replace(sections[0], paragraphs=(*sections[0].paragraphs, left_out))
    if stages:
        section, stage_takeaways = stages_section(stages, type_names, looks[2:], reported, days)
        sections.append(section)
        takeaways += stage_takeaways
    return sections, takeaways


def _compare(rows: ReportRows, log: Log, types: Ints, contents: Ints, days: float) -> list[Look]:
    """Compare leads by their types of activity and contents, then by their types at each stage."""
    at = rows.created + int(days * DAY)
    ever = np.full(len(rows), np.iinfo(np.int64).min)
    looks = [
        look_at(rows, log, ever, at, log.type, types),
        look_at(rows, log, ever, at, log.content, contents),
    ]
    if rows.funnel is not None:
        for k in range(len(rows.funnel.stages)):
            entered = rows.funnel.entered[:, k]
            later = np.where(entered == NEVER, NEVER, entered + int(days * DAY))
            looks.append(look_at(rows, log, entered, later, log.type, types))
    families = correct_families([look.contrasts for look in looks])
    return [replace(look, contrasts=family) for look, family in zip(looks, families, strict=True)]


def _without_people(rows: ReportRows, log: Log) -> Log:
    """Remove contents that are names of people, because people are not ranked."""
    if not rows.project.report.content_is_people:
        return log
    return replace(log, content=np.full_like(log.content, -1), contents=())
