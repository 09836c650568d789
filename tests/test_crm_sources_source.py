"""Reading a table from any source: paths, chunks, and equal results from all sources."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet
import pytest
from numpy.typing import NDArray

from crm.arrays import Floats
from crm.errors import SchemaError
from crm.project import TableKeys, load_project
from crm.reading import read_records
from crm.sources import csv as sources_csv
from crm.sources.source import count_rows, iter_table, read_table
from features.fitting import fit_pipeline
from features.moments import make_moments
from features.pipeline import FeaturePipeline
from tests.made_tables import ReadCsv

# -- paths


def test_variable_in_a_path_is_replaced(
    read_csv: ReadCsv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_csv("id,won\n1,yes\n")
    monkeypatch.setenv("EXPORTS", str(tmp_path))
    table = read_table(TableKeys(source="${EXPORTS}/leads.csv"), tmp_path / "elsewhere")
    assert len(table) == 1


@pytest.mark.parametrize(
    ("source", "shape"),
    [
        ("xeducation/Leads.csv", (9_240, 37)),
        ("bank_marketing/bank-additional-full.csv.gz", (41_188, 21)),
    ],
)
def test_real_exports_are_read_completely(
    public_data: Path, source: str, shape: tuple[int, int]
) -> None:
    assert read_table(TableKeys(source=source), public_data).shape == shape


# -- rows and chunks


@pytest.mark.parametrize("content", ["id,won", "id,won\n", "id\n", "id;won\r\n\r\n"])
def test_header_without_rows_is_refused(read_csv: ReadCsv, content: str) -> None:
    message = r"leads\.csv: it has a header but no rows\. Expected at least one"
    with pytest.raises(SchemaError, match=message):
        read_csv(content)


@pytest.mark.parametrize("chunk_rows", [1, 7, 500, 501])
def test_chunk_size_does_not_matter(
    read_csv: ReadCsv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_rows: int
) -> None:
    monkeypatch.setattr(sources_csv, "BLOCK_BYTES", 256)
    whole_table = read_csv("id,note\n" + "".join(f'{i},"n\n{i}"\n' for i in range(500)))
    chunks = list(iter_table(TableKeys(source="leads.csv"), tmp_path, chunk_rows))
    assert {len(chunk) for chunk in chunks[:-1]} <= {chunk_rows}
    pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True), whole_table)


def test_giant_cell_is_named_by_its_line(tmp_path: Path) -> None:
    giant = "x" * 200_000
    (tmp_path / "leads.csv").write_text("id,note\n" + "1,a\n" * 25 + f"2,{giant}\n")
    chunks = iter_table(TableKeys(source="leads.csv"), tmp_path, chunk_rows=10)
    assert len(next(chunks)) == 10
    assert len(next(chunks)) == 10
    with pytest.raises(SchemaError, match=r"\(line 27\)"):
        next(chunks)


def test_rows_of_parquet_are_counted_without_reading_them(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pa.table({"id": [1, 2, 3]}), tmp_path / "leads.parquet")
    assert count_rows(TableKeys(source="leads.parquet"), tmp_path) == 3


def test_rows_of_csv_are_not_counted(read_csv: ReadCsv, tmp_path: Path) -> None:
    read_csv("id\n1\n")
    assert count_rows(TableKeys(source="leads.csv"), tmp_path) is None


def test_rows_of_a_database_are_not_counted(tmp_path: Path) -> None:
    keys = TableKeys(source="sqlite:///leads.parquet", table="leads")
    assert count_rows(keys, tmp_path) is None


# -- one table from every source

PROJECT = """
[project]
name = "acme"
[leads]
{source}
lead_id = "id"
created_at = "created"
outcome = "status"
closed_at = "closed"
[learn]
won = ["won"]
lost = ["lost"]
horizon_days = 10
"""
N_LEADS = 200
WriteLeads = Callable[[pd.DataFrame, Path], str]
Learned = tuple[FeaturePipeline, NDArray[np.int8], Floats]


@pytest.fixture
def leads() -> pd.DataFrame:
    """Build leads with columns of every type, and missing cells in each type."""
    generator = np.random.default_rng(5)
    created = pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(range(N_LEADS), unit="h")
    status = generator.choice(["won", "lost"], N_LEADS)
    regions = np.array(["EU", "eu ", "US", None, "Köln"], dtype=object)
    leads = pd.DataFrame(
        {
            "id": range(1, N_LEADS + 1),
            "created": created,
            "status": status,
            "closed": created + pd.Timedelta(days=2),
            "region": generator.choice(regions, N_LEADS),
            "employees": pd.array(generator.integers(0, 9, N_LEADS), dtype="Int64"),
            "revenue": np.where(
                generator.random(N_LEADS) < 0.2, np.nan, generator.random(N_LEADS) * 1e6
            ),
            "opted_in": generator.random(N_LEADS) < 0.5,
        }
    )
    leads.loc[3, "employees"] = pd.NA
    leads.loc[N_LEADS - 1, "closed"] = created[0] + pd.Timedelta(days=60)
    return leads


def leads_as_text(leads: pd.DataFrame) -> pd.DataFrame:
    """Return the leads as sources without types store them: times and truth values as text."""
    times = {name: leads[name].map(pd.Timestamp.isoformat) for name in ("created", "closed")}
    opted_in = leads["opted_in"].map({True: "true", False: "false"})
    return leads.assign(**times, opted_in=opted_in)


def write_csv(leads: pd.DataFrame, folder: Path) -> str:
    leads_as_text(leads).to_csv(folder / "leads.csv", index=False)
    return 'source = "leads.csv"'


def write_parquet(leads: pd.DataFrame, folder: Path) -> str:
    leads.to_parquet(folder / "leads.parquet")
    return 'source = "leads.parquet"'


def write_sqlite(leads: pd.DataFrame, folder: Path) -> str:
    connection = sqlite3.connect(folder / "crm.db")
    with connection:
        leads_as_text(leads).to_sql("leads", connection, index=False)
    connection.close()
    return 'source = "sqlite:///crm.db"\ntable = "leads"'


def write_postgres(leads: pd.DataFrame, url: str) -> str:
    columns = (
        "id int, created timestamptz, status text, closed timestamptz, region text, "
        "employees numeric, revenue float8, opted_in bool"
    )
    placeholders = ", ".join(["%s"] * len(leads.columns))
    rows = leads.astype(object).where(leads.notna(), None).to_numpy().tolist()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("drop table if exists same_leads")
        connection.execute(f"create table same_leads ({columns})")
        with connection.cursor() as cursor:
            cursor.executemany(f"insert into same_leads values ({placeholders})", rows)
    return f'source = "{url}"\ntable = "same_leads"'


def learn(source: str, folder: Path) -> Learned:
    """Fit the features on a source; return the pipeline, the labels and the matrix."""
    (folder / "leadscore.toml").write_text(PROJECT.format(source=source))
    project = load_project(folder)
    records = read_records(project)
    moments = make_moments(records, project.learn)
    pipeline = fit_pipeline(records, moments, project)
    matrix = pipeline.transform(records, moments.lead, moments.as_of)
    return pipeline, moments.label, matrix


def assert_learned_equally(actual: Learned, expected: Learned) -> None:
    pipeline, labels, matrix = actual
    expected_pipeline, expected_labels, expected_matrix = expected
    assert pipeline.to_json() == expected_pipeline.to_json()
    np.testing.assert_array_equal(labels, expected_labels)
    np.testing.assert_array_equal(matrix, expected_matrix)


def test_every_attribute_is_learned_from_csv(leads: pd.DataFrame, tmp_path: Path) -> None:
    pipeline, labels, _ = learn(write_csv(leads, tmp_path), tmp_path)
    attributes = {attribute["column"] for attribute in pipeline.to_json()["attributes"]}
    assert {"region", "employees", "revenue", "opted_in"} <= attributes
    assert 0 < labels.sum() < len(labels) == N_LEADS


@pytest.mark.parametrize("write", [write_parquet, write_sqlite])
def test_files_give_the_features_of_csv(
    leads: pd.DataFrame, tmp_path: Path, write: WriteLeads
) -> None:
    from_csv = learn(write_csv(leads, tmp_path), tmp_path)
    from_file = learn(write(leads, tmp_path), tmp_path)
    assert_learned_equally(from_file, from_csv)


def test_postgres_gives_the_features_of_csv(
    leads: pd.DataFrame, tmp_path: Path, postgres_url: str
) -> None:
    from_csv = learn(write_csv(leads, tmp_path), tmp_path)
    from_postgres = learn(write_postgres(leads, postgres_url), tmp_path)
    assert_learned_equally(from_postgres, from_csv)
