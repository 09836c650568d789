"""Reads tables from files and databases."""
