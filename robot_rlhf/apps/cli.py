"""The command line `robot-rlhf`: finds the subcommand, and turns every expected error into one line."""

from __future__ import annotations

import importlib
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence

from robot_rlhf import __version__
from robot_rlhf.errors import ConfigError, RobotRlhfError, UnknownNameError
from robot_rlhf.runtime.interrupts import interrupts_held
from robot_rlhf_sim.graphics import prepare_graphics

COMMANDS = {
    "session": "teach live: robot, learner, and your console in the browser",
    "train": "demonstrations, practice with corrections, evaluation, report",
    "offline": "learn a policy from recorded sessions alone",
    "eval": "measure a trained policy without help",
    "review": "look through a recorded session in the browser, and label it",
    "label": "compare pairs of recorded clips: you, rules, a model, or an oracle",
    "reward": "learn a reward from recorded sessions, score with it, report on it",
    "say": "what sentences mean to the robot, without a robot",
    "record": "record demonstrations into a journal",
    "journal": "look at a journal, replay, export, import and salvage it",
    "ros": "the nodes of a ROS 2 robot: policy, stand-in robot, learner, operator, recorder",
    "doctor": "what works on this machine",
}
MODULES = {
    "session": "robot_rlhf.apps.session",
    "train": "robot_rlhf.apps.train_command",
    "offline": "robot_rlhf.apps.offline",
    "eval": "robot_rlhf.apps.evaluate",
    "review": "robot_rlhf.apps.review",
    "label": "robot_rlhf.apps.label",
    "reward": "robot_rlhf.apps.reward",
    "say": "robot_rlhf.apps.say",
    "record": "robot_rlhf.apps.record",
    "journal": "robot_rlhf.apps.journal",
    "ros": "robot_rlhf.apps.ros",
    "doctor": "robot_rlhf.apps.doctor",
}
"""Imported only when asked for: torch and MuJoCo take seconds."""
SIMULATING = ("session", "train", "offline", "eval", "reward", "record", "ros")
"""Commands that import MuJoCo."""
INTERRUPTED = 130
FAILED = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; returns the exit code: 0 done, 1 a check failed, 2 an error, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _print_what_the_terminal_can()
    logging.basicConfig(level=logging.WARNING, handlers=[_OneLine()])
    try:
        return _dispatch(arguments)
    except KeyboardInterrupt as reason:
        _say(str(reason) or "interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, for example `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except RobotRlhfError as error:
        _say(f"error: {error}")
    except OSError as error:
        _say(f"error: {error.filename or 'system'}: {error.strerror or error}")
    except SystemExit as end:  # --help
        return end.code if isinstance(end.code, int) else 0
    return FAILED


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        _print(usage())
        return 0
    if arguments[0] in ("-V", "--version"):
        _print(f"robot-rlhf {__version__}")
        return 0
    name, *rest = arguments
    if name.startswith("-"):
        raise ConfigError(f"{name}: a command comes first: {', '.join(COMMANDS)}")
    if name not in MODULES:
        raise UnknownNameError("command", name, COMMANDS)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # being told to end is treated like Ctrl-C
    if name in SIMULATING:
        with interrupts_held():  # the loaders of OpenGL make other errors of Ctrl-C, or lose it
            prepare_graphics()  # what is missing is said by whoever needs a picture
    return int(importlib.import_module(MODULES[name]).run(rest))


def usage() -> str:
    """The overview of all subcommands."""
    lines = [f"  {name:<9}{what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            "usage: robot-rlhf COMMAND [options]",
            "",
            "Teach a robot a skill, live: it practises, you take over, and it learns while it runs.",
            "",
            *lines,
            "",
            "robot-rlhf COMMAND --help lists a command's options. First steps: robot-rlhf doctor, then",
            "robot-rlhf session --task pick_cube (with you) or robot-rlhf train --task pick_cube (without).",
        ]
    )


class _OneLine(logging.Handler):
    """Warnings as one line on stderr, looked up when needed so that a live display can move it out of the way."""

    def emit(self, record: logging.LogRecord) -> None:
        _say(f"{record.levelname.lower()}: {record.getMessage()}")


def _print_what_the_terminal_can() -> None:
    """A character that the output's encoding lacks, as in a name of another alphabet, becomes a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _say(text: str) -> None:
    sys.stderr.write("robot-rlhf: " + " ".join(text.split()) + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    raise SystemExit(main())
