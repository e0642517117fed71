"""The joints of a leader arm whose encoders are Dynamixel servos: read only, so that the arm moves freely by hand.

No servo was at hand when this was written: it is tested over a pseudo terminal against a bus in memory that speaks
Protocol 2.0. From the makers' pages (emanual.robotis.com: Protocol 2.0, and the control table of the X series, for
example XL330-M077): Present Position is at address 132, 4 bytes, two's complement, 4096 to a turn; torque is off after
power-up, and this driver never writes; ids are 0 to 252; a USB adapter with an FTDI chip waits 16 ms per answer until
/sys/bus/usb-serial/devices/ttyUSB0/latency_timer says 1.
"""

from __future__ import annotations

import contextlib
import importlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import frozen_array
from robot_rlhf.errors import InvalidValueError
from robot_rlhf_hardware.leader_arm import LeaderReading
from robot_rlhf_hardware.teleop import DeviceError

try:
    from termios import error as _TerminalError  # pyserial lets it through, and it is no OSError
except ImportError:  # not on Windows
    _TerminalError = OSError

_PROTOCOL = 2.0
_PRESENT_POSITION, _POSITION_BYTES = 132, 4
_STEPS_PER_TURN = 4096
_HIGHEST_ID = 252
_ATTEMPTS = 3


class DynamixelJoints:
    """A JointReader over one serial port; each `read` waits for the servos, about 5 ms at 1 Mbit/s (see PolledJoints).

    The port is opened by the first `read`, and again by the next one after it was lost.
    """

    def __init__(
        self,
        port: str,
        ids: Sequence[int],
        *,
        zeros: Sequence[float] | None = None,
        signs: Sequence[int] | None = None,
        gripper_id: int | None = None,
        gripper_range: tuple[float, float] = (0.0, 1.0),
        baud_rate: int = 1_000_000,
    ) -> None:
        """
        Args:
            port: of the adapter, for example /dev/serial/by-id/usb-FTDI_... or /dev/ttyUSB0.
            ids: of the servos, in the order of the joints. Length n.
            zeros: what each servo measures where its joint is 0, rad; 0 by default. Length n.
            signs: 1 where the servo turns as the joint does, -1 where it turns against it; 1 by default. Length n.
            gripper_id: of the servo of the gripper or trigger; None without one.
            gripper_range: what that servo measures when squeezed and when open, rad.
            baud_rate: of the bus; new servos have 57600.

        Raises:
            ShapeError: zeros or signs have another length than ids.
            InvalidValueError: an id, a sign, or a range that cannot be.
        """
        count = len(ids)
        if count == 0:
            raise InvalidValueError("DynamixelJoints.ids", list(ids), "at least one id")
        self._ids = [*ids, *([gripper_id] if gripper_id is not None else [])]
        if len(set(self._ids)) != len(self._ids) or not all(0 <= one <= _HIGHEST_ID for one in self._ids):
            raise InvalidValueError("DynamixelJoints ids", self._ids, f"distinct ids of 0 to {_HIGHEST_ID}")
        zeros = [0.0] * count if zeros is None else zeros
        signs = [1] * count if signs is None else signs
        self._zeros = frozen_array("DynamixelJoints.zeros", zeros, (count,), np.float64)
        self._signs = frozen_array("DynamixelJoints.signs", signs, (count,), np.float64)
        if not (np.abs(self._signs) == 1.0).all():
            raise InvalidValueError("DynamixelJoints.signs", self._signs.tolist(), "1 or -1 for each joint")
        self._squeezed, self._open = gripper_range
        if not (math.isfinite(self._open - self._squeezed) and 0.01 < abs(self._open - self._squeezed) < math.tau):
            raise InvalidValueError("DynamixelJoints.gripper_range", gripper_range, "two different angles, rad")
        self._has_gripper = gripper_id is not None
        self._port_name, self._baud_rate = port, baud_rate
        self._port: Any = None
        self._packets: Any = None
        self._group: Any = None
        self._success = 0

    def read(self) -> LeaderReading:
        """What the servos measure now; joint positions in [-pi, pi).

        Raises:
            DeviceError: the port is missing, or servos do not answer; names them. It is an OSError.
        """
        try:
            if self._port is None:
                self._open_port()
            angles = self._angles()
        except (OSError, _TerminalError) as error:  # pyserial's own errors are OSErrors
            self.close()
            if isinstance(error, DeviceError):
                raise
            raise DeviceError(f"{self._port_name}: {error}") from error
        joints = _wrapped(self._signs * (angles[: len(self._zeros)] - self._zeros))
        return LeaderReading(joints, self._opening(float(angles[-1])) if self._has_gripper else None)

    def close(self) -> None:
        """Give the port back; the next `read` opens it again. Idempotent."""
        port, self._port = self._port, None
        if port is not None and port.is_open:
            with contextlib.suppress(OSError, _TerminalError):  # it is gone already
                port.closePort()

    def __enter__(self) -> DynamixelJoints:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open_port(self) -> None:
        try:
            sdk = importlib.import_module("dynamixel_sdk")
        except ImportError as error:
            raise DeviceError(
                "Dynamixel servos are read by dynamixel-sdk, which is not installed: pip install 'robot-rlhf[leader]'"
            ) from error
        port = sdk.PortHandler(self._port_name)
        try:
            known_rate = port.setBaudRate(self._baud_rate)  # opens the port, too
        except (OSError, _TerminalError) as error:
            raise DeviceError(
                f"{self._port_name} cannot be opened: {error}. Is the adapter plugged in, and may this user read it "
                "(on Linux: member of the group dialout)?"
            ) from error
        if not known_rate:
            raise DeviceError(f"{self._port_name}: dynamixel-sdk knows no baud rate {self._baud_rate}")
        self._port = port
        self._packets = sdk.PacketHandler(_PROTOCOL)
        self._group = sdk.GroupSyncRead(port, self._packets, _PRESENT_POSITION, _POSITION_BYTES)
        for one in self._ids:
            self._group.addParam(one)
        self._success = sdk.COMM_SUCCESS

    def _angles(self) -> NDArray[np.float64]:
        """What each servo measures, rad; the gripper's last."""
        result = None
        for _ in range(_ATTEMPTS):  # now and then a bit is lost on the way
            if (result := self._group.txRxPacket()) == self._success:
                break
        else:
            reason = self._packets.getTxRxResult(result)
            silent = [one for one in self._ids if self._packets.ping(self._port, one)[1] != self._success]
            if silent:
                raise DeviceError(
                    f"{self._port_name}: no answer from servo {', '.join(map(str, silent))} of {self._ids} at "
                    f"{self._baud_rate} baud. Check its power, its cable, its id and its baud rate"
                )
            raise DeviceError(f"{self._port_name}: all servos {self._ids} are there, but reading failed: {reason}")
        raw = [self._group.getData(one, _PRESENT_POSITION, _POSITION_BYTES) for one in self._ids]
        return np.array(raw, np.uint32).astype(np.int32).astype(np.float64) * (math.tau / _STEPS_PER_TURN)

    def _opening(self, angle: float) -> float:
        """Opening of the gripper, 0 to 1, also where the servo has passed its zero between squeezed and open."""
        middle = (self._squeezed + self._open) / 2.0
        near = middle + float(_wrapped(np.array([angle - middle]))[0])
        return min(max((near - self._squeezed) / (self._open - self._squeezed), 0.0), 1.0)


def _wrapped(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same angles in [-pi, pi)."""
    return (angles + math.pi) % math.tau - math.pi
