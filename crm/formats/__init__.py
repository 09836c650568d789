"""The formats of numbers and times, one for each column of a source."""
