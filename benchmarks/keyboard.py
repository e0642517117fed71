"""A person at the console's keyboard: looks at the recorded state, and gives keyboard events to the page.

What they want to do, and when they take over, is the simulated person's business; here it becomes keys. A key is held
or not, so their motion is coarser than a joystick's.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from robot_rlhf.datatypes import EpisodeEnd, HumanInput, Observation, Step
from robot_rlhf.journal.decoder import EpisodeStarted
from robot_rlhf.journal.reader import JournalTail
from robot_rlhf.people.hands import KEY_SPEEDS, anticipated
from robot_rlhf.people.person import PEOPLE, PersonConfig
from robot_rlhf.run.build import open_place
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.timing import FakeClock

KEYS: Mapping[str, tuple[str, str]] = {
    "x": ("KeyW", "KeyS"),
    "y": ("KeyA", "KeyD"),
    "z": ("KeyE", "KeyQ"),
    "rx": ("KeyO", "KeyU"),
    "ry": ("KeyI", "KeyK"),
    "rz": ("KeyJ", "KeyL"),
}
"""Entry of an action to the keys that mean more and less of it, in the base frame."""
AXES = tuple(KEYS)
LEAD, CLOSE, OPEN, RESUME = "Space", "KeyC", "KeyV", "KeyN"
SPEED_KEYS: Mapping[float, str] = dict(zip(KEY_SPEEDS, ("Digit1", "Digit2", "Digit3"), strict=True))
"""The console's speed levels: share of the full action while a key is down."""
PERIOD = 0.05
HOLD = 0.15
"""Seconds after which the page lets go of keys that were not asked for again: the script may have no time."""
DELAY = 0.06
"""Seconds from a key's press until it moves the robot."""
IDLE = 1.0
"""Seconds without a record after which the person does something: a demonstration waits for their hands."""

HOLD_KEYS = """([keys, ms]) => {
    const say = (type, code) => document.body.dispatchEvent(
        new KeyboardEvent(type, {code, key: code, bubbles: true, cancelable: true}));
    const held = window.held_keys || new Set();
    for (const code of held) { if (!keys.includes(code)) { say('keyup', code); } }
    for (const code of keys) { if (!held.has(code)) { say('keydown', code); } }
    window.held_keys = new Set(keys);
    clearTimeout(window.held_timer);
    window.held_timer = setTimeout(() => {
        for (const code of window.held_keys) { say('keyup', code); }
        window.held_keys = new Set();
    }, ms);
}"""
"""Have these keys down and no others; timed in the page, as fingers are, not by a script that shares two processor
cores with all the rest."""


