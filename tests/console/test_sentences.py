"""What became of each sentence: how it was read, what stands of it, and what the page says of that."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.console.pages.sentences import (
    CHIPS,
    DOES,
    FEWER,
    LEARNS,
    NOT_READ,
    answer,
    chips,
    learned,
    sentence_json,
    sentences_state,
)
from robot_rlhf.console.readings import DOINGS, LONGEST, Reading
from robot_rlhf.console.sentences import MOST_EXAMPLES, Said, Sentences, examples
from robot_rlhf.datatypes import Feedback, FeedbackKind, Segment
from robot_rlhf.errors import InvalidValueError, RobotRlhfError, UnknownNameError
from robot_rlhf.facts import Thing, book_of
from robot_rlhf.language.choice import make_interpreter
from robot_rlhf.meaning import MOST, MOVES, RULES, SKILLS, UNKNOWN, Meaning
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.place import TASKS, SimConfig

SPAN = Segment("e1", 3, 20)
LEFT, UP, ABOVE = Meaning("left", 0.02), Meaning("up", confidence=0.3), Meaning("goal", skill="above", thing="cube")
SLOWER = Meaning("rule", rule="slower", thing="glass")
ASKED = Reading("e1/0", "ask", (UNKNOWN,), "nobody", "no word of it says where to", (LEFT, UP))
NAMES = st.text("abc_ ", max_size=10)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
SURE = st.floats(0.0, 1.0)
MEANINGS = st.one_of(
    st.builds(Meaning, st.sampled_from(MOVES), st.none() | st.floats(0.0, 0.5), confidence=SURE),
    st.builds(Meaning, st.just("goal"), skill=st.sampled_from(list(SKILLS)), thing=NAMES, place=NAMES),
    st.builds(Meaning, st.just("rule"), rule=st.sampled_from(RULES), thing=NAMES),
    st.builds(Meaning, st.sampled_from(["good", "bad", "open", "stop", "unknown"])),
)
SEVERAL = st.lists(MEANINGS, max_size=4).map(tuple)
READINGS = st.builds(
    Reading, WORDS.filter(bool), st.sampled_from(DOINGS), SEVERAL, WORDS, WORDS, SEVERAL, st.sampled_from(["", "e1/0"])
)


def said(text: str, span: Segment = SPAN) -> Feedback:
    return Feedback(FeedbackKind.CORRECTION, "Anna", 2.0, span, text=text)


def read(reading: Reading, text: str, span: Segment = SPAN) -> Feedback:
    return Feedback(FeedbackKind.MEANING, "Anna", 2.1, span, text=text, payload=reading.to_payload())


def told(*events: Feedback) -> Sentences:
    sentences = Sentences()
    for event in events:
        sentences.add(event)
    return sentences


# -- readings ------------------------------------------------------------------------------------------------------


@given(READINGS)
def test_a_reading_comes_back_as_it_was_recorded(reading: Reading) -> None:
    assert Reading.of_payload(json.loads(json.dumps(reading.to_payload()))) == reading
    assert reading.words


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"sentence": "e1/0"},
        {"doing": "nudge"},
        {"sentence": "", "doing": "nudge"},
        {"sentence": 3, "doing": "nudge"},
        {"sentence": "a" * 1000, "doing": "nudge"},
        {"sentence": "e1/0", "doing": "explode"},
        {"sentence": "e1/0", "doing": ["nudge"]},
        {"sentence": "e1/0", "doing": "nudge", "meanings": "left"},
        {"sentence": "e1/0", "doing": "nudge", "meanings": {"reading": "left"}},
        {"sentence": "e1/0", "doing": "nudge", "meanings": [3]},
        {"sentence": "e1/0", "doing": "nudge", "meanings": [{"reading": "sideways"}]},
        {"sentence": "e1/0", "doing": "nudge", "meanings": [{"reading": "left", "amount": 7.0}]},
        {"sentence": "e1/0", "doing": "nudge", "meanings": [{"reading": "left", "amount": float("nan")}]},
        {"sentence": "e1/0", "doing": "nudge", "meanings": [{"reading": "left"}] * (MOST + 1)},
        {"sentence": "e1/0", "doing": "nudge", "by": 3},
        {"sentence": "e1/0", "doing": "nudge", "by": "a" * 1000},
        {"sentence": "e1/0", "doing": "undo", "undoes": ["e1/1"]},
        {"sentence": "e1/0", "doing": "nudge", "script": "x"},
    ],
)
def test_a_malformed_reading_is_refused_and_a_recorded_one_passed_over(payload: dict[str, Any]) -> None:
    with pytest.raises((InvalidValueError, UnknownNameError)):
        Reading.of_payload(payload)
    event = replace(read(ASKED, "x"), payload=payload)
    assert told(said("x"), event).newest(9) == (Said("x", "Anna", SPAN, 2.0),)


def test_a_long_why_is_cut() -> None:
    reading = Reading.of_payload({"sentence": "e1/0", "doing": "nothing", "why": "a" * 10_000})
    assert reading.why == "a" * LONGEST["why"]


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (Reading("s", "nudge", (LEFT,)), "nudging left 2 cm"),
        (Reading("s", "skill", (ABOVE,)), "above cube"),
        (Reading("s", "skill", (ABOVE, Meaning("close", skill="close"))), "above cube, then close"),
        (Reading("s", "rule", (SLOWER,)), "rule: slower near glass"),
        (
            Reading("s", "rule", (SLOWER,), why="there is no lamp here"),
            "rule: slower near glass (there is no lamp here)",
        ),
        (Reading("s", "praise", (Meaning("good"),)), "praise"),
        (Reading("s", "label", (LEFT,)), "for what was: left 2 cm"),
        (
            Reading("s", "label", (LEFT,), why="the robot stood still"),
            "for what was: left 2 cm (the robot stood still)",
        ),
        (Reading("s", "nothing", why="nothing is near"), "nothing: nothing is near"),
        (Reading("s", "button", (Meaning("stop"),)), "stop"),
        (ASKED, "Not understood: no word of it says where to"),
        (ASKED.chosen(UP, "Ben"), "up"),
        (ASKED.undone("Ben"), "taken back by Ben"),
    ],
)
def test_readings_in_words(reading: Reading, words: str) -> None:
    assert reading.words == words


@pytest.mark.parametrize(
    ("meaning", "doing"),
    [(LEFT, "label"), (ABOVE, "label"), (SLOWER, "rule"), (Meaning("good"), "praise"), (Meaning("bad"), "blame")],
)
def test_what_is_corrected_later_is_sure_and_about_what_was(meaning: Meaning, doing: str) -> None:
    corrected = ASKED.corrected(replace(meaning, confidence=0.2), "Ben")
    assert corrected == Reading("e1/0", doing, (meaning,), "Ben")


# -- sentences -----------------------------------------------------------------------------------------------------


def test_a_sentence_is_heard_then_read_then_taken_back() -> None:
    sentences = told(said("a bit left"))
    (heard,) = sentences.newest(9)
    assert (heard.name, heard.can_be_undone, sentences.read) == ("", False, False)
    nudge = Reading("e1/0", "nudge", (LEFT,), "grammar")
    sentences.add(read(nudge, "a bit left"))
    (done,) = sentences.newest(9)
    assert (done.name, done.reading, done.can_be_undone) == ("e1/0", nudge, True)
    sentences.add(read(nudge.undone("Ben"), "a bit left"))
    (undone,) = sentences.newest(9)
    assert (undone.taken_back, undone.can_be_undone, undone.spoken_of, undone.before) == (True, False, nudge, (nudge,))
    assert sentences.of("e1/0") == undone
    assert sentences.of("e1/9") is None


def test_the_same_words_said_twice_are_two_sentences() -> None:
    first, second = Reading("e1/0", "nudge", (LEFT,)), Reading("e1/1", "nudge", (LEFT,))
    later = Segment("e1", 30, 20)
    sentences = told(said("left"), read(first, "left"), said("left"), said("left", later), read(second, "left"))
    assert [(s.name, s.span) for s in sentences.newest(9)] == [("", later), ("e1/1", SPAN), ("e1/0", SPAN)]
    assert len(sentences) == 3


def test_a_reading_without_its_sentence_is_one() -> None:
    sentences = told(read(ASKED, "hm"))
    assert [s.text for s in sentences.about("e1")] == ["hm"]
    assert sentences.about("e2") == ()


def test_a_sentence_takes_back_another() -> None:
    rule = Reading("e1/0", "rule", (SLOWER,))
    sentences = told(said("slower"), read(rule, "slower"), said("scratch that"))
    assert [s.name for s in sentences.rules] == ["e1/0"]
    sentences.add(read(Reading("e1/1", "undo", (Meaning("undo"),), undoes="e1/0"), "scratch that"))
    newest, before = sentences.newest(2)
    assert (newest.can_be_undone, before.taken_back) == (False, True)
    assert sentences.rules == ()
    sentences.add(read(Reading("e1/2", "undo", undoes="nowhere"), "again"))
    assert len(sentences) == 3


STANDS = ("rule", "skill", "nudge", "label", "goal", "praise", "blame")
"""What may be done about a sentence that also says a rule."""
STORY = st.lists(
    st.tuples(st.sampled_from(["e1/0", "e1/1", "e2/0"]), st.sampled_from(DOINGS), st.sampled_from(["", "e1/0"])),
    max_size=20,
)


@given(STORY)
def test_the_last_reading_stands_as_a_naive_reading_finds(story: list[tuple[str, str, str]]) -> None:
    sentences, last, rules = Sentences(), dict[str, str](), list[str]()
    for name, doing, undoes in story:
        sentences.add(read(Reading(name, doing, (SLOWER,), undoes=undoes), name))
        last[name] = doing
        if undoes in last:
            last[undoes] = "undone"
        rules = [n for n in rules if n != name] + [name]
        rules = [n for n in rules if last[n] in STANDS]
    assert {s.name: s.reading.doing for s in sentences.newest(99) if s.reading} == last
    assert [s.name for s in sentences.rules] == rules


def test_things_spoken_of_are_told_once() -> None:
    put = Meaning("goal", skill="put_in", thing="cube", place="bowl")
    one, other = Reading("a", "goal", (put,)), Reading("b", "label", (LEFT, ABOVE, SLOWER))
    assert told(read(one, "x"), read(one.undone("Ben"), "x"), read(other, "y")).things == ("cube", "bowl", "glass")


def test_examples_fit_the_things_and_end_with_a_motion() -> None:
    cube = Thing("cube", ("the cube",), graspable=True)
    assert examples([cube])[:2] == ("above the cube", "down on the cube")
    push = examples([Thing("puck"), Thing("goal", ("the ring",)), Thing("glass")])
    assert push[:3] == ("behind the puck", "push the puck to the ring", "slower near the glass")
    assert "pull the handle" in examples([Thing("handle")])
    many = [Thing(f"bowl_{i}") for i in range(20)]
    for things in ([], [cube], many, [cube, *many]):
        offered = examples(things)
        assert len(offered) == len(set(offered)) <= MOST_EXAMPLES
        assert "a bit to the left" in offered


@pytest.mark.parametrize("task", [*TASKS])
def test_every_example_is_understood_and_is_about_what_is_there(task: str) -> None:
    with closing(SimConfig().open(task, clock=FakeClock(), cameras={})) as place:
        facts = book_of(place.task, place.spec)
    for text in examples([*facts.things.values()]):
        heard = make_interpreter().read(text, facts)
        assert heard.understood, (text, heard.why)
        assert {name for m in heard.meanings for name in (m.thing, m.place) if name} <= {*facts.things}, text


def test_things_are_called_as_people_call_them() -> None:
    reading = Reading("s", "skill", (Meaning("goal", skill="push_to", thing="puck", place="goal"),), nearest=(ABOVE,))
    assert reading.called({"puck": "the puck", "goal": "the ring"}).words == "push the puck to the ring"
    assert reading.called({}) == reading
    line = sentence_json(standing(replace(ASKED, nearest=(ABOVE,))), {}, {"cube": "the block"})
    assert line["choices"] == [{"words": "above the block", "meaning": ABOVE.to_json()}]


# -- what the page makes of them -----------------------------------------------------------------------------------


def standing(*readings: Reading) -> Said:
    sentences = told(said("x"), *(read(reading, "x") for reading in readings))
    return sentences.newest(1)[0]


def test_a_choice_becomes_an_event_that_names_who_chose() -> None:
    asked = standing(ASKED)
    event = answer(asked, {"do": "choose", "meaning": UP.to_json()}, "Ben", 5.0)
    assert (event.kind, event.author, event.stamp, event.span) == (FeedbackKind.MEANING, "Ben", 5.0, SPAN)
    assert event.text == "x"
    reading = Reading.of_payload(event.payload)
    assert (reading.sentence, reading.doing, reading.by) == ("e1/0", "ask", "Ben")
    assert reading.meanings == (Meaning("up"),), "whoever chooses is sure"
    assert not reading.asks


def test_taking_back_becomes_an_event_without_a_meaning() -> None:
    for stands in (ASKED, Reading("e1/0", "nudge", (LEFT,))):
        event = answer(standing(stands), {"do": "undo"}, "Ben", 5.0)
        assert dict(event.payload) == {"sentence": "e1/0", "by": "Ben", "meanings": [], "doing": "undone"}


@pytest.mark.parametrize(
    ("stands", "asked"),
    [
        (None, {"do": "undo"}),
        (ASKED, {}),
        (ASKED, {"do": "explode"}),
        (ASKED, {"do": "choose"}),
        (ASKED, {"do": "choose", "meaning": "up"}),
        (ASKED, {"do": "choose", "meaning": {"reading": "sideways"}}),
        (ASKED, {"do": "choose", "meaning": Meaning("down").to_json()}),
        (ASKED.chosen(UP, "Anna"), {"do": "choose", "meaning": LEFT.to_json()}),
        (ASKED.undone("Anna"), {"do": "undo"}),
        (Reading("e1/0", "button", (Meaning("stop"),)), {"do": "undo"}),
    ],
)
def test_what_is_not_offered_is_refused(stands: Reading | None, asked: dict[str, Any]) -> None:
    with pytest.raises(RobotRlhfError):
        answer(standing(stands) if stands else None, asked, "Ben", 5.0)


def test_a_sentence_that_nobody_read_cannot_be_answered() -> None:
    with pytest.raises(InvalidValueError, match="not known"):
        answer(standing(), {"do": "undo"}, "Ben", 5.0)


def test_learned_is_said_only_where_somebody_learns() -> None:
    nudge, asked = standing(Reading("e1/0", "nudge", (LEFT,))), standing(ASKED)
    assert learned(nudge, {}) == ""
    assert learned(nudge, {"learns_words": True}) == "learning…"
    assert learned(nudge, {"learns_words": True, "uptake": {"e1/0": 0.714}}) == "learned 71 %"
    assert learned(nudge, {"uptake": {"e1/0": -0.2}}) == "learned 0 %"
    assert learned(nudge, {"uptake": {"e1/0": "much"}, "learns_words": True}) == "learning…"
    assert learned(nudge, {"uptake": 3}) == ""
    assert learned(asked, {"learns_words": True, "uptake": {"e1/0": 0.5}}) == ""
    assert learned(standing(), {"learns_words": True}) == ""
    praise = standing(Reading("e1/0", "praise", (Meaning("good"),)))
    assert learned(praise, {"learns_words": True}) == "", "of it no share is measured"
    assert learned(standing(ASKED, ASKED.undone("Ben")), {"learns_words": True, "uptake": {"e1/0": 0.5}}) == ""


def test_a_line_of_the_page_is_plain_data() -> None:
    line = sentence_json(standing(ASKED), {}, {})
    assert (line["state"], line["undo"], [c["words"] for c in line["choices"]]) == ("ask", True, ["left 2 cm", "up"])
    assert line["choices"][1]["meaning"] == UP.to_json()
    assert sentence_json(standing(), {}, {})["state"] == "heard"
    assert sentence_json(standing(ASKED, ASKED.undone("Ben")), {}, {})["state"] == "undone"
    chosen = sentence_json(standing(ASKED, ASKED.chosen(LEFT, "Ben")), {}, {})
    assert (chosen["words"], chosen["choices"]) == ("left 2 cm", [])
    json.dumps(line, allow_nan=False)


def test_chips_offer_what_was_said_and_then_what_fits() -> None:
    assert chips([]) == []
    assert chips(["slower", "left", "x" * 200, "slower"]) == ["slower", "left"]
    assert chips(["slower", "left"], ("above the cube", "slower")) == ["slower", "above the cube"]
    many = tuple(str(i) for i in range(20))
    assert (len(chips([], many)), len(chips(["x"], many)), len(chips([*many]))) == (CHIPS, FEWER, FEWER)


def test_the_page_promises_what_the_run_does() -> None:
    def state(status: dict[str, Any], *events: Feedback) -> dict[str, Any]:
        sentences = told(*events)
        history = SimpleNamespace(
            said=sentences.newest,
            rules=lambda: sentences.rules,
            sentence=sentences.of,
            sentences=len(sentences),
            understands=sentences.read,
        )
        console = SimpleNamespace(
            history=history, settings=SimpleNamespace(examples=("above the cube",), things={"glass": "the glass"})
        )
        desk = SimpleNamespace(sentences=[], sent=[], spoken=0)
        return sentences_state(cast("Any", console), cast("Any", desk), status)

    deaf = state({})
    assert (deaf["note"], deaf["chips"]) == (NOT_READ, [])
    assert state({"listens": True})["note"] == DOES
    assert state({"listens": True, "learns_words": True})["note"] == LEARNS
    hears = state({}, said("x"), read(Reading("e1/0", "rule", (SLOWER,)), "x"))
    assert (hears["note"], hears["chips"]) == (DOES, ["above the cube"])
    scratched = read(Reading("e1/1", "undo", (Meaning("undo"),), undoes="e1/0"), "scratch that")
    back, slower = state({}, said("x"), read(Reading("e1/0", "rule", (SLOWER,)), "x"), scratched)["sentences"]
    assert (back["words"], slower["state"]) == ("takes back “x”", "undone")
    assert hears["rules"] == [{"name": "e1/0", "words": "slower near the glass", "text": "x"}]


def test_halves_of_letters_reach_no_page() -> None:
    sentences = told(said("left \ud83d"), read(Reading("e1/0", "ask"), "left \ud83d"))
    (only,) = sentences.newest(5)
    assert (only.text, only.name) == ("left ?", "e1/0")
