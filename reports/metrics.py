"""Every metric of the reports, defined once: what it counts, of whom, when, and when it counts."""

from dataclasses import asdict, dataclass
from typing import Any

HEAD = """# Metrics

Every number of a report, defined once, for marketing and for sales. Generated from the code by
`make docs`; a report links each number to its line here.

A report is as of one moment: the newest time in the records, or now if that is earlier. Nothing
that was recorded later counts. The *horizon* is `[learn] horizon_days` of the project file. A
lead is *mature* when its whole horizon has been watched; the newest leads are not, and are never
averaged in, because those who will still be won would count as not won. Where leads have no time
of creation, those with an outcome count as mature, and nothing can be said about time; the
definitions in their report say it that way.

Intervals are at 95 %. A difference is called one only if it is more than chance after Holm's
correction for all values looked at together, and only among groups of at least 30 leads.
"""


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes
    ----------
    name : str
        As columns and takeaways refer to it.
    title : str
        As people say it.
    definition, denominator, window, maturity : str
        What is counted, of whom, over which time, and which leads are too young.
    """

    name: str
    title: str
    definition: str
    denominator: str
    window: str
    maturity: str


_MATURE = "mature leads only"
_NONE = "none: it is a fact once it has happened"
_ALL = "from the first lead, or from --since"
_BESIDE = "that of the figure", "that of the figure"

METRICS: dict[str, Metric] = {
    each.name: each
    for each in (
        Metric("leads", "Leads", "leads created", "none: a count", _ALL, _NONE),
        Metric(
            "mature_leads",
            "Mature leads",
            "leads created at least one horizon ago",
            "none: a count",
            _ALL,
            "what it counts",
        ),
        Metric(
            "won_share",
            "Conversion",
            "leads won within the horizon after their creation",
            "mature leads",
            _ALL,
            _MATURE,
        ),
        Metric(
            "won_ratio",
            "Conversion against the average",
            "conversion of a group over the conversion of all leads",
            "mature leads",
            _ALL,
            _MATURE,
        ),
        Metric(
            "qualified_share",
            "Qualified",
            "leads that entered the qualified stage, or a later one, or were won, within the "
            "horizon after their creation",
            "mature leads",
            _ALL,
            _MATURE,
        ),
        Metric(
            "qualified_won_share",
            "Won of the qualified",
            "qualified leads that were won within the horizon after their creation",
            "mature leads that were qualified",
            _ALL,
            _MATURE,
        ),
        Metric(
            "step_share",
            "Goes on",
            "leads that reached this stage, or a later one, or were won, within the horizon "
            "after their creation",
            "mature leads that reached the stage before",
            _ALL,
            _MATURE,
        ),
        Metric(
            "reached_share",
            "Reached",
            "leads that reached this stage or a later one within the horizon after their creation",
            "mature leads",
            _ALL,
            _MATURE,
        ),
        Metric(
            "step_days",
            "Days to the next stage",
            "median days from reaching the stage before to reaching this one",
            "mature leads that reached both within the horizon",
            _ALL,
            _MATURE,
        ),
        Metric(
            "stage_days",
            "Days in stage",
            "median days from entering a stage to entering another, or to the closing",
            "stays that have ended, of mature leads",
            _ALL,
            _MATURE,
        ),
        Metric(
            "lost_after",
            "Lost there",
            "leads whose furthest stage this is and that are lost",
            "none: a count of mature leads",
            _ALL,
            _MATURE,
        ),
        Metric(
            "open_after",
            "Still there",
            "leads whose furthest stage this is and that are neither won nor lost",
            "none: a count of mature leads",
            _ALL,
            _MATURE,
        ),
        Metric(
            "won_at_age",
            "Won from this age on",
            "leads won within one horizon after reaching this age",
            "leads that were open at this age, one horizon or longer ago",
            _ALL,
            "leads that reached the age at least one horizon ago",
        ),
        Metric(
            "wins_by_age",
            "Wins already in",
            "wins that had come by this age",
            "wins within the horizon of mature leads",
            _ALL,
            _MATURE,
        ),
        Metric(
            "lost_reason_share",
            "Share of lost leads",
            "lost leads with this reason",
            "lost leads that have a reason",
            _ALL,
            _NONE,
        ),
        Metric(
            "revenue",
            "Revenue",
            "amounts of the wins within the horizon after creation",
            "none: a sum over mature leads",
            _ALL,
            _MATURE,
        ),
        Metric(
            "revenue_per_lead",
            "Revenue per lead",
            "amounts of the wins within the horizon after creation",
            "mature leads, won or not",
            _ALL,
            _MATURE,
        ),
        Metric(
            "days_to_win",
            "Days to win",
            "median days from creation to winning",
            "wins within the horizon of mature leads",
            _ALL,
            _MATURE,
        ),
        Metric(
            "open_leads",
            "Open leads",
            "leads without an outcome",
            "none: a count",
            "as of the moment",
            _NONE,
        ),
        Metric(
            "mean_score",
            "Average score",
            "mean score of open leads by the model of the report",
            "open leads, or a random sample of them",
            "as of the moment",
            _NONE,
        ),
        Metric(
            "with_activity_share",
            "Conversion with it",
            "leads won within one horizon after the look",
            "leads that were open at the look and had such an activity before it; the look is "
            "some days after creation, or after entering a stage, the same for all",
            _ALL,
            "looks at least one horizon ago",
        ),
        Metric(
            "without_activity_share",
            "Conversion without it",
            "leads won within one horizon after the look",
            "leads that were open at the look and had no such activity before it",
            _ALL,
            "looks at least one horizon ago",
        ),
        Metric(
            "activity_ratio",
            "With against all",
            "conversion with the activity over the conversion of all leads open at the look",
            "leads that were open at the look",
            _ALL,
            "looks at least one horizon ago",
        ),
        Metric(
            "first_touch_share",
            "First touch",
            "wins whose first activity up to the closing this was",
            "won leads with an activity up to their closing",
            _ALL,
            _NONE,
        ),
        Metric(
            "last_touch_share",
            "Last touch",
            "wins whose last activity up to the closing this was",
            "won leads with an activity up to their closing",
            _ALL,
            _NONE,
        ),
        Metric(
            "linear_share",
            "Even shares",
            "wins, each shared out evenly among the lead's activities up to the closing",
            "won leads with an activity up to their closing",
            _ALL,
            _NONE,
        ),
        Metric(
            "decay_share",
            "Time decay",
            "wins, each shared out among the lead's activities up to the closing, an activity "
            "7 days earlier counting half",
            "won leads with an activity up to their closing",
            _ALL,
            _NONE,
        ),
        Metric(
            "disagreement",
            "Disagreement",
            "largest less smallest share among the four ways to attribute",
            "won leads with an activity up to their closing",
            _ALL,
            _NONE,
        ),
        Metric(
            "contents_per_lead",
            "Activities with content per lead",
            "activities with a content while the lead was in the stage",
            "mature leads that entered the stage",
            _ALL,
            _MATURE,
        ),
        Metric(
            "signal_points",
            "Moves the score by",
            "mean distance from 0 of a signal's points",
            "leads scored for the report",
            "as of the moment",
            _NONE,
        ),
        Metric(
            "value_points",
            "Points",
            "mean points that a feature adds to the score",
            "leads scored for the report with this value",
            "as of the moment",
            _NONE,
        ),
        Metric(
            "pair_points",
            "Points beside another signal",
            "points by which what is named first moves the score, among leads where what is "
            "named second is true, and among all others",
            "a sample of the leads scored for the report, each mixed with others",
            "as of the moment",
            _NONE,
        ),
        Metric(
            "pair_strength",
            "Beyond both parts",
            "points that two signals move the score by beyond what each does alone: root of "
            "the mean square",
            "a sample of the leads scored for the report, each mixed with others",
            "as of the moment",
            _NONE,
        ),
        Metric(
            "pair_share",
            "Of the pair's effect",
            "part of what two signals move the score by that is not the sum of what each does "
            "alone: the squared H statistic of Friedman and Popescu",
            "a sample of the leads scored for the report, each mixed with others",
            "as of the moment",
            _NONE,
        ),
        Metric(
            "chance",
            "p, corrected",
            "how often chance alone would make a difference this large where there is none; "
            "below 0.05 a difference is called one",
            "all values looked at together: p is corrected for their number",
            "that of the figure",
            _NONE,
        ),
        Metric(
            "fill_share",
            "Filled",
            "leads whose field holds something",
            "open, won or lost leads, each apart",
            _ALL,
            _NONE,
        ),
        Metric(
            "grade_won_share",
            "Conversion of the grade",
            "leads won within one horizon after being scored",
            "leads that had the grade, scored at least one horizon ago; a lead scored at "
            "several ages counts each time, and its interval knows that it is one lead",
            _ALL,
            "leads scored at least one horizon ago",
        ),
        Metric(
            "stated_share",
            "Stated",
            "mean probability that the model stated",
            "leads scored at least one horizon ago",
            _ALL,
            "leads scored at least one horizon ago",
        ),
        Metric(
            "gain",
            "Wins found",
            "wins among the best-scored leads",
            "all wins of the leads scored",
            _ALL,
            "leads scored at least one horizon ago",
        ),
        Metric(
            "grade_share",
            "Share with the grade",
            "leads that have the grade at their creation",
            "leads created in the month, or a random sample of them",
            "calendar months, UTC",
            _NONE,
        ),
        Metric(
            "expected_wins",
            "Expected wins",
            "sum of the probabilities of the leads worked",
            "none: an expectation",
            "a week of leads as in the 13 weeks up to the newest lead",
            _NONE,
        ),
        Metric(
            "handed_over",
            "Handed over",
            "leads that reached the qualified stage, or were created if none is named",
            "none: a count",
            "complete weeks from Monday, UTC, up to the newest lead",
            _NONE,
        ),
        Metric(
            "first_touch_hours",
            "Hours to first sales activity",
            "median hours from being handed over to the first sales activity after it; leads "
            "without one count as longer than any",
            "leads handed over",
            "complete weeks",
            "leads handed over in the last 7 days are not in it",
        ),
        Metric(
            "worked_share",
            "Worked",
            "leads with a sales activity within 7 days after being handed over",
            "leads handed over",
            "complete weeks",
            "leads handed over in the last 7 days are not in it",
        ),
        Metric(
            "handed_won_share",
            "Converted",
            "leads won within one horizon after being handed over",
            "leads that became mature: handed over one horizon before",
            "complete weeks from Monday, UTC, up to the newest lead",
            "what it counts",
        ),
        Metric(
            "handed_mature",
            "Became mature",
            "leads whose horizon after being handed over has ended",
            "none: a count",
            "complete weeks from Monday, UTC, up to the newest lead",
            "what it counts",
        ),
        Metric(
            "week_deals",
            "Deals won",
            "leads won, whenever they were handed over",
            "none: a count",
            "complete weeks from Monday, UTC, up to the newest lead",
            _NONE,
        ),
        Metric(
            "week_revenue",
            "Revenue won",
            "amounts of the wins closed",
            "none: a sum",
            "complete weeks from Monday, UTC",
            _NONE,
        ),
        Metric(
            "new_leads",
            "New leads",
            "leads created",
            "none: a count",
            "the 30 days up to the newest lead",
            _NONE,
        ),
        Metric(
            "recent_wins",
            "Wins",
            "leads won, whenever they were created",
            "none: a count",
            "the last 30 days",
            _NONE,
        ),
        Metric(
            "recent_revenue",
            "Revenue won",
            "amounts of the wins, whenever the leads were created",
            "none: a sum",
            "the last 30 days",
            _NONE,
        ),
        Metric(
            "cohort_won_share",
            "Conversion of the newest mature leads",
            "leads won within the horizon after their creation",
            "the leads created in the 30 days that became mature last",
            "30 days",
            _MATURE,
        ),
        Metric(
            "month_won_share",
            "Conversion by month",
            "leads won within the horizon after their creation",
            "leads created in the month, all of them mature",
            "calendar months, UTC",
            "months with a lead that is not mature have no value",
        ),
        Metric(
            "month_figure",
            "Last 30 days",
            "what the row says in its last column",
            "none: a figure of its own",
            "30 days, and the 30 before",
            "that of the row",
        ),
        Metric(
            "counted",
            "Counted",
            "leads that a row rests on, or scores where leads were scored several times",
            "none: a count",
            *_BESIDE,
        ),
        Metric(
            "counted_wins",
            "Of them",
            "those counted that did what the share beside it says",
            "none: a count",
            *_BESIDE,
        ),
        Metric(
            "interval",
            "from, to (95 %)",
            "ends of the interval that holds the value beside it in 19 of 20 such reports, if "
            "leads differ by chance alone",
            "that of the value",
            *_BESIDE,
        ),
        Metric(
            "against_all",
            "Against all",
            "share of the row over that of all in its figure",
            "that of the share",
            *_BESIDE,
        ),
        Metric(
            "nine_of_ten",
            "Nine of ten within",
            "time within which nine of ten were done",
            "those that the median is of",
            *_BESIDE,
        ),
        Metric(
            "late_wins",
            "Won too late to count",
            "leads won later than one horizon after their creation",
            "none: a count",
            _ALL,
            _MATURE,
        ),
        Metric(
            "open_days",
            "Their median days in it",
            "median days since leads entered the stage that they are in",
            "open leads in it",
            "as of the moment",
            _NONE,
        ),
        Metric(
            "expected_share",
            "If each value had its own effect only",
            "conversion that the two values give together if neither does more beside the other",
            "mature leads with both values",
            _ALL,
            _MATURE,
        ),
        Metric(
            "lead_share",
            "Of all leads",
            "mature leads of the source",
            "mature leads of all sources",
            _ALL,
            _MATURE,
        ),
        Metric(
            "revenue_share",
            "Of all revenue",
            "revenue of the source",
            "revenue of all sources",
            _ALL,
            _MATURE,
        ),
        Metric("score_part", "Of all", "scores with this grade", "scores of all grades", *_BESIDE),
        Metric(
            "best_part",
            "Part worked",
            "leads worked, the best scored first",
            "leads scored",
            *_BESIDE,
        ),
        Metric(
            "lift",
            "Against random order",
            "wins found over those that as many leads in random order hold",
            "leads worked, the best scored first",
            *_BESIDE,
        ),
        Metric(
            "least_probability",
            "Least probability worked",
            "probability of the last lead that is worked",
            "none: of one lead",
            "a week of leads as in the 13 weeks up to the newest lead",
            _NONE,
        ),
        Metric(
            "signal_share",
            "Share of all",
            "points by which a signal moves scores",
            "points by which all signals move them",
            "as of the moment",
            _NONE,
        ),
        Metric(
            "pair_outcomes",
            "Difference in the outcomes",
            "points by which what is named first goes with more wins among leads where what is "
            "named second is true than among all others; ten points are twice the odds",
            "leads still open a week after creation, or with an outcome where there are no times",
            "one horizon from then",
            _MATURE,
        ),
        Metric(
            "untouched",
            "Not worked at all",
            "leads without a sales activity after being handed over",
            "none: a count",
            "complete weeks",
            "leads handed over in the last 7 days are not in it",
        ),
        Metric(
            "target",
            "Target, and what was",
            "what [report.targets] of the project file promises, and what came of it",
            "that of the promise",
            "complete weeks",
            "that of the promise",
        ),
    )
}

OF_KEYS = {  # the same in every table
    "n": "counted",
    "n_leads": "counted",
    "wins": "counted_wins",
    "ratio": "against_all",
    "lift": "lift",
}
ENDS = ("low", "high")  # of an interval


def metric_of(key: str) -> str:
    """Name the definition of a column that is the same in every table; empty if there is none.

    Examples
    --------
    >>> metric_of("wins"), metric_of("ratio_low"), metric_of("stage")
    ('counted_wins', 'interval', '')
    """
    return "interval" if key.split("_")[-1] in ENDS else OF_KEYS.get(key, "")


WITHOUT_TIMES = (  # what is said of leads that do not stand in time; longer phrases first
    (
        "leads still open a week after creation, or with an outcome where there are no times",
        "leads with an outcome",
    ),
    ("leads created at least one horizon ago", "leads with an outcome"),
    (", scored at least one horizon ago", " and have an outcome"),
    ("leads scored at least one horizon ago", "leads with an outcome"),
    (" within the horizon after their creation", ""),
    (" within one horizon after being scored", ""),
    ("Mature leads", "Leads with an outcome"),
    ("mature leads", "leads with an outcome"),
    ("from the first lead, or from --since", "all leads of the table"),
    ("as of the moment", "as the table stands"),
    ("one horizon from then", "all leads of the table"),
    ("leads created", "leads in the table"),
)


def definitions(has_times: bool = True) -> list[dict[str, Any]]:
    """Give every definition as plain data.

    Parameters
    ----------
    has_times : bool
        Whether the leads stand in time; of others no definition speaks of it.

    Examples
    --------
    >>> conversion = definitions(has_times=False)[2]
    >>> conversion["definition"], conversion["denominator"]
    ('leads won', 'leads with an outcome')
    """
    found = [asdict(each) for each in METRICS.values()]
    return found if has_times else [_without_times(each) for each in found]


def _without_times(metric: dict[str, Any]) -> dict[str, Any]:
    said = dict(metric)
    for key in said.keys() - {"name"}:
        for phrase, instead in WITHOUT_TIMES:
            said[key] = said[key].replace(phrase, instead)
    return said


def metrics_page() -> str:
    """Write the definitions as Markdown.

    Returns
    -------
    str
    """
    parts = [HEAD]
    for each in METRICS.values():
        parts.append(
            f'## <a id="{each.name}"></a>{each.title} (`{each.name}`)\n\n'
            f"{_sentence(each.definition)}\n\n"
            f"- of: {each.denominator}\n- over: {each.window}\n- maturity: {each.maturity}\n"
        )
    return "\n".join(parts)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
