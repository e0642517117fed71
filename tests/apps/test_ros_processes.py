"""The nodes as processes over DDS, with the simulated arm: killed, started again, ended as launch ends them."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rlhf.apps.ros_stand_in import stand_in_parameters
from robot_rlhf.datatypes import Assignment, Command, GuardEvent, Observation, RobotSpec, Step
from robot_rlhf.journal.decoder import EpisodeStarted, Record
from robot_rlhf.journal.reader import read_journal
from robot_rlhf.journal.tail import journal_spec
from robot_rlhf.learner.checkpoint import write_snapshot
from robot_rlhf.run.build import build_policy
from robot_rlhf.run.settings import read_yaml
from robot_rlhf.runtime.seeds import generators
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.safety.limits import ToolLimits
from robot_rlhf.timing import FakeClock
from robot_rlhf_hardware.ros.rcl_yaml import dumped
from robot_rlhf_hardware.ros.settings import limits_of
from robot_rlhf_hardware.ros.topics import DEFAULT, NEWEST, STRING, Topic
from tests.run.weights import random_weights

pytest.importorskip("cyclonedds.core", reason="cyclonedds has no wheel here")

from robot_rlhf_hardware.ros.bus_dds import URI, DdsBus, loopback

ROOT = Path(__file__).parents[2]
DOMAIN = 0
"""Told apart by its tag; the tests of one process that choose domains at random do not choose this one."""
TIMEOUT = 240.0


class Nodes:
    """Processes of the nodes, with parameters for a machine that may be busy."""

    def __init__(self, folder: Path, stack: ExitStack, person: str = "attentive", **changes: Any) -> None:
        """
        Args:
            changes: parameters of the policy node.
        """
        self.folder = folder
        self._stack = stack
        sections = stand_in_parameters("reach", person=person)
        policy = sections["policy"]["ros__parameters"]
        policy |= {"out": str(folder), "run": "run", "learner": "none", "demonstrations": 1000, "steps": 0}
        policy |= {"state_age_max": 2.0, "scene_age_max": 2.0, "operator_timeout": 5.0, **changes}
        policy["limits"] |= {"observation_age_max": 2.0, "command_validity": 1.0, "jump_max": 1.0}
        sections["robot_sim"]["ros__parameters"]["command_timeout"] = 1.0
        self.limits = limits_of({f"limits.{name}": value for name, value in policy["limits"].items()})
        self._params = folder / "params.yaml"
        self._params.write_text(dumped(sections))

    def start(self, name: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "robot_rlhf.apps.cli", "ros", name, "--params", str(self._params)]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, "--backend", "dds", "--domain", str(DOMAIN)],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,
            )
        self._stack.callback(_end, process)
        return process

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait(timeout=TIMEOUT)


def wait_for(what: Callable[[], bool], nodes: Nodes, words: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not what():
        assert time.monotonic() < deadline, f"{words}\n{nodes.log('policy')[-2000:]}"
        time.sleep(0.02)


def recorded(folder: Path) -> set[tuple[str, int]]:
    found: set[tuple[str, int]] = set()
    episode = ""
    for record in read_journal(folder / "run" / "journal"):
        if isinstance(record, EpisodeStarted):
            episode = record.meta.id
        elif isinstance(record, Step):
            found.add((episode, record.index))
    return found


@pytest.mark.timeout(400)
def test_killed_started_again_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kill -9 of the policy and of the robot lose no step that was told; a doubled SIGINT ends in order."""
    monkeypatch.setenv(URI, loopback(uuid.uuid4().hex))
    told: set[tuple[str, int]] = set()
    situation: dict[str, Any] = {}

    def hear(message: Any) -> None:
        step = json.loads(message.data)
        told.add((step["episode"], step["index"]))

    with ExitStack() as stack:
        bus = stack.enter_context(DdsBus("test", domain=DOMAIN))
        bus.subscription(Topic("policy/step", STRING, "subscription", "", DEFAULT), hear)
        topic = Topic("policy/situation", STRING, "subscription", "", NEWEST)
        bus.subscription(topic, lambda message: situation.update(json.loads(message.data)))
        nodes = Nodes(tmp_path, stack)
        robot, policy = nodes.start("robot_sim"), nodes.start("policy")
        wait_for(lambda: len(told) >= 10, nodes, "no steps")

        policy.send_signal(signal.SIGKILL)
        policy.wait(timeout=TIMEOUT)
        time.sleep(0.1)  # what was said last arrives
        assert told <= recorded(tmp_path)
        count = len(told)
        policy = nodes.start("policy")
        wait_for(lambda: len(told) >= count + 10, nodes, "no steps after the policy came back")

        robot.send_signal(signal.SIGKILL)
        robot.wait(timeout=TIMEOUT)
        wait_for(
            lambda: situation.get("phase") in ("stopped", "waiting"), nodes, "the loss of the robot was not noticed"
        )
        assert policy.poll() is None, "somebody may bring the robot back"
        robot = nodes.start("robot_sim")
        count = len(told)
        wait_for(lambda: len(told) >= count + 10, nodes, "no steps after the robot came back")

        policy.send_signal(signal.SIGINT)
        policy.send_signal(signal.SIGINT)
        assert policy.wait(timeout=TIMEOUT) == 130
        assert "inactive: holding still" in nodes.log("policy")
        assert "Traceback" not in nodes.log("policy")
        time.sleep(0.1)
        assert told <= recorded(tmp_path)
        assert json.loads((tmp_path / "run" / "summary.json").read_text())["interrupted"]
        robot.send_signal(signal.SIGTERM)
        assert robot.wait(timeout=TIMEOUT) == 0


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_what_was_recorded_leads_to_the_same_decisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy's process senses, decides and records over DDS; from its journal alone another one decides the same.

    What the guard made of it is the same too, from the recorded observations, on a clock that is told; until a command
    was late, on a busy machine, as the guard then waits for a robot that has come to rest.
    """
    monkeypatch.setenv(URI, loopback(uuid.uuid4().hex))
    journal = tmp_path / "run" / "journal"
    with ExitStack() as stack:
        nodes = Nodes(tmp_path, stack, "none", demonstrations=0)
        nodes.start("robot_sim")
        policy = nodes.start("policy")
        assert policy.wait(timeout=TIMEOUT) == 0, nodes.log("policy")
        config, spec = read_yaml(tmp_path / "run" / "config.yaml"), journal_spec(journal)
        decider = build_policy(config, spec, practises=False)
        decider.load(random_weights(config, spec, 3))
        write_snapshot(tmp_path / "run" / "checkpoints" / "policy.safetensors", random_weights(config, spec, 3))
        nodes = Nodes(tmp_path, stack, "none", demonstrations=0, steps=30, operator_required=False)
        policy = nodes.start("policy")
        assert policy.wait(timeout=TIMEOUT) == 0, nodes.log("policy")
    player = Recorded(spec, nodes.limits)
    rng = np.random.default_rng()
    decided = guarded = 0
    in_time = True
    records = list(read_journal(journal))
    for number, record in enumerate(records):
        if isinstance(record, EpisodeStarted):
            in_time = True
            rng = generators(record.meta.seed)[0]
            player.now_at(record.observation)
            player.guard.anchor()
            player.guard.observe()
        elif isinstance(record, Step):
            again = decider.act(record.observation, Assignment(record.instruction), rng)
            assert record.proposed is not None
            np.testing.assert_array_equal(again.values, record.proposed.values)
            decided += 1
            in_time = in_time and not late(records[number + 1 :])
            if in_time:
                executed = player.guard.act(again).executed
                np.testing.assert_allclose(executed.values, record.action.values, atol=1e-6)
                player.now_at(record.next_observation)
                player.guard.observe()
                guarded += 1
    assert decided >= 30
    assert guarded


def late(following: Sequence[Record]) -> bool:
    """Whether the command of a step came late, as is told right after it."""
    told = itertools.takewhile(lambda record: not isinstance(record, EpisodeStarted | Step), following)
    return any(event.rule == "stale_command" for event in told if isinstance(event, GuardEvent))


class Recorded:
    """A robot that says again what it said, and a guard on its clock."""

    def __init__(self, spec: RobotSpec, limits: ToolLimits) -> None:
        self.spec = spec
        self._clock = FakeClock()
        self._seen: Observation | None = None
        self.guard = GuardedRobot(self, limits, self._clock)

    def now_at(self, observation: Observation) -> None:
        self._seen = observation
        self._clock.sleep_until(observation.stamp)

    def observe(self) -> Observation:
        assert self._seen is not None
        return self._seen

    def send(self, command: Command) -> Command:
        return command

    def stop(self) -> None:
        """It stands still anyway."""


def test_the_learner_is_a_node_on_the_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URI, loopback(uuid.uuid4().hex))
    with ExitStack() as stack:
        bus = stack.enter_context(DdsBus("test", domain=DOMAIN))
        nodes = Nodes(tmp_path, stack)
        learner = nodes.start("learner")
        deadline = time.monotonic() + TIMEOUT
        while "waiting for the run" not in nodes.log("learner"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert bus._graph.twins("/learner") == 1
        learner.send_signal(signal.SIGTERM)
        assert learner.wait(timeout=TIMEOUT) == 0
