"""The pages of a report, one file each."""
