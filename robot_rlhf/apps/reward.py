"""`robot-rlhf reward`: train, score, report, clip."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from robot_rlhf.errors import UnknownNameError
from robot_rlhf.run.screen import screen

COMMANDS = {
    "train": "learn a reward from recorded sessions and labels",
    "score": "what a learned reward says of every recorded step",
    "report": "one page on how far a reward can be trusted",
    "clip": "train a small CLIP on rendered pictures, for rewards from sentences",
}
MODULES = {
    "train": "robot_rlhf.apps.reward_train",
    "score": "robot_rlhf.apps.reward_score",
    "report": "robot_rlhf.apps.reward_report",
    "clip": "robot_rlhf.apps.contrastive",
}
"""Imported only when asked for."""


def run(argv: Sequence[str]) -> int:
    """Run one of the commands; returns the exit code."""
    if not argv or argv[0] in ("-h", "--help"):
        lines = "\n".join(f"  {name:<8}{what}" for name, what in COMMANDS.items())
        text = f"usage: robot-rlhf reward {{{','.join(COMMANDS)}}} [options]\n\n{lines}"
        screen().print(text, highlight=False)
        return 0
    if argv[0] not in MODULES:
        raise UnknownNameError("reward command", argv[0], COMMANDS)
    return int(importlib.import_module(MODULES[argv[0]]).run(argv[1:]))
