"""From records to numbers, as of a moment."""
