from __future__ import annotations

import math
import struct
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from robot_rlhf.conformance import MonitorConformance, TeleopConformance
from robot_rlhf.datatypes import ActionLayout, HumanInput, Observation, Phase, Situation
from robot_rlhf.errors import ConfigError, InvalidValueError
from robot_rlhf.ports import Monitor, Teleop
from robot_rlhf.timing import FakeClock
from robot_rlhf_hardware.spacemouse import SpaceMouse, hidapi, open_device
from robot_rlhf_hardware.teleop import DeviceError
from tests.waits import CEILING, until

SIX = ActionLayout(("x", "y", "z", "rx", "ry", "rz", "gripper"), np.array([0.02, 0.02, 0.02, 0.1, 0.1, 0.1, 1.0]))
FLAT = ActionLayout(("x", "y"), np.array([0.02, 0.02]))
FULL = 350
DOWN = (0.0, 1.0, 0.0, 0.0)


def translation(right: int = 0, near: int = 0, down: int = 0) -> bytes:
    return struct.pack("<B3h", 1, right, near, down)


def turn(right: int = 0, near: int = 0, down: int = 0) -> bytes:
    return struct.pack("<B3h", 2, right, near, down)


def six(*axes: int) -> bytes:
    return struct.pack("<B6h", 1, *axes)


def buttons(mask: int) -> bytes:
    return bytes([3, mask, 0])


class FakeDevice:
    """What hidapi gives for a device in non-blocking mode."""

    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque()
        self.reads = 0
        self.unplugged: Exception | None = None
        self.closed = False
        self.endless = False
        self.path: object = None
        self.nonblocking: object = None

    def say(self, *reports: bytes) -> None:
        self.waiting.extend(reports)

    def read(self, max_length: int, /) -> list[int]:
        self.reads += 1
        if self.unplugged:
            raise self.unplugged
        if self.endless:
            return list(translation(near=-FULL))
        return list(self.waiting.popleft()[:max_length]) if self.waiting else []

    def close(self) -> None:
        self.closed = True

    def open_path(self, path: object) -> None:
        self.path = path

    def set_nonblocking(self, on: object) -> None:
        self.nonblocking = on


def observation(*, gripper_target: float = 1.0, quaternion: Sequence[float] = DOWN) -> Observation:
    pose = np.array([0.4, 0.0, 0.3, *quaternion], np.float32)
    six_zeros = np.zeros(6, np.float32)
    return Observation(0.0, six_zeros, six_zeros, pose, pose, six_zeros, six_zeros, 0.5, gripper_target)


def situation(**what: Any) -> Situation:
    return Situation(0.0, Phase.RUNNING, observation(**what))


class TestSpaceMouseConformance(TeleopConformance):
    action_size = 7

    def make_teleop(self) -> Teleop:
        device = FakeDevice()
        device.say(translation(near=-FULL), turn(down=100), buttons(1), buttons(0))
        return SpaceMouse(SIX, device, clock=FakeClock())


class TestSpaceMouseAsAMonitor(MonitorConformance):
    def make_monitor(self) -> Monitor:
        return SpaceMouse(SIX, FakeDevice(), clock=FakeClock())

    def make_situation(self) -> Situation:
        return situation()


class TestSpaceMouseWithoutADevice(TeleopConformance):
    action_size = 7

    def make_teleop(self) -> Teleop:
        return SpaceMouse(SIX, clock=FakeClock())


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(7.0)


@pytest.fixture
def device() -> FakeDevice:
    return FakeDevice()


@pytest.fixture
def mouse(device: FakeDevice, clock: FakeClock) -> SpaceMouse:
    return SpaceMouse(SIX, device, dead_zone=0.0, clock=clock)


def wish(mouse: SpaceMouse) -> list[float] | None:
    """The action's values, rounded; None with the hands off."""
    read = mouse.read()
    assert read is not None
    return None if read.action is None else [round(v, 4) + 0.0 for v in read.action.values.tolist()]


