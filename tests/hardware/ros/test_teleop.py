from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.conformance import MonitorConformance, TeleopConformance
from robot_rlhf.datatypes import ActionLayout, Button, HumanInput, Observation, Phase, Situation
from robot_rlhf.ports import Monitor, Teleop
from robot_rlhf.timing import FakeClock
from robot_rlhf_hardware.fake import FakeRobot
from robot_rlhf_hardware.ros.bus_fake import FakeBus, FakeGraph
from robot_rlhf_hardware.ros.diagnostics import Level
from robot_rlhf_hardware.ros.estop import EStop
from robot_rlhf_hardware.ros.messages import joy_fields, twist_fields
from robot_rlhf_hardware.ros.nodes import TELEOP
from robot_rlhf_hardware.ros.parameters import read_parameters
from robot_rlhf_hardware.ros.settings import settings_of
from robot_rlhf_hardware.ros.teleop import RosTeleop, TeleopSettings, undead
from robot_rlhf_hardware.ros.topics import LATCHED, TRIGGER, Topic
from tests.hardware.ros.graphs import HOME, mirrored

LAYOUT = ActionLayout(("x", "y", "z", "rz", "gripper"), np.array([0.02, 0.02, 0.02, 0.1, 1.0]))
REST = [0.0] * 8
ENABLE, GRIPPER, OPEN, CLOSE = 4, 5, 11, 12
SUCCESS, FAILURE, DISCARD, PAUSE, STOP, RELEASE, RESET, END = 0, 1, 2, 3, 6, 7, 9, 10


class Desk:
    """A gamepad and our end of it."""

    def __init__(self, **given: Any) -> None:
        self.graph = FakeGraph()
        self.graph.clock.advance(1.0)
        self.bus = FakeBus(self.graph, "policy")
        values = read_parameters(TELEOP, {"deadzone": 0.0, **given}, "/policy")
        self.stops: list[str] = []
        self.releases = 0
        self.teleop = RosTeleop(
            self.bus,
            settings_of(TeleopSettings, values),
            LAYOUT,
            on_stop=self.stops.append,
            on_release=self._release,
        )
        other = FakeBus(self.graph, "gamepad")
        self._joy = other.publisher(mirrored("joy", "publisher"))
        self._mouse = other.publisher(mirrored("spacenav/twist", "publisher"))

    def _release(self) -> None:
        self.releases += 1

    def joy(self, axes: Any = (), *down: int) -> None:
        buttons = np.zeros(16, np.int32)
        buttons[list(down)] = 1
        self._joy.publish(joy_fields(self.bus.now(), axes if len(axes) else REST, buttons))

    def mouse(self, *twist: float) -> None:
        self._mouse.publish(twist_fields(twist))

    def read(self) -> HumanInput:
        human = self.teleop.read()
        assert human is not None
        return human

    def show(self, phase: Phase, *, opening: float = 1.0) -> None:
        pose, zeros = np.array(HOME, np.float32), np.zeros(6, np.float32)
        seen = Observation(0.0, zeros, zeros, pose, pose, zeros, zeros, opening, opening)
        self.teleop.show(Situation(self.graph.clock.now(), phase, seen))


def axes(**values: float) -> list[float]:
    """Joy axes of the default mapping: forward, left, up, turn."""
    told = list(REST)
    for name, value in values.items():
        told[{"x": 1, "y": 0, "z": 4, "rz": 3}[name]] = value
    return told


class TestRosTeleopConformance(TeleopConformance):
    action_size = 5

    def make_teleop(self) -> Teleop:
        desk = Desk()
        desk.joy(axes(x=0.3), ENABLE, SUCCESS)
        return desk.teleop


class TestEStopConformance(TeleopConformance):
    action_size = 5

    def make_teleop(self) -> Teleop:
        return EStop(FakeBus(FakeGraph(), "policy"), lambda _: None)


class TestRosTeleopAsAMonitor(MonitorConformance):
    def make_monitor(self) -> Monitor:
        return Desk().teleop

    def make_situation(self) -> Situation:
        return Situation(0.0, Phase.RUNNING, FakeRobot(FakeClock()).observe())


