"""Checks that the keys of the project file agree with each other."""

import re

from crm.errors import ConfigError
from crm.project_keys import LEDGER, LEDGER_URL, LearnKeys, NotifyKeys, Project, TableKeys
from crm.tables import TABLES
from crm.text import quote


def check_agreement(file: str, project: Project) -> None:
    """Check that the keys agree with each other.

    Parameters
    ----------
    file : str
        The name of the project file in messages.
    project : Project

    Raises
    ------
    ConfigError
        If two keys contradict each other, or a key needs another one that is missing.
    """
    for name in TABLES:
        _check_source(file, name, getattr(project, name))
    _check_outcomes(file, project)
    _check_outcome_values(file, project.learn)
    _check_columns(file, project)
    _check_notify(file, project.notify)


def _check_source(file: str, name: str, table: TableKeys | None) -> None:
    if table is None:
        return
    for column, notation in table.formats.items():
        _check_notation(f"{file}: [{name}.formats] {quote(column)}", notation)
    has_table_or_query = table.table is not None or table.query is not None
    is_database = "://" in table.source or (table.source.startswith("${") and has_table_or_query)
    if is_database and (table.table is None) == (table.query is None):
        raise ConfigError(
            f"{file}: [{name}] reads from a database and needs either `table` or `query`."
        )
    if is_database and table.sheet is not None:
        raise ConfigError(
            f"{file}: [{name}] has `sheet`, but its source is a database. Remove the key."
        )
    if not is_database and (table.table or table.query):
        raise ConfigError(
            f"{file}: [{name}] has `table` or `query`, but its source is a file. "
            "Set `source` to the URL of a database, or remove the key."
        )


def _check_notation(where: str, notation: str) -> None:
    from crm.formats.columns import check_notation  # it imports pandas

    try:
        check_notation(notation)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _check_outcomes(file: str, project: Project) -> None:
    if project.outcomes is not None and project.leads.column_of("outcome") is not None:
        raise ConfigError(
            f"{file}: outcomes are named twice, by the section `[outcomes]` and by `outcome` in "
            "`[leads]`. Remove one of them."
        )
    _check_every_row(file, project)
    if project.ledger_url is not None:
        return
    if project.leads.source == LEDGER:
        raise ConfigError(
            f'{file}: `source = "{LEDGER}"` in `[leads]`, but no ledger is named. '
            f"Add `url` to `[ledger]`, or set {LEDGER_URL}."
        )
    if project.outcomes is None and project.leads.column_of("outcome") is None:
        raise ConfigError(
            f"{file}: no outcomes are named. "
            "Add a section `[outcomes]`, or set `outcome` in `[leads]` to a column."
        )


def _check_every_row(file: str, project: Project) -> None:
    value = None if project.outcomes is None else project.outcomes.column_of("every_row")
    if value is None or project.outcomes is None:
        return
    if project.outcomes.column_of("outcome") is not None:
        raise ConfigError(
            f"{file}: `[outcomes]` has both `outcome` and `every_row`. Remove `every_row` if the "
            "table has a column of outcomes."
        )
    if value not in (*project.learn.won, *project.learn.lost):
        raise ConfigError(
            f'{file}: `every_row = "{value}"` in `[outcomes]`, but `[learn]` lists "{value}" '
            "neither in `won` nor in `lost`. Add it to one of them."
        )


def _check_outcome_values(file: str, learn: LearnKeys) -> None:
    from crm.cells import cell_text  # it imports pandas, which `leadscore --help` does not need

    texts = [cell_text(value) for value in (*learn.won, *learn.lost, *learn.open)]
    if None in texts:
        raise ConfigError(
            f"{file}: `won`, `lost` or `open` in `[learn]` lists an empty value. An empty cell "
            "always means that the lead is still open. If it means lost, export another value."
        )
    folded = [str(text).casefold() for text in texts]
    repeated = sorted({text for text in folded if folded.count(text) > 1})
    if repeated:
        raise ConfigError(
            f"{file}: `[learn]` lists {repeated} more than once in `won`, `lost` and `open`."
        )


def _check_columns(file: str, project: Project) -> None:
    columns, learn = project.columns, project.learn
    unlisted = sorted(set(columns.allow_sensitive) - set(columns.sensitive))
    if unlisted:
        raise ConfigError(
            f"{file}: `allow_sensitive` in `[columns]` names {unlisted}, "
            "which `sensitive` does not list. Add them to `sensitive`."
        )
    opposites = (
        ("columns", "known_later", columns.known_later, "known_in_time", columns.known_in_time),
        ("learn", "rising", learn.rising, "falling", learn.falling),
        ("columns", "number", columns.number, "category", columns.category),
    )
    for section, key, names, opposite, opposite_names in opposites:
        both = sorted(set(names) & set(opposite_names))
        if both:
            raise ConfigError(
                f"{file}: {both} cannot be in both `{key}` and `{opposite}` of `[{section}]`."
            )


def _check_notify(file: str, keys: NotifyKeys) -> None:
    """Check that no secret is written in the file. MLflow stores the file with each run."""
    for name, written in (("secret", keys.secret), ("slack", keys.slack), ("teams", keys.teams)):
        if written is None:
            continue
        literal, n_variables = re.subn(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", "", written)
        if not n_variables or (name == "secret" and literal.strip()):
            raise ConfigError(
                f"{file}: `{name}` in `[notify]` is a secret and must not be in the file. "
                f'Write `{name} = "${{LEADSCORE_{name.upper()}}}"`, and set this environment '
                "variable."
            )
    if (keys.webhook is None) != (keys.secret is None):
        given, missing = ("secret", "webhook") if keys.webhook is None else ("webhook", "secret")
        raise ConfigError(
            f"{file}: `[notify]` has `{given}`, but not `{missing}`. "
            "Webhooks are always signed: set both, or none."
        )
