"""The pages of the command line: every command's options, taken from the settings that the command itself reads."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import os
import re
import sys
import textwrap
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import tyro

from robot_rlhf.apps import cli
from robot_rlhf.apps.journal_import import DatasetOptions, PickleOptions
from robot_rlhf.apps.ros_host import USAGE
from robot_rlhf.errors import UnknownNameError
from robot_rlhf.naming import OfKind
from robot_rlhf_hardware.ros.nodes import NODES, Node

NOBODY = "?"
"""A word that is no command's name, so that a group of commands says which it has."""
WORDS = {int: "whole number", float: "number", str: "text", Path: "path"}


class _Asked(BaseException):
    """Stops a command where it would read its options."""

    def __init__(self, settings: type[Any], default: Any) -> None:
        super().__init__()
        self.settings = settings
        self.default = default


@dataclass(frozen=True)
class Command:
    """A command that reads options."""

    name: str
    """As it is typed behind robot-rlhf, for example `journal export`."""
    settings: type[Any]
    default: Any = None
    """The settings that hold when nothing is given; None where the class itself says them."""
    about: str = ""
    """What sets it apart from another command of the same name."""

    @property
    def page(self) -> str:
        return self.name.partition(" ")[0]


@dataclass(frozen=True)
class Option:
    """One option of a command."""

    name: str
    """As it is typed, for example --learner.caution; a positional one in capitals."""
    kind: str
    default: str | None
    """As it is typed; None where the option is required."""
    what: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """The options of one settings class."""

    prefix: str
    """What its options begin with; empty for the command's own."""
    what: str
    options: tuple[Option, ...]
    choice: str = ""
    """What has to be chosen to have them, for example --learner cloning; empty where they are there anyway."""
    begins: bool = True
    """That is chosen where nothing is said."""


def commands() -> list[Command]:
    """Every command, in the order of the command line's own list."""
    found: list[Command] = []
    for name in cli.COMMANDS:
        found += _asked([name]) if name != "ros" else []
    rows = [index for index, command in enumerate(found) if command.name == "journal import"]
    others = (
        Command("journal import", DatasetOptions, about="of a LeRobotDataset or a robomimic file"),
        Command("journal import", PickleOptions, about="of a pickle of hil-serl"),
    )
    return [*found[: rows[0] + 1], *others, *found[rows[0] + 1 :]]


def _asked(words: list[str]) -> list[Command]:
    """Let a command run up to the point where it reads its options."""
    with patch("tyro.cli", _ask), patch.dict(os.environ, LOGNAME="operator"):  # pages say no builder's name
        try:
            cli._dispatch([*words, NOBODY])  # pyright: ignore[reportPrivateUsage]  the way a command line goes
        except _Asked as asked:
            return [Command(" ".join(words), asked.settings, asked.default)]
        except UnknownNameError as group:
            names = str(group).partition("Known: ")[2].split(", ")
            return [command for name in names for command in _asked([*words, name])]
    raise AssertionError(f"{' '.join(words)} reads no options")


def _ask(settings: type[Any], *, default: Any = None, **_: Any) -> typing.NoReturn:
    raise _Asked(settings, default)


def sections(settings: type[Any], default: Any, prefix: str = "", what: str | None = None) -> Iterator[Section]:
    """The options of a settings class and of those inside it, the outer ones first."""
    hints = typing.get_type_hints(settings, include_extras=True)
    told = field_docs(settings)
    own: list[Option] = []
    inner: list[Section] = []
    for field in dataclasses.fields(settings):
        hint, extras = _unwrapped(hints[field.name])
        value = _value(field, default)
        name = field.name.replace("_", "-")
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            nested = f"{prefix}{named}." if (named := _named(name, extras)) else prefix
            if isinstance(value, OfKind):
                below = list(_kinds(value, f"--{prefix}{name}", nested))
            else:
                below = list(sections(type(value), value, nested, told.get(field.name)))
            if nested == prefix:
                own += below[0].options
                below = below[1:]
            inner += below
        elif not _has_settings(hint):
            own.append(_option(prefix, _named(name, extras), hint, extras, value, told.get(field.name, "")))
    text = what or inspect.cleandoc(settings.__doc__ or "")
    yield Section(prefix, text, tuple(own))
    yield from inner


