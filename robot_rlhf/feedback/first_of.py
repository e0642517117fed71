"""Several people, or a person and a simulated one, at one robot: whoever comes first in the list leads."""

from __future__ import annotations

from collections.abc import Sequence

from robot_rlhf.datatypes import Button, HumanInput, Phase, Situation
from robot_rlhf.ports import Teleop

RESTING = frozenset({Phase.PAUSED, Phase.REWINDING, Phase.STOPPED})
"""What the robot does when real people are to decide how it goes on."""


class FirstOf:
    """A Teleop and a Monitor: the action is that of the first who drives; buttons, sentences and judgements are
    everybody's.

    Those who are asked `only_while_running`, simulated people, neither end a pause nor act in one.
    """

    def __init__(self, teleops: Sequence[Teleop], only_while_running: Sequence[Teleop] = ()) -> None:
        """Args: both lists in the order of precedence; all of the first come before all of the second."""
        self._teleops = list(teleops)
        self._others = list(only_while_running)
        self._resting = False
        self._leading: Teleop | None = None

    def show(self, situation: Situation) -> None:
        self._resting = situation.phase in RESTING

    def read(self) -> HumanInput | None:
        """None when every device is gone. One that vanishes while it drives pauses the robot."""
        asked = self._teleops if self._resting else [*self._teleops, *self._others]
        heard = [(teleop, human) for teleop in asked if (human := teleop.read()) is not None]
        buttons: frozenset[Button] = frozenset[Button]().union(*(human.buttons for _, human in heard))
        if self._leading in self._teleops and all(teleop is not self._leading for teleop, _ in heard):
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
