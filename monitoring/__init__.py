"""Watches a model: whether the scores that were given come true, and whether the leads change."""
