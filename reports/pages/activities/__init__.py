"""The page about activities and contents."""
