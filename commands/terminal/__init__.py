"""Formats what the commands show."""
