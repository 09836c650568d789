"""LightGBM's library through its C interface, for scoring only.

The package `lightgbm` imports scikit-learn, SciPy's statistics and pandas, which takes seconds
at each start of the service. Its `Booster.predict` needs more time to reach the library for one
lead than the library needs to walk the trees. So scoring calls the library directly. The
results equal those of `Booster.predict` bit for bit.
"""

import ctypes
import importlib.util
import weakref
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from crm.arrays import Floats

FLOAT64 = 1  # C_API_DTYPE_FLOAT64
RAW_SCORE = 1  # C_API_PREDICT_RAW_SCORE
FIRST, ALL = 0, -1  # the first tree to use, and the number of trees
MANY_ROWS = 256  # from this number on, threads save time

_int, _pointer, _text = ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p
_int32, _int64 = ctypes.c_int32, ctypes.c_int64
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "LGBM_BoosterLoadModelFromString": (_text, _pointer, _pointer),
    "LGBM_BoosterGetNumFeature": (_pointer, _pointer),
    "LGBM_BoosterPredictForMat": (
        _pointer,
        _pointer,
        _int,
        _int32,
        _int32,
        _int,
        _int,
        _int,
        _int,
        _text,
        _pointer,
        _pointer,
    ),
    "LGBM_BoosterPredictForMatSingleRowFastInit": (
        _pointer,
        _int,
        _int,
        _int,
        _int,
        _int32,
        _text,
        _pointer,
    ),
    "LGBM_BoosterPredictForMatSingleRowFast": (_pointer, _pointer, _pointer, _pointer),
    "LGBM_FastConfigFree": (_pointer,),
    "LGBM_BoosterFree": (_pointer,),
}


class LoadedBooster:
    """Trees that LightGBM's library has loaded.

    Parameters
    ----------
    text : str
        The text that `lightgbm.Booster.model_to_string` writes. It must have passed
        `models.contributions.booster_text.check_booster_text`.

    Attributes
    ----------
    n_features : int

    Raises
    ------
    ValueError
        If the library cannot read the text.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._booster, count = _pointer(), _int()
        _call(
            "LGBM_BoosterLoadModelFromString",
            text.encode(),
            ctypes.byref(count),
            ctypes.byref(self._booster),
        )
        weakref.finalize(self, _call, "LGBM_BoosterFree", self._booster)
        _call("LGBM_BoosterGetNumFeature", self._booster, ctypes.byref(count))
        self.n_features = count.value
        self._one_row = _pointer()
        _call(
            "LGBM_BoosterPredictForMatSingleRowFastInit",
            self._booster,
            RAW_SCORE,
            FIRST,
            ALL,
            FLOAT64,
            self.n_features,
            _parameters(1),
            ctypes.byref(self._one_row),
        )
        weakref.finalize(self, _call, "LGBM_FastConfigFree", self._one_row)  # before the booster
        self._predict_one = _library().LGBM_BoosterPredictForMatSingleRowFast

    def __reduce__(self) -> tuple[type["LoadedBooster"], tuple[str]]:
        """Copy by loading the text again: the library's memory cannot be copied."""
        return type(self), (self._text,)

    def margin(self, features: Floats) -> Floats:
        """Compute the margin, shape (n,), of a feature matrix, shape (n, n_features).

        Raises
        ------
        ValueError
            If the matrix has another number of columns.
        """
        n, width = features.shape
        if width != self.n_features:
            raise ValueError(f"the trees expect {self.n_features} features; got {width}")
        is_by_rows = not features.flags.f_contiguous or n == 1
        rows = np.require(features, np.float64, "C" if is_by_rows else "F")
        margin, length = np.empty(n), _int64()
        if n == 1:
            _check(
                self._predict_one(
                    self._one_row, rows.ctypes.data, ctypes.byref(length), margin.ctypes.data
                )
            )
        elif n:
            _call(
                "LGBM_BoosterPredictForMat",
                self._booster,
                rows.ctypes.data,
                FLOAT64,
                n,
                width,
                is_by_rows,
                RAW_SCORE,
                FIRST,
                ALL,
                _parameters(1 if n < MANY_ROWS else 0),
                ctypes.byref(length),
                margin.ctypes.data,
            )
        return margin


@cache
def _library() -> Any:
    """Load the library of the installed package without importing the package."""
    package = importlib.util.find_spec("lightgbm")
    if package is None or package.origin is None:
        raise ImportError("LightGBM is not installed. Install what requirements.lock names.")
    finder = importlib.util.spec_from_file_location(
        "lightgbm_libpath", Path(package.origin).parent / "libpath.py"
    )
    assert finder is not None
    assert finder.loader is not None
    module = importlib.util.module_from_spec(finder)
    finder.loader.exec_module(module)
    library = module._LIB
    library.LGBM_GetLastError.restype = _text
    for name, arguments in SIGNATURES.items():
        getattr(library, name).argtypes = arguments
    return library


def _parameters(n_threads: int) -> bytes:
    return f"num_threads={n_threads} verbosity=-1".encode()


def _call(name: str, *arguments: Any) -> None:
    _check(getattr(_library(), name)(*arguments))


def _check(status: int) -> None:
    if status != 0:
        problem = _library().LGBM_GetLastError().decode(errors="replace")
        raise ValueError(f"LightGBM cannot use the trees: {problem}")
