"""A 3Dconnexion SpaceMouse as a Teleop: the cap moves the tool, the two buttons close and open the gripper.

No device was at hand when this was written: it is tested against byte sequences, and what is known about the devices
comes from these documents.

- Axes: X grows from left to right, Y from far to near, Z from high to low, and rotations follow the right-hand rule
  about them (HID Usage Tables, section 4.2, axis usages of a multi-axis controller).
- Reports, full scale +-350, products (device tables of pyspacemouse, spacenavd and Isaac Lab): report 1 holds three
  int16, little-endian, of translation and report 2 three of rotation (SpaceNavigator, SpaceMouse Compact, SpaceMouse
  Pro), or report 1 holds all six (wireless models, Enterprise, Universal Receiver); report 3 is a bit mask of the
  buttons, bit 0 the left one and bit 1 the right one of the two-button models (MENU and FIT on the larger ones). The
  length of report 1 tells the two kinds apart.
- A cap away from its rest is reported all the time, every 8 ms (SpaceNavigator) or 16 ms (SpaceMouse Wireless), and
  a cap at rest a few times as zero and then no more (recordings in github.com/AndunHH/spacemouse). So a cap that was
  away from its rest and is silent is not in anyone's hand any more: out of radio range, or an empty battery.
"""

from __future__ import annotations

import functools
import importlib
import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from robot_rlhf.datatypes import ActionLayout, Array, HumanInput, Situation
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.safety import rotation
from robot_rlhf.safety.rotation import Quaternion, Vector
from robot_rlhf.timing import Clock, MonotonicClock
from robot_rlhf_hardware.teleop import DeviceError, ToolMotion, orientation_of

PRODUCTS: dict[tuple[int, int], str] = {
    (0x046D, 0xC625): "SpacePilot",
    (0x046D, 0xC626): "SpaceNavigator",
    (0x046D, 0xC627): "SpaceExplorer",
    (0x046D, 0xC628): "SpaceNavigator for Notebooks",
    (0x046D, 0xC629): "SpacePilot Pro",
    (0x046D, 0xC62B): "SpaceMouse Pro",
    (0x256F, 0xC62E): "SpaceMouse Wireless, on its cable",
    (0x256F, 0xC62F): "SpaceMouse Wireless, receiver",
    (0x256F, 0xC631): "SpaceMouse Pro Wireless, on its cable",
    (0x256F, 0xC632): "SpaceMouse Pro Wireless, receiver",
    (0x256F, 0xC633): "SpaceMouse Enterprise",
    (0x256F, 0xC635): "SpaceMouse Compact",
    (0x256F, 0xC638): "SpaceMouse Pro Wireless, Bluetooth",
    (0x256F, 0xC63A): "SpaceMouse Wireless, newer",
    (0x256F, 0xC641): "SpaceMouse, USB module",
    (0x256F, 0xC652): "Universal Receiver",
}
"""USB vendor and product to the name of the 3D mouse. Vendor 0x046d is Logitech, which sold the older ones."""

UDEV_RULE = 'KERNEL=="hidraw*", ATTRS{{idVendor}}=="{vendor:04x}", MODE="0660", TAG+="uaccess"'
"""What lets a person who is logged in read such a device on Linux."""

_MULTI_AXIS = (0x01, 0x08)
"""HID usage page and usage of a multi-axis controller."""
_FULL_SCALE = 350.0
_REPORT_SIZE = 64
_MOVED = 1e-3
"""Norm of the motion above which the person drives, as in HIL-SERL's SpacemouseIntervention."""

_log = logging.getLogger(__name__)


class HidDevice(Protocol):
    """An open device of hidapi, in its non-blocking mode."""

    def read(self, max_length: int, /) -> Sequence[int]:
        """The oldest waiting report, its id first; empty when none waits; OSError or ValueError without a device."""
        ...

    def close(self) -> None: ...


class HidModule(Protocol):
    """What is used of hidapi's Python module."""

    def enumerate(self, vendor_id: int = 0, product_id: int = 0, /) -> Sequence[Mapping[str, Any]]: ...

    def device(self) -> Any: ...


def hidapi() -> HidModule:
    """hidapi's module; the one that reads through the kernel's hidraw where there is a choice.

    Raises:
        DeviceError: hidapi is not installed.
    """
    for name in ("hidraw", "hid"):  # the libusb one, 'hid' on Linux, takes the device away from the kernel
        try:
            return importlib.import_module(name)  # pyright: ignore[reportReturnType]  the module has these functions
        except ImportError:
            continue
    raise DeviceError("a SpaceMouse is read by hidapi, which is not installed: pip install 'robot-rlhf[spacemouse]'")


