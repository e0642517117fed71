"""Parts of one's own by name: `module:attribute`, or `file.py:attribute`, wherever a known name may stand."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Self, TypeVar

from robot_rlhf.errors import ConfigError, UnknownNameError, in_our_words

T = TypeVar("T")
OWN = "module:name or file.py:name of your own"


class OfKind:
    """What there are several kinds of: the base of each family of them, for example of all learners' settings.

    Each kind is a class of its own, of settings a frozen dataclass. A family knows the import paths of those that have
    a name.
    """

    kind: ClassVar[str]
    """The name by which it is chosen: on the command line, and in files of settings."""
    KINDS: ClassVar[Mapping[str, str]]
    """The family's names; of each, `module:class`."""
    WHAT: ClassVar[str]
    """What a kind of the family is, for errors."""

    def __init_subclass__(cls) -> None:
        """One's own is called by where it lies, until it is found by another name."""
        super().__init_subclass__()
        if "kind" not in cls.__dict__:
            cls.kind = f"{cls.__module__}:{cls.__qualname__}"

    @classmethod
    def of_kind(cls, name: str) -> type[Self]:
        """The class of a kind: one that has a name, or one's own.

        Raises:
            UnknownNameError: neither.
            ConfigError: one's own that cannot be imported, or is no kind of the family.
        """
        if name not in cls.KINDS and not is_own(name):
            raise UnknownNameError(cls.WHAT, name, (*cls.KINDS, OWN))
        found = find_own(cls.KINDS.get(name, name), cls.WHAT, cls.KINDS)
        if not (isinstance(found, type) and issubclass(found, cls)):
            raise ConfigError(f"{cls.WHAT} {name!r}: is not a {cls.__name__}; allowed: {', '.join((*cls.KINDS, OWN))}")
        if found.kind not in cls.KINDS:
            found.kind = name
        return found


def is_own(name: str) -> bool:
    """Whether a name says where something of one's own lies."""
    return ":" in name


def label_of(name: str) -> str:
    """What a folder may be called by: of one's own the attribute alone."""
    return name.rpartition(":")[2].replace("/", "_")


def find_own(name: str, what: str, known: Iterable[str] = ()) -> Any:
    """The attribute that `module:attribute` or `path/to/file.py:attribute` names.

    Modules are looked for in the current folder, too, as processes that are started from it do.

    Args:
        name: what was given.
        what: the setting, for errors.
        known: names that may stand there as well.

    Raises:
        UnknownNameError: it has no colon.
        ConfigError: no such module, file or attribute, or the module itself fails.
    """
    place, colon, attribute = name.rpartition(":")
    if not colon:
        raise UnknownNameError(what, name, (*known, OWN))
    if not place or not attribute:
        raise ConfigError(f"{what} {name!r}: allowed: {', '.join((*known, OWN))}")
    module = _from_file(Path(place), name, what) if place.endswith(".py") else _from_path(place, name, what)
    found: Any = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            likely = "".join(f". Did you mean {close!r}?" for close in get_close_matches(part, dir(found), n=1))
            raise ConfigError(f"{what} {name!r}: {place} has no {attribute!r}{likely}") from error
    return found


def name_of(own: Any, what: str) -> str:
    """The name by which `find_own` finds a class or function again, in another process, too.

    What was defined in a notebook is found in its own process alone.

    Args:
        own: defined at the top of a module, or of the script that runs.
        what: the setting, for errors.

    Raises:
        ConfigError: it is defined within a function, or is neither class nor function.
    """
    attribute = getattr(own, "__qualname__", None)
    if not callable(own) or attribute is None:
        raise ConfigError(f"{what} {own!r}: is a {type(own).__name__}, allowed: a name, or a class or function")
    if "<" in attribute:
        raise ConfigError(f"{what} {attribute}: is defined within a function, allowed: at the top of a module or file")
    module = sys.modules.get(own.__module__)
    spec, file = getattr(module, "__spec__", None), getattr(module, "__file__", None)
    if spec is not None and "." in spec.name:  # a module of a package may import its neighbours by it
        return f"{spec.name}:{attribute}"
    return f"{own.__module__ if file is None else Path(file).resolve()}:{attribute}"


def make_own(factory: Any, name: str, what: str, *arguments: Any, **options: Any) -> Any:
    """Call a factory of one's own.

    Raises:
        ConfigError: it cannot be called, or raises; an error of ours goes through as it is.
    """
    if not callable(factory):
        raise ConfigError(f"{what} {name!r}: is a {type(factory).__name__}, allowed: a class or function that makes it")
    with _blamed(f"{what} {name!r}: cannot be made"):
        return factory(*arguments, **options)


def make_part(name: str, what: str, port: type[T], *arguments: Any) -> T:
    """A part of one's own: `module:class` or `file.py:class`, made with arguments.

    Args:
        name: what was given.
        what: the setting, for errors.
        port: what it has to be, a protocol of ports.py.

    Raises:
        UnknownNameError: a name without a colon.
        ConfigError: it cannot be imported or made, or is none.
    """
    made = make_own(find_own(name, what), name, what, *arguments)
    if not isinstance(made, port):
        raise ConfigError(
            f"{what} {name!r}: makes a {type(made).__name__}, allowed: a {port.__name__} (robot_rlhf.ports)"
        )
    return made


def _from_path(place: str, name: str, what: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    with _blamed(f"{what} {name!r}: {place} cannot be imported"):
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{place}.".startswith(f"{error.name}."):
                raise
            raise ConfigError(f"{what} {name!r}: no module {error.name!r} here or among what is installed") from error


def _from_file(file: Path, name: str, what: str) -> ModuleType:
    path = file.resolve()
    if not path.is_file():
        raise ConfigError(f"{what} {name!r}: no such file {path}")
    loaded = _loaded_from(path)
    if loaded is not None:
        return loaded
    own = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(own, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with ExitStack() as unless_imported:
        sys.modules[own] = module
        unless_imported.callback(sys.modules.pop, own)
        with _blamed(f"{what} {name!r}: {file} cannot be imported"):
            spec.loader.exec_module(module)
        unless_imported.pop_all()
    return module


def _loaded_from(path: Path) -> ModuleType | None:
    """The module of a file that is loaded already, also where that is the script that runs."""
    for module in list(sys.modules.values()):
        file = vars(module).get("__file__") if isinstance(module, ModuleType) else None
        if isinstance(file, str) and file.endswith(path.name) and Path(file).resolve() == path:
            return module
    return None


def _blamed(what: str) -> AbstractContextManager[None]:
    """Code of a user's: whatever it raises becomes one line that says whose it is."""

    def said(error: Exception) -> ConfigError:
        words = " ".join(str(error).split())
        return ConfigError(f"{what} ({type(error).__name__}{': ' if words else ''}{words})")

    return in_our_words(said)
