"""Everybody who understands sentences, by the laws of the port; and that stopping needs nobody's own understanding."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot_rlhf.conformance import InterpreterConformance
from robot_rlhf.facts import FactBook
from robot_rlhf.language.choice import make_interpreter
from robot_rlhf.language.interpreter import Deaf, FirstToUnderstand
from robot_rlhf.language.lexicon import Lexicon
from robot_rlhf.language.settings import LanguageConfig
from robot_rlhf.language.things import usual_facts
from robot_rlhf.meaning import Heard, Meaning
from robot_rlhf.ports import Interpreter
from robot_rlhf.run.words import open_interpreter


class TestEnglish(InterpreterConformance):
    def make_interpreter(self) -> tuple[Interpreter, FactBook]:
        return make_interpreter(), usual_facts()


class TestSeveralLanguages(InterpreterConformance):
    sentences = ("nach links", "arriba", "halt", "para", "gut gemacht")

    def make_interpreter(self) -> tuple[Interpreter, FactBook]:
        return make_interpreter(("de", "es", "en")), usual_facts()


class TestDeaf(InterpreterConformance):
    def make_interpreter(self) -> tuple[Interpreter, FactBook]:
        return Deaf(), usual_facts()


class TestLexicon(InterpreterConformance):
    def make_interpreter(self) -> tuple[Interpreter, FactBook]:
        lexicon = Lexicon()
        lexicon.add("e/0", "left", (Meaning("left"),))
        return lexicon, usual_facts()


class Contrary:
    """Takes everything for left, but for what it chokes on."""

    def read(self, text: str, facts: FactBook) -> Heard:
        if text == "boom":
            raise OSError(text)
        return Heard(text, () if text == "hm" else (Meaning("left"),), "names")


class TestContrary(InterpreterConformance):
    def make_interpreter(self) -> tuple[Interpreter, FactBook]:
        return FirstToUnderstand([Contrary()]), usual_facts()


@pytest.mark.parametrize("text", ["boom", "hm"])
def test_whoever_fails_or_answers_nothing_did_not_understand(text: str) -> None:
    heard = FirstToUnderstand([Contrary()]).read(text, usual_facts())
    assert not heard.understood
    assert heard.readings == ["unknown"]


def test_an_interpreter_of_ones_own_has_no_say_about_stopping(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "from robot_rlhf.meaning import Heard, Meaning\n\n\nclass Contrary:\n"
        "    def read(self, text, facts):\n        return Heard(text, (Meaning('left'),), 'names')\n"
    )
    lexicon = Lexicon()
    lexicon.add("e/0", "stop", (Meaning("left"),))
    chosen = open_interpreter(LanguageConfig(interpreter=f"{own}:Contrary"), lexicon, usual_facts())
    assert chosen.read("up", usual_facts()).readings == ["left"]
    assert chosen.read("stop!", usual_facts()).readings == ["stop"]
