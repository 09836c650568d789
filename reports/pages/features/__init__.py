"""The page about features."""
