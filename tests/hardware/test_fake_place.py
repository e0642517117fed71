from __future__ import annotations

import numpy as np
import pytest

from robot_rlhf.conformance import PlaceConformance, TaskConformance
from robot_rlhf.datatypes import Assignment
from robot_rlhf.errors import RobotRlhfError
from robot_rlhf.place import Place, PlaceConfig
from robot_rlhf.ports import Robot, Task
from robot_rlhf.timing import Clock, FakeClock
from robot_rlhf_hardware.fake import HOME, FakeRobot
from robot_rlhf_hardware.fake_place import LIMITS, NEAR, FakeConfig, Touch


def touch(homing: bool = False, lag: float = 0.03) -> Place:
    return FakeConfig(homing=homing, lag=lag).open("touch", clock=FakeClock(), cameras={})


class TestFakePlace(PlaceConformance):
    def make_place(self, clock: Clock) -> Place:
        return FakeConfig().open("touch", clock=clock, cameras={})


class TestHomingFakePlace(PlaceConformance):
    begins_exactly = False

    def make_place(self, clock: Clock) -> Place:
        return FakeConfig(homing=True).open("touch", clock=clock, cameras={})


class TestTouch(TaskConformance):
    def make_task(self) -> tuple[Task, Robot]:
        robot = FakeRobot(FakeClock(), things=["point"])
        return Touch(robot, robot.put), robot


@pytest.mark.parametrize("homing", [False, True])
def test_an_episode_begins_where_its_seed_says(homing: bool) -> None:
    place = touch(homing)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        start, point = (rng.uniform((0.3, -0.2, 0.2), (0.5, 0.2, 0.4)) for _ in range(2))
        seen = place.guard.begin(lambda seed=seed: place.task.reset(np.random.default_rng(seed)))
        np.testing.assert_allclose(seen.tool_pose_in_base[:3], start, atol=5e-3 if homing else 1e-6)
        np.testing.assert_allclose(seen.scene["point"][:3], point, atol=1e-6)


@pytest.mark.parametrize("noise", [0.0, 0.25])
def test_the_expert_touches_the_point_and_what_remains_tells(noise: float) -> None:
    place, rng = touch(), np.random.default_rng(5)
    assert isinstance(place.task, Touch)
    expert = place.task.expert(noise)
    for seed in range(10):
        seen = place.guard.begin(lambda seed=seed: place.task.reset(np.random.default_rng(seed)))
        for _ in range(place.task.time_limit):
            assert place.task.success(seen) is (place.task.remaining(seen) < NEAR)
            if place.task.success(seen):
                break
            place.guard.act(expert.act(seen, Assignment(""), rng))
            seen = place.guard.observe()
        assert place.task.success(seen)
    assert place.guard.faults == ()


def test_put_is_there_at_once_and_at_rest() -> None:
    clock = FakeClock()
    robot = FakeRobot(clock)
    robot.put([0.5, 0.1, 0.2])
    for _ in range(2):
        seen = robot.observe()
        np.testing.assert_allclose(seen.tool_pose_in_base, [0.5, 0.1, 0.2, *HOME[3:]], atol=1e-6)
        np.testing.assert_array_equal(seen.tool_pose_in_base, seen.tool_target_in_base)
        assert not seen.tool_velocity.any()
        clock.advance(1.0)


def test_limits_hold_where_episodes_begin() -> None:
    place = touch()
    for seed in range(50):
        seen = place.guard.begin(lambda seed=seed: place.task.reset(np.random.default_rng(seed)))
        for there in (seen.tool_pose_in_base[:3], seen.scene["point"][:3]):
            assert (LIMITS.workspace_lower < there).all()
            assert (there < LIMITS.workspace_upper).all()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (
            lambda: FakeConfig().check_task("tuch"),
            "unknown task of place fake 'tuch'. Did you mean 'touch'? Known: touch",
        ),
        (
            lambda: FakeConfig().open("touch", clock=FakeClock(), cameras={"front": (8, 8)}),
            "cameras: got front, but place fake has none",
        ),
        (lambda: FakeConfig(lag=0.0), "lag: got 0.0, allowed: above 0, up to 1000000"),
        (
            lambda: FakeRobot(FakeClock(), things=["point"]).set_thing("pint", [0, 0, 0]),
            "unknown thing 'pint'. Did you mean 'point'? Known: point",
        ),
    ],
)
def test_says_in_one_line_what_it_has_not(what: object, said: str) -> None:
    assert callable(what)
    with pytest.raises(RobotRlhfError) as refused:
        what()
    assert str(refused.value) == said


def test_is_known_by_its_name() -> None:
    assert PlaceConfig.of_kind("fake") is FakeConfig
