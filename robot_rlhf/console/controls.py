"""What a person's keys, gamepad and on-screen sticks mean: wishes for the robot, and presses. Pure; time is given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from robot_rlhf.console.frames import FRAMES, Frame, View, directions
from robot_rlhf.console.keymap import (
    AXES,
    DEAD_ZONE,
    GRIP_CONTROLS,
    GRIPPER,
    KEY_HELP,
    KNOWN,
    LEAD_CONTROLS,
    MOTION_KEYS,
    PAD_AXES,
    PAD_HELP,
    PRESSES,
    REWIND_CONTROLS,
    Grip,
    KeyHelp,
    Local,
    Toggle,
)
from robot_rlhf.console.page_input import PageInput
from robot_rlhf.datatypes import ActionLayout, Button
from robot_rlhf.errors import ConfigError, InvalidValueError, UnknownNameError

TAP = 0.1
"""Seconds that a press of the gripper's keys leads at least, so that the robot's loop sees even the shortest tap."""
GRIP_MEMORY = 0.3
"""Seconds after the lead for which the person's own last word on the gripper is newer than what the robot shows."""
BUTTON_DOWN = 0.5
"""A gamepad's trigger counts as pressed from here on."""

Mode = Literal["hold", "toggle"]
MODES: tuple[Mode, ...] = ("hold", "toggle")
Pressed = Button | Local
"""Something that was pressed just now."""


