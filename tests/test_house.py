"""Rules of the repository that no linter checks."""

import ast
import dataclasses
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from crm import errors
from crm.dictionary import tables_page
from crm.project import (
    PROJECT_FILE,
    TABLE_KEYS,
    ColumnsKeys,
    ControlKeys,
    LearnKeys,
    LedgerKeys,
    MlflowKeys,
    MonitorKeys,
    NotifyKeys,
    ProjectKeys,
    ReportKeys,
    RetrainKeys,
    ScaleKeys,
    TargetKeys,
    TreesKeys,
)
from crm.tables import TABLES
from features.dictionary import data_dictionary
from leadscore.command import app
from monitoring.check import QUESTIONS
from reports.metrics import metrics_page
from serving.settings import PREFIX, Settings

HERE = Path(__file__).resolve().parent.parent
ROOTS = (
    "commands", "connectors", "crm", "drafting", "features", "leadscore", "models", "monitoring",
    "notifying", "reports", "serving", "training",
)  # fmt: skip
SOURCES = sorted(path for root in ROOTS for path in (HERE / root).rglob("*.py"))
SECTIONS = {
    "project": ProjectKeys,
    "ledger": LedgerKeys,
    "control": ControlKeys,
    "learn": LearnKeys,
    "learn.trees": TreesKeys,
    "columns": ColumnsKeys,
    "scale": ScaleKeys,
    "report": ReportKeys,
    "mlflow": MlflowKeys,
    "monitor": MonitorKeys,
    "retrain": RetrainKeys,
    "notify": NotifyKeys,
    "report.targets": TargetKeys,
}
PROSE = sorted([*HERE.glob("*.md"), *(HERE / "docs").rglob("*.md")])


def test_sources_and_pages_exist() -> None:
    assert len(SOURCES) > 25
    assert len(PROSE) > 5


def test_no_installed_distribution_owns_our_names() -> None:
    owners = importlib.metadata.packages_distributions()
    assert {name: owners[name] for name in set(ROOTS) & set(owners)} == {}


def test_every_folder_declares_that_it_has_types() -> None:
    assert [root for root in ROOTS if not (HERE / root / "py.typed").is_file()] == []


