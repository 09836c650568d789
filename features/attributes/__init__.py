"""The kinds of attributes of a lead, one file each."""
