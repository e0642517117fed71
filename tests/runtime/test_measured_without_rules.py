"""Unaided is the policy with the guard alone: while it is measured, rules rest, and stand again after."""

from __future__ import annotations

import numpy as np

from robot_rlhf.datatypes import EpisodeKind
from robot_rlhf.meaning import Meaning
from robot_rlhf.runtime.evaluation import evaluate
from tests.runtime.stations import Listener
from tests.runtime.test_listening import Rig


def test_standing_rules_rest_while_a_policy_is_measured() -> None:
    rig = Rig({})
    before = [step.executed for step in rig.run(EpisodeKind.EVALUATION)]
    rig.listening.standing.rules.add("e/0", Meaning("rule", rule="slower"))
    wished = rig.wish.values[:3]

    def fastest(kind: EpisodeKind) -> float:
        return max(float(np.abs(s.executed.values[:3]).max()) for s in rig.run(kind) if s.executed is not None)

    assert fastest(EpisodeKind.PRACTICE) <= 0.5 * np.abs(wished).max() + 1e-6
    measured = Listener()
    evaluate(rig.station, episodes=1, seed=3, subscribers=[measured], teleop=rig.teleop)
    done = [step.executed.values for step in measured.steps if step.executed is not None]
    assert [values.tolist() for values in done] == [each.values.tolist() for each in before if each is not None]
    assert fastest(EpisodeKind.PRACTICE) <= 0.5 * np.abs(wished).max() + 1e-6
