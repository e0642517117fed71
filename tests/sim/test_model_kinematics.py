from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_rlhf.errors import ConfigError
from robot_rlhf_sim.model_kinematics import ModelKinematics
from robot_rlhf_sim.robots.built_in import BUILT_IN

ARM = Path(__file__).parents[2] / "sim" / "robot_rlhf_sim" / "scenes" / "arm.xml"
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
        joints = BUILT_IN.home + rng.uniform(-0.2, 0.2, 7)
        pose = solver.pose(joints)
        found = solver.solve(pose, joints + rng.uniform(-0.05, 0.05, 7))
        np.testing.assert_allclose(solver.pose(found)[:3], pose[:3], atol=1e-4)
        assert abs(solver.pose(found)[3:] @ pose[3:]) > 1.0 - 1e-6


def test_small_steps_of_a_target_give_small_steps_of_the_joints() -> None:
    solver = ModelKinematics(ARM, JOINTS, "tool")
    pose, joints = solver.pose(BUILT_IN.home), BUILT_IN.home
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


def chain(*joints: tuple[str, str, str], flange: str = "") -> str:
    """A URDF as ROS packages have it: meshes of packages, links without masses, a tool0 that is fixed to the last link.

    Args: joints: axis, origin, and what the link holds, of each.
    """
    mesh = '<visual><geometry><mesh filename="package://arm/{0}.dae"/></geometry></visual>'
    mesh += '<collision><geometry><mesh filename="package://arm/{0}.stl"/></geometry></collision>'
    parts = [f'<link name="link0">{mesh.format("base")}</link>']
    for number, (axis, origin, holds) in enumerate(joints, 1):
        parts.append(f'<link name="link{number}">{mesh.format(number)}{holds}</link>')
        parts.append(
            f'<joint name="j{number}" type="revolute"><parent link="link{number - 1}"/><child link="link{number}"/>'
            f'<origin xyz="{origin}"/><axis xyz="{axis}"/>'
            '<limit lower="-2.8" upper="2.8" effort="1" velocity="1"/></joint>'
        )
    parts.append('<link name="tool0"/>')
    parts.append(
        f'<joint name="flange" type="fixed"><parent link="link{len(joints)}"/><child link="tool0"/>{flange}</joint>'
    )
    return f"<robot name='arm'>{''.join(parts)}</robot>"


def test_a_urdf_of_a_ros_package(tmp_path: Path) -> None:
    """Its fixed tool0 is there, with its own pose; its meshes are not looked for."""
    file = tmp_path / "arm.urdf"
    turned = '<origin xyz="0.3 0 0" rpy="0 1.5707963267948966 0"/>'
    file.write_text(chain(("0 0 1", "0 0 0.1", ""), ("0 0 1", "0.2 0 0", INERTIA), flange=turned))
    solver = ModelKinematics(file, ["j1", "j2"], "tool0")
    found = solver.pose(np.array([np.pi / 2, -np.pi / 2]))
    np.testing.assert_allclose(found[:3], [0.3, 0.2, 0.1], atol=1e-9)
    np.testing.assert_allclose(np.abs(found[3:]), [np.sqrt(0.5), 0, np.sqrt(0.5), 0], atol=1e-9)


def test_an_arm_of_five_joints_comes_to_the_place(tmp_path: Path) -> None:
    """It cannot have place and turn both as asked."""
    file = tmp_path / "five.urdf"
    arm = (("0 0 1", "0 0 0.06", ""), ("0 1 0", "0 0 0.05", ""), ("0 1 0", "0 0 0.11", ""))
    arm += (("0 1 0", "0.13 0 0", ""), ("1 0 0", "0.06 0 0", ""))
    file.write_text(chain(*arm, flange='<origin xyz="0.1 0 0"/>'))
    solver = ModelKinematics(file, [f"j{i + 1}" for i in range(5)], "tool0")
    rng = np.random.default_rng(0)
    missed: list[float] = []
    for _ in range(100):
        joints = np.array([0.0, 0.3, 0.4, 0.6, 0.0]) + rng.uniform(-0.3, 0.3, 5)
        wanted = solver.pose(joints)
        wanted[:3] += rng.uniform(-0.01, 0.01, 3)
        found = solver.pose(solver.solve(wanted, joints))
        missed.append(float(np.linalg.norm(found[:3] - wanted[:3])))
        assert 2.0 * np.arccos(min(1.0, abs(found[3:] @ wanted[3:]))) < 0.2
    assert np.median(missed) < 2e-4
    assert max(missed) < 1e-3


@pytest.mark.parametrize("text", ["<robot", "<robot name='a'><link name='a'/><joint name='b'/></robot>", ""])
def test_what_is_no_model(tmp_path: Path, text: str) -> None:
    file = tmp_path / "arm.urdf"
    file.write_text(text)
    with pytest.raises(ConfigError, match="cannot be loaded"):
        ModelKinematics(file, ["b"], "tool0")


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
