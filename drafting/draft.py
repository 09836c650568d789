"""Drafts a first `leadscore.toml` from the data, for a person to check.

A comment next to every choice says what it is based on, so that a person can correct it.
"""

import dataclasses
import datetime
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import tomlkit
from tomlkit.items import Array
from tomlkit.items import Table as TomlTable

from crm.arrays import Floats
from crm.project import LearnKeys
from crm.records import Records
from crm.tables import TABLES
from crm.text import listed, quote
from crm.times import SECONDS_PER_DAY
from drafting.column_rules import ColumnRules, propose_rules
from drafting.file_tables import assign_tables
from drafting.nothing_words import nothing_words
from drafting.outcome_column import Declared, OutcomeChoice
from drafting.outcome_counts import ValueCount, count_values
from drafting.outcome_words import OutcomeWords
from drafting.role_names import NO_RANK, rank
from drafting.roles import Roles, find_order, find_roles
from drafting.sample_records import sample_records
from drafting.samples import Column, Table, read_sample
from drafting.toml_text import add_comment, cell_values, noted, noted_list
from features.attributes.attribute import UndeclaredColumn
from features.attributes.choices import LIST, ChoiceAttribute
from features.leaks.check import MIN_OUTCOMES

SAMPLE_ROWS = 50_000
HORIZONS_DAYS = (7, 14, 30, 60, 90, 180, 365)
MIN_WINS_FOR_HORIZON = 20
HEADINGS = {
    "leads": "One row per lead. Every column that this file does not name is an attribute, "
    "which the model may use.",
    "activities": "What leads did, and what was done to win them: many rows per lead.",
    "stages": "The steps of the sales funnel: one row for each stage that a lead entered.",
    "outcomes": "How leads ended. A lead without a row here is still open.",
}
LEARN_HEADING = (
    "What the model learns: the chance of a win. Every value of the outcome must be in one list."
)
UNCLEAR_VALUES = (
    "CHECK: the values that are marked in `open` are not clear. They are in that list so that they "
    "count neither as won nor as lost: the training {training}. Move each of them to `won` or "
    "`lost` if it means that."
)
FORMATS_HEADING = (
    "How numbers and times are written, by column. A number shows how the column writes 1234.56; "
    "% followed by a letter is a part of a time."
)
FORMATTED_ROLES = {
    role.name
    for table in TABLES.values()
    for role in table.file_columns
    if role.kind in ("time", "number")
}
WHOLE_NUMBERS = "1234"  # the format of columns that need no line: whole numbers
EVERY_ROW = "won"
EVERY_ROW_WON = "every row of the table of outcomes"
EVERY_ROW_NOTE = "CHECK: no column of the table is an outcome, so every row counts as this"
NOTHING_DECLARED = Declared()
COLUMNS_HEADING = "Rules for the attributes, which are the other columns of the leads table."
IGNORE_HEADING = "Never read: personal data, names, free text."
KNOWN_LATER_HEADING = (
    "Never used by the model, because the column may be filled in or changed after the moment "
    "of scoring: a model that uses it looks perfect and is useless on new leads. If you know that "
    "a column is filled before the moment of scoring and never changed, move it to a list "
    "`known_in_time`."
)
COST_HINT = (
    " What leaving a column out costs is measured with a quick model. A leak looks useful as well, "
    "so a high cost does not show that a column is known in time."
)
SENSITIVE_HEADING = "Never used by the model, only to compare how it treats groups of people."
CATEGORY_HEADING = (
    "Columns of numbers that are read as text, because they also contain text or are codes. If the "
    "text means nothing, list the column under `number` instead."
)
FEW_OUTCOMES = (
    f" Fewer than {MIN_OUTCOMES} leads were won, or lost, so the columns could not be compared "
    "with outcomes. Check yourself whether further columns belong in this list."
)
ROLE_NOTES = {
    "lead_id": "identifies each lead in every table",
    "created_at": "when the lead was created; no later record is used to score it at that time",
    "outcome": "how the lead ended; an empty cell means still open",
    "closed_at": "when it ended",
    "amount": "the value of the deal; for the reports, never used by the model",
    "reason": "why it was won or lost; for the reports, never used by the model",
    "type": "what happened",
    "occurred_at": "when it happened",
    "activity_id": "if rows repeat an id, one of them is kept",
    "content": "the page, e-mail or webinar",
    "channel": "the channel, such as e-mail or phone",
    "value": "a number that belongs to the activity, such as seconds or minutes",
    "stage": "the name of the stage",
    "entered_at": "when the lead entered it",
}


