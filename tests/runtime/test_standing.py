"""What stands of what was said, however much was said since."""

from __future__ import annotations

from dataclasses import replace

from robot_rlhf.datatypes import Feedback, FeedbackKind, Segment
from robot_rlhf.meaning import Meaning
from robot_rlhf.runtime.standing import REMEMBERED, StandingSentences
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.tasks import PickCube


def told(number: int, meaning: Meaning, doing: str) -> Feedback:
    payload = {"sentence": f"e/{number}", "meanings": [meaning.to_json()], "doing": doing}
    return Feedback(FeedbackKind.MEANING, "somebody", 1.0, Segment("e", 0, 1), text="so", payload=payload)


def test_the_sentence_of_a_rule_is_known_as_long_as_it_stands() -> None:
    standing = StandingSentences(PickCube(FakeClock()).arm.spec)
    standing.take_in(told(0, Meaning("rule", rule="keep_away", thing="cube"), "rule"))
    for number in range(1, REMEMBERED + 50):
        standing.take_in(told(number, Meaning("left"), "nudge"))
    assert standing.get("e/0") is not None
    assert standing.get("e/1") is None
    assert standing.get(f"e/{REMEMBERED + 49}") is not None
    standing.take_in(told(0, Meaning("rule", rule="keep_away", thing="cube"), "undone"))
    assert not standing.rules.standing


def test_each_rule_of_a_sentence_stands_until_it_is_taken_back() -> None:
    standing = StandingSentences(PickCube(FakeClock()).arm.spec)
    both = [Meaning("rule", rule=rule, thing="cube").to_json() for rule in ("slower", "keep_away")]
    event = told(0, Meaning("good"), "rule")
    standing.take_in(replace(event, payload={**event.payload, "meanings": both}))
    assert [one.rule.rule for one in standing.rules.standing] == ["slower", "keep_away"]
    standing.take_in(told(0, Meaning("good"), "undone"))
    assert not standing.rules.standing
