"""Words of one's own are understood as they were explained, until that is taken back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.language.choice import make_interpreter
from robot_rlhf.language.lexicon import MOST, Lexicon
from robot_rlhf.language.things import usual_facts
from robot_rlhf.meaning import Meaning

FACTS = usual_facts()
LEFT = (Meaning("left", 0.01),)


@given(text=st.text(min_size=1, max_size=40))
def test_what_was_explained_is_known_until_it_is_taken_back(text: str) -> None:
    lexicon = Lexicon()
    lexicon.add("e/0", text, LEFT)
    known = lexicon.read(text, FACTS)
    assert known.understood == bool(len(lexicon))
    assert not known.understood or known.meanings == LEFT
    lexicon.remove("e/0")
    assert not lexicon.read(text, FACTS).understood


def test_letters_blanks_and_marks_make_no_difference() -> None:
    lexicon = Lexicon()
    lexicon.add("e/0", "  Schnurps  it! ", LEFT)
    assert lexicon.read("schnurps it", FACTS).by == "lexicon"


def test_it_comes_before_the_grammar_and_never_before_a_stop() -> None:
    lexicon = Lexicon()
    for text in ("to the right", "stop"):
        lexicon.add(text, text, LEFT)
    interpreter = make_interpreter(("en",), lexicon)
    assert interpreter.read("to the right", FACTS).readings == ["left"]
    assert interpreter.read("stop", FACTS).readings == ["stop"]


def test_no_words_of_ones_own_press_a_button() -> None:
    lexicon = Lexicon()
    lexicon.add("e/0", "schnurps", (Meaning("retry"),))
    assert not lexicon.read("schnurps", FACTS).understood


def test_the_oldest_is_forgotten_first() -> None:
    lexicon = Lexicon()
    for number in range(MOST + 1):
        lexicon.add(f"e/{number}", f"schnurps {number}", LEFT)
    assert len(lexicon) == MOST
    assert not lexicon.read("schnurps 0", FACTS).understood
    assert lexicon.read(f"schnurps {MOST}", FACTS).understood


def test_words_that_were_explained_twice_mean_what_they_did_when_the_second_is_taken_back() -> None:
    lexicon, right = Lexicon(), (Meaning("right"),)
    lexicon.add("e/0", "schnurps", LEFT)
    lexicon.add("e/1", "schnurps", right)
    assert lexicon.read("schnurps", FACTS).meanings == right
    lexicon.remove("e/2")
    lexicon.remove("e/1")
    assert lexicon.read("schnurps", FACTS).meanings == LEFT
