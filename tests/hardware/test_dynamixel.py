"""The driver with the makers' own SDK, over a pseudo terminal, against a bus of servos in memory."""

from __future__ import annotations

import math
import os
import select
import threading
import tty
from collections.abc import Iterator

import numpy as np
import pytest

from robot_rlhf.errors import InvalidValueError, ShapeError
from robot_rlhf_hardware.dynamixel import DynamixelJoints
from robot_rlhf_hardware.leader_arm import JointReader
from robot_rlhf_hardware.teleop import DeviceError

pytest.importorskip("dynamixel_sdk", reason="the extra 'leader' is not installed")

HEADER = b"\xff\xff\xfd\x00"
PING, SYNC_READ, STATUS, BROADCAST = 0x01, 0x82, 0x55, 0xFE


def crc(data: bytes) -> bytes:
    """CRC-16/BUYPASS (polynomial 0x8005), as Protocol 2.0 appends it, low byte first."""
    value = 0
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = ((value << 1) ^ 0x8005 if value & 0x8000 else value << 1) & 0xFFFF
    return value.to_bytes(2, "little")


def status(servo: int, data: bytes) -> bytes:
    packet = HEADER + bytes([servo]) + (len(data) + 4).to_bytes(2, "little") + bytes([STATUS, 0]) + data
    return packet + crc(packet)


