"""Computes what each feature adds to the margin of the trees."""
