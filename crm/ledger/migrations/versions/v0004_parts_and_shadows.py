"""Parts, warnings and lanes of scores, and the scores of shadow models beside them."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns, which are empty in older rows, the table, and the key of the lanes."""
    op.add_column("scores", sa.Column("lane", sa.Text))
    op.add_column("scores", sa.Column("start", sa.Double))
    op.add_column("scores", sa.Column("points", sa.Text))
    op.add_column("scores", sa.Column("warnings", sa.Text))
    op.create_table(
        "shadow_scores",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("lead_id", sa.Text, nullable=False),
        sa.Column("score_id", sa.Text, nullable=False),
        sa.Column("as_of", sa.BigInteger, nullable=False),
        sa.Column("probability", sa.Double, nullable=False),
        sa.Column("score", sa.Integer, nullable=False),
        sa.Column("grade", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("lead_id", "score_id", "digest"),
    )
    keys = sa.table("ledger_keys", sa.column("purpose"), sa.column("key"))
    op.bulk_insert(keys, [{"purpose": "control", "key": secrets.token_hex(32)}])
