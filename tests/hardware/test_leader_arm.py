from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from robot_rlhf.conformance import MonitorConformance, TeleopConformance
from robot_rlhf.datatypes import ActionLayout, Observation, Phase, Situation
from robot_rlhf.errors import ConfigError, InvalidValueError, ShapeError
from robot_rlhf.ports import Monitor, Teleop
from robot_rlhf.safety import rotation
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import FakeClock
from robot_rlhf_hardware.fake import DEFAULT_ACTION, HOME, FakeRobot
from robot_rlhf_hardware.leader_arm import LeaderArm, LeaderReading, PolledJoints
from robot_rlhf_hardware.teleop import DeviceError
from tests.safety.laws import LIMITS
from tests.waits import CEILING, until

SIX = ActionLayout(
    ("x", "y", "z", "rx", "ry", "rz", "gripper"), np.array([0.02, 0.02, 0.02, 0.1, 0.1, 0.1, 1.0], np.float32)
)
DOWN = rotation.POINTING_DOWN
ROBOT = (0.4, 0.1, 0.3)


class FakeJoints:
    """A leader whose joints are its tool's position and rotation vector: forward kinematics by hand."""

    def __init__(self) -> None:
        self.position = [0.1, 0.2, 0.3]
        self.turned = [0.0, 0.0, 0.0]
        self.gripper: float | None = 1.0
        self.gone = False

    def read(self) -> LeaderReading:
        if self.gone:
            raise DeviceError("leader arm: unplugged")
        return LeaderReading(np.array([*self.position, *self.turned]), self.gripper)


