"""Indexes by lead and time, so that a lead with very many events is read and written quickly."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the indexes."""
    op.create_index("activities_by_time", "activities", ["lead_id", "occurred_at"])
    op.create_index("stages_by_time", "stages", ["lead_id", "entered_at"])
    op.create_index("outcomes_by_time", "outcomes", ["lead_id", "closed_at"])
