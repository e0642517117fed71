"""A fault of what a sentence asks for is the sentence's, and not the policy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from robot_rlhf.console.words import RULES, guard_words
from robot_rlhf.datatypes import Action, GuardEvent, Outcome
from robot_rlhf.runtime import overrides
from robot_rlhf.skills.closed_loop import ClosedLoop
from tests.runtime.test_listening import Rig


def no_action(*_: Any, **named: Any) -> Action:
    return Action(np.full(5, np.nan, np.float32))


def faults(rig: Rig) -> list[GuardEvent]:
    return [event for event in rig.listener.told("event") if isinstance(event, GuardEvent) and event.latched]


@pytest.mark.parametrize("where", ["act", "make"])
def test_a_skill_that_gives_no_action_is_the_sentences_fault(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig({5: "grab it, then lift"})
    if where == "act":
        monkeypatch.setattr(ClosedLoop, "act", no_action)
    else:
        monkeypatch.setattr(overrides, "make_skill", no_action)
    assert len(rig.run()) == 5
    assert rig.listener.told("end")[0].outcome is Outcome.FAULT
    (fault,) = faults(rig)
    assert fault.rule == "sentence"
    assert "practice-0/0" in fault.detail
    assert RULES["sentence"].means in guard_words(fault)


def test_a_policy_that_gives_no_action_is_the_policys_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig({2: "slower"})
    monkeypatch.setattr(type(rig.station.policy), "act", no_action)
    rig.run()
    assert [fault.rule for fault in faults(rig)] == ["policy"]
