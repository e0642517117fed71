"""Options of a subcommand: read by tyro, with one-line errors that name the likely option."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import io
import re
import typing
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import tyro

from robot_rlhf.errors import ConfigError
from robot_rlhf.place import PlaceConfig
from robot_rlhf.run.setting_values import check_values

T = TypeVar("T")


def parse(cls: type[T], name: str, argv: Sequence[str], default: T | None = None) -> T:
    """Read options into a frozen dataclass whose field docstrings are its --help.

    Raises:
        ConfigError: an option that does not exist, a value of the wrong type, one that is missing, a number that is NaN
            or infinite, or text that is not UTF-8.
    """
    noise = io.StringIO()
    wants_help = any(word in ("-h", "--help") for word in argv)
    try:
        with contextlib.nullcontext() if wants_help else contextlib.redirect_stderr(noise):
            options, unknown = tyro.cli(
                cls,
                prog=f"robot-rlhf {name}",
                args=["--help"] if wants_help else list(argv),  # after values, tyro leaves out what they are of
                default=default,
                return_unknown_args=True,
                config=(tyro.conf.AvoidSubcommands,),
            )
    except SystemExit as end:
        if end.code in (0, None):
            raise
        said = _first_sentence(noise.getvalue()).removeprefix(f"{name}: ")
        raise ConfigError(f"{name}: {said}; see robot-rlhf {name} --help") from None
    if unknown:
        raise _unknown(cls, name, unknown[0], default)
    check_values(options)
    return typing.cast("T", options)


def value_of(argv: Sequence[str], option: str) -> str | None:
    """The value of an option before all options are read; None when it is not given."""
    found: str | None = None
    for position, word in enumerate(argv):
        if word == option and position + 1 < len(argv):
            found = argv[position + 1]
        elif word.startswith(option + "="):
            found = word.partition("=")[2]
    return found


def place_of(argv: Sequence[str]) -> PlaceConfig:
    """The place that the options name, as it is without options of its own."""
    return PlaceConfig.of_kind(value_of(argv, "--place") or "sim")()


def _unknown(cls: type[Any], name: str, word: str, default: object) -> ConfigError:
    if not word.startswith("-"):
        return ConfigError(f"{name}: {word!r} stands where an option is expected; see robot-rlhf {name} --help")
    word = word.split("=")[0]
    near = difflib.get_close_matches(word, ("--help", *option_names(cls, default=default)), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    return ConfigError(f"{name} has no option {word}; {hint}see robot-rlhf {name} --help")


def option_names(cls: type[Any], prefix: str = "", default: object = None) -> Iterator[str]:
    """Every option of a settings dataclass, as it is written on the command line.

    Args:
        default: tells of settings of several kinds which one it is.
    """
    hints = typing.get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        extras = typing.get_args(hint)[1:] if typing.get_origin(hint) is typing.Annotated else ()
        if extras:
            hint = typing.get_args(hint)[0]
        if tyro.conf.Positional in extras:
            continue
        names = [name for extra in extras if (name := getattr(extra, "name", None)) is not None]
        own = "".join(name and name.replace("_", "-") + "." for name in (*names, field.name)[:1])
        value = getattr(default, field.name, None)
        if dataclasses.is_dataclass(hint):
            kind = type(value) if dataclasses.is_dataclass(value) else hint
            yield from option_names(typing.cast("type[Any]", kind), prefix + own, value)
        elif not any(dataclasses.is_dataclass(option) for option in typing.get_args(hint)):
            yield "--" + prefix + own.rstrip(".")


def _first_sentence(box: str) -> str:
    """What tyro says inside its frame, without the frame."""
    lines = [re.sub(r"\s+", " ", line.strip("│╭╮╰╯─ \t")).strip() for line in box.splitlines()]
    text = " ".join(line for line in lines if line and not set(line) <= {"─", "-"})
    text = re.sub(r"^Parsing error\s*", "", text)
    text = re.split(r"\s+(?:Argument helptext:|For full helptext)", text)[0]
    text = re.sub(r"^Value error\s+Error parsing (?:[A-Z]\w*: )?", lambda m: "" if ":" in m[0] else "error in ", text)
    if missing := re.match(r"Required options Missing from [^:]*: ", text):
        text = "missing: " + re.sub(r" ([A-Z][a-z' ].*?)\.? \(required\)", r" (\1)", text[missing.end() :])
    text = re.sub(r"^Invalid choice invalid", "invalid", text.strip().rstrip("."))
    return text + _likely_choice(text) if text else "options cannot be read"


def _likely_choice(text: str) -> str:
    """What was probably meant, after tyro's sentence on a value that is none of the allowed ones; else nothing."""
    found = re.search(r"invalid choice '([^']*)'.*\(('[^)]*)\)", text)
    near = difflib.get_close_matches(found[1], re.findall(r"'([^']*)'", found[2]), n=1, cutoff=0.5) if found else []
    return f". Did you mean {near[0]!r}?" if near else ""
