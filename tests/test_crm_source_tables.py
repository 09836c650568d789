"""The tables of a project as their sources contain them, read once."""

from pathlib import Path

from crm.left_out import LeftOutRows
from crm.project import load_project
from crm.reading import read_records
from crm.source_tables import SourceTables
from tests.made_projects import ONE_TABLE


def test_a_table_is_read_once_and_its_findings_are_reported_each_time(tmp_path: Path) -> None:
    (tmp_path / "leadscore.toml").write_text(ONE_TABLE)
    source = tmp_path / load_project(tmp_path).leads.source
    source.write_text("lead_id,visits,won\n1,5,yes\n2,6,no\nTotal,,\n")
    sources = SourceTables(load_project(tmp_path))
    first: list[LeftOutRows] = []
    table = sources.read("leads", first, [])
    source.unlink()
    second: list[LeftOutRows] = []
    assert sources.read("leads", second, []) is table
    assert first == second
    assert [rows.count for rows in first] == [1]


def test_records_of_read_tables_equal_those_of_the_sources(tmp_path: Path) -> None:
    (tmp_path / "leadscore.toml").write_text(ONE_TABLE)
    project = load_project(tmp_path)
    rows = "".join(f"{i},{i % 7},{'yes' if i % 3 else 'no'}\n" for i in range(30))
    (tmp_path / project.leads.source).write_text("lead_id,visits,won\n" + rows)
    sources = SourceTables(project)
    before = sources.read("leads", [], []).copy(deep=True)
    assert read_records(project, sources=sources).digests == read_records(project).digests
    assert sources.read("leads", [], []).equals(before)
