"""The nodes as processes over DDS, with the simulated arm: killed, started again, ended as launch ends them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from hardware.ros.topics import DEFAULT, NEWEST, STRING, Topic
from robot_rlhf.apps.ros_stand_in import stand_in_parameters
from robot_rlhf.datatypes import Step
from robot_rlhf.journal.decoder import EpisodeStarted
from robot_rlhf.journal.reader import read_journal

pytest.importorskip("cyclonedds.core", reason="cyclonedds has no wheel here")

from hardware.ros.bus_dds import URI, DdsBus, loopback

ROOT = Path(__file__).parents[2]
DOMAIN = 0
"""Told apart by its tag; the tests of one process that choose domains at random do not choose this one."""
TIMEOUT = 90.0


class Nodes:
    """Processes of the nodes, with parameters for a machine that may be busy."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        sections = stand_in_parameters("reach")
        policy = sections["policy"]["ros__parameters"]
        policy |= {"out": str(folder), "run": "run", "learner": "none", "demonstrations": 1000}
        policy |= {"state_age_max": 2.0, "scene_age_max": 2.0, "operator_timeout": 5.0}
        policy["limits"] |= {"observation_age_max": 2.0, "command_validity": 1.0, "jump_max": 1.0}
        sections["robot_sim"]["ros__parameters"]["command_timeout"] = 1.0
        self._params = folder / "params.yaml"
        self._params.write_text(yaml.safe_dump(sections))

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
