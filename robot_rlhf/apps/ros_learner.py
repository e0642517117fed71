"""`robot-rlhf ros learner`: the learner of a run as a node of its own, for ROS's launch."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

from robot_rlhf.apps.ros_host import joined, log_to_stderr, read_options
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.links import learner
from robot_rlhf_hardware.ros.nodes import LEARNER


def run(argv: Sequence[str]) -> int:
    """Wait for the run's folder, until SIGINT or SIGTERM, then learn until SIGTERM; returns the exit code.

    It is on the graph as a node, with its parameters; what it learns goes through the run's folder, not over a topic.
    """
    options = read_options(LEARNER.executable, argv)
    log_to_stderr(options.log_level)
    with joined(options) as bus:
        values = bus.parameters(LEARNER.parameters)
        folder = Path(str(values["out"])) / str(values["run"])
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        if not (folder / "config.yaml").is_file():
            bus.log(logging.INFO, f"waiting for the run {folder}")
        while not (folder / "config.yaml").is_file():
            if ended.wait(0.2):
                return 0
        learner.learn(RunFolder.existing(folder), os.getppid(), anew=True)
    return 0
