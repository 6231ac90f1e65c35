"""LightGBM's C library, for predictions: loaded from the installed package without importing it.

`import lightgbm` brings scikit-learn, scipy and pandas in over a second; the C library alone loads in milliseconds.
Only functions of LightGBM's published C API (`c_api.h`) are called.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import os
import struct
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lichen.errors import LichenError, SystemFailed

_FLOAT64 = ctypes.c_int(1)
_NORMAL = ctypes.c_int(0)
_CONTRIBUTIONS = ctypes.c_int(3)
_ALL_ITERATIONS = ctypes.c_int(-1)
_GAIN = ctypes.c_int(1)
_POLICY = "OMP_WAIT_POLICY"
_SUFFIX = {"win32": "dll", "darwin": "dylib"}.get(sys.platform, "so")

log = logging.getLogger("lichen.lightgbm")


def threads() -> int:
    """How many threads LightGBM uses: the machine's processors."""
    return os.cpu_count() or 1


def cannot_load(why: str) -> LichenError:
    """The error for a machine on which LightGBM does not load."""
    if "libgomp" in why:
        fix = "install the OpenMP runtime: apt-get install libgomp1, or dnf install libgomp"
    elif "libomp" in why:
        fix = "install the OpenMP runtime: brew install libomp"
    else:
        fix = "install it again: pip install --force-reinstall lightgbm"
    return SystemFailed("LCH-2712", "LightGBM does not load on this machine", why=why, fix=fix)


def open_library(path: Path) -> ctypes.CDLL:
    """Load a C library, or say what the machine lacks."""
    try:
        return ctypes.CDLL(str(path))
    except OSError as failure:
        raise cannot_load(str(failure)) from failure


def _log(message: bytes) -> None:
    text = message.decode("utf-8", "replace").strip()
    if text:
        log.debug(text)


# Held for as long as the process runs: the library calls it whenever it has something to say.
_to_log = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(_log)


@contextmanager
def _waiting_threads_sleep() -> Iterator[None]:
    # OpenMP reads this once, as it is loaded. Its threads otherwise spin while they wait for each other: with both
    # processors of a machine busy, training took 44 s where it takes 5 s with sleeping ones (measured, 24,000 x 50).
    if _POLICY in os.environ:
        yield
        return
    os.environ[_POLICY] = "passive"
    try:
        yield
    finally:
        del os.environ[_POLICY]


def _place() -> Path:
    spec = importlib.util.find_spec("lightgbm")
    if spec is None or spec.origin is None:
        raise cannot_load("the package `lightgbm` is not installed")
    return Path(spec.origin).parent / "lib" / f"lib_lightgbm.{_SUFFIX}"


@cache
def library() -> ctypes.CDLL:
    """LightGBM's C library; its messages go to the log `lichen.lightgbm`."""
    with _waiting_threads_sleep():
        opened = open_library(_place())
    opened.LGBM_GetLastError.restype = ctypes.c_char_p
    opened.LGBM_RegisterLogCallback(_to_log)
    return opened


@cache
def _library_of_rows() -> ctypes.PyDLL:
    """The same library, called without letting go of Python's lock.

    A row takes 20 us. Where another thread waits for the lock, each call that lets go of it wakes that thread for
    nothing, which costs nearly as much again (14 us, measured in a virtual machine).
    """
    library()
    return ctypes.PyDLL(str(_place()))


class LibraryError(Exception):
    """The C library refused a call; the text is its own."""


def _checked(code: int) -> None:
    if code != 0:
        raise LibraryError(library().LGBM_GetLastError().decode("utf-8", "replace"))


class Trees:
    """A model held by LightGBM's C library, read from its text; freed with the object."""

    def __init__(self, text: str) -> None:
        self._library = library()
        handle, rounds = ctypes.c_void_p(), ctypes.c_int()
        _checked(
            self._library.LGBM_BoosterLoadModelFromString(
                ctypes.c_char_p(text.encode()), ctypes.byref(rounds), ctypes.byref(handle)
            )
        )
        self._handle = handle
        self._finalizer = weakref.finalize(self, self._library.LGBM_BoosterFree, handle)
        width = ctypes.c_int()
        _checked(self._library.LGBM_BoosterGetNumFeature(handle, ctypes.byref(width)))
        self.width = width.value

    def predict(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """One number for each row of a Fortran-ordered array."""
        return self._told(values, _NORMAL, 1)[:, 0]

    def contributions(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """For each row what each column adds to the raw score, and last what it starts from: exact TreeSHAP.

        Source: Lundberg et al., From local explanations to global understanding with explainable AI for trees, 2020.
        """
        return self._told(values, _CONTRIBUTIONS, self.width + 1)

    def _told(self, values: NDArray[np.float64], kind: ctypes.c_int, width: int) -> NDArray[np.float64]:
        rows, columns = values.shape
        out, written = np.empty((rows, width)), ctypes.c_int64()
        if rows == 0:
            return out
        _checked(
            self._library.LGBM_BoosterPredictForMat(
                self._handle,
                ctypes.c_void_p(values.ctypes.data),
                _FLOAT64,
                ctypes.c_int32(rows),
                ctypes.c_int32(columns),
                ctypes.c_int(0),
                kind,
                ctypes.c_int(0),
                _ALL_ITERATIONS,
                ctypes.c_char_p(f"num_threads={threads()}".encode()),
                ctypes.byref(written),
                ctypes.c_void_p(out.ctypes.data),
            )
        )
        return out

    def gains(self) -> NDArray[np.float64]:
        """How much each column's splits lowered the loss, summed."""
        out = np.zeros(self.width)
        _checked(
            self._library.LGBM_BoosterFeatureImportance(
                self._handle, _ALL_ITERATIONS, _GAIN, ctypes.c_void_p(out.ctypes.data)
            )
        )
        return out

    def row(self) -> Callable[[Sequence[float]], float]:
        """A function that scores one row through the single-row entry.

        It writes to buffers of its own: each thread needs a function of its own.
        """
        fast = ctypes.c_void_p()
        _checked(
            self._library.LGBM_BoosterPredictForMatSingleRowFastInit(
                self._handle,
                _NORMAL,
                ctypes.c_int(0),
                _ALL_ITERATIONS,
                _FLOAT64,
                ctypes.c_int32(self.width),
                ctypes.c_char_p(b"num_threads=1"),
                ctypes.byref(fast),
            )
        )
        values = (ctypes.c_double * self.width)()
        score, written = ctypes.c_double(), ctypes.c_int64()
        call = _library_of_rows().LGBM_BoosterPredictForMatSingleRowFast
        arguments: tuple[Any, ...] = (fast, values, ctypes.byref(written), ctypes.byref(score))
        place = struct.Struct(f"={self.width}d").pack_into

        def predict_row(row: Sequence[float]) -> float:
            place(values, 0, *row)
            if call(*arguments) != 0:
                _checked(-1)
            return score.value

        # The configuration points into the model: it is freed first, and the function keeps the model alive.
        weakref.finalize(predict_row, _free_row, self, fast)
        return predict_row


def _free_row(trees: Trees, fast: ctypes.c_void_p) -> None:
    del trees
    library().LGBM_FastConfigFree(fast)
