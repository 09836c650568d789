"""Questions and notes about the formats of attributes."""

from pathlib import Path

import pytest

from crm.errors import SchemaError
from crm.format_notes import check_doubts, format_notes
from crm.formats.columns import ColumnFormat
from crm.project import Project, load_project

DOUBT = ColumnFormat("number", "1,234.56", '"1,250" can be read in two ways', "1.234,56")
TROUBLE = ColumnFormat("text", trouble='cells such as "1+", "2+" are not read as numbers')
REASON = ColumnFormat("number", "1.234,56", reason='numbers of the column "Umsatz"')
LISTS = ["ignore", "known_later", "sensitive", "category", "number"]


def project(folder: Path, columns: str) -> Project:
    (folder / "leadscore.toml").write_text(
        '[project]\nname = "acme"\n[leads]\nsource = "leads.csv"\norder = "rows"\n'
        f'outcome = "Won"\n[learn]\nwon = ["yes"]\nlost = ["no"]\n[columns]\n{columns}\n'
    )
    return load_project(folder)


def test_doubt_about_an_attribute_is_an_error_with_both_lines(tmp_path: Path) -> None:
    with pytest.raises(SchemaError) as error:
        check_doubts(project(tmp_path, ""), {"X": DOUBT, "Y": REASON})
    assert '"X" = "1,234.56" or "X" = "1.234,56"' in str(error.value)
    assert "Y" not in str(error.value)


@pytest.mark.parametrize("name", LISTS[:4])
def test_doubt_about_a_column_that_is_not_read_is_not_an_error(tmp_path: Path, name: str) -> None:
    check_doubts(project(tmp_path, f'{name} = ["X"]'), {"X": DOUBT})


def test_sensitive_column_that_is_allowed_is_read(tmp_path: Path) -> None:
    allowed = project(tmp_path, 'sensitive = ["X"]\nallow_sensitive = ["X"]')
    with pytest.raises(SchemaError):
        check_doubts(allowed, {"X": DOUBT})


def test_notes_name_the_column_and_the_evidence_but_no_cell(tmp_path: Path) -> None:
    formats = {"X": TROUBLE, "Y": REASON, "Z": ColumnFormat("text")}
    trouble, reason = format_notes(project(tmp_path, ""), formats)
    assert "the cells of `X` look like numbers or times" in trouble
    assert "1+" not in trouble
    assert "1.234,56 because of numbers of the column" in reason


@pytest.mark.parametrize(("name", "n_notes"), [*zip(LISTS, [0, 0, 0, 0, 1], strict=True)])
def test_columns_with_a_rule_have_no_note(tmp_path: Path, name: str, n_notes: int) -> None:
    rules = project(tmp_path, f'{name} = ["X", "Y"]')
    assert len(format_notes(rules, {"X": TROUBLE, "Y": REASON})) == n_notes
