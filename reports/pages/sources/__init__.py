"""The page about sources."""