def draft_project(
    sources: Sequence[str],
    folder: Path,
    name: str | None = None,
    now: datetime.datetime | None = None,
) -> str:
    r"""Write the text of a first project file from the data itself.

    At most the first 50,000 rows of each table are read.

    Parameters
    ----------
    sources : sequence of str
        Files (CSV, .xlsx, JSON Lines or Parquet), relative to the working directory. Each may name
        its table: `activities=calls.csv`.
    folder : Path
        The folder of the project file; files inside it are named relative to it.
    name : str, optional
        The name of the model; by default the folder's name. It is changed to a valid name.
    now : datetime, timezone-aware, optional
        Later times, such as planned meetings, do not extend the observed time.

    Returns
    -------
    str
        TOML that `crm.project.load_project` accepts. Every choice has a comment.

    Raises
    ------
    ConfigError
        If it is not clear which file is which table, or which column is the outcome.
    SourceError, SchemaError
        If a file cannot be read, or has no rows.

    Examples
    --------
    >>> import tempfile, tomllib
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.csv").write_text('id,size,won\n1,-,yes\n2,L,no\n')
    >>> draft = tomllib.loads(draft_project([str(folder / "a.csv")], folder, name="Acme Ltd."))
    >>> draft["project"], draft["leads"]
    ({'name': 'acme-ltd'}, {'source': 'a.csv', 'lead_id': 'id', 'outcome': 'won', 'order': 'id'})
    >>> draft["learn"]["won"], draft["columns"]["nothing"]
    (['yes'], ['-'])
    """
    return draft_with_values(sources, folder, name=name, now=now).text


class ProjectDraft(NamedTuple):
    """A drafted project file.

    Attributes
    ----------
    text : str
        TOML that `crm.project.load_project` accepts.
    outcome : str
        The column of the outcome, for people.
    values : list of (ValueCount, str)
        The values of the outcome with their meaning: "won", "lost", "open", or "CHECK: …".
    empty : int
        The leads without a value, which are open.
    """

    text: str
    outcome: str
    values: list[tuple[ValueCount, str]]
    empty: int


def draft_with_values(
    sources: Sequence[str],
    folder: Path,
    name: str | None = None,
    now: datetime.datetime | None = None,
    declared: Declared = NOTHING_DECLARED,
    encoding: str | None = None,
) -> ProjectDraft:
    """Write the text of a first project file, and return the values of the outcome with it.

    Parameters
    ----------
    sources, folder, name, now
        As for `draft_project`.
    declared : Declared
        The column of the outcome, and the values that mean won and lost.
    encoding : str, optional
        The encoding of the files; by default it is detected.

    Returns
    -------
    ProjectDraft

    Raises
    ------
    ConfigError, SourceError, SchemaError
        As `draft_project`, or if a declared column or value does not exist.
    """
    tables = [read_sample(source, folder, SAMPLE_ROWS, encoding) for source in sources]
    assigned = assign_tables(tables)
    roles = find_roles(assigned, declared)
    leads, of_leads = assigned["leads"], roles.columns["leads"]
    order = None if "created_at" in of_leads else find_order(leads)
    with_role = [*of_leads.values(), order]
    attributes = [column for column in leads.columns if column not in with_role]
    words = _outcome_words(roles, has_times="created_at" in of_leads)
    learn = LearnKeys(won=[*words.won], lost=[*words.lost], open=[*words.open])
    records = sample_records(assigned, roles.columns, learn, order, now)

    draft = tomlkit.document()
    _add_opening(draft, tables, name or folder.resolve().name)
    for kind in (kind for kind in TABLES if kind in assigned):
        draft[kind] = _table_section(HEADINGS[kind], assigned[kind], roles.columns[kind])
        if encoding is not None:
            draft[kind]["encoding"] = noted(encoding, "as named by --encoding")
        if kind == "outcomes" and roles.outcome is None:
            draft[kind]["every_row"] = noted(EVERY_ROW, EVERY_ROW_NOTE)
        if kind == "leads" and not records.has_times:
            _add_order(draft[kind], order, attributes)
        if kind == "leads":
            _add_possible_amount(draft[kind], roles, attributes)
    counts = {} if roles.outcome is None else count_values(roles.of_outcomes)
    draft["learn"], learn = _learn_section(words, counts, learn, records, roles)
    nothing, in_doubt = nothing_words(attributes)
    rules = propose_rules(attributes, records, learn, set(nothing))
    unread = {*rules.ignore, *rules.sensitive, *rules.known_later, *rules.category}
    formatted = [column for column in attributes if column.name not in unread]
    for kind in (kind for kind in TABLES if kind in assigned):
        with_format = [
            column for role, column in roles.columns[kind].items() if role in FORMATTED_ROLES
        ]
        _add_formats(draft[kind], with_format + (formatted if kind == "leads" else []))
    draft["columns"] = _columns_section(nothing, in_doubt, rules)
    _add_choices(draft["columns"], attributes, frozenset(nothing))
    return ProjectDraft(
        text=tomlkit.dumps(draft),
        outcome=EVERY_ROW_WON if roles.outcome is None else roles.outcome.column.name,
        values=[(count, _meaning_in_draft(count.value, words)) for count in counts.values()],
        empty=0 if roles.outcome is None else _empty_cells(roles.outcome.column),
    )


