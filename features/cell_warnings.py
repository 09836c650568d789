"""What is said of an odd cell, after the name of its column. The service counts them by these."""

from typing import Final

NO_NUMBER: Final = "is no number and counts as missing"
NO_FLAG: Final = "is neither yes nor no and counts as missing"
NO_TIME: Final = "is no ISO 8601 time and counts as missing"
NO_ADDRESS: Final = "is no e-mail address"
RARE: Final = "has a value that was rare or unseen in training"
UNSEEN: Final = "has a value that was unseen in training"
UNKNOWN: Final = "is unknown and was ignored"
