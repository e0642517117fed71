"""A robot that is measured keeps to the rules that stand: what a person forbade stays forbidden."""

from __future__ import annotations

import numpy as np

from robot_rlhf.meaning import Meaning
from robot_rlhf.runtime.evaluation import evaluate
from tests.runtime.stations import Listener
from tests.runtime.test_listening import Rig


def test_standing_rules_hold_while_a_policy_is_measured() -> None:
    rig = Rig({})
    wished = float(np.abs(rig.wish.values[:3]).max())

    def fastest() -> float:
        measured = Listener()
        evaluate(rig.station, episodes=1, seed=3, subscribers=[measured], teleop=rig.teleop)
        return max(float(np.abs(s.executed.values[:3]).max()) for s in measured.steps if s.executed is not None)

    assert fastest() > 0.9 * wished
    rig.listening.standing.rules.add("e/0", Meaning("rule", rule="slower"))
    assert fastest() <= 0.5 * wished + 1e-6
