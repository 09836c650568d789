"""The page about the score."""
