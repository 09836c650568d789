"""The result of a backtest as a page."""