def _kinds(value: OfKind, option: str, prefix: str) -> Iterator[Section]:
    """The options of each kind of a family of settings: first of that which holds where nothing is said."""
    family = next(cls for cls in type(value).__mro__ if "KINDS" in vars(cls) and issubclass(cls, OfKind))
    others = [name for name in family.KINDS if name != value.kind]
    kinds = [(value.kind, value), *((name, family.of_kind(name)()) for name in others)]
    if own := getattr(sys.modules[family.__module__], "OwnConfig", None):
        kinds.append(("module:name", own()))
    for name, one in kinds:
        for section in sections(type(one), one, prefix):
            yield dataclasses.replace(section, choice=f"{option} {name}", begins=one is value)


def _named(name: str, extras: Sequence[Any]) -> str:
    """What a field is called on the command line; empty where those inside it take its place."""
    return next((extra.name for extra in extras if getattr(extra, "name", None) is not None), name)


def _option(prefix: str, name: str, hint: Any, extras: Sequence[Any], value: Any, what: str) -> Option:
    aliases = tuple(alias for extra in extras for alias in getattr(extra, "aliases", None) or ())
    if tyro.conf.Positional in extras:
        return Option(name.upper(), kind_of(hint), None, what)
    full = f"--{prefix}{name}"
    if hint is bool:
        aliases = (f"--{prefix}no-{name}", *aliases)
        full, default = full, full if value else f"--{prefix}no-{name}"
        return Option(full, "", default, what, aliases)
    default = None if value is dataclasses.MISSING else typed(value)
    return Option(full, kind_of(hint), default, what, aliases)


