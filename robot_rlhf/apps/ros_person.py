"""A simulated person at a gamepad: watches the simulated arm, and publishes Joy as a driver of a real one would."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from robot_rlhf.datatypes import (
    Action,
    Button,
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    HumanInput,
    Observation,
    Outcome,
    Step,
)
from robot_rlhf.people.person import PEOPLE, SimulatedPerson
from robot_rlhf_hardware.ros.bus import Bus, Fields, Timer
from robot_rlhf_hardware.ros.messages import joy_fields
from robot_rlhf_hardware.ros.nodes import TELEOP
from robot_rlhf_hardware.ros.topics import ROBOT_SIM_TOPICS, named
from robot_rlhf_sim.varied import SimTask

LOOK_AT = 0.8
"""Part of the control period after a step at which the person looks: shortly before the robot reads the gamepad."""
HANDS_OFF_AFTER = 4.0
"""Control periods without a step after which the hands are taken off."""
PRESS = 0.06
"""Seconds for which a judging button is held down."""
PATIENCE = 0.5
"""Seconds for which a fault or a pause is looked at before it is ended."""
AXES, BUTTONS = 8, 16
_MAP: dict[str, Any] = {parameter.name: parameter.default for parameter in TELEOP}
_AXIS = {name: _MAP[f"axis_{name}"] for name in ("x", "y", "z", "rz")} | {"rx": 6, "ry": 7}
"""The default mapping, and the cross for tilting, as the stand-in's parameters have it."""
_BUTTON: dict[Button, Any] = {
    Button.SUCCESS: _MAP["button_success"],
    Button.FAILURE: _MAP["button_failure"],
    Button.DISCARD: _MAP["button_discard"],
}


class Gamepad(Protocol):
    """Where the hands' state goes."""

    def publish(self, fields: Fields) -> None: ...


class JoyPerson:
    """Follows ~/episode and ~/step of the policy node; its hands are on the mapping of the stand-in's parameters.

    As in one process, the person decides once per control period; the gamepad repeats the last state at `joy_rate`.
    """

    def __init__(self, bus: Bus, joy: Gamepad, values: dict[str, Any], task: SimTask) -> None:
        self._bus = bus
        self._task = task
        self._spec = task.arm.spec
        self._people = {
            EpisodeKind.DEMONSTRATION: self._build(values["demonstrator"]),
            EpisodeKind.PRACTICE: self._build(values["person"]),
        }
        self._person: SimulatedPerson | None = None
        self._look: Callable[[], Observation] | None = None
        self._axes = np.zeros(AXES, np.float32)
        self._buttons = np.zeros(BUTTONS, np.int32)
        self._pressed: dict[int, float] = {}
        self._hands_until = -float("inf")
        self._patient_until = -float("inf")
        self._next: Timer | None = None
        self._joy = joy
        bus.subscription(named(ROBOT_SIM_TOPICS, "policy/episode"), self._hear_episode)
        bus.subscription(named(ROBOT_SIM_TOPICS, "policy/step"), self._hear_step)
        bus.subscription(named(ROBOT_SIM_TOPICS, "policy/situation"), self._hear_situation)
        bus.timer(1.0 / values["joy_rate"], self._repeat)

    def watch(self, look: Callable[[], Observation]) -> None:
        """Args: look: what the person's eyes see."""
        self._look = look

    def _build(self, preset: str) -> SimulatedPerson:
        task = self._task
        return SimulatedPerson(PEOPLE[preset], self._spec, task.expert, task.remaining, succeeded=task.success)

    # -- what the person is told -------------------------------------------------------------------------------------

    def _hear_episode(self, message: Any) -> None:
        told = json.loads(message.data)
        if self._look is None:
            return
        if told["event"] == "end":
            if self._person is not None:
                self._person.on_episode_end(EpisodeEnd(told["id"], Outcome(told["outcome"]), told["steps"]))
            self._person = None
            self._hands_off()
            return
        kind = EpisodeKind(told["kind"])
        self._person = self._people.get(kind)
        if self._person is not None:
            meta = EpisodeMeta(told["id"], told["task"], kind, told["seed"], told["operator"], "none")
            self._person.on_episode_start(meta, self._look())
            self._act(self._person)

    def _hear_step(self, message: Any) -> None:
        if self._person is None or self._look is None:
            return
        told = json.loads(message.data)
        if told["terminated"] or told["truncated"]:
            self._hands_off()
            return
        if self._next is not None:
            self._next.cancel()
        self._next = self._bus.once(LOOK_AT * self._spec.control_period, lambda: self._see(told))

    def _see(self, told: dict[str, Any]) -> None:
        person, look = self._person, self._look
        if person is None or look is None:
            return
        seen = look()
        nothing = Action(np.zeros(self._spec.action.size, np.float32))
        driver = Driver[told["driver"].upper()]
        person.on_step(Step(told["index"], seen, None, nothing, driver, 0.0, False, False, -1, "", seen))
        self._act(person)

    def _hear_situation(self, message: Any) -> None:
        """Whoever stands by releases faults and ends pauses, but not a STOP that somebody pressed."""
        told, now = json.loads(message.data), self._bus.clock.now()
        button = {"stopped": "button_release", "paused": "button_pause"}.get(told["phase"])
        if button is None or "stop" in told["faults"]:
            self._patient_until = now + PATIENCE
        elif now > self._patient_until:
            self._patient_until = now + PATIENCE
            self._pressed[_MAP[button]] = now + PRESS

    # -- what the hands do -------------------------------------------------------------------------------------------

    def _act(self, person: SimulatedPerson) -> None:
        human = person.read() or HumanInput()
        now = self._bus.clock.now()
        self._axes[:] = 0.0
        self._buttons[:] = 0
        if human.action is not None:
            self._hands_until = now + HANDS_OFF_AFTER * self._spec.control_period
            self._buttons[_MAP["button_enable"]] = 1
            for name, value in zip(self._spec.action.names, human.action.values.tolist(), strict=True):
                if name == "gripper":
                    self._buttons[_MAP["button_open" if value >= 0 else "button_close"]] = 1
                else:
                    self._axes[_AXIS[name]] = value
        for button in human.buttons:
            if button in _BUTTON:
                self._pressed[_BUTTON[button]] = now + PRESS
        self._repeat()

    def _hands_off(self) -> None:
        if self._next is not None:
            self._next.cancel()
        self._axes[:] = 0.0
        self._buttons[:] = 0
        self._repeat()

    def _repeat(self) -> None:
        now = self._bus.clock.now()
        if now > self._hands_until:
            self._axes[:] = 0.0
            self._buttons[:] = 0
        buttons = self._buttons.copy()
        for index, until in self._pressed.items():
            buttons[index] = now < until
        self._joy.publish(joy_fields(self._bus.now(), self._axes, buttons))
