"""The simulated arm: commands, forces, stop, and exact snapshots."""

from __future__ import annotations

from collections.abc import Mapping

import mujoco
import numpy as np
import pytest

from robot_rlhf.conformance import RobotConformance, TaskConformance, assert_same_state
from robot_rlhf.datatypes import ActionLayout, Array, Command, Observation
from robot_rlhf.errors import ConfigError, InvalidValueError, RobotError, ShapeError
from robot_rlhf.ports import Robot, Task
from robot_rlhf.timing import FakeClock, MonotonicClock
from robot_rlhf_sim.arm import CONTROL_PERIOD, SimArm, SimState
from robot_rlhf_sim.robots.built_in import BUILT_IN
from robot_rlhf_sim.tasks import Blocks, DrawerStore, PegInsert, PickCube, Push, Reach

TASKS = (Reach, PickCube, PegInsert, Push, DrawerStore, Blocks)
DOWN = (0.0, 1.0, 0.0, 0.0)


def go(arm: SimArm, x: float, y: float, z: float, opening: float = 1.0, steps: int = 1) -> Observation:
    for _ in range(steps):
        arm.send(Command(np.array([x, y, z, *DOWN, opening]), arm.clock.now() + 1.0))
    return arm.observe()


class TestReachArm(RobotConformance):
    def make_robot(self) -> Robot:
        return Reach(FakeClock()).arm


class TestPickCubeArm(RobotConformance):
    def make_robot(self) -> Robot:
        return PickCube(FakeClock()).arm


class TestPegInsertArm(RobotConformance):
    def make_robot(self) -> Robot:
        return PegInsert(FakeClock()).arm


class TestReachTask(TaskConformance):
    def make_task(self) -> tuple[Task, Robot]:
        task = Reach(FakeClock())
        return task, task.arm


class TestPickCubeTask(TaskConformance):
    def make_task(self) -> tuple[Task, Robot]:
        task = PickCube(FakeClock())
        return task, task.arm


class TestPegInsertTask(TaskConformance):
    def make_task(self) -> tuple[Task, Robot]:
        task = PegInsert(FakeClock(), hole_error=0.002)
        return task, task.arm


class TestPushTask(TaskConformance):
    def make_task(self) -> tuple[Task, Robot]:
        task = Push(FakeClock(), lamp_truth=1.0)
        return task, task.arm


class TestDrawerStoreTask(TaskConformance):
    def make_task(self) -> tuple[Task, Robot]:
        task = DrawerStore(FakeClock(), slip_rate=1.0, falls_shut=1.0)
        return task, task.arm


class TestBlocksTask(TaskConformance):
    def make_task(self) -> tuple[Task, Robot]:
        task = Blocks(FakeClock(), held_out="red>bowl_right")
        return task, task.arm


def test_goes_where_it_is_told() -> None:
    arm = Reach(FakeClock()).arm
    seen = go(arm, 0.55, 0.10, 0.15, opening=0.5, steps=40)
    np.testing.assert_allclose(seen.tool_pose_in_base, [0.55, 0.10, 0.15, *DOWN], atol=1e-3)
    np.testing.assert_allclose(seen.tool_target_in_base, [0.55, 0.10, 0.15, *DOWN], atol=1e-6)
    assert seen.gripper == pytest.approx(0.5, abs=0.01)
    assert seen.gripper_target == 0.5


def test_velocity_is_the_change_of_the_pose() -> None:
    arm = Reach(FakeClock()).arm
    go(arm, 0.55, 0.05, 0.18, steps=3)
    before = arm.tool_pose()
    seen = arm.observe()
    step = 0.002
    arm.data.qpos[:7] += step * arm.data.qvel[:7]
    arm._derive()
    moved = np.subtract(arm.tool_pose()[:3], before[:3]) / step
    np.testing.assert_allclose(seen.tool_velocity[:3], moved, atol=2e-3)


def test_joint_targets_move_no_faster_than_the_joints_may() -> None:
    arm = PickCube(FakeClock()).arm
    for target in ((0.75, 0.5, 0.7), (0.2, -0.5, 0.1), (0.75, -0.5, 0.0)):
        for _ in range(6):
            before = arm.joint_target
            go(arm, *target)
            assert (np.abs(arm.joint_target - before) <= BUILT_IN.speed_max * CONTROL_PERIOD + 1e-9).all()
            assert (arm.joint_target >= arm.spec.position_lower).all()
            assert (arm.joint_target <= arm.spec.position_upper).all()


def test_a_command_outside_the_bounds_is_clipped_and_reported() -> None:
    arm = Reach(FakeClock()).arm
    sent = arm.send(Command(np.array([2.0, 0.0, 0.3, 0.0, -2.0, 0.0, 0.0, 1.4]), 1.0))
    np.testing.assert_allclose(sent.target, [arm.spec.command.upper[0], 0.0, 0.3, *DOWN, 1.0])
    with pytest.raises(InvalidValueError, match="unit quaternion"):
        arm.send(Command(np.array([0.5, 0.0, 0.3, 0.0, 0.0, 0.0, 0.0, 1.0]), 1.0))


def test_the_clock_advances_only_when_it_is_simulated() -> None:
    fake = FakeClock()
    go(Reach(fake).arm, 0.5, 0.0, 0.2, steps=3)
    assert fake.now() == pytest.approx(3 * CONTROL_PERIOD)
    arm = Reach(MonotonicClock()).arm
    first = arm.observe()
    assert go(arm, 0.5, 0.0, 0.2).stamp > first.stamp


