"""The doctor on the real wire: `robot-rlhf doctor --ros` beside a robot in another process."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot_rlhf.apps.doctor_ros import checks_of_robot
from robot_rlhf.apps.ros_host import HostOptions, read_options
from robot_rlhf.errors import ConfigError
from robot_rlhf_hardware.ros.checkup import Finding
from robot_rlhf_hardware.ros.rcl_yaml import dumped
from tests.hardware.ros.graphs import LIMITS, SETTINGS

pytest.importorskip("cyclonedds.core", reason="cyclonedds has no wheel here")

from tests.hardware.ros.processes import FarSide


def parameter_file(folder: Path) -> Path:
    """The parameters of the far side's robot, patient with a busy machine."""
    values = {name: list(v) if isinstance(v, tuple) else v for name, v in vars(SETTINGS).items()}
    values |= {"cameras": ["front"], "state_age_max": 2.0, "image_age_max": 5.0, "scene_age_max": 10.0}
    values["limits"] = {n: v.tolist() if hasattr(v, "tolist") else v for n, v in vars(LIMITS).items()}
    values |= {"task": "reach", "instruction": "reach", "reset": "service"}
    path = folder / "robot.yaml"
    path.write_text(dumped({"/**/policy": {"ros__parameters": values}}))
    return path


def findings(options: HostOptions, seconds: float) -> dict[str, Finding]:
    found = list(checks_of_robot(options, seconds))
    return {finding.name: finding for finding in found}


def test_the_doctor_over_dds(tmp_path: Path, domain: int) -> None:
    """Sensors are well, commands have a listener; nobody is at the gamepad, and there is no policy node."""
    side = FarSide(domain, "--best-effort-joy", "--rival")
    try:
        words = ["--params", str(parameter_file(tmp_path)), "--domain", str(domain), "--backend", "dds"]
        found = findings(read_options("doctor", words), 4.0)
    finally:
        side.close()
    for topic in ("/joint_states", "/current_pose", "/wrench", "/perception/cube", "/front/image_raw"):
        assert found[topic].state != "fail", found[topic]
        assert "1 publisher(s)" in found[topic].found
    assert found["joints"].state == "ok"
    assert "24 x 32" in found["picture front"].found
    assert found["/gripper_controller/commands"].state == "ok"
    assert found["/joy"].state == "fail"
    assert "RELIABILITY" in found["types and QoS"].found
    assert found["e-stop"].state == "warn"


def test_what_the_doctor_needs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no --params; allowed: parameter files of the policy node"):
        findings(HostOptions("doctor"), 1.0)
    path = parameter_file(tmp_path)
    with pytest.raises(ConfigError, match="--seconds: got 0"):
        findings(HostOptions("doctor", params=(path,)), 0.0)
    path.write_text("/**/policy: {ros__parameters: {joint_names: [a]}}")
    with pytest.raises(ConfigError, match="parameter joint_lower"):
        findings(HostOptions("doctor", params=(path,)), 1.0)
