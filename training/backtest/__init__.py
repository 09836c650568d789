"""Evaluates the whole training procedure at many cut-offs, as it would have been trained then."""