def test_stop_holds_still_and_a_second_stop_changes_nothing() -> None:
    arm = Reach(FakeClock()).arm
    go(arm, 0.6, 0.15, 0.1, steps=3)
    arm.stop()
    held = arm.snapshot()
    arm.stop()
    np.testing.assert_array_equal(held.vector, arm.snapshot().vector)
    seen = arm.observe()
    np.testing.assert_array_equal(seen.tool_target_in_base, seen.tool_pose_in_base)


def test_presses_the_table_and_feels_it() -> None:
    task = PegInsert(FakeClock())
    task.reset(np.random.default_rng(0))
    task.arm.data.mocap_pos[0] = (0.5, 2.0, 0.0)  # the block out of the way
    free = go(task.arm, 0.5, 0.0, 0.02, opening=0.25, steps=30)
    assert np.abs(free.tool_wrench).max() == 0.0
    pressed = go(task.arm, 0.5, 0.0, -0.01, opening=0.25, steps=40)
    again = go(task.arm, 0.5, 0.0, -0.005, opening=0.25, steps=40)
    assert 5.0 < again.tool_wrench[2] < pressed.tool_wrench[2] < 100.0  # the table pushes up, and more the deeper
    assert np.linalg.norm(pressed.tool_wrench[:2]) < 0.81 * pressed.tool_wrench[2]  # Coulomb: the table's 0.8


def test_a_held_cube_belongs_to_the_tool() -> None:
    task = PickCube(FakeClock())
    task.reset(np.random.default_rng(0))
    x, y, z = task.arm.observe().privileged["cube"][:3].tolist()
    a = task._address
    task.arm.data.qpos[a + 3 : a + 7] = (1.0, 0.0, 0.0, 0.0)
    go(task.arm, x, y, z, steps=30)
    closed = go(task.arm, x, y, z, opening=0.0, steps=20)
    assert closed.privileged["grasped"][0] == 1.0
    assert closed.gripper == pytest.approx(0.5, abs=0.03)  # 4 cm between pads that open 8 cm
    lifted = go(task.arm, x, y, z + 0.12, opening=0.0, steps=30)
    assert np.abs(lifted.tool_wrench[:3]).max() < 0.1  # the squeeze is inner force, and nothing else touches
    assert task.success(lifted)


def test_divergence_is_a_fault_until_reset() -> None:
    task = Reach(FakeClock())
    task.arm.data.qvel[0] = np.nan
    with pytest.raises(RobotError, match="diverged"):
        go(task.arm, 0.5, 0.0, 0.2)
    with pytest.raises(RobotError, match="reset the task"):
        task.arm.observe()
    task.reset(np.random.default_rng(0))
    go(task.arm, 0.5, 0.0, 0.2)


@pytest.mark.parametrize("task_type", TASKS)
def test_goes_on_from_a_snapshot_bit_for_bit(task_type: type[PickCube]) -> None:
    task = task_type(FakeClock())
    arm, rng = task.arm, np.random.default_rng(3)
    task.reset(rng)
    spot = arm.observe().privileged
    x, y, _ = next(iter(spot.values()))[:3].tolist()
    commands = [
        np.array([x + dx, y + dy, max(0.15 - 0.01 * k, 0.0) + dz, *DOWN, float(k < 15)])
        for k, (dx, dy, dz) in enumerate(rng.uniform(-0.004, 0.004, (40, 3)))
    ]

    def run(some: list[np.ndarray]) -> list[Observation]:
        seen = []
        for target in some:
            arm.send(Command(target, arm.clock.now() + 1.0))
            seen.append(arm.observe())
        return seen

    for cut in (0, 10, 20, 20):  # in the air; near or in contact; again, from a state reached after a restore
        run(commands[:cut])
        state, present = arm.snapshot(), arm.observe()
        first = run(commands[cut:])
        end = arm.snapshot()
        task.reset(np.random.default_rng(99))
        arm.restore(state)
        assert_same_state(present, arm.observe())
        for a, b in zip(first, run(commands[cut:]), strict=True):
            assert_same_state(a, b)
        np.testing.assert_array_equal(end.vector, arm.snapshot().vector)
    if task_type is not Reach:
        assert max(np.abs(s.tool_wrench).max() for s in first) > 1.0


def test_a_snapshot_of_another_world_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"SimState\.vector"):
        PickCube(FakeClock()).arm.restore(SimState(np.zeros(5)))


class Nothing:
    """A stage on which nothing is sensed."""

    scene_sizes: Mapping[str, int] = {}
    privileged_sizes: Mapping[str, int] = {}

    def sense(self, arm: SimArm) -> tuple[dict[str, Array], dict[str, Array]]:
        return {}, {}

    def paint(self, arm: SimArm) -> None: ...


def test_a_free_body_that_would_fall_through_the_table_is_named() -> None:
    def arm_with(**geom: int) -> SimArm:
        world = BUILT_IN.load()
        body = world.worldbody.add_body(name="block", pos=[0.5, 0.0, 0.1])
        body.add_freejoint()
        body.add_body().add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.02] * 3, mass=0.1, **geom)
        return SimArm(Nothing(), world, ActionLayout(("x",), np.ones(1, np.float32)), FakeClock(), {})

    with pytest.raises(ConfigError, match=r"body 'block': .* would fall through the table; allowed: contype=3"):
        arm_with()
    arm = arm_with(contype=3, conaffinity=3)
    arm.settle()
    go(arm, 0.5, 0.2, 0.3, steps=20)
    assert arm.data.body("block").xpos[2] == pytest.approx(0.02, abs=0.002)
