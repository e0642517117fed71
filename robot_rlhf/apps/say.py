"""`robot-rlhf say`: what sentences would mean, without a robot."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import tyro

from robot_rlhf.apps.command import parse
from robot_rlhf.facts import FactBook, book_of
from robot_rlhf.language.choice import make_interpreter
from robot_rlhf.language.things import usual_facts
from robot_rlhf.meaning import Heard
from robot_rlhf.timing import FakeClock

LONGEST_LINE = 1 << 20
"""Bytes of a line that are looked at; nobody says more."""
_VALUED = ("--language", "--task")


@dataclass(frozen=True)
class SayOptions:
    """What sentences mean: one line for each."""

    sentences: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """The sentences; without any, one of each line from standard input."""
    json: bool = False
    """One JSON line for each sentence: readings, meanings, by; nearest and why where it was not understood."""
    language: str = "en"
    """Language in which they are: en, de, es; or several with commas between them, the likeliest first."""
    task: str = ""
    """The task whose things they are about, for example push; usual things without one."""


def run(argv: Sequence[str]) -> int:
    """Read and print; returns the exit code."""
    options = parse(SayOptions, "say", _ordered(argv))
    facts = _facts_of(options.task) if options.task else usual_facts()
    interpreter = make_interpreter([name.strip() for name in options.language.split(",")])
    for sentence in options.sentences or _lines():
        _print(_line(interpreter.read(sentence, facts), options))
    return 0


def _ordered(argv: Sequence[str]) -> list[str]:
    """Sentences first, wherever they stand; one that begins with a dash is no option."""
    sentences: list[str] = []
    rest: list[str] = []
    for before, word in zip(["", *argv], argv, strict=False):
        if before in _VALUED or (word.startswith("-") and " " not in word.strip()):
            rest.append(word)
        else:
            sentences.append(f" {word}" if word.startswith("-") else word)
    return sentences + rest


def _facts_of(task: str) -> FactBook:
    """Raises UnknownNameError for no such task. Imports MuJoCo, which takes a second."""
    from robot_rlhf_sim.place import SimConfig

    with closing(SimConfig().open(task, clock=FakeClock(), cameras={})) as place:
        return book_of(place.task, place.spec)


def _lines() -> Iterator[str]:
    """Lines as they come; what is not UTF-8 is replaced."""
    for line in iter(partial(sys.stdin.buffer.readline, LONGEST_LINE), b""):
        yield line.decode("utf-8", errors="replace").rstrip("\r\n")
        while line and not line.endswith(b"\n"):  # what one line has beyond that is passed over, not kept
            line = sys.stdin.buffer.readline(LONGEST_LINE)


def _line(heard: Heard, options: SayOptions) -> str:
    if options.json:
        return json.dumps(heard.to_json(), ensure_ascii=True)
    if heard.understood:
        meant = ", then ".join(meaning.words.removeprefix("rule: ") for meaning in heard.meanings)
        return f"{', '.join(heard.readings)}: {meant} (by {heard.by})"
    nearest = _joined(meaning.words for meaning in heard.nearest)
    return f"unknown: {heard.why}" + (f"; nearest: {nearest}" if nearest else "")


def _joined(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
