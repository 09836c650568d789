"""Logs each training as one MLflow run, and registers its model."""
