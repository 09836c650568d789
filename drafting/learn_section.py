"""Builds the section `[learn]` of a draft: the values of the outcome, and the horizon."""

import dataclasses
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import pandas as pd
from tomlkit.items import Array
from tomlkit.items import Table as TomlTable

from crm.arrays import Floats
from crm.project import LearnKeys
from crm.records import Records
from crm.text import listed, quote
from crm.times import SECONDS_PER_DAY
from drafting.closing import closing_doubts
from drafting.open_leads import NO_IN_ODOO
from drafting.outcome_column import OutcomeChoice
from drafting.outcome_counts import ValueCount
from drafting.outcome_meaning import meaning_of
from drafting.outcome_words import EVERY_ROW, OutcomeWords
from drafting.roles import Roles
from drafting.toml_text import add_comment, cell_values, new_section, noted, noted_list

USUAL_HORIZON = 90  # days, if too few wins are known
ENOUGH_OLD = 0.3  # the least share of leads that are older than the horizon
HORIZONS_DAYS = (7, 14, 30, 60, 90, 180, 365)
MIN_WINS_FOR_HORIZON = 20
HOUR_IN_DAYS = 0.0416666667
MANY_CLOSED = 0.1  # an hour, or a day, is an age if this share of leads closes within it
FEW_FILLED = 0.05  # the highest share of rows with an outcome, if a report shows it once
FEW_CELLS = 2  # cells with each value, at most, if a report shows it once for each group
ENOUGH_OPEN = 0.25  # a month is an age if this share of leads is still open after it
LOST_OR_OPEN = "CHECK: does this value mean lost, or not yet decided? If open leads have it too, "
MOVE_TO_OPEN = (
    "move it to `open`: then leads without a win count as not won once `horizon_days` have passed"
)
EXPORT_OPEN = "export a column that tells lost leads from open ones"
LEARN_HEADING = (
    "What the model learns: the chance of a win. Every value of the outcome must be in one list."
)
UNCLEAR_VALUES = (
    "CHECK: the values that are marked in `open` are not clear. They are in that list so that they "
    "count neither as won nor as lost: the training {training}. Move each of them to `won` or "
    "`lost` if it means that."
)


def outcome_words(roles: Roles, has_times: bool) -> OutcomeWords:
    """Return the values of the outcome by meaning.

    If a yes-or-no column shows leads as lost that another column shows as open, and the leads have
    times, its "no" is not clear: open leads count as not won once their horizon has passed. If
    nothing shows whether a "no" is lost or open, a note asks.
    """
    if roles.outcome is None:
        return OutcomeWords(won=[EVERY_ROW], lost=[], still_open=[])
    words, evidence = roles.outcome.words, roles.outcome.still_open
    if evidence is None and roles.outcome.may_hide_open:
        note = f"{LOST_OR_OPEN}{MOVE_TO_OPEN if has_times else EXPORT_OPEN}"
        return dataclasses.replace(words, notes=words.notes | dict.fromkeys(words.lost, note))
    if evidence is None or not has_times:
        return words
    why = f"{evidence.rows:,} of these leads {evidence.text}, so they are open, not lost"
    return dataclasses.replace(
        words, lost=[], unclear=words.unclear | dict.fromkeys(words.lost, why)
    )


def meaning_in_draft(value: str, words: OutcomeWords, counts: Mapping[str, ValueCount]) -> str:
    """Return the list of `[learn]` that contains a value, with the reason to check it."""
    if value in words.unclear:
        return f"open, CHECK: {words.unclear[value]}"
    meaning = "won" if value in words.won else "lost" if value in words.lost else "open"
    note = words.notes.get(value, "")
    if note.startswith("CHECK"):
        return f"{meaning}, {note}"
    doubt = closing_doubts(words, counts).get(value)
    return f"{meaning}, CHECK: {doubt}" if doubt else meaning


