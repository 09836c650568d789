"""Reading Parquet, SQLite and PostgreSQL, whose cells have types."""

import datetime
import decimal
import re
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet
import pytest

from crm.cells import number_column, text_column
from crm.errors import ConfigError, SchemaError, SourceError
from crm.project import TableKeys
from crm.sources.source import iter_table, name_of, read_table
from tests.made_tables import cell_texts

Read = Callable[..., pd.DataFrame]

# -- Parquet


@pytest.fixture
def parquet(tmp_path: Path) -> Read:
    """Return a function that writes columns as Parquet and reads them as a table."""

    def read(columns: Any) -> pd.DataFrame:
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        pyarrow.parquet.write_table(table, tmp_path / "leads.parquet")
        return read_table(TableKeys(source="leads.parquet"), tmp_path)

    return read


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_truncated_parquet_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "leads.parquet"
    pyarrow.parquet.write_table(pa.table({"id": list(range(1_000))}), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    message = r"leads\.parquet is not a complete Parquet file: .* Is it cut off\? Write or copy it"
    with pytest.raises(SourceError, match=message):
        read_table(TableKeys(source="leads.parquet"), tmp_path)


def test_csv_named_parquet_is_read(tmp_path: Path) -> None:
    (tmp_path / "leads.parquet").write_text("id,won\n1,yes\n")
    table = read_table(TableKeys(source="leads.parquet"), tmp_path)
    assert cell_texts(table) == [["1", "yes"]]


def test_parquet_of_any_name_is_read(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pa.table({"id": [1, 2]}), tmp_path / "leads.csv")
    assert read_table(TableKeys(source="leads.csv"), tmp_path)["id"].tolist() == [1, 2]


def test_parquet_without_rows_is_refused(parquet: Read) -> None:
    with pytest.raises(SchemaError, match="it has a header but no rows"):
        parquet({"id": pa.array([], pa.int64())})


# For each type: an array, its cells as text, and its cells as numbers.
NEW_YEAR = datetime.datetime(2025, 1, 1, 8)  # noqa: DTZ001
PARQUET = {
    "integer": (pa.array([7, None]), ["7", None], [7, np.nan]),
    "float": (pa.array([0.5, float("inf")]), ["0.5", "inf"], [0.5, np.nan]),
    "boolean": (pa.array([True, None]), ["true", None], [1, np.nan]),
    "decimal": (
        pa.array([decimal.Decimal("1.50"), None], pa.decimal128(10, 2)),
        ["1.5", None],
        [1.5, np.nan],
    ),
    "dictionary of text": (pa.array(["a", None]).dictionary_encode(), ["a", None], [np.nan] * 2),
    "dictionary of numbers": (pa.array([3, None]).dictionary_encode(), ["3", None], [3, np.nan]),
    "binary": (pa.array(["Köln".encode(), b"\xff"]), ["Köln", "\ufffd"], [np.nan] * 2),
    "date": (pa.array([NEW_YEAR.date(), None]), ["2025-01-01", None], [np.nan] * 2),
    "time": (pa.array([NEW_YEAR.time(), None]), ["08:00:00", None], [np.nan] * 2),
    "timestamp": (pa.array([NEW_YEAR, None]), ["2025-01-01T08:00:00", None], [np.nan] * 2),
    "timestamp with a zone": (
        pa.array([NEW_YEAR, None], pa.timestamp("ms", "Europe/Berlin")),
        ["2025-01-01T09:00:00+01:00", None],
        [np.nan] * 2,
    ),
    "duration": (
        pa.array([datetime.timedelta(days=1), None]),
        ["1 days 00:00:00", None],
        [np.nan] * 2,
    ),
    "list": (pa.array([[1], [2, 3]]), ["1", "[2,3]"], [1.0, np.nan]),
    "nothing": (pa.nulls(2), [None, None], [np.nan] * 2),
}


@pytest.mark.parametrize(("array", "texts", "numbers"), PARQUET.values(), ids=PARQUET)
def test_every_parquet_type_is_read(
    parquet: Read, array: pa.Array, texts: list[str | None], numbers: list[float]
) -> None:
    column = parquet({"id": [1, 2], "x": array})["x"]
    assert text_column(column).tolist() == texts
    np.testing.assert_array_equal(number_column(column), numbers)


def test_parquet_column_names_are_trimmed_and_numbered(parquet: Read) -> None:
    assert list(parquet({" id ": [1], "": [2]}).columns) == ["id", "column 2"]


def test_repeated_parquet_column_name_gets_a_number(parquet: Read) -> None:
    table = parquet(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a "]))
    assert list(table.columns) == ["a", "a (2)"]


def test_named_pandas_index_is_a_column(parquet: Read) -> None:
    index = pd.Index(["a", "b"], name="lead_id")
    frame = pd.DataFrame({"x": [1, 2]}, index=index)
    table = parquet(pa.Table.from_pandas(frame))
    assert sorted(table.columns) == ["lead_id", "x"]


def test_pandas_index_without_a_name_is_left_out(parquet: Read) -> None:
    frame = pd.DataFrame({"x": [1, 2]}, index=["a", "b"])
    table = parquet(pa.Table.from_pandas(frame))
    assert list(table.columns) == ["x"]


# -- SQLite


@pytest.fixture
def sqlite(tmp_path: Path) -> Read:
    """Write the database crm.db; return a function that reads a table or query of it."""
    connection = sqlite3.connect(tmp_path / "crm.db")
    connection.executescript(
        """
        create table leads (id integer, name text, created timestamp, amount numeric(10, 2),
                            flag boolean, born date, file blob);
        insert into leads values
            (1, 'a', '2025-03-01T08:00:00Z', '12.5', 1, '2025-03-01', x'61'),
            (2, null, 'soon', 7, 0, 'never', null);
        create table "Odd Name" ("a b" text);
        insert into "Odd Name" values ('x');
        create table empty (id integer);
        create view everyone as select id from leads;
        """
    )
    connection.close()

    def read(source: str = "sqlite:///crm.db", **keys: Any) -> pd.DataFrame:
        return read_table(TableKeys(source=source, **keys), tmp_path)

    return read


def test_sqlite_table_is_read_with_any_declared_types(sqlite: Read) -> None:
    assert cell_texts(sqlite(table="leads")) == [
        ["1", "a", "2025-03-01T08:00:00Z", "12.5", "1", "2025-03-01", "a"],
        ["2", None, "soon", "7", "0", "never", None],
    ]


def test_sqlite_path_may_be_absolute(sqlite: Read, tmp_path: Path) -> None:
    assert len(sqlite(f"sqlite:///{tmp_path}/crm.db", table="leads")) == 2


def test_sqlite_view_is_read(sqlite: Read) -> None:
    assert len(sqlite(table="everyone")) == 2


def test_names_with_spaces_are_read(sqlite: Read) -> None:
    assert list(sqlite(table="Odd Name").columns) == ["a b"]


def test_query_is_read(sqlite: Read) -> None:
    table = sqlite(query="select ':x' as a, 7 % 4 as \"b:c\", '%s' as c;")
    assert table.to_dict("records") == [{"a": ":x", "b:c": 3, "c": "%s"}]


def test_missing_table_suggests_the_nearest_name(sqlite: Read) -> None:
    message = r"The database has no table `lead`\. Did you mean `leads`\?"
    with pytest.raises(SourceError, match=message):
        sqlite(table="lead")


def test_empty_table_is_refused(sqlite: Read) -> None:
    message = r"the database table empty: it has a header but no rows"
    with pytest.raises(SchemaError, match=message):
        sqlite(table="empty")


def test_failing_query_is_reported(sqlite: Read) -> None:
    message = r"the database query cannot be read from sqlite:.*: no such column: nope\. Check `so"
    with pytest.raises(SourceError, match=message):
        sqlite(query="select nope from leads")


def test_query_cannot_change_data(sqlite: Read) -> None:
    with pytest.raises(SourceError, match="attempt to write a readonly database"):
        sqlite(query="delete from leads")
    assert len(sqlite(table="leads")) == 2


def test_table_or_query_is_required(sqlite: Read) -> None:
    with pytest.raises(ConfigError, match=r"also needs `table` or `query`"):
        sqlite()


def test_repeated_column_name_in_a_query_gets_a_number(sqlite: Read) -> None:
    assert list(sqlite(query="select 1 as a, 2 as a").columns) == ["a", "a (2)"]


def test_missing_sqlite_file_is_not_created(sqlite: Read, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"There is no file .*crn\.db\. Did you mean `crm\.db`\?"):
        sqlite("sqlite:///crn.db", table="leads")
    assert [path.name for path in tmp_path.iterdir()] == ["crm.db"]


def test_file_that_is_not_a_database_is_refused(sqlite: Read, tmp_path: Path) -> None:
    (tmp_path / "no.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(SourceError, match="table leads cannot be read .*: file is not a database"):
        sqlite("sqlite:///no.db", table="leads")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hunter2@h/d",
        "postgres://u:hunter2@h/d",
        "postgresql://u:hunter2@x:hunter2@h:port/d",
        "https://u:hunter2@h/leads.csv",
        "://hunter2",
    ],
)
def test_unusable_url_is_refused(tmp_path: Path, url: str) -> None:
    message = r"A database URL .* Expected sqlite:///FILE or postgresql://USER.*written as %40"
    with pytest.raises(ConfigError, match=message) as refusal:
        read_table(TableKeys(source=url, table="leads"), tmp_path)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://eve:hunter2@127.0.0.1:1/crm",
        "postgresql://127.0.0.1:1/crm?user=eve&password=hunter2",
        "postgresql://eve:hunter2@127.0.0.1:1/crm?hunter2=1",
    ],
)
def test_password_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CRM_URL", url)
    message = "cannot be read from postgresql.*Check `source`"
    for keys in (TableKeys(source=url, table="leads"), TableKeys("${CRM_URL}", query="select 1")):
        with pytest.raises(SourceError, match=message) as refusal:
            read_table(keys, tmp_path)
        assert "hunter2" not in str(refusal.value)
        assert "hunter2" not in name_of(keys)


