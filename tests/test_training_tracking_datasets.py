"""Where the tables of a training are, as the data sets of its MLflow run show it."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from crm.project import load_project
from training.tracking.datasets import SCHEMA_CHARACTERS, _schema, source_of

LEARN = '[learn]\nwon = ["yes"]\nlost = ["no"]\n'
URL = "postgresql://me:hunter2@db.example/crm"
SOURCES: dict[str, tuple[str, str, tuple[str, dict[str, Any]]]] = {
    "a file in the folder": (
        'source = "data/leads.csv"',
        "leads",
        ("local", {"uri": "data/leads.csv"}),
    ),
    "a flat export has its outcomes": (
        'source = "leads.csv"',
        "outcomes",
        ("local", {"uri": "leads.csv"}),
    ),
    "a file elsewhere": (
        'source = "/exports/leads.csv"',
        "leads",
        ("local", {"uri": "/exports/leads.csv"}),
    ),
    "a table of a database": (
        f'source = "{URL}"\ntable = "leads"',
        "leads",
        ("code", {"tags": {"uri": "postgresql://me:***@db.example/crm", "table": "leads"}}),
    ),
    "a query, and a password in a variable": (
        'source = "postgresql://me:${PASSWORD}@db.example/crm"\nquery = "SELECT 1"',
        "leads",
        ("code", {"tags": {"uri": "postgresql://me:***@db.example/crm", "query": "SELECT 1"}}),
    ),
    "joined with the ledger": (
        f'source = "leads.csv"\n[ledger]\nurl = "{URL}"',
        "leads",
        ("local", {"uri": "leads.csv", "ledger": "postgresql://me:***@db.example/crm"}),
    ),
    "the ledger alone": (
        f'source = "ledger"\n[ledger]\nurl = "{URL}"',
        "leads",
        ("code", {"tags": {"ledger": "postgresql://me:***@db.example/crm"}}),
    ),
}


@pytest.mark.parametrize(("keys", "table", "expected"), SOURCES.values(), ids=SOURCES)
def test_source_is_named_without_its_password(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keys: str,
    table: str,
    expected: tuple[str, dict[str, Any]],
) -> None:
    monkeypatch.setenv("PASSWORD", "hunter2")
    outcome = "" if "ledger" in keys else 'outcome = "won"\n'
    text = f'[project]\nname = "demo"\n{LEARN}[leads]\n{outcome}{keys}\n'
    (tmp_path / "leadscore.toml").write_text(text)
    assert source_of(load_project(tmp_path), table) == expected


def test_schema_of_very_many_columns_is_left_out() -> None:
    names = [f"{i:0100}" for i in range(SCHEMA_CHARACTERS // 100)]
    assert _schema(pd.DataFrame([[0]], columns=["a"])) is not None
    assert _schema(pd.DataFrame([range(len(names))], columns=names)) is None
