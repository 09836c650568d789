"""The check of the records as a page."""
