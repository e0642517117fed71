"""How an order is wrapped changes nothing of what it says: courtesy, wishes, tags, denials and stops, by templates."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_rlhf.language.choice import LANGUAGES, grammar_of, make_interpreter
from robot_rlhf.language.english_idioms import PAST
from robot_rlhf.language.things import usual_facts
from robot_rlhf.meaning import OPPOSITE

FACTS = usual_facts()
ORDERS = [
    *("go left", "move a bit to the right", "go up 2 cm", "lower the arm", "come back a little", "go forward"),
    *("open the gripper", "let go of it", "close the gripper", "turn the wrist to the left", "rotate clockwise"),
    *("slow down", "speed up a bit", "go above the cube", "put it in the left bowl", "keep away from the lamp"),
    *("try again", "stop", "go left and then down", "grab it"),
]
WRAPPED = """
could you {}, please? | would you mind if I asked you to {}? | I'd like you to {}, if you don't mind.
I want you to {}.
if you would be so kind as to {} | go ahead and {} | I think you should {}. | I think you could {}, you know.
would it be possible to {}? | would it be all right for you to {}? | it would be great if you could {}.
I wonder if you could {}. | I was hoping you could {}. | do you think you could {}? | could I ask you to {}?
I'm afraid you need to {}.
if you could just {}, that would be lovely. | so, um, {}, if that's all right with you. | {}, would you?
I'd be so grateful if you would {}. | to be honest, you should {}. | well, I guess you might want to {}.
sorry to bother you, but could you {}? | we need to {}. | maybe it's time to {}. | make sure to {}.
please do me a favour and {}.
what I'd like is for you to {}. | any chance you could {}? | why don't you {}? | couldn't you {}? | that would help: {}.
"""
WISHED = """
I'd rather you {}. | I'd prefer it if you {}. | it'd be safer if you {}. | I'd feel happier if you {}.
I'd like it if you {}.
I'd be grateful if you {}. | it would be really nice if you {}, thanks. | if you {}, that would be just perfect.
I wish you {}. | it would help if you {}.
"""
PASTS = {
    "went left": "go left",
    "moved a bit to the right": "move a bit to the right",
    "went up by 2 cm": "go up 2 cm",
    "lowered the arm": "lower the arm",
    "came back a little": "come back a little",
    "dropped down a centimetre": "go down a centimetre",
    "opened the gripper": "open the gripper",
    "closed the gripper": "close the gripper",
    "turned the wrist to the left": "turn the wrist to the left",
    "were a bit higher": "go a bit higher",
    "slowed down": "slow down",
    "took it easy": "take it easy",
    "kept away from the lamp": "keep away from the lamp",
    "pushed the puck to the ring": "push the puck to the ring",
    "stopped": "stop",
}
DENIED = """
I'd rather you didn't {}. | I'd prefer it if you didn't {}. | I wouldn't like you to {}. | I don't want you to {}.
I'd be happier if you did not {}. | I'd hate for you to {}. | it would be nicer if you didn't {}.
I don't think you should {}.
"""
DIRECTIONS = ["left", "right", "forward", "back", "up", "down"]


def templates(text: str) -> list[str]:
    return [each.strip() for line in text.strip().splitlines() for each in line.split("|")]


def read(sentence: str, language: str = "en") -> list[str]:
    return make_interpreter((language,)).read(sentence, FACTS).readings


@pytest.mark.parametrize("template", templates(WRAPPED))
def test_courtesy_around_an_order_adds_and_takes_nothing(template: str) -> None:
    for order in ORDERS:
        assert read(template.replace("{}", order)) == read(order), order


@pytest.mark.parametrize("template", templates(WISHED))
def test_what_is_wished_in_the_past_is_ordered(template: str) -> None:
    for past, order in PASTS.items():
        assert read(template.replace("{}", past)) == read(order) != ["unknown"], past


@pytest.mark.parametrize("template", templates(DENIED))
def test_what_is_not_wished_is_read_as_its_opposite(template: str) -> None:
    for direction in DIRECTIONS:
        assert read(template.replace("{}", f"go {direction}")) == [OPPOSITE[direction]], direction
        assert read(template.replace("{}", f"go so far {direction}")) == [OPPOSITE[direction]], direction


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_complaints_about_the_way_there(direction: str) -> None:
    against = [OPPOSITE[direction]]
    for complaint in (
        "you're a good bit too far {}",
        "I'm afraid you're rather too far {} for my taste",
        "it seems to me that you're too far {}, aren't you?",
        "I'd rather you weren't so far {}",
        "not quite so far {}",
    ):
        assert read(complaint.replace("{}", direction)) == against, complaint
    assert read(f"aren't you a bit too far {direction}?") == against
    for asked in (
        "don't you want to go {}?",
        "shouldn't you be a bit further {}?",
        "don't you think you should go {}?",
    ):
        assert read(asked.replace("{}", direction)) == [direction], asked
    assert read(f"don't you dare go {direction}") == against
    for lack in (
        "you haven't gone far enough {}",
        "you've not come quite far enough {}, I'm afraid",
        "I don't think you've gone far enough {}",
    ):
        assert read(lack.replace("{}", direction)) == [direction], lack


@pytest.mark.parametrize("manner", ["gently", "carefully", "nice and slowly", "softly"])
def test_how_a_motion_is_done_is_no_second_order(manner: str) -> None:
    assert read(manner) == ["slower"]
    for order in ("go left", "lower it", "let it go", "turn it clockwise"):
        assert read(f"{manner} {order}") == read(f"{order} {manner}") == read(order)
    assert read(f"always {manner}") == read(f"{manner} near the glass") == ["rule"]


@pytest.mark.parametrize(
    ("reading", "sentences"),
    [
        (
            "good",
            "exactly what I was hoping for | just what I wanted | you couldn't have done better",
        ),
        (
            "bad",
            "I'm not happy with that | that's not at all what I was hoping for | you screwed that up | what a mess",
        ),
        (
            "undo",
            "forget what I just said | ignore everything I told you before | I take it back | cancel it, what I said",
        ),
        ("undo", "never mind what I said | disregard my last sentence | scratch that last thing I said | I misspoke"),
        (
            "unknown",
            "it's been raining all morning, hasn't it? | lovely weather today | that would be lovely | you know",
        ),
        ("unknown", "no, the other left | the other way, please | left, no, the other way | what's for lunch today?"),
        ("forward", "deeper | a little deeper, please | go deeper into the table"),
        ("back", "not so deep | too deep | you're a bit too deep now"),
        ("down", "deeper down | lower it deeper | down, a bit deeper"),
        ("open", "fingers wider apart | turn it loose | don't hold on to it any more"),
        ("close", "fingers together please | squeeze your fingers together"),
        ("turn_right", "with the clock | turn it with the clock, 5 degrees"),
        ("turn_left", "against the clock | give it a quarter turn anticlockwise"),
        ("faster", "a little more speed would be nice | would you mind hurrying up"),
        ("retry", "we repeat the attempt | would you mind starting over?"),
    ],
)
def test_idioms(reading: str, sentences: str) -> None:
    for sentence in sentences.split("|"):
        assert read(sentence) == [reading], sentence


@pytest.mark.parametrize("sentence", ["keep away from it", "slower near the banana", "always from above on the bottle"])
def test_a_rule_about_nothing_that_is_there_is_asked_about(sentence: str) -> None:
    heard = grammar_of("en").read(sentence, FACTS)
    assert heard.readings == ["unknown"]
    assert "which thing" in heard.why
    assert {meaning.thing for meaning in heard.nearest} <= set(FACTS.things)


@settings(max_examples=200, deadline=None)
@given(
    outer=st.sampled_from(templates(WRAPPED)),
    inner=st.sampled_from(templates(WRAPPED)),
    word=st.sampled_from(["left", "right", "up", "down"]),
)
def test_two_wrappings_never_turn_an_order_round(outer: str, inner: str, word: str) -> None:
    readings = read(outer.replace("{}", inner.replace("{}", f"go {word}").strip(".?")))
    assert OPPOSITE[word] not in readings


@pytest.mark.parametrize("stop", ["stop!", "stop right now", "whoa", "freeze"])
def test_no_manners_hide_a_stop(stop: str) -> None:
    for template in templates(WRAPPED):
        assert read(template.replace("{}", stop)) == ["stop"], template


def test_plain_words_stay_as_they_are() -> None:
    for language in LANGUAGES:
        vocabulary = grammar_of(language).vocabulary
        for word in ("left", "links", "izquierda", ",", "3", "stop"):
            assert vocabulary.plain([word, word]) == [word, word]
    verbs = [verb for pasts in PAST.values() for verb in pasts.split("|")]
    assert len(verbs) == len(set(verbs))
    assert not any(one in OPPOSITE for one in itertools.chain(PAST, verbs) if one not in ("open", "close", "back"))


@pytest.mark.parametrize(
    ("language", "reading", "sentence"),
    [
        ("de", "left", "es wäre schön, wenn du etwas nach links gehst"),
        ("de", "left", "geh nach links, das wäre super"),
        ("de", "back", "zu mir her, 2 cm"),
        ("de", "forward", "weg von mir"),
        ("de", "turn_right", "dreh rechtsrum"),
        ("de", "close", "mach den Greifer zu"),
        ("de", "open", "mach den Greifer auf"),
        ("de", "undo", "vergiss, was ich gesagt habe"),
        ("de", "rule", "berühre nie die Lampe"),
        ("es", "left", "sería genial si vas a la izquierda"),
        ("es", "back", "acércate a mí"),
        ("es", "forward", "aléjate de mí"),
        ("es", "forward", "estás demasiado cerca de mí"),
        ("es", "back", "estás demasiado lejos de mí"),
        ("es", "undo", "olvida lo que dije"),
    ],
)
def test_manners_of_other_languages(language: str, reading: str, sentence: str) -> None:
    assert read(sentence, language) == [reading]
