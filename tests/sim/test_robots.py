"""Arms read from files: what is found in them, that tasks are solved with them, and what they lack is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rlhf.conformance import RobotConformance, TaskConformance
from robot_rlhf.datatypes import Assignment
from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.ports import Robot, Task
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.robots import BUILT_IN, ArmModel, arm_from
from robot_rlhf_sim.robots.arm_model import TOOL_DISTANCE
from robot_rlhf_sim.robots.built_in import SCENE_FILE
from robot_rlhf_sim.robots.chain import Chain
from robot_rlhf_sim.robots.from_file import CORNERS
from robot_rlhf_sim.robots.kinematics import ToolKinematics
from robot_rlhf_sim.tasks import Blocks, DrawerStore, PegInsert, PickCube, Push, Reach

FINGERS = """
  <body name="left" pos="0 0 .06"><joint name="left" type="slide" axis="0 1 0" range="0 .05"/>
    <geom type="box" size=".011 .005 .035" pos="0 .005 .035" friction="1 .02 .0001" condim="4" mass=".05"/></body>
  <body name="right" pos="0 0 .06"><joint name="right" type="slide" axis="0 1 0" range="-.05 0"/>
    <geom type="box" size=".011 .005 .035" pos="0 -.005 .035" friction="1 .02 .0001" condim="4" mass=".05"/></body>
"""
FINGER_SERVOS = """
  <position name="left" joint="left" kp="600" kv="40" ctrlrange="0 .05" forcerange="-30 30"/>
  <position name="right" joint="right" kp="600" kv="40" ctrlrange="-.05 0" forcerange="-30 30"/>
