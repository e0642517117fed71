from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_rlhf.errors import ConfigError
from sim.kinematics import HOME
from sim.model_kinematics import ModelKinematics

ARM = Path(__file__).parents[2] / "sim" / "scenes" / "arm.xml"
JOINTS = [f"joint{i + 1}" for i in range(7)]

INERTIA = '<inertial><mass value="1"/><inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial>'
URDF = f"""
<robot name="two">
  <link name="base"/>
  <link name="upper">{INERTIA}</link>
  <link name="tool0">{INERTIA}</link>
  <joint name="turn" type="revolute"><parent link="base"/><child link="upper"/><axis xyz="0 0 1"/>
    <limit lower="-2" upper="2" effort="1" velocity="1"/></joint>
  <joint name="reach" type="prismatic"><parent link="upper"/><child link="tool0"/><axis xyz="1 0 0"/>
    <limit lower="0" upper="1" effort="1" velocity="1"/></joint>
</robot>
"""


def test_finds_the_pose_again_from_nearby() -> None:
    solver = ModelKinematics(ARM, JOINTS, "tool")
    rng = np.random.default_rng(0)
    for _ in range(10):
        joints = HOME + rng.uniform(-0.2, 0.2, 7)
        pose = solver.pose(joints)
        found = solver.solve(pose, joints + rng.uniform(-0.05, 0.05, 7))
        np.testing.assert_allclose(solver.pose(found)[:3], pose[:3], atol=1e-4)
        assert abs(solver.pose(found)[3:] @ pose[3:]) > 1.0 - 1e-6


def test_small_steps_of_a_target_give_small_steps_of_the_joints() -> None:
    solver = ModelKinematics(ARM, JOINTS, "tool")
    pose, joints = solver.pose(HOME), HOME
    for _ in range(20):
        pose = pose + np.array([0.002, 0, 0, 0, 0, 0, 0])
        following = solver.solve(pose, joints)
        assert np.abs(following - joints).max() < 0.03
        joints = following
    np.testing.assert_allclose(solver.pose(joints)[:3], pose[:3], atol=1e-4)


def test_reads_urdf_and_keeps_the_limits(tmp_path: Path) -> None:
    file = tmp_path / "two.urdf"
    file.write_text(URDF)
    solver = ModelKinematics(file, ["turn", "reach"], "tool0")
    np.testing.assert_allclose(solver.pose(np.array([np.pi / 2, 0.5]))[:3], [0, 0.5, 0], atol=1e-9)
    far = np.array([3.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    assert solver.solve(far, np.array([0.0, 0.5]))[1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("file", "joints", "tool", "words"),
    [
        (ARM, ["joint9"], "tool", "no joint 'joint9'"),
        (ARM, JOINTS, "flange", "no site or body 'flange'"),
        (Path("none.xml"), JOINTS, "tool", "cannot be loaded"),
    ],
)
def test_models_that_do_not_fit(file: Path, joints: list[str], tool: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ModelKinematics(file, joints, tool)
