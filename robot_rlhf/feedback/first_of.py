"""Several people, or a person and a simulated one, at one robot: whoever comes first in the list leads."""

from __future__ import annotations

from collections.abc import Sequence

from robot_rlhf.datatypes import Button, HumanInput
from robot_rlhf.ports import Teleop


class FirstOf:
    """A Teleop: the action is that of the first who drives; buttons, sentences and judgements are everybody's."""

    def __init__(self, teleops: Sequence[Teleop]) -> None:
        self._teleops = list(teleops)

    def read(self) -> HumanInput | None:
        """None when every device is gone."""
        inputs = [human for teleop in self._teleops if (human := teleop.read()) is not None]
        if not inputs:
            return None
        driving = next((human for human in inputs if human.action is not None), inputs[0])
        buttons: frozenset[Button] = frozenset[Button]().union(*(human.buttons for human in inputs))
        return HumanInput(
            driving.action,
            buttons,
            tuple(sentence for human in inputs for sentence in human.sentences),
            next((human.rewind_to for human in inputs if human.rewind_to is not None), None),
            tuple(feedback for human in inputs for feedback in human.feedback),
        )
