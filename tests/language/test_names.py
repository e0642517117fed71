"""Unknown names: what they are like is found where it is clear, and never is a direction, or anything else, a name."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from robot_rlhf.facts import FactBook, Thing
from robot_rlhf.language.choice import grammar_of, make_interpreter
from robot_rlhf.language.likeness import CACHED, FLOOR, MARGIN, NOT_HERE, Likeness, likeness_of
from robot_rlhf.language.names import Names
from robot_rlhf.language.vetoes import ANTONYMS, opposed
from robot_rlhf.meaning import MOVES, Heard, Meaning, not_understood
from robot_rlhf.models.minilm import PACKAGE

PUSH = FactBook.of_scene(
    ["puck", "glass", "lamp"],
    things=[Thing("puck", ("the puck", "the disc"), graspable=True), Thing("glass", ("the glass",)), Thing("lamp")],
)
BOWLS = FactBook.of_scene(
    ["left_bowl", "right_bowl"], things=[Thing(f"{s}_bowl", (f"the {s} bowl",)) for s in ("left", "right")]
)
KNOWN = frozenset(
    ("grab", "push", "keep", "away", "from", "near", "go", "slower", "faster", "move", "to", "above", "a", "bit", "and")
) | {"please", *MOVES}
"""What `Plain` knows."""


class Plain:
    """An Interpreter of a few forms. Like others it takes what it does not know for what is there."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def read(self, text: str, facts: FactBook) -> Heard:
        self.asked.append(text)
        called = {word: name for name, thing in facts.things.items() for word in (*thing.words, thing.called)}
        names = [called[word] for word in sorted(called, key=text.find) if word in text]
        thing = names[0] if names else ""
        said = text.lower()
        if said.startswith("grab"):
            return Heard(text, (Meaning("goal", skill="grasp", thing=thing),), "grammar")
        if said.startswith("push"):
            place = names[1] if len(names) > 1 else ""
            return Heard(text, (Meaning("goal", skill="push_to", thing=thing, place=place),), "grammar")
        if "keep away" in said and thing:
            return Heard(text, (Meaning("rule", rule="keep_away", thing=thing),), "grammar")
        if found := next((move for move in MOVES if re.search(rf"\b{move}\b", said)), None):
            return Heard(text, (Meaning(found),), "grammar")
        return not_understood(text, "it does not say clearly what to do")


AXES = {"lamp": 0, "puck": 1, "disc": 1, "glass": 2, "bowl": 3}
BETWEEN = {
    "lightbulb": {0: 1.0, 5: 0.3},
    "frisbee": {1: 0.9, 2: 0.85},
    "tumbler": {2: 1.0, 5: 0.5},
    "dish": {3: 1.0, 6: 0.2},
    "banana": {7: 1.0},
    "dim": {0: 0.4, 7: 1.0},
}


def encode(sentences: Sequence[str]) -> Tensor:
    """Vectors of words by hand: of what is not said in BETWEEN or AXES, one that stands for itself."""
    rows = torch.zeros(len(sentences), 16)
    for row, sentence in zip(rows, sentences, strict=True):
        word = sentence.lower().split()[-1]
        told = BETWEEN.get(word) or ({AXES[word]: 1.0} if word in AXES else {8 + sum(map(ord, word)) % 8: 1.0})
        for axis, value in told.items():
            row[axis] = value
    return functional.normalize(rows, dim=1)


def alike(sentences: Sequence[str]) -> Tensor:
    """To whom everything is the same."""
    return functional.normalize(torch.ones(len(sentences), 4), dim=1)


def names(likeness: Likeness | None = None, inner: Plain | None = None) -> Names:
    return Names(inner or Plain(), likeness or Likeness(encode), KNOWN.__contains__)


def test_a_name_that_is_like_one_thing_is_that_thing() -> None:
    inner = Plain()
    heard = names(inner=inner).read("Grab the lightbulb, please", PUSH)
    assert heard.meanings == (Meaning("goal", skill="grasp", thing="lamp", confidence=heard.meanings[0].confidence),)
    assert (heard.by, heard.text) == ("names", "Grab the lightbulb, please")
    assert heard.meanings[0].confidence == pytest.approx(1 / (1 + 0.3**2) ** 0.5, abs=1e-3)
    assert inner.asked == ["Grab the lamp, please"]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("push the disc to that lightbulb", Meaning("goal", skill="push_to", thing="puck", place="lamp")),
        ("push tumbler to lightbulb", Meaning("goal", skill="push_to", thing="glass", place="lamp")),
        ("keep away from lightbulb", Meaning("rule", rule="keep_away", thing="lamp")),
        ("keep away from my shiny lightbulb!", Meaning("rule", rule="keep_away", thing="lamp")),
    ],
)
def test_wherever_it_stands(text: str, meaning: Meaning) -> None:
    (found,) = names().read(text, PUSH).meanings
    assert (found.skill, found.rule, found.thing, found.place) == (
        meaning.skill,
        meaning.rule,
        meaning.thing,
        meaning.place,
    )


