"""The kinds of attributes of a lead, one module each."""