def _outcome_words(roles: Roles, has_times: bool) -> OutcomeWords:
    """Return the values of the outcome by meaning.

    If a yes-or-no column shows leads as lost that another column shows as open, and the leads have
    times, its "no" is not clear: open leads count as not won once their horizon has passed.
    """
    if roles.outcome is None:
        return OutcomeWords(won=[EVERY_ROW], lost=[], still_open=[])
    words, evidence = roles.outcome.words, roles.outcome.still_open
    if evidence is None or not has_times:
        return words
    why = f"{evidence.rows:,} of these leads are open in {quote(evidence.column)}"
    return dataclasses.replace(
        words, lost=[], unclear=words.unclear | dict.fromkeys(words.lost, why)
    )


def _meaning_in_draft(value: str, words: OutcomeWords) -> str:
    if value in words.unclear:
        return f"open, CHECK: {words.unclear[value]}"
    return "won" if value in words.won else "lost" if value in words.lost else "open"


def _empty_cells(column: Column) -> int:
    return len(column.cells) - int(column.counts.sum())


def _add_opening(draft: tomlkit.TOMLDocument, tables: Sequence[Table], name: str) -> None:
    files = listed(table.path.name for table in tables)
    if not all(table.is_whole for table in tables):
        files += f" (only the first {SAMPLE_ROWS:,} rows of the longer files were read)"
    add_comment(
        draft,
        f"A first draft by `leadscore init`, from {files}. It was guessed from the names of "
        "columns and from cells: read it once from top to bottom, and correct what is wrong. "
        "The comments explain each line, and say what to check.",
    )
    project = _section("The model's name, in the registry and in every answer.")
    project["name"] = _model_name(name)
    draft["project"] = project


def _section(heading: str) -> TomlTable:
    section = tomlkit.table()
    add_comment(section, heading)
    return section


def _table_section(heading: str, table: Table, roles: Mapping[str, Column]) -> TomlTable:
    section = _section(heading)
    section["source"] = table.source
    for finding in table.findings:
        add_comment(section, finding)
    if any(column.has_local_times for column in roles.values()):
        note = 'the times have no time zone; change it if they are local, such as "Europe/Berlin"'
        section["timezone"] = noted("UTC", note)
    if "lead_id" not in roles:
        section.add(
            tomlkit.comment('lead_id = "…"  # no id was found: leads are numbered by their row')
        )
    for role, column in roles.items():
        section[role] = noted(column.name, ROLE_NOTES.get(role, "a further column"))
    return section


def _add_formats(section: TomlTable, columns: Sequence[Column]) -> None:
    """Add the formats of columns that are not in the default format, with their evidence."""
    columns = [column for column in columns if column.form.notation is not None]
    columns = [column for column in columns if column.form.notation != WHOLE_NUMBERS]
    if not columns:
        return
    formats = _section(FORMATS_HEADING)
    for column in columns:
        formats[column.name] = noted(str(column.form.notation), _evidence(column))
    section["formats"] = formats


