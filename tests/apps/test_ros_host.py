from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml

from hardware.ros.nodes import NODES
from hardware.ros.parameters import read_parameters
from hardware.ros.rcl_yaml import parameters_of
from robot_rlhf.apps import ros
from robot_rlhf.apps.ros_host import open_bus, parameters_given, read_options, ros_arguments
from robot_rlhf.apps.ros_run import run_folder, run_settings
from robot_rlhf.apps.ros_stand_in import stand_in_parameters, stand_in_yaml
from robot_rlhf.errors import ConfigError, UnknownNameError


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
    assert (config.robot, config.mode, config.steps) == ("ros", "asynchronous", 123)
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