# -- PostgreSQL


@pytest.fixture
def postgres(postgres_url: str, tmp_path: Path) -> Iterator[Read]:
    """Return a function that executes statements in a new schema, then reads a table or query.

    `SCHEMA` in the keys is replaced by the name of the schema.
    """
    schema = f"s{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"create schema {schema}")
        connection.execute(f"set search_path to {schema}")

        def read(*statements: str, url: str = postgres_url, **keys: str) -> pd.DataFrame:
            for statement in statements:
                connection.execute(statement.encode())
            in_schema: Any = {key: value.replace("SCHEMA", schema) for key, value in keys.items()}
            return read_table(TableKeys(source=url, **in_schema), tmp_path)

        yield read
        connection.execute(f"drop schema {schema} cascade")


# For each type: an expression, its cell as text, and its cell as a number.
POSTGRES = {
    "numeric": ("12.50::numeric", "12.5", 12.5),
    "numeric nan": ("'NaN'::numeric", None, np.nan),
    "integer": ("7", "7", 7),
    "bigint": ("9007199254740993::bigint", "9007199254740993", 9007199254740992),
    "double": ("0.5::float8", "0.5", 0.5),
    "boolean": ("true", "true", 1),
    "text": ("' a  b '", "a b", np.nan),
    "uuid": (
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        np.nan,
    ),
    "timestamptz": ("'2025-01-01 08:00+02'::timestamptz", "2025-01-01T06:00:00+00:00", np.nan),
    "timestamp": ("'2025-01-01 08:00'::timestamp", "2025-01-01T08:00:00", np.nan),
    "date": ("'2025-01-01'::date", "2025-01-01", np.nan),
    "json object": ("""'{"a": 1}'::jsonb""", None, np.nan),
    "json list": ("'[1, 2]'::json", "[1,2]", np.nan),
    "json text": ("""'"a"'::jsonb""", "a", np.nan),
    "array": ("array[1, 2]", "[1,2]", np.nan),
    "bytea": ("'\\x61'::bytea", "a", np.nan),
    "enum-like char": ("'a'::char(3)", "a", np.nan),
    "null": ("null::text", None, np.nan),
}


