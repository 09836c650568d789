"""The numbered checks of the leak audit."""
