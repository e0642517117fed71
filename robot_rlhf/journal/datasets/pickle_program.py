"""Runs the program that a pickle is, on a stack of our own that holds no function but those it is given.

The interpreter's own unpickler looks names up in modules, makes a table as long as any number that a value is kept
under, and hashes keys however deep they are, which ends the process. Here memory follows the file's size, and a key is
a word or a number.
"""

# What comes out of a pickle is unknown to pyright.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pickle import UnpicklingError
from typing import Any, Protocol, runtime_checkable

Maker = Callable[..., Any]

TOLD = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    )
)
"""Opcodes that tell a value."""
CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
OF_MANY: dict[str, Callable[[list[Any]], Any]] = {
    "LIST": list,
    "TUPLE": tuple,
    "DICT": lambda values: _pairs(values),
    "FROZENSET": lambda values: frozenset(map(_key, values)),
}
"""Opcodes that make one value of all since a mark."""
OF_FEW = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
PUTS = ("PUT", "BINPUT", "LONG_BINPUT")
GETS = ("GET", "BINGET", "LONG_BINGET")
PASSED = ("PROTO", "FRAME")
"""Opcodes that tell nothing."""
WHAT_IS_READ = "only plain containers, numbers, text and numpy's arrays are read"


@runtime_checkable
class Told(Protocol):
    """Something that a pickle makes first and tells afterwards."""

    def tell(self, state: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class _Name:
    """What stands for a name of a module."""

    make: Maker


class PickleProgram:
    """The values that a running pickle has told."""

    def __init__(self, data: bytes, makers: Mapping[tuple[str, str], Maker]) -> None:
        """Args:
        data: the pickle.
        makers: module and name to what is called in its place.
        """
        self._data = data
        self._makers = makers
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._kept: dict[int, Any] = {}
        self._room = len(data)
        """Bytes that makers may still make: each one was told in the file, though it may be asked for again."""
        self._steps: dict[str, Callable[[Any], None]] = {
            "MARK": self._mark,
            "POP": self._drop,
            "POP_MARK": lambda _: self._since_mark().clear(),
            "DUP": lambda _: self._stack.append(self._stack[-1]),
            "MEMOIZE": lambda _: self._keep(len(self._kept)),
            "APPEND": lambda _: self._into(list, [self._stack.pop()]),
            "APPENDS": lambda _: self._into(list, self._since_mark()),
            "SETITEM": lambda _: self._into(dict, self._last(2)),
            "SETITEMS": lambda _: self._into(dict, self._since_mark()),
            "ADDITEMS": lambda _: self._into(set, self._since_mark()),
            "GLOBAL": lambda argument: self._name(*str(argument).partition(" ")[::2]),
            "STACK_GLOBAL": lambda _: self._name(*self._last(2)),
            "REDUCE": lambda _: self._call(*self._last(2)),
            "BUILD": lambda _: self._tell(self._stack.pop()),
            **dict.fromkeys(PUTS, self._keep),
            **dict.fromkeys(GETS, lambda argument: self._stack.append(self._kept[argument])),
        }

    def run(self) -> Any:
        """What it tells.

        Raises:
            UnpicklingError: it asks for what is not given; says what.
            ValueError, LookupError, TypeError: it is cut or damaged.
        """
        for opcode, argument, _ in pickletools.genops(self._data):
            name = opcode.name
            if name in TOLD:
                self._stack.append(argument)
            elif name in self._steps:
                self._steps[name](argument)
            elif name in CONSTANTS:
                self._stack.append(CONSTANTS[name])
            elif name in EMPTY:
                self._stack.append(EMPTY[name]())
            elif name in OF_FEW:
                self._stack.append(tuple(self._last(OF_FEW[name])))
            elif name in OF_MANY:
                values = self._since_mark()
                self._stack.append(OF_MANY[name](values))
            elif name != "STOP" and name not in PASSED:
                raise UnpicklingError(f"it asks for {name}; {WHAT_IS_READ}")
        return self._stack.pop()

    def _mark(self, _: Any) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[Any]:
        values, self._stack = self._stack, self._marked.pop()
        return values

    def _drop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._stack = self._marked.pop()

    def _last(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise UnpicklingError("it takes more values than it has told")
        values = self._stack[-count:]
        del self._stack[-count:]
        return values

    def _keep(self, number: Any) -> None:
        self._kept[number] = self._stack[-1]

    def _into(self, kind: type, values: list[Any]) -> None:
        into = self._stack[-1]
        if type(into) is not kind:
            raise UnpicklingError(f"it puts values into a {type(into).__name__}")
        if kind is list:
            into.extend(values)
        else:
            into.update(_pairs(values) if kind is dict else map(_key, values))

    def _name(self, module: Any, name: Any) -> None:
        make = self._makers.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
        if make is None:
            raise UnpicklingError(f"it asks for {module}.{name}; a pickle may run what it names, and {WHAT_IS_READ}")
        self._stack.append(_Name(make))

    def _call(self, name: Any, arguments: Any) -> None:
        if not isinstance(name, _Name) or not isinstance(arguments, tuple):
            raise UnpicklingError(f"it calls a {type(name).__name__}")
        made = name.make(*arguments)
        if isinstance(made, bytes):
            self._room -= len(made)
            if self._room < 0:
                raise UnpicklingError(f"it makes more bytes than the {len(self._data)} that it has")
        self._stack.append(made)

    def _tell(self, state: Any) -> None:
        told = self._stack[-1]
        if not isinstance(told, Told):
            raise UnpicklingError(f"it changes a {type(told).__name__}")
        told.tell(state)


def _pairs(values: list[Any]) -> dict[Any, Any]:
    return dict(zip(map(_key, values[::2]), values[1::2], strict=True))


def _key(value: Any) -> Any:
    if value is None or isinstance(value, str | bytes | int | float):
        return value
    raise UnpicklingError(f"a key that is a {type(value).__name__}; allowed: text and numbers")
