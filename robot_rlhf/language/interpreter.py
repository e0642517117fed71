"""Several interpreters as one: whoever understands a sentence first."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from robot_rlhf.facts import FactBook
from robot_rlhf.meaning import Heard, Meaning, not_understood
from robot_rlhf.ports import Interpreter

log = logging.getLogger(__name__)
LONGEST = 1_000
"""Letters of a sentence; a longer text is none."""


class FirstToUnderstand:
    """An Interpreter that asks others in turn. It never raises: a fault of one of them is a sentence not understood."""

    def __init__(self, interpreters: Sequence[Interpreter]) -> None:
        """Args: interpreters: the surest first."""
        self._interpreters = tuple(interpreters)

    def read(self, text: str, facts: FactBook) -> Heard:
        words = text.strip()
        if not words:
            return not_understood(text, "nothing was said")
        if len(words) > LONGEST:
            return not_understood(text, f"too long: {len(words)} letters, at most {LONGEST}")
        nearest: list[Meaning] = []
        why = "nobody here understands sentences"
        for number, interpreter in enumerate(self._interpreters):
            try:
                heard = interpreter.read(words, facts)
            except Exception:  # whoever understands sentences may be of somebody else's making, and nothing may move
                log.exception("%s failed on a sentence", type(interpreter).__name__)
                why = f"{type(interpreter).__name__} failed"
                continue
            if heard.understood:
                return replace(heard, text=text)
            why = heard.why if not number or not why else why
            nearest += [meaning for meaning in heard.nearest if meaning not in nearest]
        return not_understood(text, why, nearest)


class Deaf:
    """An Interpreter that understands nothing: what a person says is recorded, and does nothing."""

    def read(self, text: str, facts: FactBook) -> Heard:
        return not_understood(text, "this run understands no sentences")
