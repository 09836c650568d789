"""Drafts a first `leadscore.toml` from the data, for a person to check.

A comment next to every choice says what it is based on, so that a person can correct it.
"""

import datetime
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

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
from drafting.nothing_words import nothing_words
from drafting.outcome_counts import ValueCount, count_values
from drafting.outcome_words import OutcomeWords, sort_values
from drafting.roles import assign_tables, find_order, find_roles
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
    "CHECK: the values marked below are not clear. They are in this list so that they count "
    "neither as won nor as lost: the training {training}. Move each to `won` or `lost` if it "
    "means that."
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
        Files, CSV or Parquet, relative to the working directory. Each may name its table:
        `activities=calls.csv`.
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
    tables = [read_sample(source, folder, SAMPLE_ROWS) for source in sources]
    assigned = assign_tables(tables)
    roles = find_roles(assigned)
    leads = assigned["leads"]
    order = None if "created_at" in roles["leads"] else find_order(leads)
    with_role = [*roles["leads"].values(), order]
    attributes = [column for column in leads.columns if column not in with_role]
    of_outcomes = roles.get("outcomes", roles["leads"])
    words = sort_values(of_outcomes["outcome"])
    assert words is not None  # `find_roles` chooses no outcome without a value that means won
    learn = LearnKeys(won=[*words.won], lost=[*words.lost], open=[*words.open])
    records = sample_records(assigned, roles, learn, order, now)

    draft = tomlkit.document()
    _add_opening(draft, tables, name or folder.resolve().name)
    for kind in (kind for kind in TABLES if kind in assigned):
        draft[kind] = _table_section(HEADINGS[kind], assigned[kind], roles[kind])
        if kind == "leads" and not records.has_times:
            _add_order(draft[kind], order, attributes)
    draft["learn"], learn = _learn_section(
        words, count_values(of_outcomes), learn, records, set(roles)
    )
    nothing, in_doubt = nothing_words(attributes)
    rules = propose_rules(attributes, records, learn, set(nothing))
    unread = {*rules.ignore, *rules.sensitive, *rules.known_later, *rules.category}
    formatted = [column for column in attributes if column.name not in unread]
    for kind in (kind for kind in TABLES if kind in assigned):
        with_format = [column for role, column in roles[kind].items() if role in FORMATTED_ROLES]
        _add_formats(draft[kind], with_format + (formatted if kind == "leads" else []))
    draft["columns"] = _columns_section(nothing, in_doubt, rules)
    _add_choices(draft["columns"], attributes, frozenset(nothing))
    return tomlkit.dumps(draft)


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


def _add_order(section: TomlTable, order: Column | None, attributes: Sequence[Column]) -> None:
    timed = [column.name for column in attributes if column.is_time]
    if timed:
        add_comment(
            section,
            "If one of these columns contains the time at which each lead was created, and has "
            f"no empty cells, name it here: {listed(timed)}",
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
    kinds: set[str],
) -> tuple[TomlTable, LearnKeys]:
    """Build the section `[learn]`; also return the keys with its horizon and ages."""
    section = _section(LEARN_HEADING)
    if words.guess:
        add_comment(section, f"CHECK: {words.guess}.")
    section["won"] = _values(words.won, words, counts)
    if not words.lost:
        add_comment(section, "CHECK: no value means lost.")
    section["lost"] = _values(words.lost, words, counts)
    if words.open:
        if words.unclear:
            add_comment(section, UNCLEAR_VALUES.format(training=_training_of_open(records)))
        section["open"] = _values(words.open, words, counts)
    section["test_share"] = noted(0.2, "the newest leads, which test the model")
    if not records.has_times:
        return section, learn
    days = _days_to_win(records)
    horizon, note = 90, "a win counts within this number of days"
    if len(days) >= MIN_WINS_FOR_HORIZON:
        long_enough = (step for step in HORIZONS_DAYS if (days <= step).mean() >= 0.9)
        horizon = next(long_enough, HORIZONS_DAYS[-1])
        note += f"; {(days <= horizon).mean():.0%} of the wins seen came within {horizon} days"
    ages = [0, 7, 30] if {"activities", "stages"} & kinds else [0]
    section["horizon_days"] = noted(horizon, note)
    section["moments_days"] = noted(ages, "learn from leads at these ages in days; 0 is new")
    return section, msgspec.structs.replace(
        learn, horizon_days=float(horizon), moments_days=[float(age) for age in ages]
    )


def _values(values: Sequence[str], words: OutcomeWords, counts: Mapping[str, ValueCount]) -> Array:
    """Build a list of outcome values, each with its number of leads and what is not clear."""
    noted_values: dict[str | int, str] = {}
    for cell, value in zip(cell_values(values), values, strict=True):
        note = counts[value.casefold()].sentence
        if value in words.unclear:
            note += f"; CHECK: {words.unclear[value]}"
        elif words.notes.get(value):
            note += f"; {words.notes[value]}"
        noted_values[cell] = note
    return noted_list(noted_values)


def _training_of_open(records: Records) -> str:
    """Describe what the training does with open leads."""
    if records.has_times:
        return "counts them as not won once their horizon has passed"
    return "leaves them out"


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