@pytest.mark.parametrize(("sql", "text", "number"), POSTGRES.values(), ids=POSTGRES)
def test_every_postgres_type_is_read(
    postgres: Read, sql: str, text: str | None, number: float
) -> None:
    column = postgres("set timezone to 'UTC'", query=f"select 1 as id, {sql} as x")["x"]
    if "timestamptz" in sql:
        column = column.dt.tz_convert("UTC")
    assert text_column(column).tolist() == [text]
    np.testing.assert_array_equal(number_column(column), [number])


def test_postgres_table_is_read_with_nulls(postgres: Read) -> None:
    table = postgres(
        "create table leads "
        "(id int, amount numeric, is_new bool, created_at timestamptz, notes jsonb)",
        "insert into leads values (1, 1.5, true, '2025-01-01 08:00+00', '{}')",
        "insert into leads values (2)",
        table="SCHEMA.leads",
    )
    np.testing.assert_array_equal(number_column(table["amount"]), [1.5, np.nan])
    assert text_column(table["is_new"]).tolist() == ["true", None]
    created_at = pd.Timestamp("2025-01-01 08:00", tz="UTC")
    assert table["created_at"].tolist() == [created_at, pd.NaT]
    assert table["notes"].isna().all()


def test_missing_postgres_table_suggests_the_nearest_name(postgres: Read) -> None:
    message = r"no table `s\w+\.leads`\. Did you mean `leads_2024`\?"
    with pytest.raises(SourceError, match=message):
        postgres("create table leads_2024 (id int)", table="SCHEMA.leads")


