"""Shared moments of two versions, for the tests of comparisons and gates."""

import numpy as np

from crm.arrays import Floats
from features.moments import Moments
from training.comparison.comparison import SharedMoments


def one_cut_off(moments: Moments, challenger: Floats, champion: Floats) -> SharedMoments:
    """Return shared moments of one cut-off."""
    return SharedMoments(moments, challenger, champion, np.zeros(len(moments), dtype=np.int64))