# -- axes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("report", "entries"),
    [
        (translation(near=-FULL), [1, 0, 0, 0, 0, 0]),  # pushed away: forward
        (translation(near=FULL), [-1, 0, 0, 0, 0, 0]),
        (translation(right=-FULL), [0, 1, 0, 0, 0, 0]),  # pushed to the left
        (translation(down=-FULL), [0, 0, 1, 0, 0, 0]),  # lifted
        (translation(down=FULL), [0, 0, -1, 0, 0, 0]),
        (turn(down=-FULL), [0, 0, 0, 0, 0, 1]),  # counter-clockwise, seen from above
        (turn(right=-FULL), [0, 0, 0, 0, 1, 0]),  # its top tilted away
        (turn(near=-FULL), [0, 0, 0, 1, 0, 0]),  # its top tilted to the right
        (translation(near=-175), [0.5, 0, 0, 0, 0, 0]),
        (six(0, -FULL, 0, 0, 0, -175), [1, 0, 0, 0, 0, 0.5]),
        (six(-FULL, 0, -35, 0, 0, 0), [0, 1, 0.1, 0, 0, 0]),
    ],
)
def test_the_cap_moves_the_tool_as_it_is_moved(
    mouse: SpaceMouse, device: FakeDevice, report: bytes, entries: list[float]
) -> None:
    device.say(report)
    assert wish(mouse) == [*entries, 1.0]


def test_tilting_the_top_away_turns_up_to_forward(mouse: SpaceMouse, device: FakeDevice) -> None:
    """The sign of ry by hand: the right-hand rule about +y (left) takes +z (up) to +x (forward)."""
    up, left = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])
    assert np.cross(left, up) @ np.array([1.0, 0.0, 0.0]) == 1.0
    device.say(turn(right=-FULL))
    values = wish(mouse)
    assert values is not None
    assert values[4] == 1.0


@pytest.mark.parametrize(
    ("facing", "forward", "leftward"),
    [(0.0, [1, 0], [0, 1]), (math.pi, [-1, 0], [0, -1]), (math.pi / 2, [0, 1], [-1, 0])],
)
def test_forward_is_where_the_person_looks_to(
    device: FakeDevice, clock: FakeClock, facing: float, forward: list[int], leftward: list[int]
) -> None:
    mouse = SpaceMouse(SIX, device, facing=facing, dead_zone=0.0, clock=clock)
    device.say(translation(near=-FULL))
    values = wish(mouse)
    assert values is not None
    assert values[:3] == [*forward, 0]
    device.say(translation(right=-FULL))
    values = wish(mouse)
    assert values is not None
    assert values[:3] == [*leftward, 0]


def test_translation_and_rotation_come_in_two_reports(mouse: SpaceMouse, device: FakeDevice) -> None:
    device.say(translation(near=-FULL), turn(down=-70))
    assert wish(mouse) == [1, 0, 0, 0, 0, 0.2, 1]


def test_a_tool_frame_gets_the_motion_in_the_tools_axes(device: FakeDevice, clock: FakeClock) -> None:
    layout = ActionLayout(SIX.names, SIX.scale, frame="tool")
    mouse = SpaceMouse(layout, device, dead_zone=0.0, clock=clock)
    device.say(translation(right=-FULL, down=-175))
    assert wish(mouse) is None  # it was not shown yet where the tool points to
    mouse.show(situation(quaternion=DOWN))
    assert wish(mouse) == [0, -1, -0.5, 0, 0, 0, 1]  # half a turn about x: y and z change their signs


def test_more_than_full_scale_keeps_its_direction_and_its_bound(clock: FakeClock, device: FakeDevice) -> None:
    mouse = SpaceMouse(SIX, device, facing=math.pi / 4, dead_zone=0.0, clock=clock)
    device.say(translation(right=-32768, near=-32768))  # forward and left, turned by 45 degrees: to the left alone
    assert wish(mouse) == [0, 1, 0, 0, 0, 0, 1]


def test_axes_that_the_layout_lacks_do_not_take_over(device: FakeDevice, clock: FakeClock) -> None:
    mouse = SpaceMouse(FLAT, device, clock=clock)
    device.say(translation(down=-FULL), turn(down=FULL))
    assert wish(mouse) is None
    device.say(translation(down=-FULL, near=-FULL))
    assert wish(mouse) == [1, 0]


