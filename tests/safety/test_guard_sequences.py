"""Whatever happens, in whatever order, what a robot is told keeps the laws of `oracle`."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_rlhf.datatypes import Action
from robot_rlhf.safety.limits import ToolLimits
from robot_rlhf_hardware.fake import HOME
from tests.safety.laws import LIMITS
from tests.safety.sequences import OPERATIONS, SETUP_SIZE, Operation, Player, Setup, drawn, drawn_setup, setup_of

numbers = st.floats(-1.0, 1.0)


def of_length(size: int) -> st.SearchStrategy[tuple[float, ...]]:
    return st.tuples(*[numbers] * size)


names = st.sampled_from([name for name, (_, weight) in OPERATIONS.items() for _ in range(weight)])
operations = names.flatmap(lambda name: st.tuples(st.just(name), of_length(OPERATIONS[name][0])))
sequences = st.lists(operations, min_size=1, max_size=40)


@settings(max_examples=60)
@given(of_length(SETUP_SIZE), st.booleans(), sequences)
def test_no_sequence_breaks_a_law(setup: tuple[float, ...], direct: bool, played: list[Operation]) -> None:
    assert Player(setup_of(setup, direct=direct)).play(played) == []


@pytest.mark.slow
@settings(max_examples=4000)
@given(of_length(SETUP_SIZE), st.booleans(), sequences)
def test_no_sequence_breaks_a_law_for_minutes(setup: tuple[float, ...], direct: bool, played: list[Operation]) -> None:
    assert Player(setup_of(setup, direct=direct)).play(played) == []


@pytest.mark.parametrize("seed", range(40))
def test_no_long_sequence_breaks_a_law(seed: int) -> None:
    rng = np.random.default_rng([1, seed])
    player = Player(drawn_setup(rng, direct=seed % 4 == 3))
    assert player.play(drawn(rng, 60)) == []
    assert player.oracle.commands > 0


SLOW_ARM = replace(
    LIMITS,
    tool_speed=0.10,
    tool_acceleration=1.0,
    turn_rate=0.8,
    turn_acceleration=8.0,
    leash=0.03,
    leash_angle=0.2,
    command_validity=0.25,
    observation_age_max=0.3,
)
"""Those of launch/robot.yaml."""


def moving(lag: float) -> Player:
    """An arm that has been driven for a while, with its target ahead of it."""
    player = Player(Setup(SLOW_ARM, 0.1, lag))
    player.play([("act", (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0)), ("act", (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.5))])
    return player


@pytest.mark.parametrize("lag", [0.1, 0.3])
def test_a_motion_goes_on_from_the_last_command_and_arrives(lag: float) -> None:
    player = moving(lag)
    assert player.guard.move_to(HOME, 1.0, timeout=20.0)
    assert player.oracle.violations == []


@pytest.mark.parametrize("lag", [0.1, 0.3])
def test_a_hold_brakes(lag: float) -> None:
    player = moving(lag)
    held = [player.guard.hold() for _ in range(5)][-1]
    assert player.oracle.violations == []
    np.testing.assert_array_equal(held.executed.values[:6], 0.0)


def test_a_motion_that_runs_out_of_time_ends_at_rest() -> None:
    player = moving(0.1)
    assert not player.guard.move_to((0.36, *HOME[1:]), 1.0, timeout=0.3)
    last = player.guard.hold()
    np.testing.assert_array_equal(last.executed.values[:6], 0.0)
    assert player.oracle.violations == []


@pytest.mark.parametrize("lag", [0.1, 0.3])
def test_anchor_stops_the_robot_and_begins_where_it_is(lag: float) -> None:
    player = moving(lag)
    player.guard.anchor()
    assert player.oracle.stops == 1
    seen = player.guard.observe()
    first = player.guard.act(Action(np.zeros(7, np.float32))).command.target
    np.testing.assert_allclose(first[:7], seen.tool_pose_in_base, atol=1e-6)
    assert player.oracle.violations == []


def test_a_reset_by_motion_goes_on_and_any_other_is_anchored() -> None:
    player = moving(0.3)
    limits = player.setup.limits
    assert isinstance(limits, ToolLimits)
    player.guard.begin(lambda: player.guard.move_to(HOME, 1.0, timeout=20.0))
    assert player.oracle.stops == 0
    first = player.guard.act(Action(np.zeros(7, np.float32))).command.target
    assert math.dist(first[:3], HOME[:3]) < limits.tool_acceleration * player.period**2
    player.guard.begin(lambda: None)
    assert player.oracle.stops == 1
    assert player.oracle.violations == []


def test_nothing_is_sent_before_the_robot_was_seen_where_it_stopped() -> None:
    player = moving(0.1)
    player.robot.delay(0.1)
    for _ in range(5):
        player.guard.observe()
        player.guard.act(Action(np.array([1.0, 0, 0, 0, 0, 0, 1], np.float32)))
    player.guard.stop()
    count = player.oracle.commands
    blind = player.guard.act(Action(np.array([1.0, 0, 0, 0, 0, 0, 1], np.float32)))
    assert blind.sent is None
    assert player.oracle.commands == count
    np.testing.assert_array_equal(blind.executed.values, [0, 0, 0, 0, 0, 0, 1])
    player.guard.observe()
    player.clock.advance(0.21)
    assert player.guard.hold().sent is not None
    assert player.oracle.violations == []
