from __future__ import annotations

import importlib.util
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from robot_rlhf.apps import ros
from robot_rlhf.apps.ros_host import (
    DOMAIN,
    HostOptions,
    alone,
    open_bus,
    open_to_the_network,
    parameters_given,
    read_options,
    ros_arguments,
    until_ended,
    warn_of_strangers,
)
from robot_rlhf.apps.ros_run import run_folder, run_settings
from robot_rlhf.apps.ros_stand_in import stand_in_parameters, stand_in_yaml
from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.people.person import PEOPLE
from robot_rlhf.policy.features import FeatureConfig
from robot_rlhf.run.settings import defaults_for, write_yaml
from robot_rlhf_hardware.ros.bus import BusError
from robot_rlhf_hardware.ros.bus_fake import FakeBus, FakeGraph
from robot_rlhf_hardware.ros.nodes import NODES
from robot_rlhf_hardware.ros.parameters import read_parameters
from robot_rlhf_hardware.ros.place import RosConfig
from robot_rlhf_hardware.ros.rcl_yaml import parameters_of
from robot_rlhf_sim.disturbance import DisturbanceConfig
from robot_rlhf_sim.place import SimConfig


def test_options_in_the_words_of_ros(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("policy: {ros__parameters: {steps: 5, task: reach}}")
    argv = ["--ros-args", "--params-file", str(file), "-p", "steps:=7", "-r", "joint_states:=/left/joints"]
    options = read_options("policy", [*argv, "-r", "__ns:=/arm", "--domain", "7", "--backend", "dds", "--loopback"])
    assert (options.namespace, options.domain, options.backend, options.loopback) == ("/arm", 7, "dds", True)
    assert options.remaps == {"joint_states": "/left/joints"}
    assert parameters_given(read_options("policy", argv)) == {"steps": 7, "task": "reach"}
    words = ros_arguments(options)
    assert words[:3] == ["--ros-args", "-r", "__node:=policy"]
    assert "steps:=7" in words
    assert "__ns:=/arm" in words


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--parms", "x"], "no option --parms"),
        (["-p"], "-p needs a value"),
        (["-p", "steps=7"], "allowed: NAME:=VALUE"),
        (["--domain", "102"], "domain id: got '102', allowed: 0 to 101"),
        (["--backend", "zenoh"], "allowed: dds or rclpy"),
    ],
)
def test_options_that_are_none(argv: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_options("policy", argv)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        parameters_given(read_options("policy", ["--params", str(tmp_path / "none.yaml")]))
    broken = tmp_path / "broken.yaml"
    broken.write_text("policy: {")
    with pytest.raises(ConfigError, match="not YAML"):
        parameters_given(read_options("policy", ["--params", str(broken)]))


@pytest.mark.skipif(importlib.util.find_spec("rclpy") is not None, reason="ROS is installed here")
def test_rclpy_that_is_not_there_is_said() -> None:
    with pytest.raises(ConfigError, match="ROS 2 is not sourced here"):
        open_bus(read_options("policy", ["--backend", "rclpy"]))


@pytest.mark.parametrize("task", ["reach", "pick_cube", "peg_insert"])
def test_the_stand_ins_parameters_are_those_that_the_nodes_declare(task: str) -> None:
    text = stand_in_yaml(task)
    assert yaml.safe_load(text) == stand_in_parameters(task)
    for name in stand_in_parameters(task):
        values = read_parameters(NODES[name].parameters, parameters_of(text, f"/{name}", "file"), f"/{name}")
        assert values["task"] == task


def test_every_simulated_person_can_hold_the_gamepad() -> None:
    allowed = {parameter.name: parameter.choices for parameter in NODES["robot_sim"].parameters}
    assert set(allowed["person"]) == {"none", *PEOPLE}
    assert set(allowed["demonstrator"]) == {name for name, person in PEOPLE.items() if person.attention}


def test_every_executable_has_an_entry_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(ros.MODULES) == set(NODES)
    for name in NODES:
        assert callable(getattr(ros, name))
        assert ros.run([name, "--help"]) == 0
        said = capsys.readouterr().out
        assert all(parameter.name in said for parameter in NODES[name].parameters)
    assert ros.run([]) == 0
    assert "robot_sim" in capsys.readouterr().out
    with pytest.raises(UnknownNameError, match="policy"):
        ros.run(["polcy"])


def test_the_runs_settings_follow_the_parameters(tmp_path: Path) -> None:
    given = parameters_of(stand_in_yaml("pick_cube"), "/policy", "stand-in")
    values = read_parameters(NODES["policy"].parameters, {**given, "out": str(tmp_path), "steps": 123}, "/policy")
    config = run_settings(dict(values))
    assert (config.place.kind, config.mode, config.steps) == ("ros", "asynchronous", 123)
    assert config.reward.judge == "either"
    folder, resumed = run_folder(dict(values), config)
    assert not resumed
    assert run_folder(dict(values), config)[1], "the second time it goes on"
    assert folder.config.exists()
    (tmp_path / "taken").mkdir()
    with pytest.raises(ConfigError, match="is no run's folder"):
        run_folder({**values, "run": "taken"}, config)


def test_a_task_of_ones_own_is_allowed_on_a_robot() -> None:
    given = parameters_of(stand_in_yaml("reach"), "/policy", "stand-in") | {"task": "fold the towel"}
    values = read_parameters(NODES["policy"].parameters, given, "/policy")
    assert run_settings(dict(values)).task == "fold the towel"


def test_what_disturbed_the_simulation_stays_there_when_its_settings_drive_a_robot(tmp_path: Path) -> None:
    trained = replace(
        defaults_for("pick_cube"),
        place=SimConfig(disturbance=DisturbanceConfig(command_delay=2), randomise=0.3),
        features=FeatureConfig(ahead=True),
    )
    write_yaml(trained, tmp_path / "config.yaml")
    given = parameters_of(stand_in_yaml("pick_cube"), "/policy", "stand-in") | {"config": str(tmp_path / "config.yaml")}
    config = run_settings(dict(read_parameters(NODES["policy"].parameters, given, "/policy")))
    assert config.place == RosConfig()
    assert config.features.ahead


def test_ros_own_options_are_handed_to_it() -> None:
    words = [
        "--ros-args",
        "--log-level",
        "warn",
        "--log-config-file",
        "log.cfg",
        "--enclave",
        "/arm",
        "--disable-rosout-logs",
    ]
    options = read_options("policy", [*words, "-r", "__ns:=/arm", "--log-level", "policy.rcl:=debug"])
    assert options.log_level == logging.WARNING
    handed = ros_arguments(options)
    assert handed[-9:] == [*words[1:], "--log-level", "policy.rcl:=debug"][-9:]
    with pytest.raises(ConfigError, match="--log-level: got loud, allowed: debug"):
        read_options("policy", ["--log-level", "loud"])


@pytest.mark.parametrize(
    ("words", "said"),
    [(["-p", "use_sim_time:=true"], "follows /clock"), (["--enclave", "/arm"], "knows no SROS2")],
)
def test_what_needs_ros_is_refused_without_it(words: list[str], said: str) -> None:
    pytest.importorskip("cyclonedds.core", reason="cyclonedds has no wheel here")
    with pytest.raises(ConfigError, match=said):
        open_bus(read_options("policy", ["--backend", "dds", *words]))


# -- alone, and who may publish ----------------------------------------------------------------------------------------


def test_a_node_of_a_name_that_is_taken_does_not_start() -> None:
    graph = FakeGraph()
    FakeBus(graph, "policy")
    late = FakeBus(graph, "policy")
    with pytest.raises(BusError, match=r"another node /policy is on the graph: end it, or name this one"):
        alone(late)
    assert "waiting 30 s for it to leave" in late.warnings()[0]


def test_a_node_that_was_killed_is_waited_for() -> None:
    """It stays on the graph until its lease has run out."""
    graph = FakeGraph()
    killed = FakeBus(graph, "policy")
    FakeBus(graph, "other").once(20.0, killed.close)
    late = FakeBus(graph, "policy")
    alone(late)
    assert 20.0 <= graph.clock.now() < 23.0
    before = graph.clock.now()
    alone(late)
    assert graph.clock.now() - before < 3.0, "nobody is there: a look is enough"


@pytest.mark.parametrize(
    ("environment", "backend", "loopback", "open_to_others"),
    [
        ({}, "rclpy", False, True),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}, "rclpy", False, True),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, "rclpy", False, False),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}, "rclpy", False, False),
        ({"ROS_LOCALHOST_ONLY": "1"}, "rclpy", False, False),
        ({"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce"}, "rclpy", False, False),
        ({"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Permissive"}, "rclpy", False, True),
        ({}, "dds", False, True),
        ({}, "dds", True, False),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, "dds", False, True),
    ],
)
def test_who_may_publish_is_said_where_it_is_more_than_this_machine(
    environment: dict[str, str], backend: str, loopback: bool, open_to_others: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOCALHOST_ONLY", "ROS_SECURITY_ENABLE", "ROS_SECURITY_STRATEGY")
    for name in (*names, "CYCLONEDDS_URI", DOMAIN):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    options = HostOptions("policy", backend=backend, loopback=loopback)
    assert open_to_the_network(options) is open_to_others
    bus = FakeBus(FakeGraph(), "policy")
    warn_of_strangers(bus, options)
    assert [("in domain 0 may publish what /policy obeys" in words) for words in bus.warnings()] == [
        True
    ] * open_to_others


def test_a_node_whose_bus_has_failed_ends_with_an_error() -> None:
    bus = FakeBus(FakeGraph(), "recorder")
    done: list[int] = []

    def deed() -> None:
        done.append(1)
        bus.failure.happen("/recorder: it is gone")
        bus.failure.happen("a later reason")

    with pytest.raises(BusError, match="/recorder: it is gone"):
        until_ended(bus, 0.001, deed)
    assert done == [1]
