"""A person at the console's keyboard: looks at the recorded state, and presses and releases real keys of a browser.

What they want to do, and when they take over, is the simulated person's business; here it becomes keys. A key is held
or not, so their motion is coarser than a joystick's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from robot_rlhf.apps.build import build_person, build_world
from robot_rlhf.apps.config import TrainConfig
from robot_rlhf.datatypes import EpisodeEnd, HumanInput, Observation, Step
from robot_rlhf.journal.decoder import EpisodeStarted
from robot_rlhf.journal.reader import JournalTail
from robot_rlhf.timing import FakeClock
from sim.person import PEOPLE, PersonConfig

KEYS: Mapping[str, tuple[str, str]] = {
    "x": ("KeyW", "KeyS"),
    "y": ("KeyA", "KeyD"),
    "z": ("KeyE", "KeyQ"),
    "rx": ("KeyO", "KeyU"),
    "ry": ("KeyI", "KeyK"),
    "rz": ("KeyJ", "KeyL"),
}
"""Entry of an action to the keys that mean more and less of it, in the base frame."""
LEAD, CLOSE, OPEN, RESUME = "Space", "KeyC", "KeyV", "KeyP"
SPEED_KEYS = (("Digit3", 0.6), ("Digit2", 0.3), ("Digit1", 0.0))
"""Speed level by the largest motion that is wanted."""
FAINT = 0.35
"""An axis is pressed when it is wanted at least this much of the largest."""
STILL = 0.04
"""Motion below this is none."""
IDLE = 1.0
"""Seconds without a record after which the person does something: a demonstration waits for their hands."""


class Keyboard(Protocol):
    """Playwright's."""

    def down(self, key: str) -> None: ...

    def up(self, key: str) -> None: ...


class KeyboardOperator:
    """Call `tick` some twenty times a second or more; it presses and releases keys. `release` lets go of all."""

    def __init__(
        self,
        keyboard: Keyboard,
        journal: Path,
        config: TrainConfig,
        *,
        practice: PersonConfig = PEOPLE["attentive"],
        demonstration: PersonConfig = PEOPLE["clumsy"],
    ) -> None:
        """Args: journal: of the running session; practice, demonstration: what kind of person it is in either."""
        world = build_world(config, FakeClock(), cameras=False)
        self._people = {"practice": build_person(world, practice), "demonstration": build_person(world, demonstration)}
        self._person = self._people["practice"]
        self._layout = world.spec.action
        self._tail = JournalTail(journal, pictures=False)
        self._keyboard = keyboard
        self._held: set[str] = set()
        self._speed = ""
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
                self._person.on_step(record)
                self._seen = record.next_observation
                human = self._person.read()
            elif isinstance(record, EpisodeEnd):
                self._person.on_episode_end(record)
                self._open = False
                self.episodes += 1
                human = HumanInput()
        if human is not None:
            self._hold(self._wanted(human))
        elif time.monotonic() - self._last_record > IDLE:
            self._wake_up()

    def _wake_up(self) -> None:
        """Nothing has happened for a while: begin a demonstration, or go on after a pause."""
        self._last_record = time.monotonic()
        if self._open:
            self._hold(set())
            self._press(RESUME)
            self._keyboard.up(RESUME)
            self.resumed += 1
        else:
            self._hold({LEAD})

    def release(self) -> None:
        """Let go of every key."""
        self._hold(set())

    def _wanted(self, human: HumanInput) -> set[str]:
        if human.action is None or self._seen is None:
            return set()
        wish = dict(zip(self._layout.names, human.action.values.tolist(), strict=True))
        motion = {name: value for name, value in wish.items() if name in KEYS}
        largest = max((abs(value) for value in motion.values()), default=0.0)
        keys = {LEAD}
        if largest > STILL:
            self._choose_speed(largest)
            keys |= {
                KEYS[name][0 if value > 0 else 1] for name, value in motion.items() if abs(value) >= FAINT * largest
            }
        if "gripper" in wish and (wish["gripper"] >= 0) != (self._seen.gripper_target > 0.5):
            keys.add(OPEN if wish["gripper"] >= 0 else CLOSE)
        return keys

    def _choose_speed(self, largest: float) -> None:
        key = next(key for key, above in SPEED_KEYS if largest > above)
        if key != self._speed:
            self._speed = key
            self._press(key)
            self._keyboard.up(key)

    def _hold(self, keys: set[str]) -> None:
        for key in self._held - keys:
            self._keyboard.up(key)
        for key in keys - self._held:
            self._press(key)
        self._held = keys

    def _press(self, key: str) -> None:
        self._keyboard.down(key)
        self.presses += 1


def choose_base_frame(page: Any) -> None:
    """Press the frame key until motion is typed in the base frame."""
    for _ in range(4):
        if page.evaluate("() => (window.seen.controls || {}).frame") == "base":
            return
        page.keyboard.press("KeyF")
        page.wait_for_timeout(200)
    raise RuntimeError("the console's frame does not become 'base'")
