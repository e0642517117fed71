"""A simulated person: watches the robot, takes over when it goes wrong, corrects briefly, gives back."""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from robot_rlhf.datatypes import (
    Action,
    Assignment,
    Button,
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Event,
    HumanInput,
    Observation,
    RobotSpec,
    Step,
)
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.people.hands import Hands, anticipated
from robot_rlhf.people.spells import Spells

Remaining = Callable[[Observation], float]
"""How far a task still is from done, as a person sees it: metres still to go, 0 when done. Never given to a learner."""
_SLACK = 1e-6
"""Seconds: sums of control periods are not exact."""


@dataclass(frozen=True)
class PersonConfig:
    """What kind of person it is. Times in seconds of robot time, noise as a spread of actions in [-1, 1]."""

    reaction_delay: float = 0.25
    """From seeing a reason to take over to having the hands on the controls."""
    attention: float = 0.5
    """Chance per control period of noticing a reason that is there."""
    patience: float = 1.0
    """How long no progress is watched before it is a reason."""
    indulgence: float = 0.4
    """How long going back is watched before it is a reason."""
    burst: float | None = 0.6
    """Length of a correction; None: to the end of the episode."""
    skill_noise: float = 0.1
    """Wobble of the hand."""
    pause_rate: float = 0.0
    """Chance per control period of stopping for a moment while driving."""
    pause: float = 0.3
    """Mean length of such a stop."""
    error_rate: float = 0.0
    """Chance that a correction begins in a wrong direction, and that a judgement is pressed wrongly."""
    fatigue: float = 0.0
    """Growth of delay and wobble per minute of active driving: 0.5 makes both 1.5 times as large after one minute."""
    budget: float | None = None
    """Active seconds after which the person only watches; None: no end."""
    alarm_force: float = 40.0
    """Contact force, N, that is a reason to take over."""
    sight_delay: float = 0.0
    """How old what the person sees is; of what their own hands have set going since, they know."""
    speed: float = 1.0
    """Largest motion of the hands, as a share of full."""
    keyboard: bool = False
    """Drives by keys: two at a time and three speeds, instead of a stick."""
    key_change: float = 0.1
    """Time that a finger takes to find another key, or another speed."""
    mirror_rate: float = 0.0
    """Chance that a correction begins mirrored, forward for back and left for right, as seen from the other side."""
    mirror: float = 0.5
    """How long it takes to notice that."""
    linger: float = 0.0
    """How long the hands stay on after a correction, without moving, before they give back."""
    presence: float = 1.0
    """Share of practice in which the person watches; in spells of some seconds. Who drives looks."""

    def __post_init__(self) -> None:
        if not 0.0 < self.speed <= 1.0:
            raise InvalidValueError("PersonConfig.speed", self.speed, "above 0 to 1")
        if not 0.0 <= self.sight_delay <= 10.0:
            raise InvalidValueError("PersonConfig.sight_delay", self.sight_delay, "0 to 10 s")
        for name in ("attention", "pause_rate", "error_rate", "mirror_rate", "presence"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InvalidValueError(f"PersonConfig.{name}", getattr(self, name), "0 to 1")
        for name in (
            *("reaction_delay", "patience", "indulgence", "skill_noise", "pause", "fatigue", "alarm_force"),
            *("key_change", "mirror", "linger"),
        ):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0.0):
                raise InvalidValueError(f"PersonConfig.{name}", getattr(self, name), "a number >= 0")
        for name in ("burst", "budget"):
            value = getattr(self, name)
            if value is not None and not value >= 0.0:
                raise InvalidValueError(f"PersonConfig.{name}", value, "None, or seconds >= 0")


