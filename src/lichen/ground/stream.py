"""Rows as an Arrow stream that Python gives batch by batch.

arro3 can make a C stream of a generator too, and must not here: where arro3 reads from DuckDB, which has let the
interpreter's lock go and reads from arro3 in the same thread, arro3 takes the lock for held and the process crashes. A
callback of ctypes takes the lock in any case.
"""

from __future__ import annotations

import ctypes
import errno
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from lichen.errors import LichenError


class Stream:
    """Rows computed while they are read; `batches` is called once for each reading.

    The schema is there without a reading, for DuckDB asks it while it holds a lock of its own: what ran a
    statement then, in another thread, would wait for ever. A C stream carries an error's text and not the
    error: who wants the error reads `batches` itself.

    `for batch in stream` reads in Python alone. Where a loop over a C stream's reader breaks off by an exception, the
    reader is let go while the exception passes; the C stream is then released by a callback in Python, which cannot
    run with an exception under way, and the exception is lost: `each_batch` is for such loops.
    """

    def __init__(self, schema: Any, batches: Callable[[], Iterator[Any]]) -> None:
        self.schema, self.batches = schema, batches

    def __iter__(self) -> Iterator[Any]:
        return self.batches()

    def __arrow_c_schema__(self) -> object:
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        reading = _Reading(self.schema, self.batches())
        address = ctypes.addressof(reading.stream)
        _open[reading.number] = _held[address] = reading
        return _new_capsule(address, _STREAM, _WHEN_GONE)


def each_batch(rows: Any) -> Iterator[Any]:
    """The batches of anything that Arrow streams; an exception in the loop over them passes as it is.

    >>> from arro3.core import Array, DataType, Table
    >>> rows = Table.from_pydict({"n": Array([1, 2], type=DataType.int64())})
    >>> [batch.num_rows for batch in each_batch(rows)]
    [2]
    """
    if isinstance(rows, Stream):
        yield from rows
        return
    from arro3.core import RecordBatchReader

    reader = RecordBatchReader.from_stream(rows)
    try:
        while (batch := next(reader, None)) is not None:
            yield batch
    finally:
        del reader  # let go here, where no exception is under way: handled, it does no harm


class _Reading:
    """One reading under way, and the C struct that stands for it."""

    _last: ClassVar[int] = 0

    def __init__(self, schema: Any, batches: Iterator[Any]) -> None:
        _Reading._last += 1
        self.number = _Reading._last
        self.schema, self.batches = schema, batches
        self.error = ctypes.create_string_buffer(b"")
        self.stream = _CStream(*_CALLBACKS, self.number)

    def give(self, make: Callable[[], tuple[object, bytes, int] | None], out: int) -> int:
        """Move what `make` gives into the struct at `out`; an error becomes its text, as the C interface has it."""
        try:
            made = make()
        except BaseException as error:  # noqa: BLE001 no exception passes through C
            text = f"{type(error).__name__}: {error}".replace("\x00", " ")
            if isinstance(error, LichenError) and type(error).__init__ is LichenError.__init__:
                copy = type(error)(error.code, error.what, where=error.where, why=error.why, fix=error.fix)
                _told.append((text, copy))
            if isinstance(error, KeyboardInterrupt):
                _told.append((text, KeyboardInterrupt()))
            self.error = ctypes.create_string_buffer(text.encode())
            return errno.EIO
        if made is None:
            ctypes.memset(out, 0, _ARRAY_SIZE)
            return 0
        capsule, name, size = made
        source = _pointer(capsule, name)
        ctypes.memmove(out, source, size)
        # Moved, in the words of the C interface: the source is not released again.
        ctypes.c_void_p.from_address(source + size - 2 * _WORD).value = None
        return 0

    def next_array(self) -> tuple[object, bytes, int] | None:
        batch = next(self.batches, None)
        return None if batch is None else (batch.__arrow_c_array__()[1], b"arrow_array", _ARRAY_SIZE)


_told: deque[tuple[str, LichenError | KeyboardInterrupt]] = deque(maxlen=4)
"""The newest of our errors, and of Ctrl-C, that became texts, as copies: the errors hold what they came through."""


def carried(error: BaseException) -> LichenError | KeyboardInterrupt | None:
    """The error of ours, or the Ctrl-C, whose text a C stream carried into this one; None where it carries none."""
    shown = str(error)
    return next((told for text, told in reversed(_told) if text in shown), None)


_WORD = ctypes.sizeof(ctypes.c_void_p)
# Both structs hold pointers, of which `release` and `private_data` are the last two, and counts of 8 bytes.
_SCHEMA_SIZE = 7 * _WORD + 2 * 8
_ARRAY_SIZE = 5 * _WORD + 5 * 8
_STREAM = b"arrow_array_stream"
_open: dict[int, _Reading] = {}
"""The readings that are not yet released, by number."""
_held: dict[int, _Reading] = {}
"""The readings whose capsule lives, by the address of their struct; who reads on has moved it to another."""

_Get = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_Words = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
_Release = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_Gone = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)


class _CStream(ctypes.Structure):
    """The struct ArrowArrayStream of Arrow's C stream interface; its private data is the reading's number."""

    _fields_: ClassVar = [
        ("get_schema", _Get),
        ("get_next", _Get),
        ("get_last_error", _Words),
        ("release", _Release),
        ("number", ctypes.c_size_t),
    ]


_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_size_t, [ctypes.py_object, ctypes.c_char_p]
# The destructor's capsule is no object any more: it is passed on as an address.
_pointer_of_dying = ctypes.PYFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype, _new_capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, _Gone]


def _reading(stream: int) -> _Reading:
    return _open[_CStream.from_address(stream).number]


def _get_schema(stream: int, out: int) -> int:
    reading = _reading(stream)
    return reading.give(lambda: (reading.schema.__arrow_c_schema__(), b"arrow_schema", _SCHEMA_SIZE), out)


def _get_next(stream: int, out: int) -> int:
    reading = _reading(stream)
    return reading.give(reading.next_array, out)


def _get_last_error(stream: int) -> int:
    return ctypes.addressof(_reading(stream).error)


def _release(stream: int) -> None:
    held = _CStream.from_address(stream)
    reading = _open.pop(held.number)
    ctypes.c_void_p.from_address(stream + 3 * _WORD).value = None
    close = getattr(reading.batches, "close", None)
    if close is not None:
        close()


def _capsule_gone(capsule: int) -> None:
    """Release a stream that nobody took over; one that was has no `release` left."""
    address = _pointer_of_dying(capsule, _STREAM)
    if ctypes.c_void_p.from_address(address + 3 * _WORD).value is not None:
        _release(address)
    del _held[address]


_CALLBACKS = (_Get(_get_schema), _Get(_get_next), _Words(_get_last_error), _Release(_release))
_WHEN_GONE = _Gone(_capsule_gone)