def _value(field: dataclasses.Field[Any], default: Any) -> Any:
    if default is not None:
        return getattr(default, field.name)
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _unwrapped(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    if typing.get_origin(hint) is typing.Annotated:
        inner, *extras = typing.get_args(hint)
        return inner, tuple(extras)
    return hint, ()


def _has_settings(hint: Any) -> bool:
    return dataclasses.is_dataclass(hint) or any(dataclasses.is_dataclass(part) for part in typing.get_args(hint))


def kind_of(hint: Any) -> str:
    """What may stand behind an option, in words."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " or ".join(f"`{part}`" if part != "" else "nothing" for part in parts)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("`None`" if part is type(None) else kind_of(part) for part in parts)
    if origin is tuple:
        inner = kind_of(parts[0])
        return f"{inner}, any number" if parts[-1] is Ellipsis else f"{inner}, {len(parts)} of them"
    if origin is dict:
        return f"name and {kind_of(parts[1])}, any number"
    return WORDS.get(hint, getattr(hint, "__name__", str(hint)))


def typed(value: Any) -> str:
    """A value as it is typed on the command line; empty for an empty sequence or text."""
    if isinstance(value, (tuple, list)):
        return " ".join(typed(part) for part in typing.cast("Sequence[Any]", value))
    if isinstance(value, dict):
        pairs = typing.cast("dict[str, Any]", value).items()
        return " ".join(f"{key} {typed(part)}" for key, part in pairs)
    return str(value)


def field_docs(settings: type[Any]) -> dict[str, str]:
    """The text below each field of a dataclass, those of the classes it comes from included."""
    found: dict[str, str] = {}
    for cls in reversed(settings.__mro__):
        if not dataclasses.is_dataclass(cls):
            continue
        body = typing.cast("ast.ClassDef", ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]).body
        for field, text in itertools.pairwise(body):
            if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
                continue
            if (
                isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
                and isinstance(text.value.value, str)
            ):
                found[field.target.id] = " ".join(inspect.cleandoc(text.value.value).split())
    return found


# -- pages -----------------------------------------------------------------------------------------------------------


def pages() -> dict[str, str]:
    """The pages of the command line in Markdown, by file name."""
    found = {"index.md": _overview()}
    all_commands = commands()
    for name in cli.COMMANDS:
        if name == "ros":
            continue
        here = [command for command in all_commands if command.page == name]
        lines = [f"# robot-rlhf {name}", ""]
        for command in here:
            if len(here) > 1:
                lines += [f"## robot-rlhf {command.name}{' ' if command.about else ''}{command.about}", ""]
            lines += command_lines(command, all_commands)
        found[f"{name}.md"] = "\n".join(lines)
    found["ros.md"] = _nodes()
    return found


def _overview() -> str:
    rows = [f"| [`robot-rlhf {name}`]({name}.md) | {what} |" for name, what in cli.COMMANDS.items()]
    return "\n".join(
        [
            "# Command line",
            "",
            "`robot-rlhf COMMAND --help` prints what these pages say: both are made from the settings themselves.",
            "A typo is an error that names the likely word.",
            "",
            "| command | does |",
            "|---|---|",
            *rows,
            "",
            "Exit codes: 0 done, 1 a check of `doctor` failed, 2 an error (one line on stderr), 130 interrupted.",
            "",
        ]
    )


def command_lines(command: Command, others: Sequence[Command]) -> list[str]:
    """A command's options; of one that extends another command's settings those that differ."""
    parts = list(sections(command.settings, command.default))
    base = next((c for c in others if c.settings in command.settings.__mro__[1:]), None)
    lines = [_plain(parts[0].what), ""]
    if base is not None:
        known = {option for section in sections(base.settings, base.default) for option in section.options}
        parts = [dataclasses.replace(p, options=tuple(o for o in p.options if o not in known)) for p in parts]
        lines += [
            f"It has the options of [`robot-rlhf {base.name}`]({base.page}.md). These differ, or begin otherwise:",
            "",
        ]
    for section in parts:
        if not section.options:
            continue
        heading = ": ".join([*filter(None, [section.choice]), *([f"--{section.prefix}*"] if section.prefix else [])])
        if heading:
            lines += [f"### `{heading}`", "", _plain(section.what), ""]
        for option in section.options:
            lines += _option_lines(option)
    return lines


def _option_lines(option: Option) -> list[str]:
    names = ", ".join(f"`{name}`" for name in (option.name, *option.aliases))
    facts = [option.kind] if option.kind else []
    if option.default is None:
        facts.append("required")
    else:
        facts.append(f"default `{option.default}`" if option.default else "empty by default")
    told = [f":   {_plain(option.what)}"] if option.what else []
    return [f"{names} ({'; '.join(facts)})", *told, ""]


def _nodes() -> str:
    about = cli.COMMANDS["ros"]
    lines = ["# robot-rlhf ros", "", f"{about[0].upper()}{about[1:]}.", "", "```text", USAGE.rstrip(), "```", ""]
    for name, node in NODES.items():
        lines += _node_lines(name, node)
    return "\n".join(lines)


def _node_lines(name: str, node: Node) -> list[str]:
    lines = [f"## robot-rlhf ros {name}", "", f"{_plain(node.what)}.", ""]
    for p in node.parameters:
        default = "required" if p.required else f"default `{p.default!r}`"
        lines += [f"`{p.name}` ({_plain(str(p.allowed))}; {default})", f":   {_plain(p.what)}", ""]
    if node.topics:
        lines += ["| topic or service | role | type | what |", "|---|---|---|---|"]
        lines += [f"| `{t.name}` | {t.role} | {t.type} | {_cell(t.what)} |" for t in node.topics]
        lines.append("")
    return lines


def _plain(text: str) -> str:
    """A text in which nothing but code between backticks is markup."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([<*_\[])", r"\\\1", part) for part in parts)


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|").replace("\n", " ")