def forward(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y, z, a, b, c = joints.tolist()
    return np.array([x, y, z, *rotation.multiply(rotation.exp((a, b, c)), DOWN)])


def observation(
    position: Sequence[float] = ROBOT, quaternion: Sequence[float] = DOWN, gripper_target: float = 1.0
) -> Observation:
    target = np.array([*position, *quaternion], np.float32)
    measured = target + np.array([0.01, 0, 0, 0, 0, 0, 0], np.float32)  # what is measured must not matter
    zeros = np.zeros(6, np.float32)
    return Observation(0.0, zeros, zeros, measured, target, zeros, zeros, 0.5, gripper_target)


class Scene:
    """A leader arm with a pedal, and a robot that is where it is told to be."""

    def __init__(self, layout: ActionLayout = SIX, *, pedal: bool = True, share: float = 1.0, reach: float = 1.0):
        self.joints = FakeJoints()
        self.pressed = False
        engaged: Callable[[], bool] | None = (lambda: self.pressed) if pedal else None
        self.arm = LeaderArm(self.joints, forward, layout, engaged=engaged, share=share, reach=reach)
        self.show()

    def show(self, phase: Phase = Phase.RUNNING, **what: Any) -> None:
        self.arm.show(Situation(0.0, phase, observation(**what)))

    def wish(self) -> list[float] | None:
        read = self.arm.read()
        assert read is not None
        return None if read.action is None else [round(v, 3) + 0.0 for v in read.action.values.tolist()]


class TestLeaderArmConformance(TeleopConformance):
    action_size = 7

    def make_teleop(self) -> Teleop:
        scene = Scene()
        scene.pressed = True
        return scene.arm


class TestLeaderArmAsAMonitor(MonitorConformance):
    def make_monitor(self) -> Monitor:
        return Scene().arm

    def make_situation(self) -> Situation:
        return Situation(0.0, Phase.RUNNING, observation())


class TestALostLeaderArm(TeleopConformance):
    action_size = 7

    def make_teleop(self) -> Teleop:
        scene = Scene()
        scene.joints.gone = True
        return scene.arm


@pytest.fixture
def scene() -> Scene:
    return Scene()


# -- the clutch ------------------------------------------------------------------------------------------------------


def test_hands_are_off_without_the_clutch(scene: Scene) -> None:
    scene.joints.position[0] += 0.5
    assert scene.wish() is None


def test_engaging_moves_nothing_wherever_the_leader_is(scene: Scene) -> None:
    scene.joints.position = [-3.0, 2.0, 1.0]
    scene.joints.turned = [0.3, -0.2, 2.0]
    scene.pressed = True
    assert scene.wish() == [0, 0, 0, 0, 0, 0, 1]


def test_the_tool_moves_as_the_leaders_tool_since_engaging(scene: Scene) -> None:
    scene.pressed = True
    scene.wish()
    scene.joints.position = [0.11, 0.2, 0.285]
    assert scene.wish() == [0.5, 0, -0.75, 0, 0, 0, 1]
    scene.show(position=(0.41, 0.1, 0.285))  # the robot has arrived
    assert scene.wish() == [0, 0, 0, 0, 0, 0, 1]
    scene.joints.position = [0.1, 0.2, 0.3]
    assert scene.wish() == [-0.5, 0, 0.75, 0, 0, 0, 1]


def test_far_goals_keep_their_direction(scene: Scene) -> None:
    scene.pressed = True
    scene.wish()
    scene.joints.position = [0.1 + 0.3, 0.2 - 0.6, 0.3]
    scene.joints.turned = [0.0, 0.0, 0.05]
    assert scene.wish() == [0.5, -1, 0, 0, 0, 0.5, 1]


def test_a_new_grip_of_the_clutch_counts_from_there(scene: Scene) -> None:
    scene.pressed = True
    scene.wish()
    scene.joints.position[0] += 0.02
    scene.show(position=(0.42, 0.1, 0.3))
    scene.pressed = False
    assert scene.wish() is None
    scene.joints.position[0] -= 0.5
    scene.pressed = True
    assert scene.wish() == [0, 0, 0, 0, 0, 0, 1]
    scene.joints.position[0] += 0.01
    assert scene.wish() == [0.5, 0, 0, 0, 0, 0, 1]


def test_a_squeezed_trigger_is_the_clutch_of_an_arm_without_a_pedal() -> None:
    scene = Scene(pedal=False)
    assert scene.wish() is None
    scene.show(gripper_target=0.0)
    scene.joints.gripper = 0.1
    assert scene.wish() == [0, 0, 0, 0, 0, 0, -1]  # the robot's gripper is as it was
    scene.joints.position[1] += 0.01
    scene.joints.gripper = 0.5  # between squeezed and open: as before
    assert scene.wish() == [0, 0.5, 0, 0, 0, 0, -1]
    scene.joints.gripper = 0.9
    assert scene.wish() is None


@pytest.mark.parametrize("phase", [Phase.PAUSED, Phase.STOPPED, Phase.REWINDING, Phase.RESETTING])
def test_after_an_interruption_the_way_begins_anew(scene: Scene, phase: Phase) -> None:
    scene.pressed = True
    scene.wish()
    scene.joints.position[0] += 0.3
    scene.show(phase, position=(0.4, 0.1, 0.3))
    assert scene.wish() is None
    scene.show(position=(0.5, -0.1, 0.2))
    assert scene.wish() == [0, 0, 0, 0, 0, 0, 1]


def test_nobody_drives_what_has_not_been_shown() -> None:
    scene = Scene()
    arm = LeaderArm(scene.joints, forward, SIX, engaged=lambda: True)
    read = arm.read()
    assert read is not None
    assert read.action is None


def test_a_lost_leader_is_none_and_comes_back_without_a_jump(scene: Scene) -> None:
    scene.pressed = True
    scene.wish()
    scene.joints.gone = True
    assert scene.arm.read() is None
    scene.joints.position = [9.0, 9.0, 9.0]
    scene.joints.gone = False
    assert scene.wish() == [0, 0, 0, 0, 0, 0, 1]


# -- rotation, frames, scale -----------------------------------------------------------------------------------------


def test_a_turn_of_the_leader_is_the_same_turn_of_the_robot_about_the_base_axes(scene: Scene) -> None:
    """Both tools begin turned differently; the leader turns by 0.05 rad about the base's y axis."""
    scene.joints.turned = [0.0, 0.0, 1.2]
    robot = rotation.multiply(rotation.exp((0.4, 0.0, -0.7)), DOWN)
    scene.show(quaternion=robot)
    scene.pressed = True
    assert scene.wish() == [0, 0, 0, 0, 0, 0, 1]
    scene.joints.turned = list(rotation.log(rotation.multiply(rotation.exp((0, 0.05, 0)), rotation.exp((0, 0, 1.2)))))
    assert scene.wish() == [0, 0, 0, 0, 0.5, 0, 1]
    scene.show(quaternion=rotation.multiply(rotation.exp((0.0, 0.05, 0.0)), robot))
    assert scene.wish() == [0, 0, 0, 0, 0, 0, 1]


def test_a_layout_in_the_tool_frame_gets_the_same_motion_in_the_tools_axes() -> None:
    scene = Scene(ActionLayout(SIX.names, SIX.scale, frame="tool"))
    scene.pressed = True
    scene.wish()
    scene.joints.position = [0.11, 0.21, 0.31]
    scene.joints.turned = [0.0, 0.0, 0.05]
    assert scene.wish() == [0.5, -0.5, -0.5, 0, 0, -0.5, 1]  # pointing down: y and z change their signs


def test_reach_and_share_scale_the_way() -> None:
    scene = Scene(reach=2.0, share=0.25)
    scene.pressed = True
    scene.wish()
    scene.joints.position[0] += 0.01
    assert scene.wish() == [0.25, 0, 0, 0, 0, 0, 1]  # 0.01 m * 2 * 0.25 of 0.02 m


def test_a_layout_with_few_entries_gets_only_those() -> None:
    scene = Scene(DEFAULT_ACTION)  # x, y, z, rz, gripper
    scene.pressed = True
    scene.wish()
    scene.joints.position[1] -= 0.02
    scene.joints.turned = [0.0, 0.0, -0.1]
    assert scene.wish() == [0, -1, 0, -1, 1]


# -- the gripper -----------------------------------------------------------------------------------------------------


def test_the_gripper_keeps_its_state_until_the_leaders_changes(scene: Scene) -> None:
    scene.show(gripper_target=0.0)  # closed, while the leader's is open
    scene.pressed = True
    assert scene.wish() == [0, 0, 0, 0, 0, 0, -1]
    assert scene.wish() == [0, 0, 0, 0, 0, 0, -1]
    scene.joints.gripper = 0.2
    assert scene.wish() == [0, 0, 0, 0, 0, 0, -1]
    scene.joints.gripper = 0.55
    assert scene.wish() == [0, 0, 0, 0, 0, 0, -1]
    scene.joints.gripper = 0.7
    assert scene.wish() == [0, 0, 0, 0, 0, 0, 1]
    scene.joints.gripper = 0.45
    assert scene.wish() == [0, 0, 0, 0, 0, 0, 1]
    scene.joints.gripper = 0.3
    assert scene.wish() == [0, 0, 0, 0, 0, 0, -1]


def test_a_leader_without_a_gripper_leaves_it_alone(scene: Scene) -> None:
    scene.joints.gripper = None
    scene.show(gripper_target=0.0)
    scene.pressed = True
    assert [scene.wish() for _ in range(3)] == [[0, 0, 0, 0, 0, 0, -1]] * 3


# -- with a guard and a robot ----------------------------------------------------------------------------------------


def test_a_guarded_robot_follows_bumplessly_and_without_overshoot() -> None:
    clock = FakeClock()
    guard = GuardedRobot(FakeRobot(clock, action=SIX), LIMITS, clock)
    joints = FakeJoints()
    pressed = [False]
    arm = LeaderArm(joints, forward, SIX, engaged=lambda: pressed[0])
    targets: list[NDArray[np.float32]] = []

    def live(periods: int) -> None:
        for _ in range(periods):
            seen = guard.observe()
            targets.append(seen.tool_target_in_base)
            arm.show(Situation(seen.stamp, Phase.RUNNING, seen))
            read = arm.read()
            assert read is not None
            if read.action is None:
                guard.hold()
            else:
                guard.act(read.action)

    live(3)
    joints.position = [-0.7, 0.6, 0.1]
    pressed[0] = True
    live(3)
    np.testing.assert_allclose(targets, [HOME] * 6, atol=1e-6)  # engaged far away, and nothing has moved
    joints.position = [-0.7, 0.67, 0.07]
    live(40)
    way = np.array(targets[6:])
    np.testing.assert_allclose(way[-1][:3], [0.4, 0.07, 0.27], atol=1e-4)
    assert way[:, 1].max() < 0.0705
    assert way[:, 2].min() > 0.2695
    moving = way[np.abs(way[:, 1]) > 0.005]
    np.testing.assert_allclose((moving[:, 2] - 0.3) / moving[:, 1], -3 / 7, atol=0.01)  # a straight line


# -- joints that are read in a thread --------------------------------------------------------------------------------


def _position(joints: PolledJoints) -> float | None:
    try:
        return float(joints.read().joint_position[0])
    except DeviceError:  # a busy machine: it is too old
        return None


def _readable(joints: PolledJoints) -> bool:
    try:
        joints.read()
    except DeviceError:
        return False
    return True


def test_polled_joints_never_wait_and_know_how_old_they_are() -> None:
    answering = threading.Event()
    answering.set()

    class Slow(FakeJoints):
        def read(self) -> LeaderReading:
            answering.wait(CEILING)
            return super().read()

    slow = Slow()
    with PolledJoints(slow, period=0.001, stale=0.4) as joints:
        until(lambda: _readable(joints))
        slow.position = [7.0, 0.0, 0.0]
        until(lambda: _position(joints) == 7.0)
        answering.clear()
        until(lambda: not _readable(joints))
        with pytest.raises(DeviceError, match=r"old, allowed are 0\.4 s"):  # whoever waited would be answered
            joints.read()
        answering.set()
        until(lambda: _readable(joints))
    with pytest.raises(DeviceError, match="stopped"):
        joints.read()


def test_polled_joints_tell_the_trouble_and_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PolledJoints, "RETRY_EVERY", 0.01)
    source = FakeJoints()
    source.gone = True
    joints = PolledJoints(source, period=0.001)
    with pytest.raises(DeviceError, match="not been read yet"):
        joints.read()
    with joints:
        until(lambda: not joints._thread or "unplugged" in joints._trouble)
        with pytest.raises(DeviceError, match="unplugged"):
            joints.read()
        source.gone = False
        until(lambda: _readable(joints))


