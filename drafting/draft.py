"""Drafts a first `leadscore.toml` from the data, for a person to check.

Every decision is written beside its line, so that a person can overrule it.
"""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from crm.project import TableKeys
from crm.tables import TABLES
from crm.text import listed, quote
from crm.times import parse_times
from drafting.outcome_words import Values, ended_leads, sort_values
from drafting.roles import assign_tables, find_order, find_roles
from drafting.samples import Column, Table, nothing_words, read_sample, time_format
from drafting.suspects import MIN_OUTCOMES, Judge, sort_columns
from drafting.toml_text import comment, noted_list, values_list

SAMPLE_ROWS = 50_000
HORIZONS_DAYS = (7, 14, 30, 60, 90, 180, 365)
HEADINGS = {
    "leads": "One row per lead. Every column that this file does not name is an attribute: "
    "something to learn from.",
    "activities": "What leads did and what was done with them: many rows per lead.",
    "stages": "The way through the funnel: one row for each stage that a lead entered.",
    "outcomes": "How it ended. A lead without a row here is still open.",
}
RULE_HEADINGS = {
    "ignore": "Never read: personal data, names, free text.",
    "known_later": "Never a feature, because it may be filled or changed after the moment of "
    "scoring: a model that sees it looks perfect and is useless on new leads. Suspects stand "
    "here as well; take out what you can vouch for.",
    "sensitive": "No feature; used to compare how groups of people fare.",
    "category": "Numbers and text mixed: read as text. If the text means nothing there, name "
    "the column in a list `number`.",
}
FEW_HEADING = f" Fewer than {MIN_OUTCOMES} were won, or lost, so only names were judged."
ROLE_NOTES = {
    "lead_id": "tells leads apart, and ties the tables together",
    "created_at": "when the lead became known; nothing recorded later is used to score it then",
    "outcome": "how it ended; an empty cell means still open",
    "closed_at": "when it ended",
    "amount": "what it was worth; for the reports, never a feature",
    "reason": "why; for the reports, never a feature",
    "type": "what happened",
    "occurred_at": "when it happened",
    "activity_id": "rows that repeat it are kept once",
    "content": "which page, mail, webinar",
    "channel": "by which way",
    "value": "a number that belongs to it, such as seconds or minutes",
    "stage": "which stage",
    "entered_at": "when the lead entered it",
}


