"""Launch and parameter files without ROS: what they start exists, and takes what they give it."""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from robot_rlhf import __version__
from robot_rlhf.apps import ros
from robot_rlhf.apps.ros_stand_in import stand_in_yaml
from robot_rlhf_hardware.ros.nodes import NODES, POLICY
from robot_rlhf_hardware.ros.parameters import TYPES, read_parameters
from robot_rlhf_hardware.ros.rcl_yaml import parameters_of, sections_of
from robot_rlhf_hardware.ros.settings import RobotSettings, limits_of, settings_of
from robot_rlhf_hardware.ros.task import TaskSettings
from robot_rlhf_sim.tasks import PickCube
from tests.launch.recorded import Call, Transition, load, of_kind

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / "launch"
FILES = sorted(LAUNCH.glob("*.launch.py"))
PARAMETER_FILES = sorted(LAUNCH.glob("*.yaml"))
OURS = "robot_rlhf"
PYTHON_TYPES = {"string": str, "integer": int, "double": float, "bool": bool}


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def entities(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    return load(request.param, monkeypatch)


def nodes(entities: list[Call]) -> list[Call]:
    return of_kind(entities, "Node", "LifecycleNode")


def given(node: Call) -> dict[str, Any]:
    """Parameters that a launch file sets by name."""
    return {name: value for part in node["parameters"] if isinstance(part, dict) for name, value in part.items()}


def test_there_are_the_launch_files_that_the_docs_name() -> None:
    assert [path.name for path in FILES] == ["correct.launch.py", "robot.launch.py", "sim.launch.py"]
    assert not (LAUNCH / "__init__.py").exists()


def test_the_doubles_are_gone_afterwards() -> None:
    assert not [name for name in sys.modules if name.partition(".")[0] in ("launch", "launch_ros", "lifecycle_msgs")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_launch_file_is_data(path: Path) -> None:
    """One function that makes nodes and returns one LaunchDescription([...]): no branch, loop or computation."""
    tree = ast.parse(path.read_text())
    logic = (ast.If, ast.For, ast.While, ast.Try, ast.IfExp, ast.ListComp, ast.Lambda, ast.BinOp, ast.JoinedStr)
    assert not [node for node in ast.walk(tree) if isinstance(node, logic)]
    (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    assert isinstance(function.body[-1], ast.Return)


def test_arguments_are_described_and_used(entities: list[Call]) -> None:
    declared = {argument.positional[0]: argument for argument in of_kind(entities, "DeclareLaunchArgument")}
    for name, argument in declared.items():
        assert len(argument["description"]) > 5, name
        assert "default_value" in argument.named, name
    used = {call.positional[0] for call in everything(entities) if call.kind == "LaunchConfiguration"}
    assert used == set(declared)


def everything(found: Any) -> list[Call]:
    """All calls inside a value."""
    if isinstance(found, Call):
        return [found, *everything([*found.positional, *found.named.values()])]
    if isinstance(found, dict):
        return everything(list(found.values()))
    if isinstance(found, (list, tuple)):
        return [call for part in found for call in everything(part)]
    return []


def test_executables_exist(entities: list[Call]) -> None:
    for node in nodes(entities):
        if node["package"] == OURS:
            known = NODES[node["executable"]]
            assert node["name"] == known.executable
            assert (node.kind == "LifecycleNode") == known.lifecycle
            assert node["executable"] in ros.MODULES
            assert callable(getattr(ros, node["executable"]))
        else:
            assert (node["package"], node["executable"]) == ("joy", "joy_node")


def test_parameters_exist_with_the_same_type(entities: list[Call]) -> None:
    for node in nodes(entities):
        if node["package"] != OURS:
            continue
        known = {parameter.name: parameter for parameter in NODES[node["executable"]].parameters}
        for name, value in given(node).items():
            if isinstance(value, Call):
                assert value.kind == "ParameterValue", name
                assert value["value_type"] is PYTHON_TYPES[known[name].type], name
            else:
                known[name].checked(value, node["name"])


def test_a_launch_argument_that_stands_for_a_parameter_has_an_allowed_default(entities: list[Call]) -> None:
    defaults = {a.positional[0]: a["default_value"] for a in of_kind(entities, "DeclareLaunchArgument")}
    for node in nodes(entities):
        if node["package"] != OURS:
            continue
        known = {parameter.name: parameter for parameter in NODES[node["executable"]].parameters}
        for name, value in given(node).items():
            if isinstance(value, Call):
                text = defaults[value.positional[0].positional[0]]
                known[name].checked(value["value_type"](text), node["name"])


def test_parameter_files_are_installed_and_hold_what_the_nodes_declare(entities: list[Call]) -> None:
    (params,) = (a for a in of_kind(entities, "DeclareLaunchArgument") if a.positional[0] == "params")
    package, folder, file = params["default_value"].positional[0]
    assert (package.kind, package.positional, folder) == ("FindPackageShare", (OURS,), "config")
    text = (LAUNCH / file).read_text()
    for node in nodes(entities):
        if node["package"] != OURS:
            continue
        takes_file = any(isinstance(part, Call) for part in node["parameters"])
        values = parameters_of(text, f"/{node['name']}", file) if takes_file else {}
        values |= {name: _example(value) for name, value in given(node).items()}
        read_parameters(NODES[node["executable"]].parameters, values, node["name"])


def _example(value: Any) -> Any:
    return {str: "none", int: 1, bool: True}[value["value_type"]] if isinstance(value, Call) else value


@pytest.mark.parametrize("path", PARAMETER_FILES, ids=lambda path: path.name)
def test_parameter_files_make_a_robot(path: Path) -> None:
    """With ROS's own types: a number that is declared double must have its point, or ROS refuses it."""
    given: dict[str, Any] = dict(parameters_of(path.read_text(), "/policy", path.name))
    for parameter in POLICY.parameters:
        kind, is_array = TYPES[parameter.type]
        for value in (
            [] if parameter.name not in given else given[parameter.name] if is_array else [given[parameter.name]]
        ):
            assert type(value) is kind, f"{path.name}: {parameter.name}: {value!r}"
    values = read_parameters(POLICY.parameters, given, "/policy")
    limits = limits_of(values)
    settings_of(RobotSettings, values).spec(limits)
    settings_of(TaskSettings, values)
    assert limits.command_validity > float(str(values["control_period"]))
    known = {f"/**/{name}" for name in NODES}
    assert {section.name for section in sections_of(path.read_text(), path.name)} <= known


def test_the_stand_in_has_the_limits_of_its_task() -> None:
    values = read_parameters(
        POLICY.parameters, parameters_of((LAUNCH / "sim.yaml").read_text(), "/policy", "sim.yaml"), "/"
    )
    limits = limits_of(values)
    for field in fields(limits):
        assert np.array_equal(getattr(limits, field.name), getattr(PickCube.limits, field.name)), field.name
    made = stand_in_yaml("pick_cube")
    expected = read_parameters(POLICY.parameters, parameters_of(made, "/policy", "stand-in"), "/policy")
    for name, value in expected.items():
        if isinstance(value, tuple) and value and isinstance(value[0], float):
            assert values[name] == pytest.approx(value, rel=1e-6), name
        else:
            assert values[name] == value, name


# -- lifecycle -------------------------------------------------------------------------------------------------------


def test_the_policy_is_configured_once_at_the_start(entities: list[Call]) -> None:
    (policy,) = of_kind(entities, "LifecycleNode")
    (emitted,) = of_kind(entities, "EmitEvent")
    event = emitted["event"]
    assert event.kind == "ChangeState"
    assert event["transition_id"] == Transition.TRANSITION_CONFIGURE
    assert event["lifecycle_node_matcher"].positional == (policy,)
    assert entities.index(policy) < entities.index(emitted)


def test_only_configuring_leads_to_activation(entities: list[Call]) -> None:
    """A handler for 'inactive' without its start state would re-activate what an operator has deactivated."""
    (policy,) = of_kind(entities, "LifecycleNode")
    handlers = [handler.positional[0] for handler in of_kind(entities, "RegisterEventHandler")]
    for handler in handlers:
        assert handler.kind == "OnStateTransition"
        assert handler["target_lifecycle_node"] is policy
        assert (handler["start_state"], handler["goal_state"]) == ("configuring", "inactive")
        (emitted,) = handler["entities"]
        assert emitted["event"]["transition_id"] == Transition.TRANSITION_ACTIVATE
        assert emitted["event"]["lifecycle_node_matcher"].positional == (policy,)
    activations = [c for c in everything(entities) if c.kind == "ChangeState" and c["transition_id"] == 3]
    assert len(activations) == len(handlers)


def test_a_dry_run_activates_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not of_kind(load(LAUNCH / "robot.launch.py", monkeypatch), "RegisterEventHandler")
    assert of_kind(load(LAUNCH / "correct.launch.py", monkeypatch), "RegisterEventHandler")


# -- the package -----------------------------------------------------------------------------------------------------


def test_the_package_installs_what_the_launch_files_start() -> None:
    text = (ROOT / "setup.py").read_text()
    (line,) = re.findall(r"^NODES = \((.*)\)$", text, re.MULTILINE)
    assert {name.strip(' "') for name in line.split(",")} == set(NODES) == set(ros.MODULES)
    package = ElementTree.parse(ROOT / "package.xml").getroot()
    assert package.get("format") == "3"
    assert package.findtext("name") == OURS
    assert package.findtext("version") == __version__
    assert package.findtext("export/build_type") == "ament_python"
    needed = {depend.text for depend in package.findall("exec_depend")}
    assert {"rclpy", "launch", "launch_ros", "lifecycle_msgs", "joy"} <= needed
    used = {t.type.partition("/")[0] for node in NODES.values() for t in node.topics}
    assert used <= needed
    assert (ROOT / "resource" / OURS).read_text() == ""
    setup_cfg = (ROOT / "setup.cfg").read_text()
    assert setup_cfg.count(f"$base/lib/{OURS}") == 2
