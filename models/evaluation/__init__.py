"""Measures of quality, with intervals."""
