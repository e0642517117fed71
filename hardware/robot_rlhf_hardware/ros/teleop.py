"""A person's hands over ROS topics: a gamepad (Joy) and a 3D mouse (spacenav)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_rlhf.datatypes import Action, ActionLayout, Array, Button, HumanInput, Phase, Situation
from robot_rlhf.errors import RobotRlhfError
from robot_rlhf.safety import rotation
from robot_rlhf.safety.rotation import POINTING_DOWN, Quaternion, Vector
from robot_rlhf_hardware.ros.bus import Bus
from robot_rlhf_hardware.ros.diagnostics import Level, Status
from robot_rlhf_hardware.ros.messages import MessageError, twist_of
from robot_rlhf_hardware.ros.topics import POLICY_TOPICS, named
from robot_rlhf_hardware.teleop import ToolMotion, orientation_of

JOY, MOUSE = "joy", "mouse"
STILL = (Phase.PAUSED, Phase.REWINDING)
ABOUT_AN_EPISODE = frozenset({Button.SUCCESS, Button.FAILURE, Button.DISCARD, Button.RESET})
"""Pressed between two episodes they are about neither, and do not count."""


@dataclass(frozen=True)
class TeleopSettings:
    """The parameters of `hardware.ros.nodes.TELEOP`; what they mean stands there."""

    teleop: str
    operator_timeout: float
    facing: float
    axis_x: int
    axis_y: int
    axis_z: int
    axis_rx: int
    axis_ry: int
    axis_rz: int
    axes_inverted: tuple[int, ...]
    deadzone: float
    button_enable: int
    button_gripper: int
    button_open: int
    button_close: int
    button_success: int
    button_failure: int
    button_discard: int
    button_pause: int
    button_stop: int
    button_release: int
    button_reset: int
    button_end: int
    spacenav_full: float

    @property
    def judgements(self) -> dict[int, Button]:
        """Joy button to what a press of it says; those that are switched off are left out."""
        pairs = (
            (self.button_success, Button.SUCCESS),
            (self.button_failure, Button.FAILURE),
            (self.button_discard, Button.DISCARD),
            (self.button_stop, Button.STOP),
            (self.button_release, Button.RELEASE),
            (self.button_reset, Button.RESET),
            (self.button_end, Button.END),
        )
        return {index: button for index, button in pairs if index >= 0}


class RosTeleop:
    """A Teleop and a Monitor.

    Whoever holds the enable button (or, without one, deflects an axis) drives; a 3D mouse drives while it is deflected.
    A press counts once, however long it is held; what a message has no entry for is not pressed. A device that says
    nothing for `operator_timeout`, or something that is no number, is gone: `read` gives None.
    """

    def __init__(
        self,
        bus: Bus,
        settings: TeleopSettings,
        layout: ActionLayout,
        *,
        on_stop: Callable[[str], None] = lambda _: None,
        on_release: Callable[[], object] = lambda: None,
    ) -> None:
        """
        Args:
            on_stop: called with a reason as soon as STOP is pressed, in the bus's thread.
            on_release: called as soon as RELEASE is pressed.
        """
        self._bus = bus
        self._settings = settings
        self._motion = ToolMotion(layout, "gamepad")
        self._layout = layout
        self._on_stop = on_stop
        self._on_release = on_release
        self._lock = threading.Lock()
        self._heard = {JOY: -float("inf"), MOUSE: -float("inf")}
        """When each device last made sense."""
        self._needed = MOUSE if settings.teleop == "spacenav" else JOY
        """Without it nobody is there: of two devices the gamepad, which has the buttons."""
        self._bad: dict[str, str] = {}
        """What is wrong with a device's last message."""
        self._down: frozenset[int] = frozenset()
        self._pressed: set[Button] = set()
        self._joy: tuple[Vector, Vector] | None = None
        """Shift and turn of the gamepad while its hands are on."""
        self._mouse: tuple[Vector, Vector] | None = None
        self._open = True
        self._tool: Quaternion = POINTING_DOWN
        self._still = self._between = False
        self.messages = 0
        if settings.teleop in ("joy", "both"):
            bus.subscription(named(POLICY_TOPICS, "joy"), self._take_joy)
        if settings.teleop in ("spacenav", "both"):
            bus.subscription(named(POLICY_TOPICS, "spacenav/twist"), self._take_twist)

    @property
    def present(self) -> bool:
        """The device speaks, and makes sense; of two the gamepad, on which STOP is, and neither speaks nonsense."""
        with self._lock:
            return self._is_present()

    def _is_present(self) -> bool:
        return not self._bad and self._speaks(self._needed)

    def _speaks(self, device: str) -> bool:
        return self._bus.clock.now() - self._heard[device] <= self._settings.operator_timeout

    def _let_go_of_the_silent(self) -> bool:
        """A device that falls silent while it drives drives no more, though the other one is there."""
        lost = False
        if self._joy is not None and not self._speaks(JOY):
            self._joy, lost = None, True
        if self._mouse is not None and not self._speaks(MOUSE):
            self._mouse, lost = None, True
        return lost

    def read(self) -> HumanInput | None:
        with self._lock:
            pressed, self._pressed = frozenset(self._pressed), set()
            lost = self._let_go_of_the_silent()
            if not self._is_present():
                return HumanInput(None, pressed) if pressed else None
            if lost:
                pressed |= {Button.PAUSE}
            hands = self._joy or self._mouse
            return HumanInput(self._action(*hands) if hands else None, pressed)

    def show(self, situation: Situation) -> None:
        with self._lock:
            self._still = situation.phase in STILL
            if situation.phase is Phase.RESETTING:
                self._between = True
                self._pressed -= ABOUT_AN_EPISODE
            elif situation.phase is Phase.RUNNING:
                self._between = False
            seen = situation.observation
            if seen is None:
                return
            if self._motion.in_tool_frame:
                self._tool = orientation_of(seen.tool_pose_in_base)
            if not (self._joy or self._mouse):
                self._open = seen.gripper_target > 0.5  # taking over keeps the gripper as it is

    def _action(self, shift: Vector, turn: Vector) -> Action:
        entries: Array = self._motion.full(shift, turn, self._tool)
        return self._motion.action(entries, gripper_open=self._open)

    # -- what comes --------------------------------------------------------------------------------------------------

    def _take_joy(self, message: Any) -> None:
        settings = self._settings
        down = frozenset(np.flatnonzero(np.asarray(message.buttons)).tolist())
        try:
            shift, turn = self._axes(np.asarray(message.axes, np.float64))
        except RobotRlhfError as error:
            with self._lock:
                stops = settings.button_stop in down - self._down
                self._down = down
                self._pressed |= {Button.STOP} if stops else set()
            if stops:  # whatever else is wrong with the message
                self._on_stop("STOP was pressed on the gamepad")
            self._make_no_sense(JOY, f"joy: {error}")
            return
        with self._lock:
            new, self._down = down - self._down, down
            self._heard[JOY] = self._bus.clock.now()
            self._bad.pop(JOY, None)
            self.messages += 1
            pressed = {button for index, button in settings.judgements.items() if index in new}
            if settings.button_pause in new:
                pressed.add(Button.RESUME if self._still else Button.PAUSE)
            self._pressed |= pressed - ABOUT_AN_EPISODE if self._between else pressed
            moving = any(shift) or any(turn)
            on = settings.button_enable in down if settings.button_enable >= 0 else moving
            self._joy = (shift, turn) if on else None
            if on or self._mouse:
                self._grip(new, down)
        if Button.STOP in pressed:
            self._on_stop("STOP was pressed on the gamepad")
        elif Button.RELEASE in pressed:
            self._on_release()

    def _grip(self, new: frozenset[int], down: frozenset[int]) -> None:
        settings = self._settings
        if settings.button_gripper in new:
            self._open = not self._open
        if settings.button_open in down:
            self._open = True
        elif settings.button_close in down:
            self._open = False

    def _axes(self, axes: np.ndarray) -> tuple[Vector, Vector]:
        """Shift and turn in the base frame, each entry in [-1, 1]."""
        settings = self._settings
        wanted = (settings.axis_x, settings.axis_y, settings.axis_z)
        turned = (settings.axis_rx, settings.axis_ry, settings.axis_rz)
        if max(*wanted, *turned) >= len(axes):
            raise MessageError("Joy.axes", f"{len(axes)} axes", f"at least {max(*wanted, *turned) + 1}, as mapped")
        if not np.isfinite(axes).all():
            raise MessageError("Joy.axes", axes.tolist(), "finite numbers")
        x, y, z, rx, ry, rz = (self._axis(axes, index) for index in (*wanted, *turned))
        return self._faced((x, y, z), (rx, ry, rz))

    def _axis(self, axes: np.ndarray, index: int) -> float:
        if index < 0:
            return 0.0
        sign = -1.0 if index in self._settings.axes_inverted else 1.0
        return sign * undead(float(axes[index]), self._settings.deadzone)

    def _faced(self, shift: Vector, turn: Vector) -> tuple[Vector, Vector]:
        if self._settings.facing == 0.0:
            return shift, turn
        q = rotation.exp((0.0, 0.0, self._settings.facing))
        return rotation.rotate(q, shift), rotation.rotate(q, turn)

    def _take_twist(self, message: Any) -> None:
        try:
            values = twist_of(message) / self._settings.spacenav_full
        except RobotRlhfError as error:
            self._make_no_sense(MOUSE, f"spacenav/twist: {error}")
            return
        x, y, z, rx, ry, rz = (undead(value, self._settings.deadzone) for value in values.tolist())
        with self._lock:
            self._heard[MOUSE] = self._bus.clock.now()
            self._bad.pop(MOUSE, None)
            self.messages += 1
            moving = any((x, y, z, rx, ry, rz))
            self._mouse = self._faced((x, y, z), (rx, ry, rz)) if moving else None

    def _make_no_sense(self, device: str, why: str) -> None:
        with self._lock:
            before = self._bad.get(device)
            self._bad[device] = why
            self._joy = self._mouse = None
        if not before:
            self._bus.log(logging.WARNING, f"{why}: the operator counts as gone")

    def status(self) -> Status:
        """For the diagnostics."""
        with self._lock:
            if self._bad:
                return Status("operator", Level.ERROR, "; ".join(self._bad.values()))
            if not self._is_present():
                return Status("operator", Level.STALE, "the device is silent")
            driving = bool(self._joy or self._mouse)
            return Status("operator", Level.OK, "driving" if driving else "there", {"messages": str(self.messages)})


def undead(value: float, deadzone: float) -> float:
    """A deflection without the dead zone around rest, clipped to [-1, 1], still continuous and still reaching 1."""
    size = min(abs(value), 1.0)
    if size <= deadzone:
        return 0.0
    scaled = (size - deadzone) / (1.0 - deadzone)
    return scaled if value > 0 else -scaled
