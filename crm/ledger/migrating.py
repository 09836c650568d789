"""Creates the ledger's tables, and brings them to the newest schema."""

import threading
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from crm.errors import ConfigError
from crm.ledger.schema import EVENTS, SCHEMA_VERSION, VERSION_TABLE, metadata, version

MIGRATIONS: Final = Path(__file__).resolve().parent / "migrations"
ONE_AT_A_TIME: Final = threading.Lock()  # Alembic has one current connection for each process


def is_current(connection: sa.Connection) -> bool:
    """Check whether the database has the newest schema."""
    return _schema_version(connection) == SCHEMA_VERSION and not _missing_columns(connection)


def migrate(connection: sa.Connection) -> None:
    """Create the tables, or bring them to the newest schema.

    Raises
    ------
    ConfigError
        If the schema is newer than this leadscore, or another program made the tables.
    """
    version = _schema_version(connection)
    if version != SCHEMA_VERSION:
        _migrate_from(connection, version)
    for column in _missing_columns(connection):
        _add_column(connection, column)


def _schema_version(connection: sa.Connection) -> str | None:
    """Return the version of the database's schema; None if it has no ledger."""
    inspector = sa.inspect(connection)
    if inspector.has_table(VERSION_TABLE):
        return connection.scalar(sa.select(version.c.version_num))
    foreign = sorted(set(inspector.get_table_names()) & set(metadata.tables))
    if foreign:
        raise ConfigError(
            f"The ledger's database has tables of another program: {', '.join(foreign)}. "
            "Use a separate database for the ledger."
        )
    return None


def _migrate_from(connection: sa.Connection, version: str | None) -> None:
    from alembic.config import Config  # imported here because it is slow to import
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    supported = {step.revision for step in script.walk_revisions()}
    if version is not None and version not in supported:
        raise ConfigError(
            f"The ledger has schema {version}; this leadscore supports {SCHEMA_VERSION} and older. "
            "Use the version of leadscore that wrote it, or a newer one."
        )

    def steps(revision: Any, _: Any) -> Any:
        return script._upgrade_revs(SCHEMA_VERSION, revision)

    with ONE_AT_A_TIME, EnvironmentContext(config, script, fn=steps) as environment:
        environment.configure(
            connection=connection, version_table=VERSION_TABLE, transactional_ddl=True
        )
        with environment.begin_transaction():
            environment.run_migrations()


def _missing_columns(connection: sa.Connection) -> list[sa.Column[Any]]:
    """Return the columns of events that `crm.tables` declares and the database lacks."""
    inspector = sa.inspect(connection)
    missing: list[sa.Column[Any]] = []
    for event in EVENTS.values():
        stored = {column["name"] for column in inspector.get_columns(event.table.name)}
        missing += [column for column in event.table.columns if column.name not in stored]
    return missing


def _add_column(connection: sa.Connection, column: sa.Column[Any]) -> None:
    """Add a column that was declared after the tables were created; older rows have no value."""
    from alembic.operations import Operations  # imported here because it is slow to import
    from alembic.runtime.migration import MigrationContext

    if not column.nullable:
        raise ConfigError(
            f"The ledger's table `{column.table.name}` has no column `{column.name}`, and its "
            "rows have no value for it. Declare the column as optional in crm/tables.py."
        )
    operations = Operations(MigrationContext.configure(connection))
    operations.add_column(column.table.name, sa.Column(column.name, column.type))