# -- bad input -------------------------------------------------------------------------------------------------------


def test_refuses_numbers_out_of_range() -> None:
    joints = FakeJoints()
    for wrong in (0.0, 1.5, math.nan):
        with pytest.raises(InvalidValueError, match="share"):
            LeaderArm(joints, forward, SIX, share=wrong)
    with pytest.raises(InvalidValueError, match="reach"):
        LeaderArm(joints, forward, SIX, reach=0.0)
    with pytest.raises(ConfigError, match="leader arm"):
        LeaderArm(joints, forward, ActionLayout(("elbow",), np.ones(1, np.float32)))
    with pytest.raises(InvalidValueError, match="stale"):
        PolledJoints(joints, stale=0.0)
    with pytest.raises(InvalidValueError, match="gripper"):
        LeaderReading(np.zeros(6), 1.5)
    with pytest.raises(InvalidValueError, match="joint_position"):
        LeaderReading(np.array([math.nan]))


def test_refuses_kinematics_that_give_no_pose(scene: Scene) -> None:
    arm = LeaderArm(scene.joints, lambda joints: joints, SIX, engaged=lambda: True)
    arm.show(Situation(0.0, Phase.RUNNING, observation()))
    with pytest.raises(ShapeError, match=r"pose of the leader's tool: shape is \(6,\), expected \(7,\)"):
        arm.read()