def test_drives_while_enabled_exactly_as_the_axes_say() -> None:
    desk = Desk()
    desk.joy(axes(x=0.25, y=-1.0, z=0.5, rz=-0.125), ENABLE)
    action = desk.read().action
    assert action is not None
    np.testing.assert_array_equal(action.values, np.array([0.25, -1.0, 0.5, -0.125, 1.0], np.float32))
    desk.joy(axes(), ENABLE)
    held = desk.read().action
    assert held is not None, "hands are on, at rest"
    assert not held.values[:4].any()
    desk.joy(axes(x=1.0))
    assert desk.read().action is None, "without the enable button nobody drives"


def test_without_an_enable_button_a_deflected_axis_drives() -> None:
    desk = Desk(button_enable=-1, deadzone=0.1)
    desk.joy(axes(x=0.09))
    assert desk.read().action is None
    desk.joy(axes(x=0.55))
    action = desk.read().action
    assert action is not None
    assert action.values[0] == pytest.approx(0.5)


def test_axes_can_be_inverted_and_the_operator_may_stand_opposite() -> None:
    desk = Desk(axes_inverted=[1])
    desk.joy(axes(x=0.5), ENABLE)
    action = desk.read().action
    assert action is not None
    assert action.values[0] == -0.5
    opposite = Desk(facing=3.14159265)
    opposite.joy(axes(x=0.5, y=0.25), ENABLE)
    action = opposite.read().action
    assert action is not None
    np.testing.assert_allclose(action.values[:2], [-0.5, -0.25], atol=1e-6)


def test_the_gripper_keeps_its_state_and_follows_the_robot_while_hands_are_off() -> None:
    desk = Desk()
    desk.show(Phase.RUNNING, opening=0.0)
    desk.joy(REST, ENABLE)
    assert grip(desk) == -1.0, "taking over keeps the grip"
    desk.joy(REST, ENABLE, GRIPPER)
    desk.joy(REST, ENABLE, GRIPPER)
    assert grip(desk) == 1.0, "held down it counts once"
    desk.joy(REST, ENABLE)
    desk.joy(REST, ENABLE, GRIPPER)
    assert grip(desk) == -1.0
    desk.joy(REST, ENABLE, OPEN)
    assert grip(desk) == 1.0
    desk.joy(REST, ENABLE, CLOSE)
    assert grip(desk) == -1.0


def grip(desk: Desk) -> float:
    action = desk.read().action
    assert action is not None
    return float(action.values[4])


@pytest.mark.parametrize(
    ("index", "button"),
    [
        (SUCCESS, Button.SUCCESS),
        (FAILURE, Button.FAILURE),
        (DISCARD, Button.DISCARD),
        (STOP, Button.STOP),
        (RELEASE, Button.RELEASE),
        (RESET, Button.RESET),
        (END, Button.END),
        (PAUSE, Button.PAUSE),
    ],
)
def test_a_press_counts_once_however_long_it_is_held(index: int, button: Button) -> None:
    desk = Desk()
    desk.joy(REST)
    for _ in range(3):
        desk.joy(REST, index)
    assert desk.read().buttons == {button}
    desk.joy(REST, index)
    assert desk.read().buttons == frozenset()
    desk.joy(REST)
    desk.joy(REST, index)
    assert desk.read().buttons == {button}


def test_pause_pressed_in_a_pause_goes_on() -> None:
    desk = Desk()
    desk.show(Phase.PAUSED)
    desk.joy(REST, PAUSE)
    assert desk.read().buttons == {Button.RESUME}
    desk.show(Phase.RUNNING)
    desk.joy(REST)
    desk.joy(REST, PAUSE)
    assert desk.read().buttons == {Button.PAUSE}


def test_stop_and_release_act_at_once() -> None:
    desk = Desk()
    desk.joy(REST, STOP)
    assert len(desk.stops) == 1
    desk.joy(REST, RELEASE)
    assert desk.releases == 1


def test_a_judgement_between_two_episodes_is_about_neither() -> None:
    desk = Desk()
    desk.show(Phase.RUNNING)
    desk.show(Phase.RESETTING)
    desk.joy(REST, SUCCESS, STOP)
    assert desk.read().buttons == {Button.STOP}
    desk.show(Phase.RUNNING)
    desk.joy(REST)
    desk.joy(REST, SUCCESS)
    assert desk.read().buttons == {Button.SUCCESS}
    desk.joy(REST)
    desk.joy(REST, FAILURE)  # pressed, but the episode is over before it is read
    desk.show(Phase.RESETTING)
    assert desk.read().buttons == frozenset()