def open_device(hid: HidModule) -> HidDevice:
    """Open the first 3D mouse of this machine, in non-blocking mode.

    Raises:
        DeviceError: there is none, or it may not be read; names what was looked for and what was found.
    """
    found = list(hid.enumerate())
    mice = [one for one in found if _is_3d_mouse(one)]
    if not mice:
        known = ", ".join(f"{vendor:04x}:{product:04x} {name}" for (vendor, product), name in PRODUCTS.items())
        others = ", ".join(_described(one) for one in found) or "no HID device at all"
        raise DeviceError(f"no 3D mouse is plugged in. Found: {others}. Looked for: {known}")
    mouse = mice[0]
    device = hid.device()
    try:
        device.open_path(mouse["path"])
        device.set_nonblocking(1)
    except OSError as error:
        rule = UDEV_RULE.format(vendor=mouse["vendor_id"])
        raise DeviceError(
            f"{_described(mouse)} at {_path(mouse)} cannot be opened ({error}). Another program may hold it, or this "
            f"user may not read it: on Linux put this line into /etc/udev/rules.d/70-spacemouse.rules, then plug the "
            f"mouse in again: {rule}"
        ) from error
    return device


def _is_3d_mouse(info: Mapping[str, Any]) -> bool:
    """True for the interface that reports the cap; a receiver has others, for ordinary mice and keyboards."""
    usage = (info.get("usage_page", 0), info.get("usage", 0))
    if (info["vendor_id"], info["product_id"]) in PRODUCTS:
        return usage in (_MULTI_AXIS, (0, 0))  # (0, 0): this system does not tell
    return info["vendor_id"] == 0x256F and usage == _MULTI_AXIS


def _described(info: Mapping[str, Any]) -> str:
    name = info.get("product_string") or PRODUCTS.get((info["vendor_id"], info["product_id"])) or "without a name"
    return f"{info['vendor_id']:04x}:{info['product_id']:04x} {name}"


def _path(info: Mapping[str, Any]) -> str:
    path = info["path"]
    return path.decode(errors="replace") if isinstance(path, bytes) else str(path)


