"""Types of NumPy arrays, by what the elements are."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]  # counts, times, and positions of leads or moments
Indexes = NDArray[np.intp]  # positions as NumPy itself returns and takes them
Bools = NDArray[np.bool_]
Labels = NDArray[np.int8]  # 1 for won, 0 for not won
Codes = NDArray[np.int32]  # positions in a list of names; -1 for none
Hashes = NDArray[np.uint64]
Bits = NDArray[np.uint16]  # 16 answers of yes or no in each number
PackedBits = NDArray[np.uint8]  # 8 answers of yes or no in each number, as np.packbits makes them
Strings = NDArray[np.str_]
Objects = NDArray[np.object_]