class KeyboardOperator:
    """Call `tick` some twenty times a second or more; it presses and releases keys. `release` lets go of all."""

    def __init__(
        self,
        page: Any,
        journal: Path,
        config: TrainConfig,
        *,
        practice: PersonConfig = PEOPLE["attentive"],
        demonstration: PersonConfig = PEOPLE["attentive"],
    ) -> None:
        """
        Args:
            page: Playwright's.
            journal: of the running session.
            practice, demonstration: what kind of person it is in either.
        """
        world = open_place(config, FakeClock(), cameras=False)
        self._people = {"practice": world.person(practice), "demonstration": world.person(demonstration)}
        self._person = self._people["practice"]
        self._layout = world.spec.action
        self._tail = JournalTail(journal, pictures=False)
        self._page = page
        self._level = ""
        self._keys: tuple[str, ...] = ()
        self._typed: deque[tuple[float, np.ndarray]] = deque(maxlen=16)
        """When which motion was typed, newest last."""
        self._seen: Observation | None = None
        self._last_record = time.monotonic()
        self._open = False
        self.presses = 0
        """Keys that went down so far."""
        self.episodes = 0
        self.resumed = 0
        """Times the session stood still in an episode, and was told to go on."""

    def tick(self) -> None:
        """Look at what is new, and have the keys down that the person wants down now."""
        human: HumanInput | None = None
        for record in self._tail.poll():
            self._last_record = time.monotonic()
            if isinstance(record, EpisodeStarted):
                self._person = self._people.get(record.meta.kind.value, self._person)
                self._person.on_episode_start(record.meta, record.observation)
                self._seen, self._open = record.observation, True
                human = self._person.read()
            elif isinstance(record, Step):
                self._seen = self._anticipated(record.next_observation)
                self._person.on_step(replace(record, next_observation=self._seen))
                human = self._person.read()
            elif isinstance(record, EpisodeEnd):
                self._person.on_episode_end(record)
                self._open = False
                self.episodes += 1
                human = HumanInput()
        if human is not None:
            self._type(human)
        if time.monotonic() - self._last_record > IDLE:
            self._wake_up()

    def release(self) -> None:
        """Let go of every key."""
        self._hold(())

    def _anticipated(self, seen: Observation) -> Observation:
        """What will be when the next keys take effect: people know what their fingers have set going."""
        until = time.monotonic()
        moved = np.zeros(self._layout.size)
        for began, values in reversed(self._typed):
            moved += values * max(0.0, until - max(began, seen.stamp - DELAY)) / PERIOD
            until = min(until, began)
        return anticipated(seen, self._layout, moved)

    def _type(self, human: HumanInput) -> None:
        """Have the keys down whose motion is nearest to what is wanted."""
        if human.action is None or self._seen is None:
            self._hold(())
            return
        wish = dict(zip(self._layout.names, human.action.values.tolist(), strict=True))
        moving, turning = (np.array([wish.get(axis, 0.0) for axis in axes]) for axes in (AXES[:3], AXES[3:]))
        level, typed = min(
            ((level, np.concatenate([_typed(moving, level), _typed(turning, level)])) for level in SPEED_KEYS),
            key=lambda option: float(np.linalg.norm(option[1] - np.concatenate([moving, turning]))),
        )
        keys = [KEYS[axis][0 if value > 0 else 1] for axis, value in zip(AXES, typed.tolist(), strict=True) if value]
        if "gripper" in wish and (wish["gripper"] >= 0) != (self._seen.gripper_target > 0.5):
            keys.append(OPEN if wish["gripper"] >= 0 else CLOSE)
        if keys and SPEED_KEYS[level] != self._level:
            self._level = SPEED_KEYS[level]
            keys.append(self._level)
        motion = dict(zip(AXES, typed.tolist(), strict=True))
        self._typed.append((time.monotonic(), np.array([motion.get(name, 0.0) for name in self._layout.names])))
        self._hold(tuple(keys))

    def _hold(self, keys: tuple[str, ...]) -> None:
        if not keys and not self._keys:
            return
        if not keys:
            self._typed.append((time.monotonic(), np.zeros(self._layout.size)))
        self._page.evaluate(HOLD_KEYS, [list(keys), 1e3 * HOLD])
        self.presses += len(set(keys) - set(self._keys))
        self._keys = keys

    def _wake_up(self) -> None:
        """Nothing has happened for a while: begin a demonstration, or go on after a pause."""
        self._last_record = time.monotonic()
        self.presses += 1
        self.release()
        if self._open:
            self._page.keyboard.press(RESUME)
            self.resumed += 1
        else:
            self._page.keyboard.press(LEAD, delay=300)


def _typed(wanted: np.ndarray, level: float) -> np.ndarray:
    """The motion of keys that is nearest to the wanted one, at a speed level: keys held together share the speed."""
    nearest = np.zeros(3)
    for signs in itertools.product(*((0.0, math.copysign(1.0, w)) if w else (0.0,) for w in wanted.tolist())):
        motion = level * np.array(signs) / max(1.0, math.sqrt(sum(map(abs, signs))))
        if np.linalg.norm(motion - wanted) < np.linalg.norm(nearest - wanted) - 1e-9:
            nearest = motion
    return nearest


def prepare(page: Any) -> None:
    """Press the frame key until motion is typed in the base frame."""
    for _ in range(4):
        if page.evaluate("() => (window.seen.controls || {}).frame") == "base":
            return
        page.keyboard.press("KeyF")
        page.wait_for_timeout(200)
    raise RuntimeError("the console's frame does not become 'base'")