class SpaceMouse:
    """A Teleop and a Monitor: the person drives while the cap is away from its rest or a button is down.

    Full deflection is the largest motion of the action layout. The left button closes the gripper, the right one
    opens it; it keeps its state while the person drives, and begins with what `show` last saw commanded, so that
    taking over lets nothing fall: give it every Situation.
    """

    MAX_REPORTS = 256
    """Reports taken in one read; Linux keeps 64."""
    REOPEN_EVERY = 1.0
    """Seconds between two attempts to open a device that is gone."""

    def __init__(
        self,
        layout: ActionLayout,
        device: HidDevice | None = None,
        *,
        reopen: Callable[[], HidDevice] | None = None,
        facing: float = 0.0,
        dead_zone: float = 0.05,
        silence: float = 0.3,
        clock: Clock | None = None,
    ) -> None:
        """
        Args:
            layout: of the actions.
            device: an open device; None while there is none.
            reopen: opens the device again after it was unplugged, raising OSError without one; called in a thread of
                its own, as it may take long. None: what is gone stays gone.
            facing: where the person looks to when pushing the cap away, as an angle about the base's z axis from its
                x axis, rad: 0 for a person behind the robot, pi for one opposite to it.
            dead_zone: part of full deflection that counts as rest, for each axis; in [0, 1).
            silence: seconds without a report after which a deflected cap counts as let go, and without a `read` after
                which the waiting reports are too old to be followed; longer than a control period.
            clock: of the real world; the machine's monotonic clock by default.

        Raises:
            ConfigError: the layout moves no tool.
            InvalidValueError: a number is out of range.
        """
        if not 0.0 <= dead_zone < 1.0:
            raise InvalidValueError("SpaceMouse.dead_zone", dead_zone, "a part of full deflection in [0, 1)")
        if not (math.isfinite(silence) and silence > 0):
            raise InvalidValueError("SpaceMouse.silence", silence, "seconds > 0")
        if not math.isfinite(facing):
            raise InvalidValueError("SpaceMouse.facing", facing, "an angle, rad")
        self._motion = ToolMotion(layout, "SpaceMouse")
        self._facing = rotation.exp((0.0, 0.0, facing))
        self._dead_zone, self._silence = dead_zone, silence
        self._clock: Clock = clock or MonotonicClock()
        self._device = device
        self._reopen = reopen
        self._opening: threading.Thread | None = None
        self._opened: HidDevice | None = None
        self._closed = False
        self._last_try = -math.inf
        self._last_read = self._clock.now()
        self._tool: Quaternion | None = None
        self._gripper_open = True
        self._driving = False
        self._rest()

    @classmethod
    def open(
        cls,
        layout: ActionLayout,
        *,
        facing: float = 0.0,
        dead_zone: float = 0.05,
        silence: float = 0.3,
        hid: HidModule | None = None,
    ) -> SpaceMouse:
        """The 3D mouse of this machine; opened again by itself when it comes back after it was unplugged.

        Args:
            facing, dead_zone, silence: as in the constructor.
            hid: hidapi's module; imported by default.

        Raises:
            DeviceError: there is no 3D mouse, it may not be read, or hidapi is not installed.
        """
        reopen = functools.partial(open_device, hid or hidapi())
        return cls(layout, reopen(), reopen=reopen, facing=facing, dead_zone=dead_zone, silence=silence)

    def read(self) -> HumanInput | None:
        now = self._clock.now()
        if self._device is None and not self._find_again(now):
            return None
        try:
            pressed = self._drain(now)
        except (OSError, ValueError) as error:  # hidapi: a failed read, a closed device
            _log.warning("the SpaceMouse is gone: %s", error)
            self._lose(now)
            return None
        return self._wish(pressed)

    def show(self, situation: Situation) -> None:
        if situation.observation is None:
            return
        self._tool = orientation_of(situation.observation.tool_target_in_base)
        if not self._driving:
            self._gripper_open = situation.observation.gripper_target > 0.5

    def close(self) -> None:
        """Give the device back; `read` is None from then on. Idempotent."""
        self._closed = True
        if self._opening is not None:
            self._opening.join(timeout=self.REOPEN_EVERY)
        for device in (self._device, self._opened):
            if device is not None:
                device.close()
        self._device = self._opened = None

    def __enter__(self) -> SpaceMouse:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- from reports to a wish ----------------------------------------------------------------------------------

    def _drain(self, now: float) -> int:
        """Take all waiting reports; returns a bit mask of the buttons that are down, or were pressed meanwhile."""
        late = now - self._last_read > self._silence
        self._last_read = now
        pressed = 0
        assert self._device is not None
        for _ in range(self.MAX_REPORTS):
            report = self._device.read(_REPORT_SIZE)
            if not report:
                break
            before = self._buttons
            self._take(bytes(report), now)
            pressed |= self._buttons & ~before
        if late:  # a queue that was full has lost the newest reports, perhaps those of the cap's return
            self._rest()
            return 0
        if now - self._last_report > self._silence:
            self._axes[:] = 0.0
        return pressed | self._buttons

    def _take(self, report: bytes, now: float) -> None:
        """Parse one report; unknown and short ones, such as that of the battery, say nothing."""
        kind = report[0]
        if kind == 3 and len(report) >= 2:
            self._buttons = report[1] & 0b11
        elif kind in (1, 2) and len(report) >= 7:
            six = kind == 1 and len(report) >= 13
            first = 0 if kind == 1 else 3
            count = 6 if six else 3
            self._axes[first : first + count] = np.frombuffer(report, "<i2", count, offset=1)
            self._last_report = now

    def _wish(self, pressed: int) -> HumanInput:
        if self._motion.in_tool_frame and self._tool is None:
            return HumanInput()  # nobody has shown where the tool points to
        entries = self._entries()
        self._driving = bool(np.linalg.norm(entries) > _MOVED) or pressed != 0
        if not self._driving:
            return HumanInput()
        if pressed in (0b01, 0b10):  # both together say nothing
            self._gripper_open = pressed == 0b10
        return HumanInput(self._motion.action(entries, gripper_open=self._gripper_open))

    def _entries(self) -> Array:
        part = np.clip(self._axes / _FULL_SCALE, -1.0, 1.0)
        part = np.sign(part) * np.maximum(0.0, np.abs(part) - self._dead_zone) / (1.0 - self._dead_zone)
        right, near, down, about_right, about_near, about_down = part.tolist()
        # Forward, left and up are -near, -right and -down: a rotation, so it maps rotation vectors, too.
        shift: Vector = (-near, -right, -down)
        turn: Vector = (-about_near, -about_right, -about_down)
        return self._motion.full(
            rotation.rotate(self._facing, shift),
            rotation.rotate(self._facing, turn),
            self._tool or rotation.IDENTITY,
        )

    def _rest(self) -> None:
        self._axes = np.zeros(6)
        self._buttons = 0
        self._last_report = -math.inf

    # -- a device that comes and goes ----------------------------------------------------------------------------

    def _lose(self, now: float) -> None:
        if self._device is not None:
            try:
                self._device.close()
            except (OSError, ValueError):
                _log.debug("the lost SpaceMouse could not be closed", exc_info=True)
        self._device = None
        self._last_try = now
        self._driving = False
        self._rest()

    def _find_again(self, now: float) -> bool:
        """True when a device has been opened meanwhile; else begins an attempt, at most once a second."""
        if self._closed or (self._opening is not None and self._opening.is_alive()):
            return False
        if self._opened is not None:
            self._device, self._opened, self._opening = self._opened, None, None
            self._last_read = now
            _log.info("the SpaceMouse is back")
            return True
        if self._reopen is not None and now - self._last_try >= self.REOPEN_EVERY:
            self._last_try = now
            self._opening = threading.Thread(target=self._try_to_open, args=(self._reopen,), daemon=True)
            self._opening.start()
        return False

    def _try_to_open(self, reopen: Callable[[], HidDevice]) -> None:
        try:
            self._opened = reopen()
        except OSError as error:
            _log.debug("no SpaceMouse yet: %s", error)
