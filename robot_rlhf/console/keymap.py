"""Which key, gamepad button and stick does what, and the help that pages show about it.

Keys are KeyboardEvent.code values: the place of a key, whatever the keyboard's language. Gamepads are in the browser's
standard mapping (https://www.w3.org/TR/gamepad/#remapping). Keys and buttons follow gym-hil and LeRobot where those
have one: arrows, left Shift down, right Shift up, left Control close, right Control open, Space, Enter, Escape, R; RB,
Y, A, X.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from robot_rlhf.datatypes import Button

AXES: tuple[str, ...] = ("x", "y", "z", "rx", "ry", "rz")
"""Typed motion: forward, left, up; then turning by the right hand about forward, left, up.

So rx > 0 rolls to the right, ry > 0 pitches forward, rz > 0 turns to the left.
"""
GRIPPER = "gripper"

MOTION_KEYS: Mapping[str, tuple[str, float]] = {
    "ArrowUp": ("x", 1.0),
    "KeyW": ("x", 1.0),
    "ArrowDown": ("x", -1.0),
    "KeyS": ("x", -1.0),
    "ArrowLeft": ("y", 1.0),
    "KeyA": ("y", 1.0),
    "ArrowRight": ("y", -1.0),
    "KeyD": ("y", -1.0),
    "ShiftRight": ("z", 1.0),
    "KeyE": ("z", 1.0),
    "PageUp": ("z", 1.0),
    "ShiftLeft": ("z", -1.0),
    "KeyQ": ("z", -1.0),
    "PageDown": ("z", -1.0),
    "KeyO": ("rx", 1.0),
    "KeyU": ("rx", -1.0),
    "KeyI": ("ry", 1.0),
    "KeyK": ("ry", -1.0),
    "KeyJ": ("rz", 1.0),
    "KeyL": ("rz", -1.0),
}
GUIDE_KEYS = ("KeyW", "KeyS", "KeyA", "KeyD", "KeyE", "KeyQ", "KeyJ", "KeyL")
"""Keys whose motion is drawn over the pictures: one for each way to move, and for turning about up."""
PAD_AXES: Mapping[int, tuple[str, float]] = {0: ("y", -1.0), 1: ("x", -1.0), 2: ("rz", -1.0), 3: ("z", -1.0)}
"""Index of a gamepad's axis to the typed motion of +1; the browser counts right and down as positive."""
DEAD_ZONE = 0.12
"""A gamepad's axis counts from here on, rescaled to begin at zero."""

Grip = Literal["toggle", "open", "close"]
GRIP_CONTROLS: Mapping[str, Grip] = {
    "KeyG": "toggle",
    "ControlRight": "open",
    "KeyV": "open",
    "Pad7": "open",
    "ControlLeft": "close",
    "KeyC": "close",
    "Pad6": "close",
}
"""Key, or gamepad button as 'Pad' and its index, to what it does with the gripper."""
LEAD_CONTROLS = frozenset({"Space", "Pad5", "ScreenLead"})
REWIND_CONTROLS = frozenset({"KeyB", "Pad1"})


class Local(enum.StrEnum):
    """A press that concerns the page and the hands, not the robot; equal to its word, for a page to be told."""

    SPEED = "speed"
    FRAME = "frame"
    MODE = "mode"


class Toggle(enum.Enum):
    """A press whose meaning depends on what is so already."""

    FASTER = "faster"
    SLOWER = "slower"


Meaning = Button | Local | Toggle | int
"""What a press means; an int is a speed level, from 1."""

PRESSES: Mapping[str, Meaning] = {
    "KeyX": Button.STOP,
    "Pad8": Button.STOP,
    "Enter": Button.SUCCESS,
    "NumpadEnter": Button.SUCCESS,
    "Pad3": Button.SUCCESS,
    "Escape": Button.FAILURE,
    "Pad0": Button.FAILURE,
    "Backspace": Button.DISCARD,
    "Pad2": Button.DISCARD,
    "KeyR": Button.RESET,
    "KeyB": Button.REWIND,
    "Pad1": Button.REWIND,
    "KeyP": Button.PAUSE,
    "KeyN": Button.RESUME,
    "ScreenAway": Button.PAUSE,  # no key: the page lost the window's focus while it drove
    "Pad9": Button.PAUSE,
    "Pad15": Button.RESUME,
    "Digit1": 1,
    "Numpad1": 1,
    "Digit2": 2,
    "Numpad2": 2,
    "Digit3": 3,
    "Numpad3": 3,
    "Pad12": Toggle.FASTER,
    "Pad13": Toggle.SLOWER,
    "KeyF": Local.FRAME,
    "KeyM": Local.MODE,
}
"""Key, or gamepad button, to what happens once when it goes down. Reported in this order: STOP comes first.

To pause and to go on are two keys: whoever means to pause never wakes the robot, whatever it did a moment before.
"""
PAGE_KEYS = frozenset({"KeyT", "KeyH", "KeyZ", "KeyY"})
"""Keys that the page answers by itself, at once: into the text box, the list of keys, to take a sentence back, and
while it is held, the microphone."""
TALK_KEY = "KeyY"

KNOWN = frozenset({*MOTION_KEYS, *GRIP_CONTROLS, *LEAD_CONTROLS, *PRESSES})
"""Every key and button that does anything."""

