"""The leak audit: which attributes know too much, and why."""
