"""Reads a pickle of plain values without running anything that it names.

A pickle is a program: it names functions of any module, and has them called. Here no name reaches a module. The few
that numpy writes for its arrays stand for makers of our own, which only keep the bytes that they are given; every other
one is an error. Arrays become arrays when they are asked for, once type, shape and number of bytes go together.
"""

# What comes out of a pickle is unknown to pyright.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.errors import JournalError

NUMBERS = ("b1", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)), "f2", "f4", "f8")
"""Types of numpy that hold numbers."""
_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")
"""What keeps a value under a number: a table as long as the number is made for it."""
_BROKEN = (EOFError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError, OSError)
"""What a pickle that is cut or damaged may raise."""


class PlainArray:
    """The bytes of an array, as a pickle told them."""

    __slots__ = ("_parts",)

    def __init__(self, parts: tuple[Any, ...] | None = None) -> None:
        self._parts = parts

    def __setstate__(self, state: Any) -> None:
        """Version, shape, type, whether columns come first, bytes: what numpy writes."""
        if not (isinstance(state, tuple) and len(state) == 5):
            raise pickle.UnpicklingError("an array without shape, type and bytes")
        _, shape, kind, columns_first, raw = state
        self._parts = (raw, kind, shape, "F" if columns_first else "C")

    def array(self) -> NDArray[Any]:
        """Raises ValueError for parts that do not make an array of numbers or text."""
        if self._parts is None:
            raise ValueError("an array without shape, type and bytes")
        raw, kind, shape, order = self._parts
        if not isinstance(kind, PlainType) or not isinstance(raw, bytes | bytearray) or order not in ("C", "F"):
            raise ValueError("an array of other than numbers")
        dtype = kind.dtype()
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError("an array whose shape is not told in whole numbers")
        if math.prod(shape) * dtype.itemsize != len(raw):
            raise ValueError(f"an array of shape {shape} and type {dtype} in {len(raw)} bytes")
        return np.frombuffer(raw, dtype).reshape(shape, order=order)


class PlainType:
    """A numpy type, as a pickle told it."""

    __slots__ = ("_order", "_word")

    def __init__(self, word: str) -> None:
        self._word = word
        self._order = "<"

    def __setstate__(self, state: Any) -> None:
        """Version, order of bytes, and what types of several fields have."""
        if not (isinstance(state, tuple) and len(state) >= 5 and state[1] in ("<", ">", "|", "=")):
            raise pickle.UnpicklingError(f"type {self._word!r} in an unknown form")
        if any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError(f"type {self._word!r} of several fields")
        self._order = str(state[1])

    def dtype(self) -> np.dtype[Any]:
        """Raises ValueError for what holds other than numbers or text."""
        size = self._word[1:]
        text = self._word[:1] in ("S", "U") and size.isascii() and size.isdigit() and len(size) < 7
        if self._word not in NUMBERS and not text:
            raise ValueError(f"an array of type {self._word!r}; allowed: numbers and text")
        dtype = np.dtype(self._word)
        return dtype.newbyteorder(">") if self._order == ">" else dtype


class _Maker:
    """What stands for a name in a pickle: can be called, and nothing else."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, _: Any) -> None:
        raise pickle.UnpicklingError("it changes what a name stands for")


def _empty(*_: Any) -> PlainArray:
    return PlainArray()


def _from_buffer(raw: Any, kind: Any, shape: Any, order: Any) -> PlainArray:
    return PlainArray((raw, kind, shape, order))


def _scalar(kind: Any, raw: Any) -> PlainArray:
    return PlainArray((raw, kind, (), "C"))


def _type(word: Any, *_: Any) -> PlainType:
    if not isinstance(word, str):
        raise pickle.UnpicklingError("an array's type that is not told in letters")
    return PlainType(word)


def _bytes(text: Any, encoding: Any) -> bytes:
    """Bytes, as old pickles write them."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("bytes in another code than latin1")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How old pickles write none."""
    return b""


def _pairs(pairs: Any = ()) -> dict[Any, Any]:
    return dict(pairs)


def _no_call(*_: Any) -> Any:
    raise pickle.UnpicklingError("it makes an array without telling it")


_NUMPY: dict[str, dict[str, Callable[..., Any]]] = {
    "multiarray": {"_reconstruct": _empty, "scalar": _scalar},
    "numeric": {"_frombuffer": _from_buffer},
}
NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _no_call,
    ("numpy", "dtype"): _type,
    ("_codecs", "encode"): _bytes,
    ("__builtin__", "bytes"): _no_bytes,
    ("collections", "OrderedDict"): _pairs,
    # numpy 1 keeps its insides in numpy.core, numpy 2 in numpy._core
    **{
        (f"numpy.{core}.{module}", name): maker
        for core in ("core", "_core")
        for module, makers in _NUMPY.items()
        for name, maker in makers.items()
    },
}
"""Module and name to what is made in its place."""


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        make = NAMES.get((module_name, global_name))
        if make is None:
            raise pickle.UnpicklingError(
                f"it asks for {module_name}.{global_name}; a pickle may run what it names, and only plain containers, "
                "numbers, text and numpy's arrays are read"
            )
        return _Maker(make)


def _check_sizes(data: bytes) -> None:
    """Raises UnpicklingError for what would take more memory than a file of this size can fill."""
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in _PUTS and int(cast("int", argument)) > len(data):
            raise pickle.UnpicklingError(f"it keeps a value under number {argument} in {len(data)} bytes")


def read_plain(path: Path) -> Any:
    """What a pickle holds: containers, numbers and text as they are, arrays as PlainArray.

    Raises:
        JournalError: it cannot be opened, is cut or damaged, or names anything else; says what.
    """
    try:
        data = path.read_bytes()
        _check_sizes(data)
        return _PlainUnpickler(io.BytesIO(data)).load()
    except pickle.UnpicklingError as error:
        raise JournalError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    except _BROKEN as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise JournalError(f"{path}: cannot be read as a pickle ({what})") from error


def array_of(value: Any) -> NDArray[Any]:
    """A number, a list of them, or a PlainArray as an array.

    Raises:
        ValueError: it holds other than numbers and text.
    """
    if isinstance(value, PlainArray):
        return value.array()
    if isinstance(value, bool | int | float):
        return np.asarray(value, np.float64)
    if isinstance(value, list | tuple) and all(isinstance(part, bool | int | float) for part in value):
        return np.asarray(value, np.float64)
    raise ValueError(f"{type(value).__name__} stands where numbers are expected")