def test_a_silent_device_is_gone() -> None:
    desk = Desk()
    assert desk.teleop.read() is None
    assert not desk.teleop.present
    desk.joy(axes(x=1.0), ENABLE)
    desk.graph.advance(0.34)
    assert desk.read().action is not None
    desk.graph.advance(0.02)
    assert desk.teleop.read() is None
    desk.joy(REST)
    assert desk.read().action is None


def test_a_press_just_before_the_silence_is_not_lost() -> None:
    desk = Desk()
    desk.joy(REST, STOP)
    desk.graph.advance(1.0)
    assert desk.read().buttons == {Button.STOP}
    assert desk.teleop.read() is None


@pytest.mark.parametrize("told", [[0.0] * 3, [np.nan] * 8, [0.0] * 3 + [np.inf] + [0.0] * 4])
def test_a_gamepad_that_makes_no_sense_is_gone(told: list[float]) -> None:
    desk = Desk()
    desk.joy(axes(x=1.0), ENABLE)
    desk.joy(told, ENABLE)
    assert desk.teleop.read() is None
    assert "Joy.axes" in desk.bus.warnings()[0]
    assert len(desk.bus.warnings()) == 1
    desk.joy(REST, ENABLE)
    assert desk.read().action is not None


def test_a_3d_mouse_drives_while_it_is_deflected() -> None:
    desk = Desk(teleop="both", spacenav_full=2.0)
    desk.joy(REST)
    desk.mouse(1.0, 0, 0, 0, 0, -2.0)
    action = desk.read().action
    assert action is not None
    np.testing.assert_allclose(action.values, [0.5, 0, 0, -1.0, 1.0])
    desk.mouse(0, 0, 0, 0, 0, 0)
    assert desk.read().action is None
    desk.mouse(np.nan, 0, 0, 0, 0, 0)
    assert desk.teleop.read() is None


@given(st.floats(-2.0, 2.0), st.floats(0.0, 0.9))
def test_the_dead_zone_is_continuous_odd_and_reaches_one(value: float, zone: float) -> None:
    result = undead(value, zone)
    assert -1.0 <= result <= 1.0
    assert result == -undead(-value, zone)
    assert undead(1.0, zone) == 1.0
    assert abs(value) > zone or result == 0.0
    assert undead(min(1.0, abs(value) + 1e-3), zone) >= abs(result) - 1e-12


@given(
    st.lists(
        st.tuples(
            st.lists(st.floats(width=32), min_size=0, max_size=9),
            st.lists(st.integers(-5, 5), min_size=0, max_size=17),
            st.floats(0.0, 0.5),
        ),
        max_size=12,
    )
)
def test_whatever_a_gamepad_says_only_allowed_actions_come_out(told: list[tuple[Any, Any, float]]) -> None:
    desk = Desk(deadzone=0.05)
    for values, buttons, seconds in told:
        desk._joy.publish(joy_fields(desk.bus.now(), values, buttons))
        desk.graph.advance(seconds)
        human = desk.teleop.read()
        silent = seconds > 0.35
        if human is not None and human.action is not None:
            assert not silent
            assert np.abs(human.action.values).max() <= 1.0
            assert len(buttons) > ENABLE
            assert buttons[ENABLE] != 0


# -- e-stop ------------------------------------------------------------------------------------------------------------


class Panel:
    """Everything around an e-stop."""

    def __init__(self) -> None:
        self.graph = FakeGraph()
        self.bus = FakeBus(self.graph, "policy")
        self.latched: list[str] = []
        self.estop = EStop(self.bus, self.latched.append)
        self.other = FakeBus(self.graph, "panel")
        self.asking = self.other.publisher(mirrored("estop", "publisher"))

    def call(self, service: str) -> Any:
        return self.other.client(Topic(f"/policy/{service}", TRIGGER, "client", "")).call({}, 1.0)

    def state(self) -> bool:
        """What somebody who comes later hears."""
        heard: list[bool] = []
        late = FakeBus(self.graph, "late")
        late.subscription(
            Topic("/policy/estop", "std_msgs/msg/Bool", "subscription", "", LATCHED), lambda m: heard.append(m.data)
        )
        late.close()
        return heard[-1]


