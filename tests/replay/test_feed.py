"""From the steps of the loop to the rows of the buffer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from robot_rlhf.context import ContextSpec
from robot_rlhf.datatypes import (
    Action,
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Feedback,
    FeedbackKind,
    Observation,
    Outcome,
    Segment,
    Source,
    Step,
)
from robot_rlhf.errors import ReplayError
from robot_rlhf.ports import Subscriber
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed

POSE = np.array([0, 0, 0, 1, 0, 0, 0], np.float32)


def see(stamp: float) -> Observation:
    return Observation(
        stamp=stamp,
        joint_position=np.full(2, stamp, np.float32),
        joint_velocity=np.zeros(2, np.float32),
        tool_pose_in_base=POSE,
        tool_target_in_base=POSE,
        tool_velocity=np.zeros(6, np.float32),
        tool_wrench=np.zeros(6, np.float32),
        gripper=0.0,
        gripper_target=0.0,
    )


def step(index: int, before: Observation, after: Observation, driver: Driver = Driver.POLICY, **more: Any) -> Step:
    values: dict[str, Any] = {"reward": 0.0, "terminated": False, "truncated": False, "gold_reward": 1e6, **more}
    action = Action(np.array([0.1 * index], np.float32))
    return Step(
        index=index,
        observation=before,
        proposed=None,
        executed=action,
        driver=driver,
        policy_version=7,
        instruction="",
        next_observation=after,
        **values,
    )


class Recorder:
    """Counts how often each observation is encoded."""

    def __init__(self) -> None:
        self.stamps: list[float] = []

    def __call__(self, observation: Observation) -> dict[str, np.ndarray[Any, Any]]:
        self.stamps.append(observation.stamp)
        return {"state": observation.joint_position}


def meta(kind: EpisodeKind, name: str = "e0") -> EpisodeMeta:
    return EpisodeMeta(name, "task", kind, 0, "none", "task_success@1")


def feed(**settings: Any) -> tuple[ReplayFeed, ReplayBuffer, Recorder]:
    recorder = Recorder()
    buffer = ReplayBuffer(50, state_size=2, action_size=1, discount=0.9, **settings)
    return ReplayFeed(buffer, recorder), buffer, recorder


def play(
    to: ReplayFeed,
    drivers: list[Driver],
    kind: EpisodeKind = EpisodeKind.PRACTICE,
    end: Outcome = Outcome.TIME_LIMIT,
    name: str = "e0",
) -> None:
    seen = [see(float(t)) for t in range(len(drivers) + 1)]
    to.on_episode_start(meta(kind, name), seen[0])
    for t, driver in enumerate(drivers):
        to.on_step(step(t, seen[t], seen[t + 1], driver, truncated=t == len(drivers) - 1))
    to.on_episode_end(EpisodeEnd(name, end, len(drivers)))


P, H, R = Driver.POLICY, Driver.HUMAN, Driver.REFLEX


def test_context_shares_and_unknown_actions_of_steps_reach_the_rows() -> None:
    to, buffer, _ = feed(context=ContextSpec({"goal": 2}))
    seen = [see(float(t)) for t in range(4)]
    to.on_episode_start(meta(EpisodeKind.DEMONSTRATION), seen[0])
    goals = [{"goal": np.full(2, t, np.float32)} for t in range(3)]
    to.on_step(step(0, seen[0], seen[1], H, context=goals[0], authority=np.array([0.5], np.float32)))
    to.on_step(replace(step(1, seen[1], seen[2], H, context=goals[1]), executed=None))
    to.on_step(step(2, seen[2], seen[3], H, context=goals[2], truncated=True))
    to.on_episode_end(EpisodeEnd("e0", Outcome.SUCCESS, 3))
    batch = buffer.gather(buffer.indices())
    assert batch.observation["context"].tolist() == [[0.0, 0.0], [2.0, 2.0]]
    assert batch.authority is not None
    assert batch.authority.tolist() == [[0.5], [1.0]]
    found = buffer.windows(torch.tensor([0]), 3)
    assert found.source.tolist() == [[Source.DEMO, Source.WATCHED, Source.DEMO]]
    assert found.acted.tolist() == [[True, False, True]]


def test_drivers_become_sources_and_each_observation_is_encoded_once() -> None:
    to, buffer, recorder = feed()
    assert isinstance(to, Subscriber)
    play(to, [P, H, R])
    batch = buffer.gather(buffer.indices())
    assert batch.source.tolist() == [Source.POLICY, Source.HUMAN, Source.OTHER]
    assert recorder.stamps == [0.0, 1.0, 2.0, 3.0]
    assert batch.next_observation["state"][:, 0].tolist() == [1.0, 2.0, 3.0]
    assert batch.reward.tolist() == [0.0, 0.0, 0.0]  # not the gold reward of a million
    assert buffer.columns(batch.index)["policy_version"].tolist() == [7, 7, 7]


def test_demonstrations_are_demo_evaluations_are_left_out() -> None:
    to, buffer, recorder = feed()
    play(to, [H, H], EpisodeKind.DEMONSTRATION, end=Outcome.SUCCESS)
    encoded = len(recorder.stamps)
    play(to, [P, P], EpisodeKind.EVALUATION)
    assert buffer.counts[Source.DEMO] == len(buffer) == 2
    assert len(recorder.stamps) == encoded


@pytest.mark.parametrize(
    ("drivers", "kind", "end", "proven"),
    [
        ([P, P, P], EpisodeKind.PRACTICE, Outcome.SUCCESS, 3),
        ([P, H, P, P], EpisodeKind.PRACTICE, Outcome.SUCCESS, 2),
        ([P, P, H], EpisodeKind.PRACTICE, Outcome.SUCCESS, 0),
        ([P, R, P], EpisodeKind.PRACTICE, Outcome.SUCCESS, 1),
        ([P, P, P], EpisodeKind.PRACTICE, Outcome.TIME_LIMIT, 0),
        ([P, P, P], EpisodeKind.PRACTICE, Outcome.FAILURE, 0),
        ([P, P, P], EpisodeKind.PRACTICE, Outcome.STOPPED, 0),
        ([P, P, P], EpisodeKind.PRACTICE, Outcome.PAUSED, 0),
        ([P, P, P], EpisodeKind.PRACTICE, Outcome.DISCARDED, 0),
        ([P, P, P], EpisodeKind.EVALUATION, Outcome.SUCCESS, 0),
        ([H, H, H], EpisodeKind.DEMONSTRATION, Outcome.SUCCESS, 0),
    ],
)
def test_what_led_to_success_unaided_is_proven(
    drivers: list[Driver], kind: EpisodeKind, end: Outcome, proven: int
) -> None:
    to, buffer, _ = feed()
    play(to, [P, P])  # an episode before, which stays what it was
    play(to, drivers, kind, end)
    assert buffer.counts[Source.PROVEN] == proven
    if end is not Outcome.DISCARDED and kind is EpisodeKind.PRACTICE:
        assert buffer.counts[Source.POLICY] == 2 + drivers.count(P) - proven


def test_of_a_path_that_jumped_back_only_what_came_after_is_proven() -> None:
    to, buffer, _ = feed()
    to.on_episode_start(meta(EpisodeKind.PRACTICE), see(0.0))
    for t, (before, after) in enumerate([(0.0, 1.0), (1.0, 2.0), (0.5, 1.5), (1.5, 2.5)]):
        to.on_step(step(t, see(before), see(after)))
    to.on_episode_end(EpisodeEnd("e0", Outcome.SUCCESS, 4))
    assert (buffer.counts[Source.POLICY], buffer.counts[Source.PROVEN]) == (2, 2)


def test_a_demonstration_that_failed_is_not_sampled() -> None:
    to, buffer, _ = feed()
    play(to, [H, H], EpisodeKind.DEMONSTRATION, end=Outcome.SUCCESS)
    play(to, [H, H, H], EpisodeKind.DEMONSTRATION, end=Outcome.TIME_LIMIT)
    assert buffer.counts[Source.DEMO] == len(buffer) == 2


def test_a_demonstration_that_a_crash_broke_off_is_not_sampled() -> None:
    to, buffer, _ = feed()
    to.on_episode_start(meta(EpisodeKind.DEMONSTRATION), see(0.0))
    to.on_step(step(0, see(0.0), see(1.0)))
    play(to, [P, P])
    assert buffer.counts[Source.DEMO] == 0
    assert len(buffer) == 2


def test_a_discarded_episode_is_not_sampled_and_the_one_before_stays() -> None:
    to, buffer, _ = feed(pre_intervention=1)
    play(to, [P, P, H])
    play(to, [P, H], end=Outcome.DISCARDED)
    assert len(buffer) == 3
    assert buffer.counts[Source.PRE_INTERVENTION] == 1
    play(to, [P])
    assert len(buffer) == 4


def test_an_episode_deleted_later_is_taken_out_and_the_others_stay() -> None:
    to, buffer, _ = feed()
    play(to, [P, H], name="a")
    play(to, [P, P, H], name="b")
    to.on_episode_start(meta(EpisodeKind.PRACTICE, "c"), see(0.0))
    to.on_step(step(0, see(0.0), see(1.0)))
    buffer.sample(4)  # the groups are known by now
    rows = buffer.indices().tolist()
    to.on_event(Feedback(FeedbackKind.DISCARD, "kim", 0.0, Segment("b", 0, 3), 0.0))
    assert buffer.indices().tolist() == rows, "taken back: nothing is deleted"
    to.on_event(Feedback(FeedbackKind.DISCARD, "kim", 0.0, Segment("b", 0, 3), 1.0))
    assert buffer.indices().tolist() == [*rows[:2], *rows[5:]]
    assert (buffer.counts[Source.POLICY], buffer.counts[Source.HUMAN]) == (2, 1)
    assert set(buffer.sample(64).index.tolist()) == {rows[0], rows[1], rows[5]}
    to.on_step(step(1, see(1.0), see(2.0)))
    assert len(buffer) == 4, "the open episode goes on"
    to.on_event(Feedback(FeedbackKind.DISCARD, "kim", 0.0, Segment("unknown", 0, 3), 1.0))
    assert len(buffer) == 4


def test_observations_read_back_from_a_journal_are_recognised_by_their_stamp() -> None:
    to, buffer, recorder = feed()
    to.on_episode_start(meta(EpisodeKind.PRACTICE), see(0.0))
    to.on_step(step(0, see(0.0), see(1.0)))
    to.on_step(step(1, see(1.0), see(2.0)))
    assert recorder.stamps == [0.0, 1.0, 2.0]
    assert buffer.written == 3


def test_a_jump_inside_an_episode_pairs_nothing_across_it() -> None:
    to, buffer, _ = feed(n_step=3)
    to.on_episode_start(meta(EpisodeKind.PRACTICE), see(0.0))
    to.on_step(step(0, see(0.0), see(1.0)))
    to.on_step(step(1, see(8.0), see(9.0)))
    batch = buffer.gather(buffer.indices())
    assert batch.observation["state"][:, 0].tolist() == [0.0, 8.0]
    assert batch.next_observation["state"][:, 0].tolist() == [1.0, 9.0]
    np.testing.assert_allclose(batch.discount, [0.9, 0.9], rtol=1e-6)
    to.on_episode_end(EpisodeEnd("e0", Outcome.DISCARDED, 2))
    assert len(buffer) == 0


def test_an_episode_that_never_ended_counts_as_truncated() -> None:
    to, buffer, _ = feed()
    to.on_episode_start(meta(EpisodeKind.PRACTICE), see(0.0))
    to.on_step(step(0, see(0.0), see(1.0)))
    play(to, [P])
    columns = buffer.columns(buffer.indices())
    assert columns["truncated"].tolist() == [True, True]
    assert columns["terminated"].tolist() == [False, False]
    assert columns["episode"].tolist() == [0, 1]


def test_a_step_outside_an_episode_is_refused() -> None:
    to, _, _ = feed()
    with pytest.raises(ReplayError, match="outside an episode"):
        to.on_step(step(0, see(0.0), see(1.0)))


def part(
    to: ReplayFeed, name: str, drivers: list[Driver], at: float, continues: str = "", kind: str = "practice"
) -> None:
    """Begin an episode, or go on with a paused one, without an end."""
    seen = [see(at + t) for t in range(len(drivers) + 1)]
    to.on_episode_start(
        EpisodeMeta(name, "task", EpisodeKind(kind), 0, "none", "task_success@1", continues=continues), seen[0]
    )
    for t, driver in enumerate(drivers):
        to.on_step(step(t, seen[t], seen[t + 1], driver))


def delete(to: ReplayFeed, name: str, value: float = 1.0) -> None:
    to.on_event(Feedback(FeedbackKind.DISCARD, "kim", 0.0, Segment(name, 0, 1), value))


def held(buffer: ReplayBuffer) -> list[float]:
    """Stamps of the observations that steps can be sampled from."""
    return buffer.gather(buffer.indices()).observation["state"][:, 0].tolist() if len(buffer) else []


@pytest.mark.parametrize("named", ["a", "a+01", "a+02"])
def test_any_part_stands_for_the_whole_episode(named: str) -> None:
    to, buffer, _ = feed()
    part(to, "a", [P, P], 0)
    to.on_episode_end(EpisodeEnd("a", Outcome.PAUSED, 2))
    part(to, "a+01", [H, H], 10, "a")
    to.on_episode_end(EpisodeEnd("a+01", Outcome.PAUSED, 2))
    part(to, "a+02", [P], 20, "a+01")
    to.on_episode_end(EpisodeEnd("a+02", Outcome.SUCCESS, 1))
    play(to, [P], name="b")
    assert held(buffer) == [0, 1, 10, 11, 20, 0]
    delete(to, named)
    assert held(buffer) == [0]


def test_an_episode_that_broke_off_can_be_deleted() -> None:
    to, buffer, _ = feed()
    part(to, "a", [P, P], 0)
    part(to, "b", [P], 10)
    delete(to, "a")
    assert held(buffer) == [10]
    delete(to, "b")
    assert held(buffer) == []


def test_a_whole_that_is_deleted_while_it_goes_on_is_passed_over_until_that_is_taken_back() -> None:
    to, buffer, _ = feed()
    play(to, [P], name="b")
    part(to, "a", [P, P], 0)
    to.on_episode_end(EpisodeEnd("a", Outcome.PAUSED, 2))
    part(to, "a+01", [P], 10, "a")
    delete(to, "a")
    to.on_step(step(1, see(11.0), see(12.0)))
    assert held(buffer) == [0]
    delete(to, "a", 0.0)
    to.on_step(step(2, see(12.0), see(13.0)))
    assert held(buffer) == [0, 12]
    delete(to, "a+01")
    to.on_step(step(3, see(13.0), see(14.0)))
    to.on_episode_end(EpisodeEnd("a+01", Outcome.SUCCESS, 4))
    part(to, "c", [P], 30)
    assert held(buffer) == [0, 30]


def test_an_episode_that_goes_on_with_another_than_the_paused_one_is_one_of_its_own() -> None:
    to, buffer, _ = feed()
    part(to, "a", [P, P], 0)
    to.on_episode_end(EpisodeEnd("a", Outcome.PAUSED, 2))
    part(to, "b+01", [P], 10, "b")
    to.on_episode_end(EpisodeEnd("b+01", Outcome.DISCARDED, 1))
    assert held(buffer) == [0, 1]


def test_a_rest_in_a_demonstration_demonstrates_nothing() -> None:
    to, buffer, _ = feed()
    play(to, [H, R, P], EpisodeKind.DEMONSTRATION, end=Outcome.SUCCESS)
    assert buffer.gather(buffer.indices()).source.tolist() == [Source.DEMO, Source.OTHER, Source.DEMO]