@pytest.mark.parametrize("root", ROOTS)
def test_importing_a_folder_changes_nothing(root: str, tmp_path: Path) -> None:
    code = f"""
import os, pkgutil, importlib
os.environ.update(KMP_DUPLICATE_LIB_OK="True", KMP_INIT_AT_FORK="FALSE")  # scikit-learn sets them
before = dict(os.environ)
import {root}
for module in pkgutil.walk_packages({root}.__path__, "{root}."):
    if module.name not in ("serving.service", "models.pyfunc", "leadscore.__main__"):
        importlib.import_module(module.name)
assert dict(os.environ) == before
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)
    assert list(tmp_path.iterdir()) == []


def test_only_the_outer_edges_read_the_clock() -> None:
    readers = {
        path.relative_to(HERE).as_posix()
        for path in SOURCES
        if re.search(r"\b(datetime|Timestamp)\.(now|utcnow|today)\(", path.read_text())
    }
    assert {path for path in readers if not path.startswith("commands/")} == {"serving/app.py"}


def test_no_pickle_in_the_product() -> None:
    banned = {"pickle", "joblib", "cloudpickle", "dill", "shelve", "marshal"}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not banned & {alias.name.split(".")[0] for alias in node.names}, path
            if isinstance(node, ast.ImportFrom) and node.module:
                assert node.module.split(".")[0] not in banned, path


def test_the_tree_of_errors_names_every_error() -> None:
    tree = errors.__doc__ or ""
    kinds = [
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.LeadScoringError)
    ]
    assert len(kinds) == 11
    assert [name for name in kinds if name not in tree] == []


def documented_defaults(page: str) -> dict[str, dict[str, str]]:
    """Read the tables of a page: the default of each name, by section."""
    sections: dict[str, dict[str, str]] = {"": {}}
    section = ""
    for line in (HERE / "docs" / page).read_text().splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ").strip("[]")
            sections[section] = {}
        elif row := re.match(r"\| `(\w+)` \| ([^|]+) \|", line):
            sections[section][row[1]] = row[2].strip("` ")
    return sections


def test_every_setting_is_documented_with_its_default() -> None:
    def shown(default: object) -> str:
        words = {True: "on", False: "off", "": "empty"}
        return words[default] if isinstance(default, bool | str) else str(default)

    in_code = {
        PREFIX + setting.name.upper(): shown(setting.default)
        for setting in dataclasses.fields(Settings)
    }
    in_docs = documented_defaults("settings.md")[""]
    of_other_programs = {"MLFLOW_TRACKING_URI", "BENTOML_HOME"}
    assert set(in_docs) - set(in_code) == of_other_programs
    assert {name: in_docs.get(name) for name in in_code} == in_code


def test_every_key_of_the_project_file_is_documented() -> None:
    in_docs = {name: set(rows) for name, rows in documented_defaults("project-file.md").items()}
    for section, keys in SECTIONS.items():
        assert in_docs[section] == {*keys.__struct_fields__} - {"targets", "trees"}, section
    columns = {column.name for table in TABLES.values() for column in table.columns}
    (tables,) = (keys for section, keys in in_docs.items() if section.startswith("leads]"))
    assert (
        tables == {key for keys in TABLE_KEYS.values() for key in keys.__struct_fields__} - columns
    )
    assert len(in_docs) == len(SECTIONS) + 2


def test_every_monitoring_check_is_documented() -> None:
    page = (HERE / "docs" / "monitoring.md").read_text()
    rows = dict(re.findall(r"^\| (LM\d+) \| (.+) \|$", page, flags=re.MULTILINE))
    assert rows == {number: question.text for number, question in QUESTIONS.items()}


def test_every_command_and_option_has_help() -> None:
    def without_help(command: Any, path: str) -> Iterator[str]:
        if not command.help:
            yield path
        for parameter in command.params:
            if parameter.name != "help" and not getattr(parameter, "help", None):
                yield f"{path} {parameter.name}"
        for name, nested in getattr(command, "commands", {}).items():
            yield from without_help(nested, f"{path} {name}")

    command: Any = typer.main.get_command(app)
    assert len(command.commands) > 10
    assert list(without_help(command, "leadscore")) == []


def test_help_loses_no_name_in_brackets() -> None:
    """Rich takes a word in brackets, such as a section of the project file, for a style."""

    def texts(command: Any) -> Iterator[str]:
        yield command.help or ""
        yield from (getattr(parameter, "help", None) or "" for parameter in command.params)
        for nested in getattr(command, "commands", {}).values():
            yield from texts(nested)

    found = list(texts(typer.main.get_command(app)))
    assert len(found) > 50
    assert [text for text in found if re.search(r"\[[a-z]", text)] == []


def test_the_page_of_commands_is_current() -> None:
    docs = ["-m", "typer", "leadscore.command", "utils", "docs"]
    arguments = [*docs, "--name", "leadscore", "--title", "Commands"]
    result = subprocess.run(
        [sys.executable, *arguments], cwd=HERE, capture_output=True, text=True, check=True
    )
    page = (HERE / "docs" / "commands.md").read_text()
    assert result.stdout.strip() == page.strip(), "run `make docs`"


def test_every_folder_and_module_is_in_the_map() -> None:
    architecture = (HERE / "ARCHITECTURE.md").read_text()
    rows = [line for line in architecture.splitlines() if line.startswith("| `")]
    in_map = set()
    for row in rows:
        names = re.findall(r"`([\w/.]+)`", row.split(" | ")[0])
        folder = names[0].rpartition("/")[0]
        in_map |= {name if "/" in name else f"{folder}/{name}" for name in names}
    folders = {
        f"{path.parent.relative_to(HERE)}/" for path in SOURCES if path.parent.parent != HERE
    }
    with_modules = {HERE / "crm" / "formats", HERE / "crm" / "sources"}
    modules = {
        str(path.relative_to(HERE))
        for path in SOURCES
        if path.parent.parent == HERE or path.parent in with_modules
    }
    folders.discard("crm/ledger/migrations/")
    folders.discard("crm/ledger/migrations/versions/")
    expected = folders | {
        name
        for name in modules
        if not name.endswith("__init__.py") and not name.startswith("commands/")
    }
    assert len(expected) > 40
    assert expected - in_map == set()
    assert {name for name in in_map if not (HERE / name).exists()} == set()


def test_the_lock_names_hashes_and_no_addresses() -> None:
    lock = (HERE / "requirements.lock").read_text()
    assert "://" not in lock
    pinned = re.findall(r"(?m)^([A-Za-z0-9._-]+)(?:\[[\w,-]+\])?==", lock)
    assert len(pinned) > 100
    assert lock.count("--hash=sha256:") >= len(pinned)
    project = tomllib.loads((HERE / "pyproject.toml").read_text())
    required = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.split(r"[^A-Za-z0-9._-]", line)[0].lower() for line in required}
    assert names <= {name.lower() for name in pinned}


def test_examples_are_valid_project_files() -> None:
    load_project = importlib.import_module("crm.project").load_project
    examples = sorted((HERE / "examples").glob("*.toml"))
    assert len(examples) >= 2
    for path in examples:
        assert load_project(path).name == path.stem


def test_files_named_in_prose_exist() -> None:
    links = {
        (page, link) for page in PROSE for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    }
    assert links
    broken = [(page.name, link) for page, link in links if not (page.parent / link).exists()]
    assert broken == []


def test_the_project_file_has_its_documented_name() -> None:
    assert PROJECT_FILE == "leadscore.toml"


def test_the_data_dictionary_is_current() -> None:
    page = (HERE / "docs" / "data-dictionary.md").read_text()
    assert page == data_dictionary(), "run `make docs`"


def test_the_page_of_tables_is_current() -> None:
    assert (HERE / "docs" / "tables.md").read_text() == tables_page(), "run `make docs`"


def test_the_page_of_metrics_is_current() -> None:
    assert (HERE / "docs" / "metrics.md").read_text() == metrics_page(), "run `make docs`"


def test_packing_patterns_match_folders_at_the_top_only() -> None:
    text = (HERE / "bentofile.yaml").read_text()
    included = text.partition("include:")[2].partition("exclude:")[0]
    patterns = re.findall(r'- "([^"]+)"', included)
    assert len(patterns) > 4
    assert all(pattern.startswith("/") for pattern in patterns)
