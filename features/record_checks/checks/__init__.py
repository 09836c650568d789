"""The numbered record checks."""
