"""Tables in the midst of written pages that are made from the code: `<!-- made: NAME -->` stands where one belongs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from robot_rlhf.facts import FactBook, Thing

MARK = re.compile(r"<!-- made: (\w+) -->")


def facts() -> str:
    """Of a scene with one thing, that can be grasped."""
    things = (Thing("cube", graspable=True),)
    book = FactBook.of_scene([thing.name for thing in things], things=things)
    return table(
        ("fact", "unit", "in words"), [(f"`{fact.name}`", fact.unit, fact.phrases[0]) for fact in book.values()]
    )


MADE: Mapping[str, Callable[[], str]] = {"facts": facts}


def with_tables(text: str) -> str:
    """A page with its tables. Raises KeyError for a name that nothing makes."""
    return MARK.sub(lambda mark: MADE[mark[1]](), text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
