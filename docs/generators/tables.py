"""Tables in the midst of written pages that are made from the code: `<!-- made: NAME -->` stands where one belongs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence

import robot_rlhf_sim.tasks
from robot_rlhf.facts import FactBook, Thing
from robot_rlhf.run.results.summary import KEYS

MARK = re.compile(r"<!-- made: (\w+) -->")


def facts() -> str:
    """Of a scene with one thing, that can be grasped."""
    things = (Thing("cube", graspable=True),)
    book = FactBook.of_scene([thing.name for thing in things], things=things)
    return table(
        ("fact", "unit", "in words"), [(f"`{fact.name}`", fact.unit, fact.phrases[0]) for fact in book.values()]
    )


def tasks() -> str:
    """Every simulated task, with the options of its own."""
    rows: list[tuple[str, ...]] = []
    for name in robot_rlhf_sim.tasks.__all__:
        task = getattr(robot_rlhf_sim.tasks, name)
        given = inspect.signature(task).parameters.values()
        own = [
            f"`{p.name} {p.default!r}`"
            for p in given
            if p.kind is p.KEYWORD_ONLY and isinstance(p.default, float | str)
        ]
        said = task.instruction if isinstance(task.instruction, str) else f"{task.example}, or another goal"
        rows.append((f"`{task.name}`", said, str(task.time_limit), ", ".join(own)))
    return table(("task", "is asked for as", "periods at most", "options and their defaults"), sorted(rows))


def summary() -> str:
    """Every key of summary.json."""
    return table(("key", "meaning"), [(f"`{key}`", meaning) for key, meaning in KEYS.items()])


MADE: Mapping[str, Callable[[], str]] = {"facts": facts, "summary": summary, "tasks": tasks}


def with_tables(text: str) -> str:
    """A page with its tables. Raises KeyError for a name that nothing makes."""
    return MARK.sub(lambda mark: MADE[mark[1]](), text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
