"""Checks the records as they were read: what each column contains, and what looks wrong."""
