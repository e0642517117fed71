"""The grammars' own sentences, language by language, and the meanings behind some readings."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.sentences import read_cases, score
from robot_rlhf.facts import FactBook, Thing
from robot_rlhf.language.choice import LANGUAGES, grammar_of, make_interpreter
from robot_rlhf.language.things import usual_facts
from robot_rlhf.meaning import Heard, Meaning, not_understood

FACTS = usual_facts()
CASES = read_cases(Path(__file__).parent / "templates")


def read(sentence: str, facts: FactBook = FACTS) -> Heard:
    return grammar_of("en").read(sentence, facts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_own_sentences_are_read_as_meant(language: str) -> None:
    cases = [case for case in CASES if case.language == language]
    assert len(cases) > {"en": 900}.get(language, 40)
    scored = score(cases, lambda name: make_interpreter((name,)), FACTS)
    assert [(each.case.sentence, each.case.wanted, each.got) for each in scored if each.verdict != "right"] == []


def test_several_languages_understand_each_their_own_and_none_is_opposite() -> None:
    everyone = make_interpreter(tuple(LANGUAGES))
    scored = list(score(CASES, lambda _: everyone, FACTS))
    assert not [each.case.sentence for each in scored if each.verdict == "opposite"]
    assert sum(each.verdict == "right" for each in scored) > 0.97 * len(scored)


@pytest.mark.parametrize(
    ("sentence", "meaning"),
    [
        ("above the cube", Meaning("goal", skill="above", thing="cube")),
        ("down on it", Meaning("down", skill="down_on")),
        ("lower onto the cube", Meaning("down", skill="down_on", thing="cube")),
        ("lift it", Meaning("up", skill="lift")),
        ("lift the arm", Meaning("up")),
        ("pick it up", Meaning("up", skill="lift")),
        ("pick up the peg", Meaning("close", skill="grasp", thing="peg")),
        ("close", Meaning("close", skill="close")),
        ("let go", Meaning("open", skill="open")),
        ("don't let go", Meaning("close", skill="close")),
        ("to the red one", Meaning("goal", skill="to", thing="red_block")),
        ("the red one", Meaning("goal", thing="red_block")),
        ("too close to the glass", Meaning("goal", skill="away_from", thing="glass")),
        ("keep away from the lamp", Meaning("rule", rule="keep_away", thing="lamp")),
        ("never touch the glass", Meaning("rule", rule="keep_away", thing="glass")),
        ("slower near the glass", Meaning("rule", rule="slower", thing="glass")),
        ("when you are near the glass, slow down", Meaning("rule", rule="slower", thing="glass")),
        ("always slower", Meaning("rule", rule="slower")),
        ("not so fast near the lamp", Meaning("rule", rule="slower", thing="lamp")),
        ("always from above", Meaning("rule", rule="from_above")),
        ("put it in the left bowl", Meaning("goal", skill="put_in", place="left_bowl")),
        (
            "put the blue block in the right bowl",
            Meaning("goal", skill="put_in", thing="blue_block", place="right_bowl"),
        ),
        ("push the puck to the ring", Meaning("goal", skill="push_to", thing="puck", place="ring")),
        ("get behind the puck", Meaning("goal", skill="behind", thing="puck")),
        ("behind the puck as seen from the ring", Meaning("goal", skill="behind", thing="puck", place="ring")),
        ("open the drawer", Meaning("goal", skill="pull", thing="drawer")),
        ("close the drawer", Meaning("goal", skill="shut", thing="drawer")),
        ("wait", Meaning("stop", skill="wait")),
        ("stop", Meaning("stop")),
        ("2 cm to the robot's left", Meaning("left", 0.02, "base")),
        ("a bit to my left", Meaning("left", 0.02)),
        ("half speed", Meaning("slower")),
        ("50 percent slower", Meaning("slower", 0.5)),
        ("towards me", Meaning("back")),
    ],
)
def test_what_is_behind_a_reading(sentence: str, meaning: Meaning) -> None:
    assert read(sentence).meanings == (meaning,)


def test_things_are_those_of_the_place() -> None:
    facts = FactBook([], things=[Thing("goal", ("the ring", "the goal")), Thing("big_gear", ("the big gear",), True)])
    assert read("to the ring", facts).meanings == (Meaning("goal", skill="to", thing="goal"),)
    assert read("grab the gear", facts).meanings == (Meaning("close", skill="grasp", thing="big_gear"),)
    assert read("to the hoop", facts).meanings == (Meaning("goal", skill="to", thing="goal"),)
    handle = FactBook([], things=[Thing("handle", ("the handle",)), Thing("block", ("the block",), True)])
    assert read("open the drawer", handle).meanings == (Meaning("goal", skill="pull", thing="handle"),)
    assert grammar_of("de").read("öffne die Schublade", handle).meanings[0].thing == "handle"


def test_nothing_is_done_with_a_thing_that_is_not_there() -> None:
    facts = FactBook([], things=[Thing("cube", ("the cube",), True)])
    for sentence in (
        *("to the lamp", "above the lamp", "put it in the bowl", "away from the lamp", "the red one", "the lamp"),
        *("grab the lamp", "push it to the ring", "put the cube in the bowl", "lift the lamp", "left, then the lamp"),
    ):
        heard = read(sentence, facts)
        assert heard.readings == ["unknown"], sentence
        assert heard.why.startswith("there is no "), sentence
        assert len(heard.nearest) == 3
        assert any(meaning.thing == "cube" and meaning.skill for meaning in heard.nearest), sentence


def test_of_several_that_fit_none_is_chosen() -> None:
    blocks = [Thing(f"{colour}_block", (f"the {colour} block",), True) for colour in ("red", "green")]
    facts = FactBook([], things=blocks)
    assert read("grab the block", facts).meanings[0].thing == ""
    assert read("grab the green one", facts).meanings[0].thing == "green_block"


@pytest.mark.parametrize("sentence", ["no", "more", "there", "the other way", "left or right", "too close"])
def test_what_is_not_clear_is_asked(sentence: str) -> None:
    heard = read(sentence)
    assert heard.readings == ["unknown"]
    assert heard.why
    assert 2 <= len(heard.nearest) <= 3


@pytest.mark.parametrize("sentence", ["frobnicate the gizmo", "qwertz", "...", "no"])
def test_to_stop_is_never_offered_and_what_can_be_done_here_comes_first(sentence: str) -> None:
    heard = read(sentence, FactBook([], things=[Thing("cube", ("the cube",), True)]))
    assert heard.readings == ["unknown"]
    assert "stop" not in {meaning.reading for meaning in heard.nearest if not meaning.skill}
    if sentence in ("frobnicate the gizmo", "qwertz", "..."):
        assert [meaning.skill for meaning in heard.nearest] == ["grasp", "above", ""]
        assert {meaning.thing for meaning in heard.nearest[:2]} == {"cube"}


def test_nobody_offers_to_stop_whoever_reads_it() -> None:
    assert not_understood("hm", "", [Meaning("stop"), Meaning("up"), Meaning("stop", skill="wait")]).nearest == (
        Meaning("up"),
        Meaning("stop", skill="wait"),
    )