class Hands:
    """The state of one operator's controls.

    Mode 'hold': the person leads while a key of motion or of the gripper, a stick, or the lead button is held; the
    lead button alone holds the robot still. Mode 'toggle': the lead button takes the lead and gives it back; any
    motion takes it too. While rewinding nobody leads. Nothing that was held before the hands began, or before
    `let_go`, counts until it has been released once; only STOP always counts.
    """

    def __init__(
        self,
        layout: ActionLayout,
        *,
        speeds: Sequence[float] = (0.25, 0.5, 1.0),
        speed_level: int = 2,
        mode: Mode = "hold",
        frame: Frame = "base",
    ) -> None:
        """Hands that are off.

        Args:
            layout: what the robot's actions mean; entries that are no Cartesian motion stay 0.
            speeds: fraction of the full action per speed level, rising, in (0, 1].
            speed_level: from 1 to len(speeds).
            mode: how the lead is taken.
            frame: in which motion is typed.

        Raises:
            ConfigError: the layout scales a Cartesian entry by nothing.
            InvalidValueError: settings that are not allowed.
        """
        if not speeds or not all(0 < s <= 1 for s in speeds) or list(speeds) != sorted(set(speeds)):
            raise InvalidValueError("Hands.speeds", tuple(speeds), "rising fractions in (0, 1]")
        scale = dict(zip(layout.names, layout.scale.tolist(), strict=True))
        flat = [name for name in AXES if name in scale and not scale[name] > 0]
        if flat:
            raise ConfigError(f"ActionLayout.scale of {flat[0]!r} is {scale[flat[0]]}: motion needs one > 0")
        self._layout = layout
        self._scale = np.array([scale.get(name, 0.0) for name in AXES])
        has = frozenset(scale)
        self._motion_keys = {code: aim for code, aim in MOTION_KEYS.items() if aim[0] in has}
        self._pad_axes = {i: aim for i, aim in PAD_AXES.items() if aim[0] in has}
        self._grips: Mapping[str, Grip] = GRIP_CONTROLS if GRIPPER in has else {}
        self.speeds = tuple(speeds)
        self.speed_level = speed_level
        self._raw: frozenset[str] = frozenset()
        self._paddles: dict[str, tuple[str, float]] = {}
        self._muted: frozenset[str] = frozenset()
        self._now = 0.0
        self.let_go()
        self.mode = mode
        self.frame = frame

    # -- settings ----------------------------------------------------------------------------------------------------

    @property
    def mode(self) -> Mode:
        """'hold' or 'toggle'; changing it takes the hands off."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        if mode not in MODES:
            raise UnknownNameError("mode of the hands", str(mode), MODES)
        self._mode: Mode = mode
        self._drop()

    @property
    def frame(self) -> Frame:
        """'base', 'tool' or 'camera': see frames.directions."""
        return self._frame

    @frame.setter
    def frame(self, frame: Frame) -> None:
        if frame not in FRAMES:
            raise UnknownNameError("frame of control", str(frame), FRAMES)
        self._frame: Frame = frame

    @property
    def speed_level(self) -> int:
        """From 1, the slowest, to len(speeds)."""
        return self._speed_level

    @speed_level.setter
    def speed_level(self, level: int) -> None:
        if level not in range(1, len(self.speeds) + 1):
            raise InvalidValueError("Hands.speed_level", level, f"1 to {len(self.speeds)}")
        self._speed_level = level

    @property
    def speed(self) -> float:
        """Fraction of the full action that a held key asks for."""
        return self.speeds[self._speed_level - 1]

    def can(self, entry: KeyHelp) -> bool:
        """Whether this line of the help does anything with this robot's actions."""
        return not entry.needs or entry.needs in self._layout.names

    def help(self) -> tuple[KeyHelp, ...]:
        """The keys that do something, for the page."""
        return tuple(entry for entry in KEY_HELP if self.can(entry))

    def pad_help(self) -> tuple[KeyHelp, ...]:
        """The gamepad's buttons and sticks that do something."""
        return tuple(entry for entry in PAD_HELP if self.can(entry))

    # -- what is held ------------------------------------------------------------------------------------------------

    @property
    def leads(self) -> bool:
        """Whether the person drives: then, and only then, `wish` is an action."""
        if self.rewinding:
            return False
        if self._mode == "toggle":
            return self._lead
        if self._tap is not None and self._tap[0] <= self._now < self._tap[1]:
            return True
        return bool(self._paddles or self._heard & (self._motion_keys.keys() | self._grips.keys() | LEAD_CONTROLS))

    @property
    def rewinding(self) -> bool:
        """True while the person holds a rewind key."""
        return bool(self._heard & REWIND_CONTROLS)

    def let_go(self) -> None:
        """Take the hands off, after a lost connection or for a new operator.

        What is held in the next message counts only after it has been released once.
        """
        self._drop()
        self._deaf = True
        self._grip: float | None = None
        self._grip_said = -math.inf

    def update(self, page: PageInput, now: float) -> list[Pressed]:
        """Take what is held now.

        Args:
            page: the newest message; older ones must not be given any more.
            now: seconds of any steady clock.

        Returns:
            What went down since the last message: buttons for the robot, STOP first, then words for the page.
            Settings have been changed already. STOP takes the hands off.
        """
        self._now = now
        down = _down(page) & KNOWN
        paddles = self._moved(page)
        active = down | paddles.keys()
        stop = any(PRESSES.get(code) is Button.STOP for code in down - self._raw)
        self._raw = down
        if self._deaf:
            self._deaf, self._muted = False, active
        self._muted &= active
        heard = active - self._muted
        fresh = heard - self._heard
        self._heard = heard
        self._paddles = {name: aim for name, aim in paddles.items() if name in heard}
        if stop:
            self.let_go()
            return [Button.STOP]
        self._take_lead(fresh)
        return [pressed for code in PRESSES if code in fresh and (pressed := self._press(code)) is not None]

    def wish(self, view: View) -> tuple[float, ...] | None:
        """What the person wishes right now; to be asked after each `update`.

        Args:
            view: the present, which gives directions their meaning and the gripper its state at a take-over.

        Returns:
            An action in the layout's order and frame, entries in [-1, 1], a gripper's -1 (close) or 1 (open); None
            when the person does not drive.
        """
        presses, self._grip_presses = self._grip_presses, []
        led, self._led = self._led, self.leads
        if not self._led:
            return None
        grip = self._grip
        if grip is None or not (led or 0.0 <= self._now - self._grip_said <= GRIP_MEMORY):
            grip = 1.0 if view.gripper_target >= 0.5 else -1.0
        for press in presses:
            grip = -grip if press == "toggle" else 1.0 if press == "open" else -1.0
        self._grip, self._grip_said = grip, self._now
        values = dict(zip(AXES, self._motion(view), strict=True))
        values[GRIPPER] = grip
        return tuple(values.get(name, 0.0) for name in self._layout.names)

    # -- helpers -----------------------------------------------------------------------------------------------------

    def _drop(self) -> None:
        """Hands off: what is held now counts again after a release only."""
        self._lead = False
        self._led = False
        self._tap: tuple[float, float] | None = None
        self._grip_presses: list[Grip] = []
        self._muted |= self._raw | self._paddles.keys()
        self._heard: frozenset[str] = frozenset()
        self._paddles = {}

    def _moved(self, page: PageInput) -> dict[str, tuple[str, float]]:
        """Sticks out of their rest: name to typed axis and deflection."""
        moved: dict[str, tuple[str, float]] = {}
        for n, pad in enumerate(page.pads):
            for i, (axis, sign) in self._pad_axes.items():
                raw = pad.axes[i] if i < len(pad.axes) else 0.0
                if abs(raw) > DEAD_ZONE:
                    rescaled = math.copysign((abs(raw) - DEAD_ZONE) / (1.0 - DEAD_ZONE), raw)
                    moved[f"Pad{n}Axis{i}"] = (axis, sign * rescaled)
        for name, value in page.sticks.items():
            if value and name in self._layout.names and name in AXES:
                moved[f"Stick{name}"] = (name, value)
        return moved

    def _take_lead(self, fresh: frozenset[str]) -> None:
        presses: set[Grip] = {self._grips[code] for code in fresh & self._grips.keys()}
        if presses:
            self._grip_presses.extend(press for press in _GRIP_ORDER if press in presses)
            self._tap = (self._now, self._now + TAP)
        if self._mode == "toggle":
            if fresh & LEAD_CONTROLS and self._lead:
                self._drop()
            elif fresh & LEAD_CONTROLS or fresh & self._motion_keys.keys() or fresh & self._paddles.keys() or presses:
                self._lead = True

    def _press(self, code: str) -> Pressed | None:
        meaning = PRESSES[code]
        if meaning is Local.FRAME:
            self.frame = FRAMES[(FRAMES.index(self.frame) + 1) % len(FRAMES)]
        elif meaning is Local.MODE:
            self.mode = MODES[(MODES.index(self.mode) + 1) % len(MODES)]
        if isinstance(meaning, Button | Local):
            return meaning
        steps = {Toggle.FASTER: self.speed_level + 1, Toggle.SLOWER: self.speed_level - 1}
        level = steps[meaning] if isinstance(meaning, Toggle) else meaning
        if not 1 <= level <= len(self.speeds):
            return None
        self.speed_level = level
        return Local.SPEED

    def _motion(self, view: View) -> list[float]:
        """Entries x, y, z, rx, ry, rz in the layout's frame; 0 where the layout has none."""
        typed = np.zeros(6)
        aims = [self._motion_keys[code] for code in self._heard & self._motion_keys.keys()]
        for axis, amount in (*aims, *self._paddles.values()):
            typed[AXES.index(axis)] += amount
        means = directions(self._frame, view)
        back = view.tool_rotation.T if self._layout.frame == "tool" else np.eye(3)
        values: list[float] = []
        for part, axes in ((slice(0, 3), means.moving), (slice(3, 6), means.turning)):
            values += _fitted(back @ axes @ (self.speed * _within_ball(typed[part])), self._scale[part])
        return values


