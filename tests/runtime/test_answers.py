"""What somebody chooses who is asked what a sentence means."""

from __future__ import annotations

from dataclasses import replace

from robot_rlhf.datatypes import Button, HumanInput, Outcome
from robot_rlhf.meaning import Meaning
from tests.runtime.test_listening import Rig


def asked(chosen: str) -> tuple[Rig, HumanInput]:
    """Somebody has mumbled, and this is the answer."""
    rig = Rig({2: "mumble"})
    rig.run()
    question = rig.meanings[0]
    payload = {**question.payload, "by": "Ada", "meanings": [Meaning(chosen).to_json()], "doing": "ask"}
    return rig, HumanInput(feedback=(replace(question, payload=payload),))


def test_to_try_again_is_an_answer_that_does_what_the_button_does() -> None:
    rig, answer = asked("retry")
    rig.teleop.says = {rig.teleop.reads + 3: answer}
    assert len(rig.run(seed=1)) == 3
    end = rig.listener.told("end")[-1]
    assert (end.outcome, end.detail) == (Outcome.STOPPED, "reset pressed")
    assert rig.doings == ["ask", "button"]
    pressed = Rig({3: HumanInput(buttons=frozenset({Button.RESET}))})
    pressed.run()
    other = pressed.listener.told("end")[-1]
    assert (end.outcome, end.detail, end.steps) == (other.outcome, other.detail, other.steps)
    assert len(rig.run(seed=2)) == 30, "only the episode in which it was chosen"


def test_an_answer_at_the_very_end_of_an_episode_ends_no_later_one() -> None:
    rig, answer = asked("retry")
    assert rig.listening.understand(answer) != answer, "it is pressed for the episode that ends"
    rig.station.inputs.keep(answer)
    assert len(rig.run(seed=1)) == 30
    assert rig.doings == ["ask", "button"]


def test_nothing_is_tried_again_for_a_question_that_nobody_asks_any_more() -> None:
    rig, answer = asked("retry")
    again = replace(answer, feedback=tuple(map(replace, answer.feedback)))
    rig.teleop.says = {rig.teleop.reads + 3: answer}
    rig.run(seed=1)
    rig.teleop.says = {rig.teleop.reads + 3: again}
    assert len(rig.run(seed=2)) == 30


def test_taking_back_a_later_use_of_explained_words_forgets_no_words() -> None:
    rig, answer = asked("left")
    reads = rig.teleop.reads
    rig.teleop.says = {
        reads + 3: answer,
        **{reads + n: rig._said("mumble") for n in (15, 27)},
        reads + 20: rig._said("scratch that"),
    }
    steps = rig.run(seed=1)
    assert rig.doings == ["ask", "nudge", "nudge", "undo", "undone", "nudge"]
    assert rig.meanings[3].payload["undoes"] == rig.meanings[2].payload["sentence"]
    assert [step.spoken for step in (steps[3], steps[15], steps[27])] == [
        "practice-0/0",
        "practice-1/0",
        "practice-1/2",
    ]
    assert not steps[20].spoken


def test_taking_back_what_was_explained_forgets_it() -> None:
    rig, answer = asked("left")
    reads = rig.teleop.reads
    rig.teleop.says = {reads + 3: answer, reads + 10: rig._said("scratch that"), reads + 20: rig._said("mumble")}
    steps = rig.run(seed=1)
    assert rig.doings == ["ask", "nudge", "undo", "undone", "ask"]
    assert not any(step.spoken for step in steps[10:])


def test_words_that_were_explained_wrongly_are_corrected_where_they_were_explained() -> None:
    rig, answer = asked("left")
    rig.teleop.says = {rig.teleop.reads + 3: answer}
    rig.run(seed=1)
    explained = rig.meanings[-1]
    payload = {**explained.payload, "meanings": [Meaning("right").to_json()], "doing": "label"}
    corrected = HumanInput(feedback=(replace(explained, payload=payload),))
    rig.teleop.says = {rig.teleop.reads + 3: corrected, rig.teleop.reads + 10: rig._said("mumble")}
    rig.run(seed=2)
    assert [told["reading"] for told in rig.meanings[-1].payload["meanings"]] == ["right"]
