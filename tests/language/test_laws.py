"""Laws that hold of every sentence, whatever the tables: mirrors, negations, amounts, stops, and silence."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_rlhf.language.choice import LANGUAGES, grammar_of, make_interpreter
from robot_rlhf.language.signs import tagged
from robot_rlhf.language.things import usual_facts
from robot_rlhf.meaning import OPPOSITE, Heard, Meaning

FACTS = usual_facts()
MIRRORS = [
    ("left", "right"),
    ("forward", "back"),
    ("up", "down"),
    ("higher", "lower"),
    ("clockwise", "counterclockwise"),
    ("slower", "faster"),
]
SIDES = [("left", "right"), ("to the left", "to the right"), ("leftwards", "rightwards")]
TEMPLATES = """
{} | a bit {} | {} a lot | move {} | go {} please | could you go {} | a little more {} | {} 3 cm | keep going {}
don't go {} | do not move {} | stop going {} | stop moving {} | not {} | not so far {} | less {}
you should go {} | you need to be more {} | no, {} | no more {} | never go {} | please don't go any further {}
you went too far {} | you're drifting {} | you keep drifting {} | too far {} | too much {} | {} too much
way too far {}
don't not go {} | rather {} | I think you should go {} | {} and close | good, now {} | {}, then stop moving {}
not so much {} | not far enough {} | you did not go far enough {} | maybe {} | okay, then {} | {}!
{}, {}, {} | let's go {}
try {} | you're veering off {} | I said {} | go on {} | a hair {} | quit going {} | avoid going {} | {} again
"""
EVERY = [template.strip() for line in TEMPLATES.strip().splitlines() for template in line.split("|")]
MOTION_WORDS = frozenset({"move", "turn", "grip", "pace", "state", "verb", "at", "order", "rule", "verdict"})


def read(sentence: str, language: str = "en") -> Heard:
    return make_interpreter((language,)).read(sentence, FACTS)


def mirrored(readings: list[str]) -> list[str]:
    """Of what the templates vary; their other words stay as they are."""
    return [reading if reading in ("open", "close", "good") else OPPOSITE.get(reading, reading) for reading in readings]


@pytest.mark.parametrize("template", EVERY)
@pytest.mark.parametrize(("one", "other"), [*MIRRORS, *SIDES], ids=lambda word: word)
def test_the_mirrored_sentence_is_read_as_the_mirror(template: str, one: str, other: str) -> None:
    a, b = (read(template.replace("{}", word)) for word in (one, other))
    assert mirrored(a.readings) == b.readings


@pytest.mark.parametrize("template", EVERY)
def test_what_is_read_of_left_lies_on_the_axis_of_left(template: str) -> None:
    readings = set(read(template.replace("{}", "to the left")).readings)
    assert readings <= {"left", "right", "close", "good", "stop"}
    assert readings & {"left", "right", "stop"}


@pytest.mark.parametrize("word", ["left", "up", "faster", "so fast", "so low", "close", "open"])
@pytest.mark.parametrize("count", range(4))
def test_every_second_negation_takes_back_the_one_before(word: str, count: int) -> None:
    plain = read(f"do not go {word}").readings
    said = "do " + "not " * (2 * count + 1) + f"go {word}"
    assert read(said).readings == plain
    if not word.startswith("so"):
        assert read("do " + "not " * 2 * count + f"go {word}").readings == [word]


@pytest.mark.parametrize("where", ["to the left", "up", "back"])
def test_more_words_for_far_mean_farther(where: str) -> None:
    amounts = [
        read(f"{how} {where}").meanings[0].amount for how in ("a tad", "a bit", "2 cm", "5 cm", "a lot", "20 cm")
    ]
    assert all(amount is not None for amount in amounts)
    assert amounts == sorted(amounts, key=lambda amount: amount or 0.0)
    assert read(where).meanings[0].amount is None


@given(number=st.integers(0, 60), unit=st.sampled_from([("mm", 0.001), ("cm", 0.01), ("inches", 0.0254), ("m", 1.0)]))
def test_an_exact_amount_is_exact_up_to_the_bound(number: int, unit: tuple[str, float]) -> None:
    meaning = read(f"{number} {unit[0]} up").meanings[0]
    assert meaning.amount == pytest.approx(min(number * unit[1], 0.5))


@settings(max_examples=300)
@given(
    before=st.text(max_size=40), after=st.text(max_size=40), stop=st.sampled_from(["stop", "whoa", "freeze", "STOP"])
)
def test_a_word_for_stopping_that_stands_alone_wins(before: str, after: str, stop: str) -> None:
    plain = "".join(letter for letter in before + after if letter not in "<>")
    assert read(f"{plain}. {stop}!").readings == ["stop"]


@settings(max_examples=2_500, deadline=None)
@given(text=st.text(max_size=60))
def test_random_text_never_raises_and_moves_nothing_without_a_word_for_it(text: str) -> None:
    for language in LANGUAGES:
        heard = grammar_of(language).read(text, FACTS)
        assert Heard.to_json(heard)["readings"]
        if heard.understood:
            known = {sign.role for sign in tagged(text, grammar_of(language).vocabulary, {"cube"})}
            assert known & (MOTION_WORDS | {"noun", "adjective", "word"}), text


SAID = """
left right up down forward back turn open close slower faster stop good bad undo again not don't no too less so far
a bit lot 3 cm and then but , . ! you are you're it the cube red glass above to on in from near away always never
more enough going drifting instead of I mean sorry lift drop put push bowl drawer rather very high low fast
"""
WORDS = st.sampled_from(SAID.split())


@settings(max_examples=3_000, deadline=None)
@given(words=st.lists(WORDS, max_size=14))
def test_nothing_is_read_together_with_its_opposite(words: list[str]) -> None:
    heard = read(" ".join(words))
    for one, other in itertools.combinations(heard.readings, 2):
        assert OPPOSITE.get(one) != other
    assert heard.readings == ["stop"] or "stop" not in heard.readings
    assert all(Meaning.of_json(json.loads(json.dumps(meaning.to_json()))) == meaning for meaning in heard.meanings)
    if not heard.understood:
        assert heard.why
        assert len(heard.nearest) <= 3


LONG = ("left ", "the ", "not ", "<", "1 cm ", "a", ", ", "no ", "stop going ", "qwertz ", "'", "–")


@pytest.mark.parametrize("word", LONG)
@pytest.mark.parametrize("length", [1_000, 100_000])
def test_long_texts_are_read_or_refused(word: str, length: int) -> None:
    text = (word * length)[:length]
    heard = grammar_of("en").read(text, FACTS)
    assert len(text) <= 1_000 or (not heard.understood and "too long" in heard.why)


def test_typing_errors_are_mended_but_never_to_the_opposite() -> None:
    for one, other in [*MIRRORS, ("open", "close")]:
        for word, banned in ((one, other), (other, one)):
            opposite = OPPOSITE[read(word).readings[0]]
            assert read(banned).readings == [opposite]
            typed = {
                word[:i] + letter + word[i + cut :]
                for i in range(len(word))
                for letter in ("", "e", "x")
                for cut in (0, 1)
            }
            swapped = {word[:i] + word[i : i + 2][::-1] + word[i + 2 :] for i in range(len(word) - 1)}
            for slip in typed | swapped:
                assert opposite not in read(slip).readings or slip == banned or slip in MEANT, (word, slip)
    assert read("a litle to the lfet").readings == ["left"]


MEANT = frozenset({"lower", "slower"})
"""Slips of one word that are another."""


@pytest.mark.parametrize(
    "sentence",
    [
        "nach links",
        "nicht nach links",
        "zu weit rechts",
        "a la izquierda",
        "nicht so schnell",
        "demasiado a la derecha",
    ],
)
def test_another_language_is_not_understood(sentence: str) -> None:
    assert not read(sentence).understood


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_table_says_a_phrase_once_in_a_role(language: str) -> None:
    for role, values in LANGUAGES[language].signs.items():
        phrases = [phrase for words in values.values() for phrase in words.replace("\n", " ").split(",")]
        said = [" ".join(phrase.split()) for phrase in phrases if phrase.strip()]
        assert len(said) == len(set(said)), (role, sorted(p for p in said if said.count(p) > 1))
        assert all(any(word.strip() for word in words.split(",")) for words in values.values()), role
