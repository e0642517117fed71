"""Texts that nobody says: with the marks of a program they are asked about, and however long they take no time."""

from __future__ import annotations

import pytest

from robot_rlhf.language import grammar
from robot_rlhf.language.choice import LANGUAGES, grammar_of, make_interpreter
from robot_rlhf.language.things import usual_facts

FACTS = usual_facts()
READER = make_interpreter(tuple(LANGUAGES))


@pytest.mark.parametrize(
    "text",
    [
        "'; drop table steps; --",
        '"; drop it',
        "drop table steps; -- left",
        "robot.open()",
        "if (left) { go up }",
        "speed = 2 slower",
        "up && down",
        "/* left */ up",
        "open https://left.example",
        "$(open the gripper)",
        "open | close it",
        "c:\\left",
    ],
)
def test_what_has_marks_of_a_program_is_asked_about(text: str) -> None:
    heard = READER.read(text, FACTS)
    assert not heard.understood
    assert "marks of a program" in heard.why


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("left; no, right", "right"),
        ("left -- no, right", "right"),
        ("left (a bit)", "left"),
        ("don`t go left", "right"),
        ("up/left", "up"),
        ("drop it; please", "open"),
        ("2 cm left & slowly", "left"),
    ],
)
def test_marks_that_people_write_are_none(text: str, reading: str) -> None:
    assert READER.read(text, FACTS).readings[0] == reading


@pytest.mark.parametrize("text", ["'; stop; --", "{ stop }", "x = 1; halt()"])
def test_to_stop_comes_before_them(text: str) -> None:
    assert READER.read(text, FACTS).readings == ["stop"]


@pytest.mark.parametrize("unit", ["-5", "½", "x-", ",", "5cm ", "1/2 "])
def test_a_text_of_too_many_words_is_not_looked_at(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (unit * 1_000)[:996]
    monkeypatch.setattr(grammar, "signs_of", None)
    heard = READER.read(text, FACTS)
    assert not heard.understood
    assert "words and marks, at most 300" in heard.why
    for language in LANGUAGES:
        assert not grammar_of(language).stops(text)
    assert READER.read(f"{text[:-6]} stop ", FACTS).readings == ["stop"]
