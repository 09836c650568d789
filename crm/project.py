"""Reads the project file: where the tables are, what their columns mean, what the model learns.

`load_project` turns `leadscore.toml` into a checked `Project`. Nothing else in the product reads
TOML, and the product uses every key that it accepts.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from crm.control_share import share_of_environment
from crm.errors import ConfigError
from crm.project_checks import check_agreement
from crm.project_keys import (
    LEDGER,
    LEDGER_URL,
    NAME_PATTERN,
    TABLE_KEYS,
    TABLE_SECTIONS,
    ColumnsKeys,
    ControlKeys,
    LearnKeys,
    LedgerKeys,
    MlflowKeys,
    MonitorKeys,
    NotifyKeys,
    Project,
    ProjectKeys,
    ReportKeys,
    RetrainKeys,
    ScaleKeys,
    SettingsSections,
    TableKeys,
    TargetKeys,
    TreesKeys,
)
from crm.suggest import nearest
from crm.tables import TABLES

__all__ = [
    "LEDGER",
    "LEDGER_URL",
    "PROJECT_FILE",
    "TABLE_KEYS",
    "ColumnsKeys",
    "ControlKeys",
    "LearnKeys",
    "LedgerKeys",
    "MlflowKeys",
    "MonitorKeys",
    "NotifyKeys",
    "Project",
    "ProjectKeys",
    "ReportKeys",
    "RetrainKeys",
    "ScaleKeys",
    "TableKeys",
    "TargetKeys",
    "TreesKeys",
    "expand_variables",
    "load_project",
    "role_columns",
]

PROJECT_FILE = "leadscore.toml"


def load_project(path: Path | str) -> Project:
    """Read and check a project file.

    Parameters
    ----------
    path : Path or str
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
            {name: content for name, content in raw.items() if name in TABLES}, TABLE_SECTIONS
        )
        settings = msgspec.convert(
            {name: content for name, content in raw.items() if name not in TABLES}, SettingsSections
        )
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path.name}: {_in_toml_terms(str(error), raw)}.") from None
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
        mlflow=settings.mlflow,
        monitor=settings.monitor,
        retrain=settings.retrain,
        notify=settings.notify,
        ledger_url=_ledger_url(settings.ledger),
        control_share=_control_share(settings.control),
    )
    check_agreement(path.name, project)
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


def _sections() -> dict[str, Any]:
    """Return the keys of each section."""
    return {**{key.name: key.type for key in fields(SettingsSections)}, **TABLE_KEYS}


def _check_names(file: str, raw: Mapping[str, Any]) -> None:
    sections = _sections()
    for section, content in raw.items():
        if section not in sections:
            raise ConfigError(
                f"{file}: unknown section [{section}].\n{nearest(section, list(sections))}"
            )
        if not isinstance(content, Mapping):
            raise ConfigError(
                f"{file}: `{section}` must be a section, [{section}], not a single value."
            )
        _check_keys(file, section, content, sections[section])
    for section in ("project", "leads", "learn"):
        if section not in raw:
            raise ConfigError(f"{file}: the section [{section}] is missing. It is required.")


def _check_keys(file: str, section: str, content: Mapping[str, Any], keys: type[Struct]) -> None:
    types = {key.name: key.type for key in fields(keys)}
    for key, value in content.items():
        if key not in types:
            raise ConfigError(
                f"{file}: unknown key `{key}` in [{section}].\n{nearest(key, list(types))}"
            )
        is_section = isinstance(types[key], type) and issubclass(types[key], Struct)
        if is_section and isinstance(value, Mapping):
            _check_keys(file, f"{section}.{key}", value, types[key])


def _ledger_url(keys: LedgerKeys) -> str | None:
    return expand_variables(keys.url) if keys.url else os.environ.get(LEDGER_URL)


def _control_share(keys: ControlKeys) -> float:
    return share_of_environment() if keys.share is None else keys.share


NOT_A_WORD: Final = "Invalid enum value "
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


def _words(section: str, key: str) -> tuple[str, ...]:
    """Return the words that a key, or each item of its list, may be."""
    of_key = next(of.type for of in fields(_sections()[section]) if of.name == key)
    kinds = [of_key]
    while kinds:
        kind = kinds.pop()
        if get_origin(kind) is Literal:
            return get_args(kind)
        kinds += get_args(kind)
    return ()


def _in_toml_terms(message: str, raw: Mapping[str, Any]) -> str:
    """Rewrite an error message of msgspec: name the section, the key and its value."""
    problem, _, path = message.partition(" - at `$")
    path = path.rstrip("`").strip(".")
    problem = problem.replace("Object missing required field", "missing required key")
    problem = problem.replace(
        f"matching regex {NAME_PATTERN!r}", "of a-z, 0-9, - and _, a letter first"
    )
    problem = re.sub(r"`([a-z]+)(?: \| null)?`", lambda kind: _KINDS.get(kind[1], kind[0]), problem)
    if not path:
        return problem
    value: Any = raw
    sections = []
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping):
            break
        sections.append(name)
    section = ".".join(sections) or path.partition(".")[0]
    key = path.removeprefix(section).removeprefix(".")
    if problem.startswith(NOT_A_WORD):
        words = ", ".join(map(repr, _words(section, key.partition("[")[0])))
        problem = f"Expected one of {words}; got {problem.removeprefix(NOT_A_WORD)}"
    if isinstance(value, int | float) and " got " not in problem:
        problem += f", got {value}"
    return f"[{section}] {key}: {problem}" if key else f"[{section}]: {problem}"
