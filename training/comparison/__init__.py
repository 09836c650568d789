"""Compares two models on the same leads."""
