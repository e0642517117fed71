"""Devices by name: one's own is opened like those that have a name, and what cannot be had is one line."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from robot_rlhf.datatypes import ActionLayout, HumanInput, Situation
from robot_rlhf.device import DeviceConfig, Forward, open_device
from robot_rlhf.errors import ConfigError, RobotRlhfError, UnknownNameError
from robot_rlhf.place import PlaceConfig
from robot_rlhf.timing import FakeClock

OPENED: list[str] = []


class Pedal:
    """Hands that never move."""

    def read(self) -> HumanInput | None:
        return None

    def show(self, situation: Situation) -> None:
        """It does not look."""


@contextmanager
def pedal(config: DeviceConfig, layout: ActionLayout, forward: Forward | None) -> Generator[Pedal]:
    OPENED.append(f"{config.port} {len(layout.names)}")
    yield Pedal()
    OPENED.append("closed")


def no_manager(config: DeviceConfig, layout: ActionLayout, forward: Forward | None) -> Pedal:
    return Pedal()


@pytest.fixture
def layout() -> ActionLayout:
    with closing(PlaceConfig.of_kind("fake")().open("touch", clock=FakeClock(), cameras={})) as place:
        return place.spec.action


def test_ones_own_is_opened_and_closed(layout: ActionLayout) -> None:
    device = open_device(DeviceConfig(f"{Path(__file__)}:pedal", port="left"), layout, None)
    assert isinstance(device, AbstractContextManager)
    with device as hands:
        assert hands.read() is None
    assert [f"left {len(layout.names)}", "closed"] == OPENED


def test_none_is_none(layout: ActionLayout) -> None:
    assert open_device(DeviceConfig(), layout, None) is None


def test_what_cannot_be_had_is_one_line(layout: ActionLayout) -> None:
    with pytest.raises(UnknownNameError, match=r"spacemice.*spacemouse"):
        DeviceConfig("spacemice")
    with pytest.raises(ConfigError, match="made a Pedal, allowed: a context manager"):
        open_device(DeviceConfig(f"{Path(__file__)}:no_manager"), layout, None)
    with pytest.raises(ConfigError, match=r"console\.device\.port: missing"):
        DeviceConfig("leader")
    leader = open_device(DeviceConfig("leader", port="/dev/ttyUSB0"), layout, None)
    assert leader is not None
    with pytest.raises(RobotRlhfError, match="needs the arm's kinematics"), leader:
        pass
