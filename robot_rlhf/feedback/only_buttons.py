"""A person who may judge and stop, but does not help."""

from __future__ import annotations

from dataclasses import replace

from robot_rlhf.datatypes import HumanInput
from robot_rlhf.ports import Teleop


class OnlyButtons:
    """A Teleop of which only the buttons count."""

    def __init__(self, teleop: Teleop | None) -> None:
        self._teleop = teleop

    def read(self) -> HumanInput | None:
        human = None if self._teleop is None else self._teleop.read()
        return None if human is None else replace(human, action=None)