# -- rest ------------------------------------------------------------------------------------------------------------


def test_hands_are_off_at_rest(mouse: SpaceMouse, device: FakeDevice) -> None:
    assert wish(mouse) is None
    device.say(translation(near=-FULL))
    assert wish(mouse) is not None
    device.say(translation())
    assert wish(mouse) is None


def test_drift_is_rest_and_the_dead_zone_leaves_the_full_range(device: FakeDevice, clock: FakeClock) -> None:
    mouse = SpaceMouse(SIX, device, dead_zone=0.1, clock=clock)
    device.say(six(34, -34, 34, -34, 34, -34))
    assert wish(mouse) is None
    device.say(six(0, -FULL, 0, 0, 0, 0))
    assert wish(mouse) == [1, 0, 0, 0, 0, 0, 1]
    device.say(six(0, -35 - 63, 0, 0, 0, 0))  # 0.28 of full: 0.18 of the 0.9 beyond the dead zone
    assert wish(mouse) == [0.2, 0, 0, 0, 0, 0, 1]


def test_a_deflected_cap_drives_on_between_reports_but_not_when_it_stays_silent(
    mouse: SpaceMouse, device: FakeDevice, clock: FakeClock
) -> None:
    device.say(translation(near=-FULL))
    seen = []
    for _ in range(8):
        seen.append(wish(mouse) is not None)
        clock.advance(0.05)
    assert seen == [True] * 7 + [False]  # silent for 0.3 s and still followed, for 0.35 s and not
    device.say(translation(near=-FULL))
    assert wish(mouse) is not None


def test_reports_that_waited_too_long_are_not_followed(mouse: SpaceMouse, device: FakeDevice, clock: FakeClock) -> None:
    device.say(*[translation(near=-FULL)] * 64, buttons(1))
    clock.advance(5.0)  # a reset of the robot, in which nobody read
    assert wish(mouse) is None
    clock.advance(0.05)
    assert wish(mouse) is None
    device.say(translation(near=-FULL))
    assert wish(mouse) == [1, 0, 0, 0, 0, 0, 1]


# -- the queue -------------------------------------------------------------------------------------------------------


def test_each_read_follows_the_newest_report(mouse: SpaceMouse, device: FakeDevice) -> None:
    device.say(*[translation(near=-n) for n in range(60)], translation(near=175))
    assert wish(mouse) == [-0.5, 0, 0, 0, 0, 0, 1]
    assert not device.waiting


def test_a_device_that_never_stops_talking_does_not_hold_the_loop(mouse: SpaceMouse, device: FakeDevice) -> None:
    device.endless = True
    assert wish(mouse) == [1, 0, 0, 0, 0, 0, 1]
    assert device.reads == SpaceMouse.MAX_REPORTS


@pytest.mark.parametrize("report", [b"\x01", b"\x01\x00\x01", b"\x02\x00", b"\x03", b"\x17\x64", b"\xff" * 64])
def test_short_and_unknown_reports_say_nothing(mouse: SpaceMouse, device: FakeDevice, report: bytes) -> None:
    device.say(report)
    assert wish(mouse) is None


# -- the gripper -----------------------------------------------------------------------------------------------------


def test_the_left_button_closes_and_the_right_one_opens(mouse: SpaceMouse, device: FakeDevice) -> None:
    device.say(buttons(0b01))
    assert wish(mouse) == [0, 0, 0, 0, 0, 0, -1]
    device.say(buttons(0), translation(near=-FULL))
    assert wish(mouse) == [1, 0, 0, 0, 0, 0, -1]  # kept while the person drives on
    device.say(buttons(0b10))
    assert wish(mouse) == [1, 0, 0, 0, 0, 0, 1]
    device.say(buttons(0b11))
    assert wish(mouse) == [1, 0, 0, 0, 0, 0, 1]
    device.say(buttons(0), translation())
    assert wish(mouse) is None


def test_a_tap_between_two_reads_is_not_lost(mouse: SpaceMouse, device: FakeDevice) -> None:
    device.say(buttons(0b01), buttons(0))
    assert wish(mouse) == [0, 0, 0, 0, 0, 0, -1]
    assert wish(mouse) is None


