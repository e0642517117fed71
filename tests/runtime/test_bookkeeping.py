"""Governor, value check, tally, Wilson interval, seeds, session: numbers against naive twins."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.conformance import SubscriberConformance
from robot_rlhf.datatypes import Array, Driver, EpisodeKind, EpisodeMeta, Outcome, RobotSpec, Step
from robot_rlhf.errors import ConfigError, InvalidValueError, RobotError, RobotRlhfError
from robot_rlhf.runtime.evaluation import Evaluation, evaluate, wilson_interval
from robot_rlhf.runtime.fan_out import FanOut
from robot_rlhf.runtime.governor import Governor
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.runtime.seeds import episode_seed, generators
from robot_rlhf.runtime.session import Session
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.runtime.value_check import ValueCheck, discounted_returns
from tests.runtime.stations import LEFT, Hands, Listener, Rig, Script

# -- governor ----------------------------------------------------------------------------------------------------------


@given(
    ratio=st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0, 2.5, 4.0, 20.0]) | st.floats(0.0, 30.0),
    start=st.integers(0, 50),
    steps=st.lists(st.integers(0, 30), max_size=40),
)
def test_updates_never_exceed_the_ratio_and_sum_to_it(ratio: float, start: int, steps: list[int]) -> None:
    governor = Governor(ratio, start)
    seen = updates = 0
    for more in steps:
        seen += more
        due = governor.due(seen, updates)
        assert due >= 0
        assert (due == 0) == bool(governor.waiting_for(seen, updates))
        updates += due
        assert updates <= ratio * max(0, seen - start)
        assert governor.due(seen, updates) == 0
    assert updates == math.floor(ratio * max(0, seen - start)), "however the steps came in"


def test_a_learner_that_is_ahead_waits() -> None:
    """After a crash the checkpoint may know more than the journal: nothing is due until the steps catch up."""
    assert Governor(2.0, 0).due(10, 30) == 0
    assert Governor(2.0, 0).due(16, 30) == 2


def test_governor_refuses_negative_settings() -> None:
    for ratio, start in ((-1.0, 0), (1.0, -1)):
        with pytest.raises(ConfigError, match=">= 0"):
            Governor(ratio, start)


# -- values ------------------------------------------------------------------------------------------------------------


@given(rewards=st.lists(st.floats(-5, 5), min_size=1, max_size=30), discount=st.floats(0.0, 1.0))
def test_discounted_returns_are_the_sums_they_stand_for(rewards: list[float], discount: float) -> None:
    naive = [sum(r * discount**k for k, r in enumerate(rewards[t:])) for t in range(len(rewards))]
    np.testing.assert_allclose(discounted_returns(np.array(rewards), discount), naive, atol=1e-9)


def q_of(value: float) -> ValueCheck:
    def q_values(steps: list[Step], actions: Array) -> Array:
        assert len(steps) == len(actions)
        return np.full(len(actions), value, np.float32)

    return ValueCheck(q_values, 0.9, alarm_above=0.3, episodes=2)


def test_over_estimation_is_the_mean_gap_over_whole_practice_episodes() -> None:
    check = q_of(1.5)
    rig = Rig(listeners=(check,))
    rig.task.succeeds = lambda o: o.stamp - rig.listener.told("start")[-1][1].stamp > 0.12
    rig.run()
    mean = (1.0 + 0.9 + 0.81) / 3
    assert check.last == pytest.approx((1.5, mean))
    assert check.over_estimation == pytest.approx(1.5 - mean)
    assert not check.alarm, "one episode of two"
    rig.run(seed=1)
    assert check.alarm


def test_an_exact_critic_raises_no_alarm() -> None:
    check = q_of(0.0)
    rig = Rig(listeners=(check,))
    for seed in range(3):
        rig.run(seed=seed)
    assert check.over_estimation == 0.0
    assert not check.alarm


def test_a_time_limit_counts_the_value_that_was_left() -> None:
    """A critic that is right about a task that never ends by itself is not blamed for the cut."""
    rig = Rig()
    rig.task.time_limit = 6

    def exact(steps: list[Step], actions: Array) -> Array:
        return np.array([0.9 ** (len(actions) - 1 - t) for t in range(len(actions))], np.float32)

    check = ValueCheck(exact, 0.9, episodes=1)
    rig.station.subscribers = (check,)
    rig.run()
    assert check.over_estimation == pytest.approx(0.0, abs=1e-6)


def test_broken_and_other_episodes_are_not_compared() -> None:
    check = q_of(9.0)
    rig = Rig(listeners=(check,))
    rig.run(EpisodeKind.EVALUATION)
    rig.run(EpisodeKind.DEMONSTRATION)
    rig.station.may_move = lambda: not rig.listener.steps[20:]
    rig.run()
    assert rig.listener.told("end")[-1].outcome is Outcome.STOPPED
    assert check.last is None


# -- Wilson ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("successes", "episodes", "low", "high"),
    [
        # Newcombe 1998, table I, method 3; and the closed form z^2 / (n + z^2) at 0 of n.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0),
        (0, 10, 0.0, 1.96**2 / (10 + 1.96**2)),
    ],
)
def test_wilson_interval_matches_published_values(successes: int, episodes: int, low: float, high: float) -> None:
    assert wilson_interval(successes, episodes) == pytest.approx((low, high), abs=1e-4)


@given(episodes=st.integers(1, 500), data=st.data())
def test_wilson_interval_solves_its_equation(episodes: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, episodes))
    rate = successes / episodes
    low, high = wilson_interval(successes, episodes)
    assert 0.0 <= low <= rate <= high <= 1.0
    for p in (low, high):
        if 0.0 < p < 1.0:
            assert abs(rate - p) == pytest.approx(1.96 * math.sqrt(p * (1 - p) / episodes), abs=1e-7)


@pytest.mark.parametrize(("successes", "episodes"), [(0, 0), (3, 2), (-1, 2)])
def test_wilson_interval_refuses_nonsense(successes: int, episodes: int) -> None:
    with pytest.raises(InvalidValueError):
        wilson_interval(successes, episodes)


# -- seeds -------------------------------------------------------------------------------------------------------------


def test_every_episode_has_a_seed_of_its_own() -> None:
    seeds = [episode_seed(run, kind, n) for run in range(5) for kind in EpisodeKind for n in range(200)]
    assert len(set(seeds)) == len(seeds)
    assert episode_seed(0, EpisodeKind.PRACTICE, 3) == episode_seed(0, EpisodeKind.PRACTICE, 3)


def test_exploration_and_start_are_drawn_apart() -> None:
    explore, start = generators(5)
    explore.normal(size=100)
    again = generators(5)[1]
    assert start.uniform() == again.uniform()
    assert generators(5)[0].uniform() != generators(5)[1].uniform()


# -- tally -------------------------------------------------------------------------------------------------------------


class TestTally(SubscriberConformance):
    def make_spec(self) -> RobotSpec:
        return Rig().robot.spec

    def make_subscriber(self, spec: RobotSpec, folder: Path) -> Tally:
        return Tally(spec.control_period)


class TestFanOut(SubscriberConformance):
    def make_spec(self) -> RobotSpec:
        return Rig().robot.spec

    def make_subscriber(self, spec: RobotSpec, folder: Path) -> FanOut:
        return FanOut([Tally(spec.control_period), Listener()])


def test_tally_counts_as_a_naive_count_of_the_journal() -> None:
    tally = Tally(0.05)
    rig = Rig(listeners=(tally,))
    rng = np.random.default_rng(0)
    for seed in range(30):
        kind = list(EpisodeKind)[int(rng.integers(3))]
        rig.station.teleop = Hands([LEFT if rng.uniform() < 0.2 else None for _ in range(10)])
        rig.task.succeeds = (lambda o: True) if rng.uniform() < 0.3 else (lambda o: False)
        rig.run(kind, seed)
    episodes: list[tuple[EpisodeKind, list[Driver], Outcome]] = []
    for _, what, value in rig.listener.calls:
        if what == "start":
            episodes.append((value[0].kind, [], Outcome.STOPPED))
        elif what == "step":
            episodes[-1][1].append(value.driver)
        elif what == "end":
            episodes[-1] = (*episodes[-1][:2], value.outcome)
    practice = [(drivers, outcome) for kind, drivers, outcome in episodes if kind is EpisodeKind.PRACTICE]
    shown = [(drivers, outcome) for kind, drivers, outcome in episodes if kind is EpisodeKind.DEMONSTRATION]
    human = [sum(d is Driver.HUMAN for d in drivers) for drivers, _ in practice]
    assert tally.steps == sum(len(drivers) for drivers, _ in practice)
    assert tally.human_steps == sum(human)
    assert tally.episodes == len(practice) == len(tally.history)
    assert tally.human_episodes == sum(n > 0 for n in human)
    assert tally.demonstrations == sum(outcome is Outcome.SUCCESS for _, outcome in shown)
    assert tally.demonstration_steps == sum(len(drivers) for drivers, _ in shown)
    driven = sum(d is Driver.HUMAN for drivers, _ in shown for d in drivers)
    assert 0 < tally.demonstration_human_steps == driven < tally.demonstration_steps
    assert tally.hands_on_seconds == pytest.approx(0.05 * (sum(human) + driven))
    assert tally.at_machine_seconds == pytest.approx(0.05 * (tally.steps + tally.demonstration_steps))
    last = practice[-20:]
    assert tally.recent_success == pytest.approx(sum(o is Outcome.SUCCESS for _, o in last) / len(last))
    assert tally.recent_human_share == pytest.approx(sum(human[-20:]) / sum(len(d) for d, _ in last))
    assert tally.started == {kind: sum(k is kind for k, _, _ in episodes) for kind in EpisodeKind}


@pytest.mark.parametrize(
    ("kind", "operator", "attended"),
    [
        (EpisodeKind.DEMONSTRATION, "clumsy", True),
        (EpisodeKind.PRACTICE, "Ann", True),
        (EpisodeKind.PRACTICE, "none", False),
        (EpisodeKind.PRACTICE, "absent", False),
        (EpisodeKind.EVALUATION, "Ann", False),
    ],
)
def test_who_had_to_be_there(kind: EpisodeKind, operator: str, attended: bool) -> None:
    assert EpisodeMeta("e", "reach", kind, 0, operator, "none").attended is attended


# -- session -----------------------------------------------------------------------------------------------------------


def session_of(rig: Rig, seed: int = 0) -> Session:
    tally = Tally(0.05)
    rig.station.subscribers = (*rig.station.subscribers, tally)
    return Session(rig.station, tally, seed, {"robot-rlhf": "test"})


def test_a_session_numbers_and_seeds_its_episodes_by_kind() -> None:
    rig = Rig()
    session = session_of(rig, seed=4)
    for kind in (EpisodeKind.DEMONSTRATION, EpisodeKind.PRACTICE, EpisodeKind.PRACTICE):
        session.episode(kind)
    metas = [meta for meta, _ in rig.listener.told("start")]
    assert [m.id for m in metas] == ["demonstration-000000", "practice-000000", "practice-000001"]
    assert metas[2].seed == episode_seed(4, EpisodeKind.PRACTICE, 1)
    assert dict(metas[0].versions) == {"robot-rlhf": "test"}


def test_demonstrations_go_on_until_enough_succeeded() -> None:
    rig = Rig()
    rig.task.succeeds = lambda o: len(rig.task.resets) % 2 == 0
    rig.station.may_move = lambda: False  # a person who demonstrates waits for no learner
    session_of(rig).demonstrate(3, Hands([LEFT] * 500), "ann")
    metas = [meta for meta, _ in rig.listener.told("start")]
    assert [m.kind for m in metas] == [EpisodeKind.DEMONSTRATION] * 6
    assert {m.operator for m in metas} == {"ann"}
    assert all(s.proposed is None for s in rig.listener.steps)


def test_demonstrations_that_never_succeed_end_with_an_error() -> None:
    with pytest.raises(RobotRlhfError, match="0 of 1 succeeded in 10 tries by ann; allowed: "):
        session_of(Rig()).demonstrate(1, Hands([]), "ann")


def test_practice_ends_with_its_steps_or_when_it_is_enough() -> None:
    rig = Rig()
    session = session_of(rig)
    session.practise(25, lambda: False)
    assert session.tally.steps == 30, "whole episodes"
    session.practise(1000, lambda: session.tally.steps >= 50)
    assert session.tally.steps == 50


def test_practice_that_cannot_make_a_step_ends_with_an_error() -> None:
    session = session_of(Rig(policy=Script([InvalidValueError("Action.values", "nan", "numbers")])))
    with pytest.raises(RobotError, match=r"3 episodes in a row ended before their first step.*nan"):
        session.practise(100, lambda: False)


# -- evaluation --------------------------------------------------------------------------------------------------------


def test_evaluation_is_unaided_and_told_to_nobody_else() -> None:
    rig = Rig(hands=[LEFT] * 1000)
    rig.task.gold = lambda o: 0.25
    rig.task.succeeds = lambda o: len(rig.task.resets) % 2 == 0 and o.stamp % 0.5 > 0.12
    watcher = Listener()
    result = evaluate(rig.station, episodes=4, seed=1, subscribers=(watcher,))
    assert rig.listener.calls == []
    assert {s.driver for s in watcher.steps} == {Driver.POLICY}
    assert result.episodes == 4
    assert result.successes == tuple(end.outcome is Outcome.SUCCESS for end in watcher.told("end"))
    assert result.lengths == tuple(end.steps for end in watcher.told("end"))
    held = [rig.task.time_limit if ok else n for n, ok in zip(result.lengths, result.successes, strict=True)]
    assert result.gold_returns == pytest.approx([0.25 * n for n in held]), "a success holds its last reward"
    assert result.policy_version == 7
    good = [n for n, ok in zip(result.lengths, result.successes, strict=True) if ok]
    assert result.cycle_steps == pytest.approx(sum(good) / len(good))
    assert rig.station.teleop is not None, "the station itself is unchanged"


def test_the_starts_of_an_evaluation_depend_on_seed_and_number_alone() -> None:
    def starts(first: int, count: int, seed: int = 1) -> list[float]:
        rig = Rig()
        evaluate(rig.station, episodes=count, seed=seed, first=first)
        return rig.task.resets

    assert starts(0, 4)[2:] == starts(2, 2)
    assert starts(0, 2, seed=2) != starts(0, 2)


def test_where_a_person_judges_the_task_judges_an_evaluation() -> None:
    rig = Rig(reward=SparseReward(judge="person"))
    rig.task.succeeds = lambda o: True
    assert evaluate(rig.station, episodes=2, seed=0).success_rate == 1.0


def test_without_a_success_there_is_no_cycle_time() -> None:
    assert math.isnan(Evaluation((False,), (5,), (0.0,), 0).cycle_steps)
