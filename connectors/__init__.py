"""Clients of other programs over HTTP. They know nothing of leads, models and projects."""
