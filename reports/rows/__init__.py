"""The rows that every page of a report counts."""
