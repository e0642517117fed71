"""An action on its way from arbiter to guard, through a shield, and what the shield changed, in words."""

from __future__ import annotations

from typing import cast

import numpy as np

from robot_rlhf.datatypes import Action, GuardEvent, Observation
from robot_rlhf.errors import InvalidValueError, ShapeError
from robot_rlhf.feedback.arbiter import Choice
from robot_rlhf.runtime.station import Station


def shielded(station: Station, observation: Observation, choice: Choice) -> tuple[Action, tuple[GuardEvent, ...]]:
    """What the station's shield makes of a choice, with the event that tells it; no event where it lets it pass.

    Rules that people said come last: they are shown where they stand, and told by the sentence that made them.

    Raises:
        InvalidValueError: what the shield gives is no action of this robot.
    """
    action, changes = _through_shield(station, observation, choice)
    if station.listening is None:
        return action, changes
    return station.listening.ruled(observation, action, choice), changes


def _through_shield(
    station: Station, observation: Observation, choice: Choice
) -> tuple[Action, tuple[GuardEvent, ...]]:
    wished, layout = choice.action, station.guard.spec.action
    if station.shield is None:
        return wished, ()
    try:
        action = cast("object", station.shield.filter(observation, wished, choice.driver))
    except ShapeError as error:
        raise InvalidValueError("shield", str(error), "an Action") from error
    if action is wished:
        return wished, ()
    if not isinstance(action, Action):  # one of a user's own may give anything
        raise InvalidValueError("shield", f"a {type(action).__name__}", "an Action")
    if action.values.shape != (layout.size,):
        raise InvalidValueError("shield's action", f"shape {action.values.shape}", f"shape ({layout.size},)")
    changed = np.flatnonzero(action.values != wished.values)
    if not changed.size:
        return wished, ()
    words = [f"{layout.names[i]} {wished.values[i]:.3f} to {action.values[i]:.3f}" for i in changed]
    detail = f"the {choice.driver.name.lower()}'s {', '.join(words)}"
    return action, (GuardEvent(station.clock.now(), "shield", detail),)
