"""The loop: who is told what and when, how episodes end, and that the robot is always stopped."""

from __future__ import annotations

import itertools
import signal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import (
    Button,
    Driver,
    EpisodeEnd,
    EpisodeMeta,
    FeedbackKind,
    GuardEvent,
    HumanInput,
    Observation,
    Outcome,
    Segment,
    Step,
)
from robot_rlhf.errors import FaultLatchedError, InvalidValueError
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.runtime.station import StopRequestedError
from robot_rlhf.timing import FakeClock
from tests.draws import draws
from tests.runtime.stations import GO, LEFT, Hand, Hands, Listener, Rig, Script, run_station, wish


class Trouble(Listener):
    """A subscriber that raises at its n-th step."""

    def __init__(self, at: int, error: BaseException) -> None:
        super().__init__("trouble")
        self.at = at
        self.error = error

    def on_step(self, step: Step) -> None:
        super().on_step(step)
        if len(self.steps) == self.at + 1:
            raise self.error


# -- the order and the content of steps --------------------------------------------------------------------------------


def test_subscribers_are_told_in_order() -> None:
    calls: list[tuple[str, str, Any]] = []
    rig = Rig(hands=[None, LEFT, None])
    rig.task.time_limit = 4
    rig.station.subscribers = (Listener("journal", calls), Listener("learner", calls))
    rig.run()
    names = [name for name, _, _ in calls]
    assert names[::2] == ["journal"] * (len(calls) // 2)
    assert names[1::2] == ["learner"] * (len(calls) // 2)
    kinds = [kind for _, kind, _ in calls[::2]]
    assert kinds == ["start", "step", "step", "step", "event", "step", "end"]


def test_steps_follow_one_another() -> None:
    rig = Rig()
    end = rig.run()
    steps = rig.listener.steps
    assert end == EpisodeEnd("practice-0", Outcome.TIME_LIMIT, 10, "")
    assert [s.index for s in steps] == list(range(10))
    assert steps[0].observation is rig.listener.told("start")[0][1]
    for before, after in itertools.pairwise(steps):
        assert after.observation is before.next_observation
        assert after.next_observation.stamp == pytest.approx(after.observation.stamp + 0.05)
    assert len(rig.listener.episode()) == 10
    assert rig.task.resets == [np.random.default_rng([0, 1]).uniform()]


def test_proposed_is_kept_beside_what_was_executed() -> None:
    rig = Rig(hands=[None, LEFT, None])
    rig.task.time_limit = 3
    rig.run()
    mine, theirs, back = rig.listener.steps
    assert (mine.driver, theirs.driver, back.driver) == (Driver.POLICY, Driver.HUMAN, Driver.POLICY)
    for step in (mine, theirs, back):
        assert step.proposed is not None
        np.testing.assert_array_equal(step.proposed.values, GO.values)
        assert step.policy_version == 7
    np.testing.assert_allclose(theirs.action.values, LEFT.values, atol=1e-5)
    np.testing.assert_allclose(mine.action.values, GO.values, atol=1e-5)


def test_without_a_policy_nothing_is_proposed() -> None:
    rig = Rig(policy=None, hands=[LEFT] * 10)
    rig.run()
    assert all(s.proposed is None and s.policy_version == -1 for s in rig.listener.steps)
    assert {s.driver for s in rig.listener.steps} == {Driver.HUMAN}


def test_the_last_word_on_an_action_is_the_guards() -> None:
    rig = Rig(policy=Script([wish(1.0, 0.0, 0.0, 0.0, 0.2)]))
    rig.run()
    assert all(s.action.values[4] == 1.0 for s in rig.listener.steps), "the gripper is open or closed"


def test_pace_lets_a_period_pass_between_action_and_what_follows() -> None:
    class SlowClock(FakeClock):
        """On which nothing advances time but waiting: a real robot."""

        def advance(self, seconds: float) -> None:
            """The robot does not move the clock."""

    rig = Rig(paced=True, clock=SlowClock())
    rig.run()
    spans = [s.next_observation.stamp - s.observation.stamp for s in rig.listener.steps]
    assert spans == pytest.approx([0.05] * 10)
    moved = [
        float(s.next_observation.tool_pose_in_base[0] - s.observation.tool_pose_in_base[0]) for s in rig.listener.steps
    ]
    assert min(moved) > 0.0, "every observation shows the effect of the action before it"


# -- how episodes end --------------------------------------------------------------------------------------------------


def ends_with(rig: Rig) -> tuple[Outcome, bool, bool, float]:
    end = rig.run()
    last = rig.listener.steps[-1]
    assert not any(s.terminated or s.truncated for s in rig.listener.steps[:-1])
    assert end.steps == len(rig.listener.steps)
    assert rig.listener.told("end") == [end]
    return end.outcome, last.terminated, last.truncated, last.reward


def test_success_terminates() -> None:
    rig = Rig()
    rig.task.succeeds = lambda o: o.stamp > 0.12
    assert ends_with(rig) == (Outcome.SUCCESS, True, False, 1.0)
    assert len(rig.listener.steps) == 3


def test_time_limit_truncates() -> None:
    assert ends_with(Rig()) == (Outcome.TIME_LIMIT, False, True, 0.0)


def test_failure_button_terminates_at_a_cost() -> None:
    rig = Rig(hands=[None, None, Button.FAILURE], reward=SparseReward(failure_cost=0.25))
    assert ends_with(rig) == (Outcome.FAILURE, True, False, -0.25)
    (said,) = rig.listener.feedback
    assert (said.kind, said.author, said.span) == (FeedbackKind.FAILURE, "tester", Segment("practice-0", 0, 3))


def test_discard_button_truncates() -> None:
    assert ends_with(Rig(hands=[None, Button.DISCARD])) == (Outcome.DISCARDED, False, True, 0.0)


def test_success_button_counts_only_where_the_person_judges() -> None:
    assert ends_with(Rig(hands=[None, Button.SUCCESS]))[0] is Outcome.TIME_LIMIT
    rig = Rig(hands=[None, Button.SUCCESS], reward=SparseReward(judge="person"))
    rig.task.succeeds = lambda o: True
    assert ends_with(rig) == (Outcome.SUCCESS, True, False, 1.0)
    assert len(rig.listener.steps) == 2


def test_stop_button_stops_the_robot_before_anything_more_is_sent() -> None:
    rig = Rig(hands=[None, Button.STOP])
    with pytest.raises(StopRequestedError, match="stop pressed"):
        rig.run()
    (end,) = rig.listener.told("end")
    assert (end.outcome, end.steps) == (Outcome.STOPPED, 1)
    assert len(rig.robot.received) == 1
    assert rig.stops > 0


def test_too_much_force_is_a_failure_to_learn_from() -> None:
    rig = Rig()
    rig.station.subscribers = (rig.listener, Act(2, lambda: rig.robot.force((90.0, 0.0, 0.0))))
    assert ends_with(rig) == (Outcome.FAILURE, True, False, -rig.reward.failure_cost)
    assert "force_hard" in rig.listener.told("end")[0].detail
    assert [e.rule for e in rig.listener.told("event") if isinstance(e, GuardEvent)] == ["force_hard"]
    assert rig.stops > 0


def test_another_fault_truncates() -> None:
    rig = Rig()
    rig.station.subscribers = (rig.listener, Act(2, lambda: rig.robot.jump(1.0)))
    assert ends_with(rig) == (Outcome.FAULT, False, True, 0.0)


class Act(Listener):
    """Does something once at a step."""

    def __init__(self, at: int, what: Any) -> None:
        super().__init__("act")
        self.at, self.what = at, what

    def on_step(self, step: Step) -> None:
        if step.index == self.at:
            self.what()


@pytest.mark.parametrize("trouble", ["nan", "gone"])
def test_a_robot_that_cannot_be_observed_is_a_fault(trouble: str) -> None:
    rig = Rig()
    break_it = rig.robot.nan if trouble == "nan" else lambda: rig.robot.fault("cable out")
    rig.station.subscribers = (rig.listener, Act(2, break_it))
    end = rig.run()
    assert (end.outcome, end.steps) == (Outcome.FAULT, 3)
    assert rig.guard.faults
    assert rig.listener.told("end") == [end]


def test_nan_from_the_policy_is_a_latched_fault() -> None:
    """A policy that wishes no number raises where Action refuses it."""
    with pytest.raises(InvalidValueError) as caught:
        wish(float("nan"), 0.0, 0.0, 0.0, 1.0)
    rig = Rig(policy=Script([GO, GO, caught.value, GO]), release_faults=False)
    end = rig.run()
    assert (end.outcome, end.steps) == (Outcome.FAULT, 2)
    assert "nan" in end.detail
    assert rig.stops > 0
    (event,) = rig.listener.told("event")
    assert (event.rule, event.latched) == ("policy", True)
    received = len(rig.robot.received)
    resets = len(rig.task.resets)
    with pytest.raises(FaultLatchedError, match="release"):  # latched until released
        rig.run(seed=1)
    assert len(rig.task.resets) == resets, "a reset would move the robot"
    assert len(rig.robot.received) == received
    rig.guard.release()
    assert rig.run(seed=2).outcome is Outcome.TIME_LIMIT


def test_simulations_release_faults_when_an_episode_begins() -> None:
    rig = Rig(policy=Script([InvalidValueError("Action.values", "nan", "numbers"), GO]))
    assert rig.run().outcome is Outcome.FAULT
    assert rig.run(seed=1).outcome is Outcome.TIME_LIMIT


@pytest.mark.parametrize("error", [RuntimeError("disk on fire"), KeyboardInterrupt()])
def test_an_exception_stops_the_robot_and_closes_the_episode(error: BaseException) -> None:
    rig = Rig()
    rig.station.subscribers = (rig.listener, Trouble(3, error))
    before = rig.stops
    with pytest.raises(type(error)):
        rig.run()
    assert rig.stops > before
    (end,) = rig.listener.told("end")
    assert end.outcome is Outcome.STOPPED
    assert end.steps == len(rig.listener.steps) == 4, "the journal, told first, has the step"
    assert rig.run(seed=1).outcome is Outcome.TIME_LIMIT


@pytest.mark.parametrize("moment", ["start", "third step", "end"])
def test_ctrl_c_waits_until_all_know_of_what_one_was_told(moment: str) -> None:
    class Pressed(Listener):
        """Ctrl-C arrives while the first subscriber is told."""

        def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
            if moment == "start":
                signal.raise_signal(signal.SIGINT)
            super().on_episode_start(meta, observation)

        def on_step(self, step: Step) -> None:
            super().on_step(step)
            if moment == "third step" and len(self.steps) == 3:
                signal.raise_signal(signal.SIGINT)

        def on_episode_end(self, end: EpisodeEnd) -> None:
            if moment == "end" and not self.told("end"):
                signal.raise_signal(signal.SIGINT)
            super().on_episode_end(end)

    rig = Rig()
    first, last = Pressed(), Listener()
    rig.station.subscribers = (first, last)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        rig.run()
    steps, outcome = {
        "start": (0, Outcome.STOPPED),
        "third step": (3, Outcome.STOPPED),
        "end": (rig.task.time_limit, Outcome.TIME_LIMIT),
    }[moment]
    for listener in (first, last):
        assert len(listener.told("start")) == 1
        assert len(listener.steps) == steps
        (end,) = listener.told("end")
        assert (end.outcome, end.steps) == (outcome, steps)


def test_an_exception_in_the_reset_tells_nobody() -> None:
    def explode() -> None:
        raise RuntimeError("no cube")

    rig = Rig()
    rig.task.on_reset = explode
    with pytest.raises(RuntimeError, match="no cube"):
        rig.run()
    assert rig.listener.calls == []
    assert rig.stops > 0


def test_an_exception_of_the_policy_stops_the_robot() -> None:
    rig = Rig(policy=Script([GO, GO, ZeroDivisionError()]))
    with pytest.raises(ZeroDivisionError):
        rig.run()
    assert rig.listener.told("end")[0].steps == 2
    assert rig.stops > 0


# -- events ------------------------------------------------------------------------------------------------------------


@given(pattern=st.lists(st.booleans(), min_size=1, max_size=12), off=st.integers(0, 2))
@draws(60)
def test_interventions_span_exactly_the_steps_a_person_drove(pattern: list[bool], off: int) -> None:
    hands: list[Hand] = [LEFT if drives else None for drives in pattern]
    rig = Rig(hands=hands, give_back_after=0.05 * off)
    rig.task.time_limit = len(pattern)
    rig.run()
    told = [f.span for f in rig.listener.feedback if f.kind is FeedbackKind.INTERVENTION]
    by_human = [s.driver is Driver.HUMAN for s in rig.listener.steps]
    assert by_human == pattern
    covered = [t for span in told for t in range(span.start, span.start + span.length)]
    assert covered == [t for t, human in enumerate(pattern) if human], "each step once, in order"
    for before, after in itertools.pairwise(told):
        assert before.start + before.length < after.start, "one event per span"


def test_an_intervention_is_told_also_when_the_episode_breaks() -> None:
    rig = Rig(hands=[None, LEFT, LEFT, LEFT])
    rig.station.subscribers = (rig.listener, Trouble(3, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        rig.run()
    (said,) = rig.listener.feedback
    assert said.span == Segment("practice-0", 1, 3)


def test_the_true_reward_is_recorded_as_reward_only_where_a_run_asks_for_it() -> None:
    for asked in (False, True):
        rig = Rig()
        rig.station.reward = SparseReward(gold=asked)
        rig.task.gold = lambda observation: 0.25
        rig.task.time_limit = 3
        rig.run()
        assert {step.gold_reward for step in rig.listener.steps} == {0.25}
        assert {step.reward for step in rig.listener.steps} == {0.25 if asked else 0.0}
    assert SparseReward(gold=True).source == "gold@1"


def test_what_the_guard_does_reaches_subscribers() -> None:
    rig = Rig(policy=Script([wish(1.0, 1.0, 1.0, 0.0, 1.0)]))
    rig.task.time_limit = 200
    rig.run()
    rules = {e.rule for e in rig.listener.told("event") if isinstance(e, GuardEvent)}
    assert "workspace" in rules


def test_what_the_reset_meets_is_told_inside_the_episode() -> None:
    rig = Rig()
    rig.task.on_reset = lambda: rig.robot.force((90.0, 0.0, 0.0))
    end = rig.run()
    assert (end.outcome, end.steps) == (Outcome.FAULT, 0)
    assert [kind for _, kind, _ in rig.listener.calls] == ["start", "event", "end"]
    assert rig.listener.told("event")[0].rule == "force_hard"


# -- holding -----------------------------------------------------------------------------------------------------------


def test_robot_holds_while_it_may_not_move() -> None:
    asked: list[float] = []

    def may_move() -> bool:
        asked.append(rig.clock.now())
        return len(asked) > 5

    rig = Rig(may_move=may_move)
    rig.run()
    assert len(rig.listener.steps) == 10
    assert rig.listener.steps[0].observation.stamp == pytest.approx(5 * 0.05), "the first observation is fresh"
    targets = np.stack([c.target for c in rig.robot.received])
    np.testing.assert_array_equal(targets[:5], np.tile(targets[0], (5, 1)))


def test_an_episode_is_cut_when_the_robot_may_not_move_on() -> None:
    rig = Rig()
    rig.station.may_move = lambda: len(rig.listener.steps) < 4
    end = rig.run()
    assert (end.outcome, end.steps) == (Outcome.STOPPED, 5)
    assert rig.listener.steps[-1].truncated
    assert not rig.listener.steps[-1].terminated


def test_a_person_may_stop_a_robot_that_holds() -> None:
    rig = Rig(hands=[None, None, Button.STOP], may_move=lambda: False)
    with pytest.raises(StopRequestedError):
        rig.run()
    assert rig.listener.calls == []
    assert rig.stops > 0


def test_a_fault_ends_the_holding() -> None:
    rig = Rig(may_move=lambda: False)
    rig.robot.force((90.0, 0.0, 0.0))
    with pytest.raises(FaultLatchedError, match="force_hard"):
        rig.run()
    assert rig.task.resets == []
    assert [e.rule for e in rig.listener.told("event")] == ["force_hard"], "told although no episode began"


def test_ctrl_c_while_learning_keeps_what_was_already_known() -> None:
    """Learning happens inside on_step: an outcome decided before it is not turned into an interruption."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    rig = Rig(hands=[None, Button.DISCARD])
    rig.station.subscribers = (rig.listener, Act(1, interrupt))
    with pytest.raises(KeyboardInterrupt):
        rig.run()
    (end,) = rig.listener.told("end")
    assert (end.outcome, end.steps) == (Outcome.DISCARDED, 2)


def test_the_person_is_asked_once_more_when_the_episode_is_over() -> None:
    class Spectator:
        """Judges only what has ended."""

        def __init__(self) -> None:
            self.over = False

        def read(self) -> HumanInput:
            return HumanInput(None, frozenset({Button.SUCCESS}) if self.over else frozenset())

    eyes = Spectator()
    rig = Rig(teleop=eyes)
    rig.task.succeeds = lambda o: o.stamp > 0.08
    watching = Act(1, lambda: setattr(eyes, "over", True))
    rig.station.subscribers = (rig.listener, watching)
    assert rig.run().outcome is Outcome.SUCCESS
    (told,) = rig.listener.told("event")
    assert (told.kind, told.span.length) == (FeedbackKind.SUCCESS, 2)


def test_a_world_that_ends_by_itself_ends_the_episode() -> None:
    rig = Rig()
    rig.task.ended = lambda o: Outcome.FAILURE if o.stamp > 0.08 else None  # type: ignore[attr-defined]  # an EndingTask
    end = rig.run()
    assert (end.outcome, end.steps) == (Outcome.FAILURE, 2)
    assert rig.listener.steps[-1].terminated


# -- the true reward ---------------------------------------------------------------------------------------------------


def test_the_true_reward_is_kept_apart() -> None:
    rig = Rig()
    rig.task.gold = lambda o: 1e9
    rig.run()
    assert {s.reward for s in rig.listener.steps} == {0.0}
    assert {s.gold_reward for s in rig.listener.steps} == {1e9}


# -- the reward --------------------------------------------------------------------------------------------------------

OPEN, SHUT = wish(0.0, 0.0, 0.0, 0.0, 1.0), wish(0.0, 0.0, 0.0, 0.0, -1.0)


@given(closed=st.lists(st.booleans(), min_size=1, max_size=12))
@draws(30)
def test_the_gripper_costs_only_when_its_command_changes(closed: list[bool]) -> None:
    rig = Rig(policy=Script([SHUT if c else OPEN for c in closed]), reward=SparseReward(gripper_cost=0.1))
    rig.task.time_limit = len(closed)
    rig.run()
    changes = [now != before for before, now in zip([False, *closed], closed, strict=False)]
    assert [s.reward for s in rig.listener.steps] == pytest.approx([-0.1 if c else 0.0 for c in changes])


def test_reward_names_its_source() -> None:
    assert SparseReward().source != SparseReward(gripper_cost=0.0).source != SparseReward(judge="person").source
    rig = Rig(reward=SparseReward(judge="person"))
    rig.run()
    assert rig.listener.told("start")[0][0].reward_source == SparseReward(judge="person").source


def test_a_device_that_vanishes_leaves_the_tool_at_rest() -> None:
    class Unplugged(Hands):
        def read(self) -> HumanInput | None:
            read = super().read()
            return None if 3 <= self.reads <= 5 else read

    rig = Rig(teleop=Unplugged([LEFT, LEFT, None, None, None, None, None]))
    rig.run()
    drivers = [s.driver for s in rig.listener.steps]
    assert drivers[:6] == [Driver.HUMAN, Driver.HUMAN, Driver.REFLEX, Driver.REFLEX, Driver.REFLEX, Driver.POLICY]


def test_policy_is_reset_before_each_episode() -> None:
    script = Script([GO])
    rig = Rig(policy=script)
    for seed in range(3):
        run_station(rig.station, seed=seed)
    assert script.resets == 3