_GRIP_ORDER: tuple[Grip, ...] = ("toggle", "open", "close")
"""Of presses in the same message the last counts: better to keep a thing than to drop it."""


def _within_ball(vector: np.ndarray) -> np.ndarray:
    """The vector, shortened to length 1 at most: the same speed in every direction, and in every frame."""
    return vector / max(1.0, float(np.linalg.norm(vector)))


def _fitted(motion: np.ndarray, scale: np.ndarray) -> list[float]:
    """Action entries that move in the direction of `motion` and have its length, where the layout has the entries.

    Args:
        motion: length at most 1. Shape (3,).
        scale: what 1.0 means per entry; 0 where the layout has no such entry. Shape (3,).
    """
    there = scale > 0
    wanted = np.where(there, motion, 0.0)
    # Entries of different scale would bend the direction.
    values = np.divide(wanted, scale, out=np.zeros(3), where=there)
    size = float(np.linalg.norm(values))
    if size > 0:
        values *= float(np.linalg.norm(wanted)) / size
    return np.clip(values, -1.0, 1.0).tolist()


def _down(page: PageInput) -> frozenset[str]:
    """Every key and button that is down, by name."""
    pads = {f"Pad{i}" for pad in page.pads for i, value in enumerate(pad.buttons) if value > BUTTON_DOWN}
    screen = {"ScreenLead"} if page.sticks.get("lead") else frozenset[str]()
    return page.keys | pads | screen
