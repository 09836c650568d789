"""The model card as a page."""
