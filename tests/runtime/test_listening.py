"""What a sentence does in the loop: at once, to what it names, told, and taken back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
import pytest

from robot_rlhf.datatypes import (
    Action,
    Assignment,
    Button,
    Driver,
    EpisodeKind,
    Feedback,
    FeedbackKind,
    HumanInput,
    Outcome,
    Sentence,
    Situation,
    Step,
)
from robot_rlhf.errors import UnknownNameError
from robot_rlhf.facts import FactBook, book_of
from robot_rlhf.feedback.arbiter import Arbiter
from robot_rlhf.language.endpoint import Answer, ModelInterpreter
from robot_rlhf.language.interpreter import FirstToUnderstand
from robot_rlhf.meaning import Heard, Meaning, not_understood
from robot_rlhf.runtime.evaluation import evaluate
from robot_rlhf.runtime.listening import Listening
from robot_rlhf.runtime.loop import hear_last_words
from robot_rlhf.runtime.named_goals import NamedGoals
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.runtime.standing import StandingSentences
from robot_rlhf.runtime.station import EndRequestedError, Station, StopRequestedError
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.place import SimConfig
from tests.runtime.stations import Listener, Script, run_station

LEFT, RIGHT = Meaning("left", 0.03), Meaning("right", 0.03)
KNOWN: Mapping[str, tuple[Meaning, ...]] = {
    "left": (LEFT,),
    "right": (RIGHT,),
    "left and up": (LEFT, Meaning("up", 0.03)),
    "grab it, then lift": (Meaning("close", skill="grasp", thing="cube"), Meaning("up", skill="lift")),
    "grab the lamp": (Meaning("close", skill="grasp", thing="lamp"),),
    "slower": (Meaning("slower"),),
    "slowly near the cube": (Meaning("rule", rule="slower", thing="cube"),),
    "slowly near the lamp": (Meaning("rule", rule="slower", thing="lamp"),),
    "stop": (Meaning("stop"),),
    "again": (Meaning("retry"),),
    "well done": (Meaning("good"),),
    "that was wrong": (Meaning("bad"),),
    "scratch that": (Meaning("undo"),),
    "scratch that, right": (Meaning("undo"), RIGHT),
    "left, and slowly near the cube": (LEFT, Meaning("rule", rule="slower", thing="cube")),
    "slowly near the cube, and left": (Meaning("rule", rule="slower", thing="cube"), LEFT),
    "slowly near the cube, and keep away from it": (
        Meaning("rule", rule="slower", thing="cube"),
        Meaning("rule", rule="keep_away", thing="cube"),
    ),
    "slowly near the lamp, and keep away from the cube": (
        Meaning("rule", rule="slower", thing="lamp"),
        Meaning("rule", rule="keep_away", thing="cube"),
    ),
    "left, slowly near the lamp, and keep away from the cube": (
        LEFT,
        Meaning("rule", rule="slower", thing="lamp"),
        Meaning("rule", rule="keep_away", thing="cube"),
    ),
    "left, and slowly near the lamp": (LEFT, Meaning("rule", rule="slower", thing="lamp")),
    "always from above": (Meaning("rule", rule="from_above"),),
    "grab the lamp, and slowly near the cube": (
        Meaning("close", skill="grasp", thing="lamp"),
        Meaning("rule", rule="slower", thing="cube"),
    ),
    "no, left": (Meaning("bad"), LEFT),
    "the lid": (Meaning("goal", thing="lid"),),
    "wrong one, the lid": (Meaning("bad"), Meaning("goal", thing="lid")),
    "the lamp": (Meaning("goal", thing="lamp"),),
    "the lid, and left": (Meaning("goal", thing="lid"), LEFT),
    "wait": (Meaning("stop", skill="wait"),),
}


class Table:
    """An Interpreter of a few sentences."""

    def read(self, text: str, facts: FactBook) -> Heard:
        found = KNOWN.get(text)
        return Heard(text, found, "grammar") if found else not_understood(text, "no such words", [LEFT, RIGHT])


@dataclass
class Mouth:
    """A Teleop: what is said, pressed, answered or driven, by number of the reading."""

    says: Mapping[int, HumanInput | Callable[[], HumanInput]] = field(default_factory=dict)
    reads: int = 0

    def read(self) -> HumanInput:
        entry = self.says.get(self.reads, HumanInput())
        self.reads += 1
        return entry() if callable(entry) else entry


class Rig:
    """The arm above a cube, a policy that wishes for the same always, and somebody who speaks."""

    def __init__(self, says: Mapping[int, str | HumanInput | Callable[[], HumanInput]], *, steps: int = 30) -> None:
        self.clock = FakeClock()
        self.place = SimConfig().open("pick_cube", clock=self.clock, cameras={})
        spec = self.place.spec
        self.wish = Action(np.array([0.1, 0.0, 0.0, 0.2, 1.0], np.float32))
        self.listener = Listener()
        facts = self.facts = book_of(self.place.task, spec)
        standing = StandingSentences(spec)
        self.listening = Listening(FirstToUnderstand([standing.lexicon, Table()]), facts, spec, standing)
        self.teleop = Mouth({n: self._said(said) for n, said in says.items()})

        @dataclass
        class Short:
            """The task, cut after so many steps."""

            of: object = self.place.task
            name: str = "pick_cube"
            instruction: str = "pick up the cube"
            time_limit: int = steps

            def reset(self, rng: np.random.Generator) -> None:
                self.of.reset(rng)  # type: ignore[attr-defined]  of is the task

            def success(self, observation: object) -> bool:
                return False

        self.station = Station(
            guard=self.place.guard,
            task=Short(),
            policy=Script([self.wish]),
            arbiter=Arbiter(spec.action, give_back_after=0.1),
            reward=SparseReward(),
            clock=self.clock,
            teleop=self.teleop,
            operator="Ada",
            subscribers=(self.listener, standing),
            listening=self.listening,
            release_faults=True,
        )

    def _said(self, said: str | HumanInput | Callable[[], HumanInput]) -> HumanInput | Callable[[], HumanInput]:
        if isinstance(said, str):
            return lambda: HumanInput(sentences=(Sentence(said, self.clock.now()),))
        return said

    def run(self, kind: EpisodeKind = EpisodeKind.PRACTICE, seed: int = 0) -> list[Step]:
        before = len(self.listener.steps)
        with suppress(StopRequestedError):
            run_station(self.station, kind, seed)
        return self.listener.steps[before:]

    @property
    def meanings(self) -> list[Feedback]:
        return [each for each in self.listener.feedback if each.kind is FeedbackKind.MEANING]

    @property
    def doings(self) -> list[str]:
        return [each.payload["doing"] for each in self.meanings]


def test_a_nudge_moves_what_it_names_in_the_very_period_it_is_heard() -> None:
    rig = Rig({5: "left"})
    steps = rig.run()
    spoken = [step for step in steps if step.spoken]
    assert steps[4].spoken == ""
    assert spoken[0] is steps[5]
    assert {step.spoken for step in spoken} == {"practice-0/0"}
    names = rig.place.spec.action.names
    named = np.array([name in ("x", "y") for name in names])
    for step in spoken:
        assert step.driver is Driver.HUMAN
        assert step.authority is not None
        assert step.proposed is not None
        assert not step.authority[~named].any()
        free = step.authority == 0.0
        np.testing.assert_allclose(step.action.values[free], step.proposed.values[free], atol=1e-6)
    assert all(step.driver is Driver.POLICY and step.authority is None for step in steps if not step.spoken)
    left = -np.array(rig.facts.view.right)
    gone = (spoken[-1].next_observation.tool_pose_in_base - spoken[0].observation.tool_pose_in_base)[:2]
    assert 0.015 < float(gone @ left) < 0.045


def test_what_is_said_in_one_breath_is_done_together() -> None:
    rig = Rig({5: "left and up"})
    first = next(step for step in rig.run() if step.spoken)
    assert first.authority is not None
    assert first.authority[2] == 1.0
    assert first.authority[:2].any()


def test_a_skill_decides_everything_and_the_next_one_follows() -> None:
    rig = Rig({2: "grab it, then lift"}, steps=90)
    steps = rig.run()
    spoken = [step for step in steps if step.spoken]
    assert all(step.authority is None and step.driver is Driver.HUMAN for step in spoken)
    height = float(steps[-1].next_observation.privileged["cube"][2])
    assert max(float(step.next_observation.privileged["cube"][2]) for step in steps) > 0.06, height
    assert rig.doings == ["skill"]
    assert [e.kind for e in rig.listener.feedback] == [FeedbackKind.CORRECTION, FeedbackKind.MEANING]


def test_every_sentence_is_told_with_what_it_means() -> None:
    rig = Rig({3: "left", 25: "mumble", 27: "well done", 28: "that was wrong", 29: "grab the lamp"})
    rig.run()
    assert rig.doings == ["nudge", "ask", "praise", "blame", "nothing"]
    asked = rig.meanings[1].payload
    assert [Meaning.of_json(told) for told in asked["nearest"]] == [LEFT, RIGHT]
    assert "lamp" in rig.meanings[4].payload["why"]
    assert [each.payload["sentence"] for each in rig.meanings] == [f"practice-0/{n}" for n in range(5)]
    corrections = [each for each in rig.listener.feedback if each.kind is FeedbackKind.CORRECTION]
    assert [each.span for each in corrections] == [each.span for each in rig.meanings]


def test_stopping_comes_before_everything() -> None:
    rig = Rig({5: "stop"})
    steps = rig.run()
    assert len(steps) == 5
    assert rig.listener.told("end")[0].outcome is Outcome.STOPPED
    assert rig.doings == ["button"]


def test_waiting_is_no_stop() -> None:
    rig = Rig({5: "wait"})
    steps = rig.run()
    assert len(steps) == 30
    assert steps[5].spoken
    assert not np.any(steps[5].action.values[:4])


def test_what_is_to_be_done_counts_before_what_was_not_good() -> None:
    rig = Rig({5: "no, left"})
    assert rig.run()[5].spoken
    assert rig.doings == ["nudge"]
    assert [told["reading"] for told in rig.meanings[0].payload["meanings"]] == ["bad", "left"]


def test_doing_it_over_ends_the_episode_once() -> None:
    rig = Rig({5: "again"})
    assert len(rig.run()) == 5
    assert len(rig.run(seed=1)) == 30


def test_again_before_the_first_step_ends_only_that_episode() -> None:
    rig = Rig({0: "again"})
    assert rig.run() == []
    assert len(rig.run(seed=1)) == 30


def test_hands_come_before_words() -> None:
    drive = HumanInput(Action(np.array([0.0, 0.5, 0.0, 0.0, 1.0], np.float32)))
    rig = Rig({5: "left", 6: drive, 7: drive})
    steps = rig.run()
    assert steps[5].spoken
    assert not any(step.spoken for step in steps[6:])
    assert steps[6].driver is Driver.HUMAN


def test_said_while_driving_it_is_about_what_was_driven() -> None:
    drive = HumanInput(Action(np.array([0.0, 0.5, 0.0, 0.0, 1.0], np.float32)))
    said = replace(drive, sentences=(Sentence("left", 0.2),))
    rig = Rig({4: drive, 5: said, 6: drive})
    assert not any(step.spoken for step in rig.run())
    assert rig.doings == ["label"]


def test_the_opposite_within_two_seconds_takes_it_back() -> None:
    rig = Rig({5: "left", 7: "right"})
    steps = rig.run()
    assert rig.doings == ["nudge", "nudge", "ask"]
    assert [each.payload["sentence"] for each in rig.meanings] == ["practice-0/0", "practice-0/1", "practice-0/0"]
    assert {step.spoken for step in steps[5:7]} == {"practice-0/0"}
    assert steps[7].spoken == "practice-0/1"


def test_a_word_takes_the_last_sentence_back() -> None:
    rig = Rig({5: "left", 6: "scratch that", 20: "scratch that"})
    steps = rig.run()
    assert rig.doings == ["nudge", "undo", "undone", "nothing"]
    assert rig.meanings[1].payload["undoes"] == rig.meanings[2].payload["sentence"] == "practice-0/0"
    assert rig.meanings[2].payload["meanings"] == []
    assert steps[5].spoken
    assert not any(step.spoken for step in steps[6:])


def test_a_rule_holds_until_it_is_switched_off() -> None:
    rig = Rig({2: "slowly near the cube", 3: "slowly near the lamp"})
    rig.run()
    assert rig.doings == ["rule", "nothing"]
    (standing,) = rig.listening.standing.rules.standing
    assert standing.sentence == "practice-0/0"
    off = replace(rig.meanings[0], payload={"sentence": "practice-0/0", "meanings": [], "doing": "undone", "by": "Ada"})
    rig.teleop.says = {rig.teleop.reads + 3: HumanInput(feedback=(off,))}
    rig.run(seed=1)
    assert rig.listening.standing.rules.standing == ()
    assert rig.doings[-1] == "undone"


def test_what_the_operator_explains_is_done_and_known_from_then_on() -> None:
    rig = Rig({2: "mumble"})
    rig.run()
    asked = rig.meanings[0]
    chosen = replace(asked, payload={**asked.payload, "by": "Ada", "meanings": [LEFT.to_json()], "doing": "ask"})
    rig.teleop.says = {
        rig.teleop.reads + 3: HumanInput(feedback=(chosen,)),
        rig.teleop.reads + 20: rig._said("mumble"),
    }
    steps = rig.run(seed=1)
    assert rig.doings == ["ask", "nudge", "nudge"]
    assert steps[3].spoken == "practice-0/0"
    assert steps[20].spoken == "practice-1/0"
    assert rig.meanings[2].payload["by"] == "lexicon"


def test_what_is_corrected_afterwards_is_told_and_moves_nothing_now() -> None:
    rig = Rig({2: "mumble"})
    rig.run()
    asked = rig.meanings[0]
    meant = replace(asked, payload={**asked.payload, "by": "Ada", "meanings": [LEFT.to_json()], "doing": "label"})
    rig.teleop.says = {rig.teleop.reads + 3: HumanInput(feedback=(meant,))}
    steps = rig.run(seed=1)
    assert rig.doings == ["ask", "label"]
    assert rig.meanings[1].payload["meanings"] == [LEFT.to_json()]
    assert not any(step.spoken for step in steps)


def test_who_looks_on_is_told_which_sentence_drives() -> None:
    rig, shown = Rig({5: "left"}), list[Situation]()

    class Screen:
        def show(self, situation: Situation) -> None:
            shown.append(situation)

    rig.station = replace(rig.station, monitor=Screen())
    steps = rig.run()
    spoken = [situation.spoken for situation in shown if situation.spoken]
    assert set(spoken) == {"practice-0/0"}
    assert len(spoken) == sum(bool(step.spoken) for step in steps)
    assert all(s.driver is Driver.HUMAN for s in shown if s.spoken)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"sentence": "x", "meanings": "left"},
        {"sentence": "x", "meanings": [{"reading": "sideways"}]},
        {"sentence": "x", "meanings": [{"reading": "left", "amount": 1e9}]},
        {"sentence": 7, "meanings": [[["left"]]], "doing": "nudge"},
        {"sentence": "x", "meanings": 3},
    ],
)
def test_what_is_no_answer_moves_nothing(payload: dict[str, object]) -> None:
    rig = Rig({2: "left"})
    rig.run()
    bad = replace(rig.meanings[0], payload=payload)
    rig.teleop.says = {rig.teleop.reads + 3: HumanInput(feedback=(bad,))}
    steps = rig.run(seed=1)
    assert len(steps) == 30
    assert not any(step.spoken for step in steps)


def test_a_measured_policy_is_not_helped() -> None:
    rig = Rig({5: "left"})
    assert not any(step.spoken for step in rig.run(EpisodeKind.EVALUATION))
    assert rig.doings == ["nothing"]


def test_said_about_the_episode_before_it_moves_nothing_now() -> None:
    rig = Rig({})
    rig.run()
    at = rig.clock.now()
    rig.teleop.says = {rig.teleop.reads: lambda: HumanInput(sentences=(Sentence("left", at),))}
    steps = rig.run(seed=1)
    assert not any(step.spoken for step in steps)
    assert rig.doings == ["label"]
    assert rig.meanings[0].span.episode_id == "practice-0"


def test_what_is_ordered_between_two_episodes_is_done_in_the_next() -> None:
    rig = Rig({})
    rig.run()
    at = rig.clock.now()
    rig.teleop.says = {rig.teleop.reads: lambda: HumanInput(sentences=(Sentence("grab it, then lift", at),))}
    assert rig.run(seed=1)[0].spoken
    assert rig.doings == ["skill"]


def test_an_order_that_takes_its_time_to_be_heard_is_done_all_the_same() -> None:
    rig = Rig({})
    rig.run()
    at = rig.clock.now()
    late = rig.teleop.reads + 8  # it was begun with the episode, and understood later
    rig.teleop.says = {late: lambda: HumanInput(sentences=(Sentence("grab it, then lift", at),))}
    steps = rig.run(seed=1)
    assert steps[8].spoken
    assert rig.doings == ["skill"]


def test_what_was_ordered_while_the_last_one_ran_is_not() -> None:
    rig = Rig({})
    rig.run()
    at = rig.clock.now() - 0.2
    rig.teleop.says = {rig.teleop.reads: lambda: HumanInput(sentences=(Sentence("grab it, then lift", at),))}
    assert not any(step.spoken for step in rig.run(seed=1))
    assert rig.doings == ["label"]


def test_slower_slows_the_policy_for_a_while() -> None:
    rig = Rig({5: "slower"}, steps=60)
    steps = rig.run()
    spoken = [step for step in steps if step.spoken]
    assert len(spoken) == round(2.0 / rig.place.spec.control_period)
    assert float(spoken[10].action.values[0]) == pytest.approx(0.05, abs=1e-3)
    assert steps[-1].spoken == ""


def test_what_was_told_is_known_again_from_a_recording() -> None:
    rig = Rig({2: "slowly near the cube", 3: "left"})
    rig.run()
    again = Rig({0: "left"})
    for event in rig.listener.feedback:
        again.listening.standing.on_event(event)
    assert [one.sentence for one in again.listening.standing.rules.standing] == ["practice-0/0"]
    again.run()
    assert again.meanings[0].payload["sentence"] == "practice-0/2"  # numbers go on


class Late:
    """A model that has answered when it is asked, so many seconds after it was."""

    def __init__(self, meanings: tuple[Meaning, ...], age: float) -> None:
        self.meanings, self.age = meanings, age
        self.asked: list[str] = []

    def submit(self, sentence: str, text: str, facts: FactBook) -> str:
        self.asked.append(sentence)
        return ""

    def answers(self) -> list[Answer]:
        asked, self.asked = self.asked, []
        return [Answer(sentence, Heard("", self.meanings, "model"), self.age) for sentence in asked]

    def close(self) -> None:
        """There is nothing to close."""


@pytest.mark.parametrize(("age", "doing"), [(0.5, "nudge"), (5.0, "label")])
def test_what_a_model_says_moves_only_while_it_is_fresh(age: float, doing: str) -> None:
    rig = Rig({5: "mumble"})
    rig.listening.second = cast("ModelInterpreter", Late((LEFT,), age))
    steps = rig.run()
    assert rig.doings == ["ask", doing]
    assert rig.meanings[1].payload["by"] == "model"
    assert any(step.spoken for step in steps) == (doing == "nudge")


def test_what_was_explained_meanwhile_is_not_changed_by_a_model() -> None:
    rig = Rig({5: "mumble"})
    late = Late((RIGHT,), 0.5)
    rig.listening.second = cast("ModelInterpreter", late)
    answers, late.answers = late.answers, lambda: []
    rig.run()
    asked = rig.meanings[0]
    chosen = replace(asked, payload={**asked.payload, "by": "Ada", "meanings": [LEFT.to_json()], "doing": "ask"})
    rig.teleop.says = {rig.teleop.reads + 2: HumanInput(feedback=(chosen,))}
    rig.run(seed=1)
    late.answers = answers
    rig.run(seed=2)
    assert rig.doings == ["ask", "nudge"]


class Goals:
    """A GoalDirector that wants what it was told last."""

    context_sizes: Mapping[str, int] = {}

    def __init__(self) -> None:
        self.goal = ("cube", "")

    def reset(self, rng: np.random.Generator) -> None:
        self.goal = ("cube", "")

    def asked(self, observation: object) -> Assignment:
        return Assignment(f"fetch the {self.goal[0]}")

    def name_goal(self, thing: str | None = None, place: str | None = None) -> str:
        if "lamp" in (thing, place):
            raise UnknownNameError("thing", "lamp", ["cube", "lid"])
        self.goal = (thing or self.goal[0], place or self.goal[1])
        return self.goal[0]


def test_a_goal_is_asked_for_until_it_is_taken_back() -> None:
    rig = Rig({5: "the lid", 10: "scratch that", 15: "the lamp"})
    goals = Goals()
    rig.station.director = goals
    rig.listening.steer(goals)
    asked = [step.instruction for step in rig.run()]
    assert rig.doings == ["goal", "undo", "undone", "nothing"]
    assert asked == ["fetch the cube"] * 6 + ["fetch the lid"] * 5 + ["fetch the cube"] * 19


@pytest.mark.parametrize("text", ["the lid", "wrong one, the lid"])
@pytest.mark.parametrize(("ago", "doing", "fetched"), [(0.0, "goal", "lid"), (0.2, "label", "cube")])
def test_what_is_wanted_is_wanted_of_the_next_episode_once_the_last_is_over(
    ago: float, doing: str, fetched: str, text: str
) -> None:
    rig = Rig({})
    goals = rig.station.director = Goals()
    rig.listening.steer(goals)
    rig.run()
    at = rig.clock.now() - ago
    rig.teleop.says = {rig.teleop.reads: lambda: HumanInput(sentences=(Sentence(text, at),))}
    asked = [step.instruction for step in rig.run(seed=1)]
    assert rig.doings == [doing]
    assert set(asked[1:]) == {f"fetch the {fetched}"}


@pytest.mark.parametrize("order", [("one", "other"), ("other", "one")])
def test_goals_are_taken_back_in_any_order(order: tuple[str, str]) -> None:
    goals, named = Goals(), NamedGoals()
    named.steer(goals)
    assert named.name("one", [Meaning("goal", thing="lid")]) == ""
    assert named.name("other", [Meaning("goal", thing="bowl")]) == ""
    named.take_back(order[0])
    assert goals.goal[0] == ("bowl" if order[0] == "one" else "lid")
    named.take_back(order[1])
    assert goals.goal[0] == "cube"


def test_a_goal_can_still_be_taken_back_after_a_pause() -> None:
    rig = Rig(
        {
            5: "the lid",
            8: HumanInput(buttons=frozenset({Button.PAUSE})),
            12: HumanInput(buttons=frozenset({Button.RESUME})),
            15: "scratch that",
        }
    )
    goals = Goals()
    rig.station = replace(rig.station, director=goals, attended=True, world=rig.place.world)
    rig.listening.steer(goals)
    steps = rig.run()
    assert "undone" in rig.doings
    assert steps[-1].instruction == "fetch the cube"


def test_nothing_goes_on_once_nobody_is_there() -> None:
    rig = Rig({5: "left"})
    rig.teleop.says = {**rig.teleop.says, 6: cast("HumanInput", lambda: None), 7: rig._said("well done")}
    assert [bool(step.spoken) for step in rig.run()] == [False] * 5 + [True] + [False] * 24


def test_an_answer_that_says_stop_stops() -> None:
    rig = Rig({2: "mumble"})
    rig.run()
    asked = rig.meanings[0]
    chosen = replace(asked, payload={**asked.payload, "meanings": [Meaning("stop").to_json()], "doing": "ask"})
    rig.teleop.says = {rig.teleop.reads + 3: HumanInput(feedback=(chosen,))}
    assert len(rig.run(seed=1)) == 3
    assert rig.doings == ["ask", "button"]


def test_a_word_takes_back_and_asks_for_something_else() -> None:
    rig = Rig({5: "left", 10: "scratch that, right"})
    steps = rig.run()
    assert steps[9].spoken == "practice-0/0"
    assert steps[10].spoken == "practice-0/1"
    assert rig.doings == ["nudge", "nudge", "undone"]
    assert [each.payload["sentence"] for each in rig.meanings] == ["practice-0/0", "practice-0/1", "practice-0/0"]


@pytest.mark.parametrize("text", ["left, and slowly near the cube", "slowly near the cube, and left"])
def test_a_motion_and_a_rule_in_one_breath(text: str) -> None:
    rig = Rig({5: text})
    steps = rig.run()
    assert steps[5].spoken == "practice-0/0"
    assert rig.doings == ["nudge"]
    assert [one.rule.rule for one in rig.listening.standing.rules.standing] == ["slower"]
    rig.teleop.says = {rig.teleop.reads + 3: rig._said("scratch that")}
    rig.run(seed=1)
    assert rig.listening.standing.rules.standing == ()


def test_every_rule_of_one_breath_stands_and_goes_with_it() -> None:
    rig = Rig({5: "slowly near the cube, and keep away from it"})
    rig.run()
    assert rig.doings == ["rule"]
    assert [one.rule.rule for one in rig.listening.standing.rules.standing] == ["slower", "keep_away"]
    rig.teleop.says = {rig.teleop.reads + 3: rig._said("scratch that")}
    rig.run(seed=1)
    assert rig.listening.standing.rules.standing == ()


@pytest.mark.parametrize(
    ("text", "doing", "stand"),
    [
        ("slowly near the lamp, and keep away from the cube", "rule", ["keep_away"]),
        ("left, slowly near the lamp, and keep away from the cube", "nudge", ["keep_away"]),
        ("left, and slowly near the lamp", "nudge", []),
        ("slowly near the lamp", "nothing", []),
    ],
)
def test_a_rule_that_cannot_hold_silences_no_other_and_is_said(text: str, doing: str, stand: list[str]) -> None:
    rig = Rig({5: text})
    assert bool(rig.run()[5].spoken) is (doing == "nudge")
    assert rig.doings == [doing]
    assert rig.meanings[0].payload["why"] == "there is no lamp here"
    assert [one.rule.rule for one in rig.listening.standing.rules.standing] == stand
    recorded = [Meaning.of_json(each) for each in rig.meanings[0].payload["meanings"]]
    assert doing == "nothing" or "lamp" not in {meaning.thing for meaning in recorded}


def test_always_from_above_is_about_the_one_thing_that_can_be_grasped() -> None:
    rig = Rig({5: "always from above"})
    rig.run()
    assert rig.doings == ["rule"]
    from_above = Meaning("rule", rule="from_above", thing="cube")
    assert [one.rule for one in rig.listening.standing.rules.standing] == [from_above]
    assert rig.meanings[0].payload["meanings"] == [from_above.to_json()]


def test_from_above_of_several_things_is_asked_about() -> None:
    rig = Rig({5: "always from above"})
    lid = replace(rig.facts.things["cube"], name="lid")
    rig.facts.things = {**rig.facts.things, "lid": lid}
    rig.run()
    assert rig.doings == ["ask"]
    assert [meaning["thing"] for meaning in rig.meanings[0].payload["nearest"]] == ["cube", "lid"]
    assert "come to from above" in rig.meanings[0].payload["why"]
    assert rig.listening.standing.rules.standing == ()


def test_a_rule_stands_though_the_rest_cannot_be_done() -> None:
    rig = Rig({5: "grab the lamp, and slowly near the cube"})
    assert not any(step.spoken for step in rig.run())
    assert rig.doings == ["rule"]
    assert len(rig.listening.standing.rules.standing) == 1


def test_a_model_moves_nothing_for_an_episode_that_is_over() -> None:
    rig = Rig({28: "mumble"})
    late = Late((LEFT,), 0.5)
    rig.listening.second = cast("ModelInterpreter", late)
    answers, late.answers = late.answers, lambda: []
    rig.run()
    late.answers = answers
    assert not any(step.spoken for step in rig.run(seed=1))
    assert rig.doings == ["ask", "label"]


def test_said_while_it_is_measured_the_reason_says_so() -> None:
    rig = Rig({5: "left"})
    rig.run(EpisodeKind.EVALUATION)
    assert rig.meanings[0].payload["why"] == "the policy is being measured"


def test_what_is_said_beside_a_goal_is_done_too() -> None:
    rig = Rig({5: "the lid, and left"})
    goals = Goals()
    rig.station.director = goals
    rig.listening.steer(goals)
    steps = rig.run()
    assert rig.doings == ["goal"]
    assert steps[-1].instruction == "fetch the lid"
    assert steps[5].spoken == "practice-0/0"


def test_what_is_to_be_done_said_while_it_waits_is_done_in_the_next_episode_in_order() -> None:
    rig = Rig({})
    rig.run()
    waited = iter([False] * 6)
    rig.station.may_move = lambda: next(waited, True)
    began = rig.clock.now() + 0.01
    rig.teleop.says = {
        rig.teleop.reads + 1: HumanInput(sentences=(Sentence("left", began),)),
        rig.teleop.reads + 2: HumanInput(sentences=(Sentence("grab it, then lift", began),)),
        rig.teleop.reads + 3: HumanInput(sentences=(Sentence("left", began + 1e-6),)),
    }
    steps = rig.run(seed=1)
    assert rig.doings == ["label", "skill", "label"], "a bare motion is about what was seen before"
    assert steps[0].spoken == rig.meanings[1].payload["sentence"]
    corrections = [each.text for each in rig.listener.feedback if each.kind is FeedbackKind.CORRECTION]
    assert corrections == ["left", "grab it, then lift", "left"]


def test_what_is_to_be_done_is_recorded_where_the_next_episode_never_begins() -> None:
    rig = Rig({})
    rig.run()
    rig.station.may_move = lambda: False
    began = rig.clock.now() + 0.01
    rig.teleop.says = {
        rig.teleop.reads + 1: HumanInput(sentences=(Sentence("grab it, then lift", began),)),
        rig.teleop.reads + 3: HumanInput(buttons=frozenset({Button.END})),
    }
    with pytest.raises(EndRequestedError):
        rig.run(seed=1)
    assert [each.text for each in rig.meanings] == ["grab it, then lift"]
    assert rig.doings == ["nothing"], "it is no advice about the episode before"
    assert rig.meanings[0].payload["why"] == "the episode that it was meant for never began"
    assert rig.meanings[0].span.episode_id == "practice-1"


def test_what_is_to_be_done_said_after_the_last_episode_advises_nothing() -> None:
    rig = Rig({})
    rig.run()
    began = rig.clock.now() + 0.01
    said = tuple(Sentence(text, began + 1e-6 * n) for n, text in enumerate(("left", "grab it, then lift", "left")))
    rig.teleop.says = {rig.teleop.reads: HumanInput(sentences=said)}
    hear_last_words(rig.station, coming="practice-1")
    assert rig.doings == ["label", "nothing", "nothing"], "what follows an order is meant for it, too"
    assert [each.span.episode_id for each in rig.meanings] == ["practice-0", "practice-1", "practice-1"]


@dataclass
class Asked:
    """A model that is asked, and has not answered yet."""

    asked: list[str] = field(default_factory=list)

    def submit(self, sentence: str, text: str, facts: FactBook) -> str:
        self.asked.append(text)
        return ""

    def answers(self) -> list[Answer]:
        return []


def measured_rig(*texts: str, after: float = 0.01) -> Rig:
    """Measured after practice, while all of that was said at once."""
    rig = Rig({})
    rig.run()
    said = tuple(Sentence(text, rig.clock.now() + after + 1e-6 * n) for n, text in enumerate(texts))
    evaluate(rig.station, episodes=1, seed=3, teleop=Mouth({5: HumanInput(sentences=said)}))
    assert rig.meanings == []
    return rig


@pytest.mark.parametrize("practises_on", [False, True])
@pytest.mark.parametrize("after", [0.01, 1.0])
def test_words_said_while_it_is_measured_teach_nothing_about_practice(practises_on: bool, after: float) -> None:
    rig = measured_rig("left", "grab it, then lift", "well done", "that was wrong", "slowly near the cube", after=after)
    if practises_on:
        assert not any(step.spoken for step in rig.run(seed=1))
    else:
        hear_last_words(rig.station, coming="practice-1")
    assert rig.doings == ["nothing"] * 4 + ["rule"]
    assert {each.payload.get("why") for each in rig.meanings[:4]} == {"the policy is being measured"}
    assert {each.span.episode_id for each in rig.listener.feedback} == {"evaluation-000000"}
    assert len(rig.listening.standing.rules.standing) == 1


def test_words_about_what_was_measured_teach_nothing_about_practice() -> None:
    rig = measured_rig()
    rig.teleop.says = {rig.teleop.reads: rig._said("well done")}
    hear_last_words(rig.station, coming="practice-1")
    assert rig.doings == ["nothing"]


def test_an_answer_to_what_was_said_while_it_is_measured_teaches_nothing_else() -> None:
    rig = measured_rig("mumble")
    rig.run(seed=1)
    (asked,) = rig.meanings
    chosen = replace(asked, payload={**asked.payload, "by": "Ada", "meanings": [LEFT.to_json()], "doing": "ask"})
    rig.teleop.says = {rig.teleop.reads + 3: HumanInput(feedback=(chosen,))}
    assert not any(step.spoken for step in rig.run(seed=2))
    assert rig.doings == ["ask", "nothing"]
    assert "practice-1" not in asked.payload["sentence"]


def test_a_model_is_asked_once_about_what_is_said_while_it_is_measured() -> None:
    rig, model = Rig({}), Asked()
    rig.listening.second = cast("ModelInterpreter", model)
    rig.run()
    said = HumanInput(sentences=(Sentence("mumble", rig.clock.now() + 0.5),))
    evaluate(rig.station, episodes=1, seed=3, teleop=Mouth({15: said}))
    hear_last_words(rig.station)
    assert model.asked == ["mumble"]
    assert rig.doings == ["ask"]


def test_a_word_that_stops_does_while_it_is_measured() -> None:
    rig = Rig({})
    rig.run()
    said = HumanInput(sentences=(Sentence("stop", rig.clock.now() + 0.5),))
    with pytest.raises(StopRequestedError):
        evaluate(rig.station, episodes=1, seed=3, teleop=Mouth({15: said}))
    hear_last_words(rig.station)
    assert rig.doings == ["button"]