def test_postgres_query_cannot_change_a_sequence(postgres: Read) -> None:
    postgres("create sequence numbers", query="select 1 as id")
    with pytest.raises(SourceError, match=r"cannot execute nextval\(\) in a read-only trans"):
        postgres(query="select nextval('SCHEMA.numbers')")


def test_postgres_query_cannot_delete_rows(postgres: Read) -> None:
    postgres("create table leads as select 1 as id", table="SCHEMA.leads")
    with pytest.raises(SourceError, match="cannot be read"):
        postgres(query="delete from SCHEMA.leads returning id")
    assert len(postgres(table="SCHEMA.leads")) == 1


def test_postgres_query_may_contain_colons_and_percent_signs(postgres: Read) -> None:
    table = postgres(query="select ':x' as a, '08:00'::time::text as b, '50%' as c;")
    assert table.to_dict("records") == [{"a": ":x", "b": "08:00:00", "c": "50%"}]


def test_time_outside_of_pythons_range_is_reported(postgres: Read) -> None:
    with pytest.raises(SourceError, match=r"the database query cannot be read .*infinity"):
        postgres(query="select 'infinity'::timestamptz as t")


def test_postgres_password_is_never_shown(postgres: Read, postgres_url: str) -> None:
    url = re.sub("postgres:?@/postgres", "eve:hunter%402@/crm", postgres_url)
    with pytest.raises(SourceError, match=r"from postgresql\+psycopg://eve:\*\*\*@") as refusal:
        postgres(url=url, table="leads")
    assert "hunter" not in str(refusal.value)


def test_postgres_rows_are_read_in_chunks(postgres_url: str, tmp_path: Path) -> None:
    keys = TableKeys(source=postgres_url, query="select generate_series(1, 25) as id")
    chunks = list(iter_table(keys, tmp_path, chunk_rows=10))
    assert [len(chunk) for chunk in chunks] == [10, 10, 5]
    assert pd.concat(chunks)["id"].tolist() == list(range(1, 26))
