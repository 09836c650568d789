"""The charts of the report and of the model card."""