PEOPLE: dict[str, PersonConfig] = {
    "attentive": PersonConfig(),
    "lazy": PersonConfig(attention=0.05, patience=2.5),
    "late": PersonConfig(reaction_delay=1.5, patience=2.0),
    "clumsy": PersonConfig(skill_noise=0.25, pause_rate=0.04, error_rate=0.15, fatigue=0.2),
    "thorough": PersonConfig(burst=None),
    "absent": PersonConfig(attention=0.0),
    "slow": PersonConfig(speed=0.4),
    "keys": PersonConfig(keyboard=True, speed=0.6, sight_delay=0.1, skill_noise=0.05, linger=0.1),
    "hasty": PersonConfig(reaction_delay=0.1, patience=0.3, indulgence=0.0, burst=1.5, speed=0.7),
    "distracted": PersonConfig(presence=0.5, reaction_delay=0.5, speed=0.6, linger=0.3),
    "clinging": PersonConfig(burst=None, speed=0.5, pause_rate=0.06, pause=0.5),
    "novice": PersonConfig(
        keyboard=True,
        speed=0.5,
        key_change=0.2,
        sight_delay=0.1,
        skill_noise=0.15,
        pause_rate=0.03,
        reaction_delay=0.4,
        burst=0.8,
        mirror_rate=0.2,
        linger=0.5,
    ),
}
"""Presets. 'thorough' corrects to the end of the episode, which HIL-SERL advises against; 'absent' is never there.

At the controls: 'slow' moves at 0.4 of full, 'keys' has practised hands on the keyboard. When and for how long: 'late'
takes over too late; 'hasty' too early, and gives back late; 'distracted' watches half the time; 'clinging' keeps the
lead for the whole rest of the episode, and stops to think. 'novice' looks for the keys, sees late, takes left for right
now and then, and leaves the hands on without moving.
"""

CAST = ("attentive", "slow", "keys", "late", "hasty", "distracted", "clinging", "novice")
"""People as they are, from a quick expert to a clumsy novice: whatever is said to work works for each of them."""


class Expert(Protocol):
    """The skill of a person: how to go on from any state."""

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action: ...

    def reset(self) -> None: ...


class Mode(enum.Enum):
    """What the person is doing."""

    WATCHING = "watching"
    REACTING = "reacting"
    DRIVING = "driving"
    LINGERING = "lingering"


