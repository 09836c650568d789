"""The page about service levels."""
