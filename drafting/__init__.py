"""Writes a first project file from a company's data (`leadscore init`)."""
