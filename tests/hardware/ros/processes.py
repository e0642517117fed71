"""The robot's side of a graph in a process of its own."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.hardware.ros.graphs import LIMITS, settings

ROOT = Path(__file__).parents[3]
TIMEOUT = 120.0
SETTINGS = settings(cameras=("front",), state_age_max=20.0, image_age_max=20.0, scene_age_max=20.0)
PATIENT = replace(LIMITS, command_validity=20.0, observation_age_max=20.0, jump_max=1.0)
"""A busy machine must not look like a fault; ages have their own tests, on a clock that is told."""
DOMAINS = itertools.cycle(random.SystemRandom().sample(range(1, 102), 101))
"""The configuration of a domain is read once while this process is in it: no test gets one that may not be left."""


class FarSide:
    """The robot's process."""

    def __init__(self, domain: int, *options: str) -> None:
        command = [sys.executable, "-m", "tests.hardware.ros.far_side", "--domain", str(domain), *options]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=environment()
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=TIMEOUT)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.communicate(b"", timeout=TIMEOUT)


def environment() -> dict[str, str]:
    """What another Python needs to find this tree."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def wait_for(what: Callable[[], bool], timeout: float = TIMEOUT) -> None:
    deadline = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)
