from __future__ import annotations

import ast
import enum
from collections.abc import Iterator
from pathlib import Path

import pytest

from robot_rlhf.console.words import (
    KINDS,
    OUTCOMES,
    PHASES,
    RULES,
    driver_words,
    guard_words,
    outcome_words,
    phase_words,
)
from robot_rlhf.datatypes import Driver, EpisodeKind, GuardEvent, Outcome, Phase
from robot_rlhf.safety import limits

ROOT = Path(__file__).parents[2] / "robot_rlhf"
EMITTERS = {"fault": 0, "_latched": 0, "_note": 0, "_bounded": 2, "GuardEvent": 1}
"""Call to the place of the rule's name among its arguments."""


def rules_in(tree: ast.AST) -> Iterator[str]:
    """Names of rules that a module writes down: as an argument, added to `rules`, or with a detail in a finding."""
    for node in ast.walk(tree):
        found: list[ast.expr] = []
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in EMITTERS and len(node.args) > EMITTERS[name]:
                found = [node.args[EMITTERS[name]]]
            elif name == "append" and isinstance(node.func, ast.Attribute):
                found = node.args if ast.unparse(node.func.value) == "rules" else []
        elif isinstance(node, ast.Return):
            lists = [node.value.body, node.value.orelse] if isinstance(node.value, ast.IfExp) else [node.value]
            found = [inner for each in lists if isinstance(each, ast.List) for inner in each.elts]
        elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and isinstance(node.elts[1], ast.JoinedStr):
            found = [node.elts[0]]
        for each in found:
            if isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value.isidentifier():
                yield each.value


def emitted() -> set[str]:
    safety = {rule for path in (ROOT / "safety").glob("*.py") for rule in rules_in(ast.parse(path.read_text()))}
    faults: set[str] = set()
    for path in (ROOT / "runtime").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "fault":
                faults |= {a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)}
            elif isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["acting"]:
                faults |= {a.value for a in [node.value] if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    return safety | faults | set(limits.RULES)


def test_the_search_finds_the_rules() -> None:
    known = {"workspace", "rate", "leash", "tool_speed", "stale_command", "stale_observation", "nan", "robot", "policy"}
    assert known | {"joint_position", "joint_speed", "force_hard", "torque_hard", "jump"} <= emitted()
    assert set(rules_in(ast.parse("self.guard.fault('x', 'y')\nfound.append(('z', f'{1}'))"))) == {"x", "z"}


def test_every_rule_of_the_guard_has_words() -> None:
    assert emitted() <= RULES.keys()


def test_no_words_are_for_rules_that_do_not_exist() -> None:
    assert RULES.keys() - emitted() <= {"stop"}


def test_what_holds_the_robot_says_how_to_go_on() -> None:
    faults = {"stop", "policy", "robot", "nan", "stale_observation", "joint_position", "joint_speed", "jump"}
    for rule in faults | {"force_hard", "torque_hard"}:
        assert "elease" in RULES[rule].todo, rule


def test_words_are_short_sentences() -> None:
    for rule, words in RULES.items():
        assert words.means[0].isupper(), rule
        assert words.means.endswith("."), rule
        assert len(words.means) <= 80, rule
        assert not words.todo or (words.todo.endswith(".") and len(words.todo) <= 80), rule


def test_a_guard_event_is_told_with_what_to_do() -> None:
    event = GuardEvent(0.0, "force_soft", "21 N")
    assert guard_words(event) == "The tool presses on something. Ease off: it will not push harder."
    assert guard_words(GuardEvent(0.0, "rate", "")) == "The command changed faster than it may."


def test_an_unknown_rule_is_told_by_its_name() -> None:
    event = GuardEvent(0.0, "door_open", "switch 2 is off.", latched=True)
    assert guard_words(event) == ("The guard reports door open: switch 2 is off. Release when everything is clear.")
    assert guard_words(GuardEvent(0.0, "door_open", "")) == "The guard reports door open."


@pytest.mark.parametrize(("table", "every"), [(OUTCOMES, Outcome), (PHASES, Phase), (KINDS, EpisodeKind)])
def test_each_member_has_its_own_words(table: dict[object, str], every: type[enum.Enum]) -> None:
    assert set(table) == set(every)
    assert len(set(table.values())) == len(table)


def test_details_follow() -> None:
    assert phase_words(Phase.WAITING, "the learner is gone") == "Waiting: the learner is gone"
    assert phase_words(Phase.STOPPED, "force_hard") == "Stopped: release to go on (force_hard)"
    assert phase_words(Phase.RUNNING) == "Running"
    assert outcome_words(Outcome.FAULT, "nan: x") == "Ended by a fault: nan: x"
    assert outcome_words(None) == "Not ended"


def test_drivers() -> None:
    assert driver_words(None) == "Nobody"
    assert driver_words(Driver.POLICY) == "Policy"
    assert driver_words(Driver.REFLEX) == "Reflex: holding still"
    assert driver_words(Driver.HUMAN) == "You drive"
    assert driver_words(Driver.HUMAN, name="Ada", yours=False) == "Ada drives"
    assert driver_words(Driver.HUMAN, yours=False) == "Another person drives"
