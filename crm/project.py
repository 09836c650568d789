"""Reads the project file: where the tables are, what their columns mean, what the model learns.

`load_project` turns `leadscore.toml` into a checked `Project`. Nothing else in the product reads
TOML, and the product uses every key that it accepts.
"""

import dataclasses
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import fields

from crm.errors import ConfigError
from crm.suggest import nearest
from crm.tables import TABLES, DeclaredTable
from crm.text import quote

PROJECT_FILE = "leadscore.toml"
LEDGER_URL = "LEADSCORE_LEDGER_URL"
LEDGER = "ledger"  # the `source` of leads that come from the ledger alone

CENTURY = 36_525  # days; the end of a far longer horizon could not be stored as a time
Horizon = Annotated[float, Meta(gt=0, le=CENTURY)]
Age = Annotated[float, Meta(ge=0, le=CENTURY)]
Share = Annotated[float, Meta(ge=0.05, le=0.5)]
OneCharacter = Annotated[str, Meta(min_length=1, max_length=1)]
NAME_PATTERN = "^[a-z][a-z0-9_-]{0,62}$"
ModelName = Annotated[str, Meta(pattern=NAME_PATTERN)]
OutcomeValue = str | int | float | bool


class ProjectKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[project]`: the model's name, and whether its records are simulated."""

    name: ModelName
    simulated: bool = False


class TableKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """The keys that every table has: where it is and how it is stored.

    The keys that name the columns are derived from `crm.tables`; `column_of` reads them.
    """

    source: str
    table: str | None = None
    query: str | None = None
    sheet: str | None = None
    delimiter: OneCharacter | None = None
    encoding: str | None = None
    decimal: Literal[".", ","] | None = None
    timezone: str = "UTC"
    time_format: str | None = None
    formats: dict[str, str] = field(default_factory=dict)

    def column_of(self, role: str) -> str | None:
        """Return the name of the column that plays a role; None if the keys do not name it."""
        named: str | None = getattr(self, role, None)
        return named


def _table_keys(table: DeclaredTable) -> type[TableKeys]:
    roles = [column.name for column in table.file_columns]
    if table.name == "leads":  # a flat export has its outcomes in the same table
        roles += ["order", *(column.name for column in TABLES["outcomes"].file_columns[1:])]
    if table.name == "outcomes":  # a file of wins has no column of outcomes
        roles.append("every_row")
    keys = msgspec.defstruct(
        f"{table.name.title()}Keys",
        [(role, str | None, None) for role in roles],
        bases=(TableKeys,),
        frozen=True,
        forbid_unknown_fields=True,
    )
    return cast(type[TableKeys], keys)


TABLE_KEYS: Final = {name: _table_keys(table) for name, table in TABLES.items()}


class LedgerKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[ledger]`: the service's own database. Training reads it alone or together with files."""

    url: str | None = None


class LearnKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[learn]`: what counts as won, within how many days, from which moments."""

    won: Annotated[list[OutcomeValue], Meta(min_length=1)]
    lost: list[OutcomeValue] = field(default_factory=list)
    open: list[OutcomeValue] = field(default_factory=list)
    horizon_days: Horizon = 90.0
    moments_days: Annotated[list[Age], Meta(min_length=1)] = field(default_factory=lambda: [0.0])
    observed_until: str | None = None
    test_share: Share = 0.2
    half_life_days: Horizon | None = None
    rising: list[str] = field(default_factory=list)
    falling: list[str] = field(default_factory=list)
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0


class ScaleKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[scale]`: the share of wins that scores 50, and the lowest score of each grade."""

    base_rate: Annotated[float, Meta(gt=0, lt=1)] | None = None
    grades: dict[str, int] | None = None


class ColumnsKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[columns]`: rules for the attributes of the leads table."""

    nothing: list[str] = field(default_factory=list)
    ignore: list[str] = field(default_factory=list)
    known_later: list[str] = field(default_factory=list)
    known_in_time: list[str] = field(default_factory=list)
    sensitive: list[str] = field(default_factory=list)
    allow_sensitive: list[str] = field(default_factory=list)
    number: list[str] = field(default_factory=list)
    category: list[str] = field(default_factory=list)


