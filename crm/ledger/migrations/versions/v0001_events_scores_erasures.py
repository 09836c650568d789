"""Activities, stages, outcomes, scores, and the tombstones of erased leads."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Seq = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables, and the key that hashes the ids of erased leads."""
    op.create_table(
        "activities",
        sa.Column("seq", Seq, primary_key=True, autoincrement=True),
        sa.Column("lead_id", sa.Text, nullable=False),
        sa.Column("activity_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("content", sa.Text),
        sa.Column("channel", sa.Text),
        sa.Column("value", sa.Double),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("lead_id", "activity_id"),
    )
    op.create_table(
        "stages",
        sa.Column("seq", Seq, primary_key=True, autoincrement=True),
        sa.Column("lead_id", sa.Text, nullable=False),
        sa.Column("stage_id", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("entered_at", sa.BigInteger, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("lead_id", "stage_id"),
    )
    op.create_table(
        "outcomes",
        sa.Column("seq", Seq, primary_key=True, autoincrement=True),
        sa.Column("lead_id", sa.Text, nullable=False),
        sa.Column("outcome_id", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("closed_at", sa.BigInteger),
        sa.Column("amount", sa.Double),
        sa.Column("reason", sa.Text),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("lead_id", "outcome_id"),
    )
    op.create_table(
        "scores",
        sa.Column("seq", Seq, primary_key=True, autoincrement=True),
        sa.Column("lead_id", sa.Text, nullable=False),
        sa.Column("score_id", sa.Text, nullable=False),
        sa.Column("as_of", sa.BigInteger, nullable=False),
        sa.Column("probability", sa.Double, nullable=False),
        sa.Column("score", sa.Integer, nullable=False),
        sa.Column("grade", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("reasons", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("lead_id", "score_id"),
    )
    op.create_table(
        "erasures",
        sa.Column("seq", Seq, primary_key=True, autoincrement=True),
        sa.Column("lead_hash", sa.Text, nullable=False),
        sa.Column("erased_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("lead_hash"),
    )
    keys = op.create_table(
        "ledger_keys",
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
    )
    op.bulk_insert(keys, [{"purpose": "erasure", "key": secrets.token_hex(32)}])
