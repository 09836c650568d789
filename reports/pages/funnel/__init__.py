"""The page about the funnel."""
