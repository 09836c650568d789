"""Leads as callers sent them to be scored, so that the ledger alone can teach a model."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the table of leads."""
    op.create_table(
        "leads",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("lead_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_index("leads_by_lead", "leads", ["lead_id", "seq"])
