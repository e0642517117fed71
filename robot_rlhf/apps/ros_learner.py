"""`robot-rlhf ros learner`: the learner of a run as a node of its own, for ROS's launch."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

from hardware.ros.nodes import LEARNER
from hardware.ros.parameters import read_parameters
from robot_rlhf.apps import learner
from robot_rlhf.apps.ros_host import log_to_stderr, parameters_given, read_options

log = logging.getLogger(__name__)


def run(argv: Sequence[str]) -> int:
    """Wait for the run's folder, then learn until SIGINT or SIGTERM; returns the exit code.

    It speaks through the run's folder alone, so that it needs no middleware and no topic.
    """
    log_to_stderr()
    values = read_parameters(LEARNER.parameters, parameters_given(read_options("learner", argv)), "/learner")
    folder = Path(str(values["out"])) / str(values["run"])
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    if not (folder / "config.yaml").is_file():
        log.info("waiting for the run %s", folder)
    while not (folder / "config.yaml").is_file():
        if ended.wait(0.2):
            return 0
    learner.main([str(folder), "--parent", str(os.getppid())])
    return 0