def test_the_state_is_known_to_whoever_comes_later() -> None:
    panel = Panel()
    assert panel.state() is False
    panel.call("stop")
    assert panel.state() is True
    panel.call("release")
    assert panel.state() is False


def test_latched_by_service_until_released_by_service() -> None:
    panel = Panel()
    assert panel.estop.read() is None
    assert panel.call("stop").success
    assert len(panel.latched) == 1
    for _ in range(3):
        human = panel.estop.read()
        assert human is not None
        assert human.buttons == {Button.STOP}
    assert panel.call("release").success
    human = panel.estop.read()
    assert human is not None
    assert human.buttons == {Button.RELEASE}
    assert panel.estop.read() is None


def test_a_topic_latches_and_never_releases() -> None:
    panel = Panel()
    panel.asking.publish({"data": False})
    assert not panel.estop.reason
    panel.asking.publish({"data": True})
    assert panel.estop.reason == "/estop said True"
    refused = panel.call("release")
    assert not refused.success
    assert "/estop still says True" in refused.message
    panel.asking.publish({"data": False})
    assert panel.estop.reason, "a False releases nothing"
    assert panel.call("release").success
    assert not panel.estop.reason


def test_latching_again_keeps_the_first_reason_but_stops_again() -> None:
    panel = Panel()
    panel.estop.latch("first")
    panel.estop.latch("second")
    assert panel.estop.reason == "first"
    assert panel.latched == ["first", "second"]
    assert "first" in panel.estop.status().message


@given(st.lists(st.sampled_from(["stop", "release", "true", "false", "latch"]), max_size=20))
def test_it_is_released_only_by_a_release_while_nothing_asks(deeds: list[str]) -> None:
    panel = Panel()
    latched = asked = False
    for deed in deeds:
        if deed in ("stop", "release"):
            panel.call(deed)
        elif deed == "latch":
            panel.estop.latch("pressed")
        else:
            panel.asking.publish({"data": deed == "true"})
        asked = deed == "true" if deed in ("true", "false") else asked
        latched = (latched or deed in ("stop", "latch", "true")) and not (deed == "release" and not asked)
        assert bool(panel.estop.reason) == latched
        assert panel.state() is latched
        human = panel.estop.read()
        assert (human is not None and Button.STOP in human.buttons) == latched


def test_a_mouse_that_falls_silent_while_it_drives_drives_no_more() -> None:
    desk = Desk(teleop="both")
    desk.joy(REST)
    desk.mouse(0.3, 0, 0, 0, 0, 0)
    human = desk.read()
    assert human.action is not None
    for _ in range(20):  # the gamepad goes on saying that it rests
        desk.graph.advance(0.05)
        desk.joy(REST)
        human = desk.read()
        if human.action is None:
            break
    assert human.action is None
    assert Button.PAUSE in human.buttons
    assert desk.teleop.present


def test_without_the_gamepad_nobody_is_there_though_a_mouse_speaks() -> None:
    """STOP, PAUSE and RELEASE are on the gamepad."""
    desk = Desk(teleop="both")
    desk.joy([0.0, 1.0, *REST[2:]], ENABLE)
    for _ in range(20):
        desk.graph.advance(0.05)
        desk.mouse(0.3, 0, 0, 0, 0, 0)
    assert not desk.teleop.present
    assert desk.teleop.read() is None
    assert Desk(teleop="spacenav").teleop.present is False
    desk = Desk(teleop="spacenav")
    desk.mouse(0.3, 0, 0, 0, 0, 0)
    assert desk.teleop.present


def test_a_mouse_that_makes_sense_does_not_excuse_a_gamepad_that_makes_none() -> None:
    desk = Desk(teleop="both")
    desk.joy([np.nan] * 8)
    desk.mouse(0.3, 0, 0, 0, 0, 0)
    assert not desk.teleop.present
    assert desk.teleop.status().level is Level.ERROR
    desk.joy(REST)
    assert desk.teleop.present


@pytest.mark.parametrize("axes", [[np.nan] * 8, [0.0] * 2])
def test_stop_counts_whatever_is_wrong_with_the_axes(axes: list[float]) -> None:
    desk = Desk()
    desk.joy(axes, STOP)
    assert desk.stops == ["STOP was pressed on the gamepad"]
    assert Button.STOP in desk.read().buttons