def learn_section(
    words: OutcomeWords,
    counts: Mapping[str, ValueCount],
    learn: LearnKeys,
    records: Records,
    roles: Roles,
) -> tuple[TomlTable, LearnKeys]:
    """Build the section `[learn]`.

    Parameters
    ----------
    words : OutcomeWords
    counts : mapping of str to ValueCount
        The number of leads of each case-folded value.
    learn : LearnKeys
        The keys with the values of the outcome.
    records : Records
        The records of the sample.
    roles : Roles

    Returns
    -------
    Table
        A TOML table with a comment for each choice.
    LearnKeys
        `learn` with the horizon and the ages of the section.
    """
    section = new_section(LEARN_HEADING)
    for comment in _outcome_comments(words, counts, roles, records.has_times):
        add_comment(section, comment)
    section["won"] = _values(words.won, words, counts)
    section["lost"] = _values(words.lost, words, counts)
    if words.open:
        section["open"] = _values(words.open, words, counts)
    tested = "the newest leads" if records.in_order else "a random fifth of the leads"
    section["test_share"] = noted(0.2, f"{tested}, which test the model")
    if not records.has_times:
        return section, learn
    horizon, note = _horizon(records)
    section["horizon_days"] = noted(horizon, note)
    note = "learn from leads at these ages in days; 0 is new"
    ages: list[float] = [0]
    if {"activities", "stages"} & set(roles.columns):
        ages = propose_ages(_days_to_close(records), has_clocks=_has_clocks(records))
        if HOUR_IN_DAYS in ages:
            note += f", {HOUR_IN_DAYS} is an hour"
    section["moments_days"] = noted(ages, note)
    return section, msgspec.structs.replace(
        learn, horizon_days=float(horizon), moments_days=[float(age) for age in ages]
    )


def _horizon(records: Records) -> tuple[int, str]:
    """Propose a horizon in days, and the note behind it.

    It contains nine of ten wins, but is shorter if too few leads are older than that.
    """
    wins = _days_to_win(records)
    has_wins = len(wins) >= MIN_WINS_FOR_HORIZON
    long_enough = (step for step in HORIZONS_DAYS if (wins <= step).mean() >= 0.9)
    wanted = next(long_enough, HORIZONS_DAYS[-1]) if has_wins else USUAL_HORIZON
    assert records.observed_until is not None
    age = records.observed_until - records.leads["created_at"]
    ages = np.asarray(age.dt.total_seconds() / SECONDS_PER_DAY, dtype=np.float64)
    old_enough = [
        step for step in HORIZONS_DAYS if step <= wanted and (ages >= step).mean() >= ENOUGH_OLD
    ]
    horizon = wanted if not old_enough else old_enough[-1]
    note = "a win counts within this number of days"
    if has_wins:
        note += f"; {(wins <= horizon).mean():.0%} of the wins seen came within {horizon} days"
    if horizon < wanted:
        n_old = int((ages >= wanted).sum())
        note += (
            f"; CHECK: {wanted} days would fit better, but only {n_old:,} of {len(ages):,} leads "
            "would then be old enough to learn from"
        )
    return horizon, note


def propose_ages(days_to_close: Floats, has_clocks: bool = True) -> list[float]:
    """Propose the ages at which leads with activities or stages are learned from.

    The ages always include 0 days and a week. They include an hour and a day if many leads close
    within these. The last age is a month if enough leads are still open then, or else two weeks.

    Parameters
    ----------
    days_to_close : ndarray of float64, shape (n_leads,)
        The days from creation to the first closing; nan for leads that are open or have no time
        of closing.
    has_clocks : bool
        False if the times are days. Then an hour is not proposed.

    Returns
    -------
    list of float
        Days.

    Examples
    --------
    >>> propose_ages(np.array([np.nan, 40.0, 50.0, 60.0]))
    [0, 7, 30]
    >>> propose_ages(np.array([0.01, 0.02, 0.5, 9.0, 12.0]))
    [0, 0.0416666667, 1, 7, 14]
    >>> propose_ages(np.array([0.0, 0.0, 1.0, 9.0, 12.0]), has_clocks=False)
    [0, 1, 7, 14]
    """
    closed_by = {
        age: float((days_to_close <= age).mean()) if len(days_to_close) else 0.0
        for age in (HOUR_IN_DAYS, 1, 30)
    }
    in_an_hour = closed_by[HOUR_IN_DAYS] if has_clocks else 0.0
    ages: list[float] = [0]
    ages += [HOUR_IN_DAYS] if in_an_hour >= MANY_CLOSED else []
    ages += [1] if closed_by[1] - in_an_hour >= MANY_CLOSED else []
    return [*ages, 7, 30 if 1 - closed_by[30] >= ENOUGH_OPEN else 14]


def _values(values: Sequence[str], words: OutcomeWords, counts: Mapping[str, ValueCount]) -> Array:
    """Build a list of outcome values, each with its number of leads and what is not clear."""
    noted_values: dict[str | int, str] = {}
    doubts = closing_doubts(words, counts)
    for cell, value in zip(cell_values(values), values, strict=True):
        count = counts.get(value.casefold())
        note = "every row" if count is None else count.sentence
        if value in words.unclear:
            note += f"; CHECK: {words.unclear[value]}"
        elif words.notes.get(value):
            note += f"; {words.notes[value]}"
        if value in doubts:
            note += f"; CHECK: {doubts[value]}"
        noted_values[cell] = note
    return noted_list(noted_values)