def draft_project(sources: Sequence[str], folder: Path, name: str | None = None) -> str:
    r"""Write the text of a first project file from the data itself.

    At most the first 50,000 rows of each table are looked at.

    Parameters
    ----------
    sources : sequence of str
        Files, CSV or Parquet, relative to the working directory. Each may say which
        table it is: `activities=calls.csv`.
    folder : Path
        Where the project file will stand; files inside it are named relative to it.
    name : str, optional
        Of the model; the folder's name otherwise. Made fit for a model's name.

    Returns
    -------
    str
        TOML that `crm.project.load_project` accepts, every choice with a comment.

    Raises
    ------
    ConfigError
        If it cannot be told which file is which table, or where the outcome is.
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
    leads = roles["leads"]
    has_times = "created_at" in leads
    order = None if has_times else find_order(assigned["leads"])
    played = [*leads.values(), order]
    attributes = [column for column in assigned["leads"].columns if column not in played]
    values = sort_values(roles.get("outcomes", leads)["outcome"])
    assert values is not None  # or the column could not play the outcome
    is_whole = "outcomes" not in assigned or assigned["outcomes"].is_whole
    ended = ended_leads(leads, roles.get("outcomes"), values, is_whole)

    lines = _opening_lines(tables, name or folder.resolve().name)
    for kind in (kind for kind in TABLES if kind in assigned):
        lines += ["", *comment(HEADINGS[kind]), f"[{kind}]"]
        lines += _table_lines(assigned[kind], roles[kind])
        if kind == "leads" and not has_times:
            lines += _order_lines(order, attributes)
    lines += ["", *_learn_lines(values)]
    if has_times:
        lines += _horizon_lines(ended, has_history=bool({"activities", "stages"} & set(roles)))
    lines += ["", *_column_lines(attributes, Judge(ended, order)), ""]
    return "\n".join(lines)


def _opening_lines(tables: list[Table], name: str) -> list[str]:
    files = listed(table.path.name for table in tables)
    if not all(table.is_whole for table in tables):
        files += f" (only the first {SAMPLE_ROWS:,} rows of the longer ones were looked at)"
    lines = comment(
        f"A first draft by `leadscore init`, from {files}. It was guessed from names and cells: "
        "read it once from top to bottom, and change what is not so. The comments say what each "
        "line is for, and what to check."
    )
    lines += ["", *comment("The model's name, in the registry and in every answer."), "[project]"]
    return [*lines, f"name = {quote(_model_name(name))}"]


def _table_lines(table: Table, roles: dict[str, Column]) -> list[str]:
    lines = [f"source = {quote(table.source)}"]
    if table.decimal != ".":
        lines.append(f"decimal = {quote(table.decimal)}  # as in 1.234,50")
    lines += _time_lines([column for column in roles.values() if column.time_formats])
    if "lead_id" not in roles:
        lines.append('# lead_id = "…"  # no id was found: leads are numbered as they stand')
    for role, column in roles.items():
        lines.append(f"{role} = {quote(column.name)}  # {ROLE_NOTES.get(role, 'a further column')}")
    return lines


def _time_lines(timed: list[Column]) -> list[str]:
    if not timed:
        return []
    lines, form = [], time_format(timed)
    keys = TableKeys(source="", time_format=form)
    if any(parse_times(column.cells, keys, "")[1] for column in timed):
        lines.append('timezone = "UTC"  # times name no zone; such as "Europe/Berlin" if local')
    if form is not None:
        other = [quote(str(f)) for f in timed[0].time_formats if f != form]
        doubt = f"; {other[0]} fits as well: compare a date that you know" if other else ""
        lines.append(f"time_format = {quote(form)}  # fits every time of this table{doubt}")
    return lines


def _order_lines(order: Column | None, attributes: list[Column]) -> list[str]:
    timed = [column.name for column in attributes if column.time_formats]
    asked = "If one of these tells when leads came, with no gaps, name it: "
    lines = comment(asked + listed(timed)) if timed else []
    lines += ['# created_at = "…"'] if timed else []
    if order is not None:
        note = "no time of creation was found; this number seems to grow with time: does it?"
        return [*lines, f"order = {quote(order.name)}  # {note}"]
    ask = "If the rows stand in the order of time, oldest first, take the mark off the next line:"
    return [*lines, *comment(f"No time of creation was found. {ask}"), '# order = "rows"']


def _learn_lines(values: Values) -> list[str]:
    heading = "What is learned: the chance of a win. Each value of the outcome stands in one list."
    lines = [*comment(heading), "[learn]"]
    lines.append(
        f"won = {values_list(values.won)}" + (values.guess and f"  # CHECK: {values.guess}")
    )
    lines.append(
        f"lost = {values_list(values.lost)}" + ("" if values.lost else "  # CHECK: none seen")
    )
    if values.still_open:
        lines.append(
            f"open = {values_list(values.still_open)}  # CHECK: these say neither won nor lost"
        )
    return [*lines, "test_share = 0.2  # the newest leads, kept apart to test the model"]


def _horizon_lines(ended: pd.DataFrame, has_history: bool) -> list[str]:
    days = ended["days"][(ended["won"] == 1) & (ended["days"] >= 0)].to_numpy()
    horizon, note = 90, "a win counts within so many days"
    if len(days) >= MIN_OUTCOMES:
        enough = (step for step in HORIZONS_DAYS if (days <= step).mean() >= 0.9)
        horizon = next(enough, HORIZONS_DAYS[-1])
        note += f"; {(days <= horizon).mean():.0%} of the wins seen came within {horizon}"
    ages = "[0, 7, 30]" if has_history else "[0]"
    note_ages = "learn from leads at these ages; 0 is at creation"
    return [f"horizon_days = {horizon}  # {note}", f"moments_days = {ages}  # {note_ages}"]


def _column_lines(attributes: list[Column], judge: Judge) -> list[str]:
    """Write the rules for the attributes: what means nothing, and what is set aside."""
    nothing, doubt = nothing_words(attributes)
    rules = sort_columns(attributes, judge, set(nothing))
    spelled = {word: f"in {listed(columns)}" for word, columns in nothing.values()}
    lines = [*comment("Rules for the attributes of the leads table."), "[columns]"]
    lines += noted_list("nothing", spelled, "What is written where there is no value. Is it so?")
    if doubt:
        lines += comment(
            f'"none" stands beside empty cells in {listed(doubt)}: it may be an answer there, '
            "so it is not listed."
        )
    for key in ("ignore", "known_later", "sensitive"):
        few = FEW_HEADING if key == "known_later" and not judge.can_tell else ""
        lines += noted_list(key, rules[key], RULE_HEADINGS[key] + few)
    if rules["category"]:
        lines += noted_list("category", rules["category"], RULE_HEADINGS["category"])
    return lines


def _model_name(name: str) -> str:
    """Make a name fit for a model.

    >>> _model_name("2024 Märkte & Co."), _model_name("日本")
    ('leads-2024-markte-co', 'leads')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-_")
    return (plain if re.match("[a-z]", plain) else f"leads-{plain}")[:63].rstrip("-_")