class SimulatedPerson:
    """A Teleop and a Subscriber: sees each step as it happens, and answers `read` with hands and buttons.

    Takes over after a reaction delay when there has been no progress for `patience`, when the robot moves away from
    what it was near, presses hard, or nears a joint limit. In a demonstration the person drives all the time.
    Everything random comes from the seed of the episode.
    """

    PROGRESS = 0.005
    """Metres that count as progress."""
    AWAY = 0.04
    """Metres of going back that are a reason to take over."""
    NEAR_LIMIT = 0.05
    """Radians from a joint limit that are a reason to take over."""
    SPELL = 3.0
    """Mean length of a look, and of a look away, together, in seconds."""

    def __init__(
        self,
        config: PersonConfig,
        spec: RobotSpec,
        make_expert: Callable[[float, float], Expert],
        remaining: Remaining,
        succeeded: Callable[[Observation], bool],
    ) -> None:
        """
        Args:
            make_expert: the task's scripted expert with a given wobble, and for a given shortest motion of the hands.
            remaining: how far the person thinks it still is.
            succeeded: what the person's eyes tell.
        """
        self.config = config
        self.driven = 0.0
        """Active seconds so far."""
        self._period = spec.control_period
        self._layout = spec.action
        self._make_expert = make_expert
        self._remaining = remaining
        self._succeeded = succeeded
        self._joint_lower = spec.position_lower + self.NEAR_LIMIT
        self._joint_upper = spec.position_upper - self.NEAR_LIMIT
        self._hands = Hands(
            spec.action,
            keyboard=config.keyboard,
            speed=config.speed,
            change=config.key_change,
            period=spec.control_period,
        )
        late = round(config.sight_delay / spec.control_period)
        # What happened and is not yet seen, oldest first: that is what the person sees now; and what their hands have
        # set going since.
        self._sight: deque[Observation] = deque(maxlen=1 + late)
        self._under_way: deque[np.ndarray] = deque(maxlen=late)
        self._looking = Spells(config.presence, self.SPELL, spec.control_period)
        self._begin(np.random.default_rng(0), demonstrating=False)
        self._seen: Observation | None = None

    # -- seeing --------------------------------------------------------------------------------------------------

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._begin(np.random.default_rng([meta.seed, 2]), meta.kind is EpisodeKind.DEMONSTRATION)
        self._see(observation)

    def on_step(self, step: Step) -> None:
        self.note_driven(step)
        self._over = step.terminated or step.truncated
        if self._over:  # now it stands still, and is looked at for as long as it takes
            self._sight.clear()
        self._see(step.next_observation)

    def note_driven(self, step: Step) -> None:
        """What their hands drive of a step, and what words decide, are not the same."""
        if step.driver is Driver.HUMAN and not step.spoken:
            self.driven += self._period

    def on_event(self, event: Event) -> None:
        """The person looks at the robot, not at messages."""

    def on_episode_end(self, end: EpisodeEnd) -> None:
        self._seen = None

    # -- doing ---------------------------------------------------------------------------------------------------

    def read(self) -> HumanInput | None:
        if self._seen is None:
            return HumanInput()
        buttons = self._judge(self._seen)
        if not self._demonstrating:
            self._decide(self._seen)
        if self._mode is Mode.DRIVING:
            action = self._drive(self._seen)
        elif self._mode is Mode.LINGERING:
            action = self._resting(self._seen)
        else:
            action = None
        self._gripper = None if action is None else self._gripper_of(action)
        return HumanInput(action, buttons)

    def _begin(self, rng: np.random.Generator, demonstrating: bool) -> None:
        self._rng = rng
        self._demonstrating = demonstrating
        self._mode = Mode.DRIVING if demonstrating else Mode.WATCHING
        self._expert = self._make_expert(min(1.0, self.config.skill_noise * self._tiredness()), self._hands.tap)
        self._expert.reset()
        self._best = math.inf
        self._since_progress = 0.0
        self._away_for = 0.0
        self._countdown = 0.0
        self._pause_left = 0.0
        self._wrong_left = 0.0
        self._wrong_way = np.zeros(self._layout.size, np.float32)
        self._mirror_left = 0.0
        self._looks = demonstrating or self._looking.begin(rng)
        self._judged = self._over = False
        self._hands.reset()
        self._sight.clear()
        self._under_way.clear()
        self._set_going = np.zeros(self._layout.size)
        self._gripper = None

    def _tiredness(self) -> float:
        return 1.0 + self.config.fatigue * self.driven / 60.0

    def _see(self, newest: Observation) -> None:
        self._sight.append(newest)
        self._under_way.append(self._set_going)
        self._set_going = np.zeros(self._layout.size)
        self._seen = observation = self._sight[0]
        self._left = self._remaining(observation)
        self._looks = self._demonstrating or self._looking.go_on(self._rng) or self._mode is Mode.DRIVING
        if not self._looks:
            self._begin_to_watch()
        elif self._left < self._best - self.PROGRESS:
            self._best = self._left
            self._since_progress = 0.0
        else:
            self._since_progress += self._period
        self._away_for = self._away_for + self._period if self._left > self._best + self.AWAY else 0.0

    def _begin_to_watch(self) -> None:
        self._best = self._left
        self._since_progress = self._away_for = 0.0

    def _reason(self, observation: Observation) -> bool:
        force = float(np.linalg.norm(observation.tool_wrench[:3]))
        joints = observation.joint_position
        at_limit = bool((joints < self._joint_lower).any() or (joints > self._joint_upper).any())
        return (
            self._since_progress > self.config.patience - _SLACK
            or self._away_for > self.config.indulgence + _SLACK
            or force > self.config.alarm_force
            or at_limit
        )

    def _decide(self, observation: Observation) -> None:
        config = self.config
        if self._mode is Mode.WATCHING and self._looks and self._reason(observation):
            tired = config.budget is not None and self.driven >= config.budget
            if not tired and self._rng.random() < config.attention:
                self._mode = Mode.REACTING
                self._countdown = config.reaction_delay * self._tiredness()
        if self._mode is Mode.REACTING:
            if self._countdown > _SLACK:
                self._countdown -= self._period
            elif self._reason(observation):
                self._take_over()
            else:  # it has mended itself meanwhile
                self._mode = Mode.WATCHING
        elif self._mode in (Mode.DRIVING, Mode.LINGERING):
            self._countdown -= self._period
            if self._mode is Mode.DRIVING and self._countdown < _SLACK:
                self._mode, self._countdown = Mode.LINGERING, self._countdown + self.config.linger
            if self._mode is Mode.LINGERING and self._countdown < _SLACK:
                self._mode = Mode.WATCHING
                self._begin_to_watch()

    def _take_over(self) -> None:
        self._mode = Mode.DRIVING
        self._countdown = math.inf if self.config.burst is None else self.config.burst
        self._expert.reset()
        self._hands.reset()
        if self.config.mirror_rate and self._rng.random() < self.config.mirror_rate:
            self._mirror_left = self.config.mirror
        if self._rng.random() < self.config.error_rate:
            self._wrong_left = 4 * self._period
            self._wrong_way = self._rng.uniform(-0.7, 0.7, self._layout.size).astype(np.float32)

    def _drive(self, observation: Observation) -> Action:
        if self._pause_left > 0.0:
            self._pause_left -= self._period
            return self._resting(observation)
        if self._rng.random() < self.config.pause_rate:
            self._pause_left = float(self._rng.exponential(self.config.pause))
        values = self._hands(self._expert.act(self._anticipated(observation), Assignment(), self._rng).values)
        self._set_going = values  # as they believe
        if self._mirror_left > _SLACK:
            self._mirror_left -= self._period
            values = self._mirrored(values)
        if self._wrong_left > _SLACK:
            self._wrong_left -= self._period
            self._set_going = self._wrong_way
            return self._with_gripper_of(self._wrong_way, observation)
        return Action(values)

    def _anticipated(self, seen: Observation) -> Observation:
        """What is seen, and what the hands have set going since."""
        if not self._under_way:
            return seen
        return anticipated(seen, self._layout, np.sum(self._under_way, axis=0), self._gripper)

    def _mirrored(self, values: np.ndarray) -> np.ndarray:
        return np.where([name in ("x", "y") for name in self._layout.names], -values, values)

    def _resting(self, observation: Observation) -> Action:
        return self._with_gripper_of(np.zeros(self._layout.size, np.float32), observation)

    def _with_gripper_of(self, values: np.ndarray, observation: Observation) -> Action:
        """The motion given, with the gripper kept as it was commanded last."""
        values = values.copy()
        if "gripper" in self._layout.names:
            opening = observation.gripper_target if self._gripper is None else self._gripper
            values[self._layout.names.index("gripper")] = 1.0 if opening > 0.5 else -1.0
        return Action(values)

    def _gripper_of(self, action: Action) -> float | None:
        """The opening that an action commands; None without a gripper."""
        if "gripper" not in self._layout.names:
            return None
        return 1.0 if action.values[self._layout.names.index("gripper")] >= 0.0 else 0.0

    def _judge(self, observation: Observation) -> frozenset[Button]:
        """Success as soon as it is seen, failure when the episode is over without one; now and then the wrong one."""
        succeeded = self._succeeded(observation)
        if self._judged or not ((succeeded and self._looks) or self._over):
            return frozenset()
        self._judged = True
        wrong = self._rng.random() < self.config.error_rate
        return frozenset({Button.SUCCESS if succeeded != wrong else Button.FAILURE})
