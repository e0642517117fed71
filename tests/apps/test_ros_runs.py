"""Runs of a robot that is not simulated: the simulation does not stand in for it unasked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from robot_rlhf.apps.cli import main
from robot_rlhf.errors import ConfigError
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.settings import defaults_for, write_yaml
from robot_rlhf.run.train import train
from robot_rlhf_hardware.ros.place import RosConfig


@pytest.fixture
def ros_run(tmp_path: Path) -> Path:
    folder = RunFolder.create(tmp_path, "real")
    write_yaml(replace(defaults_for("reach", RosConfig()), out=tmp_path), folder.config)
    return folder.path


def test_train_does_not_train_the_simulated_arm_in_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--task", "reach", "--place", "ros", "--out", str(tmp_path / "runs")]
    assert main(["train", *options]) == 2
    said = capsys.readouterr().err
    assert "place ros: train and session do not drive it" in said
    assert "robot-rlhf ros policy" in said
    assert not (tmp_path / "runs").exists()


def test_nor_does_a_resumed_one(ros_run: Path) -> None:
    with pytest.raises(ConfigError, match="robot-rlhf ros policy"):
        train(defaults_for("reach"), resume=ros_run)


def test_eval_does_not_measure_the_simulation_as_if_it_were_that_robot(
    ros_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", str(ros_run)]) == 2
    said = capsys.readouterr().err
    assert "is not measured in the simulation, which is another robot" in said
    assert "learner:=none evaluate:=20" in said