def test_taking_over_keeps_what_the_gripper_is_told(mouse: SpaceMouse, device: FakeDevice) -> None:
    mouse.show(situation(gripper_target=0.0))
    device.say(translation(near=-FULL))
    assert wish(mouse) == [1, 0, 0, 0, 0, 0, -1]
    mouse.show(situation(gripper_target=1.0))  # while the person drives, the person decides
    assert wish(mouse) == [1, 0, 0, 0, 0, 0, -1]
    device.say(translation())
    assert wish(mouse) is None
    mouse.show(situation(gripper_target=1.0))
    mouse.show(Situation(0.0, Phase.PAUSED, None))
    device.say(translation(near=-FULL))
    assert wish(mouse) == [1, 0, 0, 0, 0, 0, 1]


def test_a_layout_without_a_gripper_has_no_entry_for_it(device: FakeDevice, clock: FakeClock) -> None:
    mouse = SpaceMouse(FLAT, device, clock=clock)
    device.say(buttons(0b01))
    assert wish(mouse) == [0, 0]


# -- a device that comes and goes ------------------------------------------------------------------------------------


def _until_back(mouse: SpaceMouse) -> HumanInput:
    deadline = time.monotonic() + CEILING
    while time.monotonic() < deadline:
        if (read := mouse.read()) is not None:
            return read
        time.sleep(0.001)
    raise AssertionError("the SpaceMouse did not come back")


@pytest.mark.parametrize("error", [OSError("read error"), ValueError("not open")])
def test_an_unplugged_device_is_none_from_then_on(
    mouse: SpaceMouse, device: FakeDevice, clock: FakeClock, error: Exception
) -> None:
    device.say(translation(near=-FULL))
    assert wish(mouse) is not None
    device.unplugged = error
    for _ in range(50):
        assert mouse.read() is None
        clock.advance(0.1)
    assert device.closed


def test_it_is_looked_for_once_a_second_and_comes_back_at_rest(device: FakeDevice, clock: FakeClock) -> None:
    tries: list[float] = []
    returned = FakeDevice()

    def reopen() -> FakeDevice:
        tries.append(clock.now())
        if len(tries) < 3:
            raise DeviceError("no 3D mouse is plugged in")
        return returned

    mouse = SpaceMouse(SIX, device, reopen=reopen, clock=clock)
    device.say(translation(near=-FULL), buttons(1))
    assert wish(mouse) is not None
    device.unplugged = OSError("read error")
    for _ in range(29):
        assert mouse.read() is None
        clock.advance(0.1)
        until(lambda: mouse._opening is None or not mouse._opening.is_alive())  # the thread that looks for it
    assert len(tries) == 2
    assert np.diff([7.0, *tries]).min() > 0.99
    clock.advance(0.5)
    assert _until_back(mouse).action is None
    returned.say(translation(near=-FULL))
    assert wish(mouse) is not None
    assert len(tries) == 3


def test_a_slow_search_does_not_hold_the_loop(clock: FakeClock) -> None:
    found = threading.Event()

    def reopen() -> FakeDevice:
        assert found.wait(CEILING)
        return FakeDevice()

    mouse = SpaceMouse(SIX, reopen=reopen, clock=clock)
    assert mouse.read() is None
    assert mouse.read() is None  # a read that waited for the search would wait for ever: nothing is found yet
    found.set()
    assert _until_back(mouse) is not None


def test_closing_gives_the_device_back(mouse: SpaceMouse, device: FakeDevice) -> None:
    with mouse:
        pass
    assert device.closed
    assert mouse.read() is None
    mouse.close()


# -- finding it ------------------------------------------------------------------------------------------------------


class FakeHid:
    def __init__(self, found: Sequence[Mapping[str, Any]], refuses: bool = False) -> None:
        self.found, self.opened, self._refuses = found, FakeDevice(), refuses

    def enumerate(self, vendor_id: int = 0, product_id: int = 0, /) -> Sequence[Mapping[str, Any]]:
        return self.found

    def device(self) -> FakeDevice:
        if self._refuses:
            self.opened.open_path = _refuse
        return self.opened


