"""Who drives: the policy until a person takes over, the person until their hands have been off for a while."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from robot_rlhf.datatypes import Action, ActionLayout, Array, Driver, HumanInput
from robot_rlhf.errors import InvalidValueError, ShapeError


@dataclass(frozen=True, eq=False)
class Choice:
    """What is to be done in this control period, and who decided it."""

    action: Action
    driver: Driver
    switch: Literal["takeover", "handback"] | None = None
    """Set in the first period of a new driver."""
    authority: Array | None = None
    """The person's share of each entry, where the driver did not decide the whole action alone. Shape (m,)."""
    spoken: str = ""
    """The sentence by which the person decided; empty where their hands did, or nobody."""


@dataclass(frozen=True, eq=False)
class Spoken:
    """What a sentence decides of the next action."""

    action: Action
    """The whole action; entries that the sentence does not name are the policy's."""
    authority: Array | None
    """1 for each entry that it names; None where it decides all of them. Shape (m,)."""
    sentence: str
    """Its name among the sentences of the session."""


class Arbiter:
    """Chooses between a policy's wish and a person's.

    A take-over is immediate, by hands as by words; hands come before words. After one by hands the person has the lead
    until their hands have been off for `give_back_after`; meanwhile the tool rests and the gripper keeps its state
    (driver REFLEX: nobody chose to rest, so nobody is to be imitated). When the device vanishes while the person has
    the lead, the tool rests too (driver REFLEX), and the policy gets the lead back only after the device has come back
    and the hands have been off it. That no switch jumps is the guard's work: it limits every change of velocity.
    """

    def __init__(self, layout: ActionLayout, *, give_back_after: float) -> None:
        """Begin with the policy in the lead.

        Args:
            layout: of both wishes.
            give_back_after: seconds without hands after which the policy drives again.
        """
        if not (math.isfinite(give_back_after) and give_back_after >= 0):
            raise InvalidValueError("Arbiter.give_back_after", give_back_after, "seconds >= 0")
        self._size = layout.size
        self._gripper = layout.names.index("gripper") if "gripper" in layout.names else -1
        self._give_back_after = give_back_after
        self.reset()

    @property
    def human_leads(self) -> bool:
        """True from a take-over until the hand-back."""
        return self._human_leads

    def reset(self, *, gripper_open: bool = True) -> None:
        """An episode begins: the policy leads, the gripper is as told."""
        self._human_leads = False
        self._hands_off_since: float | None = None
        self._grip = 1.0 if gripper_open else -1.0

    def rest(self) -> Choice:
        """No motion for one control period; the gripper as it was told last, and nobody's lead changes."""
        return self._rest(Driver.REFLEX)

    def choose(
        self, proposed: Action | None, human: HumanInput | None, now: float, spoken: Spoken | None = None
    ) -> Choice:
        """Decide for one control period.

        Args:
            proposed: the policy's wish; None where no policy is asked, then the tool rests until a person drives.
            human: what the person does; None while there is no device.
            now: seconds of the session's clock.
            spoken: what a sentence decides; nothing while there is no device, nor while hands are on.
        """
        if human is not None and human.action is not None:
            switch = None if self._human_leads else "takeover"
            self._human_leads = True
            self._hands_off_since = None
            return self._chosen(human.action, Driver.HUMAN, switch)
        if human is not None and spoken is not None:
            choice = self._chosen(spoken.action, Driver.HUMAN, None)
            return replace(choice, authority=spoken.authority, spoken=spoken.sentence)
        switch = None
        if self._human_leads:
            if human is None:
                self._hands_off_since = None
                return self._rest(Driver.REFLEX)
            if self._hands_off_since is None:
                self._hands_off_since = now
            # Half a microsecond of slack: sums of control periods are not exact.
            if now - self._hands_off_since < self._give_back_after - 5e-7:
                return self._rest(Driver.REFLEX)
            self._human_leads = False
            switch = "handback"
        if proposed is None:
            return self._rest(Driver.REFLEX, switch)
        return self._chosen(proposed, Driver.POLICY, switch)

    def _chosen(self, action: Action, driver: Driver, switch: Literal["takeover", "handback"] | None) -> Choice:
        if action.values.shape != (self._size,):
            raise ShapeError(f"action of the {driver.name.lower()}", action.values.shape, (self._size,))
        if self._gripper >= 0:
            self._grip = 1.0 if action.values[self._gripper] >= 0 else -1.0
        return Choice(action, driver, switch)

    def _rest(self, driver: Driver, switch: Literal["takeover", "handback"] | None = None) -> Choice:
        """No motion; the gripper as it was told last."""
        values = np.zeros(self._size, np.float32)
        if self._gripper >= 0:
            values[self._gripper] = self._grip
        return Choice(Action(values), driver, switch)
