"""A person's input as the loop reads it: once per period, with what an earlier moment could not use."""

from __future__ import annotations

from robot_rlhf.datatypes import HumanInput
from robot_rlhf.ports import Teleop


class Inputs:
    """Reads a Teleop. What comes at a moment that has no use for it, for example between two episodes, is kept."""

    def __init__(self) -> None:
        self._kept: HumanInput | None = None

    def read(self, teleop: Teleop | None) -> HumanInput | None:
        """What the person does now, together with what was kept; None when the device is gone or there is none."""
        human = teleop.read() if teleop else None
        kept, self._kept = self._kept, None
        return human if kept is None else _together(kept, human)

    def keep(self, human: HumanInput | None) -> None:
        """Keep all but the action, which is old by the next period."""
        if human is None or not (human.buttons or human.sentences or human.feedback):
            return
        self._kept = human if self._kept is None else _together(self._kept, human)


def _together(kept: HumanInput, human: HumanInput | None) -> HumanInput:
    """The action and the moment of now, everything else of both."""
    now = human or HumanInput()
    return HumanInput(
        now.action,
        kept.buttons | now.buttons,
        (*kept.sentences, *now.sentences),
        now.rewind_to,
        (*kept.feedback, *now.feedback),
    )