def test_what_is_not_clear_is_asked_with_what_it_may_be() -> None:
    heard = names().read("grab the frisbee", PUSH)
    assert not heard.understood
    assert heard.why == "'frisbee' may be puck or glass"
    assert [meaning.thing for meaning in heard.nearest] == ["puck", "glass", "lamp"]
    for name in ("banana", "dim"):
        heard = names().read(f"grab the {name}", PUSH)
        assert heard.why == f"'{name}' is like nothing here", "and not whatever is there"
        assert not heard.understood


def test_without_an_encoder_one_asks() -> None:
    plain = Names(Plain(), None, KNOWN.__contains__)
    plain.prepare(PUSH)
    heard = plain.read("grab the banana", PUSH)
    assert not heard.understood
    assert heard.why == "'banana' is not known here"
    assert [meaning.thing for meaning in heard.nearest] == ["puck", "glass", "lamp"]


def test_a_motion_beside_an_unknown_word_stays() -> None:
    heard = names().read("move a banana left", PUSH)
    assert (heard.meanings, heard.by) == ((Meaning("left"),), "grammar")


@pytest.mark.parametrize("likeness", [Likeness(alike), Likeness(encode), None], ids=["all alike", "by hand", "none"])
@pytest.mark.parametrize("facts", [PUSH, BOWLS], ids=["push", "bowls"])
@pytest.mark.parametrize("move", MOVES)
def test_a_direction_is_never_a_name(likeness: Likeness | None, facts: FactBook, move: str) -> None:
    reader = Names(Plain(), likeness, KNOWN.__contains__)
    for text in (f"move {move}", f"{move} a bit", f"go to the {move}"):
        assert reader.read(text, facts).meanings == (Meaning(move),)
    for typed in (move + move[-1], move[:-2] + move[-1] + move[-2]):
        heard = reader.read(f"go to the {typed}", facts)
        assert not heard.understood or heard.meanings == (Meaning(move),), typed


def test_sides_are_not_left_to_the_encoder() -> None:
    near = Likeness(encode)
    for side, other in (("left", "right"), ("right", "left")):
        heard = names(near).read(f"grab the {side} dish", BOWLS)
        assert [meaning.thing for meaning in heard.meanings] == [f"{side}_bowl"]
        assert (
            near.find(f"{side} dish", [BOWLS.things[f"{other}_bowl"]]).why
            == f"nothing here can be called '{side} dish'"
        )
    heard = names(near).read("grab the dish", BOWLS)
    assert heard.why == "'dish' may be left bowl or right bowl"


@pytest.mark.parametrize(("one", "other"), ANTONYMS)
def test_antonyms_part_names(one: str, other: str) -> None:
    assert opposed(f"{one} box", f"the {other} box")
    assert opposed(f"{other} box", f"the {one} box")
    assert not opposed(f"{one} box", f"the {one} box")
    assert not opposed(f"{one} box at the {other} end", f"{other} box at the {one} end"), "both are said of both"


def test_colours_part_names_but_not_ways_to_write_them() -> None:
    assert opposed("red brick", "the blue block")
    assert not opposed("grey brick", "the gray block")
    assert not opposed("crimson brick", "the red block")


def test_margin_and_floor_are_what_they_say() -> None:
    def at(cosine: float, second: float) -> Likeness:
        def encoded(sentences: Sequence[str]) -> Tensor:
            table = {"the said": (1.0, 0.0), "the puck": (cosine, (1 - cosine**2) ** 0.5)}
            table["the glass"] = (second, -((1 - second**2) ** 0.5))
            return torch.tensor([table.get(sentence, (-1.0, 0.0)) for sentence in sentences])

        return Likeness(encoded)

    things = [Thing("puck"), Thing("glass")]
    assert at(FLOOR + 0.01, FLOOR - MARGIN).find("said", things).name == "puck"
    assert at(FLOOR - 0.01, -1.0).find("said", things).name == ""
    assert at(0.9, 0.9 - MARGIN - 0.01).find("said", things).name == "puck"
    assert at(0.9, 0.9 - MARGIN + 0.01).find("said", things).name == ""