def _evidence(column: Column) -> str:
    """Write what the format of a column is based on, and what to check."""
    form = column.form
    examples = f"as in {listed(form.examples[:2])}"
    if form.doubt:
        return f"CHECK: {form.doubt}; the other way is {quote(form.doubtful_as)}"
    units = {unit: count for unit, count in form.units.items() if unit}
    if len(units) > 1:
        counted = ", ".join(f"{quote(unit)} ({count:,})" for unit, count in units.items())
        examples += f"; CHECK: several units: {counted}"
    if form.unread:
        examples += f"; CHECK: {listed(form.unread)} cannot be read and would count as missing"
    return examples


def _add_possible_amount(section: TomlTable, roles: Roles, attributes: Sequence[Column]) -> None:
    """Add a comment about attributes that may be the revenue of won leads."""
    if any("amount" in columns for columns in roles.columns.values()):
        return
    named = [column for column in attributes if rank("amount", column.name) < NO_RANK]
    amounts = [column.name for column in named if column.form.kind == "number"]
    if amounts:
        add_comment(
            section,
            f"{listed(amounts)} may be the revenue of won leads. Leads that were not won have it "
            "too, so it is an attribute here. If it is the revenue, name it:",
        )
        section.add(tomlkit.comment(f"amount = {quote(amounts[0])}"))


def _add_order(section: TomlTable, order: Column | None, attributes: Sequence[Column]) -> None:
    timed = [column.name for column in attributes if column.is_time]
    if timed:
        add_comment(
            section,
            "If one of these columns contains the time at which each lead was created, name it "
            f"here: {listed(timed)}",
        )
        section.add(tomlkit.comment('created_at = "…"'))
    if order is not None:
        note = "no time of creation was found; this number seems to grow with time: check it"
        section["order"] = noted(order.name, note)
        return
    add_comment(
        section,
        "No time of creation was found. If the rows are in the order of time, oldest first, "
        "remove the # from the next line:",
    )
    section.add(tomlkit.comment('order = "rows"'))


def _learn_section(
    words: OutcomeWords,
    counts: Mapping[str, ValueCount],
    learn: LearnKeys,
    records: Records,
    roles: Roles,
) -> tuple[TomlTable, LearnKeys]:
    """Build the section `[learn]`; also return the keys with its horizon and ages."""
    section = _section(LEARN_HEADING)
    for comment in _outcome_comments(words, roles, records.has_times):
        add_comment(section, comment)
    section["won"] = _values(words.won, words, counts)
    section["lost"] = _values(words.lost, words, counts)
    if words.open:
        section["open"] = _values(words.open, words, counts)
    tested = "the newest leads" if records.in_order else "a random fifth of the leads"
    section["test_share"] = noted(0.2, f"{tested}, which test the model")
    if not records.has_times:
        return section, learn
    days = _days_to_win(records)
    horizon, note = 90, "a win counts within this number of days"
    if len(days) >= MIN_WINS_FOR_HORIZON:
        long_enough = (step for step in HORIZONS_DAYS if (days <= step).mean() >= 0.9)
        horizon = next(long_enough, HORIZONS_DAYS[-1])
        note += f"; {(days <= horizon).mean():.0%} of the wins seen came within {horizon} days"
    ages = [0, 7, 30] if {"activities", "stages"} & set(roles.columns) else [0]
    section["horizon_days"] = noted(horizon, note)
    section["moments_days"] = noted(ages, "learn from leads at these ages in days; 0 is new")
    return section, msgspec.structs.replace(
        learn, horizon_days=float(horizon), moments_days=[float(age) for age in ages]
    )


def _values(values: Sequence[str], words: OutcomeWords, counts: Mapping[str, ValueCount]) -> Array:
    """Build a list of outcome values, each with its number of leads and what is not clear."""
    noted_values: dict[str | int, str] = {}
    for cell, value in zip(cell_values(values), values, strict=True):
        count = counts.get(value.casefold())
        note = "every row" if count is None else count.sentence
        if value in words.unclear:
            note += f"; CHECK: {words.unclear[value]}"
        elif words.notes.get(value):
            note += f"; {words.notes[value]}"
        noted_values[cell] = note
    return noted_list(noted_values)