"""
LAST = '<joint name="wrist_3" axis="0 0 1" range="-6 6"/>'


def six_joints(
    *, hand: str = FINGERS, servos: str = FINGER_SERVOS, last: str = LAST, size: float = 1.0, site: str = "tcp"
) -> str:
    """An arm of three long links with a wrist of three joints; lengths in m, times `size`."""
    return f"""
    <mujoco><compiler autolimits="true" angle="radian"/><option timestep="0.01" gravity="0 0 -5"/>
      <worldbody>
        <light pos="0 0 2"/><geom name="ground" type="plane" size="2 2 .1"/>
        <body name="somebody_elses" pos="1 1 1"><freejoint/><geom size=".1"/></body>
        <body name="stand"><geom type="cylinder" size=".06 .04" pos="0 0 .04"/>
          <body name="turret" pos="0 0 .15"><joint name="pan" axis="0 0 1" range="-3 3"/><geom size=".05" mass="3"/>
            <body name="upper"><joint name="lift" axis="0 1 0" range="-2.6 2.6"/>
              <geom type="capsule" size=".04" fromto="0 0 .08 0 0 {0.35 * size}" mass="3"/>
              <body name="lower" pos="0 0 {0.42 * size}"><joint name="elbow" axis="0 1 0" range="-2.8 2.8"/>
                <geom type="capsule" size=".035" fromto="0 0 .07 0 0 {0.3 * size}" mass="2"/>
                <body name="wrist" pos="0 0 {0.4 * size}"><joint name="wrist_1" axis="0 1 0" range="-3 3"/>
                  <geom size=".03" mass=".5"/>
                  <body pos="0 0 .06"><joint name="wrist_2" axis="1 0 0" range="-2.2 2.2"/><geom size=".03" mass=".5"/>
                    <body name="flange" pos="0 0 .06">{last}<geom size=".03" mass=".3"/>
                      {hand}<site name="{site}" pos="0 0 .12"/>
      </body></body></body></body></body></body></body></worldbody>
      <actuator><motor name="pan" joint="pan"/>{servos}</actuator></mujoco>"""


def read(tmp_path: Path, text: str, **options: Any) -> ArmModel:
    file = tmp_path / "six.xml"
    file.write_text(text)
    return arm_from(file, **options)


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> ArmModel:
    return read(tmp_path_factory.mktemp("arm"), six_joints())


def solved(task_type: Any, arm: ArmModel, episodes: int = 8) -> int:
    clock = FakeClock()
    task = task_type(clock, arm=arm)
    guard, expert, count = GuardedRobot(task.arm, task.limits, clock), task.expert(), 0
    for seed in range(episodes):
        rng = np.random.default_rng(seed)
        task.reset(rng)
        guard.anchor()
        for _ in range(task.time_limit):
            guard.act(expert.act(guard.observe(), Assignment(), rng))
            if task.success(guard.observe()):
                count += 1
                break
    assert not guard.faults
    return count


@pytest.fixture(autouse=True, scope="class")
def _arm_of_class(request: pytest.FixtureRequest, six: ArmModel) -> None:
    if request.cls is not None:
        request.cls.arm = six


class TestSixJoints(RobotConformance):
    arm: ArmModel

    def make_robot(self) -> Robot:
        return PickCube(FakeClock(), arm=self.arm).arm


class TestTaskOfSixJoints(TaskConformance):
    arm: ArmModel

    def make_task(self) -> tuple[Task, Robot]:
        task = PegInsert(FakeClock(), arm=self.arm)
        return task, task.arm


def test_joints_limits_and_fingers_are_those_of_the_file(six: ArmModel) -> None:
    spec = Reach(FakeClock(), arm=six).arm.spec
    assert spec.joint_names == ("pan", "lift", "elbow", "wrist_1", "wrist_2", "wrist_3")
    np.testing.assert_allclose(spec.position_upper, [3, 2.6, 2.8, 3, 2.2, 6])
    np.testing.assert_allclose(spec.position_lower, [-3, -2.6, -2.8, -3, -2.2, -6])
    gripper = six.gripper
    assert gripper is not None
    assert gripper.opening.tolist() == [0.05, -0.05]
    assert gripper.closing.tolist() == [0.0, 0.0]
    np.testing.assert_allclose(gripper.opened - gripper.closed, [0.05, -0.05], atol=1e-3)
    model = six.load().compile()
    assert model.opt.timestep == BUILT_IN.load().option.timestep
    names = [model.body(b).name for b in range(model.nbody)]
    assert "arm/somebody_elses" not in names


@pytest.mark.parametrize("task_type", [Reach, PickCube, PegInsert, Push, DrawerStore, Blocks])
def test_experts_solve_tasks_with_it(six: ArmModel, task_type: Any) -> None:
    assert solved(task_type, six) == 8


def test_its_home_is_over_the_table_and_every_corner_can_be_reached(six: ArmModel) -> None:
    kinematics = ToolKinematics(six.load(), six)
    np.testing.assert_allclose(kinematics.pose(six.home)[:3], [0.5, 0.0, 0.2], atol=1e-3)
    for corner in CORNERS:
        joints = kinematics.solve((*corner, 0.0, 1.0, 0.0, 0.0), six.home, iterations=100)
        np.testing.assert_allclose(kinematics.pose(joints)[:3], corner, atol=1e-3)
        assert (joints > kinematics.lower).all()
        assert (joints < kinematics.upper).all()


def test_it_bears_its_own_weight(six: ArmModel) -> None:
    arm = Reach(FakeClock(), arm=six).arm
    before = arm.observe().joint_position
    arm.advance(2.0)
    np.testing.assert_allclose(arm.observe().joint_position, before, atol=2e-3)


def test_fingers_open_as_far_as_they_are_told(six: ArmModel) -> None:
    task = PickCube(FakeClock(), arm=six)
    for opening in (0.0, 0.4, 1.0):
        task.arm.begin((0.5, 0.0, 0.2, 0.0, 1.0, 0.0, 0.0), opening)
        task.arm.settle()
        assert task.arm.observe().gripper == pytest.approx(opening, abs=0.02)


def test_without_fingers_it_reaches_and_does_not_pick(tmp_path: Path) -> None:
    bare = read(tmp_path, six_joints(hand="", servos="", site="attachment_site"))
    assert bare.gripper is None
    assert solved(Reach, bare) == 8
    with pytest.raises(ConfigError, match="pick_cube: the arm six has no gripper"):
        PickCube(FakeClock(), arm=bare)
    assert read(tmp_path, six_joints(servos="")).gripper is None, "fingers that nothing drives"


def test_the_built_in_hand_can_be_put_on_it(tmp_path: Path) -> None:
    handed = read(tmp_path, six_joints(hand="", servos="", site="attachment_site"), own_hand=False)
    assert solved(PickCube, handed) == 8
    arm = PickCube(FakeClock(), arm=handed).arm
    mount, tool = arm.data.site("arm/attachment_site"), arm.data.site("tool")
    np.testing.assert_allclose(mount.xmat, tool.xmat, atol=1e-9)
    ahead = mount.xmat.reshape(3, 3)[:, 2]
    np.testing.assert_allclose(tool.xpos - mount.xpos, TOOL_DISTANCE * ahead, atol=1e-9)


def test_the_built_in_arm_read_from_its_file_is_the_built_in_arm() -> None:
    read_again = arm_from(SCENE_FILE)
    assert read_again.joint_names == BUILT_IN.joints
    ours, others = ToolKinematics(BUILT_IN.load(), BUILT_IN), ToolKinematics(read_again.load(), read_again)
    np.testing.assert_array_equal(ours.lower, others.lower)
    for joints in np.random.default_rng(0).uniform(ours.lower, ours.upper, (20, 7)):
        np.testing.assert_allclose(ours.pose(joints), others.pose(joints), atol=1e-9)
    gripper = read_again.gripper
    assert gripper is not None
    assert BUILT_IN.gripper is not None
    np.testing.assert_allclose(gripper.opened, BUILT_IN.gripper.opened, atol=1e-4)
    assert solved(PickCube, read_again, 3) == 3


@pytest.mark.parametrize("name", ["hand/tcp", "hand_tcp"])
def test_the_tool_of_a_hand_that_was_attached_is_found_behind_its_prefix(tmp_path: Path, name: str) -> None:
    (tmp_path / "arm.xml").write_text(six_joints(site=name, hand='<site name="attachment_site"/>' + FINGERS))
    assert Chain(tmp_path / "arm.xml", None, own_hand=True).tool == f"site {name!r}"
    two = six_joints(site=name, hand=f'<site name="attachment_site"/><site name="other_{name}"/>' + FINGERS)
    (tmp_path / "two.xml").write_text(two)
    assert Chain(tmp_path / "two.xml", None, own_hand=True).tool == "site 'attachment_site'"


def test_a_file_that_says_how_many_key_frames_it_has_is_read_in_silence(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    (tmp_path / "arm.xml").write_text(six_joints().replace("<worldbody>", '<size nkey="1"/><worldbody>'))
    Chain(tmp_path / "arm.xml", None, own_hand=True).world((0.0, 0.0, 0.0)).compile()
    assert not [str(warning.message) for warning in recwarn]


def test_it_stands_where_it_is_put(tmp_path: Path) -> None:
    arm = read(tmp_path, six_joints(), base=(0.1, 0.05, 0.02))
    model = arm.load().compile()
    np.testing.assert_allclose(model.body(arm.root).pos, [0.1, 0.05, 0.02])
    assert solved(Reach, arm, 3) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<mujoco", "cannot be loaded"),
        ("<mujoco><worldbody/></mujoco>", "no joint in it"),
        (six_joints(last=""), "5 of its joints lead 'flange'; allowed: 6 or more"),
        (six_joints(last='<joint name="ball" type="ball"/>'), "joint 'ball': allowed are hinges and slides"),
        (six_joints(size=0.2), "does not come to"),
        (six_joints(size=0.55), "its tool, site 'tcp', comes to . of the 8 corners"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, text)


def test_unknown_files_and_tools_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.xml: cannot be loaded"):
        arm_from(tmp_path / "none.xml")
    with pytest.raises(UnknownNameError, match=r"tool of six\.xml 'tpc'\. Did you mean 'tcp'"):
        read(tmp_path, six_joints(), tool="tpc")