MICROPHONE = "microphone"
"""What the talk key needs, as if it were an entry of the action: the page knows whether somebody listens."""
Group = Literal["move", "turn", "gripper", "lead", "judge", "session", "settings"]


@dataclass(frozen=True)
class KeyHelp:
    """One line of the help."""

    keys: tuple[str, ...]
    """KeyboardEvent.code values, so that a page can light them up while held; a gamepad's words in PAD_HELP."""
    does: str
    group: Group
    needs: str = ""
    """Entry of the action without which it does nothing; empty when it always works."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What is printed on the keys."""
        return tuple(key_label(key) for key in self.keys)


_LABELS: Mapping[str, str] = {
    "ArrowUp": "↑",
    "ArrowDown": "↓",
    "ArrowLeft": "←",
    "ArrowRight": "→",
    "ShiftLeft": "left Shift",
    "ShiftRight": "right Shift",
    "ControlLeft": "left Ctrl",
    "ControlRight": "right Ctrl",
    "PageUp": "Page up",
    "PageDown": "Page down",
    "Escape": "Esc",
    "NumpadEnter": "Enter (numbers)",
}


def key_label(code: str) -> str:
    """What is printed on a key of an English keyboard, for a KeyboardEvent.code; other words as they are."""
    if code in _LABELS:
        return _LABELS[code]
    for prefix, suffix in (("Key", ""), ("Digit", ""), ("Numpad", " (numbers)")):
        rest = code.removeprefix(prefix)
        if rest != code and len(rest) == 1:
            return rest + suffix
    return code


KEY_HELP: tuple[KeyHelp, ...] = (
    KeyHelp(("ArrowUp", "KeyW"), "forward", "move", "x"),
    KeyHelp(("ArrowDown", "KeyS"), "back", "move", "x"),
    KeyHelp(("ArrowLeft", "KeyA"), "left", "move", "y"),
    KeyHelp(("ArrowRight", "KeyD"), "right", "move", "y"),
    KeyHelp(("KeyE", "ShiftRight", "PageUp"), "up", "move", "z"),
    KeyHelp(("KeyQ", "ShiftLeft", "PageDown"), "down", "move", "z"),
    KeyHelp(("KeyJ",), "turn left", "turn", "rz"),
    KeyHelp(("KeyL",), "turn right", "turn", "rz"),
    KeyHelp(("KeyI",), "tip forward", "turn", "ry"),
    KeyHelp(("KeyK",), "tip back", "turn", "ry"),
    KeyHelp(("KeyU",), "roll left", "turn", "rx"),
    KeyHelp(("KeyO",), "roll right", "turn", "rx"),
    KeyHelp(("KeyG",), "open or close", "gripper", GRIPPER),
    KeyHelp(("KeyC", "ControlLeft"), "close", "gripper", GRIPPER),
    KeyHelp(("KeyV", "ControlRight"), "open", "gripper", GRIPPER),
    KeyHelp(("Space",), "take the lead (hold, or toggle)", "lead"),
    KeyHelp(("KeyB",), "rewind while held", "lead"),
    KeyHelp(("Enter", "NumpadEnter"), "success", "judge"),
    KeyHelp(("Escape",), "failure", "judge"),
    KeyHelp(("Backspace",), "discard the episode", "judge"),
    KeyHelp(("KeyX",), "STOP", "session"),
    KeyHelp(("KeyP",), "pause", "session"),
    KeyHelp(("KeyN",), "go on after a pause", "session"),
    KeyHelp(("KeyR",), "reset, next episode", "session"),
    KeyHelp(("Digit1", "Numpad1"), "slow", "settings"),
    KeyHelp(("Digit2", "Numpad2"), "medium speed", "settings"),
    KeyHelp(("Digit3", "Numpad3"), "full speed", "settings"),
    KeyHelp(("KeyF",), "frame: base, tool, camera", "settings"),
    KeyHelp(("KeyM",), "mode: hold or toggle", "settings"),
    KeyHelp(("KeyT",), "type a sentence", "settings"),
    KeyHelp(("KeyZ",), "take back what was said last", "settings"),
    KeyHelp((TALK_KEY,), "speak while held", "settings", MICROPHONE),
    KeyHelp(("KeyH",), "show or hide help", "settings"),
)
PAD_HELP: tuple[KeyHelp, ...] = (
    KeyHelp(("left stick ↑↓",), "forward, back", "move", "x"),
    KeyHelp(("left stick ←→",), "left, right", "move", "y"),
    KeyHelp(("right stick ↑↓",), "up, down", "move", "z"),
    KeyHelp(("right stick ←→",), "turn left, right", "turn", "rz"),
    KeyHelp(("LT",), "close", "gripper", GRIPPER),
    KeyHelp(("RT",), "open", "gripper", GRIPPER),
    KeyHelp(("RB",), "take the lead (hold, or toggle)", "lead"),
    KeyHelp(("B",), "rewind while held", "lead"),
    KeyHelp(("Y",), "success", "judge"),
    KeyHelp(("A",), "failure", "judge"),
    KeyHelp(("X",), "discard the episode", "judge"),
    KeyHelp(("Back",), "STOP", "session"),
    KeyHelp(("Start",), "pause", "session"),
    KeyHelp(("D-pad →",), "go on after a pause", "session"),
    KeyHelp(("D-pad ↑",), "faster", "settings"),
    KeyHelp(("D-pad ↓",), "slower", "settings"),
)