def _outcome_comments(words: OutcomeWords, roles: Roles, has_times: bool) -> list[str]:
    """Write what the outcome is based on, and what to check."""
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
        *([] if words.lost else ["CHECK: no value is known to mean lost."]),
        *([UNCLEAR_VALUES.format(training=training)] if words.unclear else []),
        *_closing_comments(roles),
    ]


def _choice_comments(choice: OutcomeChoice, has_times: bool) -> list[str]:
    column = quote(choice.column.name)
    comments = [
        f"{quote(other)} may be the outcome too. {column} was chosen: of {quote(other)}, {why}."
        for other, why in choice.others.items()
    ]
    if empty := _empty_cells(choice.column):
        comments.append(f"{empty:,} leads have no value in {column}: they are open.")
    if choice.still_open is not None and not has_times:
        comments.append(
            f"CHECK: {choice.still_open.rows:,} leads that {column} shows as not won are open in "
            f"{quote(choice.still_open.column)}. Here they count as lost. Export a column that "
            "tells open leads from lost ones, or leads with their time of creation."
        )
    return comments


def _closing_comments(roles: Roles) -> list[str]:
    if not roles.other_closings:
        return []
    closing = quote(roles.of_outcomes["closed_at"].name)
    return [
        f"CHECK: closing dates are also in {listed(roles.other_closings)}. Only {closing} is read: "
        "a lost lead without a date in it counts as lost at its creation."
    ]


def _days_to_win(records: Records) -> Floats:
    """Compute the days from creation to the first win, for every lead that has both times."""
    wins = records.outcomes[records.outcomes["outcome"] == "won"]
    won_at = wins.groupby("lead_id")["closed_at"].min()
    created = records.leads.set_index("lead_id")["created_at"]
    days = (won_at - created).dt.total_seconds().to_numpy() / SECONDS_PER_DAY
    return days[days >= 0]


def _columns_section(
    nothing: Mapping[str, tuple[str, list[str]]],
    in_doubt: Mapping[str, tuple[str, list[str]]],
    rules: ColumnRules,
) -> TomlTable:
    section = _section(COLUMNS_HEADING)
    places = {word: f"in {listed(columns)}" for word, columns in nothing.values()}
    add_comment(section, "Words that mean an empty cell. Check each of them.")
    section["nothing"] = noted_list(places)
    for word, columns in in_doubt.values():
        add_comment(
            section,
            f"CHECK: {quote(word)} is not in the list, because it may be a value in "
            f"{listed(columns)}. If it means an empty cell, add it.",
        )
    hint = FEW_OUTCOMES if rules.by_name_only else COST_HINT if rules.has_costs else ""
    for key, heading, reasons in (
        ("ignore", IGNORE_HEADING, rules.ignore),
        ("known_later", KNOWN_LATER_HEADING + hint, rules.known_later),
        ("sensitive", SENSITIVE_HEADING, rules.sensitive),
    ):
        add_comment(section, heading)
        section[key] = noted_list(reasons)
    if rules.category:
        add_comment(section, CATEGORY_HEADING)
        section["category"] = noted_list(rules.category)
    return section


def _add_choices(section: TomlTable, attributes: Sequence[Column], nothing: frozenset[str]) -> None:
    """Name the columns whose cells contain several values, with the values."""
    kept_out = {name for key in ("ignore", "known_later", "sensitive") for name in section[key]}
    for column in attributes:
        if column.name in kept_out:
            continue
        choices = ChoiceAttribute.recognise(UndeclaredColumn(column.cells, nothing))
        if choices:
            values, separator = choices[0].values, choices[0].separator
            form = "as JSON lists" if separator == LIST else f"separated by {quote(separator)}"
            more = f" and {len(values) - 5} more" if len(values) > 5 else ""
            add_comment(
                section,
                f"{quote(column.name)} holds several values in a cell, {form}: "
                f"{listed(values[:5])}{more}. Each becomes a feature of its own. List the column "
                "under `category` to read each combination as one value.",
            )


def _model_name(name: str) -> str:
    """Change a name to a valid name of a model.

    >>> _model_name("2024 Märkte & Co."), _model_name("日本")
    ('leads-2024-markte-co', 'leads')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-_")
    return (plain if re.match("[a-z]", plain) else f"leads-{plain}")[:63].rstrip("-_")
