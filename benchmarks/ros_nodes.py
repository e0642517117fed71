"""Node processes of the ROS measurements, and a third process's view of what they say."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from robot_rlhf.apps.ros_stand_in import stand_in_parameters
from robot_rlhf.run.priority import stay_urgent
from robot_rlhf_hardware.ros.bus_dds import URI, DdsBus, loopback
from robot_rlhf_hardware.ros.messages import pose_of
from robot_rlhf_hardware.ros.rcl_yaml import dumped
from robot_rlhf_hardware.ros.topics import BOOL, DEFAULT, LATCHED, NEWEST, POSE, STRING, Topic

TIMEOUT = 180.0


class Node:
    """One node's process, started again after a kill."""

    def __init__(self, name: str, params: Path, domain: int, log: Path) -> None:
        self.name = name
        self._log = log
        self._command = [sys.executable, "-m", "robot_rlhf.apps.cli", "ros", name, "--params", str(params)]
        self._command += ["--backend", "dds", "--domain", str(domain), "--loopback"]
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)

    def kill(self) -> float:
        """SIGKILL; returns the wall-clock time just before it."""
        now = time.time()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        return now

    def restart(self) -> None:
        if self.process.poll() is None:
            raise RuntimeError(f"{self.name} is still running")
        self.process = self._start()

    def wait(self, timeout: float) -> int:
        return self.process.wait(timeout=timeout)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=30.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Graph:
    """The nodes of one measurement in a domain of their own; a context manager."""

    def __init__(self, folder: Path, task: str, sim: dict[str, Any], policy: dict[str, Any], person: str) -> None:
        """Args: sim, policy: parameters over those of the stand-in."""
        folder.mkdir(parents=True, exist_ok=True)
        sections = stand_in_parameters(task, person=person)
        sections["robot_sim"]["ros__parameters"] |= sim
        sections["policy"]["ros__parameters"] |= {"out": str(folder), "run": "run", **policy}
        self.run = folder / "run"
        self._folder = folder
        self._params = folder / "params.yaml"
        self._params.write_text(dumped(sections))
        self.domain = random.SystemRandom().randrange(1, 102)
        self._stack = ExitStack()
        self.nodes: dict[str, Node] = {}

    def __enter__(self) -> Self:
        os.environ[URI] = loopback(uuid.uuid4().hex)  # also of the nodes, which inherit it: nobody else is met
        return self

    def start(self, name: str) -> Node:
        node = Node(name, self._params, self.domain, self._folder / f"{name}.log")
        self._stack.callback(node.close)
        self.nodes[name] = node
        return node

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()


@dataclass
class Watch:
    """What a third process hears; times are wall-clock seconds of arrival."""

    domain: int
    commands: list[tuple[float, np.ndarray]] = field(default_factory=list)
    steps: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    told: set[tuple[str, int]] = field(default_factory=set)
    """Episode and number of every step that the policy told of."""
    episodes: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    situation: dict[str, Any] = field(default_factory=dict)
    holding: list[tuple[float, bool]] = field(default_factory=list)

    def __enter__(self) -> Self:
        bus = self.bus = DdsBus("watch", domain=self.domain).__enter__()
        subscribe = bus.subscription
        subscribe(Topic("target_pose", POSE, "subscription", "", NEWEST), self._command)
        subscribe(Topic("policy/step", STRING, "subscription", "", DEFAULT), self._step)
        subscribe(Topic("policy/episode", STRING, "subscription", "", DEFAULT), self._episode)
        subscribe(Topic("policy/situation", STRING, "subscription", "", NEWEST), self._situation)
        subscribe(Topic("robot_sim/holding", BOOL, "subscription", "", LATCHED), self._holding)
        bus.once(0.0, stay_urgent)  # as a robot's controller would be: when it is told, not when others leave it time
        self._faults = bus.publisher(Topic("robot_sim/faults", STRING, "publisher", "", DEFAULT))
        return self

    def __exit__(self, *_: object) -> None:
        self.bus.__exit__(None, None, None)

    def fault(self, **faults: list[str]) -> float:
        """Make topics of the robot misbehave, or none any more; returns the time just before."""
        now = time.time()
        self._faults.publish({"data": json.dumps(faults)})
        return now

    def _command(self, message: Any) -> None:
        self.commands.append((time.time(), pose_of(message.pose)))

    def _step(self, message: Any) -> None:
        step = json.loads(message.data)
        self.steps.append((time.time(), step))
        self.told.add((step["episode"], step["index"]))

    def _episode(self, message: Any) -> None:
        self.episodes.append((time.time(), json.loads(message.data)))

    def _situation(self, message: Any) -> None:
        self.situation = json.loads(message.data)

    def _holding(self, message: Any) -> None:
        self.holding.append((time.time(), bool(message.data)))

    @property
    def moving(self) -> bool:
        """The commanded pose changed within the last two control periods."""
        changed = last_change(self.commands[-10:], 1e-5)
        return changed is not None and time.time() - changed < 0.1


def last_change(commands: list[tuple[float, np.ndarray]], tolerance: float) -> float | None:
    """When the commanded pose changed last by more than `tolerance` (m, or parts of a quaternion); None: never."""
    for (_, before), (at, after) in reversed(list(itertools.pairwise(commands))):
        if np.abs(after - before).max() > tolerance:
            return at
    return None


def wait_for(what: Callable[[], bool], words: str, timeout: float = TIMEOUT) -> None:
    """Wait until something is true; raises RuntimeError with words when it does not come about."""
    deadline = time.monotonic() + timeout
    while not what():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {timeout:g} s for {words}")
        time.sleep(0.005)


def environment() -> dict[str, Any]:
    """What a result depends on."""
    from importlib.metadata import version

    return {"cpu": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "cyclonedds": version("cyclonedds")}