class Bus:
    """Servos that answer PING and SYNC READ of the present position."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.master)
        tty.setraw(self.slave)
        self.port = os.ttyname(self.slave)
        self.positions: dict[int, int] = {}
        self.noise = 0
        """Answers that will be spoilt."""
        self.asked: list[int] = []
        """Instructions that came."""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        if not self._end.is_set():
            self._end.set()
            self._thread.join(timeout=5.0)
            os.close(self.slave)
            os.close(self.master)

    def _serve(self) -> None:
        heard = b""
        while not self._end.is_set():
            if not select.select([self.master], [], [], 0.005)[0]:
                continue
            heard += os.read(self.master, 1024)
            while len(heard) >= 7 and len(heard) >= (size := 7 + int.from_bytes(heard[5:7], "little")):
                packet, heard = heard[:size], heard[size:]
                assert packet.startswith(HEADER)
                assert crc(packet[:-2]) == packet[-2:]
                self._answer(packet[4], packet[7], packet[8:-2])

    def _answer(self, servo: int, instruction: int, parameters: bytes) -> None:
        self.asked.append(instruction)
        if instruction == PING and servo in self.positions:
            os.write(self.master, status(servo, b"\xb0\x04\x2e"))
        elif instruction == SYNC_READ and servo == BROADCAST:
            assert parameters[:4] == bytes([132, 0, 4, 0])
            for one in parameters[4:]:
                if one not in self.positions:
                    return  # those after it still answer, but the reader waits for this one
                answer = bytearray(status(one, self.positions[one].to_bytes(4, "little", signed=True)))
                if self.noise:
                    self.noise -= 1
                    answer[-1] ^= 0x40
                os.write(self.master, answer)


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    # ms, half of what is waited for an answer: this bus shares a machine with other tests.
    monkeypatch.setattr("dynamixel_sdk.port_handler.LATENCY_TIMER", 500)
    bus = Bus()
    yield bus
    bus.close()


def test_the_bus_of_these_tests_speaks_as_the_makers_manual_says() -> None:
    """Status packets of the example 'Sync Read' in the e-manual of Protocol 2.0: positions 166 and 2079."""
    assert status(1, (166).to_bytes(4, "little")).hex(" ") == "ff ff fd 00 01 08 00 55 00 a6 00 00 00 8c c0"
    assert status(2, (2079).to_bytes(4, "little")).hex(" ") == "ff ff fd 00 02 08 00 55 00 1f 08 00 00 ba be"


def test_reads_joints_with_zeros_and_signs(bus: Bus) -> None:
    bus.positions = {1: 1024, 2: 1024, 5: 0, 7: -512}
    with DynamixelJoints(bus.port, [1, 2, 5, 7], zeros=[0.0, 0.0, math.pi / 2, 0.0], signs=[1, -1, 1, 1]) as joints:
        reading = joints.read()
        np.testing.assert_allclose(
            reading.joint_position, [math.pi / 2, -math.pi / 2, -math.pi / 2, -math.pi / 4], atol=1e-9
        )
        assert reading.gripper is None
        bus.positions[1] = 2048 + 4096 + 1  # more than a turn: the angle is what counts
        assert joints.read().joint_position[0] == pytest.approx(-math.pi + math.tau / 4096)
    assert set(bus.asked) == {SYNC_READ}  # nothing was written


@pytest.mark.parametrize(
    ("gripper_range", "position", "opening"),
    [
        ((0.0, math.pi / 2), 0, 0.0),
        ((0.0, math.pi / 2), 512, 0.5),
        ((0.0, math.pi / 2), 1300, 1.0),
        ((math.pi / 2, 0.0), 256, 0.75),
        ((-math.pi / 4, math.pi / 4), 4096 - 512, 0.0),  # the servo passes its zero in between
        ((-math.pi / 4, math.pi / 4), 512, 1.0),
    ],
)
def test_reads_the_gripper_as_an_opening(
    bus: Bus, gripper_range: tuple[float, float], position: int, opening: float
) -> None:
    bus.positions = {1: 0, 9: position}
    with DynamixelJoints(bus.port, [1], gripper_id=9, gripper_range=gripper_range) as joints:
        reading = joints.read()
    assert reading.joint_position.shape == (1,)
    assert reading.gripper == pytest.approx(opening, abs=1e-6)


def test_names_the_servo_that_is_silent_and_reads_again_when_it_is_back(bus: Bus) -> None:
    bus.positions = {1: 0, 3: 0}
    with DynamixelJoints(bus.port, [1, 2, 3]) as joints:
        with pytest.raises(DeviceError, match=r"no answer from servo 2 of \[1, 2, 3\] at 1000000 baud"):
            joints.read()
        bus.positions[2] = 1024
        assert joints.read().joint_position[1] == pytest.approx(math.pi / 2)


def test_a_spoilt_answer_is_asked_for_again(bus: Bus) -> None:
    bus.positions = {1: 1024}
    bus.noise = 2
    with DynamixelJoints(bus.port, [1]) as joints:
        assert joints.read().joint_position[0] == pytest.approx(math.pi / 2)
    assert bus.asked == [SYNC_READ] * 3


def test_says_so_when_all_are_there_but_answers_stay_spoilt(bus: Bus) -> None:
    bus.positions = {1: 1024}
    bus.noise = 1000
    with DynamixelJoints(bus.port, [1]) as joints, pytest.raises(DeviceError, match=r"all servos \[1\] are there"):
        joints.read()


def test_a_missing_port_is_named() -> None:
    joints = DynamixelJoints("/dev/no-such-adapter", [1])
    with pytest.raises(DeviceError, match="/dev/no-such-adapter cannot be opened"):
        joints.read()
    with pytest.raises(OSError):
        joints.read()
    joints.close()


def test_an_unknown_baud_rate_is_named(bus: Bus) -> None:
    with pytest.raises(DeviceError, match="knows no baud rate 12345"):
        DynamixelJoints(bus.port, [1], baud_rate=12345).read()


def test_an_adapter_that_is_pulled_out_is_an_os_error(bus: Bus) -> None:
    bus.positions = {1: 0}
    joints = DynamixelJoints(bus.port, [1])
    joints.read()
    bus.close()
    with pytest.raises(DeviceError):
        joints.read()
    with pytest.raises(DeviceError, match="cannot be opened"):
        joints.read()


def test_is_a_joint_reader_and_refuses_what_cannot_be() -> None:
    reader: JointReader = DynamixelJoints("port", [1, 2])
    assert callable(reader.read)
    for ids in ([], [1, 1], [253], [-1]):
        with pytest.raises(InvalidValueError, match="ids"):
            DynamixelJoints("port", ids)
    with pytest.raises(InvalidValueError, match="ids"):
        DynamixelJoints("port", [1], gripper_id=1)
    with pytest.raises(ShapeError, match="zeros"):
        DynamixelJoints("port", [1, 2], zeros=[0.0])
    with pytest.raises(InvalidValueError, match="signs"):
        DynamixelJoints("port", [1], signs=[2])
    with pytest.raises(InvalidValueError, match="gripper_range"):
        DynamixelJoints("port", [1], gripper_range=(0.3, 0.3))
