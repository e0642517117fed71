"""The console's process: reads its settings as one line of JSON from standard input, and serves."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys

import cv2

from robot_rlhf.console.bounded_log import log_boundedly
from robot_rlhf.console.server import serve
from robot_rlhf.console.settings import ConsoleSettings
from robot_rlhf.errors import RobotRlhfError

SWITCH = 0.001
"""Seconds after which a working thread lets the event loop go on."""


def main() -> int:
    """Serve; 0 after an orderly end, 2 when the settings cannot hold."""
    log_boundedly(sys.stderr)
    logging.getLogger("robot_rlhf").setLevel(logging.INFO)
    try:
        settings = ConsoleSettings.from_json(sys.stdin.readline())
        if settings.link is not None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's is for the session, which ends us
        sys.setswitchinterval(SWITCH)
        cv2.setNumThreads(1)
        gc.freeze()  # what is imported stays: collections need not look through it again
        asyncio.run(serve(settings))
    except RobotRlhfError as error:
        logging.getLogger(__name__).error("%s", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
