"""Retrains without a person: decides when, and rescores the open leads."""
