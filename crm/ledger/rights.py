"""Finds the rights on a PostgreSQL database that the ledger needs and its role does not have."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from crm.ledger.schema import OF_LEADS, VERSION_TABLE, erasures, keys

TABLE_RIGHTS: Final = {
    VERSION_TABLE: ("SELECT",),
    keys.name: ("SELECT",),
    erasures.name: ("SELECT", "INSERT"),
    **{table.name: ("SELECT", "INSERT", "DELETE") for table in OF_LEADS},
}
DIALECT: Final[Any] = postgresql.dialect  # has no types
QUOTE: Final = DIALECT().identifier_preparer.quote

MISSING_ON_TABLES: Final = sa.text(
    "SELECT pg_class.relname, wanted.privilege FROM pg_class "
    "JOIN unnest(CAST(:tables AS text[]), CAST(:privileges AS text[])) "
    "AS wanted(relname, privilege) ON wanted.relname = pg_class.relname "
    "WHERE relnamespace = current_schema()::regnamespace "
    "AND NOT has_table_privilege(pg_class.oid, wanted.privilege)"
)
MISSING_ON_SEQUENCES: Final = sa.text(
    "SELECT sequence.relname FROM pg_class AS sequence "
    "JOIN pg_depend ON pg_depend.objid = sequence.oid AND deptype IN ('a', 'i') "
    "AND classid = 'pg_class'::regclass JOIN pg_class AS owner ON owner.oid = refobjid "
    "WHERE owner.relname = ANY(CAST(:tables AS text[])) "
    "AND owner.relnamespace = current_schema()::regnamespace "
    "AND CASE WHEN sequence.relkind = 'S' "  # AND may check a table first, which is an error
    "THEN NOT has_sequence_privilege(sequence.oid, 'USAGE') END"
)
ROLE_AND_SCHEMA: Final = sa.text(
    "SELECT current_user, current_schema(), "
    "has_schema_privilege(current_schema(), 'CREATE'), "
    "(SELECT count(*) FROM pg_class WHERE relname = :version_table "
    "AND relnamespace = current_schema()::regnamespace)"
)


class MissingRights(NamedTuple):
    """Rights that a role lacks, and the statements that grant them.

    Attributes
    ----------
    role : str
    rights : tuple of str
        Such as "INSERT on the table scores".
    grants : tuple of str
        The statements that the owner of the tables executes.
    """

    role: str
    rights: tuple[str, ...]
    grants: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"The role {self.role!r} lacks {'; '.join(self.rights)}. "
            f"The owner of the tables grants them: {' '.join(self.grants)}"
        )


def missing_rights(connection: sa.Connection) -> MissingRights | None:
    """Return the rights that the role of this connection lacks; None if it has all of them."""
    row = connection.execute(ROLE_AND_SCHEMA, {"version_table": VERSION_TABLE}).one()
    role, schema, may_create, has_tables = row
    if schema is None:
        text = "USAGE on every schema of its search_path"
        return MissingRights(role, (text,), (f"GRANT USAGE ON SCHEMA public TO {QUOTE(role)};",))
    if not has_tables:
        if may_create:
            return None
        grant = f"GRANT USAGE, CREATE ON SCHEMA {QUOTE(schema)} TO {QUOTE(role)};"
        return MissingRights(role, (f"CREATE on the schema {schema}",), (grant,))
    pairs = [(table, right) for table, rights in TABLE_RIGHTS.items() for right in rights]
    wanted = {"tables": [pair[0] for pair in pairs], "privileges": [pair[1] for pair in pairs]}
    by_right: dict[str, list[str]] = {}
    for table, right in sorted(connection.execute(MISSING_ON_TABLES, wanted)):
        by_right.setdefault(right, []).append(table)
    sequences = sorted(connection.scalars(MISSING_ON_SEQUENCES, {"tables": list(TABLE_RIGHTS)}))
    rights = [f"{right} on {_listed('table', tables)}" for right, tables in by_right.items()]
    grants = [_grant(right, "TABLE", tables, schema, role) for right, tables in by_right.items()]
    if sequences:
        rights.append(f"USAGE on {_listed('sequence', sequences)}")
        grants.append(_grant("USAGE", "SEQUENCE", sequences, schema, role))
    return MissingRights(role, tuple(rights), tuple(grants)) if rights else None


def _listed(kind: str, names: Sequence[str]) -> str:
    return f"the {kind}{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _grant(right: str, kind: str, names: Sequence[str], schema: str, role: str) -> str:
    objects = ", ".join(f"{QUOTE(schema)}.{QUOTE(name)}" for name in names)
    return f"GRANT {right} ON {kind} {objects} TO {QUOTE(role)};"