def _outcome_comments(
    words: OutcomeWords, counts: Mapping[str, ValueCount], roles: Roles, has_times: bool
) -> list[str]:
    """Write the evidence for the outcome, and what to check."""
    training = (
        "counts open leads as not won once their horizon has passed"
        if has_times
        else "leaves out open leads, because the leads have no time of creation"
    )
    if roles.outcome is None:
        return [f"Leads without a row in the table of outcomes are open: the training {training}."]
    return [
        *_choice_comments(roles.outcome, has_times),
        *([f"CHECK: {words.guess}."] if words.guess else []),
        *([] if words.lost else [_no_lost_comment(roles)]),
        *([UNCLEAR_VALUES.format(training=training)] if words.unclear else []),
        *_closing_comments(words, counts, roles),
    ]


def _no_lost_comment(roles: Roles) -> str:
    comment = "CHECK: no value is known to mean lost."
    choice = roles.outcome
    if choice is not None and choice.still_open is not None:
        return f"{comment} {choice.still_open.advice(choice.column.name)}"
    if roles.active is not None and choice is not None:
        outcome, active = quote(choice.column.name), quote(roles.active.name)
        outcomes = choice.words.outcomes(choice.column)
        archived = sum(
            text is not None and meaning_of(text).outcome == "lost" and of_lead != "won"
            for text, of_lead in zip(roles.active.texts, outcomes, strict=True)
        )
        return (
            f"{comment} {archived:,} leads that are not won are archived ({active} is no), which "
            'in Odoo means lost. Export "Won/Lost" (won_status), or add a column in a '
            f"spreadsheet: write won where {outcome} means won, and lost where {active} is no. "
            "Leave the other cells empty."
        )
    reason = roles.of_outcomes.get("reason")
    with_reason = 0 if reason is None else int(reason.filled(NO_IN_ODOO).sum())
    if reason is None or not with_reason:
        return comment
    return (
        f"{comment} {with_reason:,} leads have a {quote(reason.name)}, so they may be "
        "lost. Export a column that shows lost leads: in Odoo, they are archived, and "
        '"Won/Lost" (won_status) tells them from open leads.'
    )


def _choice_comments(choice: OutcomeChoice, has_times: bool) -> list[str]:
    column = quote(choice.column.name)
    comments = [
        f"The outcome is read from {column}. {quote(other)} may be the outcome too. It was not "
        f"chosen, because {why}."
        for other, why in choice.others.items()
    ]
    if empty := choice.column.n_empty:
        comments.append(f"{empty:,} leads have no value in {column}: they are open.")
        rows = len(choice.column.texts)
        if rows - empty < min(FEW_FILLED * rows, FEW_CELLS * len(choice.column.counts) + 1):
            comments.append(
                f"CHECK: only {rows - empty:,} of {rows:,} rows have a value in {column}. If the "
                "report shows a value once for all rows of a group, export it without groups (in "
                "Salesforce: Details Only), or repeat the value in each row."
            )
    if choice.still_open is not None and not has_times:
        comments.append(
            f"CHECK: {choice.still_open.rows:,} leads that {column} shows as not won "
            f"{choice.still_open.text}. Here they count as lost. "
            f"{choice.still_open.advice(choice.column.name)} Or export leads with their time of "
            "creation."
        )
    return comments


def _closing_comments(
    words: OutcomeWords, counts: Mapping[str, ValueCount], roles: Roles
) -> list[str]:
    lost = [counts[value.casefold()] for value in words.lost if value.casefold() in counts]
    lacks_dates = any(count.closed is not None and count.closed < count.rows for count in lost)
    if not roles.other_closings or not lacks_dates:
        return []
    closing = quote(roles.of_outcomes["closed_at"].name)
    return [
        f"CHECK: closing dates are also in {listed(roles.other_closings)}. Only {closing} is read: "
        "a lost lead without a date in it counts as lost at its creation."
    ]


def _has_clocks(records: Records) -> bool:
    """Check whether any lead was created at another time than midnight UTC."""
    created = records.leads["created_at"].dropna()
    return bool((created != created.dt.normalize()).any())


def _days_to_win(records: Records) -> Floats:
    """Compute the days from creation to the first win, for every lead that has both times."""
    days = _days_until(records, records.outcomes[records.outcomes["outcome"] == "won"])
    return days[days >= 0]


def _days_to_close(records: Records) -> Floats:
    """Compute the days from creation to the first closing of each lead; nan for open leads."""
    return _days_until(records, records.outcomes)


def _days_until(records: Records, outcomes: pd.DataFrame) -> Floats:
    first = outcomes.groupby("lead_id")["closed_at"].min()
    closed = first.reindex(records.leads["lead_id"]).array
    days = (closed - records.leads["created_at"]).dt.total_seconds() / SECONDS_PER_DAY
    return np.asarray(days, dtype=np.float64)
