"""A person at a console: pausing, going back, stopping and releasing, speaking, judging late."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rlhf.datatypes import (
    Action,
    Button,
    Driver,
    EpisodeKind,
    EpisodeMeta,
    Feedback,
    FeedbackKind,
    GuardEvent,
    HumanInput,
    Outcome,
    Phase,
    Segment,
    Sentence,
    Situation,
    Source,
)
from robot_rlhf.feedback.arbiter import Arbiter
from robot_rlhf.feedback.first_of import FirstOf
from robot_rlhf.feedback.only_buttons import OnlyButtons
from robot_rlhf.journal.decoder import EpisodeStarted
from robot_rlhf.journal.reader import read_journal
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.ports import Monitor
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.runtime.evaluation import evaluate
from robot_rlhf.runtime.loop import hear_last_words
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.runtime.station import EndRequestedError, StopRequestedError
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.tasks import PickCube
from tests.runtime.stations import GO, LEFT, Listener, Rig, Script, run_station, wish

PRESS = {button: HumanInput(None, frozenset({button})) for button in Button}
OFF = HumanInput()
DRIVE = HumanInput(LEFT)


class Person:
    """A Teleop of one input per read; hands off afterwards."""

    def __init__(self, inputs: Iterable[HumanInput | None]) -> None:
        self.inputs = list(inputs)
        self.reads = 0

    def read(self) -> HumanInput | None:
        self.reads += 1
        return self.inputs[self.reads - 1] if self.reads <= len(self.inputs) else OFF


class Screen:
    """A Monitor that keeps what it is shown."""

    def __init__(self) -> None:
        self.shown: list[Situation] = []

    def show(self, situation: Situation) -> None:
        self.shown.append(situation)

    @property
    def phases(self) -> list[Phase]:
        return [phase for phase, _ in itertools.groupby(situation.phase for situation in self.shown)]


def rig_of(*inputs: HumanInput | None, **changes: object) -> tuple[Rig, Screen]:
    rig, screen = Rig(release_faults=True), Screen()
    rig.station = replace(rig.station, teleop=Person(inputs), monitor=screen, attended=True, **changes)
    return rig, screen


def starts(rig: Rig) -> list[EpisodeMeta]:
    return [meta for meta, _ in rig.listener.told("start")]


# -- pausing -----------------------------------------------------------------------------------------------------------


def test_a_paused_episode_goes_on_as_a_part_of_its_own() -> None:
    rig, screen = rig_of(OFF, OFF, PRESS[Button.PAUSE], OFF, OFF, PRESS[Button.RESUME])
    end = rig.run()
    first, second = starts(rig)
    assert (first.id, first.continues) == ("practice-0", "")
    assert (second.id, second.continues, second.continues_at) == ("practice-0+01", "practice-0", 2)
    ends = rig.listener.told("end")
    assert [(e.id, e.outcome, e.steps) for e in ends] == [
        ("practice-0", Outcome.PAUSED, 2),
        ("practice-0+01", Outcome.TIME_LIMIT, 8),  # the two parts have the time limit, 10, between them
    ]
    assert end == ends[-1]
    assert len(rig.task.resets) == 1
    assert [s.index for s in rig.listener.steps] == [0, 1, *range(8)]
    assert not rig.listener.steps[1].terminated
    assert screen.phases == [Phase.RESETTING, Phase.RUNNING, Phase.PAUSED, Phase.RUNNING]


def test_no_step_is_taken_and_nothing_moves_while_paused() -> None:
    rig, _ = rig_of(OFF, OFF, OFF, PRESS[Button.PAUSE], *[OFF] * 20, PRESS[Button.RESUME])
    rig.run()
    before = rig.listener.steps[2].next_observation
    after = rig.listener.steps[3].observation
    assert after.stamp - before.stamp == pytest.approx(0.05 * 21, abs=0.051)
    assert np.abs(after.tool_pose_in_base - before.tool_pose_in_base).max() < 0.02, "it came to rest and stayed"


def test_a_driving_hand_ends_a_pause_but_only_after_it_has_let_go() -> None:
    both = HumanInput(LEFT, frozenset({Button.PAUSE}))
    rig, _ = rig_of(OFF, both, DRIVE, DRIVE, OFF, DRIVE, OFF)
    rig.run()
    drivers = [step.driver for step in rig.listener.steps]
    assert drivers[:3] == [Driver.POLICY, Driver.HUMAN, Driver.POLICY]
    assert starts(rig)[1].continues_at == 1


def test_a_lost_device_ends_no_pause() -> None:
    rig, screen = rig_of(OFF, PRESS[Button.PAUSE], None, None, None, PRESS[Button.END])
    with pytest.raises(EndRequestedError):
        rig.run()
    assert screen.phases == [Phase.RESETTING, Phase.RUNNING, Phase.PAUSED]
    assert rig.listener.told("end")[0].outcome is Outcome.STOPPED


@pytest.mark.parametrize(
    ("button", "outcome"),
    [
        (Button.DISCARD, Outcome.DISCARDED),
        (Button.RESET, Outcome.STOPPED),
        (Button.FAILURE, Outcome.FAILURE),
        (Button.SUCCESS, Outcome.SUCCESS),
    ],
)
def test_judging_a_paused_episode_ends_it(button: Button, outcome: Outcome) -> None:
    rig, _ = rig_of(OFF, OFF, PRESS[Button.PAUSE], OFF, PRESS[button], reward=SparseReward(judge="either"))
    assert rig.run().outcome is outcome
    if outcome in (Outcome.FAILURE, Outcome.SUCCESS):
        last = rig.listener.steps[-1]
        assert last.terminated
        assert last.driver is Driver.REFLEX, "nobody moves for a judgement"
        assert last.reward == (1.0 if outcome is Outcome.SUCCESS else -0.5)
        assert {e.kind.value for e in rig.listener.feedback} == {button.value}


def test_without_anybody_to_resume_pause_is_ignored() -> None:
    rig = Rig(teleop=Person([OFF, PRESS[Button.PAUSE], OFF]))
    assert rig.run().outcome is Outcome.TIME_LIMIT
    assert len(starts(rig)) == 1


def test_parts_count_as_one_episode_and_are_discarded_together() -> None:
    rig, _ = rig_of(OFF, OFF, PRESS[Button.PAUSE], PRESS[Button.RESUME], OFF, PRESS[Button.DISCARD])
    tally = Tally(0.05)
    buffer = ReplayBuffer(100, state_size=3, action_size=5, discount=0.9)
    feed = ReplayFeed(buffer, lambda observation: {"state": observation.tool_pose_in_base[:3]})
    rig.station.subscribers = (*rig.station.subscribers, tally, feed)
    rig.run()
    assert tally.episodes == 1
    assert tally.started == {EpisodeKind.PRACTICE: 1}
    assert sum(buffer.counts[source] for source in (Source.POLICY, Source.HUMAN)) == 0


def test_a_paused_demonstration_is_kept_whole() -> None:
    rig, _ = rig_of(DRIVE, DRIVE, PRESS[Button.PAUSE], OFF, DRIVE, DRIVE, PRESS[Button.SUCCESS])
    rig.station = replace(rig.station, policy=None, reward=SparseReward(judge="person"))
    buffer = ReplayBuffer(100, state_size=3, action_size=5, discount=0.9)
    feed = ReplayFeed(buffer, lambda observation: {"state": observation.tool_pose_in_base[:3]})
    rig.station.subscribers = (*rig.station.subscribers, feed)
    assert run_station(rig.station, EpisodeKind.DEMONSTRATION).outcome is Outcome.SUCCESS
    assert buffer.counts[Source.DEMO] == 4
    assert buffer.counts[Source.OTHER] == 1, "the rest in which it was judged"


def test_the_journal_takes_the_parts_and_gives_them_back(tmp_path: Path) -> None:
    rig, _ = rig_of(OFF, PRESS[Button.PAUSE], OFF, PRESS[Button.RESUME])
    with JournalWriter(tmp_path, rig.robot.spec) as journal:
        rig.station.subscribers = (journal, rig.listener)
        rig.run()
    metas = [record.meta for record in read_journal(tmp_path) if isinstance(record, EpisodeStarted)]
    assert metas == starts(rig)


# -- going back --------------------------------------------------------------------------------------------------------


def back_to(step: int) -> HumanInput:
    return HumanInput(None, rewind_to=step)


def test_going_back_by_motion_follows_the_path_and_drives_on_from_there() -> None:
    rig, screen = rig_of(*[OFF] * 8, *[back_to(3)] * 30, OFF, PRESS[Button.RESUME])
    rig.run()
    _, second = starts(rig)
    assert second.continues_at == 3
    pose_then = rig.listener.steps[2].next_observation.tool_target_in_base
    pose_now = rig.listener.told("start")[1][1].tool_pose_in_base
    assert np.abs(pose_then[:3] - pose_now[:3]).max() < 0.006
    assert Phase.REWINDING in screen.phases
    backwards = [s.step for s in screen.shown if s.phase is Phase.REWINDING]
    assert backwards == sorted(backwards, reverse=True)
    assert rig.listener.told("end")[-1].steps == 7, "the time limit counts from the chosen moment"


def test_the_rewind_button_goes_back_a_second_per_press() -> None:
    rig, screen = rig_of(*[OFF] * 9, PRESS[Button.REWIND], *[OFF] * 60, PRESS[Button.RESUME])
    rig.task.time_limit = 60
    rig.run()
    assert starts(rig)[1].continues_at == 0, "nine steps are less than a second"
    assert screen.phases == [Phase.RESETTING, Phase.RUNNING, Phase.REWINDING, Phase.PAUSED, Phase.RUNNING]


def test_going_back_by_state_puts_the_world_back() -> None:
    clock = FakeClock()
    task = PickCube(clock)
    rig, _ = rig_of(*[OFF] * 30, back_to(10), back_to(10), PRESS[Button.RESUME])
    arm = task.arm
    rig.task.time_limit = 40
    station = replace(rig.station, clock=clock, task=_Still(task), policy=Script([wish(0, 1, 0, 0, 1)]))
    station.guard = station.world = GuardedRobot(arm, task.limits, clock)
    station.arbiter = Arbiter(arm.spec.action, give_back_after=0.0)
    run_station(station)
    metas = starts(rig)
    assert metas[1].continues_at == 10
    then = rig.listener.steps[9].next_observation
    now = rig.listener.told("start")[1][1]
    assert np.abs(then.tool_pose_in_base[:3] - now.tool_pose_in_base[:3]).max() < 0.015
    assert np.abs(then.privileged["cube"] - now.privileged["cube"]).max() < 1e-3
    far = rig.listener.steps[29].next_observation
    assert abs(float(far.tool_pose_in_base[1] - now.tool_pose_in_base[1])) > 0.02


class _Still:
    """A pick-cube task that never succeeds."""

    name, instruction, time_limit = "still", "wait", 40

    def __init__(self, task: PickCube) -> None:
        self._task = task

    def reset(self, rng: np.random.Generator) -> None:
        self._task.reset(rng)

    def success(self, observation: object) -> bool:
        return False


@pytest.mark.parametrize("button", [Button.RESUME, Button.FAILURE])
def test_what_ends_a_pause_ends_it_also_while_a_moment_is_chosen(button: Button) -> None:
    both = HumanInput(None, frozenset({button}), rewind_to=3)
    rig, _ = rig_of(*[OFF] * 8, *[back_to(3)] * 30, both)
    rig.run()
    assert len(starts(rig)) == 2
    assert starts(rig)[1].continues_at == 3


@pytest.mark.parametrize("then", [OFF, None])
def test_going_back_ends_when_the_person_lets_go_or_is_gone(then: HumanInput | None) -> None:
    rig, screen = rig_of(*[OFF] * 9, *[back_to(0)] * 3, *[then] * 30, PRESS[Button.RESUME])
    rig.run()
    at = starts(rig)[1].continues_at
    assert 4 <= at <= 8
    still = [s.step for s in screen.shown if s.phase is Phase.PAUSED]
    assert set(still) == {at}


def test_the_gripper_is_what_it_was_at_the_chosen_moment() -> None:
    closed = wish(0.2, 0.0, 0.0, 0.0, -1.0)
    script = Script([*[closed] * 5, GO])
    rig, _ = rig_of(*[OFF] * 9, *[back_to(3)] * 30, OFF, PRESS[Button.FAILURE], policy=script)
    rig.run()
    last = rig.listener.steps[-1]
    assert last.driver is Driver.REFLEX
    assert last.action.values[-1] == -1.0, "the policy opened it later; at the chosen moment it was closed"


# -- stop, release, end ------------------------------------------------------------------------------------------------


def test_stop_is_latched_until_released() -> None:
    rig, screen = rig_of(OFF, OFF, PRESS[Button.STOP], OFF, OFF, PRESS[Button.RESUME], PRESS[Button.RELEASE], OFF)
    assert rig.run().outcome is Outcome.STOPPED
    assert [fault.rule for fault in rig.guard.faults] == ["stop"]
    sent = len(rig.robot.received)
    assert rig.run(seed=1).outcome is Outcome.TIME_LIMIT
    assert screen.phases == [
        Phase.RESETTING,
        Phase.RUNNING,
        Phase.STOPPED,  # neither waiting nor RESUME moves it
        Phase.RESETTING,
        Phase.RUNNING,
    ]
    stopped = [s for s in screen.shown if s.phase is Phase.STOPPED]
    assert len(stopped) == 4
    assert stopped[0].faults[0].rule == "stop"
    assert len(rig.robot.received) == sent + 10
    assert any(isinstance(e, GuardEvent) and e.rule == "stop" for e in rig.listener.told("event"))


def test_a_release_that_was_pressed_before_the_fault_was_shown_is_no_answer_to_it() -> None:
    """Presses wait through a long reset; the fault that it ends with is for the person to see first."""
    rig, screen = rig_of(PRESS[Button.RELEASE], OFF, OFF, PRESS[Button.RELEASE], OFF)
    rig.task.on_reset = lambda: rig.guard.fault("reset", "blocked") if len(rig.task.resets) == 1 else None
    rig.run()
    assert len([s for s in screen.shown if s.phase is Phase.STOPPED]) == 4, "until the second one was pressed"


def test_stop_wins_over_a_release_in_the_same_period() -> None:
    both = HumanInput(None, frozenset({Button.STOP, Button.RELEASE}))
    rig, screen = rig_of(OFF, PRESS[Button.STOP], both, OFF, PRESS[Button.END])
    rig.run()
    with pytest.raises(EndRequestedError):
        rig.run(seed=1)
    assert screen.phases[-1] is Phase.STOPPED


def test_a_stop_that_another_thread_latches_during_the_reset_keeps_the_episode_from_starting() -> None:
    rig, screen = rig_of(OFF, OFF, PRESS[Button.RELEASE], OFF)
    rig.task.on_reset = lambda: rig.guard.fault("stop", "pressed") if len(rig.task.resets) == 1 else None
    rig.run()
    assert screen.phases == [Phase.RESETTING, Phase.STOPPED, Phase.RESETTING, Phase.RUNNING]
    assert len(rig.task.resets) == 2


def test_a_stop_latched_by_another_thread_ends_an_episode_as_stopped() -> None:
    rig, _ = rig_of(OFF)

    def latch() -> bool:
        if len(rig.listener.steps) == 3:
            rig.guard.fault("stop", "pressed")
        return True

    rig.station.may_move = latch
    end = rig.run()
    assert (end.outcome, end.detail, end.steps) == (Outcome.STOPPED, "stop pressed", 3)


def test_what_was_said_with_a_stop_is_kept() -> None:
    rig, _ = rig_of(*[OFF] * 5, HumanInput(None, frozenset({Button.STOP}), (Sentence("watch out", 0.2),)))
    rig.run()
    assert [e.text for e in rig.listener.feedback] == ["watch out"]


def test_a_discard_at_the_very_end_means_the_episode_that_ends() -> None:
    rig, _ = rig_of(*[OFF] * 10, PRESS[Button.DISCARD])
    assert rig.run(seed=0).outcome is Outcome.TIME_LIMIT
    assert rig.run(seed=1).outcome is Outcome.TIME_LIMIT
    (event,) = rig.listener.feedback
    assert (event.kind, event.value, event.span) == (FeedbackKind.DISCARD, 1.0, Segment("practice-0", 0, 10))
    kinds = [what for _, what, _ in rig.listener.calls]
    assert kinds.index("event") > kinds.index("end"), "told after the end: it changes what is on record"


@pytest.mark.parametrize("judge", ["person", "either"])
@pytest.mark.parametrize(
    ("button", "outcome", "kinds"),
    [
        (Button.SUCCESS, Outcome.SUCCESS, [FeedbackKind.SUCCESS]),
        (Button.FAILURE, Outcome.FAILURE, [FeedbackKind.FAILURE]),
        (Button.DISCARD, Outcome.DISCARDED, []),
    ],
)
def test_a_judgement_in_the_last_period_of_a_timed_out_episode_counts_for_it(
    judge: Any, button: Button, outcome: Outcome, kinds: list[FeedbackKind]
) -> None:
    last = HumanInput(LEFT, frozenset({button, Button.PAUSE}), (Sentence("there", 0.1),))
    rig, _ = rig_of(*[OFF] * 10, last, reward=SparseReward(judge=judge))
    end = rig.run(seed=0)
    assert (end.outcome, end.steps) == (outcome, 10)
    step = rig.listener.steps[-1]
    assert step.terminated is (outcome is not Outcome.DISCARDED)
    assert (step.reward > 0.5) is (outcome is Outcome.SUCCESS)
    said = [event for event in rig.listener.feedback if event.kind is not FeedbackKind.CORRECTION]
    assert [event.kind for event in said] == kinds, "once"
    assert all(event.span == Segment("practice-0", 0, 10) for event in said)
    rig.station.teleop = Person([OFF, PRESS[Button.RESUME]])
    assert rig.run(seed=1).outcome is Outcome.TIME_LIMIT, "it is not the next one's, too"
    assert [e.text for e in rig.listener.feedback if e.kind is FeedbackKind.CORRECTION] == ["there"]
    assert starts(rig)[-1].continues == "practice-1", "what is about no episode takes effect in the next"


def test_stop_in_a_pause_and_before_an_episode() -> None:
    rig, _ = rig_of(OFF, PRESS[Button.PAUSE], PRESS[Button.STOP])
    assert rig.run().outcome is Outcome.STOPPED
    assert rig.guard.faults


def test_without_a_console_stop_still_ends_the_session() -> None:
    rig = Rig(teleop=Person([OFF, PRESS[Button.STOP]]))
    with pytest.raises(StopRequestedError):
        rig.run()


def test_end_closes_the_episode() -> None:
    rig, _ = rig_of(OFF, OFF, PRESS[Button.END])
    with pytest.raises(EndRequestedError):
        rig.run()
    assert [e.outcome for e in rig.listener.told("end")] == [Outcome.STOPPED]
    assert rig.stops > 0


def test_reset_ends_the_episode_unjudged() -> None:
    rig, _ = rig_of(OFF, OFF, PRESS[Button.RESET])
    end = rig.run()
    assert (end.outcome, end.detail) == (Outcome.STOPPED, "reset pressed")
    assert not rig.listener.steps[-1].terminated


# -- speaking and judging ----------------------------------------------------------------------------------------------


def said(text: str, began: float) -> HumanInput:
    return HumanInput(None, sentences=(Sentence(text, began),))


def test_a_sentence_is_about_the_steps_before_it() -> None:
    rig, _ = rig_of(*[OFF] * 59, said("slower", 2.5))
    rig.task.time_limit = 60
    rig.run()
    (event,) = rig.listener.feedback
    assert (event.kind, event.text, event.author) == (FeedbackKind.CORRECTION, "slower", "tester")
    assert event.span.episode_id == "practice-0"
    first = rig.listener.steps[event.span.start]
    assert first.next_observation.stamp == pytest.approx(0.55, abs=0.051), "from two seconds before it began"
    assert event.span.start + event.span.length == 60


def test_a_sentence_before_anything_happened_waits_for_a_step() -> None:
    rig, _ = rig_of(said("hello", 0.0))
    rig.run()
    (event,) = rig.listener.feedback
    assert event.text == "hello"


def test_a_sentence_begun_in_an_earlier_episode_is_about_that_one() -> None:
    rig, _ = rig_of(*[OFF] * 40, said("too fast", 0.9))
    rig.task.time_limit = 20
    rig.run(seed=0)
    rig.run(seed=1)
    rig.run(seed=2)
    (event,) = rig.listener.feedback
    assert event.span == Segment("practice-0", 0, 20)


def test_a_sentence_in_a_pause_is_recorded_at_once() -> None:
    rig, _ = rig_of(OFF, PRESS[Button.PAUSE], said("to the left", 0.05), PRESS[Button.RESUME])
    rig.run()
    (event,) = rig.listener.feedback
    assert event.span == Segment("practice-0", 0, 1)


def test_judgements_of_the_past_are_passed_on() -> None:
    label = Feedback(FeedbackKind.FAILURE, "anna", 0.0, Segment("practice-9", 0, 4))
    rig, _ = rig_of(OFF, HumanInput(feedback=(label,)))
    rig.run()
    assert rig.listener.feedback == [label]


def test_what_came_at_the_very_end_is_not_lost() -> None:
    rig, _ = rig_of(*[OFF] * 10, HumanInput(None, frozenset({Button.PAUSE}), (Sentence("well done", 0.4),)))
    rig.run(seed=0)  # its last judgement is read after the tenth step
    rig.station.teleop = Person([OFF, PRESS[Button.RESUME]])
    rig.run(seed=1)
    assert [e.text for e in rig.listener.feedback] == ["well done"]
    assert starts(rig)[1].id == "practice-1"
    assert starts(rig)[2].continues == "practice-1", "the pause took effect in the next episode"


def test_last_words_are_recorded_after_the_last_episode() -> None:
    label = Feedback(FeedbackKind.DISCARD, "anna", 0.0, Segment("practice-0", 0, 4), 1.0)
    rig, _ = rig_of(*[OFF] * 11)
    rig.run()
    rig.station.teleop = Person([HumanInput(None, frozenset(), (Sentence("thanks", 0.4),), feedback=(label,))])
    hear_last_words(rig.station)
    assert [e.kind for e in rig.listener.feedback] == [FeedbackKind.DISCARD, FeedbackKind.CORRECTION]


def three(*texts: str, at: float) -> HumanInput:
    return HumanInput(None, sentences=tuple(Sentence(text, at) for text in texts))


def test_what_is_said_at_one_station_is_about_what_was_done_at_its_copy_before() -> None:
    rig, _ = rig_of()
    run_station(replace(rig.station, policy=Script([GO]), teleop=Person([])), EpisodeKind.DEMONSTRATION)
    end = rig.clock.now()
    rig.station = replace(rig.station, may_move=lambda: False)
    rig.station.teleop = Person([OFF, three("too fast", "left", "higher", at=end + 0.1), OFF, PRESS[Button.END]])
    with pytest.raises(EndRequestedError):
        rig.run()
    said = rig.listener.feedback
    assert [event.text for event in said] == ["too fast", "left", "higher"]
    assert {(event.kind, event.span.episode_id) for event in said} == {(FeedbackKind.CORRECTION, "demonstration-0")}


@pytest.mark.parametrize("last", [Button.END, None])
def test_what_was_said_before_an_episode_that_never_begins_is_recorded_once(last: Button | None) -> None:
    ends = OFF if last is None else PRESS[last]
    rig, _ = rig_of(OFF, three("left", "up", at=0.0), said("down", 0.05), OFF, ends, may_move=lambda: False)
    if last is None:
        rig.station.teleop = Interrupted(rig.station.teleop.inputs)  # type: ignore[union-attr]  a Person
    with pytest.raises((EndRequestedError, KeyboardInterrupt)):
        rig.run()
    rig.station.teleop = Person([three("thanks", at=1.0)])
    hear_last_words(rig.station, coming="practice-1")
    assert [(event.text, event.span) for event in rig.listener.feedback] == [
        ("left", Segment("practice-0", 0, 1)),
        ("up", Segment("practice-0", 0, 1)),
        ("down", Segment("practice-0", 0, 1)),
        ("thanks", Segment("practice-1", 0, 1)),
    ]


class Interrupted(Person):
    """One who is interrupted after the last input."""

    def read(self) -> HumanInput | None:
        if self.reads == len(self.inputs):
            raise KeyboardInterrupt
        return super().read()


def test_ended_before_the_very_first_step_its_words_are_recorded() -> None:
    rig, _ = rig_of(HumanInput(None, frozenset({Button.END}), (Sentence("goodbye", 0.0),)))
    with pytest.raises(EndRequestedError):
        rig.run()
    hear_last_words(rig.station, coming="practice-1")
    assert [(event.text, event.span) for event in rig.listener.feedback] == [("goodbye", Segment("practice-1", 0, 1))]


def test_what_is_said_while_it_is_measured_is_recorded_by_those_who_record() -> None:
    rig, _ = rig_of(*[OFF] * 11)
    rig.run()
    there = Person([OFF, OFF, three("left", "well done", at=rig.clock.now()), OFF])
    result = evaluate(rig.station, episodes=1, seed=0, teleop=OnlyButtons(there))
    assert result.episodes == 1
    assert rig.listener.feedback == []
    hear_last_words(rig.station)
    assert [(event.text, event.span.episode_id) for event in rig.listener.feedback] == [
        ("left", "evaluation-000000"),
        ("well done", "evaluation-000000"),
    ], "about no practice"


# -- time --------------------------------------------------------------------------------------------------------------


def test_a_persons_steps_do_not_count_towards_the_limit_but_their_patience_ends() -> None:
    rig, screen = rig_of(OFF, OFF, *[DRIVE] * 20, patience=3.0)
    assert len(rig.listener.steps) == 0
    end = rig.run()
    assert (end.outcome, end.steps) == (Outcome.TIME_LIMIT, 30), "20 by hand and 10 by the policy: 3 x 10"
    rig, screen = rig_of(*[DRIVE] * 100, patience=3.0)
    assert rig.run().steps == 30
    assert [s.time_limit for s in screen.shown if s.phase is Phase.RUNNING][-1] == 30


def test_a_demonstration_waits_for_hands() -> None:
    rig, screen = rig_of(OFF, OFF, OFF, DRIVE, DRIVE, waits_for_hands=True, policy=None)
    run_station(rig.station, EpisodeKind.DEMONSTRATION)
    assert screen.phases == [Phase.RESETTING, Phase.WAITING, Phase.RUNNING]
    assert rig.listener.steps[0].driver is Driver.HUMAN


def test_a_demonstration_has_no_clock_while_hands_drive_and_ends_when_it_is_left_alone() -> None:
    inputs = [*[DRIVE] * 51, *[OFF] * 9, *[DRIVE] * 41, *[OFF] * 30]
    rig, screen = rig_of(*inputs, waits_for_hands=True, policy=None)
    end = run_station(rig.station, EpisodeKind.DEMONSTRATION)
    assert rig.station.task.time_limit == 10
    assert (end.outcome, end.steps) == (Outcome.TIME_LIMIT, 110), "100 with nine off in between, then 10 alone"
    assert {s.time_limit for s in screen.shown if s.phase is Phase.RUNNING} == {0}
    rig, _ = rig_of(DRIVE, *[OFF] * 60, waits_for_hands=True, policy=None, patience=3.0)  # that one begins it
    assert run_station(rig.station, EpisodeKind.DEMONSTRATION).steps == 30


def test_a_success_of_a_demonstration_that_nobody_drove_is_none() -> None:
    person = {"policy": None, "reward": SparseReward(judge="person"), "waits_for_hands": True}
    for after, outcome in ((OFF, Outcome.DISCARDED), (DRIVE, Outcome.SUCCESS)):
        rig, _ = rig_of(DRIVE, *[OFF] * 4, after, PRESS[Button.SUCCESS], **person)  # the first one begins it
        tally = Tally(rig.station.guard.spec.control_period)
        rig.station.subscribers = (*rig.station.subscribers, tally)
        end = run_station(rig.station, EpisodeKind.DEMONSTRATION)
        assert (end.outcome, tally.demonstrations) == (outcome, int(after is DRIVE))
        assert ("nobody drove it" in end.detail) == (after is OFF)


# -- two at one robot --------------------------------------------------------------------------------------------------


def test_the_first_who_drives_leads_and_everybody_is_heard() -> None:
    other = HumanInput(GO, frozenset({Button.SUCCESS}))
    both = FirstOf([Person([OFF, DRIVE, OFF]), Person([other, other, other, None])])
    heard = [both.read() or OFF for _ in range(3)]
    assert [human.action for human in heard] == [GO, LEFT, GO]
    assert [human.buttons for human in heard] == [{Button.SUCCESS}] * 3
    assert FirstOf([Person([None]), Person([None])]).read() is None


def test_a_simulated_person_ends_no_pause() -> None:
    other = Person([DRIVE] * 100)
    both = FirstOf([Person([OFF, PRESS[Button.PAUSE], *[OFF] * 10, PRESS[Button.RESUME]])], [other])
    rig, screen = rig_of()
    rig.station = replace(rig.station, teleop=both, monitor=Both(screen, both))
    rig.run()
    paused = [s for s in screen.shown if s.phase is Phase.PAUSED]
    assert len(paused) >= 11
    assert rig.listener.steps[-1].driver is Driver.HUMAN, "it drives on after the pause"


class Both:
    """Shows to two."""

    def __init__(self, *monitors: Monitor) -> None:
        self.monitors = monitors

    def show(self, situation: Situation) -> None:
        for monitor in self.monitors:
            monitor.show(situation)


def test_a_device_that_vanishes_while_it_drives_pauses_although_others_are_there() -> None:
    both = FirstOf([Person([OFF] * 4), Person([DRIVE, None, None, OFF])])
    heard = [both.read() or OFF for _ in range(4)]
    assert [human.buttons for human in heard] == [frozenset(), {Button.PAUSE}, frozenset(), frozenset()]


def test_listeners_see_no_gap_within_a_part() -> None:
    rig, _ = rig_of(OFF, PRESS[Button.PAUSE], OFF, PRESS[Button.RESUME], OFF, PRESS[Button.PAUSE], DRIVE, OFF)
    listener = Listener("second")
    rig.station.subscribers = (*rig.station.subscribers, listener)
    rig.run()
    seen = None
    for _, what, value in listener.calls:
        if what == "start":
            seen = value[1]
        elif what == "step":
            assert value.observation is seen
            seen = value.next_observation
    assert isinstance(rig.listener.steps[-1].executed, Action)
