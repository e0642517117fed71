"""Reads a pickle of plain values without running anything that it names.

A pickle is a program: it names functions of any module, and has them called. Here no name reaches a module. The few
that numpy writes for its arrays stand for makers of our own, which only keep the bytes that they are given; every other
one is an error. Arrays become arrays when they are asked for, once type, shape and number of bytes go together.
"""

# What comes out of a pickle is unknown to pyright.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.errors import JournalError
from robot_rlhf.journal.datasets.pickle_program import Maker, PickleProgram

NUMBERS = ("b1", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)), "f2", "f4", "f8")
"""Types of numpy that hold numbers."""
MOST_AXES = 32
"""Of an array; numpy's own limit was that until its version 2."""
MOST_LETTERS = 300
"""Of what a damaged or hostile file has a message say."""
_BROKEN = (EOFError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError)
"""What a pickle that is cut or damaged may raise."""


class PlainArray:
    """The bytes of an array, as a pickle told them."""

    __slots__ = ("_parts",)

    def __init__(self, parts: tuple[Any, ...] | None = None) -> None:
        self._parts = parts

    def tell(self, state: Any) -> None:
        """Version, shape, type, whether columns come first, bytes: what numpy writes."""
        if not (isinstance(state, tuple) and len(state) == 5):
            raise UnpicklingError("an array without shape, type and bytes")
        _, shape, kind, columns_first, raw = state
        self._parts = (raw, kind, shape, "F" if columns_first else "C")

    @property
    def nbytes(self) -> int:
        """Bytes that it tells; 0 where it is no array."""
        raw = None if self._parts is None else self._parts[0]
        return len(raw) if isinstance(raw, bytes | bytearray) else 0

    def array(self) -> NDArray[Any]:
        """Raises ValueError for parts that do not make an array of numbers or text."""
        if self._parts is None:
            raise ValueError("an array without shape, type and bytes")
        raw, kind, shape, order = self._parts
        if not isinstance(kind, PlainType) or not isinstance(raw, bytes | bytearray) or order not in ("C", "F"):
            raise ValueError("an array of other than numbers")
        dtype = kind.dtype()
        if not isinstance(shape, tuple) or not all(type(n) is int and 0 <= n < 2**63 for n in shape):
            raise ValueError("an array whose shape is not told in whole numbers")
        if len(shape) > MOST_AXES:
            raise ValueError(f"an array of {len(shape)} axes; allowed: {MOST_AXES}")
        if math.prod(shape) * dtype.itemsize != len(raw):
            raise ValueError(f"an array of shape {shape} and type {dtype} in {len(raw)} bytes")
        return np.frombuffer(raw, dtype).reshape(shape, order=order)


class PlainType:
    """A numpy type, as a pickle told it."""

    __slots__ = ("_order", "_word")

    def __init__(self, word: str) -> None:
        self._word = word
        self._order = "<"

    def tell(self, state: Any) -> None:
        """Version, order of bytes, and what types of several fields have."""
        if not (isinstance(state, tuple) and len(state) >= 5 and state[1] in ("<", ">", "|", "=")):
            raise UnpicklingError(f"type {self._word!r} in an unknown form")
        if any(part is not None for part in state[2:5]):
            raise UnpicklingError(f"type {self._word!r} of several fields")
        self._order = str(state[1])

    def dtype(self) -> np.dtype[Any]:
        """Raises ValueError for what holds other than numbers or text."""
        size = self._word[1:]
        text = self._word[:1] in ("S", "U") and size.isascii() and size.isdigit() and len(size) < 7
        if self._word not in NUMBERS and not text:
            raise ValueError(f"an array of type {self._word!r}; allowed: numbers and text")
        dtype = np.dtype(self._word)
        return dtype.newbyteorder(">") if self._order == ">" else dtype


def _empty(*_: Any) -> PlainArray:
    return PlainArray()


def _from_buffer(raw: Any, kind: Any, shape: Any, order: Any) -> PlainArray:
    return PlainArray((raw, kind, shape, order))


def _scalar(kind: Any, raw: Any) -> PlainArray:
    return PlainArray((raw, kind, (), "C"))


def _type(word: Any, *_: Any) -> PlainType:
    if not isinstance(word, str):
        raise UnpicklingError("an array's type that is not told in letters")
    return PlainType(word)


def _bytes(text: Any, encoding: Any) -> bytes:
    """Bytes, as old pickles write them."""
    if not isinstance(text, str) or encoding != "latin1":
        raise UnpicklingError("bytes in another code than latin1")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How old pickles write none."""
    return b""


def _no_pairs() -> dict[Any, Any]:
    """Pairs of an ordered dict come afterwards."""
    return {}


def _no_call(*_: Any) -> Any:
    raise UnpicklingError("it makes an array without telling it")


_NUMPY: dict[str, dict[str, Maker]] = {
    "multiarray": {"_reconstruct": _empty, "scalar": _scalar},
    "numeric": {"_frombuffer": _from_buffer},
}
NAMES: dict[tuple[str, str], Maker] = {
    ("numpy", "ndarray"): _no_call,
    ("numpy", "dtype"): _type,
    ("_codecs", "encode"): _bytes,
    ("__builtin__", "bytes"): _no_bytes,
    ("collections", "OrderedDict"): _no_pairs,
    # numpy 1 keeps its insides in numpy.core, numpy 2 in numpy._core
    **{
        (f"numpy.{core}.{module}", name): maker
        for core in ("core", "_core")
        for module, makers in _NUMPY.items()
        for name, maker in makers.items()
    },
}
"""Module and name to what is made in its place."""


def read_plain(path: Path) -> Any:
    """What a pickle holds: containers, numbers and text as they are, arrays as PlainArray.

    Raises:
        JournalError: it cannot be opened, is cut or damaged, or names anything else; says what.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JournalError(f"{path}: cannot be opened ({error.strerror})") from error
    try:
        return PickleProgram(data, NAMES).run()
    except UnpicklingError as error:
        raise JournalError(f"{path}: cannot be read: {one_line(str(error))}") from error
    except _BROKEN as error:
        what = one_line(f"{type(error).__name__}: {error}")
        raise JournalError(f"{path}: cannot be read as a pickle ({what})") from error


def one_line(words: str) -> str:
    """What a file has a message say, in one line of bounded length that moves no cursor."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(words[: 4 * MOST_LETTERS].split()))
    return line if len(line) <= MOST_LETTERS else line[: MOST_LETTERS - 1] + "…"


def array_of(value: Any) -> NDArray[Any]:
    """A number, a list of them, or a PlainArray as an array.

    Raises:
        ValueError: it holds other than numbers and text, or a number that is too large.
    """
    if isinstance(value, PlainArray):
        return value.array()
    numbers = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(part, bool | int | float) for part in numbers):
        raise ValueError(f"{type(value).__name__} stands where numbers are expected")
    try:
        return np.asarray(value, np.float64)
    except OverflowError as error:
        raise ValueError(str(error)) from error
