"""The guard's law in whole sessions of each mode: who moves, waits, resets and goes back changes nothing of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import robot_rlhf.apps.environments  # noqa: F401 - makes the environments known
from robot_rlhf.apps import ros_policy
from robot_rlhf.datatypes import Action, Assignment, Button, HumanInput, Observation
from robot_rlhf.errors import RobotRlhfError
from robot_rlhf.feedback.arbiter import Arbiter
from robot_rlhf.learner.checkpoint import write_snapshot
from robot_rlhf.run import build
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.practice import arm
from robot_rlhf.run.settings import write_yaml
from robot_rlhf.run.train import train
from robot_rlhf.runtime.exchange import publish
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.runtime.session import Session
from robot_rlhf.runtime.station import EndRequestedError, Station
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.timing import FakeClock, Rate
from robot_rlhf_hardware.fake import FakeRobot
from robot_rlhf_sim import place
from tests.apps.test_ros_policy import World
from tests.apps.watched import WatchedGuard, judge, watch
from tests.run.weights import random_weights
from tests.runtime.runs import tiny
from tests.safety.laws import LIMITS


@pytest.mark.parametrize("mode", ["synchronous", "asynchronous"])
def test_a_run(mode: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    oracles = watch(monkeypatch, place)
    later = replace(tiny(tmp_path).evaluation, every=10**6, final_episodes=2)
    train(tiny(tmp_path, mode=mode, operator="thorough", steps=100, evaluation=later), quiet=True)
    judge(oracles, 100)


def test_an_arm_of_a_parallel_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, beside a learner that has published once."""
    oracles = watch(monkeypatch, place)
    config = tiny(tmp_path, mode="parallel", arms=1, operator="thorough", steps=60)
    run = RunFolder(tmp_path / "run")
    for folder in (run.path, run.exchange, run.journal):
        folder.mkdir(parents=True, exist_ok=True)
    write_yaml(config, run.config)
    spec = build.open_place(config, FakeClock()).spec
    weights = random_weights(config, spec, 1)
    publish(run.exchange, weights, weights, {})
    monkeypatch.setattr(arm._Arm, "_wait_for_learner", _with_first_weights)
    arm._Arm(run, config, 0, arm.Watch(os.getppid())).main()
    judge(oracles, 60)


def _with_first_weights(self: arm._Arm) -> bool:
    while self.policy.version < 0:
        first = self.inbox.take()
        if first is not None:
            self.policy.load(first)
    return True


@pytest.mark.parametrize("command", ["pose", "twist"])
def test_the_policy_node(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Demonstrations, then practice of random weights; the gamepad falls silent, STOP is pressed and released."""
    oracles = watch(monkeypatch, ros_policy)
    settings = {"command": command, "steps": 0}
    World(tmp_path, **settings).run()
    world = World(tmp_path, **{**settings, "steps": 80})
    write_snapshot(
        tmp_path / "ros" / "checkpoints" / "policy.safetensors",
        random_weights(world.core.config, world.core.guard.spec, 1),
    )
    fault = world.faults()

    def silence() -> None:
        fault(silent=["joy"])
        world.at(1.0, fault)

    def stop() -> None:
        world.core.estop.latch("test")
        world.at(2.0, world.core.estop.release)

    world.when(lambda: len(world.steps) >= 15, silence)
    world.when(lambda: len(world.steps) >= 40, stop)
    world.run()
    judge(oracles, 100)


def test_a_gymnasium_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    oracles = watch(monkeypatch, place)
    env = gymnasium.make("robot_rlhf/PickCube-v0")
    env.action_space.seed(0)
    for seed in range(3):
        env.reset(seed=seed)
        for _ in range(40):
            if any(env.step(env.action_space.sample())[2:4]):
                break
    judge(oracles, 80)


class Hands:
    """A person who drives, lets go, pauses, goes back and on, stops and releases, as the generator has it."""

    def __init__(self, rng: np.random.Generator, size: int, reads: int) -> None:
        self._rng, self._size, self._left = rng, size, reads
        self._drives = False

    def read(self) -> HumanInput | None:
        self._left -= 1
        if self._left < 0:
            return HumanInput(None, frozenset({Button.END}))
        if self._rng.random() < 0.1:
            self._drives = not self._drives
        action = Action(self._rng.uniform(-1.0, 1.0, self._size).astype(np.float32)) if self._drives else None
        chance = {Button.PAUSE: 0.06, Button.REWIND: 0.1, Button.RESUME: 0.08, Button.STOP: 0.01, Button.RELEASE: 0.2}
        pressed = frozenset(button for button, share in chance.items() if self._rng.random() < share)
        return None if self._rng.random() < 0.02 else HumanInput(action, pressed)


class Wanderer:
    """A policy that goes one way for a while."""

    version = 0

    def __init__(self, size: int) -> None:
        self._wish = np.zeros(size, np.float32)

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        if rng.random() < 0.2:
            self._wish = rng.uniform(-1.0, 1.0, len(self._wish)).astype(np.float32)
        return Action(self._wish)

    def reset(self) -> None: ...


class GoingHome:
    """A task of a robot that is reset by motion."""

    name, instruction, time_limit = "wander", "wander about", 60
    HOME = (0.4, 0.0, 0.28, 0.0, 1.0, 0.0, 0.0)

    def __init__(self, guard: WatchedGuard) -> None:
        self._guard = guard

    def reset(self, rng: np.random.Generator) -> None:
        self._guard.move_to(self.HOME, 1.0, timeout=3.0)

    def success(self, observation: Observation) -> bool:
        return False


@pytest.mark.parametrize("lag", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_a_session_at_the_console_of_a_robot_that_goes_back_by_motion(lag: float, seed: int) -> None:
    clock = FakeClock()
    robot = FakeRobot(clock, lag=lag)
    guard = WatchedGuard(robot, LIMITS, clock)
    rng = np.random.default_rng(seed)
    size = guard.spec.action.size
    station = Station(
        guard=guard,
        task=GoingHome(guard),
        policy=Wanderer(size),
        arbiter=Arbiter(guard.spec.action, give_back_after=0.4),
        reward=SparseReward(),
        clock=clock,
        teleop=Hands(rng, size, 700),
        attended=True,
        release_faults=False,
        pace=Rate(clock, guard.spec.control_period),
    )
    tally = Tally(guard.spec.control_period)
    with pytest.raises((EndRequestedError, RobotRlhfError)) as ended:
        Session(station, tally, seed, {}).practise(10**6, lambda: False)
    assert ended.type is EndRequestedError
    judge([guard.oracle], 300)
