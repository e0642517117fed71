"""A person at the console's keyboard: looks at the recorded state, and gives keyboard events to the page.

What they want to do, and when they take over, is the simulated person's business; here it becomes keys. A key is held
or not, so their motion is coarser than a joystick's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robot_rlhf.apps.build import build_person, build_world
from robot_rlhf.apps.config import TrainConfig
from robot_rlhf.datatypes import Action, EpisodeEnd, HumanInput, Observation, Step
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
PERIOD = 0.05
SPEED = 0.5
"""The console's middle speed level, which `prepare` chooses: share of the full action while a key is down."""
LONG = 2.0
"""Steps that one push makes towards something far."""
FAR = 0.99
"""Motion from here on is the most that can be wanted: it is still far."""
FAINT = 0.15
"""Motion below this share of the full action is none."""
LAG = 0.12
"""Seconds from a key's release until a person has seen what it did."""
IDLE = 1.0
"""Seconds without a record after which the person does something: a demonstration waits for their hands."""


AT_KEYS = PersonConfig(burst=2.5)
"""Attentive, with longer corrections: a few pushes of a key do what a joystick does in half a second."""


PUSH = """(pushes) => {
    for (const [code, ms] of Object.entries(pushes)) {
        const tell = (type) => document.body.dispatchEvent(
            new KeyboardEvent(type, {code, key: code, bubbles: true, cancelable: true}));
        tell('keydown');
        setTimeout(() => tell('keyup'), ms);
    }
}"""
"""Keys go down together, and up again after the time of each: timed in the page, as fingers are, not by a script that
shares two processor cores with all the rest."""


class KeyboardOperator:
    """Call `tick` some twenty times a second or more; it presses and releases keys. `release` lets go of all."""

    def __init__(
        self,
        page: Any,
        journal: Path,
        config: TrainConfig,
        *,
        practice: PersonConfig = AT_KEYS,
        demonstration: PersonConfig = PEOPLE["attentive"],
    ) -> None:
        """
        Args:
            page: Playwright's.
            journal: of the running session.
            practice, demonstration: what kind of person it is in either.
        """
        world = build_world(config, FakeClock(), cameras=False)
        self._people = {"practice": build_person(world, practice), "demonstration": build_person(world, demonstration)}
        self._person = self._people["practice"]
        self._layout = world.spec.action
        self._tail = JournalTail(journal, pictures=False)
        self._page = page
        self._lead = False
        self._human = HumanInput()
        self._pushed = 0.0
        """When the last push ended."""
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
            self._human = human
        if self._human.action is not None:
            self._pulse(self._human)
        if time.monotonic() - self._last_record > IDLE:
            self._wake_up()

    def _pulse(self, human: HumanInput) -> None:
        """Move as people do with keys: a short push, a look at what it did, the next one."""
        assert human.action is not None
        if self._seen is None or self._seen.stamp <= self._pushed + LAG:
            return
        self.release()
        pushes = self._pushes(human.action, self._seen)
        if pushes:
            self._page.evaluate(PUSH, {key: 1e3 * seconds for key, seconds in pushes.items()})
            self._pushed = time.monotonic() + max(pushes.values())
            self.presses += len(pushes)

    def _pushes(self, action: Action, seen: Observation) -> dict[str, float]:
        """Keys and how long to hold each, seconds."""
        wish = dict(zip(self._layout.names, action.values.tolist(), strict=True))
        motion = {name: value for name, value in wish.items() if name in KEYS and abs(value) >= FAINT}
        together = math.sqrt(max(1, sum(name in "xyz" for name in motion)))  # keys held together share the speed
        pushes: dict[str, float] = {}
        for name, value in motion.items():
            steps = LONG if abs(value) > FAR else abs(value)
            speed = SPEED / together if name in "xyz" else SPEED
            pushes[KEYS[name][0 if value > 0 else 1]] = steps * PERIOD / speed
        if "gripper" in wish and (wish["gripper"] >= 0) != (seen.gripper_target > 0.5):
            pushes[OPEN if wish["gripper"] >= 0 else CLOSE] = 2 * PERIOD
        return pushes

    def _wake_up(self) -> None:
        """Nothing has happened for a while: begin a demonstration, or go on after a pause."""
        self._last_record = time.monotonic()
        self.presses += 1
        if self._open:
            self.release()
            self._page.keyboard.press(RESUME)
            self.resumed += 1
        else:
            self._page.keyboard.down(LEAD)
            self._lead = True

    def release(self) -> None:
        """Let go of the lead."""
        if self._lead:
            self._page.keyboard.up(LEAD)
            self._lead = False


def prepare(page: Any) -> None:
    """Choose the middle speed, and press the frame key until motion is typed in the base frame."""
    page.keyboard.press("Digit2")
    for _ in range(4):
        if page.evaluate("() => (window.seen.controls || {}).frame") == "base":
            return
        page.keyboard.press("KeyF")
        page.wait_for_timeout(200)
    raise RuntimeError("the console's frame does not become 'base'")
