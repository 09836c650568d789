"""Simulates the records of a CRM."""
