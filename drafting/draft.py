"""Drafts a first `leadscore.toml` from the data, for a person to check.

A comment next to every choice contains its evidence, so that a person can correct it.
"""

import datetime
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import tomlkit

from crm.project import LearnKeys
from crm.tables import TABLES
from crm.text import listed
from drafting.column_rules import ColumnRules, personal_columns, propose_rules
from drafting.columns_section import columns_section
from drafting.file_tables import assign_tables
from drafting.learn_section import learn_section, meaning_in_draft, outcome_words
from drafting.nothing_words import nothing_words
from drafting.outcome_column import Declared
from drafting.outcome_counts import ValueCount, count_values
from drafting.pipelines import about_pipelines
from drafting.roles import find_order, find_roles
from drafting.sample_records import sample_records
from drafting.samples import Column, Table, read_sample
from drafting.table_sections import add_formats, add_order, add_possible_amount, table_section
from drafting.toml_text import add_comment, new_section
from drafting.unread_columns import add_unread_numbers, add_unread_times

SAMPLE_ROWS = 50_000
EVERY_ROW_WON = "every row of the table of outcomes"
NOTHING_DECLARED = Declared()


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
    rows_read : int, optional
        The number of rows that were read from the file of outcomes; None if all rows were read.
    not_used : list of str
        Sentences about files that are not used: why, and what to do to use them.
    """

    text: str
    outcome: str
    values: list[tuple[ValueCount, str]]
    empty: int
    rows_read: int | None
    not_used: list[str]


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
    assigned, not_used = assign_tables(tables, declared)
    roles = find_roles(assigned, declared)
    leads, of_leads = assigned["leads"], roles.columns["leads"]
    order = None if "created_at" in of_leads else find_order(leads)
    with_role = [*of_leads.values(), order]
    attributes = [column for column in leads.columns if column not in with_role]
    words = outcome_words(roles, has_times="created_at" in of_leads)
    learn = LearnKeys(won=[*words.won], lost=[*words.lost], open=[*words.open])
    records = sample_records(assigned, roles.columns, learn, order, now)
    counts = {} if roles.outcome is None else count_values(roles.of_outcomes)
    learn_part, learn = learn_section(words, counts, learn, records, roles)
    ids = [of_leads["lead_id"]] if "lead_id" in of_leads else []
    personal = personal_columns(attributes)
    unread = {*personal, *roles.known_later}
    read = [column for column in attributes if column.name not in unread]
    nothing, in_doubt = nothing_words([*read, *roles.measures, *ids])
    rules = propose_rules(
        attributes, records, learn, set(nothing), now, personal, roles.known_later
    )

    draft = tomlkit.document()
    _add_opening(draft, list(assigned.values()), not_used, name or folder.resolve().name)
    for kind in (kind for kind in TABLES if kind in assigned):
        section = table_section(kind, assigned[kind], roles, encoding)
        if kind == "leads":
            add_unread_times(section, attributes)
            if not records.has_times:
                add_order(section, order, attributes)
            add_possible_amount(section, roles, attributes)
            private = {*rules.ignore, *rules.sensitive}
            add_unread_numbers(section, [c for c in attributes if c.name not in private])
        if kind == "outcomes":
            named = roles.columns[kind].values()
            add_unread_times(section, [c for c in assigned[kind].columns if c not in named])
        if roles.outcome is not None and roles.columns[kind] is roles.of_outcomes:
            pipelines = about_pipelines(assigned[kind].columns, roles.outcome)
            if pipelines:
                add_comment(section, pipelines)
        formatted = _formatted(attributes, rules) if kind == "leads" else []
        add_formats(section, kind, roles, formatted, set(nothing))
        draft[kind] = section
    draft["learn"] = learn_part
    draft["columns"] = columns_section(nothing, in_doubt, rules, attributes)
    of_outcomes = assigned.get("outcomes", leads)
    return ProjectDraft(
        text=tomlkit.dumps(draft),
        outcome=EVERY_ROW_WON if roles.outcome is None else roles.outcome.column.name,
        values=[(count, meaning_in_draft(count.value, words, counts)) for count in counts.values()],
        empty=0 if roles.outcome is None else roles.outcome.column.n_empty,
        rows_read=None if of_outcomes.is_whole else of_outcomes.rows,
        not_used=not_used,
    )


def _formatted(attributes: Sequence[Column], rules: ColumnRules) -> list[Column]:
    """Return the attributes that no rule keeps from being read as numbers or times."""
    as_text = {*rules.ignore, *rules.sensitive, *rules.known_later, *rules.category}
    return [column for column in attributes if column.name not in as_text]


def _add_opening(
    draft: tomlkit.TOMLDocument, tables: Sequence[Table], not_used: Sequence[str], name: str
) -> None:
    files = listed(table.name for table in tables)
    if not all(table.is_whole for table in tables):
        files += f" (only the first {SAMPLE_ROWS:,} rows of the longer files were read)"
    add_comment(
        draft,
        f"A first draft by `leadscore init`, from {files}. It was guessed from the names of "
        "columns and from cells: read it once from top to bottom, and correct what is wrong. "
        "The comments explain each line, and say what to check.",
    )
    for sentences in not_used:
        add_comment(draft, f"CHECK: {sentences}")
    project = new_section("The model's name, in the registry and in every answer.")
    project["name"] = _model_name(name)
    draft["project"] = project


def _model_name(name: str) -> str:
    """Change a name to a valid name of a model.

    >>> _model_name("2024 Märkte & Co."), _model_name("日本")
    ('leads-2024-markte-co', 'leads')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-_")
    return (plain if re.match("[a-z]", plain) else f"leads-{plain}")[:63].rstrip("-_")