def _refuse(path: object) -> None:
    raise OSError("open failed")


def _info(vendor: int, product: int, usage: tuple[int, int], path: bytes, name: str = "") -> dict[str, Any]:
    return {
        "vendor_id": vendor,
        "product_id": product,
        "usage_page": usage[0],
        "usage": usage[1],
        "path": path,
        "product_string": name,
    }


MOUSE = _info(0x046D, 0xC077, (1, 2), b"/dev/hidraw0", "USB Optical Mouse")
COMPACT = _info(0x256F, 0xC635, (1, 8), b"/dev/hidraw1", "SpaceMouse Compact")
RECEIVER = [
    _info(0x256F, 0xC652, (1, 2), b"/dev/hidraw2"),
    _info(0x256F, 0xC652, (1, 6), b"/dev/hidraw3"),
    _info(0x256F, 0xC652, (1, 8), b"/dev/hidraw4"),
]


@pytest.mark.parametrize(
    ("found", "path"),
    [
        ([MOUSE, COMPACT], b"/dev/hidraw1"),
        ([MOUSE, *RECEIVER], b"/dev/hidraw4"),
        ([_info(0x046D, 0xC626, (0, 0), b"1-2:1.0")], b"1-2:1.0"),
        ([_info(0x256F, 0xC6FF, (1, 8), b"/dev/hidraw5", "one of tomorrow")], b"/dev/hidraw5"),
    ],
)
def test_opens_the_interface_of_the_cap(found: list[dict[str, Any]], path: bytes) -> None:
    hid = FakeHid(found)
    mouse = SpaceMouse.open(SIX, hid=hid)
    assert hid.opened.path == path
    assert hid.opened.nonblocking == 1
    hid.opened.say(translation(near=-FULL))
    assert wish(mouse) == [1, 0, 0, 0, 0, 0, 1]


def test_says_what_it_looked_for_and_what_it_found() -> None:
    with pytest.raises(DeviceError, match=r"046d:c077 USB Optical Mouse.*256f:c635 SpaceMouse Compact"):
        open_device(FakeHid([MOUSE, _info(0x256F, 0xC650, (1, 2), b"/dev/hidraw7", "CadMouse")]))
    with pytest.raises(DeviceError, match="no HID device at all"):
        SpaceMouse.open(SIX, hid=FakeHid([]))


def test_says_how_to_allow_reading_it() -> None:
    with pytest.raises(DeviceError, match=r'hidraw1 cannot be opened.*udev.*ATTRS\{idVendor\}=="256f"'):
        open_device(FakeHid([COMPACT], refuses=True))


def test_hidapi_itself_has_what_is_used_of_it() -> None:
    pytest.importorskip("hid", reason="the extra 'spacemouse' is not installed")
    module = hidapi()
    assert isinstance(list(module.enumerate()), list)
    device = module.device()
    with pytest.raises((OSError, ValueError)):
        device.read(64)  # what `read` takes for an unplugged device
    with pytest.raises(OSError):
        device.open_path(b"/dev/no-such-device")
    assert callable(device.set_nonblocking)
    device.close()


# -- bad settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layout",
    [
        ActionLayout(("x", "elbow"), np.ones(2, np.float32)),
        ActionLayout(("x", "x"), np.ones(2, np.float32)),
        ActionLayout(("gripper",), np.ones(1, np.float32)),
        ActionLayout(("x",), np.ones(1, np.float32), frame="none"),
        ActionLayout(("x",), np.zeros(1, np.float32)),
    ],
)
def test_refuses_layouts_that_move_no_tool(layout: ActionLayout) -> None:
    with pytest.raises(ConfigError):
        SpaceMouse(layout)


def test_refuses_numbers_out_of_range() -> None:
    with pytest.raises(InvalidValueError, match="dead_zone"):
        SpaceMouse(SIX, dead_zone=1.0)
    with pytest.raises(InvalidValueError, match="silence"):
        SpaceMouse(SIX, silence=0.0)
    with pytest.raises(InvalidValueError, match="facing"):
        SpaceMouse(SIX, facing=math.nan)
