"""Several people, or a person and a simulated one, at one robot: whoever comes first in the list leads."""

from __future__ import annotations

from collections.abc import Sequence

from robot_rlhf.datatypes import Button, HumanInput
from robot_rlhf.ports import Teleop


class FirstOf:
    """A Teleop: the action is that of the first who drives; buttons, sentences and judgements are everybody's."""

    def __init__(self, teleops: Sequence[Teleop]) -> None:
        self._teleops = list(teleops)
        self._leading: Teleop | None = None

    def read(self) -> HumanInput | None:
        """None when every device is gone. One that vanishes while it drives pauses the robot."""
        heard = [(teleop, human) for teleop in self._teleops if (human := teleop.read()) is not None]
        buttons: frozenset[Button] = frozenset[Button]().union(*(human.buttons for _, human in heard))
        if self._leading is not None and all(teleop is not self._leading for teleop, _ in heard):
            buttons |= {Button.PAUSE}
        driving = next(((teleop, human) for teleop, human in heard if human.action is not None), None)
        self._leading = None if driving is None else driving[0]
        if not heard and not buttons:
            return None
        humans = [human for _, human in heard]
        return HumanInput(
            None if driving is None else driving[1].action,
            buttons,
            tuple(sentence for human in humans for sentence in human.sentences),
            next((human.rewind_to for human in humans if human.rewind_to is not None), None),
            tuple(feedback for human in humans for feedback in human.feedback),
        )