def test_words_that_an_encoder_never_learned_mean_nothing() -> None:
    small = Likeness(encode, frozenset({"the", "lamp", "lightbulb"}))
    assert small.find("lightbulb", [Thing("lamp")]).name == "lamp"
    assert small.find("tumbler", [Thing("lamp")]).why == "the encoder never learned 'tumbler'"


def test_what_is_kept_is_bounded_and_encoded_once() -> None:
    calls: list[int] = []

    def counted(sentences: Sequence[str]) -> Tensor:
        calls.append(len(sentences))
        return encode(sentences)

    likeness = Likeness(counted)
    likeness.prepare(PUSH.things.values())
    assert calls == [len(NOT_HERE), 4]
    for _ in range(3):
        assert likeness.find("lightbulb", [*PUSH.things.values()]).name == "lamp"
    assert calls == [len(NOT_HERE), 4, 1]
    for number in range(3 * CACHED):
        likeness.find(f"thing {number}", [*PUSH.things.values()])
        assert len(likeness._kept) <= CACHED
    assert likeness.find("lightbulb", [*PUSH.things.values()]).name == "lamp"


@given(st.text(max_size=60) | st.text("grab the lightbulb frisbee tumbler, .'’!", max_size=60))
def test_any_text_is_read(text: str) -> None:
    heard = names().read(text, PUSH)
    assert heard.meanings
    assert all(meaning.thing in ("", *PUSH.things) for meaning in heard.meanings)


@pytest.mark.parametrize("text", ["grab the lightbulb and stop", "stop the banana", "halt near the frisbee"])
def test_a_stop_is_left_to_who_reads_stops(text: str) -> None:
    inner = Plain()
    names(inner=inner).read(text, PUSH)
    assert inner.asked == [text]


minilm = pytest.mark.skipif(
    importlib.util.find_spec(PACKAGE) is None or importlib.util.find_spec("tokenizers") is None,
    reason=f"needs the files of {PACKAGE}",
)


@minilm
def test_real_names_by_minilm() -> None:
    likeness = likeness_of("minilm")
    things = [*PUSH.things.values()]
    for name, thing in (("lightbulb", "lamp"), ("hockey puck", "puck"), ("wine glass", "glass")):
        assert likeness.find(name, things).name == thing
    for name in ("banana", "story", "window", "thing", "weather"):
        assert likeness.find(name, things).name == "", name
    vectors = likeness._vectors(["move left", "move right", "go to the left a bit"])
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2], "why it is never asked about directions"
    reader = Names(Plain(), likeness, KNOWN.__contains__)
    assert reader.read("move left", PUSH).meanings == (Meaning("left"),)
    assert reader.read("move right", PUSH).meanings == (Meaning("right"),)


@pytest.mark.parametrize(
    ("text", "thing"),
    [
        ("grab the lightbulb", "lamp"),
        ("keep away from the lightbulb", "lamp"),
        ("go above that shiny lightbulb", "lamp"),
        ("push the disc to the tumblers", ""),
        ("move a smidge to the left", ""),
    ],
)
def test_around_the_grammar(text: str, thing: str) -> None:
    grammar = grammar_of("en")
    heard = Names(grammar, Likeness(encode), grammar.vocabulary.knows).read(text, PUSH)
    assert thing in {meaning.thing for meaning in heard.meanings}
    assert (heard.by == "names") == bool(thing)


@pytest.mark.parametrize("text", ["grab the banana", "go above the banana", "push the banana to the glass"])
def test_no_thing_stands_in_for_one_that_is_not_there(text: str) -> None:
    for likeness in (None, Likeness(encode)):
        heard = make_interpreter(likeness=likeness).read(text, PUSH)
        assert not heard.understood, heard.words
    assert make_interpreter().read("grab the lamp", PUSH).meanings[0].thing == "lamp"
    assert make_interpreter(likeness=Likeness(encode)).read("stop the lightbulb", PUSH).readings == ["stop"]


@given(st.text(max_size=80))
def test_nothing_is_changed_where_no_name_is_unknown(text: str) -> None:
    grammar = grammar_of("en")
    reader = Names(grammar, None, lambda word: True)
    assert reader.read(text, PUSH) == grammar.read(text, PUSH)
