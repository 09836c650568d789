"""Builds the ledger's tables, step by step, with Alembic; `crm.ledger.database` runs it."""