Amount = Annotated[float, Meta(ge=0)]
GradeAmounts = dict[str, Amount]


class TargetKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[report.targets]`: what marketing and sales promise each other, by grade or by week."""

    leads_per_week: GradeAmounts = field(default_factory=dict)
    first_touch_hours: GradeAmounts = field(default_factory=dict)
    worked_share: GradeAmounts = field(default_factory=dict)
    won_share: GradeAmounts = field(default_factory=dict)
    revenue_per_week: Amount | None = None


class ReportKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`[report]`: the columns, stages and activities that have a meaning in the report."""

    source: str | None = None
    audience: Annotated[list[str], Meta(max_length=12)] = field(default_factory=list)
    qualified_stage: str | None = None
    stage_activities: list[str] = field(default_factory=list)
    sales_activities: list[str] = field(default_factory=list)
    content_is_people: bool = False
    sales_channels: list[str] = field(default_factory=list)
    leads_per_week: Annotated[int, Meta(ge=1)] | None = None
    targets: TargetKeys = field(default_factory=TargetKeys)


class _Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The sections of the project file that are not tables."""

    project: ProjectKeys
    learn: LearnKeys
    ledger: LedgerKeys = field(default_factory=LedgerKeys)
    columns: ColumnsKeys = field(default_factory=ColumnsKeys)
    scale: ScaleKeys = field(default_factory=ScaleKeys)
    report: ReportKeys = field(default_factory=ReportKeys)


_TABLE_SECTIONS: Final = msgspec.defstruct(
    "_TableSections", [(name, keys | None, None) for name, keys in TABLE_KEYS.items()]
)


@dataclass(frozen=True)
class Project:
    """The checked `leadscore.toml`.

    Attributes
    ----------
    path : Path
        The project file. Relative sources are relative to its folder.
    text : str
        The content of the file. MLflow stores it with each run.
    name : str
        The model's name in the registry and in every answer.
    simulated : bool
        Whether the records are made up. Every score and figure shows it.
    leads, activities, stages, outcomes : table keys, or None where the table is absent
    learn : LearnKeys
    columns : ColumnsKeys
    scale : ScaleKeys
    report : ReportKeys
    ledger_url : str or None
        The address of the ledger: `[ledger] url`, or the setting `LEADSCORE_LEDGER_URL`.
    """

    path: Path
    text: str
    name: str
    simulated: bool
    leads: TableKeys
    activities: TableKeys | None
    stages: TableKeys | None
    outcomes: TableKeys | None
    learn: LearnKeys
    columns: ColumnsKeys
    scale: ScaleKeys = ScaleKeys()
    report: ReportKeys = ReportKeys()
    ledger_url: str | None = dataclasses.field(default=None, repr=False)

    @property
    def folder(self) -> Path:
        """The folder of the project file."""
        return self.path.parent


def load_project(path: Path) -> Project:
    """Read and check a project file.

    Parameters
    ----------
    path : Path
        The TOML file, or the folder with a `leadscore.toml`.

    Returns
    -------
    Project

    Raises
    ------
    ConfigError
        If the file is missing, is not valid TOML, has an unknown key, or a value is out of range.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "leadscore.toml").write_text('''
    ... [project]
    ... name = "acme"
    ... [leads]
    ... source = "leads.csv"
    ... outcome = "converted"
    ... [learn]
    ... won = ["yes"]
    ... horizont_days = 30
    ... ''')
    >>> load_project(folder)
    Traceback (most recent call last):
        ...
    crm.errors.ConfigError: leadscore.toml: unknown key `horizont_days` in [learn].
    Did you mean `horizon_days`?
    """
    path = Path(path)
    if path.is_dir():
        path = path / PROJECT_FILE
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"There is no project file {path}. "
            "Write a first one with `leadscore init FILE…`, or name it with `--project`."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as UTF-8 text: {error}.") from None
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path.name} is not valid TOML: {error}.") from None
    _check_names(path.name, raw)
    try:
        tables: Any = msgspec.convert(
            {name: content for name, content in raw.items() if name in TABLES}, _TABLE_SECTIONS
        )
        settings = msgspec.convert(
            {name: content for name, content in raw.items() if name not in TABLES}, _Settings
        )
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path.name}: {_in_toml_terms(str(error))}.") from None
    project = Project(
        path=path.resolve(),
        text=text,
        name=settings.project.name,
        simulated=settings.project.simulated,
        leads=tables.leads,
        activities=tables.activities,
        stages=tables.stages,
        outcomes=tables.outcomes,
        learn=settings.learn,
        columns=settings.columns,
        scale=settings.scale,
        report=settings.report,
        ledger_url=_ledger_url(settings.ledger),
    )
    _check_agreement(path.name, project)
    return project


def role_columns(project: Project) -> dict[str, str]:
    """Return the columns of the leads table that play a role, by role. They are not attributes.

    The names are the CRM's own names, as in files and in requests.
    """
    keys = project.leads
    columns = {
        "lead_id": keys.column_of("lead_id") or "lead_id",
        "created_at": keys.column_of("created_at") or "created_at",
        "order": None if keys.column_of("order") == "rows" else keys.column_of("order"),
    }
    for column in TABLES["outcomes"].file_columns[1:]:
        columns[column.name] = keys.column_of(column.name)
    return {role: name for role, name in columns.items() if name is not None}


def expand_variables(text: str) -> str:
    """Replace `${NAME}` by the environment variable of that name.

    This keeps paths and passwords out of the project file.

    Raises
    ------
    ConfigError
        If a variable is not set.

    Examples
    --------
    >>> expand_variables("leads.csv")
    'leads.csv'
    >>> expand_variables("${NO_SUCH_VARIABLE}/leads.csv")
    Traceback (most recent call last):
        ...
    crm.errors.ConfigError: The project file uses ${NO_SUCH_VARIABLE}, which is not set.
    Set the environment variable, or write the value into the file.
    """

    def value_of(match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        if value is None:
            raise ConfigError(
                f"The project file uses {match[0]}, which is not set.\n"
                "Set the environment variable, or write the value into the file."
            )
        return value

    return re.sub(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", value_of, text)


def _check_names(file: str, raw: Mapping[str, Any]) -> None:
    sections = {**{key.name: key.type for key in fields(_Settings)}, **TABLE_KEYS}
    for section, content in raw.items():
        if section not in sections:
            raise ConfigError(
                f"{file}: unknown section [{section}].\n{nearest(section, list(sections))}"
            )
        if not isinstance(content, Mapping):
            raise ConfigError(
                f"{file}: `{section}` must be a section, [{section}], not a single value."
            )
        keys = [key.name for key in fields(sections[section])]
        for key in content:
            if key not in keys:
                raise ConfigError(
                    f"{file}: unknown key `{key}` in [{section}].\n{nearest(key, keys)}"
                )
    for section in ("project", "leads", "learn"):
        if section not in raw:
            raise ConfigError(f"{file}: the section [{section}] is missing. It is required.")


def _ledger_url(keys: LedgerKeys) -> str | None:
    return expand_variables(keys.url) if keys.url else os.environ.get(LEDGER_URL)


_KINDS = {
    "str": "text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list in brackets",
    "object": "a section",
    "date": "a date without quotes",
    "datetime": "a time without quotes",
}


def _in_toml_terms(message: str) -> str:
    """Rewrite an error message of msgspec: name the section and the key instead of a path."""
    problem, _, path = message.partition(" - at `$")
    path = path.rstrip("`").strip(".")
    problem = problem.replace("Object missing required field", "missing required key")
    problem = problem.replace(
        f"matching regex {NAME_PATTERN!r}", "of a-z, 0-9, - and _, a letter first"
    )
    problem = re.sub(r"`([a-z]+)(?: \| null)?`", lambda kind: _KINDS.get(kind[1], kind[0]), problem)
    if not path:
        return problem
    section, _, key = path.partition(".")
    return f"[{section}] {key}: {problem}" if key else f"[{section}]: {problem}"


def _check_agreement(file: str, project: Project) -> None:
    """Check that the keys agree with each other."""
    for name in TABLES:
        _check_source(file, name, getattr(project, name))
    _check_outcomes(file, project)
    _check_outcome_values(file, project.learn)
    _check_columns(file, project)


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
